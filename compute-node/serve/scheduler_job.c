/* Jobs: from a Generate's arrival to their place in the queue, and out of it. */
#include "serve/scheduler_impl.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/wipe.h"

#define ARRIVING_TEXT "lease_id: its adapter is not whole yet"

void job_free(struct job *job)
{
	generation_fini(&job->gen);
	wipe(job, sizeof(*job));
	free(job);
}

void job_fail(struct job *job, enum wire_error code, const char *text)
{
	if (job->failed)
		return;
	job->failed = true;
	fault_set(&job->fault, code, "%s", text);
	generation_stop(&job->gen, WIRE_FINISH_ERROR);
}

/* Under the lock. */
static struct job *find(struct scheduler *sched, wire_peer peer, uint64_t request_id)
{
	for (size_t i = 0; i < SCHEDULER_JOBS_MAX; i++) {
		struct job *job = sched->jobs[i];

		if (job != NULL && job->peer == peer && job->request_id == request_id)
			return job;
	}
	return NULL;
}

void scheduler_forget(struct scheduler *sched, struct job *job)
{
	for (size_t i = 0; i < SCHEDULER_JOBS_MAX; i++) {
		if (sched->jobs[i] == job)
			sched->jobs[i] = NULL;
	}
}

/* Under the lock: is there room, also for this key (S2)? */
static bool has_room(struct scheduler *sched, const uint8_t key[WIRE_KEY_BYTES], size_t *place)
{
	size_t of_key = 0, found = SCHEDULER_JOBS_MAX;
	size_t key_max = sched->config.queue_max - sched->config.queue_max / 4;

	for (size_t i = SCHEDULER_JOBS_MAX; i-- > 0;) {
		const struct job *job = sched->jobs[i];

		if (job == NULL)
			found = i;
		else if (job->state <= JOB_WAITING && memcmp(job->key, key, WIRE_KEY_BYTES) == 0)
			of_key++;
	}
	*place = found;
	return found < SCHEDULER_JOBS_MAX && sched->queued < sched->config.queue_max &&
	       of_key < key_max;
}

static enum rc refuse(struct fault *fault, enum wire_error code, const char *text, enum rc rc)
{
	fault_set(fault, code, "%s", text);
	return rc;
}

static struct job *job_new(wire_peer peer, const uint8_t key[WIRE_KEY_BYTES],
    const struct message *message, const struct served_model *model)
{
	struct job *job = calloc(1, sizeof(*job));

	if (job == NULL)
		return NULL;
	job->peer = peer;
	job->request_id = message->request_id;
	memcpy(job->key, key, WIRE_KEY_BYTES);
	job->has_lease = message->has_lease;
	memcpy(job->lease_id, message->lease_id, WIRE_LEASE_BYTES);
	job->model = model;
	job->arrival_ns = clock_mono_ns();
	if (message->ttl_ms != 0)
		job->deadline_ns = job->arrival_ns + (int64_t)message->ttl_ms * NS_PER_MS;
	atomic_init(&job->credit, message->u.generate.credit);
	job->state = JOB_PREPARING;
	return job;
}

