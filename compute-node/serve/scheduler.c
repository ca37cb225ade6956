/* The scheduler's memory, its round, its figures. */
#include "serve/scheduler_impl.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/wipe.h"
#include "infer/layout.h"
#include "os/pages.h"

#define QUEUE_DEFAULT 32
#define STALL_DEFAULT (120 * NS_PER_S)
#define LEASE_IDLE_DEFAULT (10 * NS_PER_MIN)
#define LEASE_IDLE_MAX_DEFAULT NS_PER_HOUR
#define RATE_WINDOW_NS (2 * NS_PER_S)
#define WAIT_BLOCKED_NS (2 * NS_PER_MS) /* the wire does not say when it has room */
#define WAIT_NS (100 * NS_PER_MS)       /* deadlines and idle leases */
#define WAIT_EMPTY_NS NS_PER_S
#define SAMPLERS_DEVICE_MAX 16u /* threads that sample what a device computes */

static void fill_defaults(struct scheduler_config *config)
{
	if (config->queue_max == 0)
		config->queue_max = QUEUE_DEFAULT;
	if (config->queue_max > SCHEDULER_JOBS_MAX / 2)
		config->queue_max = SCHEDULER_JOBS_MAX / 2;
	if (config->stall_ns == 0)
		config->stall_ns = STALL_DEFAULT;
	if (config->lease_idle_ns == 0)
		config->lease_idle_ns = LEASE_IDLE_DEFAULT;
	if (config->lease_idle_max_ns == 0)
		config->lease_idle_max_ns = LEASE_IDLE_MAX_DEFAULT;
}

/* How many threads sample: no more than there are rows to sample. */
static unsigned count_samplers(const struct engine_config *config)
{
	unsigned n = config->n_threads;

	if (config->backend != NULL)
		n = crew_cores() < SAMPLERS_DEVICE_MAX ? crew_cores() : SAMPLERS_DEVICE_MAX;
	return n < config->n_seq ? n : config->n_seq;
}

/* All arrays of a lane but its engine's. */
static size_t lay_lane(struct lane *lane, const struct model_info *info,
    const struct engine_config *config, uint8_t *base)
{
	struct layout at = { .base = base };
	const size_t n_seq = config->n_seq, n_vocab = info->n_vocab;

	lane->seqs = layout_array(&at, n_seq, sizeof(lane->seqs[0]));
	lane->rows = layout_array(&at, config->n_ubatch, sizeof(lane->rows[0]));
	lane->logits =
	    config->backend == NULL ? layout_array(&at, n_seq * n_vocab, sizeof(float)) : NULL;
	lane->samplings = layout_array(&at, n_seq, sizeof(lane->samplings[0]));
	lane->n_samplers = count_samplers(config);
	lane->scratch = layout_array(&at, lane->n_samplers, sizeof(lane->scratch[0]));
	for (unsigned i = 0; i < lane->n_samplers; i++) {
		void *sampling = layout_array(&at, sample_scratch_bytes(n_vocab), 1);
		float *logits = layout_array(&at, n_vocab, sizeof(float));

		if (base != NULL)
			lane->scratch[i] = (struct generation_scratch){ sampling, logits };
	}
	for (size_t i = 0; i < n_seq; i++) {
		int32_t *ids = layout_array(&at, config->n_ctx, sizeof(int32_t));

		if (base != NULL)
			lane->seqs[i].ids = ids;
	}
	return at.overflow ? SIZE_MAX : at.used;
}

uint64_t scheduler_lane_bytes(const struct model_info *info, const struct engine_config *config)
{
	struct lane unused;

	return sizeof(struct scheduler) + sizeof(unused) + lay_lane(&unused, info, config, NULL);
}

/* The engine's crew samples between its passes; a device has none. */
static enum rc take_crew(struct lane *lane)
{
	lane->crew = engine_crew(lane->model->engine);
	if (lane->crew != NULL)
		return RC_OK;
	enum rc rc = crew_new(lane->n_samplers, &lane->crew, NULL);
	lane->own_crew = rc == RC_OK;
	return rc;
}

