/* Absent models coming in for those that wait, and others going for them. */
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "serve/scheduler_impl.h"

static bool is_waited_for(struct scheduler *sched, const struct lane *lane, int64_t *since_ns)
{
	bool any = false;

	(void)pthread_mutex_lock(&sched->lock);
	for (size_t i = 0; i < SCHEDULER_JOBS_MAX; i++) {
		const struct job *job = sched->jobs[i];

		if (job == NULL || job->model != lane->model || !job_wants_seat(job))
			continue;
		*since_ns = !any || job->arrival_ns < *since_ns ? job->arrival_ns : *since_ns;
		any = true;
	}
	for (size_t i = 0; i < SCHEDULER_EMBEDS_MAX; i++) {
		const struct embed_job *job = sched->embeds[i];

		if (job == NULL || job->model != lane->model)
			continue;
		*since_ns = !any || job->arrival_ns < *since_ns ? job->arrival_ns : *since_ns;
		any = true;
	}
	(void)pthread_mutex_unlock(&sched->lock);
	return any;
}

/* Texts that nobody waits for any more, on lanes that cannot see to it themselves. */
static bool end_late_embeds(struct scheduler *sched, const struct lane *lane, int64_t now_ns)
{
	const struct errmsg late = { "waited past ttl_ms" }, none = { "cancelled" };
	struct embed_job *over = NULL;
	bool any = false;

	do {
		over = NULL;
		(void)pthread_mutex_lock(&sched->lock);
		for (size_t i = 0; i < SCHEDULER_EMBEDS_MAX && over == NULL; i++) {
			struct embed_job *job = sched->embeds[i];

			if (job != NULL && job->model == lane->model &&
			    (job->gone || job->cancelled ||
				(job->deadline_ns != 0 && now_ns >= job->deadline_ns)))
				over = job;
		}
		bool cancelled = over != NULL && (over->gone || over->cancelled);
		(void)pthread_mutex_unlock(&sched->lock);
		if (over != NULL)
			embed_job_end(sched, over, cancelled ? RC_CANCELLED : RC_TIMEOUT,
			    cancelled ? &none : &late);
		any = any || over != NULL;
	} while (over != NULL);
	return any;
}

/* The absent one that was waited for longest; NULL: none. */
static struct lane *find_wanted(struct scheduler *sched)
{
	struct lane *wanted = NULL;
	int64_t since_ns = 0, oldest_ns = 0;

	for (size_t i = 0; i < sched->config.fleet->n; i++) {
		struct lane *lane = &sched->lanes[i];

		if (!lane->present && is_waited_for(sched, lane, &since_ns) &&
		    (wanted == NULL || since_ns < oldest_ns)) {
			wanted = lane;
			oldest_ns = since_ns;
		}
	}
	return wanted;
}

static bool is_busy(const struct lane *lane)
{
	bool busy = lane->embedding != NULL;

	for (uint32_t i = 0; i < lane->model->config.n_seq; i++)
		busy = busy || lane->seqs[i].job != NULL;
	return busy;
}

/* The least recently used one that takes of the same memory and may go. */
static struct lane *find_victim(struct scheduler *sched, const struct lane *wanted)
{
	struct lane *victim = NULL;
	int64_t since_ns;

	for (size_t i = 0; i < sched->config.fleet->n; i++) {
		struct lane *lane = &sched->lanes[i];

		if (!lane->present || lane->leaving ||
		    !fleet_share_room(lane->model, wanted->model) ||
		    (lane->fresh && is_waited_for(sched, lane, &since_ns)))
			continue;
		if (victim == NULL || lane->used_ns < victim->used_ns)
			victim = lane;
	}
	return victim;
}

/* Mark as many as have to go; false: not yet. */
static bool choose_leaving(struct scheduler *sched, const struct lane *wanted)
{
	uint64_t room = fleet_room_bytes(sched->config.fleet, wanted->model);

	for (size_t i = 0; i < sched->config.fleet->n; i++) {
		const struct lane *lane = &sched->lanes[i];

		if (lane->leaving && fleet_share_room(lane->model, wanted->model))
			room += fleet_own_bytes(lane->model);
	}
	while (room < fleet_own_bytes(wanted->model)) {
		struct lane *victim = find_victim(sched, wanted);

		if (victim == NULL)
			return false;
		victim->leaving = true;
		room += fleet_own_bytes(victim->model);
	}
	return true;
}

static enum rc bring_in(struct scheduler *sched, struct lane *lane, struct errmsg *why)
{
	enum rc rc = fleet_bring_in(sched->config.fleet, lane->model, why);

