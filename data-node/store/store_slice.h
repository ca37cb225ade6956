/*
 * Store slice: the database of what the aligner has built.
 *
 * Database `slice`: grid(4) start(8) version(8) → sealed row.  What a row says
 * is the aligner's affair (align/slice_row.h).  Grid 0 holds its state
 * (version 0) and the history of how far it had sealed (version 1, start: a
 * seq).  Derived: it may be dropped and comes out equal again.
 */
#ifndef STORE_STORE_SLICE_H
#define STORE_STORE_SLICE_H

#include "store/store_dirty.h"

#define STORE_SLICE_ROW_BYTES_MAX ((size_t)256 << 10)
#define STORE_SLICE_ROWS_MAX ((size_t)65536) /* of one reading */
#define STORE_DERIVED_KEY_BYTES 32

struct store_slice_row {
	uint32_t grid_s;
	int64_t start_ns;
	uint64_t version;
	const uint8_t *bytes; /* NULL in a commit: take the row away */
	size_t len;
};

/*
 * Rows [n], the state (may be NULL: leave it) and what it settles, in one
 * commit: episodes that were made of slices of these rows go
 * (store_episode.h), marks up to number `newest` go, the frontier becomes
 * `built_ns`.  Records behind `cursor` that came meanwhile before the new frontier but
 * behind the old one are marked.
 */
struct store_slice_batch {
	const struct store_slice_row *rows;
	size_t n;
	const struct store_slice_row *state;
	uint64_t newest;
	uint64_t cursor; /* the log up to here is in the rows */
	int64_t built_ns;
};
enum rc store_slice_commit(
    struct store *store, const struct store_slice_batch *batch, struct errmsg *why) RC_CHECK;

/* What one read transaction saw. */
struct store_slice_view {
	struct store_slice_row *rows; /* [rows_len] in order of (start, version) */
	size_t rows_len;
	struct store_dirty *marks; /* [marks_len] */
	size_t marks_len;
	uint64_t newest;      /* number of the last mark */
	const uint8_t *state; /* [state_len]; NULL: nothing was built */
	size_t state_len;
	uint64_t cursor; /* newest seq of the log */
};

/*
 * Rows of `grid_s` with start in [from, to), marks and state, into `arena`.
 * A row that does not open has no bytes (it can be built again).  RC_LIMIT
 * (more than STORE_SLICE_ROWS_MAX rows), RC_NOMEM.
 */
enum rc store_slice_read(struct store *store, uint32_t grid_s, int64_t from_ns, int64_t to_ns,
    struct arena *arena, struct store_slice_view *out, struct errmsg *why) RC_CHECK;

/* Where the first row of `grid_s` at or behind `from_ns` starts.  RC_NOTFOUND. */
enum rc store_slice_next(struct store *store, uint32_t grid_s, int64_t from_ns, int64_t *start_ns,
    struct errmsg *why) RC_CHECK;

/* The last history row with start ≤ seq.  RC_NOTFOUND. */
enum rc store_slice_history(struct store *store, uint64_t seq, struct arena *arena,
    struct store_slice_row *out, struct errmsg *why) RC_CHECK;

/* Drop all rows, episodes, marks and the frontier: the builder begins anew. */
enum rc store_slice_drop(struct store *store, struct errmsg *why) RC_CHECK;

/* A key of this store for `purpose` (keyring_derive). */
enum rc store_derive_key(
    struct store *store, const char *purpose, uint8_t out[STORE_DERIVED_KEY_BYTES]) RC_CHECK;

#endif
