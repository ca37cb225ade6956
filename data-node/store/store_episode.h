/*
 * Store episode: the database of the episodes that the aligner has kept.
 *
 * Database `episode`, derived: start(8) from(8) until(8) → sealed.  A row is
 * over the episodes that begin in one stretch of time from `start` on, made of
 * the slices of [from, until).  What it says is the aligner's affair
 * (align/episode_inner.h); rows refer to slices and hold no content, so they are
 * sealed under the key of no day and layer.
 *
 * Invariant: a row stands only while no row of a slice it was made of has come,
 * changed or gone: the commit that does that takes it away (store_slice_commit).
 */
#ifndef STORE_STORE_EPISODE_H
#define STORE_STORE_EPISODE_H

#include "store/store_slice.h"

#define STORE_EPISODE_STRETCH_NS (INT64_C(4) * 3600 * 1000000000) /* divides a day */
/* `from` and `until` are no farther from `start`. */
#define STORE_EPISODE_REACH_NS (INT64_C(3) * 86400 * 1000000000)
#define STORE_EPISODE_ROW_BYTES_MAX ((size_t)64 << 10)
#define STORE_EPISODE_ROWS_MAX ((size_t)1024) /* of one put, and of one reading */

struct store_episode_row {
	int64_t start_ns, from_ns, until_ns;
	const uint8_t *bytes; /* NULL, read: it does not open */
	size_t len;
};

/* What one read transaction saw. */
struct store_episode_view {
	struct store_episode_row *rows; /* [rows_len] in order of start */
	size_t rows_len;
	struct store_slice_view slices; /* marks, state and cursor; no rows */
};

/*
 * Rows with start in [from, to), at most STORE_EPISODE_ROWS_MAX of them, into
 * `arena`.  RC_NOMEM, the store's errors.
 */
enum rc store_episode_read(struct store *store, int64_t from_ns, int64_t to_ns, struct arena *arena,
    struct store_episode_view *out, struct errmsg *why) RC_CHECK;

/* Where the first row at or behind `from_ns` starts.  RC_NOTFOUND. */
enum rc store_episode_next(
    struct store *store, int64_t from_ns, int64_t *start_ns, struct errmsg *why) RC_CHECK;

/* Rows [n] in one commit.  For whoever commits slices: none changed since the
 * rows were made. */
enum rc store_episode_put(struct store *store, const struct store_episode_row *rows, size_t n,
    struct errmsg *why) RC_CHECK;

#endif
