/*
 * Store forget: the stages of one forgetting (store_forget.h).
 *
 *   mark    the record that says so, and in `meta` that it is under way
 *   select  which (day, layer) hold something that matches
 *   labels  which hold labels beside it
 *   memory  which hold facts that were read from it
 *   retire  their keys: from here on new records are sealed under new ones
 *   work    every record sealed under a retired key becomes a tombstone or is
 *           sealed anew, some hundred a transaction
 *   drop    the retired keys leave the keyring, which gets a fresh KEK
 *   unmark
 *
 * Each stage may be cut off at any instruction: the next open begins again with
 * select, which finds what is not a tombstone yet; the retired keys themselves
 * remember the days that were begun.
 */
#include "store/store_forget.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/store_forget_apply.h"
#include "store/store_internal.h"
#include "store/store_memory.h"

#define SELECT_RECORDS ((size_t)4096) /* looked at in one step */
#define LABEL_DAYS ((size_t)16)       /* likewise, for labels */
#define MEMORY_RECORDS ((size_t)256)  /* likewise, of memory */
#define MEMORY_BYTES_MAX ((size_t)64 << 20)
#define GATHER_RECORDS 65536u
#define RECORD_ROOM_BYTES ((uint64_t)48 << 10) /* pages that one record may take anew */
#define READERS_WAIT_NS (2 * NS_PER_S)
#define READERS_POLL_NS (5 * NS_PER_MS)

enum stage {
	STAGE_SELECT,
	STAGE_LABELS,
	STAGE_MEMORY,
	STAGE_RETIRE,
	STAGE_WORK,
	STAGE_DROP,
	STAGE_UNMARK,
	STAGE_DONE
};

struct store_forget_run {
	struct store *store;
	struct arena arena;        /* holds `forget` */
	struct observation forget; /* the record; seq 0: only keys are left to drop */
	struct store_forgotten done;
	enum stage stage;
	struct store_position pos; /* select: by time */
	uint64_t after_seq;        /* select: by seq; work */
	uint8_t *days;             /* [FORGET_DAYS] bit `layer`: select found something */
	uint8_t *near;             /* [FORGET_DAYS] 1: labels of this day go too */
	size_t near_at;            /* labels: the days before it are done */
	uint64_t number;           /* memory: so many are looked at */
	struct buf memory;         /* seqs of those that go, u64 each, rising */
	size_t batch_max;          /* smaller where there is little room */
	uint64_t upto_seq;         /* work: the last record that may be under an old key */
	struct store_forget_batch batch;
};

enum rc store_forget_check(const struct store_forget *what, struct errmsg *why)
{
	if (what->from_ns < OBS_TIME_MIN_NS || what->from_ns > OBS_TIME_MAX_NS)
		return errmsg_rc(why, RC_INVALID, "from: not within 1900 to 2200");
	if (what->to_ns < OBS_TIME_MIN_NS || what->to_ns > OBS_TIME_MAX_NS)
		return errmsg_rc(why, RC_INVALID, "to: not within 1900 to 2200");
	if (what->to_ns <= what->from_ns)
		return errmsg_rc(why, RC_INVALID, "to: must lie behind \"from\"");
	if ((what->layers & ~LAYER_MASK_ALL) != 0)
		return errmsg_rc(why, RC_INVALID, "layer: unknown");
	if (what->source != NULL &&
	    (what->source[0] == '\0' || strlen(what->source) > OBS_SOURCE_BYTES_MAX))
		return errmsg_rc(
		    why, RC_INVALID, "source: 1 to %zu bytes are allowed", OBS_SOURCE_BYTES_MAX);
	return RC_OK;
}

bool store_forget_matches(const struct observation *forget, const struct observation *obs)
{
	int64_t from_ns = forget->dev_t0_ns, to_ns = forget->dev_t1_ns;

	if (obs->tombstone || obs->seq >= forget->seq || observation_is_progress(obs) ||
	    observation_is_mark(obs) || (forget->forget_layers & LAYER_MASK(obs->layer)) == 0)
		return false;
	if (forget->source[0] != '\0' && strcmp(forget->source, obs->source) != 0)
		return false;
	struct store_entry entry = store_entry_of(obs, obs->seq);
	if (entry.t0_ns >= to_ns && to_ns < OBS_TIME_MAX_NS)
		return false;
	return entry.t0_ns >= from_ns || entry.t1_ns > from_ns;
}

bool store_forgetting(const struct store *store)
{
	return atomic_load(&store->forgetting);
}

bool store_forget_unfinished(const struct store *store)
{
	return store_forgetting(store) || keyring_each_retired(store->keyring, NULL, NULL) > 0;
}

