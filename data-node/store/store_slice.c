/* Store slice: rows sealed, read in one transaction with marks and state. */
#include "store/store_slice.h"

#include <string.h>

#include "store/store_internal.h"

#define KEY_BYTES 20
#define GRID_STATE 0u
#define VERSION_HISTORY 1u
#define TOUCH_JOIN_NS (30 * NS_PER_MIN)

static void key_make(uint32_t grid_s, int64_t start_ns, uint64_t version, uint8_t out[KEY_BYTES])
{
	for (unsigned i = 0; i < 4; i++)
		out[i] = (uint8_t)(grid_s >> (24 - 8 * i));
	store_put_be64(out + 4, (uint64_t)start_ns ^ UINT64_C(1) << 63);
	store_put_be64(out + 12, version);
}

static bool key_parse(const MDB_val *key, struct store_slice_row *out)
{
	const uint8_t *bytes = key->mv_data;

	if (key->mv_size != KEY_BYTES)
		return false;
	*out = (struct store_slice_row){ .grid_s = 0 };
	for (unsigned i = 0; i < 4; i++)
		out->grid_s = out->grid_s << 8 | bytes[i];
	out->start_ns = (int64_t)(store_get_be64(bytes + 4) ^ UINT64_C(1) << 63);
	out->version = store_get_be64(bytes + 12);
	return true;
}

/* ---- writing -------------------------------------------------------------------- */

static enum rc row_put(struct store *store, MDB_txn *txn, const struct store_slice_row *row,
    int *err, struct errmsg *why)
{
	uint8_t bytes[KEY_BYTES];
	MDB_val key = { sizeof bytes, bytes }, value;
	int32_t day = row->grid_s == GRID_STATE ? 0 : store_day(row->start_ns);

	key_make(row->grid_s, row->start_ns, row->version, bytes);
	if (row->bytes == NULL) {
		*err = mdb_del(txn, store->dbi[DB_SLICE], &key, NULL);
		if (*err == MDB_NOTFOUND)
			*err = 0;
		return RC_OK;
	}
	buf_reset(&store->sealed);
	enum rc rc =
	    store_seal(store, DB_SLICE, &key, day, 0, row->bytes, row->len, &store->sealed, why);
	if (rc != RC_OK)
		return rc;
	value = (MDB_val){ store->sealed.len, store->sealed.bytes };
	*err = mdb_put(txn, store->dbi[DB_SLICE], &key, &value, 0);
	return RC_OK;
}

struct commit {
	const struct store_slice_batch *batch;
	int64_t before_ns; /* the frontier so far */
};

/* Records that were appended while the frontier still stood before them. */
static void mark_missed(struct store *store, const struct commit *commit)
{
	uint64_t newest = store->next_seq - 1;

	if (newest <= commit->batch->cursor || commit->batch->built_ns <= commit->before_ns)
		return;
	store_dirty_mark(store, &(struct store_dirty){
				    .from_ns = commit->before_ns,
				    .to_ns = commit->batch->built_ns,
				    .layers = LAYER_MASK_ALL,
				    .cause = DIRTY_LATE,
				    .first_seq = commit->batch->cursor + 1,
				    .last_seq = newest,
				});
}

/* Episodes that were made of the rows of the batch go; rows come mostly in order,
 * so neighbours are looked up at once. */
static int touch_episodes(
    struct store *store, MDB_txn *txn, const struct store_slice_row *rows, size_t n)
{
	int err = 0;

	for (size_t i = 0; i < n && err == 0;) {
		int64_t from_ns = rows[i].start_ns, to_ns = from_ns + 1;
		if (rows[i++].grid_s == GRID_STATE)
			continue;
		for (; i < n && rows[i].grid_s != GRID_STATE && rows[i].start_ns >= to_ns - 1 &&
		       rows[i].start_ns - to_ns < TOUCH_JOIN_NS;
		     i++)
			to_ns = rows[i].start_ns + 1;
		err = store_episode_touch(store, txn, from_ns, to_ns);
	}
	return err;
}

static enum rc commit_task(
    struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why)
{
	const struct commit *commit = ctx;
	const struct store_slice_batch *batch = commit->batch;
	enum rc rc = RC_OK;

	*err = touch_episodes(store, txn, batch->rows, batch->n);
	for (size_t i = 0; i < batch->n && rc == RC_OK && *err == 0; i++)
		rc = row_put(store, txn, &batch->rows[i], err, why);
	if (rc != RC_OK || *err != 0 || batch->state == NULL)
		return rc;
	rc = row_put(store, txn, batch->state, err, why);
	if (rc == RC_OK && *err == 0)
		*err = store_dirty_drop(store, txn, batch->newest);
	if (rc == RC_OK && *err == 0)
		*err = store_dirty_frontier_put(store, txn, batch->built_ns);
	if (rc == RC_OK && *err == 0)
		mark_missed(store, commit);
	return rc;
}

