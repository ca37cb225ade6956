/*
 * Store writer: one thread, group commit.
 *
 * The writer begins a transaction with what has queued up and applies it while
 * others still arrive: those that the last commit woke are on their way, and
 * preparing their records takes them about as long as applying takes the writer.
 * It waits for company only while the last groups showed that there is some,
 * never longer than half a usual commit or the commit interval.  Then it makes
 * new keys durable, commits, and wakes all of them with one system call.
 */
#include <errno.h>
#include <string.h>

#include "os/process.h"
#include "store/store_bundle.h"

/* While it waits for company, the writer is woken once for so many. */
#define COMPANY_JOBS ((size_t)16)

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

/* What one transaction applies, in the order of arrival. */
struct group {
	struct store_job *first, **tail;
	size_t jobs, records, bytes; /* bytes: encoded */
	bool urgent;                 /* each of them */
	bool open;                   /* more may come along */
	int64_t waited_ns;           /* for them */
	struct timespec deadline;
};

static enum rc group_room(struct store *store, const struct group *group, struct errmsg *why)
{
	return group->urgent ? store_room_make(store, why)
			     : store_room_check(store, group->bytes, why);
}

static bool group_takes(
    const struct store *store, const struct group *group, const struct store_job *job)
{
	return group->jobs == 0 || group->records + job->n <= store->commit_records_max;
}

/* Under `lock`: move from the queue what fits.  Who comes after a group is full
 * waits at the other gate. */
static void group_fill(struct store *store, struct group *group)
{
	struct store_job *job;

	while ((job = store->queue) != NULL && group_takes(store, group, job)) {
		store->queue = job->next;
		store->queue_records -= job->n;
		store->queue_jobs--;
		job->next = NULL;
		*group->tail = job;
		group->tail = &job->next;
		group->urgent = job->urgent && (group->jobs == 0 || group->urgent);
		group->jobs++;
		group->records += job->n;
		group->bytes += job->records == NULL ? 0 : job->records->len;
	}
	if (store->queue == NULL)
		store->queue_tail = &store->queue;
	else
		group->open = false;
	if (!group->open)
		store->gate_next = (store->gate_next + 1) % STORE_GATES;
}

/* Under `lock`: let those that usually come along arrive. */
static void wait_for_company(struct store *store, struct group *group)
{
	int64_t begin_ns = clock_mono_ns();
	size_t missing = store->jobs_expected - group->jobs;

	store->wake_jobs = missing < COMPANY_JOBS ? missing : COMPANY_JOBS;
	while (store->queue_jobs < store->wake_jobs && !store->stopping &&
	       store->queue_records < store->commit_records_max) {
		if (pthread_cond_timedwait(&store->work, &store->lock, &group->deadline) ==
		    ETIMEDOUT) {
			group->open = false;
			break;
		}
	}
	store->wake_jobs = 0;
	group->waited_ns += clock_mono_ns() - begin_ns;
}

/* The next jobs of an open group; NULL: it is complete. */
static struct store_job *group_more(struct store *store, struct group *group)
{
	struct store_job **next = group->tail;

	if (!group->open)
		return NULL;
	(void)pthread_mutex_lock(&store->lock);
	if (group->jobs < store->jobs_expected && !store->stopping)
		wait_for_company(store, group);
	else
		group->open = false;
	group_fill(store, group);
	(void)pthread_mutex_unlock(&store->lock);
	return *next;
}

static enum rc group_apply(
    struct store *store, MDB_txn *txn, struct group *group, int *err, struct errmsg *why)
{
	enum rc rc = RC_OK;

	for (struct store_job *job = group->first; job != NULL && rc == RC_OK; job = job->next) {
		rc = job_apply(store, txn, job, err, why);
		if (rc == RC_OK && job->next == NULL && group_more(store, group) != NULL)
			rc = group_room(store, group, why);
	}
	return rc;
}

/* One transaction over the group; aborted on failure. */
static enum rc group_txn(struct store *store, struct group *group, int *err, struct errmsg *why)
{
	MDB_txn *txn = NULL;

