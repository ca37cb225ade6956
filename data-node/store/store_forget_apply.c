/* Store forget: tombstones, records sealed anew, and the marks around them. */
#include "store/store_forget_apply.h"

#include <errno.h>
#include <string.h>

#include "base/hex.h"
#include "base/random.h"
#include "store/store_bundle.h"
#include "store/store_clock_internal.h"

#define MARK_NAME "forget"

size_t store_forget_day(int32_t day)
{
	int64_t i = day - FORGET_DAY_FIRST;

	return i < 0 || i >= (int64_t)FORGET_DAYS ? FORGET_DAYS - 1 : (size_t)i;
}

bool store_forget_is_under(const MDB_val *value, const uint8_t *days)
{
	const uint8_t *head = value->mv_data;
	uint32_t day = 0;

	if (value->mv_size < STORE_SEAL_BYTES)
		return false;
	for (unsigned i = 0; i < 4; i++)
		day = day << 8 | head[2 + i];
	return head[1] < 8 && (days[store_forget_day((int32_t)day)] >> head[1] & 1) != 0;
}

/* ---- what is forgotten, in the log --------------------------------------------------- */

struct observation store_forget_record(const struct store_forget *what)
{
	return (struct observation){
		.source = what->source == NULL ? "" : what->source,
		.layer = LAYER_TEXT,
		.kind = "forget",
		.shape = SHAPE_INTERVAL,
		.has_end = true,
		.origin = ORIGIN_SYSTEM,
		.dev_t0_ns = what->from_ns,
		.dev_t1_ns = what->to_ns,
		.tombstone = true, /* it is no observation */
		.forget_layers = what->layers == 0 ? LAYER_MASK_ALL : what->layers,
	};
}

enum rc store_forget_mark_make(struct store *store, const struct store_forget *what,
    struct store_forget_mark *mark, struct errmsg *why)
{
	uint8_t id[OBS_ID_BYTES];

	random_bytes(id, sizeof(id));
	hex_encode(id, sizeof(id), mark->client_id);
	mark->record = store_forget_record(what);
	mark->record.client_id = mark->client_id;
	mark->record.recv_utc_ns = clock_utc_ns();
	store_hash(store, &mark->record, mark->plain.obs_id, mark->plain.content_hash);
	memcpy(mark->record.obs_id, mark->plain.obs_id, OBS_ID_BYTES);
	memcpy(mark->record.content_hash, mark->plain.content_hash, OBS_ID_BYTES);
	buf_init(&mark->bytes, OBS_RECORD_BYTES_MAX);
	return observation_encode(&mark->record, &mark->bytes, why);
}

void store_forget_mark_fini(struct store_forget_mark *mark)
{
	buf_fini(&mark->bytes);
}

enum rc store_forget_mark(
    struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why)
{
	struct store_forget_mark *mark = ctx;
	uint8_t bytes[8];
	MDB_val key = store_text_val(MARK_NAME), value = { sizeof(bytes), bytes };

	mark->seq = store->next_seq++;
	store_put_be64(bytes, mark->seq);
	*err = mdb_put(txn, store->dbi[DB_META], &key, &value, 0);
	if (*err != 0)
		return RC_OK;
	return store_plain_put(
	    store, txn, &mark->plain, mark->bytes.bytes, mark->bytes.len, mark->seq, err, why);
}

enum rc store_forget_unmark(
    struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why)
{
	MDB_val key = store_text_val(MARK_NAME);

	(void)ctx;
	(void)why;
	*err = mdb_del(txn, store->dbi[DB_META], &key, NULL);
	if (*err == MDB_NOTFOUND)
		*err = 0;
	return RC_OK;
}

enum rc store_forget_marked(struct store *store, uint64_t *seq, struct errmsg *why)
{
	MDB_val key = store_text_val(MARK_NAME), value;
	MDB_txn *txn = NULL;

	*seq = 0;
	enum rc rc = store_read_begin(store, &txn, why);
	if (rc != RC_OK)
		return rc;
	int err = mdb_get(txn, store->dbi[DB_META], &key, &value);
	if (err == 0 && value.mv_size != 8)
		err = MDB_CORRUPTED;
	if (err == 0)
		*seq = store_get_be64(value.mv_data);
	store_read_end(store, txn);
	return err == 0 || err == MDB_NOTFOUND
		   ? RC_OK
		   : store_mdb_error(why, err, "meta: what is being forgotten cannot be read");
}