static enum rc take_in(struct scheduler *sched, wire_peer peer, const uint8_t key[WIRE_KEY_BYTES],
    const struct message *message, struct job **out, struct fault *fault)
{
	const struct served_model *model =
	    fleet_find(sched->config.fleet, message->u.generate.model);
	enum rc rc = RC_OK;
	size_t place = 0;

	if (model == NULL)
		return refuse(fault, WIRE_ERROR_NO_MODEL, "no such model here", RC_NOTFOUND);
	if (scheduler_short(sched))
		return refuse(fault, WIRE_ERROR_BUSY, SHORT_TEXT, RC_BUSY);
	struct job *job = job_new(peer, key, message, model);
	if (job == NULL)
		return refuse(fault, WIRE_ERROR_MEMORY, "no memory for a job", RC_NOMEM);

	(void)pthread_mutex_lock(&sched->lock);
	struct lease *lease =
	    job->has_lease ? lease_find(&sched->leases, job->lease_id, key) : NULL;
	if (job->has_lease && lease == NULL)
		rc = refuse(fault, WIRE_ERROR_NO_LEASE, "no such lease", RC_DENIED);
	else if (lease != NULL && lease->model != model)
		rc = refuse(fault, WIRE_ERROR_INVALID, "model: the lease is open for another one",
		    RC_INVALID);
	else if (lease != NULL && lease->adapter.state == LEASE_ADAPTER_ARRIVING)
		rc = refuse(fault, WIRE_ERROR_INVALID, ARRIVING_TEXT, RC_INVALID);
	else if (find(sched, peer, message->request_id) != NULL)
		rc = refuse(fault, WIRE_ERROR_INVALID, "request_id: in use already", RC_INVALID);
	else if (!has_room(sched, key, &place))
		rc = refuse(fault, WIRE_ERROR_BUSY, "the queue is full", RC_BUSY);
	if (rc == RC_OK) {
		job->number = sched->next_number++;
		sched->jobs[place] = job;
		sched->queued++;
		if (lease != NULL)
			lease_touch(lease, job->arrival_ns);
		*out = job;
	}
	(void)pthread_mutex_unlock(&sched->lock);
	if (rc != RC_OK)
		job_free(job);
	return rc;
}

enum rc scheduler_register(struct scheduler *sched, wire_peer peer,
    const uint8_t key[WIRE_KEY_BYTES], const struct message *message, struct job **out,
    struct fault *fault)
{
	tally_add(&sched->tally, key, TALLY_REQUESTS, 1);
	enum rc rc = take_in(sched, peer, key, message, out, fault);

	if (rc != RC_OK)
		scheduler_count_refused(sched, key);
	return rc;
}

struct generation *scheduler_generation(struct job *job)
{
	return &job->gen;
}

const struct served_model *scheduler_model(const struct job *job)
{
	return job->model;
}

bool scheduler_unwanted(const struct job *job)
{
	return atomic_load(&job->gone) || atomic_load(&job->cancelled);
}

void scheduler_ready(struct scheduler *sched, struct job *job)
{
	(void)pthread_mutex_lock(&sched->lock);
	job->state = JOB_WAITING;
	(void)pthread_mutex_unlock(&sched->lock);
	scheduler_wake(sched);
}

void scheduler_abandon(struct scheduler *sched, struct job *job)
{
	scheduler_count_refused(sched, job->key);
	(void)pthread_mutex_lock(&sched->lock);
	scheduler_forget(sched, job);
	sched->queued--;
	(void)pthread_mutex_unlock(&sched->lock);
	job_free(job);
}

void scheduler_cancel(struct scheduler *sched, wire_peer peer, uint64_t request_id)
{
	(void)pthread_mutex_lock(&sched->lock);
	struct job *job = find(sched, peer, request_id);
	if (job != NULL)
		atomic_store(&job->cancelled, true);
	scheduler_flag_embeds(sched, peer, &request_id, false);
	(void)pthread_mutex_unlock(&sched->lock);
	scheduler_wake(sched);
}

void scheduler_credit(struct scheduler *sched, wire_peer peer, uint64_t request_id, uint32_t tokens)
{
	(void)pthread_mutex_lock(&sched->lock);
	struct job *job = find(sched, peer, request_id);
	if (job != NULL)
		atomic_fetch_add(&job->credit, tokens);
	(void)pthread_mutex_unlock(&sched->lock);
	scheduler_wake(sched);
}

void scheduler_peer_gone(struct scheduler *sched, wire_peer peer)
{
	(void)pthread_mutex_lock(&sched->lock);
	for (size_t i = 0; i < SCHEDULER_JOBS_MAX; i++) {
		if (sched->jobs[i] != NULL && sched->jobs[i]->peer == peer)
			atomic_store(&sched->jobs[i]->gone, true);
	}
	scheduler_flag_embeds(sched, peer, NULL, true);
	lease_close_of_peer(&sched->leases, peer);
	(void)pthread_mutex_unlock(&sched->lock);
	scheduler_wake(sched);
}

