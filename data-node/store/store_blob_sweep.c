/*
 * Store blob sweep: files that no record refers to.
 *
 * A blob is sent before the event that refers to it.  How long it has waited is
 * not told by the wall clock, which may jump a year ahead while an event is on
 * its way: the store counts how long it was open (`lived`, monotonic, kept in
 * `meta` from run to run), and a file goes at a sweep that finds it, unchanged,
 * without a reference, so much of that time after another one did.
 *
 *   orphan   name of a blob(32) → lived_s(8) mtime_s(8): first found without
 *
 * A row that is lost lets its blob wait anew, no more.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "store/store_internal.h"

#define ROW_BYTES 16
#define PORTION ((size_t)256) /* rows read, or written, at once */
#define LIVED_NAME "lived"

struct orphan {
	uint8_t name[BLOB_NAME_BYTES];
	int64_t lived_s, mtime_s;
	bool gone; /* its row */
};

struct sweep {
	struct store *store;
	int64_t lived_s, grace_s; /* grace_s <= 0: at once */
	struct orphan rows[PORTION];
	size_t rows_len;
	uint64_t swept;
	enum rc rc;
	struct errmsg *why;
};

static enum rc referred(
    struct store *store, const uint8_t name[BLOB_NAME_BYTES], bool *out, struct errmsg *why)
{
	uint8_t bytes[BLOB_NAME_BYTES];
	MDB_val key = { sizeof(bytes), bytes }, value;
	MDB_cursor *cursor = NULL;
	MDB_txn *txn = NULL;

	memcpy(bytes, name, sizeof(bytes));
	enum rc rc = store_read_begin(store, &txn, why);
	if (rc != RC_OK)
		return rc;
	int err = mdb_cursor_open(txn, store->dbi[DB_BLOBREF], &cursor);
	if (err == 0)
		err = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	*out = err == 0 && key.mv_size == STORE_BLOBREF_KEY_BYTES &&
	       memcmp(key.mv_data, name, BLOB_NAME_BYTES) == 0;
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	store_read_end(store, txn);
	return err == 0 || err == MDB_NOTFOUND
		   ? RC_OK
		   : store_mdb_error(why, err, "the references of blobs cannot be read");
}

/* Remove the file if nothing refers to it, and it is not younger than
 * `mtime_s`.  Nobody can come to refer to it while the lock is held. */
static enum rc file_sweep(struct sweep *sweep, const uint8_t name[BLOB_NAME_BYTES], int64_t mtime_s)
{
	struct store *store = sweep->store;
	char path[BLOB_PATH_BYTES];
	uint64_t bytes = 0;
	int64_t now_s = 0;
	bool stays = true;

	(void)pthread_rwlock_wrlock(&store->blob_lock);
	enum rc rc = blob_stat(&store->blobs, name, &bytes, &now_s, sweep->why);
	if (rc == RC_OK && (mtime_s == INT64_MAX || now_s == mtime_s))
		rc = referred(store, name, &stays, sweep->why);
	if (rc == RC_OK && !stays) {
		blob_path(&store->blobs, name, path);
		if (unlink(path) != 0 && errno != ENOENT)
			rc = errmsg_errno(sweep->why, "a blob cannot be removed");
		else
			sweep->swept++;
	}
	(void)pthread_rwlock_unlock(&store->blob_lock);
	return rc == RC_NOTFOUND ? RC_OK : rc;
}

/* ---- the rows ------------------------------------------------------------------------- */

static MDB_val row_key(struct orphan *orphan)
{
	return (MDB_val){ sizeof(orphan->name), orphan->name };
}

static enum rc rows_write(
    struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why)
{
	struct sweep *sweep = ctx;
	uint8_t bytes[ROW_BYTES];
	MDB_val value = { sizeof(bytes), bytes };

	(void)why;
	for (size_t i = 0; i < sweep->rows_len && *err == 0; i++) {
		struct orphan *row = &sweep->rows[i];
		MDB_val key = row_key(row);
		store_put_be64(bytes, (uint64_t)row->lived_s);
		store_put_be64(bytes + 8, (uint64_t)row->mtime_s);
		*err = row->gone ? mdb_del(txn, store->dbi[DB_ORPHAN], &key, NULL)
				 : mdb_put(txn, store->dbi[DB_ORPHAN], &key, &value, 0);
		if (*err == MDB_NOTFOUND)
			*err = 0;
	}
	return RC_OK;
}

