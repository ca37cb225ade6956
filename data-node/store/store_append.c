/*
 * Store append: one writer thread, group commit.
 *
 * Callers prepare their records (hash, encode) in their own thread, queue a job
 * that lives on their stack and sleep.  The writer takes what has queued up,
 * applies it in one transaction, makes new keys durable, commits, and wakes
 * them.  It waits for company only while the last groups showed that there is
 * some, never longer than half a usual commit or the commit interval.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "os/process.h"
#include "store/store_bundle.h"

/* Bundles are built once nothing came for a while, of days that are well over. */
#define QUIET_NS (30 * NS_PER_S)
#define STEP_PAUSE_NS (50 * NS_PER_MS)
#define RECHECK_NS (10 * NS_PER_MIN)
#define DAY_SETTLED_NS (6 * NS_PER_HOUR)

/* LMDB's code as a result; a full map is no message, the map will grow. */
static enum rc apply_rc(enum rc rc, int err, struct errmsg *why)
{
	if (rc != RC_OK || err == 0)
		return rc;
	return store_mdb_error(err == MDB_MAP_FULL ? NULL : why, err, "append");
}

static enum rc job_apply(
    struct store *store, MDB_txn *txn, struct store_job *job, int *err, struct errmsg *why)
{
	struct store_result unused;
	enum rc rc = RC_OK;

	if (job->task != NULL) {
		rc = job->task(store, txn, job->task_ctx, err, why);
		rc = apply_rc(rc, *err, why);
	}
	for (size_t i = 0; i < job->n && rc == RC_OK; i++) {
		struct store_result *result = job->results == NULL ? &unused : &job->results[i];
		rc = store_apply(store, txn, job, i, result, err, why);
		rc = apply_rc(rc, *err, why);
	}
	job->cursor = store->next_seq - 1;
	return rc;
}

/* One transaction over the jobs from `first` up to `end`; aborted on failure. */
static enum rc group_txn(struct store *store, struct store_job *first, const struct store_job *end,
    int *err, struct errmsg *why)
{
	MDB_txn *txn = NULL;

	store->next_seq = atomic_load(&store->cursor) + 1;
	store->group_duplicates = 0;
	store->dirty_len = 0;
	memset(store->bundle_marked, 0, sizeof(store->bundle_marked));
	*err = mdb_txn_begin(store->env, NULL, 0, &txn);
	if (*err != 0)
		return store_mdb_error(why, *err, "the store cannot be written");
	enum rc rc = RC_OK;
	for (struct store_job *job = first; job != end && rc == RC_OK; job = job->next)
		rc = job_apply(store, txn, job, err, why);
	if (rc == RC_OK) {
		rc = store_clock_flush(store, txn, err, why);
		rc = apply_rc(rc, *err, why);
	}
	if (rc == RC_OK) {
		*err = store_dirty_flush(store, txn);
		rc = apply_rc(RC_OK, *err, why);
	}
	if (rc == RC_OK) {
		rc = keyring_sync(store->keyring, why);
		if (rc == RC_IO)
			atomic_store(&store->failed, true);
	}
	if (rc != RC_OK) {
		mdb_txn_abort(txn);
		store_clock_desk_clear(store);
		return rc;
	}
	*err = mdb_txn_commit(txn);
	if (*err == 0)
		return RC_OK;
	store_clock_desk_clear(store);
	/* Out of room leaves the last commit as it was; anything else that a
	 * write or a sync says ends the environment (S4). */
	rc = store_mdb_rc(*err);
	if (*err != MDB_MAP_FULL && rc != RC_FULL && rc != RC_NOMEM && rc != RC_LIMIT)
		atomic_store(&store->failed, true);
	return store_mdb_error(*err == MDB_MAP_FULL ? NULL : why, *err, "commit");
}

