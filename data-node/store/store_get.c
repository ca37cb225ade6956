/* Store get: one record by seq or by id, and the figures of a store. */
#include <stdlib.h>
#include <string.h>

#include "store/store_internal.h"

enum rc store_get_seq(struct store *store, uint64_t seq, struct arena *arena,
    struct observation *out, struct errmsg *why)
{
	MDB_txn *txn = NULL;
	struct buf scratch;

	enum rc rc = store_read_begin(store, &txn, why);
	if (rc != RC_OK)
		return rc;
	buf_init(&scratch, OBS_RECORD_BYTES_MAX);
	rc = store_record_get(store, txn, seq, &scratch, arena, out, why);
	buf_fini(&scratch);
	store_read_end(store, txn);
	return rc;
}

/* So many records are read in one transaction. */
#define SEQS_STEP ((size_t)256)

static enum rc get_step(struct store *store, const uint64_t *seqs, size_t n, uint64_t as_of_seq,
    struct buf *scratch, struct arena *arena, struct observation *out, struct errmsg *why)
{
	MDB_txn *txn = NULL;
	uint64_t next_since;

	enum rc rc = store_read_begin(store, &txn, why);
	if (rc != RC_OK)
		return rc;
	for (size_t i = 0; i < n && rc == RC_OK; i++) {
		rc = store_record_get(store, txn, seqs[i], scratch, arena, &out[i], why);
		if (rc == RC_OK)
			rc = store_clock_fill(store, txn, as_of_seq, &out[i], &next_since, why);
	}
	store_read_end(store, txn);
	return rc;
}

enum rc store_get_seqs(struct store *store, const uint64_t *seqs, size_t n, uint64_t as_of_seq,
    struct arena *arena, struct observation *out, struct errmsg *why)
{
	enum rc rc = RC_OK;
	struct buf scratch;

	buf_init(&scratch, OBS_RECORD_BYTES_MAX);
	for (size_t i = 0; i < n && rc == RC_OK; i += SEQS_STEP)
		rc = get_step(store, seqs + i, n - i < SEQS_STEP ? n - i : SEQS_STEP, as_of_seq,
		    &scratch, arena, out + i, why);
	buf_fini(&scratch);
	return rc;
}

enum rc store_get_id(struct store *store, const uint8_t obs_id[OBS_ID_BYTES], struct arena *arena,
    struct observation *out, struct errmsg *why)
{
	MDB_txn *txn = NULL;
	struct buf scratch;
	uint64_t seq = 0;

	enum rc rc = store_read_begin(store, &txn, why);
	if (rc != RC_OK)
		return rc;
	buf_init(&scratch, OBS_RECORD_BYTES_MAX);
	int err = store_id_find(store, txn, NULL, obs_id, &seq);
	if (err == MDB_NOTFOUND)
		rc = RC_NOTFOUND;
	else if (err != 0)
		rc = store_mdb_error(why, err, "the id index cannot be read");
	else
		rc = store_record_get(store, txn, seq, &scratch, arena, out, why);
	buf_fini(&scratch);
	store_read_end(store, txn);
	return rc;
}

static int compare_ns(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static void commit_times(struct store *store, struct store_stats *out)
{
	int64_t times[STORE_COMMIT_TIMES];

	(void)pthread_mutex_lock(&store->lock);
	size_t n = store->commit_ns_len;
	memcpy(times, store->commit_ns, n * sizeof(times[0]));
	out->commits = store->commits;
	out->duplicates = store->duplicates;
	(void)pthread_mutex_unlock(&store->lock);
	if (n == 0)
		return;
	qsort(times, n, sizeof(times[0]), compare_ns);
	out->commit_ns_p50 = times[n / 2];
	out->commit_ns_p99 = times[n - 1 - n / 100];
}

/* First and last t0 of one layer. */
static int layer_bounds(MDB_cursor *cursor, unsigned layer, struct store_stats *out, bool *any)
{
	struct store_entry entry;
	MDB_val key, value;

	for (int end = 0; end < 2; end++) {
		uint8_t prefix = (uint8_t)(layer + (unsigned)end);
		key = (MDB_val){ 1, &prefix };
		int err = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
		if (end == 1)
			err = mdb_cursor_get(
			    cursor, &key, &value, err == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
		if (err == MDB_NOTFOUND)
			return 0;
		if (err != 0)
			return err;
		if (store_entry_parse(DB_TIME, &key, &entry) != RC_OK)
			return MDB_CORRUPTED;
		if (entry.layer != layer)
			return 0;
		if (!*any || entry.t0_ns < out->first_ns)
			out->first_ns = entry.t0_ns;
		if (!*any || entry.t0_ns > out->last_ns)
			out->last_ns = entry.t0_ns;
		*any = true;
	}
	return 0;
}

enum rc store_get_stats(struct store *store, struct store_stats *out, struct errmsg *why)
{
	MDB_cursor *cursor = NULL;
	MDB_txn *txn = NULL;
	MDB_envinfo info;
	bool any = false;

	*out = (struct store_stats){ 0 };
	enum rc rc = store_read_begin(store, &txn, why);
	if (rc != RC_OK)
		return rc;
	int err = mdb_env_info(store->env, &info);
	if (err == 0)
		err = mdb_cursor_open(txn, store->dbi[DB_TIME], &cursor);
	for (unsigned layer = 1; layer <= LAYER_COUNT && err == 0; layer++)
		err = layer_bounds(cursor, layer, out, &any);
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	out->map_bytes = store->map_bytes;
	store_read_end(store, txn);
	if (err != 0)
		return store_mdb_error(why, err, "the time index cannot be read");
	out->records = store_cursor(store);
	out->bytes_used = ((uint64_t)info.me_last_pgno + 1) * store->page_bytes;
	commit_times(store, out);
	struct store_readers readers;
	if (store_readers_look(store, &readers) == RC_OK)
		out->reader_behind = readers.behind;
	out->reader_alarms = atomic_load(&store->reader_alarms);
	return RC_OK;
}
