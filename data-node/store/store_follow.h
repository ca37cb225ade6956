/*
 * Store follow: a store that grows by the records of another one.
 *
 * The other's sealed records are put at the end of the log as they are, under
 * the numbers that they have there, and the derived databases follow as if they
 * had been appended here.  What the other one wrote anew (because something was
 * forgotten) replaces what is here.  The keyring must be a state of the other's
 * that opens what comes.
 */
#ifndef STORE_STORE_FOLLOW_H
#define STORE_STORE_FOLLOW_H

#include "store/store_raw.h"

#define STORE_FOLLOW_ENTRIES_MAX ((size_t)32768)

/* While it follows, a store takes no records of its own (store_append: RC_DENIED). */
void store_follow_set(struct store *store, bool following);
bool store_following(const struct store *store);

/*
 * The records behind the newest one, without a gap, in order; all or none, on
 * disk on RC_OK.  RC_INVALID: another seq; RC_CORRUPT: one that does not open.
 */
enum rc store_follow_append(
    struct store *store, const struct store_raw *entries, size_t n, struct errmsg *why) RC_CHECK;

/*
 * New values of records that are here.  Before the keyring becomes the newer
 * state: what a record was has to be read once more, for the indexes to let go of
 * one that is a tombstone now.
 */
enum rc store_follow_replace(
    struct store *store, const struct store_raw *entries, size_t n, struct errmsg *why) RC_CHECK;

#endif
