/*
 * Store vector: what an encoder made of the texts of records.
 *
 * Database `vector`, derived: layer(1) day(4) seq(8) → sealed under the key of
 * that day and layer, for a vector tells about its text.  What a row says is
 * recall's affair (recall/vectors.h).  Layer 0 holds which encoder it was, and
 * how far the log has been looked at.
 * Invariants:
 *  V1  all rows are of the encoder that the state names.
 *  V2  a record up to state.done without a row has nothing to embed.  Whatever
 *      takes rows away (forgetting, a day's new key) lowers `done` in the same
 *      transaction, so that they come again.
 *  V3  a record that is forgotten has no row from that commit on.
 */
#ifndef STORE_STORE_VECTOR_H
#define STORE_STORE_VECTOR_H

#include "store/store.h"

#define STORE_VECTOR_ENCODER_BYTES 32
#define STORE_VECTOR_BYTES_MAX ((size_t)16 << 10)
#define STORE_VECTOR_ROWS_MAX ((size_t)4096) /* of one put */

struct store_vector_state {
	uint8_t encoder[STORE_VECTOR_ENCODER_BYTES]; /* hash of the model */
	uint32_t length;                             /* values of each vector */
	uint64_t done;                               /* the log up to here */
};

struct store_vector_row {
	uint64_t seq;
	int64_t dev_t0_ns; /* of the record */
	enum layer layer;
	const uint8_t *bytes;
	size_t len;
};

/* RC_NOTFOUND: nothing was embedded yet, or the state does not open. */
enum rc store_vector_state(
    struct store *store, struct store_vector_state *out, struct errmsg *why) RC_CHECK;

/*
 * Rows [n] and the state, in one commit.  `from` is the state that the work
 * began with (NULL: none): if another one stands now, `*stale` and nothing is
 * put.  If `to` names another encoder, all rows of the former go first.  A row of
 * a record that was forgotten meanwhile is left out.
 */
enum rc store_vector_put(struct store *store, const struct store_vector_state *from,
    const struct store_vector_state *to, const struct store_vector_row *rows, size_t n, bool *stale,
    struct errmsg *why) RC_CHECK;

/*
 * Every row, by (layer, day, seq), outside of any transaction; `bytes` lives
 * until it returns; false ends it.  A row that does not open is passed over and
 * counted in `*bad` (may be NULL).
 */
typedef bool store_vector_fn(void *ctx, uint64_t seq, const uint8_t *bytes, size_t len);
enum rc store_vector_scan(struct store *store, store_vector_fn *visit, void *ctx, uint64_t *bad,
    struct errmsg *why) RC_CHECK;

/* All rows and the state. */
enum rc store_vector_drop(struct store *store, struct errmsg *why) RC_CHECK;

#endif