enum rc store_forget_retire(
    struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why)
{
	const uint8_t *days = ctx;
	bool any = false;

	keyring_wipe_dropped(store->keyring);
	for (size_t i = 0; i < FORGET_DAYS; i++) {
		for (unsigned layer = 1; layer <= LAYER_COUNT; layer++) {
			if ((days[i] & LAYER_MASK(layer)) == 0)
				continue;
			int32_t day = (int32_t)((int64_t)i + FORGET_DAY_FIRST);
			enum rc rc = keyring_retire(store->keyring, day, layer, why);
			if (rc == RC_OK)
				*err = store_bundle_drop_day(store, txn, day, layer);
			if (rc == RC_OK && *err == 0)
				*err = store_vector_drop_day(store, txn, day, layer);
			if (rc != RC_OK || *err != 0)
				return rc;
			any = true;
		}
	}
	return any ? store_snapshot_forget(store, txn, err, why) : RC_OK;
}

/* ---- one record ------------------------------------------------------------------------ */

/* Of its id, what stays: the id, the times, and the hash by which a re-upload
 * of this version is known. */
static struct observation tombstone_of(const struct observation *obs)
{
	struct observation t = {
		.seq = obs->seq,
		.supersedes_seq = obs->supersedes_seq,
		.source = "",
		.kind = "",
		.layer = obs->layer,
		.shape = SHAPE_INSTANT,
		.origin = ORIGIN_SYSTEM,
		.dev_t0_ns = obs->dev_t0_ns,
		.dev_t1_ns = obs->dev_t1_ns,
		.recv_utc_ns = obs->recv_utc_ns,
		.tombstone = true,
	};

	memcpy(t.obs_id, obs->obs_id, OBS_ID_BYTES);
	memcpy(t.content_hash, obs->content_hash, OBS_ID_BYTES);
	return t;
}

struct places {
	struct store *store;
	MDB_txn *txn;
	uint64_t seq;
	int err;
};

static bool unindex_place(void *ctx, uint64_t since, const struct store_clock_row *row)
{
	struct places *places = ctx;
	struct store_entry entry;

	(void)since;
	store_entry_at(&row->place, row->layer, places->seq, &entry);
	places->err = store_index_del_past(places->store, places->txn, &entry);
	return places->err == 0;
}

/* Where the clock maps had it before, for readers of the past; it is placed anew
 * no more. */
static int unindex_places(struct store *store, MDB_txn *txn, const struct observation *obs)
{
	struct places places = { .store = store, .txn = txn, .seq = obs->seq };
	MDB_cursor *cursor = NULL;

	if (obs->clock_id[0] == '\0')
		return 0;
	int err = mdb_cursor_open(txn, store->dbi[DB_CLOCKMAP], &cursor);
	if (err != 0)
		return err;
	err = store_clock_rows(cursor, obs->seq, unindex_place, &places);
	mdb_cursor_close(cursor);
	if (err == 0)
		err = places.err;
	return err == 0 ? store_clock_close(store, txn, obs->seq) : err;
}

static int unindex(struct store *store, MDB_txn *txn, const struct observation *obs)
{
	struct store_entry entry = store_entry_of(obs, obs->seq);
	uint64_t newest = 0;

	int err = unindex_places(store, txn, obs);
	if (err != 0)
		return err;
	err = store_id_get(store, txn, obs->obs_id, &newest);
	if (err != 0 && err != MDB_NOTFOUND)
		return err;
	return newest == obs->seq ? store_index_del(store, txn, &entry)
				  : store_index_del_past(store, txn, &entry);
}

/* Replace the value of `seq` by `plain`, sealed under (day, layer). */
static enum rc value_put(struct store *store, MDB_txn *txn, uint64_t seq, int32_t day,
    unsigned layer, const struct buf *plain, int *err, struct errmsg *why)
{
	uint8_t bytes[8];
	MDB_val key = { sizeof(bytes), bytes }, value;

	store_put_be64(bytes, seq);
	buf_reset(&store->sealed);
	enum rc rc = store_seal(
	    store, DB_LOG, &key, day, layer, plain->bytes, plain->len, &store->sealed, why);
	if (rc != RC_OK)
		return rc;
	value = (MDB_val){ store->sealed.len, store->sealed.bytes };
	*err = mdb_put(txn, store->dbi[DB_LOG], &key, &value, 0);
	return RC_OK;
}