uint64_t store_rewrites(const struct store *store)
{
	return atomic_load(&store->rewrites);
}

/* ---- select ----------------------------------------------------------------------- */

static struct store_range range_of(const struct observation *forget)
{
	return (struct store_range){
		.from_ns = forget->dev_t0_ns,
		.to_ns = forget->dev_t1_ns + (forget->dev_t1_ns == OBS_TIME_MAX_NS),
		.layers = forget->forget_layers,
		.source = forget->source[0] == '\0' ? NULL : forget->source,
		.all_versions = true,
	};
}

/* Without a bound in time the log is read in its own order: no index is faster. */
static bool is_bounded(const struct observation *forget)
{
	return forget->dev_t0_ns > OBS_TIME_MIN_NS || forget->dev_t1_ns < OBS_TIME_MAX_NS;
}

struct select {
	const struct observation *forget;
	uint8_t *days, *near; /* NULL: only count */
	uint64_t found, last_seq;
	size_t visited;
};

/* The days on which rules can have seen it, and those beside them: no rule looks
 * further, but for the roles of places, which are summed up over weeks. */
static void mark_near(uint8_t *near, const struct observation *obs)
{
	struct store_entry entry = store_entry_of(obs, obs->seq);
	size_t first = store_forget_day(store_day(entry.t0_ns));
	size_t last = store_forget_day(store_day(entry.t1_ns));

	first -= first > 0;
	last += last + 1 < FORGET_DAYS;
	if (last >= first)
		memset(near + first, 1, last - first + 1);
}

static bool select_visit(void *ctx, const struct observation *obs)
{
	struct select *select = ctx;

	select->visited++;
	select->last_seq = obs->seq;
	if (!store_forget_matches(select->forget, obs))
		return true;
	select->found++;
	if (select->days == NULL)
		return true;
	select->days[store_forget_day(store_day(obs->dev_t0_ns))] |=
	    (uint8_t)LAYER_MASK(obs->layer);
	if (!observation_is_of_night(obs) && !observation_is_memory(obs))
		mark_near(select->near, obs);
	return true;
}

/* Up to `limit` records from the place on; what cannot be read is passed over. */
static enum rc select_some(struct store *store, struct select *select, struct store_position *pos,
    uint64_t *after_seq, size_t limit, bool *done, struct errmsg *why)
{
	struct store_range range = range_of(select->forget);
	enum rc rc;

	select->visited = 0;
	if (is_bounded(select->forget)) {
		rc = store_scan_time(store, &range, pos, limit, select_visit, select, why);
	} else {
		select->last_seq = *after_seq;
		rc = store_scan_log(store, *after_seq, limit, select_visit, select, why);
		*after_seq = select->last_seq;
	}
	*done = select->visited < limit;
	return rc == RC_CORRUPT ? RC_OK : rc;
}

enum rc store_forget_count(
    struct store *store, const struct store_forget *what, uint64_t *records, struct errmsg *why)
{
	struct observation forget = store_forget_record(what);
	struct select select = { .forget = &forget };
	struct store_position pos = { 0 };
	uint64_t after_seq = 0;
	bool done;

	enum rc rc = store_forget_check(what, why);
	forget.seq = UINT64_MAX;
	if (rc == RC_OK)
		rc = select_some(store, &select, &pos, &after_seq, SIZE_MAX, &done, why);
	*records = select.found;
	return rc;
}

static enum rc stage_select(struct store_forget_run *run, struct errmsg *why)
{
	struct select select = { .forget = &run->forget, .days = run->days, .near = run->near };
	bool done = true;
	enum rc rc = RC_OK;

	if (run->forget.seq != 0)
		rc = select_some(
		    run->store, &select, &run->pos, &run->after_seq, SELECT_RECORDS, &done, why);
	if (rc == RC_OK && done) {
		run->pos = (struct store_position){ 0 };
		run->stage = STAGE_LABELS;
	}
	return rc;
}

/* ---- labels ------------------------------------------------------------------------ */

static bool label_visit(void *ctx, const struct observation *obs)
{
	struct store_forget_run *run = ctx;

	if (observation_is_of_night(obs))
		run->days[store_forget_day(store_day(obs->dev_t0_ns))] |=
		    (uint8_t)LAYER_MASK(obs->layer);
	return true;
}

/* The next few days that are near something forgotten. */
static enum rc stage_labels(struct store_forget_run *run, struct errmsg *why)
{
	const uint8_t *from = memchr(run->near + run->near_at, 1, FORGET_DAYS - run->near_at);

