/* Store id: `recent` and `dedup` (store_id.h). */
#include "store/store_id.h"

#include <errno.h>
#include <string.h>

#include "store/store_internal.h"

/* Fewer are not worth the pages over them. */
#define MOVE_MIN ((size_t)128)
#define MOVE_QUIET ((size_t)1024)

static int code_of(enum rc rc)
{
	switch (rc) {
	case RC_OK:
		return 0;
	case RC_NOMEM:
		return ENOMEM;
	default:
		return MDB_CORRUPTED;
	}
}

/* ---- rows ------------------------------------------------------------------------------ */

static int row_decode(const MDB_val *key, const MDB_val *value, struct recent_row *out)
{
	return code_of(
	    recent_row_decode(key->mv_data, key->mv_size, value->mv_data, value->mv_size, out));
}

/* All rows; where the last one begins into `last_at`. */
static int load(struct store *store, MDB_txn *txn, struct recent *out, size_t *last_at)
{
	MDB_cursor *cursor = NULL;
	struct recent_row row;
	MDB_val key, value;

	*last_at = 0;
	int err = mdb_cursor_open(txn, store->dbi[DB_RECENT], &cursor);
	if (err != 0)
		return err;
	while ((err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
		*last_at = out->len;
		err = row_decode(&key, &value, &row);
		if (err == 0)
			err = code_of(recent_put_row(out, &row));
		if (err != 0)
			break;
	}
	mdb_cursor_close(cursor);
	return err == MDB_NOTFOUND ? 0 : err;
}

int store_id_load(struct store *store, MDB_txn *txn, struct recent *out)
{
	size_t last_at;

	return load(store, txn, out, &last_at);
}

/* The newest row is looked at first, and in it the newest id. */
static int rows_search(
    struct store *store, MDB_txn *txn, const uint8_t id[OBS_ID_BYTES], uint64_t *seq)
{
	MDB_cursor *cursor = NULL;
	struct recent_row row;
	MDB_val key, value;
	size_t n = 0;

	int err = mdb_cursor_open(txn, store->dbi[DB_RECENT], &cursor);
	if (err != 0)
		return err;
	while (n == 0 && (err = mdb_cursor_get(cursor, &key, &value, MDB_PREV)) == 0) {
		err = row_decode(&key, &value, &row);
		if (err != 0)
			break;
		for (n = row.len; n > 0 && memcmp(row.ids[n - 1], id, OBS_ID_BYTES) != 0;)
			n--;
	}
	if (n > 0)
		*seq = row.first_seq + n - 1;
	mdb_cursor_close(cursor);
	return err;
}

int store_id_find(struct store *store, MDB_txn *txn, const struct recent *recent,
    const uint8_t id[OBS_ID_BYTES], uint64_t *seq)
{
	int err = MDB_NOTFOUND;

	if (recent == NULL)
		err = rows_search(store, txn, id, seq);
	else if (recent_find(recent, id, seq))
		err = 0;
	return err == MDB_NOTFOUND ? store_seq_get(store, txn, DB_DEDUP, id, seq) : err;
}

/* ---- the writer's ------------------------------------------------------------------------ */

enum rc store_id_open(struct store *store, struct errmsg *why)
{
	struct store_ids *ids = &store->ids;
	MDB_txn *txn = NULL;

	enum rc rc = store_read_begin(store, &txn, why);
	if (rc != RC_OK)
		return rc;
	int err = load(store, txn, &ids->fresh, &ids->row_at);
	store_read_end(store, txn);
	ids->committed = ids->fresh.len;
	if (err == 0 && ids->fresh.len > 0 &&
	    ids->fresh.first_seq + ids->fresh.len != store_cursor(store) + 1)
		err = MDB_CORRUPTED;
	return err == 0 ? RC_OK : store_mdb_error(why, err, "recent ids: run `data-node rebuild`");
}

void store_id_close(struct store *store)
{
	recent_fini(&store->ids.fresh);
	recent_fini(&store->ids.moving);
}

void store_id_begin(struct store *store)
{
	struct store_ids *ids = &store->ids;

	recent_cut(&ids->fresh, ids->committed);
	if (ids->moving.len == 0 && (ids->quiet || ids->committed >= ids->recent_max)) {
		struct recent empty = ids->moving;
		ids->moving = ids->fresh;
		ids->fresh = empty;
		ids->committed = ids->row_at = ids->chain_at = ids->owed = 0;
	}
	ids->next = (struct store_ids_next){ ids->row_at, ids->chain_at, ids->owed };
}

int store_id_get(struct store *store, MDB_txn *txn, const uint8_t id[OBS_ID_BYTES], uint64_t *seq)
{
	if (recent_find(&store->ids.fresh, id, seq))
		return 0;
	return store_id_find(store, txn, &store->ids.moving, id, seq);
}

int store_id_put(struct store *store, const uint8_t id[OBS_ID_BYTES], uint64_t seq)
{
	return code_of(recent_put(&store->ids.fresh, seq, id));
}

/* The last row is filled up, then come others. */
static int rows_put(struct store *store, MDB_txn *txn)
{
	struct store_ids *ids = &store->ids;
	size_t at = ids->row_at, n;
	int err = 0;

	if (ids->committed - at == RECENT_ROW_IDS)
		at = ids->committed;
	for (; at < ids->fresh.len && err == 0; at += n) {
		uint8_t seq[8];
		n = ids->fresh.len - at < RECENT_ROW_IDS ? ids->fresh.len - at : RECENT_ROW_IDS;
		MDB_val key = { sizeof(seq), seq },
			value = { n * OBS_ID_BYTES, ids->fresh.ids[at] };
		store_put_be64(seq, ids->fresh.first_seq + at);
		err = mdb_put(txn, store->dbi[DB_RECENT], &key, &value, 0);
		ids->next.row_at = at;
	}
	return err;
}

static int move_id(void *ctx, const uint8_t id[OBS_ID_BYTES], uint64_t seq)
{
	uint8_t id_bytes[OBS_ID_BYTES], seq_bytes[8];
	MDB_val key = { sizeof(id_bytes), id_bytes }, value = { sizeof(seq_bytes), seq_bytes };

	memcpy(id_bytes, id, sizeof(id_bytes));
	store_put_be64(seq_bytes, seq);
	return mdb_cursor_put(ctx, &key, &value, 0);
}

/* The rows of `moving` are the first. */
static int rows_drop(struct store *store, MDB_txn *txn)
{
	const struct recent *moving = &store->ids.moving;
	uint64_t end_seq = moving->first_seq + moving->len;
	MDB_cursor *cursor = NULL;
	MDB_val key, value;

	int err = mdb_cursor_open(txn, store->dbi[DB_RECENT], &cursor);
	if (err != 0)
		return err;
	while ((err = mdb_cursor_get(cursor, &key, &value, MDB_FIRST)) == 0) {
		if (key.mv_size != 8 || store_get_be64(key.mv_data) >= end_seq)
			break;
		err = mdb_cursor_del(cursor, 0);
		if (err != 0)
			break;
	}
	mdb_cursor_close(cursor);
	return err == MDB_NOTFOUND ? 0 : err;
}

static int move(struct store *store, MDB_txn *txn, size_t n)
{
	struct store_ids *ids = &store->ids;
	size_t chains = recent_chains(&ids->moving), at = ids->chain_at;
	size_t end = at + n * chains / ids->moving.len + 1;
	MDB_cursor *cursor = NULL;

	int err = mdb_cursor_open(txn, store->dbi[DB_DEDUP], &cursor);
	if (err != 0)
		return err;
	for (; at < chains && at < end && err == 0; at++)
		err = recent_each(&ids->moving, at, move_id, cursor);
	mdb_cursor_close(cursor);
	ids->next.chain_at = at;
	return err == 0 && at == chains ? rows_drop(store, txn) : err;
}

/* Twice what came, so that it is done long before `fresh` is as large; after an
 * append that was larger than that, all of it. */
int store_id_flush(struct store *store, MDB_txn *txn, bool urgent)
{
	struct store_ids *ids = &store->ids;
	size_t came = ids->fresh.len - ids->committed, most = 2 * ids->recent_max;
	int err = came > 0 ? rows_put(store, txn) : 0;

	if (err != 0 || ids->moving.len == 0 || urgent)
		return err;
	size_t n = ids->owed + 2 * came;
	if (ids->moving.len > most || ids->fresh.len > most)
		n = ids->moving.len;
	else if (ids->quiet)
		n = MOVE_QUIET;
	ids->next.owed = n < MOVE_MIN ? n : 0;
	return n < MOVE_MIN ? 0 : move(store, txn, n);
}

void store_id_committed(struct store *store)
{
	struct store_ids *ids = &store->ids;

	ids->committed = ids->fresh.len;
	ids->row_at = ids->next.row_at;
	ids->chain_at = ids->next.chain_at;
	ids->owed = ids->next.owed;
	if (ids->moving.len > 0 && ids->chain_at == recent_chains(&ids->moving))
		recent_clear(&ids->moving, ids->recent_max);
}

bool store_id_left(const struct store *store)
{
	return store->ids.moving.len + store->ids.committed > 0;
}
