/*
 * Store bundles built: one marked day at a time, in steps.
 *
 * Writer thread, inside its transaction.  A day is walked along `time`; what
 * stands between the bundles it has is gathered into new ones.
 */
#include <stdlib.h>
#include <string.h>

#include "store/store_bundle.h"

#define ORIGINALS_BYTES_MAX ((size_t)4 << 20)

/* The day that is being built, with what has been gathered for a bundle. */
struct build {
	struct store *store;
	MDB_txn *txn;
	unsigned layer;
	int32_t day;
	MDB_cursor *time, *bundles;
	struct store_entry first, last; /* of what is gathered */
	struct bundle_writer writer;
	struct buf originals; /* the records as the log has them, one after the other */
	struct placement places[BUNDLE_RECORDS_MAX]; /* of them */
	struct buf scratch, plain, again;
	struct arena arena;
	size_t records; /* read in this step */
};

static void build_init(struct build *b, struct store *store, MDB_txn *txn)
{
	*b = (struct build){ .store = store, .txn = txn };
	bundle_writer_init(&b->writer);
	buf_init(&b->originals, ORIGINALS_BYTES_MAX);
	buf_init(&b->scratch, OBS_RECORD_BYTES_MAX);
	buf_init(&b->plain, BUNDLE_BYTES_MAX);
	buf_init(&b->again, OBS_RECORD_BYTES_MAX);
	arena_init(&b->arena, STORE_PAGE_ARENA_BYTES);
}

static void build_fini(struct build *b)
{
	bundle_writer_fini(&b->writer);
	buf_fini(&b->originals);
	buf_fini(&b->scratch);
	buf_fini(&b->plain);
	buf_fini(&b->again);
	arena_fini(&b->arena);
	if (b->time != NULL)
		mdb_cursor_close(b->time);
	if (b->bundles != NULL)
		mdb_cursor_close(b->bundles);
}

static void gather_reset(struct build *b)
{
	bundle_writer_reset(&b->writer);
	buf_reset(&b->originals);
}

/* Does the bundle give back every record byte for byte, and its place?  A field that this
 * format does not know keeps its record, and its neighbours, in the log alone. */
static bool is_faithful(struct build *b)
{
	struct bundle_reader reader;
	struct observation obs;
	size_t at = 0, n = 0;

	if (bundle_open(&reader, b->plain.bytes, b->plain.len, (enum layer)b->layer, NULL) != RC_OK)
		return false;
	while (bundle_next(&reader, &obs, NULL) == RC_OK) {
		buf_reset(&b->again);
		if (observation_encode(&obs, &b->again, NULL) != RC_OK ||
		    b->originals.len - at < b->again.len ||
		    memcmp(b->originals.bytes + at, b->again.bytes, b->again.len) != 0 ||
		    !placement_same(&obs.place, &b->places[n++]))
			return false;
		at += b->again.len;
	}
	return reader.spot.records_left == 0 && at == b->originals.len;
}

/* Seal what was gathered and begin anew. */
static enum rc gather_flush(struct build *b, int *err, struct errmsg *why)
{
	struct store *store = b->store;
	uint8_t first[STORE_TIME_KEY_BYTES], bytes[STORE_BUNDLE_SEAL_KEY_BYTES];
	MDB_val key = { sizeof(bytes), bytes }, value;

	if (b->writer.records_len < STORE_BUNDLE_RECORDS_MIN) {
		gather_reset(b);
		return RC_OK;
	}
	buf_reset(&b->plain);
	enum rc rc = bundle_finish(&b->writer, &b->plain);
	if (rc != RC_OK)
		return rc;
	if (is_faithful(b)) {
		store_bundle_seal_key(&b->first, &b->last, bytes);
		buf_reset(&store->sealed);
		buf_append(&store->sealed, bytes + STORE_TIME_KEY_BYTES, STORE_BUNDLE_PLAIN_BYTES);
		rc = store_seal(store, DB_BUNDLE, &key, b->day, b->layer, b->plain.bytes,
		    b->plain.len, &store->sealed, why);
		if (rc != RC_OK)
			return rc;
		store_time_key(&b->first, first);
		key = (MDB_val){ sizeof(first), first };
		value = (MDB_val){ store->sealed.len, store->sealed.bytes };
		*err = mdb_put(b->txn, store->dbi[DB_BUNDLE], &key, &value, 0);
		if (b->last.t0_ns > store->bundle_until_ns[b->layer])
			store->bundle_until_ns[b->layer] = b->last.t0_ns;
	}
	gather_reset(b);
	return RC_OK;
}

