/* Store vector: rows sealed beside their records, and taken away with them. */
#include "store/store_vector.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_internal.h"

#define KEY_BYTES 13
#define STATE_BYTES (STORE_VECTOR_ENCODER_BYTES + 4 + 8)
#define PAGE_ROWS 1024u
#define DAY_FLIP 0x80000000u

static void key_make(unsigned layer, int32_t day, uint64_t seq, uint8_t out[KEY_BYTES])
{
	uint32_t bits = (uint32_t)day ^ DAY_FLIP;

	out[0] = (uint8_t)layer;
	for (unsigned i = 0; i < 4; i++)
		out[1 + i] = (uint8_t)(bits >> (24 - 8 * i));
	store_put_be64(out + 5, seq);
}

static int32_t key_day(const uint8_t key[KEY_BYTES])
{
	uint32_t bits = 0;

	for (unsigned i = 0; i < 4; i++)
		bits = bits << 8 | key[1 + i];
	return (int32_t)(bits ^ DAY_FLIP);
}

static uint64_t key_seq(const uint8_t key[KEY_BYTES])
{
	return store_get_be64(key + 5);
}

/* ---- the state ---------------------------------------------------------------------- */

static void state_encode(const struct store_vector_state *state, uint8_t out[STATE_BYTES])
{
	uint8_t *at = out + STORE_VECTOR_ENCODER_BYTES;

	memcpy(out, state->encoder, STORE_VECTOR_ENCODER_BYTES);
	for (unsigned i = 0; i < 4; i++)
		at[i] = (uint8_t)(state->length >> (24 - 8 * i));
	store_put_be64(at + 4, state->done);
}

static void state_decode(const uint8_t in[STATE_BYTES], struct store_vector_state *state)
{
	const uint8_t *at = in + STORE_VECTOR_ENCODER_BYTES;

	memcpy(state->encoder, in, STORE_VECTOR_ENCODER_BYTES);
	state->length = 0;
	for (unsigned i = 0; i < 4; i++)
		state->length = state->length << 8 | at[i];
	state->done = store_get_be64(at + 4);
}

/* `*there` is false without one that opens. */
static enum rc state_get(struct store *store, MDB_txn *txn, struct store_vector_state *out,
    bool *there, int *err, struct errmsg *why)
{
	uint8_t bytes[KEY_BYTES];
	MDB_val key = { sizeof bytes, bytes }, value;
	struct buf plain;

	*there = false;
	key_make(0, 0, 0, bytes);
	*err = mdb_get(txn, store->dbi[DB_VECTOR], &key, &value);
	if (*err != 0) {
		*err = *err == MDB_NOTFOUND ? 0 : *err;
		return RC_OK;
	}
	buf_init(&plain, STORE_VECTOR_BYTES_MAX);
	enum rc rc = store_unseal(store, DB_VECTOR, &key, &value, &plain, why);
	*there = rc == RC_OK && plain.len == STATE_BYTES;
	if (*there)
		state_decode(plain.bytes, out);
	buf_fini(&plain);
	if (rc == RC_NOMEM)
		return rc;
	if (why != NULL)
		errmsg_reset(why);
	return RC_OK;
}

static enum rc row_put(struct store *store, MDB_txn *txn, unsigned layer, int32_t day, uint64_t seq,
    const uint8_t *bytes, size_t len, int *err, struct errmsg *why)
{
	uint8_t key_bytes[KEY_BYTES];
	MDB_val key = { sizeof key_bytes, key_bytes }, value;

	key_make(layer, day, seq, key_bytes);
	buf_reset(&store->sealed);
	enum rc rc =
	    store_seal(store, DB_VECTOR, &key, day, layer, bytes, len, &store->sealed, why);
	if (rc != RC_OK)
		return rc;
	value = (MDB_val){ store->sealed.len, store->sealed.bytes };
	*err = mdb_put(txn, store->dbi[DB_VECTOR], &key, &value, 0);
	return RC_OK;
}

static enum rc state_put(struct store *store, MDB_txn *txn, const struct store_vector_state *state,
    int *err, struct errmsg *why)
{
	uint8_t bytes[STATE_BYTES];

	state_encode(state, bytes);
	return row_put(store, txn, 0, 0, 0, bytes, sizeof bytes, err, why);
}

enum rc store_vector_state(struct store *store, struct store_vector_state *out, struct errmsg *why)
{
	MDB_txn *txn = NULL;
	bool there = false;
	int err = 0;

	enum rc rc = store_read_begin(store, &txn, why);
	if (rc != RC_OK)
		return rc;
	rc = state_get(store, txn, out, &there, &err, why);
	store_read_end(store, txn);
	if (err != 0)
		return store_mdb_error(why, err, "the vectors cannot be read");
	return rc == RC_OK && !there ? RC_NOTFOUND : rc;
}