	if (from == NULL) {
		run->stage = run->forget.seq != 0 ? STAGE_MEMORY : STAGE_RETIRE;
		return RC_OK;
	}
	size_t first = (size_t)(from - run->near), end = first;
	while (end < FORGET_DAYS && end - first < LABEL_DAYS && run->near[end] != 0)
		end++;
	struct store_range range = {
		.from_ns = ((int64_t)first + FORGET_DAY_FIRST) * NS_PER_DAY,
		.to_ns = ((int64_t)end + FORGET_DAY_FIRST) * NS_PER_DAY,
		.source = OBS_SOURCE_NIGHT,
		.all_versions = true,
	};
	enum rc rc = store_scan_time(run->store, &range, NULL, 0, label_visit, run, why);
	if (rc != RC_OK && rc != RC_CORRUPT)
		return rc;
	run->near_at = end;
	return RC_OK;
}

/* ---- memory ------------------------------------------------------------------------ */

static enum rc memory_look(
    struct store_forget_run *run, const struct observation *obs, struct errmsg *why)
{
	bool goes = false;

	if (!observation_is_memory(obs))
		return RC_OK;
	enum rc rc = store_memory_was_read_from(run->store, obs, &run->forget, &goes, why);
	if (rc != RC_OK || !goes)
		return rc;
	run->days[store_forget_day(store_day(obs->dev_t0_ns))] |= (uint8_t)LAYER_MASK(obs->layer);
	buf_append(&run->memory, &obs->seq, sizeof(obs->seq));
	return buf_rc(&run->memory);
}

/* The next few facts: which were read from what goes. */
static enum rc stage_memory(struct store_forget_run *run, struct errmsg *why)
{
	struct errmsg detail = ERRMSG_INIT;
	struct observation obs;
	struct arena arena;
	enum rc rc = RC_OK;

	arena_init(&arena, OBS_RECORD_BYTES_MAX);
	for (size_t i = 0; i < MEMORY_RECORDS && rc == RC_OK; i++) {
		arena_reset(&arena);
		errmsg_reset(&detail);
		rc = store_memory_get(run->store, run->number + 1, &arena, &obs, &detail);
		if (rc == RC_OK)
			rc = memory_look(run, &obs, &detail);
		else if (rc == RC_CORRUPT)
			rc = RC_OK; /* it is shown to nobody */
		if (rc == RC_OK)
			run->number++;
	}
	arena_fini(&arena);
	if (rc == RC_NOTFOUND) {
		run->stage = STAGE_RETIRE;
		return RC_OK;
	}
	return rc == RC_OK ? RC_OK : errmsg_rc(why, rc, "%s", errmsg_text(&detail, rc));
}

/* ---- retire, work ------------------------------------------------------------------- */

static void retired_day(void *ctx, int32_t day, unsigned layer)
{
	struct store_forget_run *run = ctx;

	if (layer == 0) /* the snapshot's: no record is under it */
		return;
	run->days[store_forget_day(day)] |= (uint8_t)LAYER_MASK(layer);
}

/* In the writer thread, so that no record is on its way under an old key. */
static enum rc stage_retire(struct store_forget_run *run, struct errmsg *why)
{
	enum rc rc = store_task_run_urgent(run->store, store_forget_retire, run->days, why);

	if (rc != RC_OK)
		return rc;
	memset(run->days, 0, FORGET_DAYS);
	size_t n = keyring_each_retired(run->store->keyring, retired_day, run);
	run->after_seq = 0;
	run->upto_seq = n == 0 ? 0 : store_cursor(run->store);
	run->done.total = run->upto_seq;
	run->stage = STAGE_WORK;
	return RC_OK;
}

/* The next records that are sealed under a retired key, by the head of their values. */
static enum rc gather(struct store_forget_run *run, struct errmsg *why)
{
	struct store *store = run->store;
	int64_t begin_ns = clock_mono_ns();
	uint8_t bytes[8];
	MDB_val key = { sizeof(bytes), bytes }, value;
	MDB_cursor *cursor = NULL;
	MDB_txn *txn = NULL;
	size_t size = 0;