/* Can the record of `entry` stand in a bundle of this day? */
static bool fits(
    const struct build *b, const struct observation *obs, const struct store_entry *entry)
{
	struct store_entry same = store_entry_of(obs, obs->seq);

	return bundle_takes(obs) && b->scratch.len <= BUNDLE_RECORD_BYTES_MAX &&
	       obs->layer == (enum layer)entry->layer && same.t0_ns == entry->t0_ns &&
	       store_day(obs->dev_t0_ns) == b->day;
}

static enum rc gather(
    struct build *b, const struct store_entry *entry, int *err, struct errmsg *why)
{
	struct observation obs;
	size_t room = STORE_BUNDLE_VALUE_BYTES - STORE_BUNDLE_PLAIN_BYTES - STORE_SEAL_BYTES;

	arena_reset(&b->arena);
	b->records++;
	enum rc rc =
	    store_record_get(b->store, b->txn, entry->seq, &b->scratch, &b->arena, &obs, NULL);
	if (rc == RC_CORRUPT || rc == RC_NOTFOUND || (rc == RC_OK && !fits(b, &obs, entry)))
		return gather_flush(b, err, why);
	if (rc != RC_OK)
		return errmsg_rc(why, rc, "a record cannot be read");
	if (bundle_bytes(&b->writer) + b->scratch.len > room) {
		rc = gather_flush(b, err, why);
		if (rc != RC_OK || *err != 0)
			return rc;
	}
	if (bundle_add(&b->writer, &obs) == RC_LIMIT) {
		rc = gather_flush(b, err, why);
		if (rc == RC_OK && *err == 0)
			rc = bundle_add(&b->writer, &obs);
		if (rc != RC_OK || *err != 0)
			return rc;
	}
	if (b->writer.records_len == 1)
		b->first = *entry;
	b->last = *entry;
	b->places[b->writer.records_len - 1] = obs.place;
	buf_append(&b->originals, b->scratch.bytes, b->scratch.len);
	return buf_rc(&b->originals);
}

/* ---- a day ---------------------------------------------------------------------------- */

static int seek(MDB_cursor *cursor, const struct store_entry *entry, MDB_val *key, MDB_val *value)
{
	uint8_t bytes[STORE_TIME_KEY_BYTES];

	store_time_key(entry, bytes);
	*key = (MDB_val){ sizeof(bytes), bytes };
	return mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);
}

/* The first bundle at or behind `at`; seq 0: none in this layer. */
static enum rc bundle_behind(struct build *b, const struct store_entry *at,
    struct store_entry *first, struct store_entry *last, int *err)
{
	MDB_val key, value, sealed;

	*err = seek(b->bundles, at, &key, &value);
	first->seq = 0;
	if (*err == MDB_NOTFOUND)
		*err = 0;
	else if (*err == 0 && store_bundle_parse(&key, &value, first, last, &sealed) != RC_OK)
		return RC_CORRUPT;
	if (first->layer != b->layer)
		first->seq = 0;
	return RC_OK;
}

static struct store_entry behind(const struct store_entry *entry)
{
	struct store_entry next = *entry;

	next.seq++;
	return next;
}

/* Walk the day from `at`; it is moved behind what was done.  *done: to its end. */
static enum rc walk_day(
    struct build *b, struct store_entry *at, bool *done, int *err, struct errmsg *why)
{
	struct store_entry entry, first, last;
	MDB_val key, value;

