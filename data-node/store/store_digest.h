/*
 * Store digest: what the aligner has made of the records of a stretch of one
 * layer, so that it need not read them again.
 *
 * Database `digest`, derived: layer(1) level(1) start(8) → sealed.  A row of
 * level n is over STORE_DIGEST_LEAF_NS · 4^n from a multiple of that.  What it
 * says is the aligner's affair (align/home_fold.h); rows refer to records and
 * hold no content, so they are sealed under the key of no day and layer.
 * Invariants:
 *  D1  a row stands only while no entry of its layer that begins in its stretch
 *      has come, changed or gone since it was made: whatever does that takes
 *      the rows over it away in the same transaction.
 *  D2  rows are made of what was read behind store_digest_begin(); if an entry
 *      changed meanwhile, store_digest_put() puts none of them.
 */
#ifndef STORE_STORE_DIGEST_H
#define STORE_STORE_DIGEST_H

#include "store/store.h"

#define STORE_DIGEST_LEAF_NS (INT64_C(5400) * 1000000000) /* divides a day */
#define STORE_DIGEST_LEVELS 11u                           /* the last: 179 years */
#define STORE_DIGEST_BYTES_MAX ((size_t)128 << 10)
#define STORE_DIGEST_ROWS_MAX ((size_t)4096) /* of one put */

struct store_digest_row {
	unsigned level;
	int64_t start_ns;
	const uint8_t *bytes;
	size_t len;
};

static inline int64_t store_digest_span_ns(unsigned level)
{
	return STORE_DIGEST_LEAF_NS << (2 * level);
}

/* The row's bytes, appended to `out`.  RC_NOTFOUND: none, or it does not open. */
enum rc store_digest_get(struct store *store, enum layer layer, unsigned level, int64_t start_ns,
    struct buf *out, struct errmsg *why) RC_CHECK;

/* Where the first row of that level at or behind `from_ns` starts.  RC_NOTFOUND. */
enum rc store_digest_next(struct store *store, enum layer layer, unsigned level, int64_t from_ns,
    int64_t *start_ns, struct errmsg *why) RC_CHECK;

/* Is there a row of a level below `level` within the stretch of such a one? */
enum rc store_digest_below(struct store *store, enum layer layer, unsigned level, int64_t start_ns,
    bool *any, struct errmsg *why) RC_CHECK;

/*
 * The least and the greatest seq by which an entry that begins in [from, to)
 * was appended, or left it (superseded, moved); 0: there is none.  A record that
 * a clock map moved here did so with its place's map_version, which is not
 * looked at.  `any_only`: stop at the first that is found.  Reads keys alone.
 */
struct store_digest_seqs {
	uint64_t first, last;
};
enum rc store_digest_seqs(struct store *store, enum layer layer, int64_t from_ns, int64_t to_ns,
    bool any_only, struct store_digest_seqs *out, struct errmsg *why) RC_CHECK;

/* How many changes there were before `until_ns`; from now on they are counted
 * up to there. */
enum rc store_digest_begin(struct store *store, enum layer layer, int64_t until_ns,
    uint64_t *touches, struct errmsg *why) RC_CHECK;

/* That number as it is now, without a begin. */
uint64_t store_digest_touches(const struct store *store);

/* Rows [n] in one commit, unless something was touched since `touches`. */
enum rc store_digest_put(struct store *store, enum layer layer, const struct store_digest_row *rows,
    size_t n, uint64_t touches, bool *stale, struct errmsg *why) RC_CHECK;

/* All rows of the store. */
enum rc store_digest_drop(struct store *store, struct errmsg *why) RC_CHECK;

#endif
