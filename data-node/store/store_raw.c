/* Store raw: pages of sealed entries, copied in short transactions. */
#include "store/store_raw.h"

#include <stdlib.h>
#include <string.h>

#include "store/store_internal.h"

#define PAGE_ENTRIES ((size_t)1024)

struct raw_page {
	struct buf bytes; /* keys and values, one behind the other */
	struct {
		size_t key_len, value_len;
	} sizes[PAGE_ENTRIES];
	size_t len;
	uint8_t last[STORE_RAW_KEY_BYTES_MAX];
	size_t last_len;
	bool more;
};

enum store_db store_truth_db(enum store_truth truth)
{
	switch (truth) {
	case STORE_TRUTH_META:
		return DB_META;
	case STORE_TRUTH_LOG:
		return DB_LOG;
	}
	return DB_COUNT;
}

uint64_t store_raw_seq(const struct store_raw *entry)
{
	return entry->truth == STORE_TRUTH_LOG && entry->key_len == STORE_LOG_KEY_BYTES
		   ? store_get_be64(entry->key)
		   : 0;
}

bool store_raw_sealed_under(const struct store_raw *entry, int32_t *day, unsigned *layer)
{
	uint32_t bits = 0;

	if (entry->value_len < STORE_SEAL_BYTES)
		return false;
	for (unsigned i = 0; i < 4; i++)
		bits = bits << 8 | entry->value[2 + i];
	*day = (int32_t)bits;
	*layer = entry->value[1];
	return true;
}

/* To the first entry behind the page's last key. */
static int cursor_seek(
    const struct raw_page *page, MDB_cursor *cursor, MDB_val *key, MDB_val *value)
{
	uint8_t bytes[STORE_RAW_KEY_BYTES_MAX];

	if (page->last_len == 0)
		return mdb_cursor_get(cursor, key, value, MDB_FIRST);
	memcpy(bytes, page->last, page->last_len);
	*key = (MDB_val){ page->last_len, bytes };
	int err = mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);
	if (err == 0 && key->mv_size == page->last_len &&
	    memcmp(key->mv_data, page->last, page->last_len) == 0)
		err = mdb_cursor_get(cursor, key, value, MDB_NEXT);
	return err;
}