	store->next_seq = atomic_load(&store->cursor) + 1;
	store->group_duplicates = 0;
	store->dirty_len = 0;
	store_id_begin(store);
	memset(store->bundle_marked, 0, sizeof(store->bundle_marked));
	*err = mdb_txn_begin(store->env, NULL, 0, &txn);
	if (*err != 0)
		return store_mdb_error(why, *err, "the store cannot be written");
	enum rc rc = group_apply(store, txn, group, err, why);
	if (rc == RC_OK) {
		rc = store_clock_flush(store, txn, err, why);
		rc = apply_rc(rc, *err, why);
	}
	if (rc == RC_OK) {
		*err = store_dirty_flush(store, txn);
		rc = apply_rc(RC_OK, *err, why);
	}
	if (rc == RC_OK) {
		*err = store_id_flush(store, txn, group->urgent);
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
	if (*err == 0) {
		store_id_committed(store);
		return RC_OK;
	}
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

static enum rc group_commit(struct store *store, struct group *group, struct errmsg *why)
{
	int err = 0;

	if (atomic_load(&store->failed))
		return errmsg_rc(why, RC_IO, "an earlier write failed: restart the data node");
	enum rc rc = group_room(store, group, why);
	if (rc != RC_OK)
		return rc;
	int64_t begin_ns = clock_mono_ns();
	for (;;) {
		rc = group_txn(store, group, &err, why);
		if (rc != RC_FULL)
			break;
		if (err == MDB_MAP_FULL)
			rc = group->urgent ? store_map_grow(store, why)
					   : store_map_grow_appends(store, why);
		else if (group->urgent && store_ballast_release(store))
			rc = RC_OK;
		if (rc != RC_OK)
			return rc;
	}
	if (rc == RC_OK) {
		if (group->bytes > 0)
			commit_time_note(store, clock_mono_ns() - begin_ns - group->waited_ns);
		atomic_store(&store->cursor, store->next_seq - 1);
	}
	return rc;
}

/* One job alone; its place in a list stays what it is. */
static enum rc job_commit(struct store *store, struct store_job *job, struct errmsg *why)
{
	struct store_job *next = job->next;
	struct group alone = { .first = job,
		.jobs = 1,
		.records = job->n,
		.bytes = job->records == NULL ? 0 : job->records->len,
		.urgent = job->urgent };

	job->next = NULL;
	enum rc rc = group_commit(store, &alone, why);
	job->next = next;
	return rc;
}

/* Together if possible; else each alone, so that one cannot spoil the rest. */
static void group_run(struct store *store, struct group *group)
{
	struct errmsg why = ERRMSG_INIT;

	enum rc rc = group_commit(store, group, &why);
	if (rc == RC_OK || group->jobs == 1) {
		for (struct store_job *job = group->first; job != NULL; job = job->next)
			job->rc = rc;
		group->first->why = why;
		return;
	}
	for (struct store_job *job = group->first; job != NULL; job = job->next)
		job->rc = job_commit(store, job, &job->why);
}

void store_deadline(int64_t ns, struct timespec *out)
{
	(void)clock_gettime(CLOCK_MONOTONIC, out);
	int64_t sum = out->tv_nsec + ns % NS_PER_S;
	out->tv_sec += (time_t)(ns / NS_PER_S + sum / NS_PER_S);
	out->tv_nsec = (long)(sum % NS_PER_S);
}

static bool bundles_step(struct store *store)
{
	struct store_bundle_task *task = &store->bundle_task;
	struct store_job job = { .task = store_bundle_step, .task_ctx = task };

	task->in = task->out;
	task->in.before_ns = clock_utc_ns() - DAY_SETTLED_NS;
	if (job_commit(store, &job, NULL) != RC_OK)
		task->out.more = false; /* in vain; again when the clock says so */
	return task->out.more;
}

/* A transaction moves ids by itself. */
static bool ids_step(struct store *store)
{
	struct store_job job = { 0 };

	store->ids.quiet = true;
	enum rc rc = job_commit(store, &job, NULL);
	store->ids.quiet = false;
	return rc == RC_OK;
}

/* A step of what there is to do when nothing else is; is more left? */
static bool idle_step(struct store *store)
{
	return store_id_left(store) ? ids_step(store) : bundles_step(store);
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
		wait_ns = idle_step(store) ? STEP_PAUSE_NS : RECHECK_NS;
		(void)pthread_mutex_lock(&store->lock);
	}
}

/* Begin the next group; false when stopping and nothing is left. */
static bool group_begin(struct store *store, struct group *group)
{
	int64_t wait_ns = store->commit_ns_mean / 2;

	(void)pthread_mutex_lock(&store->lock);
	wait_for_work(store);
	*group = (struct group){ .tail = &group->first, .open = true };
	store_deadline(wait_ns < store->commit_interval_ns ? wait_ns : store->commit_interval_ns,
	    &group->deadline);
	group_fill(store, group);
	(void)pthread_mutex_unlock(&store->lock);
	return group->first != NULL;
}

/* Wake the callers of a group, and nobody who waits for the next one. */
static void group_finish(struct store *store, const struct group *group)
{
	bool open[STORE_GATES] = { false };
	struct store_job *next;

	(void)pthread_mutex_lock(&store->lock);
	store->jobs_expected = group->jobs + store->queue_jobs;
	(void)pthread_cond_broadcast(&store->committed);
	(void)pthread_mutex_unlock(&store->lock);
	for (struct store_job *job = group->first; job != NULL; job = next) {
		next = job->next;
		open[job->gate] = true;
		atomic_store(&job->done, true); /* gone from here on */
	}
	for (size_t i = 0; i < STORE_GATES; i++) {
		if (open[i])
			gate_open(&store->gates[i]);
	}
}

static void *writer_main(void *arg)
{
	struct store *store = arg;
	struct group group;

	process_name_thread("store-writer");
	while (group_begin(store, &group)) {
		group_run(store, &group);
		group_finish(store, &group);
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