void job_to_closing(struct scheduler *sched, struct job *job)
{
	job->state = JOB_CLOSING;
	job->progress_ns = clock_mono_ns();
	sched->queued--;
	sched->live[sched->live_len++] = job;
}

void scheduler_sort_out(struct scheduler *sched, int64_t now_ns)
{
	for (size_t i = 0; i < SCHEDULER_JOBS_MAX; i++) {
		struct job *job = sched->jobs[i];
		const struct lease *lease;

		if (job == NULL || job->state != JOB_WAITING)
			continue;
		lease = job->has_lease ? lease_find(&sched->leases, job->lease_id, job->key) : NULL;
		if (scheduler_unwanted(job)) {
			generation_stop(&job->gen, WIRE_FINISH_CANCELLED);
			job_to_closing(sched, job);
		} else if (job->deadline_ns != 0 && now_ns >= job->deadline_ns) {
			job_fail(job, WIRE_ERROR_TIMEOUT, "waited in the queue past ttl_ms");
			job_to_closing(sched, job);
		} else if (job->has_lease && lease == NULL) {
			job_fail(job, WIRE_ERROR_NO_LEASE, "the lease ended in the meantime");
			job_to_closing(sched, job);
		} else if (lease != NULL && lease->adapter.state == LEASE_ADAPTER_ARRIVING) {
			job_fail(job, WIRE_ERROR_INVALID, ARRIVING_TEXT);
			job_to_closing(sched, job);
		} else if (job->gen.finish != WIRE_FINISH_UNKNOWN) {
			/* Resumed behind its own end: nothing to compute. */
			job->started = true;
			job->started_ns = job->prompt_done_ns = job->finished_ns = now_ns;
			job_to_closing(sched, job);
		}
	}
}

static size_t running_of_key(const struct scheduler *sched, const uint8_t key[WIRE_KEY_BYTES])
{
	size_t n = 0;

	for (size_t i = 0; i < sched->live_len; i++) {
		n += sched->live[i]->state == JOB_RUNNING &&
		     memcmp(sched->live[i]->key, key, WIRE_KEY_BYTES) == 0;
	}
	return n;
}

bool job_wants_seat(const struct job *job)
{
	return job->state == JOB_WAITING ||
	       (job->state == JOB_RESTING && job->gen.finish == WIRE_FINISH_UNKNOWN &&
		   !generation_pending(&job->gen));
}

struct job *scheduler_resting(struct scheduler *sched, const struct lane *lane, int64_t now_ns)
{
	struct job *longest = NULL;

	for (size_t i = 0; i < sched->live_len; i++) {
		struct job *job = sched->live[i];

		if (job->state == JOB_RUNNING && job->model == lane->model &&
		    generation_pending(&job->gen) && now_ns - job->progress_ns >= REST_NS &&
		    (longest == NULL || job->progress_ns < longest->progress_ns))
			longest = job;
	}
	return longest;
}

/* Its lease is as scheduler_sort_out() found it: there, and no adapter on its way in or
 * out.  If not, the next look decides. */
static bool may_begin(struct scheduler *sched, const struct job *job)
{
	const struct lease *lease;

	if (!job->has_lease || job->state != JOB_WAITING)
		return true;
	lease = lease_find(&sched->leases, job->lease_id, job->key);
	return lease != NULL && !lease->adapter.working &&
	       lease->adapter.state != LEASE_ADAPTER_ARRIVING;
}

/* The key with the fewest running jobs first, then the oldest job. */
struct job *scheduler_next(struct scheduler *sched, const struct lane *lane)
{
	struct job *best = NULL;
	size_t best_running = 0;

	for (size_t i = 0; i < SCHEDULER_JOBS_MAX; i++) {
		struct job *job = sched->jobs[i];

		if (job == NULL || job->model != lane->model || !job_wants_seat(job) ||
		    !may_begin(sched, job))
			continue;
		size_t running = running_of_key(sched, job->key);
		if (best == NULL || running < best_running ||
		    (running == best_running && job->number < best->number)) {
			best = job;
			best_running = running;
		}
	}
	return best;
}