	if (rc != RC_OK)
		return rc;
	rc = lane_init(lane, lane->model);
	if (rc == RC_OK) {
		lane->fresh = true;
		return RC_OK;
	}
	lane_fini(lane);
	fleet_put_out(sched->config.fleet, lane->model);
	return errmsg_rc(why, rc, "no memory for the sequences' rows and logits");
}

/* Those that wait for a model that could not come; true if there were any. */
static bool fail_waiting(struct scheduler *sched, const struct lane *lane)
{
	const struct errmsg why = { "the model could not be brought into memory" };
	struct embed_job *job;
	bool any = false;

	(void)pthread_mutex_lock(&sched->lock);
	for (size_t i = 0; i < SCHEDULER_JOBS_MAX; i++) {
		struct job *waiting = sched->jobs[i];

		if (waiting == NULL || waiting->model != lane->model || !job_wants_seat(waiting))
			continue;
		any = true;
		job_fail(waiting, WIRE_ERROR_MEMORY, why.text);
		if (waiting->state == JOB_WAITING)
			job_to_closing(sched, waiting);
	}
	(void)pthread_mutex_unlock(&sched->lock);
	do {
		job = NULL;
		(void)pthread_mutex_lock(&sched->lock);
		for (size_t i = 0; i < SCHEDULER_EMBEDS_MAX; i++) {
			if (sched->embeds[i] != NULL && sched->embeds[i]->model == lane->model)
				job = sched->embeds[i];
		}
		(void)pthread_mutex_unlock(&sched->lock);
		any = any || job != NULL;
		if (job != NULL)
			embed_job_end(sched, job, RC_BUDGET, &why);
	} while (job != NULL);
	return any;
}

/* Nothing runs on those that go.  If the new one cannot come they come back; if they
 * cannot either, only another process can help. */
static void change(struct scheduler *sched, struct lane *wanted)
{
	bool went[FLEET_MODELS_MAX] = { false };
	struct errmsg why = ERRMSG_INIT;

	for (size_t i = 0; i < sched->config.fleet->n; i++) {
		struct lane *lane = &sched->lanes[i];

		if (!lane->leaving)
			continue;
		went[i] = true;
		lane_fini(lane);
		fleet_put_out(sched->config.fleet, lane->model);
		log_info("SERVE-MODEL-OUT", "model=%s", lane->model->info->name);
	}
	enum rc rc = bring_in(sched, wanted, &why);
	if (rc == RC_OK) {
		log_info("SERVE-MODEL-IN", "model=%s planned_bytes=%llu", wanted->model->info->name,
		    (unsigned long long)atomic_load(&sched->config.fleet->planned_bytes));
		return;
	}
	log_error("SERVE-MODEL-FAILED", "model=%s reason=%s", wanted->model->info->name,
	    errmsg_text(&why, rc));
	for (size_t i = 0; i < sched->config.fleet->n; i++) {
		if (!went[i])
			continue;
		if (bring_in(sched, &sched->lanes[i], &why) != RC_OK) {
			log_error(
			    "SERVE-MODEL-LOST", "model=%s", sched->lanes[i].model->info->name);
			_exit(EXIT_FAILED);
		}
		sched->lanes[i].fresh = false;
	}
	wanted->failed_ns = clock_mono_ns();
	(void)fail_waiting(sched, wanted);
}

static void stay(struct scheduler *sched)
{
	sched->wanted = NULL;
	for (size_t i = 0; i < sched->config.fleet->n; i++)
		sched->lanes[i].leaving = false;
}

bool scheduler_swap(struct scheduler *sched, int64_t now_ns)
{
	bool busy = false, worked = false;
	int64_t since_ns;

	for (size_t i = 0; i < sched->config.fleet->n; i++) {
		struct lane *lane = &sched->lanes[i];

		if (lane->present)
			continue;
		worked |= end_late_embeds(sched, lane, now_ns);
		if (lane->failed_ns != 0 && now_ns - lane->failed_ns < MODEL_RETRY_NS)
			worked |= fail_waiting(sched, lane);
	}
	if (sched->wanted != NULL && !is_waited_for(sched, sched->wanted, &since_ns))
		stay(sched);
	if (sched->wanted == NULL)
		sched->wanted = find_wanted(sched);
	if (sched->wanted == NULL || !choose_leaving(sched, sched->wanted))
		return worked;
	for (size_t i = 0; i < sched->config.fleet->n; i++) {
		struct lane *lane = &sched->lanes[i];

		if (!lane->leaving || !is_busy(lane))
			continue;
		busy = true;
		worked |= scheduler_make_room(sched, lane, now_ns);
	}
	if (busy)
		return worked;
	change(sched, sched->wanted);
	stay(sched);
	return true;
}
