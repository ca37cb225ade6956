/*
 * Store rebuild: what each derived database is made of, and the passes over it.
 *
 * First the log is read once, in order; of every record a small row goes to a
 * sorter by (obs_id, seq).  Read back, the versions of one observation stand
 * together, so each knows its successor.  From them every database makes its
 * entries, which are sorted and appended.
 */
#include "store/store_rebuild.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "store/sorter.h"
#include "store/store_bundle.h"
#include "store/store_clock_internal.h"

#define MARK_KEY "rebuild"
#define BATCH_ROWS ((size_t)1 << 15) /* entries a transaction */
#define SORT_BYTES (STORE_REBUILD_MEMORY_BYTES / 7)
#define PROGRESS_NS (NS_PER_S / 10)

/* One record of the log as its entries need it. */
struct version {
	uint8_t obs_id[OBS_ID_BYTES];
	uint8_t hash[OBS_ID_BYTES]; /* of id and content: the key of `seen` */
	struct store_entry entry;   /* by_seq: its successor; 0: it is the current one */
	bool tombstone;
};

#define VERSION_ROW_BYTES ((size_t)58)

struct rebuild {
	struct store *store;
	store_progress_fn *progress;
	void *ctx;
	uint64_t done, total;
	int64_t shown_ns;
	bool maps_missing, names_clock;
	struct sorter *versions, *entries[DB_COUNT];
	struct store_rebuilt out;
};

/* ---- the derived databases ------------------------------------------------------- */

/* The entry of a version in a database, key and value in one row; false: none. */
typedef bool derive_fn(const struct version *v, uint8_t *row);

static bool derive_time(const struct version *v, uint8_t *row)
{
	if (v->entry.by_seq != 0 || v->tombstone)
		return false;
	store_time_key(&v->entry, row);
	return true;
}

static bool derive_span(const struct version *v, uint8_t *row)
{
	if (v->entry.by_seq != 0 || v->tombstone || v->entry.t0_ns == v->entry.t1_ns)
		return false;
	store_span_key(&v->entry, row);
	return true;
}

static bool derive_past(const struct version *v, uint8_t *row)
{
	if (v->entry.by_seq == 0 || v->tombstone)
		return false;
	store_past_key(&v->entry, row);
	return true;
}

static bool derive_dedup(const struct version *v, uint8_t *row)
{
	if (v->entry.by_seq != 0)
		return false;
	memcpy(row, v->obs_id, OBS_ID_BYTES);
	store_put_be64(row + OBS_ID_BYTES, v->entry.seq);
	return true;
}

static bool derive_seen(const struct version *v, uint8_t *row)
{
	if (v->entry.by_seq == 0)
		return false;
	memcpy(row, v->hash, OBS_ID_BYTES);
	store_put_be64(row + OBS_ID_BYTES, v->entry.seq);
	return true;
}

/*
 * A derived database, and how it is remade.  Without `derive` its rows come as
 * the log is read; without sizes it is dropped alone: whoever keeps it fills it
 * again as it is asked for.
 */
static const struct derived {
	enum store_db db;
	size_t key_bytes, value_bytes;
	derive_fn *derive;
} derived[] = {
	{ DB_TIME, STORE_TIME_KEY_BYTES, 0, derive_time },
	{ DB_SPAN, STORE_SPAN_KEY_BYTES, 0, derive_span },
	{ DB_PAST, STORE_PAST_KEY_BYTES, 0, derive_past },
	{ DB_DEDUP, OBS_ID_BYTES, 8, derive_dedup },
	{ DB_RECENT, 0, 0, NULL }, /* all of them are in `dedup` */
	{ DB_SEEN, OBS_ID_BYTES, 8, derive_seen },
	{ DB_DIRTY, 0, 0, NULL },
	{ DB_BLOBREF, STORE_BLOBREF_KEY_BYTES, 0, NULL },
	{ DB_SLICE, 0, 0, NULL }, /* these two by their builder, which begins anew */
	{ DB_EPISODE, 0, 0, NULL },
};

#define DERIVED_LEN (sizeof(derived) / sizeof(derived[0]))

/* ---- the mark, and the drop --------------------------------------------------------- */

static MDB_val mark_key(void)
{
	static char name[] = MARK_KEY;

	return (MDB_val){ sizeof(name) - 1, name };
}

int store_rebuild_mark(struct store *store, MDB_txn *txn)
{
	uint8_t begun[1] = { 1 };
	MDB_val key = mark_key(), value = { sizeof(begun), begun };

	return mdb_put(txn, store->dbi[DB_META], &key, &value, 0);
}

enum rc store_rebuild_marked(struct store *store, bool *out, struct errmsg *why)
{
	MDB_val key = mark_key(), value;
	MDB_txn *txn = NULL;

