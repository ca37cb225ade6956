/* What goes out for a job: Started, Tokens, Done or Error, in this order,
 * each kept until the wire takes it. */
#include "serve/scheduler_impl.h"

#include <string.h>

#include "base/log.h"

enum outcome { SENT, NOTHING, BLOCKED, PEER_GONE };

static enum outcome send(struct scheduler *sched, struct job *job, struct message *message)
{
	message->request_id = job->request_id;
	message->has_lease = job->has_lease;
	memcpy(message->lease_id, job->lease_id, WIRE_LEASE_BYTES);
	enum rc rc = sched->config.send(sched->config.ctx, job->peer, message);

	if (rc == RC_OK) {
		job->progress_ns = clock_mono_ns();
		return SENT;
	}
	if (rc == RC_CLOSED) {
		atomic_store(&job->gone, true);
		return PEER_GONE;
	}
	if (rc != RC_AGAIN)
		log_warn("SERVE-SEND", "request=%llu kind=%s rc=%s",
		    (unsigned long long)job->request_id, message_kind_word(message->kind),
		    rc_word(rc));
	return BLOCKED; /* tried again until stall_ns */
}

static enum outcome send_started(struct scheduler *sched, struct job *job)
{
	struct message message = { .kind = MESSAGE_STARTED };
	struct wire_started *started = &message.u.started;

	started->prompt_ids = (const uint32_t *)job->gen.ids; /* never negative */
	started->prompt_ids_len = job->gen.prompt_len;
	started->numerics_id = job->model->numerics_id;
	memcpy(started->content_hash, job->model->info->content_hash, WIRE_HASH_BYTES);
	started->chat_template = job->gen.template_name;
	started->cached_tokens = job->cached_tokens;
	started->cache_type = job->model->cache_type;
	started->reasoning = job->gen.reasoning;
	enum outcome outcome = send(sched, job, &message);
	if (outcome == SENT)
		job->started_sent = true;
	return outcome;
}

/* One token costs one credit; text without a token costs none. */
static enum outcome send_tokens(struct scheduler *sched, struct job *job)
{
	struct message message = { .kind = MESSAGE_TOKENS };
	bool costs = job->gen.has_token;

	if (costs && atomic_load(&job->credit) == 0)
		return NOTHING;
	generation_message(&job->gen, &message.u.tokens);
	enum outcome outcome = send(sched, job, &message);
	if (outcome == SENT) {
		generation_sent(&job->gen);
		if (costs)
			atomic_fetch_sub(&job->credit, 1);
	}
	return outcome;
}

static enum outcome send_end(struct scheduler *sched, struct job *job)
{
	struct message message = { .kind = MESSAGE_DONE };
	struct wire_done *done = &message.u.done;

	if (job->failed) {
		fault_message(&job->fault, job->request_id, &message);
		return send(sched, job, &message);
	}
	done->finish = job->gen.finish;
	done->prompt_tokens = job->gen.prompt_len;
	done->generated_tokens = generation_answer_len(&job->gen);
	if (job->prompt_done_ns != 0) {
		done->prompt_ns = (uint64_t)(job->prompt_done_ns - job->started_ns);
		done->generate_ns = (uint64_t)(job->finished_ns - job->prompt_done_ns);
	}
	done->stop = generation_stop_string(&job->gen);
	return send(sched, job, &message);
}

/* The sequence goes to the next job as soon as nothing is computed any more. */
static void leave_sequence(struct scheduler *sched, struct job *job)
{
	bool whole = !job->failed && !scheduler_unwanted(job) &&
		     (job->gen.finish == WIRE_FINISH_STOP || job->gen.finish == WIRE_FINISH_LENGTH);

	if (job->seq != NULL) {
		sequence_end(sched, scheduler_lane(sched, job->model), job->seq, whole);
		job->seq = NULL;
		atomic_fetch_sub(&sched->active, 1);
	}
	(void)pthread_mutex_lock(&sched->lock);
	scheduler_adapter_leave(job);
	job->state = JOB_CLOSING;
	(void)pthread_mutex_unlock(&sched->lock);
}

static void check(struct scheduler *sched, struct job *job, int64_t now_ns)
{
	if (atomic_load(&job->cancelled) && !job->failed &&
	    job->gen.finish != WIRE_FINISH_CANCELLED)
		generation_stop(&job->gen, WIRE_FINISH_CANCELLED);
	/* One that waits for a sequence again is not to blame. */
	bool waits = job->state == JOB_RESTING && !generation_pending(&job->gen) &&
		     job->gen.finish == WIRE_FINISH_UNKNOWN;
	if (!waits && now_ns - job->progress_ns > sched->config.stall_ns)
		job_fail(job, WIRE_ERROR_TIMEOUT, "nobody took the answer: no credit in time");
	if (atomic_load(&job->gone) || job->gen.finish != WIRE_FINISH_UNKNOWN)
		leave_sequence(sched, job);
}

/* Everything that can go out now; true once the job is over. */
static bool deliver(struct scheduler *sched, struct job *job, bool *any)
{
	enum outcome outcome = NOTHING;

	job->blocked = false;
	if (job->started && !job->started_sent) {
		outcome = send_started(sched, job);
		*any |= outcome == SENT;
		if (outcome != SENT)
			goto out;
	}
	if (generation_pending(&job->gen)) {
		outcome = send_tokens(sched, job);
		*any |= outcome == SENT;
		if (outcome != SENT)
			goto out;
	}
	if (job->gen.finish == WIRE_FINISH_UNKNOWN)
		return false;
	outcome = send_end(sched, job);
	*any |= outcome == SENT;
	if (outcome == SENT)
		return true;
out:
	job->blocked = outcome == BLOCKED;
	return false;
}

/* A peer that was blocked for stall_ns will not take the error either. */
static bool given_up(const struct scheduler *sched, const struct job *job, int64_t now_ns)
{
	return atomic_load(&job->gone) ||
	       (job->state == JOB_CLOSING &&
		   now_ns - job->progress_ns > 2 * sched->config.stall_ns);
}

bool scheduler_deliver(struct scheduler *sched, int64_t now_ns)
{
	bool any = false;

	sched->any_blocked = false;
	for (size_t i = 0; i < sched->live_len;) {
		struct job *job = sched->live[i];

		check(sched, job, now_ns);
		bool over = atomic_load(&job->gone) || deliver(sched, job, &any) ||
			    given_up(sched, job, now_ns);
		if (!over) {
			sched->any_blocked |= job->blocked;
			i++;
			continue;
		}
		leave_sequence(sched, job);
		(void)pthread_mutex_lock(&sched->lock);
		scheduler_forget(sched, job);
		(void)pthread_mutex_unlock(&sched->lock);
		job_free(job);
		sched->live[i] = sched->live[--sched->live_len];
		any = true;
	}
	return any;
}