/* What it took is the caller's to give back in any case. */
enum rc lane_init(struct lane *lane, struct served_model *model)
{
	enum rc rc;

	*lane = (struct lane){ .model = model, .present = true, .used_ns = lane->used_ns };
	lane->memory_bytes = lay_lane(lane, model->info, &model->config, NULL);
	lane->memory = pages_take(lane->memory_bytes);
	if (lane->memory == NULL)
		return RC_NOMEM;
	(void)lay_lane(lane, model->info, &model->config, lane->memory);
	if (lane->logits == NULL)
		lane->logits = engine_logits(model->engine);
	rc = take_crew(lane);
	if (rc == RC_OK && model->info->pools)
		rc = embed_new(model->model, model->engine, &lane->embed, NULL);
	return rc;
}

void lane_fini(struct lane *lane)
{
	embed_free(lane->embed);
	if (lane->own_crew)
		crew_free(lane->crew);
	for (uint32_t i = 0; lane->memory != NULL && i < lane->model->config.n_seq; i++)
		sequence_wipe(lane, &lane->seqs[i]);
	if (lane->memory != NULL)
		wipe(lane->memory, lane->memory_bytes);
	pages_give(lane->memory, lane->memory_bytes);
	*lane = (struct lane){ .model = lane->model, .used_ns = lane->used_ns };
}

static enum rc init_lock(struct scheduler *sched)
{
	pthread_condattr_t attr;

	if (pthread_condattr_init(&attr) != 0)
		return RC_NOMEM;
	int failed = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) != 0 ||
		     pthread_cond_init(&sched->cond, &attr) != 0;
	(void)pthread_condattr_destroy(&attr);
	return failed || pthread_mutex_init(&sched->lock, NULL) != 0 ? RC_NOMEM : RC_OK;
}

enum rc scheduler_new(
    const struct scheduler_config *config, struct scheduler **out, struct errmsg *why)
{
	struct scheduler *sched = calloc(1, sizeof(*sched));

	if (sched == NULL || init_lock(sched) != RC_OK || tally_init(&sched->tally) != RC_OK) {
		free(sched);
		return errmsg_rc(why, RC_NOMEM, "no memory for the scheduler");
	}
	sched->config = *config;
	fill_defaults(&sched->config);
	lease_table_init(
	    &sched->leases, sched->config.lease_idle_ns, sched->config.lease_idle_max_ns);
	sched->rate_from_ns = clock_mono_ns();
	size_t n = config->fleet->n;
	enum rc rc = RC_OK;
	sched->lanes = calloc(n == 0 ? 1 : n, sizeof(sched->lanes[0]));
	if (sched->lanes == NULL)
		rc = RC_NOMEM;
	if (rc == RC_OK)
		rc = adapter_space_init(&sched->adapters, (size_t)config->fleet->adapter_bytes);
	for (size_t i = 0; i < n && rc == RC_OK; i++) {
		struct served_model *model = &config->fleet->models[i];

		sched->lanes[i].model = model;
		if (atomic_load(&model->present))
			rc = lane_init(&sched->lanes[i], model);
	}
	if (rc != RC_OK) {
		scheduler_free(sched);
		return errmsg_rc(why, rc, "no memory for the sequences' rows and logits");
	}
	*out = sched;
	return RC_OK;
}

void scheduler_free(struct scheduler *sched)
{
	if (sched == NULL)
		return;
	for (size_t i = 0; i < SCHEDULER_JOBS_MAX; i++) {
		if (sched->jobs[i] != NULL)
			job_free(sched->jobs[i]);
	}
	for (size_t i = 0; i < SCHEDULER_EMBEDS_MAX; i++) {
		if (sched->embeds[i] != NULL)
			embed_job_free(sched->embeds[i]);
	}
	for (size_t i = 0; sched->lanes != NULL && i < sched->config.fleet->n; i++) {
		if (sched->lanes[i].model != NULL)
			lane_fini(&sched->lanes[i]);
	}
	free(sched->lanes);
	adapter_space_fini(&sched->adapters);
	tally_fini(&sched->tally);
	(void)pthread_cond_destroy(&sched->cond);
	(void)pthread_mutex_destroy(&sched->lock);
	wipe(sched, sizeof(*sched));
	free(sched);
}

