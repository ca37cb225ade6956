/* Store snapshot: segments and their head, in parts that are sealed each. */
#include "store/store_snapshot.h"

#include <errno.h>
#include <string.h>

#include "base/wipe.h"
#include "store/store_internal.h"

#define KEY_BYTES 8
#define HEAD_NUMBER UINT32_MAX
#define HEAD_FRONT_BYTES 12 /* run(8) segments(4), before recall's bytes */
#define EPOCH_NAME "epoch"
/* The key of all of it: no observation has this day. */
#define KEY_DAY INT32_MAX
#define KEY_LAYER 0u
/* Fills eight pages of the database. */
#define PART_BYTES (8 * (size_t)4096 - 16 - STORE_SEAL_BYTES)
#define CLEAN_PARTS 2048u /* of one commit */

static void key_make(uint32_t number, uint32_t part, uint8_t out[KEY_BYTES])
{
	store_put_be64(out, (uint64_t)number << 32 | part);
}

/* ---- reading ------------------------------------------------------------------------- */

static int epoch_get(struct store *store, MDB_txn *txn, uint64_t *epoch)
{
	MDB_val key = store_text_val(EPOCH_NAME), value;

	*epoch = 0;
	int err = mdb_get(txn, store->dbi[DB_SNAPSHOT], &key, &value);
	if (err == MDB_NOTFOUND)
		return 0;
	if (err == 0 && value.mv_size != 8)
		return MDB_CORRUPTED;
	if (err == 0)
		*epoch = store_get_be64(value.mv_data);
	return err;
}

/* All parts of `number`, appended to `out`.  RC_NOTFOUND without any. */
static enum rc parts_get(struct store *store, MDB_txn *txn, uint32_t number, struct buf *out,
    int *err, struct errmsg *why)
{
	uint8_t bytes[KEY_BYTES];
	MDB_val key = { sizeof bytes, bytes }, value;
	struct buf plain;
	enum rc rc = RC_OK;
	uint32_t part = 0;

	buf_init(&plain, PART_BYTES);
	for (; rc == RC_OK && part < STORE_SNAPSHOT_BYTES_MAX / PART_BYTES; part++) {
		key_make(number, part, bytes);
		*err = mdb_get(txn, store->dbi[DB_SNAPSHOT], &key, &value);
		if (*err != 0)
			break;
		if (value.mv_size > PART_BYTES + STORE_SEAL_BYTES)
			rc = errmsg_rc(why, RC_CORRUPT, "a part of the snapshot is too long");
		buf_reset(&plain);
		if (rc == RC_OK)
			rc = store_unseal(store, DB_SNAPSHOT, &key, &value, &plain, why);
		if (rc == RC_NOTFOUND) /* its key */
			rc = RC_CORRUPT;
		if (rc == RC_OK)
			buf_append(out, plain.bytes, plain.len);
	}
	buf_fini(&plain);
	if (*err == MDB_NOTFOUND) {
		*err = 0;
		rc = part == 0 ? RC_NOTFOUND : rc;
	}
	return rc == RC_OK ? buf_rc(out) : rc;
}

static enum rc head_get(struct store *store, MDB_txn *txn, struct store_snapshot *out,
    struct buf *bytes, int *err, struct errmsg *why)
{
	*err = epoch_get(store, txn, &out->epoch);
	if (*err != 0)
		return RC_OK;
	enum rc rc = parts_get(store, txn, HEAD_NUMBER, bytes, err, why);
	if (rc != RC_OK || *err != 0)
		return rc;
	if (bytes->len < HEAD_FRONT_BYTES)
		return errmsg_rc(why, RC_CORRUPT, "the head of the snapshot is cut off");
	out->run = store_get_be64(bytes->bytes);
	for (unsigned i = 0; i < 4; i++)
		out->segments = out->segments << 8 | bytes->bytes[8 + i];
	buf_consume(bytes, HEAD_FRONT_BYTES);
	return RC_OK;
}

enum rc store_snapshot_head(
    struct store *store, struct store_snapshot *out, struct buf *bytes, struct errmsg *why)
{
	MDB_txn *txn = NULL;
	int err = 0;

	*out = (struct store_snapshot){ 0 };
	enum rc rc = store_read_begin(store, &txn, why);
	if (rc != RC_OK)
		return rc;
	rc = head_get(store, txn, out, bytes, &err, why);
	store_read_end(store, txn);
	return err == 0 ? rc : store_mdb_error(why, err, "the snapshot cannot be read");
}

enum rc store_snapshot_segment(
    struct store *store, uint32_t number, struct buf *bytes, struct errmsg *why)
{
	MDB_txn *txn = NULL;
	int err = 0;