static int page_read(struct raw_page *page, MDB_cursor *cursor)
{
	int64_t begin_ns = clock_mono_ns();
	MDB_val key, value;

	int err = cursor_seek(page, cursor, &key, &value);
	while (err == 0 && page->len < PAGE_ENTRIES && page->bytes.len < STORE_PAGE_BYTES_MAX &&
	       clock_mono_ns() - begin_ns < STORE_READ_NS_MAX) {
		if (key.mv_size > STORE_RAW_KEY_BYTES_MAX ||
		    value.mv_size > STORE_RAW_VALUE_BYTES_MAX)
			return MDB_CORRUPTED;
		buf_append(&page->bytes, key.mv_data, key.mv_size);
		buf_append(&page->bytes, value.mv_data, value.mv_size);
		page->sizes[page->len].key_len = key.mv_size;
		page->sizes[page->len++].value_len = value.mv_size;
		memcpy(page->last, key.mv_data, key.mv_size);
		page->last_len = key.mv_size;
		err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	page->more = err == 0;
	return err == MDB_NOTFOUND ? 0 : err;
}

static enum rc page_next(
    struct store *store, enum store_db db, struct raw_page *page, struct errmsg *why)
{
	MDB_cursor *cursor = NULL;
	MDB_txn *txn = NULL;

	buf_reset(&page->bytes);
	page->len = 0;
	enum rc rc = store_read_begin(store, &txn, why);
	if (rc != RC_OK)
		return rc;
	int err = mdb_cursor_open(txn, store->dbi[db], &cursor);
	if (err == 0) {
		err = page_read(page, cursor);
		mdb_cursor_close(cursor);
	}
	store_read_end(store, txn);
	if (err != 0)
		return errmsg_rc(why, store_mdb_rc(err), "%s cannot be read: %s", store_db_name(db),
		    mdb_strerror(err));
	return buf_rc(&page->bytes);
}

static bool page_visit(
    const struct raw_page *page, enum store_truth truth, store_raw_fn *visit, void *ctx)
{
	const uint8_t *at = page->bytes.bytes;

	for (size_t i = 0; i < page->len; i++) {
		struct store_raw entry = {
			.truth = truth,
			.key = at,
			.key_len = page->sizes[i].key_len,
			.value = at + page->sizes[i].key_len,
			.value_len = page->sizes[i].value_len,
		};
		at += entry.key_len + entry.value_len;
		if (!visit(ctx, &entry))
			return false;
	}
	return true;
}

enum rc store_raw_scan(struct store *store, enum store_truth truth, const uint8_t *after,
    size_t after_len, store_raw_fn *visit, void *ctx, struct errmsg *why)
{
	enum store_db db = store_truth_db(truth);

	if (db == DB_COUNT || after_len > STORE_RAW_KEY_BYTES_MAX)
		return errmsg_rc(why, RC_INVALID, "no such database to read");
	struct raw_page *page = calloc(1, sizeof(*page));
	if (page == NULL)
		return RC_NOMEM;
	buf_init(&page->bytes,
	    STORE_PAGE_BYTES_MAX + STORE_RAW_VALUE_BYTES_MAX + STORE_RAW_KEY_BYTES_MAX);
	if (after_len > 0)
		memcpy(page->last, after, after_len);
	page->last_len = after_len;
	enum rc rc;
	do {
		rc = page_next(store, db, page, why);
	} while (rc == RC_OK && page_visit(page, truth, visit, ctx) && page->more);
	buf_fini(&page->bytes);
	free(page);
	return rc;
}

enum rc store_raw_scan_log(
    struct store *store, uint64_t after_seq, store_raw_fn *visit, void *ctx, struct errmsg *why)
{
	uint8_t after[STORE_LOG_KEY_BYTES];

	store_put_be64(after, after_seq);
	return store_raw_scan(
	    store, STORE_TRUTH_LOG, after, after_seq == 0 ? 0 : sizeof(after), visit, ctx, why);
}

static enum rc get_one(struct store *store, uint64_t seq, struct buf *value, struct errmsg *why)
{
	uint8_t bytes[STORE_LOG_KEY_BYTES];
	MDB_val key = { sizeof(bytes), bytes }, found;
	MDB_txn *txn = NULL;

	store_put_be64(bytes, seq);
	buf_reset(value);
	enum rc rc = store_read_begin(store, &txn, why);
	if (rc != RC_OK)
		return rc;
	int err = mdb_get(txn, store->dbi[DB_LOG], &key, &found);
	if (err == 0)
		buf_append(value, found.mv_data, found.mv_size);
	store_read_end(store, txn);
	if (err == MDB_NOTFOUND)
		return RC_NOTFOUND;
	return err == 0 ? buf_rc(value) : store_mdb_error(why, err, "the log cannot be read");
}

enum rc store_raw_get(struct store *store, const uint64_t *seqs, size_t n, store_raw_fn *visit,
    void *ctx, struct errmsg *why)
{
	uint8_t key[STORE_LOG_KEY_BYTES];
	struct buf value;
	enum rc rc = RC_OK;

	buf_init(&value, STORE_RAW_VALUE_BYTES_MAX);
	for (size_t i = 0; i < n && rc == RC_OK; i++) {
		rc = get_one(store, seqs[i], &value, why);
		store_put_be64(key, seqs[i]);
		if (rc == RC_OK && !visit(ctx, &(struct store_raw){ .truth = STORE_TRUTH_LOG,
						   .key = key,
						   .key_len = sizeof(key),
						   .value = value.bytes,
						   .value_len = value.len }))
			break;
		rc = rc == RC_NOTFOUND ? RC_OK : rc;
	}
	buf_fini(&value);
	return rc;
}

/* ---- opening ---------------------------------------------------------------------- */

struct store_raw_opener {
	struct store store; /* of it the keyring alone is used */
	struct buf scratch;
};

enum rc store_raw_opener_new(struct keyring *keyring, struct store_raw_opener **out)
{
	struct store_raw_opener *opener = calloc(1, sizeof(*opener));

	if (opener == NULL)
		return RC_NOMEM;
	opener->store.keyring = keyring;
	buf_init(&opener->scratch, OBS_RECORD_BYTES_MAX);
	*out = opener;
	return RC_OK;
}

void store_raw_opener_free(struct store_raw_opener *opener)
{
	if (opener == NULL)
		return;
	buf_fini(&opener->scratch);
	free(opener);
}

enum rc store_raw_open(struct store_raw_opener *opener, const struct store_raw *entry,
    struct arena *arena, struct observation *out, struct errmsg *why)
{
	union {
		const uint8_t *in;
		uint8_t *out;
	} bytes = { .in = entry->value };
	MDB_val value = { entry->value_len, bytes.out };

	if (store_raw_seq(entry) == 0)
		return errmsg_rc(why, RC_CORRUPT, "an entry that is no record");
	return store_record_open(
	    &opener->store, store_raw_seq(entry), &value, &opener->scratch, arena, out, why);
}