	enum rc rc = store_read_begin(store, &txn, why);
	if (rc != RC_OK)
		return rc;
	int err = mdb_get(txn, store->dbi[DB_META], &key, &value);
	store_read_end(store, txn);
	*out = err == 0;
	return err == 0 || err == MDB_NOTFOUND ? RC_OK
					       : store_mdb_error(why, err, "meta cannot be read");
}

/* A write transaction is tried again in a larger map when it does not fit. */
typedef int write_fn(struct rebuild *r, MDB_txn *txn, void *ctx);

static enum rc write_txn(struct rebuild *r, write_fn *fn, void *ctx, struct errmsg *why)
{
	for (;;) {
		MDB_txn *txn = NULL;
		int err = mdb_txn_begin(r->store->env, NULL, 0, &txn);
		if (err == 0) {
			err = fn(r, txn, ctx);
			if (err == 0)
				err = mdb_txn_commit(txn);
			else
				mdb_txn_abort(txn);
		}
		if (err == 0)
			return RC_OK;
		if (err != MDB_MAP_FULL)
			return store_mdb_error(why, err, "the rebuild cannot write");
		enum rc rc = store_map_grow(r->store, why);
		if (rc != RC_OK)
			return rc;
	}
}

static int drop_all(struct rebuild *r, MDB_txn *txn, void *ctx)
{
	int err = store_rebuild_mark(r->store, txn);

	(void)ctx;
	for (size_t i = 0; i < DERIVED_LEN && err == 0; i++)
		err = mdb_drop(txn, r->store->dbi[derived[i].db], 0);
	if (err == 0)
		err = store_bundle_drop_all(r->store, txn);
	if (err == 0)
		err = store_digest_drop_all(r->store, txn);
	if (err == 0)
		err = store_vector_drop_all(r->store, txn);
	if (err == 0)
		err = store_snapshot_drop_all(r->store, txn);
	return err;
}

static int unmark(struct rebuild *r, MDB_txn *txn, void *ctx)
{
	MDB_val key = mark_key();

	(void)ctx;
	return mdb_del(txn, r->store->dbi[DB_META], &key, NULL);
}

/* ---- reading the log ------------------------------------------------------------------ */

static enum rc step(struct rebuild *r, uint64_t n, struct errmsg *why)
{
	int64_t now_ns = clock_mono_ns();

	r->done += n;
	if (r->progress == NULL || (r->done < r->total && now_ns - r->shown_ns < PROGRESS_NS))
		return RC_OK;
	r->shown_ns = now_ns;
	return r->progress(r->ctx, r->done, r->total)
		   ? RC_OK
		   : errmsg_rc(why, RC_CANCELLED,
			 "the rebuild was broken off: it is finished when the node next starts");
}

static void version_pack(const struct version *v, uint8_t row[VERSION_ROW_BYTES])
{
	memcpy(row, v->obs_id, OBS_ID_BYTES);
	store_put_be64(row + 16, v->entry.seq);
	row[24] = v->entry.layer;
	store_put_be64(row + 25, (uint64_t)v->entry.t0_ns);
	store_put_be64(row + 33, (uint64_t)v->entry.t1_ns);
	row[41] = v->tombstone;
	memcpy(row + 42, v->hash, OBS_ID_BYTES);
}

static void version_unpack(const uint8_t row[VERSION_ROW_BYTES], struct version *v)
{
	memcpy(v->obs_id, row, OBS_ID_BYTES);
	v->entry = (struct store_entry){
		.layer = row[24],
		.t0_ns = (int64_t)store_get_be64(row + 25),
		.t1_ns = (int64_t)store_get_be64(row + 33),
		.seq = store_get_be64(row + 16),
	};
	v->tombstone = row[41] != 0;
	memcpy(v->hash, row + 42, OBS_ID_BYTES);
}

struct reading {
	struct rebuild *rebuild;
	struct errmsg *why;
	uint64_t last_seq;
	enum rc rc;
};

/* Where a clock map had it before it was moved; its entries of then. */
struct moving {
	struct rebuild *rebuild;
	struct errmsg *why;
	uint64_t seq;
	struct store_clock_row last;
	bool any;
	enum rc rc;
};

static bool take_move(void *ctx, uint64_t since, const struct store_clock_row *row)
{
	struct moving *m = ctx;
	uint8_t bytes[STORE_PAST_KEY_BYTES];
	struct store_entry entry;

	if (m->any) {
		store_entry_at(&m->last.place, m->last.layer, m->seq, &entry);
		entry.by_seq = since;
		store_past_key(&entry, bytes);
		m->rc = sorter_put(m->rebuild->entries[DB_PAST], bytes, m->why);
	}
	m->last = *row;
	m->any = true;
	return m->rc == RC_OK;
}