static enum rc rows_flush(struct sweep *sweep)
{
	if (sweep->rows_len == 0)
		return RC_OK;
	enum rc rc = store_task_run(sweep->store, rows_write, sweep, sweep->why);
	sweep->rows_len = 0;
	return rc;
}

/* Up to PORTION rows from the name `at` on, which moves behind them. */
static enum rc rows_read(struct sweep *sweep, uint8_t at[BLOB_NAME_BYTES + 1])
{
	MDB_val key = { BLOB_NAME_BYTES + 1, at }, value;
	MDB_cursor *cursor = NULL;
	MDB_txn *txn = NULL;

	sweep->rows_len = 0;
	enum rc rc = store_read_begin(sweep->store, &txn, sweep->why);
	if (rc != RC_OK)
		return rc;
	int err = mdb_cursor_open(txn, sweep->store->dbi[DB_ORPHAN], &cursor);
	if (err == 0)
		err = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	for (; err == 0; err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
		if (key.mv_size != BLOB_NAME_BYTES || value.mv_size != ROW_BYTES)
			err = MDB_CORRUPTED;
		if (err != 0 || sweep->rows_len == PORTION)
			break;
		struct orphan *row = &sweep->rows[sweep->rows_len++];
		memcpy(row->name, key.mv_data, BLOB_NAME_BYTES);
		row->lived_s = (int64_t)store_get_be64(value.mv_data);
		row->mtime_s = (int64_t)store_get_be64((const uint8_t *)value.mv_data + 8);
		row->gone = false;
		memcpy(at, row->name, BLOB_NAME_BYTES);
		at[BLOB_NAME_BYTES] = 0; /* right behind it */
	}
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	store_read_end(sweep->store, txn);
	return err == 0 || err == MDB_NOTFOUND
		   ? RC_OK
		   : store_mdb_error(sweep->why, err, "which blobs wait cannot be read");
}

/* What was found before: is it due, or no orphan any more? */
static enum rc row_look(struct sweep *sweep, struct orphan *row)
{
	uint64_t bytes = 0;
	int64_t mtime_s = 0;
	bool stays = true;

	enum rc rc = blob_stat(&sweep->store->blobs, row->name, &bytes, &mtime_s, NULL);
	if (rc == RC_OK && mtime_s == row->mtime_s)
		rc = referred(sweep->store, row->name, &stays, sweep->why);
	row->gone = stays || sweep->lived_s - row->lived_s >= sweep->grace_s;
	if (rc == RC_OK && !stays && row->gone)
		rc = file_sweep(sweep, row->name, row->mtime_s);
	return rc == RC_NOTFOUND ? RC_OK : rc;
}

static enum rc rows_look(struct sweep *sweep)
{
	uint8_t at[BLOB_NAME_BYTES + 1] = { 0 };
	size_t len;

	do {
		enum rc rc = rows_read(sweep, at);
		len = sweep->rows_len;
		sweep->rows_len = 0; /* those that change stay in front */
		for (size_t i = 0; i < len && rc == RC_OK; i++) {
			struct orphan row = sweep->rows[i];
			rc = row_look(sweep, &row);
			if (row.gone)
				sweep->rows[sweep->rows_len++] = row;
		}
		if (rc == RC_OK)
			rc = rows_flush(sweep);
		if (rc != RC_OK)
			return rc;
	} while (len == PORTION);
	return RC_OK;
}

static enum rc has_row(struct sweep *sweep, struct orphan *orphan, bool *out)
{
	MDB_val key = row_key(orphan), value;
	MDB_txn *txn = NULL;

	enum rc rc = store_read_begin(sweep->store, &txn, sweep->why);
	if (rc != RC_OK)
		return rc;
	int err = mdb_get(txn, sweep->store->dbi[DB_ORPHAN], &key, &value);
	store_read_end(sweep->store, txn);
	*out = err == 0;
	return err == 0 || err == MDB_NOTFOUND
		   ? RC_OK
		   : store_mdb_error(sweep->why, err, "which blobs wait cannot be read");
}