enum rc store_slice_commit(
    struct store *store, const struct store_slice_batch *batch, struct errmsg *why)
{
	struct commit commit = { batch, store_built_ns(store) };

	return store_dirty_settle(
	    store, commit_task, &commit, batch->state == NULL ? NULL : &batch->built_ns, why);
}

static enum rc drop_task(struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why)
{
	(void)ctx;
	(void)why;
	*err = mdb_drop(txn, store->dbi[DB_SLICE], 0);
	if (*err == 0)
		*err = mdb_drop(txn, store->dbi[DB_DIRTY], 0);
	if (*err == 0)
		*err = mdb_drop(txn, store->dbi[DB_EPISODE], 0);
	return RC_OK;
}

enum rc store_slice_drop(struct store *store, struct errmsg *why)
{
	int64_t built_ns = OBS_TIME_MIN_NS;

	return store_dirty_settle(store, drop_task, NULL, &built_ns, why);
}

/* ---- reading -------------------------------------------------------------------- */

/* Open the value under the cursor into `arena`; !*ok: damaged, without bytes. */
static enum rc row_open(struct store *store, const MDB_val *key, const MDB_val *value,
    struct buf *scratch, struct arena *arena, struct store_slice_row *row, bool *ok)
{
	buf_reset(scratch);
	*ok = key_parse(key, row) &&
	      store_unseal(store, DB_SLICE, key, value, scratch, NULL) == RC_OK;
	if (!*ok)
		return buf_rc(scratch) == RC_NOMEM ? RC_NOMEM : RC_OK;
	row->bytes = (const uint8_t *)arena_copy(arena, scratch->bytes, scratch->len);
	row->len = scratch->len;
	return row->bytes == NULL ? RC_NOMEM : RC_OK;
}

static enum rc rows_read(struct store *store, MDB_cursor *cursor, uint32_t grid_s, int64_t from_ns,
    int64_t to_ns, struct buf *scratch, struct arena *arena, struct store_slice_view *out)
{
	uint8_t bytes[KEY_BYTES];
	MDB_val key = { sizeof bytes, bytes }, value;
	size_t cap = 0;

	key_make(grid_s, from_ns, 0, bytes);
	int err = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	for (; err == 0; err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
		struct store_slice_row row;
		bool ok;
		if (!key_parse(&key, &row) || row.grid_s != grid_s || row.start_ns >= to_ns)
			break;
		if (out->rows_len == STORE_SLICE_ROWS_MAX)
			return RC_LIMIT;
		if (out->rows_len == cap) {
			cap = cap == 0 ? 64 : cap * 2;
			struct store_slice_row *rows = arena_array(arena, cap, sizeof *rows);
			if (rows == NULL)
				return RC_NOMEM;
			if (out->rows_len > 0)
				memcpy(rows, out->rows, out->rows_len * sizeof *rows);
			out->rows = rows;
		}
		enum rc rc =
		    row_open(store, &key, &value, scratch, arena, &out->rows[out->rows_len], &ok);
		if (rc != RC_OK)
			return rc;
		out->rows_len++;
	}
	return err == 0 || err == MDB_NOTFOUND ? RC_OK : store_mdb_rc(err);
}

static enum rc state_read(struct store *store, MDB_txn *txn, struct buf *scratch,
    struct arena *arena, struct store_slice_view *out)
{
	uint8_t bytes[KEY_BYTES];
	MDB_val key = { sizeof bytes, bytes }, value;
	struct store_slice_row row;
	bool ok;

	key_make(GRID_STATE, 0, 0, bytes);
	int err = mdb_get(txn, store->dbi[DB_SLICE], &key, &value);
	if (err != 0)
		return err == MDB_NOTFOUND ? RC_OK : store_mdb_rc(err);
	enum rc rc = row_open(store, &key, &value, scratch, arena, &row, &ok);
	if (rc == RC_OK && ok) {
		out->state = row.bytes;
		out->state_len = row.len;
	}
	return rc;
}

enum rc store_slice_marks_read(struct store *store, MDB_txn *txn, struct arena *arena,
    struct store_slice_view *out, struct errmsg *why)
{
	struct buf scratch;

