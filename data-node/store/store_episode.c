/* Store episode: rows sealed, read, and taken away by the slices they are made of. */
#include "store/store_episode.h"

#include <string.h>

#include "store/store_internal.h"

#define KEY_BYTES 24

static void time_put(uint8_t out[8], int64_t ns)
{
	store_put_be64(out, (uint64_t)ns ^ UINT64_C(1) << 63);
}

static int64_t time_get(const uint8_t in[8])
{
	return (int64_t)(store_get_be64(in) ^ UINT64_C(1) << 63);
}

static bool key_parse(const MDB_val *key, struct store_episode_row *out)
{
	const uint8_t *bytes = key->mv_data;

	if (key->mv_size != KEY_BYTES)
		return false;
	*out = (struct store_episode_row){
		.start_ns = time_get(bytes),
		.from_ns = time_get(bytes + 8),
		.until_ns = time_get(bytes + 16),
	};
	return out->from_ns <= out->start_ns && out->until_ns > out->start_ns;
}

/* ---- writing, writer thread ------------------------------------------------------------ */

int store_episode_touch(struct store *store, MDB_txn *txn, int64_t from_ns, int64_t to_ns)
{
	uint8_t first[8];
	MDB_val key = { sizeof first, first }, value;
	struct store_episode_row row;
	MDB_cursor *cursor = NULL;

	time_put(first, from_ns - STORE_EPISODE_REACH_NS);
	int err = mdb_cursor_open(txn, store->dbi[DB_EPISODE], &cursor);
	if (err == 0)
		err = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	while (err == 0) {
		bool fine = key_parse(&key, &row);
		if (fine && row.start_ns >= to_ns + STORE_EPISODE_REACH_NS)
			break;
		if (!fine || (row.from_ns < to_ns && row.until_ns > from_ns))
			err = mdb_cursor_del(cursor, 0);
		if (err == 0)
			err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	return err == MDB_NOTFOUND ? 0 : err;
}

/* One that no longer decodes may stand there with other borders. */
static int same_start_del(struct store *store, MDB_txn *txn, int64_t start_ns)
{
	uint8_t first[8];
	MDB_val key = { sizeof first, first }, value;
	MDB_cursor *cursor = NULL;

	time_put(first, start_ns);
	int err = mdb_cursor_open(txn, store->dbi[DB_EPISODE], &cursor);
	if (err == 0)
		err = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	while (err == 0 && key.mv_size >= 8 && time_get(key.mv_data) == start_ns) {
		err = mdb_cursor_del(cursor, 0);
		if (err == 0)
			err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	return err == MDB_NOTFOUND ? 0 : err;
}

struct put {
	const struct store_episode_row *rows;
	size_t n;
};

static enum rc put_task(struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why)
{
	const struct put *put = ctx;
	uint8_t bytes[KEY_BYTES];
	MDB_val key = { sizeof bytes, bytes }, value;
	enum rc rc = RC_OK;

	*err = 0;
	for (size_t i = 0; i < put->n && rc == RC_OK && *err == 0; i++) {
		const struct store_episode_row *row = &put->rows[i];
		time_put(bytes, row->start_ns);
		time_put(bytes + 8, row->from_ns);
		time_put(bytes + 16, row->until_ns);
		buf_reset(&store->sealed);
		rc = store_seal(
		    store, DB_EPISODE, &key, 0, 0, row->bytes, row->len, &store->sealed, why);
		value = (MDB_val){ store->sealed.len, store->sealed.bytes };
		if (rc == RC_OK)
			*err = same_start_del(store, txn, row->start_ns);
		if (rc == RC_OK && *err == 0)
			*err = mdb_put(txn, store->dbi[DB_EPISODE], &key, &value, 0);
	}
	return rc;
}

enum rc store_episode_put(
    struct store *store, const struct store_episode_row *rows, size_t n, struct errmsg *why)
{
	struct put put = { rows, n };

	return n == 0 ? RC_OK : store_task_run(store, put_task, &put, why);
}

/* ---- reading ------------------------------------------------------------------------------ */

/* A row that does not open has no bytes. */
static enum rc row_open(struct store *store, const MDB_val *key, const MDB_val *value,
    struct buf *scratch, struct arena *arena, struct store_episode_row *row)
{
	buf_reset(scratch);
	if (!key_parse(key, row) ||
	    store_unseal(store, DB_EPISODE, key, value, scratch, NULL) != RC_OK)
		return buf_rc(scratch) == RC_NOMEM ? RC_NOMEM : RC_OK;
	row->bytes = (const uint8_t *)arena_copy(arena, scratch->bytes, scratch->len);
	row->len = scratch->len;
	return row->bytes == NULL ? RC_NOMEM : RC_OK;
}

static enum rc rows_read(struct store *store, MDB_cursor *cursor, int64_t from_ns, int64_t to_ns,
    struct buf *scratch, struct arena *arena, struct store_episode_view *out)
{
	uint8_t first[8];
	MDB_val key = { sizeof first, first }, value;
	size_t cap = 0;

	time_put(first, from_ns);
	int err = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	for (; err == 0; err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
		struct store_episode_row row = { 0 };
		if (key.mv_size >= 8 && time_get(key.mv_data) >= to_ns)
			break;
		if (out->rows_len == STORE_EPISODE_ROWS_MAX)
			break;
		enum rc rc = row_open(store, &key, &value, scratch, arena, &row);
		if (rc != RC_OK)
			return rc;
		if (out->rows_len == cap) {
			cap = cap == 0 ? 32 : cap * 2;
			struct store_episode_row *rows = arena_array(arena, cap, sizeof *rows);
			if (rows == NULL)
				return RC_NOMEM;
			if (out->rows_len > 0)
				memcpy(rows, out->rows, out->rows_len * sizeof *rows);
			out->rows = rows;
		}
		out->rows[out->rows_len++] = row;
	}
	return err == 0 || err == MDB_NOTFOUND ? RC_OK : store_mdb_rc(err);
}

enum rc store_episode_read(struct store *store, int64_t from_ns, int64_t to_ns, struct arena *arena,
    struct store_episode_view *out, struct errmsg *why)
{
	MDB_cursor *cursor = NULL;
	MDB_txn *txn = NULL;
	struct buf scratch;

	*out = (struct store_episode_view){ .rows = NULL };
	enum rc rc = store_read_begin(store, &txn, why);
	if (rc != RC_OK)
		return rc;
	buf_init(&scratch, STORE_EPISODE_ROW_BYTES_MAX + STORE_SEAL_BYTES);
	rc = store_mdb_rc(mdb_cursor_open(txn, store->dbi[DB_EPISODE], &cursor));
	if (rc == RC_OK) {
		rc = rows_read(store, cursor, from_ns, to_ns, &scratch, arena, out);
		mdb_cursor_close(cursor);
	}
	if (rc == RC_OK)
		rc = store_slice_marks_read(store, txn, arena, &out->slices, why);
	buf_fini(&scratch);
	store_read_end(store, txn);
	return rc == RC_OK ? rc : errmsg_rc(why, rc, "the stored episodes cannot be read");
}

enum rc store_episode_next(
    struct store *store, int64_t from_ns, int64_t *start_ns, struct errmsg *why)
{
	uint8_t first[8];
	MDB_val key = { sizeof first, first }, value;
	MDB_cursor *cursor = NULL;
	MDB_txn *txn = NULL;

	time_put(first, from_ns);
	enum rc rc = store_read_begin(store, &txn, why);
	if (rc != RC_OK)
		return rc;
	int err = mdb_cursor_open(txn, store->dbi[DB_EPISODE], &cursor);
	if (err == 0) {
		err = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
		if (err == 0 && key.mv_size != KEY_BYTES)
			err = MDB_CORRUPTED;
		if (err == 0)
			*start_ns = time_get(key.mv_data);
		mdb_cursor_close(cursor);
	}
	store_read_end(store, txn);
	return err == 0 || err == MDB_NOTFOUND
		   ? store_mdb_rc(err)
		   : store_mdb_error(why, err, "the stored episodes cannot be read");
}
