/*
 * Store pages: the structure of data.mdb, checked without trusting it.
 *
 * LMDB follows what a page says; a flipped bit in a page number or an offset
 * would end in a crash or, worse, in silence.  This reads the file with pread
 * and checks every page that the trees of one snapshot reach: its number, type,
 * bounds, order of keys, and that no page is used twice or is also free.
 * Format: LMDB data version 1 (0.9.x), the machine's byte order.
 */
#ifndef STORE_STORE_PAGES_H
#define STORE_STORE_PAGES_H

#include "store/store.h"

/* Before mdb_env_open(): do the two head pages make sense?  RC_CORRUPT,
 * RC_UNSUPPORTED (not LMDB's version), RC_IO. */
enum rc store_pages_check_head(const char *path, struct errmsg *why) RC_CHECK;

/* Walk the snapshot of one read transaction; each fault goes to `report`.
 * RC_OK also when there were faults.  `pages` counts what was read. */
enum rc store_pages_check(struct store *store, store_fault_fn *report, void *ctx, uint64_t *pages,
    struct errmsg *why) RC_CHECK;

#endif