	buf_init(&scratch, STORE_SLICE_ROW_BYTES_MAX + STORE_SEAL_BYTES);
	enum rc rc = state_read(store, txn, &scratch, arena, out);
	buf_fini(&scratch);
	if (rc == RC_OK)
		rc = store_dirty_read(
		    store, txn, arena, &out->marks, &out->marks_len, &out->newest, why);
	if (rc == RC_OK)
		rc = store_cursor_read(store, txn, &out->cursor, why);
	return rc;
}

static enum rc view_read(struct store *store, MDB_txn *txn, uint32_t grid_s, int64_t from_ns,
    int64_t to_ns, struct arena *arena, struct store_slice_view *out, struct errmsg *why)
{
	MDB_cursor *cursor = NULL;
	struct buf scratch;

	buf_init(&scratch, STORE_SLICE_ROW_BYTES_MAX + STORE_SEAL_BYTES);
	int err = mdb_cursor_open(txn, store->dbi[DB_SLICE], &cursor);
	enum rc rc = store_mdb_rc(err);
	if (rc == RC_OK)
		rc = rows_read(store, cursor, grid_s, from_ns, to_ns, &scratch, arena, out);
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	buf_fini(&scratch);
	return rc == RC_OK ? store_slice_marks_read(store, txn, arena, out, why) : rc;
}

enum rc store_slice_read(struct store *store, uint32_t grid_s, int64_t from_ns, int64_t to_ns,
    struct arena *arena, struct store_slice_view *out, struct errmsg *why)
{
	MDB_txn *txn = NULL;

	*out = (struct store_slice_view){ .rows = NULL };
	enum rc rc = store_read_begin(store, &txn, why);
	if (rc != RC_OK)
		return rc;
	rc = view_read(store, txn, grid_s, from_ns, to_ns, arena, out, why);
	store_read_end(store, txn);
	return rc == RC_OK ? rc : errmsg_rc(why, rc, "the stored slices cannot be read");
}

enum rc store_slice_next(
    struct store *store, uint32_t grid_s, int64_t from_ns, int64_t *start_ns, struct errmsg *why)
{
	uint8_t bytes[KEY_BYTES];
	MDB_val key = { sizeof bytes, bytes }, value;
	struct store_slice_row row = { 0 };
	MDB_cursor *cursor = NULL;
	MDB_txn *txn = NULL;

	enum rc rc = store_read_begin(store, &txn, why);
	if (rc != RC_OK)
		return rc;
	key_make(grid_s, from_ns, 0, bytes);
	int err = mdb_cursor_open(txn, store->dbi[DB_SLICE], &cursor);
	if (err == 0) {
		err = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
		if (err == 0 && (!key_parse(&key, &row) || row.grid_s != grid_s))
			err = MDB_NOTFOUND;
		mdb_cursor_close(cursor);
	}
	store_read_end(store, txn);
	*start_ns = row.start_ns;
	return err == 0 || err == MDB_NOTFOUND
		   ? store_mdb_rc(err)
		   : store_mdb_error(why, err, "the stored slices cannot be read");
}

enum rc store_slice_history(struct store *store, uint64_t seq, struct arena *arena,
    struct store_slice_row *out, struct errmsg *why)
{
	uint8_t bytes[KEY_BYTES];
	MDB_val key = { sizeof bytes, bytes }, value;
	MDB_cursor *cursor = NULL;
	struct buf scratch;
	MDB_txn *txn = NULL;
	bool ok = false;

	enum rc rc = store_read_begin(store, &txn, why);
	if (rc != RC_OK)
		return rc;
	buf_init(&scratch, STORE_SLICE_ROW_BYTES_MAX + STORE_SEAL_BYTES);
	key_make(GRID_STATE, (int64_t)seq + 1, 0, bytes);
	int err = mdb_cursor_open(txn, store->dbi[DB_SLICE], &cursor);
	if (err == 0) {
		err = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
		err =
		    mdb_cursor_get(cursor, &key, &value, err == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
	}
	if (err != 0 && err != MDB_NOTFOUND)
		rc = store_mdb_error(why, err, "the history of slices cannot be read");
	if (err == 0)
		rc = row_open(store, &key, &value, &scratch, arena, out, &ok);
	if (rc == RC_OK && (!ok || out->grid_s != GRID_STATE || out->version != VERSION_HISTORY))
		rc = RC_NOTFOUND;
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	buf_fini(&scratch);
	store_read_end(store, txn);
	return rc;
}

enum rc store_derive_key(
    struct store *store, const char *purpose, uint8_t out[STORE_DERIVED_KEY_BYTES])
{
	return keyring_derive(store->keyring, purpose, out);
}