/* Under the lock: the job and the lease it may use (NULL: none). */
static struct lease *take_seat(struct scheduler *sched, struct job *job)
{
	struct lease *lease =
	    job->has_lease ? lease_find(&sched->leases, job->lease_id, job->key) : NULL;

	if (lease != NULL && job->state == JOB_WAITING) /* what it began with it ends with */
		scheduler_adapter_use(job, lease);
	if (lease != NULL && lease->busy)
		lease = NULL; /* another job has it: run beside it */
	if (lease != NULL)
		lease->busy = true;
	if (job->state == JOB_WAITING) {
		sched->queued--;
		sched->live[sched->live_len++] = job;
	}
	job->state = JOB_RUNNING;
	return lease;
}

bool scheduler_make_room(struct scheduler *sched, struct lane *lane, int64_t now_ns)
{
	(void)pthread_mutex_lock(&sched->lock);
	struct job *job = scheduler_resting(sched, lane, now_ns);
	if (job != NULL)
		job->state = JOB_RESTING;
	(void)pthread_mutex_unlock(&sched->lock);
	if (job == NULL)
		return false;
	sequence_end(sched, lane, job->seq, false);
	job->seq = NULL;
	atomic_fetch_sub(&sched->active, 1);
	return true;
}

/* Give the next job a sequence; false if nobody waits or none is to be had. */
static bool admit(struct scheduler *sched, struct lane *lane, int64_t now_ns)
{
	struct lease *lease = NULL;

	(void)pthread_mutex_lock(&sched->lock);
	struct job *job = scheduler_next(sched, lane);
	struct sequence *seq = job == NULL ? NULL : scheduler_seat(sched, lane, job);
	if (seq != NULL)
		lease = take_seat(sched, job);
	(void)pthread_mutex_unlock(&sched->lock);
	if (seq == NULL)
		return job != NULL && scheduler_make_room(sched, lane, now_ns);
	if (seq->lease != lease && seq->len != 0)
		sequence_wipe(lane, seq);
	seq->lease = lease;
	seq->job = job;
	job->seq = seq;
	lane->fresh = false;
	sequence_begin(lane, seq, job);
	job->progress_ns = now_ns;
	atomic_fetch_add(&sched->active, 1);
	if (!job->started) {
		job->started = true;
		job->started_ns = now_ns;
	}
	return true;
}

bool scheduler_short(const struct scheduler *sched)
{
	return sched->config.short_of_memory != NULL && atomic_load(sched->config.short_of_memory);
}

/* What each key's leases and answers hold. */
static void count_held(struct scheduler *sched)
{
	tally_hold_begin(&sched->tally);
	for (size_t i = 0; i < sched->config.fleet->n; i++) {
		const struct lane *lane = &sched->lanes[i];

		for (uint32_t s = 0; lane->present && s < lane->model->config.n_seq; s++) {
			const struct sequence *seq = &lane->seqs[s];

			if (seq->job != NULL)
				tally_hold(&sched->tally, seq->job->key, seq->len);
			else if (seq->lease != NULL)
				tally_hold(&sched->tally, seq->lease->key, seq->len);
		}
	}
	tally_hold_end(&sched->tally);
}

bool scheduler_step(struct scheduler *sched)
{
	int64_t now_ns = clock_mono_ns();
	bool worked = false;

	(void)pthread_mutex_lock(&sched->lock);
	sched->signalled = false;
	if (scheduler_short(sched))
		lease_close_spare(&sched->leases);
	lease_close_idle(&sched->leases, now_ns);
	scheduler_sort_out(sched, now_ns);
	(void)pthread_mutex_unlock(&sched->lock);

	worked |= scheduler_release_leases(sched);
	for (size_t i = 0; i < sched->config.fleet->n; i++) {
		struct lane *lane = &sched->lanes[i];

		while (lane->present && !lane->leaving && admit(sched, lane, now_ns))
			worked = true;
	}
	worked |= scheduler_swap(sched, now_ns);
	/* Once before the arithmetic: Started and what was held up need not wait. */
	worked |= scheduler_deliver(sched, now_ns);
	for (size_t i = 0; i < sched->config.fleet->n; i++) {
		struct lane *lane = &sched->lanes[i];

		if (!lane->present)
			continue;
		bool ran = lane_run(sched, lane);
		ran |= lane_embed(sched, lane);
		if (ran) {
			lane->used_ns = now_ns;
			worked = true;
		}
	}
	worked |= scheduler_deliver(sched, clock_mono_ns());
	if (worked)
		count_held(sched);
	return worked;
}