	run->batch.len = 0;
	buf_reset(&run->batch.blobs);
	enum rc rc = store_read_begin(store, &txn, why);
	if (rc != RC_OK)
		return rc;
	store_put_be64(bytes, run->after_seq + 1);
	int err = mdb_cursor_open(txn, store->dbi[DB_LOG], &cursor);
	if (err == 0)
		err = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	for (unsigned n = 0; err == 0 && n < GATHER_RECORDS; n++) {
		if (key.mv_size != 8) {
			err = MDB_CORRUPTED;
			break;
		}
		uint64_t seq = store_get_be64(key.mv_data);
		if (seq > run->upto_seq)
			err = MDB_NOTFOUND;
		if (err != 0 || run->batch.len == run->batch_max || size > FORGET_BATCH_BYTES ||
		    (n > 0 && clock_mono_ns() - begin_ns > STORE_READ_NS_MAX))
			break;
		if (store_forget_is_under(&value, run->days)) {
			run->batch.seqs[run->batch.len++] = seq;
			size += value.mv_size;
		}
		run->after_seq = seq;
		err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	if (err == MDB_NOTFOUND)
		run->after_seq = run->upto_seq;
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	store_read_end(store, txn);
	return err == 0 || err == MDB_NOTFOUND
		   ? RC_OK
		   : store_mdb_error(why, err, "the log cannot be read");
}

/* What no other record refers to; a crash before leaves files for the sweep, which
 * nobody can open any more. */
static enum rc drop_blobs(struct store_forget_run *run, struct errmsg *why)
{
	const struct buf *names = &run->batch.blobs;
	enum rc rc = RC_OK;

	for (size_t at = 0; at < names->len && rc == RC_OK; at += BLOB_NAME_BYTES)
		rc = store_blob_drop(run->store, names->bytes + at, why);
	return rc;
}

/* Only as much in one commit as there is room for, if all of it took new pages. */
static void batch_fit(struct store_forget_run *run)
{
	uint64_t fits = store_room_bytes(run->store) / RECORD_ROOM_BYTES;

	if (fits < run->batch_max)
		run->batch_max = fits < 1 ? 1 : (size_t)fits;
}

static enum rc stage_work(struct store_forget_run *run, struct errmsg *why)
{
	uint64_t before = run->after_seq;

	if (run->after_seq < run->upto_seq) {
		batch_fit(run);
		enum rc rc = gather(run, why);
		if (rc == RC_OK && run->batch.len > 0)
			rc =
			    store_task_run_urgent(run->store, store_forget_apply, &run->batch, why);
		if (rc == RC_OK)
			atomic_fetch_add(&run->store->rewrites, 1);
		if (rc == RC_OK)
			rc = drop_blobs(run, why);
		if (rc != RC_OK)
			run->after_seq = before;
		if (rc == RC_FULL && run->batch_max > 1) {
			/* What a small commit frees the next one can use. */
			run->batch_max /= 4;
			errmsg_reset(why);
			return RC_OK;
		}
		if (rc != RC_OK)
			return rc;
		run->done.records += run->batch.forgotten;
		run->done.resealed += run->batch.resealed;
		run->batch.forgotten = run->batch.resealed = 0;
		run->done.looked = run->after_seq;
	}
	if (run->after_seq >= run->upto_seq)
		run->stage = STAGE_DROP;
	return RC_OK;
}

/* ---- drop, unmark ---------------------------------------------------------------------- */

/* Who reads an older snapshot may still need the old keys, but not for long. */
static void readers_wait(struct store *store)
{
	const struct timespec pause = { .tv_nsec = READERS_POLL_NS };
	int64_t until_ns = clock_mono_ns() + READERS_WAIT_NS;
	struct store_readers readers;

	while (store_readers_look(store, &readers) == RC_OK && readers.behind > 0 &&
	       clock_mono_ns() < until_ns)
		(void)nanosleep(&pause, NULL);
}

static enum rc stage_drop(struct store_forget_run *run, struct errmsg *why)
{
	struct store *store = run->store;
	size_t dropped = 0;

	enum rc rc = keyring_drop_retired(store->keyring, &dropped, why);
	if (rc == RC_FULL && store_ballast_release(store))
		rc = keyring_drop_retired(store->keyring, NULL, why);
	run->done.keys += dropped;
	if (rc != RC_OK)
		return rc;
	readers_wait(store);
	keyring_wipe_dropped(store->keyring);
	run->stage = STAGE_UNMARK;
	return RC_OK;
}

enum rc store_forget_step(struct store_forget_run *run, bool *done, struct errmsg *why)
{
	enum rc rc = RC_OK;

	switch (run->stage) {
	case STAGE_SELECT:
		rc = stage_select(run, why);
		break;
	case STAGE_LABELS:
		rc = stage_labels(run, why);
		break;
	case STAGE_MEMORY:
		rc = stage_memory(run, why);
		break;
	case STAGE_RETIRE:
		rc = stage_retire(run, why);
		break;
	case STAGE_WORK:
		rc = stage_work(run, why);
		break;
	case STAGE_DROP:
		rc = stage_drop(run, why);
		break;
	case STAGE_UNMARK:
		rc = store_task_run_urgent(run->store, store_forget_unmark, NULL, why);
		if (rc == RC_OK)
			run->stage = STAGE_DONE;
		break;
	case STAGE_DONE:
		break;
	}
	*done = run->stage == STAGE_DONE;
	return rc;
}

/* ---- beginning and ending ---------------------------------------------------------------- */

static enum rc run_new(struct store *store, struct store_forget_run **out, struct errmsg *why)
{
	bool idle = false;

