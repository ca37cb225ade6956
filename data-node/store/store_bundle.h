/*
 * Store bundles: the quiet past, kept a second time in values of 16 KB.
 *
 * Database `bundle`, derived:
 *   layer(1) t0(8) seq(8)   last_t0(8) last_seq(8) plain, then a sealed bundle
 *                           (bundle.h); the key is that of its first record in
 *                           `time`, what is plain that of its last
 *   0 layer(1) day(4)       empty: a day in which something changed since its
 *                           bundles were built
 *   0                       empty: every day from before is marked
 * Invariants:
 *  G1  a bundle holds exactly the entries that `time` has of its layer from
 *      its first to its last, as the log has them.
 *  G2  all of them are of one day, by the time index and by their key alike, so
 *      a bundle lives and dies with the key of one (day, layer).
 *  G3  whatever changes an entry of `time`, the record behind it or its place
 *      calls store_bundle_touch() in the same transaction: the bundle over it
 *      goes, the day is marked.  So places in bundles are those of now.
 * Days are built by the writer thread when nothing else is to be done; scans
 * use the bundles that are there and the log for the rest, with equal results.
 */
#ifndef STORE_STORE_BUNDLE_H
#define STORE_STORE_BUNDLE_H

#include "store/bundle.h"
#include "store/store_internal.h"

/* Four pages of the database, the header of the first taken off. */
#define STORE_BUNDLE_VALUE_BYTES ((size_t)4 * 4096 - 16)
#define STORE_BUNDLE_PLAIN_BYTES 16
#define STORE_BUNDLE_RECORDS_MIN ((size_t)4) /* fewer stay in the log alone */
/* A step of the builder ends behind so many records. */
#define STORE_BUNDLE_STEP_RECORDS ((size_t)4096)

/* What the seal of a bundle vouches for besides its bytes: both its ends. */
#define STORE_BUNDLE_SEAL_KEY_BYTES (STORE_TIME_KEY_BYTES + STORE_BUNDLE_PLAIN_BYTES)

/* ---- rows; pure ------------------------------------------------------------------ */

static inline bool store_entry_before(const struct store_entry *a, const struct store_entry *b)
{
	return a->t0_ns != b->t0_ns ? a->t0_ns < b->t0_ns : a->seq < b->seq;
}

/* Ends and sealed bytes of a row; RC_CORRUPT if it is no bundle. */
enum rc store_bundle_parse(const MDB_val *key, const MDB_val *value, struct store_entry *first,
    struct store_entry *last, MDB_val *sealed) RC_CHECK;
void store_bundle_seal_key(const struct store_entry *first, const struct store_entry *last,
    uint8_t out[STORE_BUNDLE_SEAL_KEY_BYTES]);
/* False if the key is no mark. */
bool store_bundle_day_parse(const MDB_val *key, unsigned *layer, int32_t *day);

/* ---- writer thread, inside its transaction; these return LMDB's code ---------- */

/* The entry of `time`, or the record behind it, is made, changed or gone. */
int store_bundle_touch(struct store *store, MDB_txn *txn, const struct store_entry *entry);

/* The bundles of a (day, layer) go, and its mark: its key is about to go. */
int store_bundle_drop_day(struct store *store, MDB_txn *txn, int32_t day, unsigned layer);

/* All of them go; every day is marked again. */
int store_bundle_drop_all(struct store *store, MDB_txn *txn);

/* Mark every day that `time` has entries in, unless that was done before. */
int store_bundle_mark_all(struct store *store, MDB_txn *txn);
int store_bundle_unmark(struct store *store, MDB_txn *txn, unsigned layer, int32_t day);

/* One step: a store_task_fn, `ctx` is a struct store_bundle_task. */
enum rc store_bundle_step(
    struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why) RC_CHECK;

/* ---- reading, inside a read transaction ----------------------------------------- */

/* The bundles of one layer for one scan, in order of time. */
struct store_bundles {
	unsigned layer;
	MDB_cursor *cursor;      /* of the transaction; NULL between pages */
	struct arena *arena;     /* of the page */
	struct store_entry next; /* what comes before it is in no bundle; seq 0: not
				    looked yet */
	bool none;               /* no bundle is behind */
	bool open;
	struct store_entry first, last; /* of the one that is open */
	uint8_t nonce[STORE_NONCE_BYTES];
	struct buf plain; /* its bytes; the page has a copy */
	const uint8_t *copy;
	struct bundle_reader reader; /* over the copy */
};

void store_bundles_init(struct store_bundles *bundles, unsigned layer);
void store_bundles_fini(struct store_bundles *bundles);

/*
 * A page begins: what is read from here on points into `arena`.  A bundle that
 * was open and still stands goes on; detach before the transaction ends.
 */
enum rc store_bundles_attach(struct store *store, MDB_txn *txn, struct arena *arena,
    struct store_bundles *bundles, struct errmsg *why) RC_CHECK;
void store_bundles_detach(struct store_bundles *bundles);

/*
 * The record of the entry `at` in its place of now (at a cursor before
 * place.map_version it had another), if a bundle holds it: RC_OK, `next` is the
 * entry behind it in the bundle (seq 0: it was the last).  RC_NOTFOUND: it is
 * in the log alone.  A bundle that cannot be read counts as none.
 */
enum rc store_bundles_get(struct store *store, struct store_bundles *bundles,
    const struct store_entry *at, struct observation *out, struct store_entry *next) RC_CHECK;

#endif
