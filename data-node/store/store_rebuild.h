/*
 * Store rebuild: drop every derived database and remake it from the log.
 *
 * The remade databases hold the same keys and, opened, the same values as those
 * that appending made.  Cost is linear in the log but for the sorting (N log N
 * in memory and on disk, sequential): indexes are filled in key order, so their
 * pages are written once and packed full.  About STORE_REBUILD_MEMORY_BYTES of
 * memory, and for a large log temporary files without a name in the directory.
 *
 * A mark in `meta` stands from the drop to the end: whoever opens the store
 * for writing finishes a rebuild that was cut off before anything else.
 */
#ifndef STORE_STORE_REBUILD_H
#define STORE_STORE_REBUILD_H

#include "store/store.h"

#define STORE_REBUILD_MEMORY_BYTES ((size_t)192 << 20)

/* `done` of `total` steps, alike in size; false breaks off, and the next one to
 * open the store begins again.  Called some times a second at most. */
typedef bool store_progress_fn(void *ctx, uint64_t done, uint64_t total);

struct store_rebuilt {
	uint64_t records;    /* read in the log */
	uint64_t unreadable; /* of them; they are in no index: run verify */
	uint64_t entries;    /* written, of all derived databases */
};

/*
 * Open the store of `config`, rebuild, close.  Nothing else may have it open:
 * RC_BUSY.  RC_CANCELLED: `progress` (may be NULL) said so.
 */
enum rc store_rebuild(const struct store_config *config, store_progress_fn *progress, void *ctx,
    struct store_rebuilt *out, struct errmsg *why) RC_CHECK;

#endif