static void commit_time_note(struct store *store, int64_t ns)
{
	(void)pthread_mutex_lock(&store->lock);
	store->commit_ns[store->commit_ns_next] = ns;
	store->commit_ns_next = (store->commit_ns_next + 1) % STORE_COMMIT_TIMES;
	if (store->commit_ns_len < STORE_COMMIT_TIMES)
		store->commit_ns_len++;
	store->commits++;
	store->duplicates += store->group_duplicates;
	(void)pthread_mutex_unlock(&store->lock);
	store->commit_ns_mean += (ns - store->commit_ns_mean) / 8;
}

static enum rc group_commit(
    struct store *store, struct store_job *first, const struct store_job *end, struct errmsg *why)
{
	size_t bytes = 0;
	bool urgent = true;
	int err = 0;

	if (atomic_load(&store->failed))
		return errmsg_rc(why, RC_IO, "an earlier write failed: restart the data node");
	for (const struct store_job *job = first; job != end; job = job->next) {
		bytes += job->records == NULL ? 0 : job->records->len;
		urgent = urgent && job->urgent;
	}
	enum rc rc = urgent ? store_room_make(store, why) : store_room_check(store, bytes, why);
	if (rc != RC_OK)
		return rc;
	int64_t begin_ns = clock_mono_ns();
	for (;;) {
		rc = group_txn(store, first, end, &err, why);
		if (rc != RC_FULL)
			break;
		if (err == MDB_MAP_FULL)
			rc = urgent ? store_map_grow(store, why)
				    : store_map_grow_appends(store, why);
		else if (urgent && store_ballast_release(store))
			rc = RC_OK;
		if (rc != RC_OK)
			return rc;
	}
	if (rc == RC_OK) {
		if (bytes > 0)
			commit_time_note(store, clock_mono_ns() - begin_ns);
		atomic_store(&store->cursor, store->next_seq - 1);
	}
	return rc;
}

/* Together if possible; else each alone, so that one cannot spoil the rest. */
static void group_run(struct store *store, struct store_job *first)
{
	struct errmsg why = ERRMSG_INIT;

	enum rc rc = group_commit(store, first, NULL, &why);
	if (rc == RC_OK || first->next == NULL) {
		for (struct store_job *job = first; job != NULL; job = job->next)
			job->rc = rc;
		first->why = why;
		return;
	}
	for (struct store_job *job = first; job != NULL; job = job->next)
		job->rc = group_commit(store, job, job->next, &job->why);
}

void store_deadline(int64_t ns, struct timespec *out)
{
	(void)clock_gettime(CLOCK_MONOTONIC, out);
	int64_t sum = out->tv_nsec + ns % NS_PER_S;
	out->tv_sec += (time_t)(ns / NS_PER_S + sum / NS_PER_S);
	out->tv_nsec = (long)(sum % NS_PER_S);
}

/* Under `lock`: let those that usually come along arrive. */
static void wait_for_company(struct store *store)
{
	int64_t wait_ns = store->commit_ns_mean / 2;
	struct timespec deadline;

	if (wait_ns > store->commit_interval_ns)
		wait_ns = store->commit_interval_ns;
	store_deadline(wait_ns, &deadline);
	store->wake_jobs = store->jobs_expected;
	while (store->queue_jobs < store->wake_jobs && !store->stopping &&
	       store->queue_records < store->commit_records_max) {
		if (pthread_cond_timedwait(&store->work, &store->lock, &deadline) == ETIMEDOUT)
			break;
	}
	store->wake_jobs = 0;
}

/* A step of what there is to do when nothing else is. */
static void idle_step(struct store *store)
{
	struct store_bundle_task *task = &store->bundle_task;
	struct store_job job = { .task = store_bundle_step, .task_ctx = task };

	task->in = task->out;
	task->in.before_ns = clock_utc_ns() - DAY_SETTLED_NS;
	if (group_commit(store, &job, NULL, NULL) != RC_OK)
		task->out.more = false; /* in vain; again when the clock says so */
}

