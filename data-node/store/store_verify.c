/*
 * Store verify: read everything, name each fault.
 *
 * The log pass opens every record and looks for what must stand about it in
 * the derived databases; the count pass walks those and finds what should not
 * be there.  Each step is a short transaction, so a serving store goes on; what
 * came after the start is left to the next run.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "store/store_clock_internal.h"
#include "store/store_pages.h"
#include "store/store_vector.h"

#define STEP_RECORDS 2000
#define FAULT_BYTES 320

struct verify {
	struct store *store;
	store_fault_fn *report;
	void *ctx;
	struct store_verified out;
	uint64_t last_seq; /* the log's last record at the start */
	uint64_t next_seq; /* of the log pass */
	uint64_t current, indexed, spans, superseded, past, moved;
	bool no_memory; /* what cannot be read for want of it is no fault: give up */
	struct buf scratch;
	struct arena arena;
	struct recent recent; /* as the transaction of this step sees it */
};

static void fault(struct verify *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void fault(struct verify *v, const char *fmt, ...)
{
	char text[FAULT_BYTES];
	va_list ap;

	if (v->no_memory)
		return;
	if (++v->out.faults > STORE_FAULTS_MAX || v->report == NULL)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	v->report(v->ctx, text);
}

static void page_fault(void *ctx, const char *text)
{
	fault(ctx, "%s", text);
}

/*
 * The last record that `txn` sees.  store_cursor() follows a commit a moment
 * later, so it may lag behind what a transaction reads.
 */
static int log_newest(const struct verify *v, MDB_txn *txn, uint64_t *seq)
{
	MDB_cursor *cursor = NULL;
	MDB_val key, value;

	*seq = 0;
	int err = mdb_cursor_open(txn, v->store->dbi[DB_LOG], &cursor);
	if (err != 0)
		return err;
	err = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
	if (err == 0 && key.mv_size == 8)
		*seq = store_get_be64(key.mv_data);
	mdb_cursor_close(cursor);
	return err == MDB_NOTFOUND ? 0 : err;
}

static enum rc read_newest(const struct verify *v, uint64_t *seq, struct errmsg *why)
{
	MDB_txn *txn = NULL;
	enum rc rc = store_read_begin(v->store, &txn, why);

	if (rc != RC_OK)
		return rc;
	int err = log_newest(v, txn, seq);
	store_read_end(v->store, txn);
	return err == 0 ? RC_OK : store_mdb_error(why, err, "the log cannot be read");
}

/* ---- the log and what belongs to each record ------------------------------ */

static bool key_there(struct verify *v, MDB_txn *txn, enum store_db db, void *bytes, size_t len)
{
	MDB_val key = { len, bytes }, value;

	return mdb_get(txn, v->store->dbi[db], &key, &value) == 0;
}

static void check_current(
    struct verify *v, MDB_txn *txn, const struct observation *obs, const struct store_entry *entry)
{
	uint8_t time[STORE_TIME_KEY_BYTES], span[STORE_SPAN_KEY_BYTES];

	v->current++;
	if (obs->tombstone)
		return;
	v->indexed++;
	store_time_key(entry, time);
	if (!key_there(v, txn, DB_TIME, time, sizeof(time)))
		fault(v, "time: no entry for seq %" PRIu64, obs->seq);
	if (entry->t1_ns == entry->t0_ns)
		return;
	v->spans++;
	store_span_key(entry, span);
	if (!key_there(v, txn, DB_SPAN, span, sizeof(span)))
		fault(v, "span: no entry for seq %" PRIu64, obs->seq);
}

/* The entry in `past` says by whom; its key starts like the span key. */
static void check_past(
    struct verify *v, MDB_txn *txn, const struct observation *obs, const struct store_entry *entry)
{
	uint8_t bytes[STORE_PAST_KEY_BYTES];
	MDB_val key = { sizeof(bytes), bytes }, value;
	MDB_cursor *cursor = NULL;
	struct store_entry found = { 0 };

	v->past++;
	store_past_key(entry, bytes);
	int err = mdb_cursor_open(txn, v->store->dbi[DB_PAST], &cursor);
	if (err == 0)
		err = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	v->no_memory = err == ENOMEM;
	if (err != 0 || store_entry_parse(DB_PAST, &key, &found) != RC_OK ||
	    memcmp(key.mv_data, bytes, STORE_SPAN_KEY_BYTES) != 0 || found.by_seq <= obs->seq)
		fault(v, "past: no entry for seq %" PRIu64, obs->seq);
	if (cursor != NULL)
		mdb_cursor_close(cursor);
}

/* Also of a forgotten one: a re-upload of it is known by this. */
static void check_seen(struct verify *v, MDB_txn *txn, const struct observation *obs)
{
	uint8_t version[OBS_ID_BYTES];
	uint64_t seq = 0;

	v->superseded++;
	store_hash_version(v->store, obs->obs_id, obs->content_hash, version);
	if (store_seq_get(v->store, txn, DB_SEEN, version, &seq) != 0 || seq != obs->seq)
		fault(v, "seen: no entry for seq %" PRIu64, obs->seq);
}

static void check_superseded(
    struct verify *v, MDB_txn *txn, const struct observation *obs, const struct store_entry *entry)
{
	if (!obs->tombstone)
		check_past(v, txn, obs, entry);
	check_seen(v, txn, obs);
}

static void check_references(struct verify *v, MDB_txn *txn, const struct observation *obs)
{
	uint8_t ref[STORE_BLOBREF_KEY_BYTES];

	for (size_t i = 0; i < obs->blobs_len; i++) {
		store_blobref_key(v->store, obs->blobs[i], obs->seq, ref);
		if (!key_there(v, txn, DB_BLOBREF, ref, sizeof(ref)))
			fault(v, "blobref: no entry for seq %" PRIu64, obs->seq);
	}
}

/* ---- clock maps -------------------------------------------------------------- */

struct moves {
	struct verify *v;
	MDB_txn *txn;
	const struct observation *obs;
	struct store_clock_row last;
	bool any;
};

/* A placement that another one followed stands in `past`. */
static bool check_move(void *ctx, uint64_t since, const struct store_clock_row *row)
{
	struct moves *m = ctx;
	uint8_t bytes[STORE_PAST_KEY_BYTES];
	struct store_entry entry;

	if (m->any && !m->obs->tombstone) {
		store_entry_at(&m->last.place, m->last.layer, m->obs->seq, &entry);
		entry.by_seq = since;
		store_past_key(&entry, bytes);
		m->v->moved++;
		if (!key_there(m->v, m->txn, DB_PAST, bytes, sizeof(bytes)))
			fault(m->v, "past: no entry for where seq %" PRIu64 " lay", m->obs->seq);
	}
	m->last = *row;
	m->any = true;
	return true;
}

static void check_place(struct verify *v, MDB_txn *txn, const struct observation *obs)
{
	struct moves m = { .v = v, .txn = txn, .obs = obs };
	MDB_cursor *cursor = NULL;

	if (obs->clock_id[0] == '\0')
		return;
	int err = mdb_cursor_open(txn, v->store->dbi[DB_CLOCKMAP], &cursor);
	if (err == 0)
		err = store_clock_rows(cursor, obs->seq, check_move, &m);
	v->no_memory = err == ENOMEM;
	if (err != 0)
		fault(v, "clockmap: the place of seq %" PRIu64 " cannot be read", obs->seq);
	else if (m.any && (m.last.dev_t0_ns != obs->dev_t0_ns || m.last.layer != obs->layer))
		fault(v, "clockmap: the place of seq %" PRIu64 " is another record's", obs->seq);
	if (cursor != NULL)
		mdb_cursor_close(cursor);
}

static void check_record(struct verify *v, MDB_txn *txn, uint64_t seq, const MDB_val *value)
{
	struct errmsg why = ERRMSG_INIT;
	uint8_t obs_id[OBS_ID_BYTES], content[OBS_ID_BYTES];
	struct observation obs;
	uint64_t newest = 0;

	arena_reset(&v->arena);
	uint64_t next_since;
	enum rc rc = store_record_open(v->store, seq, value, &v->scratch, &v->arena, &obs, &why);
	if (rc == RC_OK)
		rc = store_clock_fill(v->store, txn, UINT64_MAX, &obs, &next_since, &why);
	v->no_memory = rc == RC_NOMEM;
	if (rc != RC_OK) {
		fault(v, "%s", errmsg_text(&why, rc));
		return;
	}
	store_hash(v->store, &obs, obs_id, content);
	if (!obs.tombstone && (memcmp(obs_id, obs.obs_id, OBS_ID_BYTES) != 0 ||
				  memcmp(content, obs.content_hash, OBS_ID_BYTES) != 0))
		fault(v, "log seq %" PRIu64 ": its content and its id disagree", seq);
	if (obs.supersedes_seq >= seq)
		fault(v, "log seq %" PRIu64 ": supersedes a later record", seq);
	check_place(v, txn, &obs);
	struct store_entry entry = store_entry_of(&obs, seq);
	check_references(v, txn, &obs);
	if (store_id_find(v->store, txn, &v->recent, obs.obs_id, &newest) != 0)
		fault(v, "dedup: no entry for seq %" PRIu64, seq);
	else if (newest == seq)
		check_current(v, txn, &obs, &entry);
	else if (newest > seq)
		check_superseded(v, txn, &obs, &entry);
	else
		fault(v, "dedup: seq %" PRIu64 " is newer than the entry of its id", seq);
}

static void check_log_step(struct verify *v, MDB_txn *txn, MDB_cursor *cursor, bool *done)
{
	int64_t begin_ns = clock_mono_ns();
	uint8_t bytes[8];
	MDB_val key = { sizeof(bytes), bytes }, value;

	store_put_be64(bytes, v->next_seq);
	int err = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	for (unsigned n = 0; n < STEP_RECORDS && err == 0; n++) {
		if (key.mv_size != 8) {
			fault(v, "log: a key has a wrong size");
			break;
		}
		uint64_t seq = store_get_be64(key.mv_data);
		if (seq > v->last_seq)
			break;
		if (seq != v->next_seq)
			fault(v, "log: seq %" PRIu64 " to %" PRIu64 " are missing", v->next_seq,
			    seq - 1);
		v->out.records++;
		check_record(v, txn, seq, &value);
		v->next_seq = seq + 1;
		if (v->no_memory) {
			*done = true;
			return;
		}
		if (clock_mono_ns() - begin_ns > STORE_READ_NS_MAX)
			return;
		err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
		if (err == 0 && n + 1 == STEP_RECORDS)
			return;
	}
	if (err != 0 && err != MDB_NOTFOUND)
		fault(v, "log: cannot be read at seq %" PRIu64 ": %s", v->next_seq,
		    mdb_strerror(err));
	if (v->next_seq <= v->last_seq)
		fault(
		    v, "log: seq %" PRIu64 " to %" PRIu64 " are missing", v->next_seq, v->last_seq);
	*done = true;
}

static enum rc check_log(struct verify *v, struct errmsg *why)
{
	bool done = v->last_seq == 0;

	v->next_seq = 1;
	while (!done) {
		MDB_cursor *cursor = NULL;
		MDB_txn *txn = NULL;
		enum rc rc = store_read_begin(v->store, &txn, why);
		if (rc != RC_OK)
			return rc;
		int err = store_id_load(v->store, txn, &v->recent);
		if (err == MDB_CORRUPTED) { /* no id would be found where it belongs */
			fault(v, "recent: its rows are no run of ids");
			done = true;
			err = 0;
		} else if (err == 0)
			err = mdb_cursor_open(txn, v->store->dbi[DB_LOG], &cursor);
		if (cursor != NULL) {
			check_log_step(v, txn, cursor, &done);
			mdb_cursor_close(cursor);
		}
		recent_fini(&v->recent);
		store_read_end(v->store, txn);
		if (err != 0)
			return store_mdb_error(why, err, "the log cannot be read");
	}
	return RC_OK;
}

/* ---- the derived databases by themselves ----------------------------------- */

struct walk {
	enum store_db db;
	uint64_t newest; /* the log's last record as the same transaction sees it */
	uint8_t last[64];
	size_t last_len;
	uint64_t entries;
	bool done;
};

static void check_entry(struct verify *v, struct walk *w, const MDB_val *key, const MDB_val *value)
{
	struct store_entry entry = { 0 };
	bool hash = w->db == DB_DEDUP || w->db == DB_SEEN;

	w->entries++;
	if (hash ? key->mv_size != OBS_ID_BYTES || value->mv_size != 8
		 : store_entry_parse(w->db, key, &entry) != RC_OK || value->mv_size != 0) {
		fault(v, "%s: entry %" PRIu64 " is malformed", store_db_name(w->db), w->entries);
		return;
	}
	uint64_t seq = hash ? store_get_be64(value->mv_data) : entry.seq;
	if (seq == 0 || seq > w->newest || entry.by_seq > w->newest)
		fault(v, "%s: entry %" PRIu64 " refers to seq %" PRIu64 ", which is not in the log",
		    store_db_name(w->db), w->entries, seq);
}

static int walk_step(struct verify *v, struct walk *w, MDB_cursor *cursor)
{
	MDB_val key = { w->last_len, w->last }, value;
	int err =
	    mdb_cursor_get(cursor, &key, &value, w->last_len == 0 ? MDB_FIRST : MDB_SET_RANGE);

	if (err == 0 && w->last_len == key.mv_size &&
	    memcmp(key.mv_data, w->last, w->last_len) == 0 && w->last_len != 0)
		err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	for (unsigned n = 0; n < STEP_RECORDS && err == 0; n++) {
		check_entry(v, w, &key, &value);
		if (key.mv_size > sizeof(w->last))
			return MDB_CORRUPTED;
		memcpy(w->last, key.mv_data, key.mv_size);
		w->last_len = key.mv_size;
		if (n + 1 < STEP_RECORDS)
			err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	if (err == MDB_NOTFOUND) {
		w->done = true;
		return 0;
	}
	return err;
}

static enum rc check_walk(struct verify *v, struct walk *w, struct errmsg *why)
{
	while (!w->done) {
		MDB_cursor *cursor = NULL;
		MDB_txn *txn = NULL;
		enum rc rc = store_read_begin(v->store, &txn, why);
		if (rc != RC_OK)
			return rc;
		int err = log_newest(v, txn, &w->newest);
		if (err == 0)
			err = mdb_cursor_open(txn, v->store->dbi[w->db], &cursor);
		if (err == 0) {
			err = walk_step(v, w, cursor);
			mdb_cursor_close(cursor);
		}
		store_read_end(v->store, txn);
		if (err == ENOMEM)
			return RC_NOMEM;
		if (err != 0) {
			fault(v, "%s: cannot be read behind entry %" PRIu64 ": %s",
			    store_db_name(w->db), w->entries, mdb_strerror(err));
			return RC_OK;
		}
	}
	return RC_OK;
}

struct newer {
	struct verify *v;
	MDB_txn *txn;
	uint64_t n;
};

static int count_new(void *ctx, const uint8_t id[OBS_ID_BYTES], uint64_t seq)
{
	struct newer *newer = ctx;
	uint64_t older;

	(void)seq;
	int err = store_seq_get(newer->v->store, newer->txn, DB_DEDUP, id, &older);
	newer->n += err == MDB_NOTFOUND;
	return err == MDB_NOTFOUND ? 0 : err;
}

/* How many ids are in `recent` alone. */
static enum rc count_recent(struct verify *v, uint64_t *out, struct errmsg *why)
{
	struct newer newer = { .v = v };
	struct recent recent = { 0 };

	enum rc rc = store_read_begin(v->store, &newer.txn, why);
	if (rc != RC_OK)
		return rc;
	int err = store_id_load(v->store, newer.txn, &recent);
	for (size_t i = 0; i < recent_chains(&recent) && err == 0; i++)
		err = recent_each(&recent, i, count_new, &newer);
	store_read_end(v->store, newer.txn);
	recent_fini(&recent);
	*out = newer.n;
	return err == 0 ? RC_OK : store_mdb_error(why, err, "the recent ids cannot be read");
}

static enum rc check_indexes(struct verify *v, struct errmsg *why)
{
	static const enum store_db dbs[] = { DB_TIME, DB_SPAN, DB_PAST, DB_DEDUP, DB_SEEN };
	uint64_t entries[DB_COUNT] = { 0 };

	for (size_t i = 0; i < sizeof(dbs) / sizeof(dbs[0]); i++) {
		struct walk w = { .db = dbs[i] };
		enum rc rc = check_walk(v, &w, why);
		if (rc != RC_OK)
			return rc;
		entries[dbs[i]] = w.entries;
	}
	uint64_t newest = 0, recent = 0;
	enum rc rc = count_recent(v, &recent, why);
	entries[DB_DEDUP] += recent;
	v->out.time_entries = entries[DB_TIME];
	v->out.dedup_entries = entries[DB_DEDUP];
	if (rc == RC_OK)
		rc = read_newest(v, &newest, why);
	if (rc != RC_OK || v->out.faults != 0 || newest != v->last_seq)
		return rc; /* counts only compare in a store at rest */
	const struct {
		enum store_db db;
		uint64_t want;
	} counts[] = { { DB_TIME, v->indexed }, { DB_DEDUP, v->current }, { DB_SPAN, v->spans },
		{ DB_PAST, v->past + v->moved }, { DB_SEEN, v->superseded } };
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		if (entries[counts[i].db] != counts[i].want)
			fault(v, "%s: %" PRIu64 " entries where the log asks for %" PRIu64,
			    store_db_name(counts[i].db), entries[counts[i].db], counts[i].want);
	}
	return RC_OK;
}

static enum rc check_digests(struct verify *v, struct errmsg *why)
{
	uint64_t bad = 0;
	enum rc rc = store_digest_verify(v->store, &bad, why);

	if (bad > 0)
		fault(v, "digest: %" PRIu64 " rows do not open: a rebuild makes them again", bad);
	return rc;
}

static bool pass_over(void *ctx, uint64_t seq, const uint8_t *bytes, size_t len)
{
	(void)ctx;
	(void)seq;
	(void)bytes;
	(void)len;
	return true;
}

static enum rc check_vectors(struct verify *v, struct errmsg *why)
{
	uint64_t bad = 0;
	enum rc rc = store_vector_scan(v->store, pass_over, NULL, &bad, why);

	if (bad > 0)
		fault(v, "vector: %" PRIu64 " rows do not open: a rebuild makes them again", bad);
	return rc;
}

static enum rc check_snapshot(struct verify *v, struct errmsg *why)
{
	uint64_t bad = 0;
	enum rc rc = store_snapshot_verify(v->store, &bad, why);

	if (bad > 0)
		fault(v, "snapshot: %" PRIu64 " parts do not open: a start makes it again", bad);
	return rc;
}

enum rc store_verify(struct store *store, store_fault_fn *report, void *ctx,
    struct store_verified *out, struct errmsg *why)
{
	struct verify v = { .store = store, .report = report, .ctx = ctx };

	buf_init(&v.scratch, OBS_RECORD_BYTES_MAX);
	arena_init(&v.arena, STORE_PAGE_ARENA_BYTES);
	enum rc rc = store_pages_check(store, page_fault, &v, &v.out.pages, why);
	/* Broken pages would lead the database library astray: stop there. */
	if (rc == RC_OK && v.out.faults == 0)
		rc = read_newest(&v, &v.last_seq, why);
	if (rc == RC_OK && v.out.faults == 0)
		rc = check_log(&v, why);
	if (rc == RC_OK && v.no_memory)
		rc = errmsg_rc(why, RC_NOMEM, "no memory to verify the timeline");
	if (rc == RC_OK && v.out.faults == 0)
		rc = check_indexes(&v, why);
	if (rc == RC_OK && v.out.faults == 0)
		rc = check_digests(&v, why);
	if (rc == RC_OK && v.out.faults == 0)
		rc = check_vectors(&v, why);
	if (rc == RC_OK && v.out.faults == 0)
		rc = check_snapshot(&v, why);
	if (rc == RC_OK)
		rc = store_blob_verify(store, page_fault, &v, &v.out.blobs, why);
	buf_fini(&v.scratch);
	arena_fini(&v.arena);
	if (out != NULL)
		*out = v.out;
	if (rc == RC_OK && v.out.faults > 0)
		rc = errmsg_rc(why, RC_CORRUPT, "%" PRIu64 " faults in the timeline", v.out.faults);
	return rc;
}