/* Its blobs lose a reference; the files go after the commit. */
static int unrefer(struct store *store, MDB_txn *txn, struct store_forget_batch *batch,
    const struct observation *obs)
{
	uint8_t name[BLOB_NAME_BYTES];

	for (size_t i = 0; i < obs->blobs_len; i++) {
		blob_name(store_blobs(store), obs->blobs[i], name);
		buf_append(&batch->blobs, name, sizeof(name));
	}
	return buf_rc(&batch->blobs) == RC_OK ? store_blobref_del(store, txn, obs, obs->seq)
					      : ENOMEM;
}

static enum rc bury(struct store *store, MDB_txn *txn, struct store_forget_batch *batch,
    const struct observation *obs, int *err, struct errmsg *why)
{
	uint64_t forget_seq = batch->forget->seq;
	struct observation t = tombstone_of(obs);
	struct store_entry entry = store_entry_of(obs, obs->seq);

	*err = unindex(store, txn, obs);
	if (*err == 0)
		*err = unrefer(store, txn, batch, obs);
	if (*err == 0)
		*err = store_vector_del(store, txn, obs);
	if (*err != 0)
		return RC_OK;
	store_dirty_mark(store, &(struct store_dirty){
				    .from_ns = entry.t0_ns,
				    .to_ns = entry.t1_ns + 1,
				    .layers = LAYER_MASK(obs->layer),
				    .cause = DIRTY_FORGOTTEN,
				    .first_seq = forget_seq,
				    .last_seq = forget_seq,
				});
	buf_reset(&store->scratch);
	enum rc rc = observation_encode(&t, &store->scratch, why);
	if (rc == RC_OK)
		rc = value_put(store, txn, obs->seq, 0, 0, &store->scratch, err, why);
	return rc;
}

/* Was it read from what goes?  Numbers of memory are given out in the log's order. */
static bool goes_along(const struct store_forget_batch *batch, uint64_t seq)
{
	size_t low = 0, high = batch->memory->len / sizeof(seq);

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		uint64_t at;
		memcpy(&at, batch->memory->bytes + mid * sizeof(at), sizeof(at));
		if (at == seq)
			return true;
		if (at < seq)
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}

/* A record that does not open any more stays as it is; with its key gone it
 * never will. */
static enum rc record_apply(struct store *store, MDB_txn *txn, struct store_forget_batch *batch,
    uint64_t seq, int *err, struct errmsg *why)
{
	struct errmsg detail = ERRMSG_INIT;
	struct observation obs;

	arena_reset(&store->old);
	enum rc rc = store_record_get(store, txn, seq, &store->scratch, &store->old, &obs, &detail);
	if (rc == RC_CORRUPT || rc == RC_NOTFOUND)
		return RC_OK;
	if (rc != RC_OK)
		return errmsg_rc(why, rc, "%s", errmsg_text(&detail, rc));
	bool forgets = batch->forget->seq != 0;
	if (forgets && store_forget_matches(batch->forget, &obs)) {
		batch->forgotten++;
		return bury(store, txn, batch, &obs, err, why);
	}
	/* Its key was retired for what it was read from, or for itself. */
	if (forgets && (observation_is_of_night(&obs) || goes_along(batch, seq)))
		return bury(store, txn, batch, &obs, err, why);
	batch->resealed++;
	return value_put(store, txn, seq, store_day(obs.dev_t0_ns), (unsigned)obs.layer,
	    &store->scratch, err, why);
}

enum rc store_forget_apply(
    struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why)
{
	struct store_forget_batch *batch = ctx;
	enum rc rc = RC_OK;

	batch->forgotten = batch->resealed = 0;
	buf_reset(&batch->blobs);
	for (size_t i = 0; i < batch->len && rc == RC_OK && *err == 0; i++)
		rc = record_apply(store, txn, batch, batch->seqs[i], err, why);
	return rc;
}