/* Under `lock`: sleep until something is queued, and use the quiet. */
static void wait_for_work(struct store *store)
{
	int64_t wait_ns = QUIET_NS;
	struct timespec deadline;

	while (store->queue == NULL && !store->stopping) {
		store_deadline(wait_ns, &deadline);
		if (pthread_cond_timedwait(&store->work, &store->lock, &deadline) != ETIMEDOUT ||
		    store->queue != NULL)
			continue;
		(void)pthread_mutex_unlock(&store->lock);
		idle_step(store);
		wait_ns = store->bundle_task.out.more ? STEP_PAUSE_NS : RECHECK_NS;
		(void)pthread_mutex_lock(&store->lock);
	}
}

/* Detach the next group; NULL when stopping and nothing is left. */
static struct store_job *group_take(struct store *store, size_t *jobs)
{
	size_t records = 0;

	(void)pthread_mutex_lock(&store->lock);
	wait_for_work(store);
	if (store->queue != NULL)
		wait_for_company(store);
	struct store_job *first = store->queue, **link = &store->queue;
	*jobs = 0;
	while (*link != NULL && (*jobs == 0 || records + (*link)->n <= store->commit_records_max)) {
		records += (*link)->n;
		(*jobs)++;
		link = &(*link)->next;
	}
	store->queue = *link;
	*link = NULL;
	if (store->queue == NULL)
		store->queue_tail = &store->queue;
	store->queue_records -= records;
	store->queue_jobs -= *jobs;
	(void)pthread_mutex_unlock(&store->lock);
	return first;
}

/* Each caller sleeps on its own semaphore: waking one disturbs no other. */
static void group_finish(struct store *store, struct store_job *first, size_t jobs)
{
	(void)pthread_mutex_lock(&store->lock);
	store->jobs_expected = jobs + store->queue_jobs;
	(void)pthread_cond_broadcast(&store->committed);
	(void)pthread_mutex_unlock(&store->lock);
	while (first != NULL) {
		struct store_job *next = first->next; /* gone once it is done */
		(void)sem_post(&first->done);
		first = next;
	}
}

static void *writer_main(void *arg)
{
	struct store *store = arg;
	struct store_job *first;
	size_t jobs;

	process_name_thread("store-writer");
	while ((first = group_take(store, &jobs)) != NULL) {
		group_run(store, first);
		group_finish(store, first, jobs);
	}
	return NULL;
}

enum rc store_writer_start(struct store *store, struct errmsg *why)
{
	int err = pthread_create(&store->writer, NULL, writer_main, store);

	if (err != 0)
		return errmsg_rc(why, RC_NOMEM, "no thread for the store's writer");
	store->writer_started = true;
	return RC_OK;
}

void store_writer_stop(struct store *store)
{
	if (!store->writer_started)
		return;
	(void)pthread_mutex_lock(&store->lock);
	store->stopping = true;
	(void)pthread_cond_broadcast(&store->work);
	(void)pthread_mutex_unlock(&store->lock);
	(void)pthread_join(store->writer, NULL);
	store->writer_started = false;
}

/* Check, hash and encode in the caller's thread. */
static enum rc prepare(struct store *store, const struct observation *obs, size_t n,
    struct store_plain *plain, struct buf *records, struct errmsg *why)
{
	for (size_t i = 0; i < n; i++) {
		struct observation copy = obs[i];
		enum rc rc = observation_check(&copy, why);
		if (rc != RC_OK)
			return rc;
		if (copy.tombstone) /* store_forget() makes them */
			return errmsg_rc(why, RC_INVALID, "a tombstone cannot be appended");
		store_hash(store, &copy, plain[i].obs_id, plain[i].content_hash);
		memcpy(copy.obs_id, plain[i].obs_id, OBS_ID_BYTES);
		memcpy(copy.content_hash, plain[i].content_hash, OBS_ID_BYTES);
		copy.supersedes_seq = 0;
		plain[i].begin = records->len;
		rc = observation_encode(&copy, records, why);
		if (rc != RC_OK)
			return rc;
		plain[i].len = records->len - plain[i].begin;
	}
	return RC_OK;
}

static enum rc queue_and_wait(struct store *store, struct store_job *job, struct errmsg *why)
{
	enum rc rc = RC_OK;