void scheduler_wait(struct scheduler *sched)
{
	struct timespec until;

	(void)pthread_mutex_lock(&sched->lock);
	int64_t wait_ns =
	    sched->any_blocked ? WAIT_BLOCKED_NS
	    : sched->live_len != 0 || sched->queued != 0 || lease_count(&sched->leases, NULL) != 0
		? WAIT_NS
		: WAIT_EMPTY_NS;
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	wait_ns += until.tv_nsec;
	until.tv_sec += (time_t)(wait_ns / NS_PER_S);
	until.tv_nsec = (long)(wait_ns % NS_PER_S);
	while (!sched->signalled &&
	       pthread_cond_timedwait(&sched->cond, &sched->lock, &until) != ETIMEDOUT)
		;
	(void)pthread_mutex_unlock(&sched->lock);
}

void scheduler_wake(struct scheduler *sched)
{
	(void)pthread_mutex_lock(&sched->lock);
	sched->signalled = true;
	(void)pthread_cond_signal(&sched->cond);
	(void)pthread_mutex_unlock(&sched->lock);
}

void scheduler_count_refused(struct scheduler *sched, const uint8_t key[WIRE_KEY_BYTES])
{
	tally_add(&sched->tally, key, TALLY_REFUSED, 1);
}

/* Under the lock: close the window if it is full. */
static void roll_rate(struct scheduler *sched, int64_t now_ns)
{
	int64_t took_ns = now_ns - sched->rate_from_ns;

	if (took_ns < RATE_WINDOW_NS)
		return;
	sched->rate = (double)sched->rate_tokens * (double)NS_PER_S / (double)took_ns;
	sched->rate_tokens = 0;
	sched->rate_from_ns = now_ns;
}

void scheduler_rate_add(struct scheduler *sched, uint64_t tokens)
{
	(void)pthread_mutex_lock(&sched->lock);
	roll_rate(sched, clock_mono_ns());
	sched->rate_tokens += tokens;
	(void)pthread_mutex_unlock(&sched->lock);
}

void scheduler_get_load(struct scheduler *sched, struct wire_load *out)
{
	*out = (struct wire_load){ .active = atomic_load(&sched->active) };
	for (size_t i = 0; i < sched->config.fleet->n; i++) {
		const struct served_model *model = &sched->config.fleet->models[i];

		if (model->info->causal && atomic_load(&model->present))
			out->slots += model->config.n_seq;
	}
	(void)pthread_mutex_lock(&sched->lock);
	roll_rate(sched, clock_mono_ns());
	out->queued = (uint32_t)sched->queued;
	out->tokens_per_second = sched->rate;
	(void)pthread_mutex_unlock(&sched->lock);
}

void scheduler_get_counts(
    struct scheduler *sched, const uint8_t key[WIRE_KEY_BYTES], struct scheduler_counts *out)
{
	*out = (struct scheduler_counts){ .kv_tokens = 0 };
	tally_get(&sched->tally, key, out->counts);
	for (size_t i = 0; i < sched->config.fleet->n; i++) {
		const struct served_model *model = &sched->config.fleet->models[i];

		if (atomic_load(&model->present))
			out->kv_tokens += (uint64_t)model->config.n_seq * model->config.n_ctx;
	}
	(void)pthread_mutex_lock(&sched->lock);
	out->leases = (uint32_t)lease_count(&sched->leases, key);
	(void)pthread_mutex_unlock(&sched->lock);
}