static enum rc take_moves(struct rebuild *r, const struct observation *obs, struct errmsg *why)
{
	struct moving m = { .rebuild = r, .why = why, .seq = obs->seq };
	MDB_cursor *cursor = NULL;
	MDB_txn *txn = NULL;

	if (obs->clock_id[0] == '\0' || obs->tombstone)
		return RC_OK;
	enum rc rc = store_read_begin(r->store, &txn, why);
	if (rc != RC_OK)
		return rc;
	int err = mdb_cursor_open(txn, r->store->dbi[DB_CLOCKMAP], &cursor);
	if (err == 0) {
		err = store_clock_rows(cursor, obs->seq, take_move, &m);
		mdb_cursor_close(cursor);
	}
	store_read_end(r->store, txn);
	return err == 0 ? m.rc : store_mdb_error(why, err, "the clock maps cannot be read");
}

static bool take_record(void *ctx, const struct observation *obs)
{
	struct reading *reading = ctx;
	struct rebuild *r = reading->rebuild;
	struct version v = { .entry = store_entry_of(obs, obs->seq), .tombstone = obs->tombstone };
	uint8_t row[VERSION_ROW_BYTES];

	if (r->maps_missing && obs->clock_id[0] != '\0' && !obs->tombstone) {
		r->names_clock = true;
		return false; /* again, once there are maps */
	}
	memcpy(v.obs_id, obs->obs_id, OBS_ID_BYTES);
	store_hash_version(r->store, obs->obs_id, obs->content_hash, v.hash);
	version_pack(&v, row);
	r->out.records++;
	r->out.unreadable += obs->seq - reading->last_seq - 1;
	reading->rc = sorter_put(r->versions, row, reading->why);
	for (size_t i = 0; i < obs->blobs_len && reading->rc == RC_OK; i++) {
		uint8_t ref[STORE_BLOBREF_KEY_BYTES];
		store_blobref_key(r->store, obs->blobs[i], obs->seq, ref);
		reading->rc = sorter_put(r->entries[DB_BLOBREF], ref, reading->why);
	}
	if (reading->rc == RC_OK)
		reading->rc = take_moves(r, obs, reading->why);
	if (reading->rc == RC_OK)
		reading->rc = step(r, obs->seq - reading->last_seq, reading->why);
	reading->last_seq = obs->seq;
	return reading->rc == RC_OK;
}

static enum rc read_log(struct rebuild *r, struct errmsg *why)
{
	struct reading reading = { .rebuild = r, .why = why };
	struct errmsg detail = ERRMSG_INIT;

	enum rc rc = store_scan_log(r->store, 0, 0, take_record, &reading, &detail);
	if (reading.rc != RC_OK)
		return reading.rc;
	if (rc != RC_OK && rc != RC_CORRUPT)
		return errmsg_rc(why, rc, "%s", errmsg_text(&detail, rc));
	r->out.unreadable += store_cursor(r->store) - reading.last_seq;
	r->out.records += r->out.unreadable;
	return RC_OK;
}

/* ---- making the entries ------------------------------------------------------------------ */

static enum rc derive_all(struct rebuild *r, const struct version *v, struct errmsg *why)
{
	uint8_t row[SORTER_ROW_BYTES_MAX];
	enum rc rc = RC_OK;

	for (size_t i = 0; i < DERIVED_LEN && rc == RC_OK; i++) {
		if (derived[i].derive != NULL && derived[i].derive(v, row))
			rc = sorter_put(r->entries[derived[i].db], row, why);
	}
	return rc == RC_OK ? step(r, 1, why) : rc;
}

/* A version is known in full once the next one has been seen. */
static enum rc read_versions(struct rebuild *r, struct errmsg *why)
{
	struct version last = { .entry = { 0 } }, v;
	const uint8_t *row;
	bool any = false;
	enum rc rc;

	while ((rc = sorter_next(r->versions, &row, why)) == RC_OK) {
		version_unpack(row, &v);
		if (any && memcmp(v.obs_id, last.obs_id, OBS_ID_BYTES) == 0)
			last.entry.by_seq = v.entry.seq;
		if (any)
			rc = derive_all(r, &last, why);
		if (rc != RC_OK)
			return rc;
		last = v;
		any = true;
	}
	if (rc != RC_NOTFOUND)
		return rc;
	return any ? derive_all(r, &last, why) : RC_OK;
}

struct batch {
	const struct derived *derived;
	uint8_t *rows; /* [len][key and value] */
	size_t len;
};