/* ---- rows that go, writer thread ------------------------------------------------------ */

/* The record `first` and those behind it are looked at again. */
static int lower_done(struct store *store, MDB_txn *txn, uint64_t first)
{
	struct store_vector_state state;
	bool there = false;
	int err = 0;

	enum rc rc = state_get(store, txn, &state, &there, &err, NULL);
	if (rc != RC_OK || err != 0)
		return err != 0 ? err : ENOMEM;
	if (!there || state.done < first)
		return 0;
	state.done = first - 1;
	rc = state_put(store, txn, &state, &err, NULL);
	return rc == RC_OK ? err : rc == RC_NOMEM ? ENOMEM : EIO;
}

int store_vector_drop_day(struct store *store, MDB_txn *txn, int32_t day, unsigned layer)
{
	uint8_t bytes[KEY_BYTES];
	MDB_val key = { sizeof bytes, bytes }, value;
	MDB_cursor *cursor = NULL;
	uint64_t first = 0;

	key_make(layer, day, 0, bytes);
	int err = mdb_cursor_open(txn, store->dbi[DB_VECTOR], &cursor);
	if (err == 0)
		err = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	while (err == 0) {
		const uint8_t *found = key.mv_data;
		if (key.mv_size != KEY_BYTES || found[0] != layer || key_day(found) != day)
			break;
		if (first == 0)
			first = key_seq(found);
		err = mdb_cursor_del(cursor, 0);
		if (err == 0)
			err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	if (err != 0 && err != MDB_NOTFOUND)
		return err;
	return first == 0 ? 0 : lower_done(store, txn, first);
}

int store_vector_del(struct store *store, MDB_txn *txn, const struct observation *obs)
{
	uint8_t bytes[KEY_BYTES];
	MDB_val key = { sizeof bytes, bytes };

	key_make((unsigned)obs->layer, store_day(obs->dev_t0_ns), obs->seq, bytes);
	int err = mdb_del(txn, store->dbi[DB_VECTOR], &key, NULL);
	return err == MDB_NOTFOUND ? 0 : err;
}

static enum rc drop_task(struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why)
{
	(void)ctx;
	(void)why;
	*err = store_vector_drop_all(store, txn);
	return RC_OK;
}

int store_vector_drop_all(struct store *store, MDB_txn *txn)
{
	return mdb_drop(txn, store->dbi[DB_VECTOR], 0);
}

enum rc store_vector_drop(struct store *store, struct errmsg *why)
{
	return store_task_run(store, drop_task, NULL, why);
}

/* ---- rows that come ------------------------------------------------------------------- */

struct put {
	const struct store_vector_state *from, *to;
	const struct store_vector_row *rows;
	size_t n;
	bool stale;
};

static bool states_equal(const struct store_vector_state *a, const struct store_vector_state *b)
{
	return memcmp(a->encoder, b->encoder, sizeof a->encoder) == 0 && a->length == b->length &&
	       a->done == b->done;
}

/* The record is there and lies where it did: a tombstone does not. */
static int is_there(
    struct store *store, MDB_txn *txn, const struct store_vector_row *row, bool *there)
{
	uint8_t bytes[8];
	MDB_val key = { sizeof bytes, bytes }, value;
	uint32_t day = 0;

	store_put_be64(bytes, row->seq);
	int err = mdb_get(txn, store->dbi[DB_LOG], &key, &value);
	*there = false;
	if (err != 0)
		return err == MDB_NOTFOUND ? 0 : err;
	if (value.mv_size < STORE_SEAL_BYTES)
		return 0;
	const uint8_t *head = value.mv_data;
	for (unsigned i = 0; i < 4; i++)
		day = day << 8 | head[2 + i];
	*there = head[1] == (uint8_t)row->layer && (int32_t)day == store_day(row->dev_t0_ns);
	return 0;
}

static enum rc put_task(struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why)
{
	struct put *put = ctx;
	struct store_vector_state now;
	bool there = false;

	enum rc rc = state_get(store, txn, &now, &there, err, why);
	if (rc != RC_OK || *err != 0)
		return rc;
	put->stale = put->from == NULL ? there : !there || !states_equal(&now, put->from);
	if (put->stale)
		return RC_OK;
	if (!there || now.length != put->to->length ||
	    memcmp(now.encoder, put->to->encoder, sizeof now.encoder) != 0)
		*err = store_vector_drop_all(store, txn);
	for (size_t i = 0; i < put->n && rc == RC_OK && *err == 0; i++) {
		const struct store_vector_row *row = &put->rows[i];
		*err = is_there(store, txn, row, &there);
		if (*err == 0 && there)
			rc = row_put(store, txn, (unsigned)row->layer, store_day(row->dev_t0_ns),
			    row->seq, row->bytes, row->len, err, why);
	}
	if (rc == RC_OK && *err == 0)
		rc = state_put(store, txn, put->to, err, why);
	return rc;
}

enum rc store_vector_put(struct store *store, const struct store_vector_state *from,
    const struct store_vector_state *to, const struct store_vector_row *rows, size_t n, bool *stale,
    struct errmsg *why)
{
	struct put put = { .from = from, .to = to, .rows = rows, .n = n };

	if (n > STORE_VECTOR_ROWS_MAX)
		return errmsg_rc(why, RC_LIMIT, "more than %zu vectors", STORE_VECTOR_ROWS_MAX);
	for (size_t i = 0; i < n; i++) {
		if (rows[i].len > STORE_VECTOR_BYTES_MAX)
			return errmsg_rc(why, RC_LIMIT, "a vector of %zu bytes", rows[i].len);
	}
	enum rc rc = store_task_run(store, put_task, &put, why);
	*stale = put.stale;
	return rc;
}

/* ---- reading -------------------------------------------------------------------------- */

/* Rows of one transaction: their plain bytes one after the other. */
struct page {
	struct buf bytes, scratch;
	struct page_row {
		uint64_t seq;
		size_t begin, len;
	} rows[PAGE_ROWS];
	size_t len;
	uint64_t bad;
	uint8_t at[KEY_BYTES + 1]; /* the next one is right behind it */
	size_t at_len;
};

static enum rc page_take(
    struct store *store, struct page *page, const MDB_val *key, const MDB_val *value)
{
	struct page_row *row = &page->rows[page->len];

	if (key->mv_size == KEY_BYTES && *(const uint8_t *)key->mv_data == 0)
		return RC_OK; /* the state */
	buf_reset(&page->scratch);
	enum rc rc = key->mv_size == KEY_BYTES
			 ? store_unseal(store, DB_VECTOR, key, value, &page->scratch, NULL)
			 : RC_CORRUPT;
	if (rc == RC_NOMEM)
		return rc;
	if (rc != RC_OK) {
		page->bad++;
		return RC_OK;
	}
	*row = (struct page_row){ key_seq(key->mv_data), page->bytes.len, page->scratch.len };
	buf_append(&page->bytes, page->scratch.bytes, page->scratch.len);
	page->len++;
	return buf_rc(&page->bytes);
}

static enum rc page_fill(struct store *store, struct page *page, bool *more, struct errmsg *why)
{
	MDB_val key = { page->at_len, page->at }, value;
	int64_t begin_ns = clock_mono_ns();
	MDB_cursor *cursor = NULL;
	MDB_txn *txn = NULL;

	buf_reset(&page->bytes);
	page->len = 0;
	enum rc rc = store_read_begin(store, &txn, why);
	if (rc != RC_OK)
		return rc;
	int err = mdb_cursor_open(txn, store->dbi[DB_VECTOR], &cursor);
	if (err == 0)
		err = mdb_cursor_get(
		    cursor, &key, &value, page->at_len == 0 ? MDB_FIRST : MDB_SET_RANGE);
	for (unsigned n = 0; err == 0 && rc == RC_OK && n < PAGE_ROWS &&
			     clock_mono_ns() - begin_ns < STORE_READ_NS_MAX;
	     n++) {
		rc = page_take(store, page, &key, &value);
		page->at_len = key.mv_size < KEY_BYTES ? key.mv_size : KEY_BYTES;
		memcpy(page->at, key.mv_data, page->at_len);
		page->at[page->at_len++] = 0;
		err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	*more = err == 0;
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	store_read_end(store, txn);
	if (rc == RC_OK && err != 0 && err != MDB_NOTFOUND)
		rc = store_mdb_error(why, err, "the vectors cannot be read");
	return rc;
}

enum rc store_vector_scan(
    struct store *store, store_vector_fn *visit, void *ctx, uint64_t *bad, struct errmsg *why)
{
	struct page *page = calloc(1, sizeof *page);
	bool more = true, enough = false;
	enum rc rc = RC_OK;

	if (page == NULL)
		return errmsg_rc(why, RC_NOMEM, "no memory to read vectors");
	buf_init(&page->bytes, PAGE_ROWS * STORE_VECTOR_BYTES_MAX);
	buf_init(&page->scratch, STORE_VECTOR_BYTES_MAX);
	while (rc == RC_OK && more && !enough) {
		rc = page_fill(store, page, &more, why);
		for (size_t i = 0; i < page->len && rc == RC_OK && !enough; i++) {
			const struct page_row *row = &page->rows[i];
			enough = !visit(ctx, row->seq, page->bytes.bytes + row->begin, row->len);
		}
	}
	if (bad != NULL)
		*bad = page->bad;
	buf_fini(&page->bytes);
	buf_fini(&page->scratch);
	free(page);
	return rc;
}