	if (!atomic_compare_exchange_strong(&store->forgetting, &idle, true))
		return errmsg_rc(why, RC_BUSY, "something else is being forgotten just now");
	struct store_forget_run *run = calloc(1, sizeof(*run));
	if (run == NULL) {
		atomic_store(&store->forgetting, false);
		return RC_NOMEM;
	}
	run->store = store;
	run->batch.forget = &run->forget;
	run->batch.memory = &run->memory;
	buf_init(&run->memory, MEMORY_BYTES_MAX);
	run->batch_max = FORGET_BATCH;
	buf_init(&run->batch.blobs, FORGET_BATCH * OBS_BLOBS_MAX * BLOB_NAME_BYTES);
	arena_init(&run->arena, OBS_RECORD_BYTES_MAX);
	run->days = calloc(FORGET_DAYS, 1);
	run->near = calloc(FORGET_DAYS, 1);
	if (run->days == NULL || run->near == NULL) {
		store_forget_end(run);
		return RC_NOMEM;
	}
	*out = run;
	return RC_OK;
}

void store_forget_end(struct store_forget_run *run)
{
	if (run == NULL)
		return;
	atomic_store(&run->store->forgetting, false);
	arena_fini(&run->arena);
	buf_fini(&run->batch.blobs);
	buf_fini(&run->memory);
	free(run->days);
	free(run->near);
	free(run);
}

/* The record that says what is forgotten, as the log has it. */
static enum rc load(struct store_forget_run *run, uint64_t seq, struct errmsg *why)
{
	enum rc rc = store_get_seq(run->store, seq, &run->arena, &run->forget, why);

	if (rc == RC_OK && run->forget.forget_layers == 0)
		rc = errmsg_rc(why, RC_CORRUPT, "log seq %llu: says nothing of forgetting",
		    (unsigned long long)seq);
	run->done.seq = seq;
	return rc;
}

enum rc store_forget_begin(struct store *store, const struct store_forget *what,
    struct store_forget_run **out, struct errmsg *why)
{
	struct store_forget_run *run = NULL;
	struct store_forget_mark mark = { 0 };

	enum rc rc = store_forget_check(what, why);
	if (rc == RC_OK) /* one that gave up for want of room */
		rc = store_forget_resume(store, why);
	if (rc == RC_OK)
		rc = run_new(store, &run, why);
	if (rc != RC_OK)
		return rc;
	rc = store_forget_mark_make(store, what, &mark, why);
	if (rc == RC_OK)
		rc = store_task_run_urgent(store, store_forget_mark, &mark, why);
	store_forget_mark_fini(&mark);
	if (rc == RC_OK)
		rc = load(run, mark.seq, why);
	if (rc != RC_OK) {
		store_forget_end(run);
		return rc;
	}
	*out = run;
	return RC_OK;
}

static enum rc run_all(struct store_forget_run *run, struct errmsg *why)
{
	enum rc rc = RC_OK;

	for (bool done = false; rc == RC_OK && !done;)
		rc = store_forget_step(run, &done, why);
	return rc;
}

enum rc store_forget(struct store *store, const struct store_forget *what,
    struct store_forgotten *out, struct errmsg *why)
{
	struct store_forget_run *run = NULL;

	enum rc rc = store_forget_begin(store, what, &run, why);
	if (rc != RC_OK)
		return rc;
	rc = run_all(run, why);
	if (out != NULL)
		*out = run->done;
	store_forget_end(run);
	return rc;
}

enum rc store_forget_resume(struct store *store, struct errmsg *why)
{
	struct store_forget_run *run = NULL;
	uint64_t seq = 0;

	enum rc rc = store_forget_marked(store, &seq, why);
	if (rc != RC_OK || (seq == 0 && keyring_each_retired(store->keyring, NULL, NULL) == 0))
		return rc;
	rc = run_new(store, &run, why);
	if (rc != RC_OK)
		return rc;
	if (seq != 0)
		rc = load(run, seq, why);
	if (rc == RC_OK)
		rc = run_all(run, why);
	store_forget_end(run);
	return rc;
}

const struct store_forgotten *store_forget_result(const struct store_forget_run *run)
{
	return &run->done;
}
