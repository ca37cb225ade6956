/* Store digest: rows sealed, read, and taken away by what changes under them. */
#include "store/store_digest.h"

#include <string.h>

#include "store/store_internal.h"

#define KEY_BYTES 10
#define VERIFY_STEP 1000u /* rows a transaction */

static void key_make(unsigned layer, unsigned level, int64_t start_ns, uint8_t out[KEY_BYTES])
{
	out[0] = (uint8_t)layer;
	out[1] = (uint8_t)level;
	store_put_be64(out + 2, (uint64_t)start_ns ^ UINT64_C(1) << 63);
}

static bool key_parse(const MDB_val *key, unsigned *layer, unsigned *level, int64_t *start_ns)
{
	const uint8_t *bytes = key->mv_data;

	if (key->mv_size != KEY_BYTES || bytes[1] >= STORE_DIGEST_LEVELS)
		return false;
	*layer = bytes[0];
	*level = bytes[1];
	*start_ns = (int64_t)(store_get_be64(bytes + 2) ^ UINT64_C(1) << 63);
	return true;
}

static int64_t floor_to(int64_t ns, int64_t span_ns)
{
	int64_t rest = ns % span_ns;

	return ns - (rest < 0 ? rest + span_ns : rest);
}

/* ---- invalidation, writer thread --------------------------------------------------- */

/* The newest end of a row of each layer. */
static int load(struct store *store, MDB_txn *txn)
{
	MDB_cursor *cursor = NULL;
	MDB_val key, value;

	for (unsigned layer = 0; layer <= LAYER_COUNT; layer++)
		store->digest_until_ns[layer] = INT64_MIN;
	int err = mdb_cursor_open(txn, store->dbi[DB_DIGEST], &cursor);
	for (unsigned at = 0; at < LAYER_COUNT * STORE_DIGEST_LEVELS && err == 0; at++) {
		unsigned layer = 1 + at / STORE_DIGEST_LEVELS, level = at % STORE_DIGEST_LEVELS;
		uint8_t behind[2] = { (uint8_t)layer, (uint8_t)(level + 1) };
		unsigned its_layer, its_level;
		int64_t start_ns;
		key = (MDB_val){ sizeof behind, behind };
		int found = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
		found = mdb_cursor_get(cursor, &key, &value, found == 0 ? MDB_PREV : MDB_LAST);
		if (found != 0 && found != MDB_NOTFOUND)
			err = found;
		if (found != 0 || !key_parse(&key, &its_layer, &its_level, &start_ns) ||
		    its_layer != layer || its_level != level)
			continue;
		int64_t end_ns = start_ns + store_digest_span_ns(level);
		if (end_ns > store->digest_until_ns[layer])
			store->digest_until_ns[layer] = end_ns;
	}
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	store->digest_loaded = err == 0;
	return err;
}

int store_digest_touch(struct store *store, MDB_txn *txn, const struct store_entry *entry)
{
	uint8_t bytes[KEY_BYTES];
	MDB_val key = { sizeof bytes, bytes };
	int err = store->digest_loaded ? 0 : load(store, txn);

	if (err != 0 || entry->t0_ns >= store->digest_until_ns[entry->layer])
		return err;
	atomic_fetch_add(&store->digest_touches, 1);
	for (unsigned level = 0; level < STORE_DIGEST_LEVELS; level++) {
		int64_t start_ns = floor_to(entry->t0_ns, store_digest_span_ns(level));
		key_make(entry->layer, level, start_ns, bytes);
		err = mdb_del(txn, store->dbi[DB_DIGEST], &key, NULL);
		if (err != 0 && err != MDB_NOTFOUND)
			return err;
	}
	return 0;
}

struct begin {
	enum layer layer;
	int64_t until_ns;
	uint64_t touches;
};

static enum rc begin_task(
    struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why)
{
	struct begin *begin = ctx;
	int64_t *until_ns = &store->digest_until_ns[begin->layer];

	(void)why;
	*err = store->digest_loaded ? 0 : load(store, txn);
	if (*err == 0 && begin->until_ns > *until_ns)
		*until_ns = begin->until_ns;
	begin->touches = atomic_load(&store->digest_touches);
	return RC_OK;
}

