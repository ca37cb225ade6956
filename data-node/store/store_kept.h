/*
 * Kept: records that a reader has had, so that it has them again without key and
 * decoding.
 *
 * For work that looks at the same few records from several sides (builder.h).  What
 * is kept is as it was read, placed by the newest maps of that moment: for one
 * short piece of work, then reset.  One thread.
 */
#ifndef STORE_STORE_KEPT_H
#define STORE_STORE_KEPT_H

#include "store/store.h"

#define STORE_KEPT_RECORDS_MAX ((size_t)2048)
#define STORE_KEPT_BYTES_MAX ((size_t)4 << 20) /* no more records beyond it */

struct store_kept;

enum rc store_kept_new(struct store_kept **out) RC_CHECK;
void store_kept_free(struct store_kept *kept);

/* Wipes what it holds.  O(bytes held). */
void store_kept_reset(struct store_kept *kept);

/* NULL if it is not there, or `kept` is NULL; lives until the reset. */
const struct observation *store_kept_find(const struct store_kept *kept, uint64_t seq);

/* Where the next record is to be decoded into, for store_kept_put(); NULL: there is
 * no room, or `kept` is NULL. */
struct arena *store_kept_arena(struct store_kept *kept);
void store_kept_put(struct store_kept *kept, const struct observation *obs);

#endif