	*done = false;
	enum rc rc = bundle_behind(b, at, &first, &last, err);
	if (rc == RC_OK && *err == 0)
		*err = seek(b->time, at, &key, &value);
	while (rc == RC_OK && *err == 0) {
		if (store_entry_parse(DB_TIME, &key, &entry) != RC_OK)
			return errmsg_rc(why, RC_CORRUPT, "time: a key is malformed");
		if (entry.layer != b->layer || store_day(entry.t0_ns) != b->day)
			break;
		if (first.seq != 0 && !store_entry_before(&entry, &first)) {
			*at = behind(&last);
			rc = gather_flush(b, err, why);
			if (rc == RC_OK && *err == 0)
				rc = bundle_behind(b, at, &first, &last, err);
			if (rc == RC_OK && *err == 0)
				*err = seek(b->time, at, &key, &value);
			continue;
		}
		size_t before = b->writer.records_len;
		rc = gather(b, &entry, err, why);
		if (rc != RC_OK || *err != 0)
			return rc;
		/* A step ends where a bundle did, so that none is cut short by it. */
		if (b->records >= STORE_BUNDLE_STEP_RECORDS && b->writer.records_len < before) {
			*at = b->writer.records_len == 0 ? behind(&entry) : b->first;
			return RC_OK;
		}
		*err = mdb_cursor_get(b->time, &key, &value, MDB_NEXT);
	}
	if (*err == MDB_NOTFOUND)
		*err = 0;
	if (rc == RC_OK && *err == 0)
		rc = gather_flush(b, err, why);
	*done = rc == RC_OK && *err == 0;
	return rc;
}

/* The oldest marked day before `before_day` of the first layer that has one. */
static int find_day(struct build *b, int32_t before_day, bool *found)
{
	MDB_val key, value;
	uint8_t bytes[2] = { 0, 1 };
	int err = 0;

	*found = false;
	for (unsigned layer = 1; layer <= LAYER_COUNT && err == 0 && !*found; layer++) {
		bytes[1] = (uint8_t)layer;
		key = (MDB_val){ sizeof(bytes), bytes };
		err = mdb_cursor_get(b->bundles, &key, &value, MDB_SET_RANGE);
		if (err == 0 && store_bundle_day_parse(&key, &b->layer, &b->day))
			*found = b->layer == layer && b->day < before_day;
	}
	return err == MDB_NOTFOUND ? 0 : err;
}

static bool resumes(const struct build *b, const struct store_bundle_progress *from)
{
	return from->at.seq != 0 && from->touches == b->store->bundle_touches &&
	       from->at.layer == b->layer && store_day(from->at.t0_ns) == b->day;
}

static enum rc step_days(
    struct build *b, struct store_bundle_progress *progress, int *err, struct errmsg *why)
{
	struct store *store = b->store;
	struct store_entry at;
	bool found = true;
	enum rc rc = RC_OK;

	while (b->records < STORE_BUNDLE_STEP_RECORDS) {
		*err = find_day(b, store_day(progress->before_ns), &found);
		if (*err != 0 || !found)
			break;
		if (b->day > store->bundle_built_day)
			store->bundle_built_day = b->day;
		at = (struct store_entry){ .layer = (uint8_t)b->layer,
			.t0_ns = (int64_t)b->day * NS_PER_DAY };
		if (resumes(b, progress))
			at = progress->at;
		bool done;
		rc = walk_day(b, &at, &done, err, why);
		if (rc != RC_OK || *err != 0)
			return rc;
		progress->at = at;
		progress->touches = store->bundle_touches;
		if (!done)
			break;
		progress->at.seq = 0;
		*err = store_bundle_unmark(store, b->txn, b->layer, b->day);
		if (*err != 0)
			return RC_OK;
	}
	progress->more = *err == 0 && found;
	return rc;
}

enum rc store_bundle_step(
    struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why)
{
	struct store_bundle_task *task = ctx;
	struct build *b = malloc(sizeof(*b));

	if (b == NULL)
		return RC_NOMEM;
	build_init(b, store, txn);
	task->out = task->in;
	task->out.more = false;
	*err = store_bundle_mark_all(store, txn);
	if (*err == 0)
		*err = mdb_cursor_open(txn, store->dbi[DB_TIME], &b->time);
	if (*err == 0)
		*err = mdb_cursor_open(txn, store->dbi[DB_BUNDLE], &b->bundles);
	enum rc rc = *err == 0 ? step_days(b, &task->out, err, why) : RC_OK;
	task->out.records = b->records;
	build_fini(b);
	free(b);
	return rc;
}

enum rc store_build_bundles(struct store *store, int64_t before_ns, struct errmsg *why)
{
	struct store_bundle_task task = { .out = { .before_ns = before_ns } };
	enum rc rc;

	do {
		task.in = task.out;
		rc = store_task_run(store, store_bundle_step, &task, why);
	} while (rc == RC_OK && task.out.more);
	return rc;
}