enum rc store_digest_begin(
    struct store *store, enum layer layer, int64_t until_ns, uint64_t *touches, struct errmsg *why)
{
	struct begin begin = { .layer = layer, .until_ns = until_ns };
	enum rc rc = store_task_run(store, begin_task, &begin, why);

	if (rc == RC_OK)
		*touches = begin.touches;
	return rc;
}

uint64_t store_digest_touches(const struct store *store)
{
	return atomic_load(&store->digest_touches);
}

/* ---- writing --------------------------------------------------------------------------- */

struct put {
	enum layer layer;
	const struct store_digest_row *rows;
	size_t n;
	uint64_t touches;
	bool stale;
};

static enum rc put_task(struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why)
{
	struct put *put = ctx;
	uint8_t bytes[KEY_BYTES];
	MDB_val key = { sizeof bytes, bytes }, value;
	enum rc rc = RC_OK;

	put->stale = put->touches != atomic_load(&store->digest_touches);
	for (size_t i = 0; i < put->n && !put->stale && rc == RC_OK && *err == 0; i++) {
		const struct store_digest_row *row = &put->rows[i];
		key_make(put->layer, row->level, row->start_ns, bytes);
		buf_reset(&store->sealed);
		rc = store_seal(
		    store, DB_DIGEST, &key, 0, 0, row->bytes, row->len, &store->sealed, why);
		value = (MDB_val){ store->sealed.len, store->sealed.bytes };
		if (rc == RC_OK)
			*err = mdb_put(txn, store->dbi[DB_DIGEST], &key, &value, 0);
	}
	return rc;
}

enum rc store_digest_put(struct store *store, enum layer layer, const struct store_digest_row *rows,
    size_t n, uint64_t touches, bool *stale, struct errmsg *why)
{
	struct put put = { layer, rows, n, touches, false };

	enum rc rc = store_task_run(store, put_task, &put, why);
	*stale = put.stale;
	return rc;
}

int store_digest_drop_all(struct store *store, MDB_txn *txn)
{
	atomic_fetch_add(&store->digest_touches, 1);
	return mdb_drop(txn, store->dbi[DB_DIGEST], 0);
}

static enum rc drop_task(struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why)
{
	(void)ctx;
	(void)why;
	*err = store_digest_drop_all(store, txn);
	return RC_OK;
}

enum rc store_digest_drop(struct store *store, struct errmsg *why)
{
	return store_task_run(store, drop_task, NULL, why);
}

/* ---- reading --------------------------------------------------------------------------- */

enum rc store_digest_get(struct store *store, enum layer layer, unsigned level, int64_t start_ns,
    struct buf *out, struct errmsg *why)
{
	uint8_t bytes[KEY_BYTES];
	MDB_val key = { sizeof bytes, bytes }, value;
	MDB_txn *txn = NULL;

	key_make(layer, level, start_ns, bytes);
	enum rc rc = store_read_begin(store, &txn, why);
	if (rc != RC_OK)
		return rc;
	int err = mdb_get(txn, store->dbi[DB_DIGEST], &key, &value);
	if (err == 0)
		rc = store_unseal(store, DB_DIGEST, &key, &value, out, NULL);
	else
		rc = err == MDB_NOTFOUND ? RC_NOTFOUND
					 : store_mdb_error(why, err, "the digests cannot be read");
	store_read_end(store, txn);
	return rc == RC_CORRUPT || rc == RC_UNSUPPORTED ? RC_NOTFOUND : rc;
}