/* A file: without a reference and without a row, it begins to wait. */
static enum rc file_look(struct sweep *sweep, const uint8_t name[BLOB_NAME_BYTES])
{
	struct orphan orphan = { .lived_s = sweep->lived_s };
	uint64_t bytes = 0;
	bool any = true;

	memcpy(orphan.name, name, BLOB_NAME_BYTES);
	enum rc rc = referred(sweep->store, name, &any, sweep->why);
	if (rc == RC_OK && !any)
		rc = has_row(sweep, &orphan, &any);
	if (rc == RC_OK && !any)
		rc = blob_stat(&sweep->store->blobs, name, &bytes, &orphan.mtime_s, sweep->why);
	if (rc != RC_OK || any)
		return rc == RC_NOTFOUND ? RC_OK : rc;
	sweep->rows[sweep->rows_len++] = orphan;
	return sweep->rows_len == PORTION ? rows_flush(sweep) : RC_OK;
}

static bool sweep_visit(void *ctx, const uint8_t name[BLOB_NAME_BYTES])
{
	struct sweep *sweep = ctx;

	sweep->rc =
	    sweep->grace_s > 0 ? file_look(sweep, name) : file_sweep(sweep, name, INT64_MAX);
	return sweep->rc == RC_OK;
}

/* ---- the time the store has lived ------------------------------------------------------ */

struct lived {
	int64_t more_s, total_s;
};

static enum rc lived_put(struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why)
{
	MDB_val key = store_text_val(LIVED_NAME), value;
	struct lived *lived = ctx;
	uint8_t bytes[8];

	(void)why;
	lived->total_s = lived->more_s;
	*err = mdb_get(txn, store->dbi[DB_META], &key, &value);
	if (*err == 0 && value.mv_size == sizeof(bytes))
		lived->total_s += (int64_t)store_get_be64(value.mv_data);
	if (*err != 0 && *err != MDB_NOTFOUND)
		return RC_OK;
	store_put_be64(bytes, (uint64_t)lived->total_s);
	value = (MDB_val){ sizeof(bytes), bytes };
	*err = mdb_put(txn, store->dbi[DB_META], &key, &value, 0);
	return RC_OK;
}

static enum rc lived_count(struct sweep *sweep)
{
	struct store *store = sweep->store;
	struct lived lived = { (clock_mono_ns() - store->lived_mono_ns) / NS_PER_S, 0 };

	enum rc rc = store_task_run(store, lived_put, &lived, sweep->why);
	if (rc == RC_OK)
		store->lived_mono_ns += lived.more_s * NS_PER_S;
	sweep->lived_s = lived.total_s;
	return rc;
}

/* ---- for others ------------------------------------------------------------------------ */

enum rc store_blob_sweep(struct store *store, int64_t grace_s, uint64_t *swept, struct errmsg *why)
{
	struct sweep sweep = { .store = store, .grace_s = grace_s, .why = why };
	struct store_blob_use use;
	enum rc rc = RC_OK;

	if (grace_s > 0)
		rc = lived_count(&sweep);
	if (rc == RC_OK && grace_s > 0)
		rc = rows_look(&sweep);
	if (rc == RC_OK)
		rc = store_blob_each(store, sweep_visit, &sweep, why);
	if (rc == RC_OK)
		rc = sweep.rc;
	if (rc == RC_OK)
		rc = rows_flush(&sweep);
	if (swept != NULL)
		*swept = sweep.swept;
	if (rc == RC_OK && sweep.swept > 0)
		rc = store_blob_usage(store, &use, why);
	return rc;
}

enum rc store_blob_drop(
    struct store *store, const uint8_t name[BLOB_NAME_BYTES], struct errmsg *why)
{
	struct sweep sweep = { .store = store, .why = why };

	enum rc rc = file_sweep(&sweep, name, INT64_MAX);
	if (sweep.swept > 0)
		atomic_store(&store->blob_bytes_known, false);
	return rc;
}