	enum rc rc = store_read_begin(store, &txn, why);
	if (rc != RC_OK)
		return rc;
	rc = parts_get(store, txn, number, bytes, &err, why);
	store_read_end(store, txn);
	return err == 0 ? rc : store_mdb_error(why, err, "the snapshot cannot be read");
}

enum rc store_snapshot_verify(struct store *store, uint64_t *bad, struct errmsg *why)
{
	struct store_snapshot head, now;
	struct buf bytes;

	*bad = 0;
	buf_init(&bytes, STORE_SNAPSHOT_BYTES_MAX);
	enum rc rc = store_snapshot_head(store, &head, &bytes, why);
	*bad += rc == RC_CORRUPT;
	for (uint32_t i = 0; i < head.segments && (rc == RC_OK || rc == RC_CORRUPT); i++) {
		buf_reset(&bytes);
		rc = store_snapshot_segment(store, i, &bytes, why);
		if (rc == RC_NOTFOUND)
			rc = RC_CORRUPT;
		*bad += rc == RC_CORRUPT;
	}
	if (*bad > 0) { /* or was it taken away meanwhile, or begun anew? */
		buf_reset(&bytes);
		(void)!store_snapshot_head(store, &now, &bytes, NULL);
		if (now.epoch != head.epoch || now.run != head.run)
			*bad = 0;
	}
	buf_fini(&bytes);
	if (rc != RC_NOTFOUND && rc != RC_CORRUPT)
		return rc;
	if (why != NULL)
		errmsg_reset(why);
	return RC_OK;
}

/* ---- what goes, writer thread ---------------------------------------------------------- */

/* Parts of `number` from `part` on. */
static int parts_del(struct store *store, MDB_txn *txn, uint32_t number, uint32_t part)
{
	uint8_t bytes[KEY_BYTES];
	MDB_val key = { sizeof bytes, bytes };
	int err = 0;

	for (; err == 0; part++) {
		key_make(number, part, bytes);
		err = mdb_del(txn, store->dbi[DB_SNAPSHOT], &key, NULL);
	}
	return err == MDB_NOTFOUND ? 0 : err;
}

int store_snapshot_void(struct store *store, MDB_txn *txn)
{
	MDB_val key = store_text_val(EPOCH_NAME), value;
	uint8_t bytes[8];
	uint64_t epoch;

	int err = epoch_get(store, txn, &epoch);
	if (err == 0)
		err = parts_del(store, txn, HEAD_NUMBER, 0);
	store_put_be64(bytes, epoch + 1);
	value = (MDB_val){ sizeof bytes, bytes };
	return err == 0 ? mdb_put(txn, store->dbi[DB_SNAPSHOT], &key, &value, 0) : err;
}

enum rc store_snapshot_forget(struct store *store, MDB_txn *txn, int *err, struct errmsg *why)
{
	enum rc rc = keyring_retire(store->keyring, KEY_DAY, KEY_LAYER, why);

	if (rc == RC_OK)
		*err = store_snapshot_void(store, txn);
	return rc;
}

int store_snapshot_drop_all(struct store *store, MDB_txn *txn)
{
	return mdb_drop(txn, store->dbi[DB_SNAPSHOT], 0);
}

struct clean {
	unsigned gone; /* parts */
};