enum rc store_digest_next(struct store *store, enum layer layer, unsigned level, int64_t from_ns,
    int64_t *start_ns, struct errmsg *why)
{
	unsigned its_layer = 0, its_level = 0;
	uint8_t bytes[KEY_BYTES];
	MDB_val key = { sizeof bytes, bytes }, value;
	MDB_cursor *cursor = NULL;
	MDB_txn *txn = NULL;

	key_make(layer, level, from_ns, bytes);
	enum rc rc = store_read_begin(store, &txn, why);
	if (rc != RC_OK)
		return rc;
	int err = mdb_cursor_open(txn, store->dbi[DB_DIGEST], &cursor);
	if (err == 0) {
		err = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
		if (err == 0 && (!key_parse(&key, &its_layer, &its_level, start_ns) ||
				    its_layer != layer || its_level != level))
			err = MDB_NOTFOUND;
		mdb_cursor_close(cursor);
	}
	store_read_end(store, txn);
	return err == 0 || err == MDB_NOTFOUND
		   ? store_mdb_rc(err)
		   : store_mdb_error(why, err, "the digests cannot be read");
}

enum rc store_digest_below(struct store *store, enum layer layer, unsigned level, int64_t start_ns,
    bool *any, struct errmsg *why)
{
	int64_t span_ns = store_digest_span_ns(level), its_ns;
	uint8_t bytes[KEY_BYTES];
	MDB_cursor *cursor = NULL;
	MDB_val key, value;
	MDB_txn *txn = NULL;
	unsigned its_layer, its_level;

	*any = false;
	enum rc rc = store_read_begin(store, &txn, why);
	if (rc != RC_OK)
		return rc;
	int err = mdb_cursor_open(txn, store->dbi[DB_DIGEST], &cursor);
	for (unsigned low = level; low-- > 0 && !*any && err == 0;) {
		key_make(layer, low, start_ns, bytes);
		key = (MDB_val){ sizeof bytes, bytes };
		err = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
		if (err == 0 && key_parse(&key, &its_layer, &its_level, &its_ns))
			*any =
			    its_layer == layer && its_level == low && its_ns - start_ns < span_ns;
		err = err == MDB_NOTFOUND ? 0 : err;
	}
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	store_read_end(store, txn);
	return err == 0 ? RC_OK : store_mdb_error(why, err, "the digests cannot be read");
}

struct look {
	MDB_cursor *cursor;
	int64_t from_ns, to_ns;
	bool any_only;
	struct store_digest_seqs *out;
};

static void count(struct look *look, uint64_t seq)
{
	if (seq == 0)
		return;
	if (look->out->first == 0 || seq < look->out->first)
		look->out->first = seq;
	if (seq > look->out->last)
		look->out->last = seq;
}

/* Entries from `at` on, of one layer (and of one class, in `past`). */
static int look_from(
    struct look *look, enum store_db db, const struct store_entry *at, unsigned cls)
{
	uint8_t bytes[STORE_PAST_KEY_BYTES];
	size_t len = STORE_TIME_KEY_BYTES;
	struct store_entry entry;
	MDB_val key, value;

	if (db == DB_TIME) {
		store_time_key(at, bytes);
	} else {
		store_past_key(at, bytes);
		bytes[1] = (uint8_t)cls;
		len = 2 + 8;
	}
	key = (MDB_val){ len, bytes };
	int err = mdb_cursor_get(look->cursor, &key, &value, MDB_SET_RANGE);
	while (err == 0) {
		const uint8_t *found = key.mv_data;
		if (found[0] != at->layer || (db == DB_PAST && found[1] != cls))
			return 0;
		if (store_entry_parse(db, &key, &entry) != RC_OK)
			return MDB_CORRUPTED;
		if (entry.t0_ns >= look->to_ns)
			return 0;
		count(look, entry.seq);
		count(look, entry.by_seq);
		if (look->any_only)
			return 0;
		err = mdb_cursor_get(look->cursor, &key, &value, MDB_NEXT);
	}
	return err == MDB_NOTFOUND ? 0 : err;
}

/* The first class from `cls` on that `past` has of the layer; STORE_CLASS_COUNT: none. */
static int next_class(struct look *look, unsigned layer, unsigned *cls)
{
	uint8_t bytes[2] = { (uint8_t)layer, (uint8_t)*cls };
	MDB_val key = { sizeof bytes, bytes }, value;
	int err = mdb_cursor_get(look->cursor, &key, &value, MDB_SET_RANGE);
	const uint8_t *found = key.mv_data;

	if (err == 0 && key.mv_size >= 2 && found[0] == layer)
		*cls = found[1];
	else
		*cls = STORE_CLASS_COUNT;
	return err == MDB_NOTFOUND ? 0 : err;
}

