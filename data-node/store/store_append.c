/*
 * Store append: the half of a group commit that runs in the callers' threads.
 *
 * Callers prepare their records (hash, encode) in their own thread, queue a job
 * that lives on their stack and sleep until the writer (store_writer.c) has
 * committed it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_internal.h"

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
	struct gate *gate = NULL;
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
		job->gate = store->gate_next;
		gate = &store->gates[job->gate];
		if (store->queue_jobs >= store->wake_jobs ||
		    store->queue_records >= store->commit_records_max)
			(void)pthread_cond_signal(&store->work);
	}
	(void)pthread_mutex_unlock(&store->lock);
	if (rc != RC_OK)
		return rc;
	for (;;) {
		unsigned seen = gate_look(gate);
		if (atomic_load(&job->done))
			break;
		gate_wait(gate, seen);
	}
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
	struct store_plain one, *plain = n == 1 ? &one : calloc(n, sizeof(*plain));
	if (plain == NULL)
		return RC_NOMEM;
	buf_init(&records, STORE_BATCH_BYTES_MAX);
	job.plain = plain;
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
	buf_fini(&records);
	if (plain != &one)
		free(plain);
	return rc;
}

static enum rc task_run(
    struct store *store, store_task_fn *task, void *ctx, bool urgent, struct errmsg *why)
{
	struct store_job job = { .task = task, .task_ctx = ctx, .urgent = urgent };

	if (store->read_only)
		return errmsg_rc(why, RC_DENIED, "the store is open for reading only");
	enum rc rc = queue_and_wait(store, &job, why);
	if (rc != RC_OK && job.why.text[0] != '\0')
		errmsg_set(why, "%s", job.why.text);
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
	unsigned wakes = store->wakes;
	while (atomic_load(&store->cursor) <= seq && !store->stopping && store->wakes == wakes) {
		if (pthread_cond_timedwait(&store->committed, &store->lock, &deadline) == ETIMEDOUT)
			break;
	}
	(void)pthread_mutex_unlock(&store->lock);
	return store_cursor(store);
}

void store_wake(struct store *store)
{
	(void)pthread_mutex_lock(&store->lock);
	store->wakes++;
	(void)pthread_cond_broadcast(&store->committed);
	(void)pthread_mutex_unlock(&store->lock);
}