	(void)pthread_mutex_lock(&store->lock);
	if (store->stopping)
		rc = errmsg_rc(why, RC_CLOSED, "the store is closing");
	else if (store->queue_jobs > 0 && store->queue_records + job->n > store->queue_records_max)
		rc = errmsg_rc(why, RC_AGAIN, "the store's queue is full");
	if (rc == RC_OK) {
		*store->queue_tail = job;
		store->queue_tail = &job->next;
		store->queue_records += job->n;
		store->queue_jobs++;
		if (store->queue_jobs >= store->wake_jobs ||
		    store->queue_records >= store->commit_records_max)
			(void)pthread_cond_signal(&store->work);
	}
	(void)pthread_mutex_unlock(&store->lock);
	if (rc != RC_OK)
		return rc;
	while (sem_wait(&job->done) != 0)
		continue; /* interrupted by a signal */
	return job->rc;
}

enum rc store_append(struct store *store, const struct observation *obs, size_t n,
    struct store_result *results, uint64_t *cursor, struct errmsg *why)
{
	struct buf records;
	struct store_job job = { .obs = obs, .n = n, .results = results, .records = &records };
	bool held;

	if (store->read_only)
		return errmsg_rc(why, RC_DENIED, "the store is open for reading only");
	if (atomic_load(&store->following))
		return errmsg_rc(why, RC_DENIED, "the store follows another one");
	if (n > STORE_BATCH_MAX)
		return errmsg_rc(why, RC_LIMIT, "more than %zu records at once", STORE_BATCH_MAX);
	if (n == 0) {
		if (cursor != NULL)
			*cursor = store_cursor(store);
		return RC_OK;
	}
	struct store_plain *plain = calloc(n, sizeof(*plain));
	if (plain == NULL)
		return RC_NOMEM;
	buf_init(&records, STORE_BATCH_BYTES_MAX);
	job.plain = plain;
	(void)sem_init(&job.done, 0, 0);
	enum rc rc = store_blob_hold(store, obs, n, &held, why);
	if (rc == RC_OK)
		rc = prepare(store, obs, n, plain, &records, why);
	if (rc == RC_OK)
		rc = queue_and_wait(store, &job, why);
	store_blob_release(store, &held);
	if (rc == RC_OK && cursor != NULL)
		*cursor = job.cursor;
	if (rc != RC_OK && job.why.text[0] != '\0')
		errmsg_set(why, "%s", job.why.text);
	(void)sem_destroy(&job.done);
	buf_fini(&records);
	free(plain);
	return rc;
}

static enum rc task_run(
    struct store *store, store_task_fn *task, void *ctx, bool urgent, struct errmsg *why)
{
	struct store_job job = { .task = task, .task_ctx = ctx, .urgent = urgent };

	if (store->read_only)
		return errmsg_rc(why, RC_DENIED, "the store is open for reading only");
	(void)sem_init(&job.done, 0, 0);
	enum rc rc = queue_and_wait(store, &job, why);
	if (rc != RC_OK && job.why.text[0] != '\0')
		errmsg_set(why, "%s", job.why.text);
	(void)sem_destroy(&job.done);
	return rc;
}

enum rc store_task_run(struct store *store, store_task_fn *task, void *ctx, struct errmsg *why)
{
	return task_run(store, task, ctx, false, why);
}

enum rc store_task_run_urgent(
    struct store *store, store_task_fn *task, void *ctx, struct errmsg *why)
{
	return task_run(store, task, ctx, true, why);
}

uint64_t store_cursor(const struct store *store)
{
	return atomic_load(&store->cursor);
}

uint64_t store_wait(struct store *store, uint64_t seq, int64_t timeout_ns)
{
	struct timespec deadline;

	store_deadline(timeout_ns, &deadline);
	(void)pthread_mutex_lock(&store->lock);
	while (atomic_load(&store->cursor) <= seq && !store->stopping) {
		if (pthread_cond_timedwait(&store->committed, &store->lock, &deadline) == ETIMEDOUT)
			break;
	}
	(void)pthread_mutex_unlock(&store->lock);
	return store_cursor(store);
}