static int look_past(struct look *look, const struct store_entry *at)
{
	for (unsigned cls = 0;; cls++) {
		int err = next_class(look, at->layer, &cls);
		if (err != 0 || cls >= STORE_CLASS_COUNT)
			return err;
		err = look_from(look, DB_PAST, at, cls);
		if (err != 0 || (look->any_only && look->out->last != 0))
			return err;
	}
}

enum rc store_digest_seqs(struct store *store, enum layer layer, int64_t from_ns, int64_t to_ns,
    bool any_only, struct store_digest_seqs *out, struct errmsg *why)
{
	struct store_entry at = { .layer = (uint8_t)layer, .t0_ns = from_ns, .t1_ns = from_ns };
	struct look look = { .from_ns = from_ns, .to_ns = to_ns, .any_only = any_only, .out = out };
	MDB_txn *txn = NULL;

	*out = (struct store_digest_seqs){ 0 };
	enum rc rc = store_read_begin(store, &txn, why);
	if (rc != RC_OK)
		return rc;
	int err = mdb_cursor_open(txn, store->dbi[DB_TIME], &look.cursor);
	if (err == 0) {
		err = look_from(&look, DB_TIME, &at, 0);
		mdb_cursor_close(look.cursor);
	}
	if (err == 0 && (!any_only || out->last == 0))
		err = mdb_cursor_open(txn, store->dbi[DB_PAST], &look.cursor);
	else
		look.cursor = NULL;
	if (err == 0 && look.cursor != NULL) {
		err = look_past(&look, &at);
		mdb_cursor_close(look.cursor);
	}
	store_read_end(store, txn);
	return err == 0 ? RC_OK : store_mdb_error(why, err, "the time index cannot be read");
}

/* ---- verify ------------------------------------------------------------------------------ */

/* Rows from `at` on, at most `most`; `at` moves behind them. */
static int verify_some(struct store *store, MDB_cursor *cursor, uint8_t at[KEY_BYTES + 1],
    size_t *at_len, unsigned most, uint64_t *bad)
{
	MDB_val key = { *at_len, at }, value;
	unsigned layer, level;
	struct buf plain;
	int64_t start_ns;

	buf_init(&plain, STORE_DIGEST_BYTES_MAX);
	int err = mdb_cursor_get(cursor, &key, &value, *at_len == 0 ? MDB_FIRST : MDB_SET_RANGE);
	for (unsigned n = 0; n < most && err == 0; n++) {
		buf_reset(&plain);
		if (!key_parse(&key, &layer, &level, &start_ns) ||
		    floor_to(start_ns, store_digest_span_ns(level)) != start_ns ||
		    store_unseal(store, DB_DIGEST, &key, &value, &plain, NULL) != RC_OK)
			++*bad;
		*at_len = key.mv_size < KEY_BYTES ? key.mv_size : KEY_BYTES;
		memcpy(at, key.mv_data, *at_len);
		at[(*at_len)++] = 0; /* right behind it */
		err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	buf_fini(&plain);
	return err;
}

enum rc store_digest_verify(struct store *store, uint64_t *bad, struct errmsg *why)
{
	uint8_t at[KEY_BYTES + 1];
	size_t at_len = 0;
	int err = 0;

	*bad = 0;
	while (err == 0) {
		MDB_cursor *cursor = NULL;
		MDB_txn *txn = NULL;
		enum rc rc = store_read_begin(store, &txn, why);
		if (rc != RC_OK)
			return rc;
		err = mdb_cursor_open(txn, store->dbi[DB_DIGEST], &cursor);
		if (err == 0) {
			err = verify_some(store, cursor, at, &at_len, VERIFY_STEP, bad);
			mdb_cursor_close(cursor);
		}
		store_read_end(store, txn);
	}
	return err == MDB_NOTFOUND ? RC_OK
				   : store_mdb_error(why, err, "the digests cannot be read");
}
