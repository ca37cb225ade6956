/*
 * Store clock replay: the maps of a store that has a log but no maps, as after
 * a restore, made from the log as they were when it was written.
 *
 * Before the writer thread starts, while the derived databases are being remade.
 */
#include "store/store_clock_internal.h"

#define BATCH_RECORDS 8192

struct replay {
	struct store *store;
	MDB_txn *txn;
	struct errmsg *why;
	uint64_t done_seq; /* committed up to here */
	size_t n;          /* records of the transaction */
	int err;
	enum rc rc;
};

/* There while a replay is not through. */
static MDB_val mark_key(void)
{
	static char name[] = "r";

	return (MDB_val){ 1, name };
}

bool store_clock_missing(struct store *store)
{
	MDB_val key = mark_key(), value;
	MDB_txn *txn = NULL;
	MDB_stat stat;

	if (store_read_begin(store, &txn, NULL) != RC_OK)
		return false;
	bool missing =
	    mdb_stat(txn, store->dbi[DB_CLOCKMAP], &stat) == 0 &&
	    (stat.ms_entries == 0 || mdb_get(txn, store->dbi[DB_CLOCKMAP], &key, &value) == 0);
	store_read_end(store, txn);
	return missing;
}

static void give_up(struct replay *r)
{
	if (r->txn != NULL)
		mdb_txn_abort(r->txn);
	r->txn = NULL;
	r->n = 0;
	store_clock_desk_clear(r->store);
}

static void begin(struct replay *r)
{
	MDB_val key = mark_key(), value = { 0, NULL };
	MDB_dbi dbi = r->store->dbi[DB_CLOCKMAP];

	r->err = mdb_txn_begin(r->store->env, NULL, 0, &r->txn);
	if (r->err == 0 && r->done_seq == 0)
		r->err = mdb_drop(r->txn, dbi, 0);
	if (r->err == 0 && r->done_seq == 0)
		r->err = mdb_put(r->txn, dbi, &key, &value, 0);
}

static void commit(struct replay *r, uint64_t seq, bool last)
{
	MDB_val key = mark_key();

	if (r->txn == NULL)
		begin(r);
	if (r->err == 0 && last)
		r->err = mdb_del(r->txn, r->store->dbi[DB_CLOCKMAP], &key, NULL);
	if (r->err != 0)
		return;
	r->rc = store_clock_flush(r->store, r->txn, &r->err, r->why);
	if (r->rc == RC_OK && r->err == 0)
		r->rc = keyring_sync(r->store->keyring, r->why);
	if (r->rc != RC_OK || r->err != 0)
		return;
	r->err = mdb_txn_commit(r->txn);
	r->txn = NULL;
	r->n = 0;
	r->done_seq = seq;
}

static void take(struct replay *r, const struct observation *obs)
{
	struct observation copy = *obs;

	if (r->txn == NULL)
		begin(r);
	if (r->err == 0 && obs->supersedes_seq != 0)
		r->err = store_clock_close(r->store, r->txn, obs->supersedes_seq);
	if (r->err != 0 || obs->tombstone || obs->clock_id[0] == '\0')
		return;
	r->rc = store_clock_take(r->store, r->txn, &copy, obs->seq, &r->err, r->why);
	if (r->rc == RC_OK && r->err == 0)
		r->err = store_clock_settle(r->store, r->txn, obs->seq);
	if (r->rc == RC_OK && r->err == 0 && ++r->n == BATCH_RECORDS)
		commit(r, obs->seq, false);
}

static bool visit(void *ctx, const struct observation *obs)
{
	struct replay *r = ctx;

	if (obs->supersedes_seq != 0 || (!obs->tombstone && obs->clock_id[0] != '\0'))
		take(r, obs);
	return r->rc == RC_OK && r->err == 0;
}

enum rc store_clock_replay(struct store *store, struct errmsg *why)
{
	struct replay r = { .store = store, .why = why };
	enum rc rc = RC_OK;

	store->clocks->replaying = true;
	for (;;) {
		struct errmsg detail = ERRMSG_INIT;
		r.err = 0;
		rc = store_scan_log(store, r.done_seq, 0, visit, &r, &detail);
		if (rc == RC_CORRUPT)
			rc = RC_OK; /* what cannot be read states nothing */
		if (rc == RC_OK && r.rc == RC_OK && r.err == 0)
			commit(&r, store_cursor(store), true);
		if (rc == RC_OK)
			rc = r.rc;
		if (rc != RC_OK || r.err != MDB_MAP_FULL)
			break;
		give_up(&r);
		rc = store_map_grow(store, why);
		if (rc != RC_OK)
			break;
	}
	give_up(&r);
	store->clocks->replaying = false;
	if (rc == RC_OK && r.err != 0)
		rc = store_mdb_error(why, r.err, "the clock maps cannot be remade");
	return rc;
}