/* Of rows with the same key the last one stays, as when they are put. */
static int batch_append(struct rebuild *r, MDB_txn *txn, void *ctx)
{
	const struct batch *batch = ctx;
	const struct derived *d = batch->derived;
	size_t bytes = d->key_bytes + d->value_bytes;
	int err = 0;

	for (size_t i = 0; i < batch->len && err == 0; i++) {
		uint8_t *row = batch->rows + i * bytes;
		MDB_val key = { d->key_bytes, row }, value = { d->value_bytes, row + d->key_bytes };
		err = mdb_put(txn, r->store->dbi[d->db], &key, &value, MDB_APPEND);
		if (err == MDB_KEYEXIST)
			err = mdb_put(txn, r->store->dbi[d->db], &key, &value, 0);
	}
	return err;
}

static enum rc batch_write(struct rebuild *r, struct batch *batch, struct errmsg *why)
{
	size_t bytes = batch->derived->key_bytes + batch->derived->value_bytes;

	enum rc rc = store_room_check(r->store, batch->len * bytes, why);
	if (rc == RC_OK)
		rc = write_txn(r, batch_append, batch, why);
	if (rc == RC_OK)
		rc = step(r, batch->len, why);
	r->out.entries += batch->len;
	batch->len = 0;
	return rc;
}

static enum rc fill(struct rebuild *r, const struct derived *d, struct errmsg *why)
{
	size_t bytes = d->key_bytes + d->value_bytes;
	struct batch batch = { .derived = d, .rows = malloc(BATCH_ROWS * bytes) };
	const uint8_t *row;
	enum rc rc = RC_OK;

	if (batch.rows == NULL)
		return RC_NOMEM;
	while (rc == RC_OK && (rc = sorter_next(r->entries[d->db], &row, why)) == RC_OK) {
		memcpy(batch.rows + batch.len++ * bytes, row, bytes);
		if (batch.len == BATCH_ROWS)
			rc = batch_write(r, &batch, why);
	}
	if (rc == RC_NOTFOUND)
		rc = batch.len > 0 ? batch_write(r, &batch, why) : RC_OK;
	free(batch.rows);
	return rc;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static enum rc sorters_open(struct rebuild *r, struct errmsg *why)
{
	enum rc rc = sorter_new(r->store->dir, VERSION_ROW_BYTES, SORT_BYTES, &r->versions, why);

	for (size_t i = 0; i < DERIVED_LEN && rc == RC_OK; i++) {
		if (derived[i].key_bytes > 0)
			rc =
			    sorter_new(r->store->dir, derived[i].key_bytes + derived[i].value_bytes,
				SORT_BYTES, &r->entries[derived[i].db], why);
	}
	return rc;
}

static void sorters_close(struct rebuild *r)
{
	sorter_free(r->versions);
	for (size_t i = 0; i < DERIVED_LEN; i++)
		sorter_free(r->entries[derived[i].db]);
}

/* The log names a clock, and there are no maps: those first, then from the start. */
static enum rc remake_maps(struct rebuild *r, struct errmsg *why)
{
	enum rc rc = store_clock_replay(r->store, why);

	sorters_close(r);
	r->versions = NULL;
	memset(r->entries, 0, sizeof(r->entries));
	r->out = (struct store_rebuilt){ 0 };
	r->done = 0;
	r->maps_missing = r->names_clock = false;
	if (rc == RC_OK)
		rc = sorters_open(r, why);
	return rc == RC_OK ? read_log(r, why) : rc;
}

enum rc store_rebuild_run(struct store *store, store_progress_fn *progress, void *ctx,
    struct store_rebuilt *out, struct errmsg *why)
{
	/* Each record is read, told its successor and written, about once each. */
	struct rebuild r = { .store = store, .progress = progress, .ctx = ctx };

	r.total = 4 * store_cursor(store);
	enum rc rc = sorters_open(&r, why);
	if (rc == RC_OK)
		rc = write_txn(&r, drop_all, NULL, why);
	r.maps_missing = rc == RC_OK && store_clock_missing(store);
	if (rc == RC_OK)
		rc = read_log(&r, why);
	if (rc == RC_OK && r.names_clock)
		rc = remake_maps(&r, why);
	if (rc == RC_OK)
		rc = read_versions(&r, why);
	atomic_store(&store->built_ns, OBS_TIME_MIN_NS);
	for (size_t i = 0; i < DERIVED_LEN && rc == RC_OK; i++) {
		if (derived[i].key_bytes > 0)
			rc = fill(&r, &derived[i], why);
	}
	if (rc == RC_OK)
		rc = write_txn(&r, unmark, NULL, why);
	sorters_close(&r);
	if (rc != RC_OK)
		return rc;
	if (progress != NULL)
		(void)progress(ctx, r.total, r.total);
	if (out != NULL)
		*out = r.out;
	return RC_OK;
}