static enum rc clean_task(
    struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why)
{
	struct clean *clean = ctx;
	struct store_snapshot head = { 0 };
	uint8_t bytes[KEY_BYTES];
	MDB_val key = { sizeof bytes, bytes }, value;
	MDB_cursor *cursor = NULL;
	struct buf unused;

	clean->gone = 0;
	buf_init(&unused, STORE_SNAPSHOT_BYTES_MAX);
	enum rc rc = head_get(store, txn, &head, &unused, err, NULL);
	buf_fini(&unused);
	if (*err != 0 || rc == RC_NOMEM)
		return rc;
	key_make(rc == RC_OK ? head.segments : 0, 0, bytes);
	*err = mdb_cursor_open(txn, store->dbi[DB_SNAPSHOT], &cursor);
	if (*err == 0)
		*err = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	while (*err == 0 && clean->gone < CLEAN_PARTS && key.mv_size == KEY_BYTES &&
	       store_get_be64(key.mv_data) >> 32 < STORE_SNAPSHOT_SEGMENTS_MAX) {
		*err = mdb_cursor_del(cursor, 0);
		clean->gone++;
		if (*err == 0)
			*err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	if (*err == MDB_NOTFOUND)
		*err = 0;
	(void)why;
	return RC_OK;
}

enum rc store_snapshot_clean(struct store *store, struct errmsg *why)
{
	struct clean clean;
	enum rc rc;

	do
		rc = store_task_run(store, clean_task, &clean, why);
	while (rc == RC_OK && clean.gone > 0);
	return rc;
}

/* ---- what comes, writer thread ----------------------------------------------------------- */

struct put {
	const struct store_snapshot *at;
	const struct buf *segment, *head;
	bool stale;
};

/* `bytes` [len] as `number`, in the place of what stood there. */
static enum rc parts_put(struct store *store, MDB_txn *txn, uint32_t number, const uint8_t *bytes,
    size_t len, int *err, struct errmsg *why)
{
	uint8_t key_bytes[KEY_BYTES];
	MDB_val key = { sizeof key_bytes, key_bytes }, value;
	enum rc rc = RC_OK;
	uint32_t part = 0;

	for (size_t at = 0; at < len && rc == RC_OK && *err == 0; at += PART_BYTES, part++) {
		size_t n = len - at < PART_BYTES ? len - at : PART_BYTES;
		key_make(number, part, key_bytes);
		buf_reset(&store->sealed);
		rc = store_seal(store, DB_SNAPSHOT, &key, KEY_DAY, KEY_LAYER, bytes + at, n,
		    &store->sealed, why);
		value = (MDB_val){ store->sealed.len, store->sealed.bytes };
		if (rc == RC_OK)
			*err = mdb_put(txn, store->dbi[DB_SNAPSHOT], &key, &value, 0);
	}
	if (rc == RC_OK && *err == 0)
		*err = parts_del(store, txn, number, part);
	return rc;
}

/* Is `at` what stands, and may it be built on? */
static enum rc is_stale(struct store *store, MDB_txn *txn, const struct store_snapshot *at,
    bool *stale, int *err, struct errmsg *why)
{
	uint8_t data_key[KEYRING_KEY_BYTES];
	struct store_snapshot now = { 0 };
	struct buf unused;

	buf_init(&unused, STORE_SNAPSHOT_BYTES_MAX);
	enum rc rc = head_get(store, txn, &now, &unused, err, NULL);
	buf_fini(&unused);
	if (*err != 0 || rc == RC_NOMEM)
		return errmsg_rc(why, rc, "no memory to look at the snapshot");
	bool fits = now.epoch == at->epoch &&
		    (at->segments == 0 ||
			(rc == RC_OK && now.run == at->run && now.segments == at->segments));
	/* A forgetting that was cut off begins again, and has retired its key already. */
	bool ends = keyring_get_retired(store->keyring, KEY_DAY, KEY_LAYER, data_key) != RC_OK;
	wipe(data_key, sizeof data_key);
	*stale = !fits || !ends || atomic_load(&store->following);
	return RC_OK;
}

static enum rc put_task(struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why)
{
	struct put *put = ctx;
	const struct store_snapshot *at = put->at;
	uint8_t front[HEAD_FRONT_BYTES];
	struct buf head;

	enum rc rc = is_stale(store, txn, at, &put->stale, err, why);
	if (rc != RC_OK || *err != 0 || put->stale)
		return rc;
	store_put_be64(front, at->run);
	for (unsigned i = 0; i < 4; i++)
		front[8 + i] = (uint8_t)((at->segments + 1) >> (24 - 8 * i));
	buf_init(&head, STORE_SNAPSHOT_BYTES_MAX);
	buf_append(&head, front, HEAD_FRONT_BYTES);
	buf_append(&head, put->head->bytes, put->head->len);
	rc = buf_rc(&head);
	if (rc == RC_OK)
		rc = parts_put(
		    store, txn, at->segments, put->segment->bytes, put->segment->len, err, why);
	if (rc == RC_OK && *err == 0)
		rc = parts_put(store, txn, HEAD_NUMBER, head.bytes, head.len, err, why);
	buf_fini(&head);
	return rc;
}

enum rc store_snapshot_put(struct store *store, const struct store_snapshot *at,
    const struct buf *segment, const struct buf *head, bool *stale, struct errmsg *why)
{
	struct put put = { .at = at, .segment = segment, .head = head };

	if (at->segments >= STORE_SNAPSHOT_SEGMENTS_MAX ||
	    segment->len > STORE_SNAPSHOT_BYTES_MAX ||
	    head->len > STORE_SNAPSHOT_BYTES_MAX - HEAD_FRONT_BYTES)
		return errmsg_rc(why, RC_LIMIT, "the snapshot is too large");
	enum rc rc = store_task_run(store, put_task, &put, why);
	*stale = put.stale;
	return rc;
}
