/*
 * Store id: which record is the current version of an id.
 *
 * Ids are keyed hashes, so a database of them takes each new one on a page of
 * its own: a commit of 64 records would write 64 pages for their ids alone.  So
 * new ids go to `recent` first, in the order in which they come, and are moved
 * to `dedup` in theirs, many at a time, where neighbours share pages:
 *   recent  first seq(8)   obs_id(16) × n: of the records first seq to
 *                          first seq + n - 1
 *   dedup   obs_id(16)     seq(8)
 * Invariants:
 *  I1  an id's record is the newest that `recent` names for it, else that of
 *      `dedup`.
 *  I2  `recent` holds a row for each record behind the last that was moved, in
 *      one unbroken run; rows go in the commit in which the last of their ids
 *      is in `dedup`.
 *  I3  what the writer has in memory is what `recent` holds, and behind it the
 *      ids of the transaction in progress.
 * Two runs are in memory: `fresh`, which grows, and `moving`, an older one of
 * which some is moved with each commit, in proportion to what that brings.
 */
#ifndef STORE_STORE_ID_H
#define STORE_STORE_ID_H

#include <lmdb.h>

#include "base/errmsg.h"
#include "store/recent.h"

/* So many stay in `recent`; more are moved. */
#define STORE_ID_RECENT_MAX ((size_t)60 << 10)

struct store;

/* Writer thread only. */
struct store_ids {
	struct recent fresh, moving;
	size_t recent_max;
	size_t committed; /* of `fresh`: what is behind is of this transaction */
	size_t row_at;    /* in `fresh`: where the last row begins */
	size_t chain_at;  /* of `moving`: up to here they are in `dedup` */
	size_t owed;      /* ids that may be moved, put off so that many go at once */
	bool quiet;       /* nothing else is to be done: move more, and all */
	struct store_ids_next {
		size_t row_at, chain_at, owed;
	} next; /* once this transaction is committed */
};

/* ---- any thread and transaction; LMDB's code ------------------------------------ */

/*
 * What `recent` holds as `txn` sees it, into an empty table.  MDB_CORRUPTED if
 * the rows break I2, ENOMEM.  The caller ends it with recent_fini(), always.
 */
int store_id_load(struct store *store, MDB_txn *txn, struct recent *out);

/* The current record of `id` as `txn` sees it; `recent` is what it holds, or NULL:
 * its rows are gone through, which takes some ten microseconds.  MDB_NOTFOUND. */
int store_id_find(struct store *store, MDB_txn *txn, const struct recent *recent,
    const uint8_t id[OBS_ID_BYTES], uint64_t *seq);

/* ---- writer thread ---------------------------------------------------------------- */

/* Before there is a transaction: what is in `recent`.  RC_CORRUPT. */
enum rc store_id_open(struct store *store, struct errmsg *why) RC_CHECK;
void store_id_close(struct store *store);

/* Around its transactions: at the start of each (the one before may have been
 * aborted), before the commit (LMDB's code), and after it.  An urgent one, which
 * may find the disk full, moves none: each may cost it a page. */
void store_id_begin(struct store *store);
int store_id_flush(struct store *store, MDB_txn *txn, bool urgent);
void store_id_committed(struct store *store);

/* Inside of them; LMDB's code.  Records come in the order of their seqs. */
int store_id_get(struct store *store, MDB_txn *txn, const uint8_t id[OBS_ID_BYTES], uint64_t *seq);
int store_id_put(struct store *store, const uint8_t id[OBS_ID_BYTES], uint64_t seq);

/* Are there ids to move in quiet moments?  The next transaction moves some of
 * them if `quiet` is set. */
bool store_id_left(const struct store *store);

#endif
