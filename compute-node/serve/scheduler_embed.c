/*
 * Embedding beside generation: a pass of texts in each round, turn about among
 * the requests that wait, the vectors in one answer.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/wipe.h"
#include "serve/scheduler_impl.h"

/* Texts of one request before it is another's turn. */
#define TURN_TEXTS 32U

void embed_job_free(struct embed_job *job)
{
	if (job->vectors != NULL)
		wipe(job->vectors, job->n * job->n_embd * sizeof(job->vectors[0]));
	free(job->vectors);
	free(job->texts);
	tokens_free(&job->ids);
	wipe(job, sizeof(*job));
	free(job);
}

/* Takes `ids` on success. */
static enum rc job_new(const struct embed_request *request, struct embed_job **out)
{
	struct embed_job *job = calloc(1, sizeof(*job));

	if (job == NULL)
		return RC_NOMEM;
	job->n = request->n;
	job->n_embd = request->model->info->n_embd;
	job->texts = calloc(job->n, sizeof(job->texts[0]));
	job->vectors = calloc(job->n * job->n_embd, sizeof(job->vectors[0]));
	if (job->texts == NULL || job->vectors == NULL) {
		embed_job_free(job);
		return RC_NOMEM;
	}
	job->peer = request->peer;
	job->request_id = request->request_id;
	memcpy(job->key, request->key, WIRE_KEY_BYTES);
	job->model = request->model;
	job->arrival_ns = clock_mono_ns();
	job->deadline_ns = request->deadline_ns;
	for (size_t i = 0, at = 0; i < job->n; at = request->ends[i++])
		job->texts[i] = (struct embed_text){ .ids = request->ids->ids + at,
			.n = request->ends[i] - at,
			.out = job->vectors + i * job->n_embd };
	job->ids = *request->ids;
	*request->ids = (struct tokens){ .len = 0 };
	*out = job;
	return RC_OK;
}

/* Under the lock: a place for `n_tokens` more of this key (S1, S2). */
static bool has_room(
    struct scheduler *sched, const uint8_t key[WIRE_KEY_BYTES], size_t n_tokens, size_t *place)
{
	size_t n = 0, of_key = 0, tokens = n_tokens;

	for (size_t i = SCHEDULER_EMBEDS_MAX; i-- > 0;) {
		const struct embed_job *job = sched->embeds[i];

		if (job == NULL) {
			*place = i;
			continue;
		}
		n++;
		tokens += job->ids.len;
		of_key += memcmp(job->key, key, WIRE_KEY_BYTES) == 0;
	}
	return n < SCHEDULER_EMBEDS_MAX && tokens <= SCHEDULER_EMBED_TOKENS_MAX &&
	       of_key < SCHEDULER_EMBEDS_MAX - SCHEDULER_EMBEDS_MAX / 4;
}

enum rc scheduler_embed(
    struct scheduler *sched, const struct embed_request *request, struct errmsg *why)
{
	struct embed_job *job = NULL;
	size_t place = 0;
	enum rc rc;

	tally_add(&sched->tally, request->key, TALLY_REQUESTS, 1);
	if (request->ids->len > SCHEDULER_EMBED_TOKENS_MAX)
		return errmsg_rc(why, RC_LIMIT, "texts: %zu tokens in all (limit %zu)",
		    request->ids->len, SCHEDULER_EMBED_TOKENS_MAX);
	if (scheduler_short(sched))
		return errmsg_rc(why, RC_BUSY, SHORT_TEXT);
	rc = job_new(request, &job);
	if (rc != RC_OK)
		return errmsg_rc(why, rc, "no memory for %zu vectors", request->n);
	(void)pthread_mutex_lock(&sched->lock);
	if (has_room(sched, job->key, job->ids.len, &place)) {
		job->turn = sched->next_turn++;
		sched->embeds[place] = job;
		job = NULL;
	}
	(void)pthread_mutex_unlock(&sched->lock);
	if (job != NULL) {
		embed_job_free(job);
		return errmsg_rc(why, RC_BUSY, "the queue is full");
	}
	scheduler_wake(sched);
	return RC_OK;
}

/* Under the lock. */
void scheduler_flag_embeds(
    struct scheduler *sched, wire_peer peer, const uint64_t *request_id, bool gone)
{
	for (size_t i = 0; i < SCHEDULER_EMBEDS_MAX; i++) {
		struct embed_job *job = sched->embeds[i];

		if (job == NULL || job->peer != peer ||
		    (request_id != NULL && job->request_id != *request_id))
			continue;
		if (gone)
			job->gone = true;
		else
			job->cancelled = true;
	}
}

/* Whose turn it is on this lane; NULL: nobody's.  It stays in the table. */
static struct embed_job *next_job(struct scheduler *sched, const struct lane *lane)
{
	struct embed_job *best = NULL;

	(void)pthread_mutex_lock(&sched->lock);
	for (size_t i = 0; i < SCHEDULER_EMBEDS_MAX; i++) {
		struct embed_job *job = sched->embeds[i];

		if (job != NULL && job->model == lane->model &&
		    (best == NULL || job->turn < best->turn))
			best = job;
	}
	(void)pthread_mutex_unlock(&sched->lock);
	return best;
}

void embed_job_end(
    struct scheduler *sched, struct embed_job *job, enum rc rc, const struct errmsg *why)
{
	struct message answer = { .request_id = job->request_id, .kind = MESSAGE_VECTORS };
	struct fault fault;
	bool gone;

	(void)pthread_mutex_lock(&sched->lock);
	for (size_t i = 0; i < SCHEDULER_EMBEDS_MAX; i++) {
		if (sched->embeds[i] == job)
			sched->embeds[i] = NULL;
	}
	gone = job->gone;
	(void)pthread_mutex_unlock(&sched->lock);
	if (rc == RC_OK) {
		answer.u.vectors = (struct wire_vectors){ .length = job->n_embd,
			.values = job->vectors,
			.values_len = job->n * job->n_embd,
			.prompt_tokens = (uint32_t)job->ids.len };
		tally_add(&sched->tally, job->key, TALLY_PROMPT, job->ids.len);
	} else {
		scheduler_count_refused(sched, job->key);
		fault_from_rc(&fault, rc, why);
		fault_message(&fault, job->request_id, &answer);
	}
	if (!gone)
		sched->config.reply(sched->config.ctx, job->peer, &answer);
	embed_job_free(job);
}

/* RC_OK: go on with it. */
static enum rc still_wanted(
    struct scheduler *sched, const struct embed_job *job, struct errmsg *why)
{
	bool cancelled;

	(void)pthread_mutex_lock(&sched->lock);
	cancelled = job->cancelled || job->gone;
	(void)pthread_mutex_unlock(&sched->lock);
	if (cancelled)
		return errmsg_rc(why, RC_CANCELLED, "cancelled");
	if (job->deadline_ns != 0 && clock_mono_ns() >= job->deadline_ns)
		return errmsg_rc(why, RC_TIMEOUT, "waited past ttl_ms");
	return RC_OK;
}

/* Texts of the lane's job that make up one turn are done. */
static void end_turn(struct scheduler *sched, struct lane *lane)
{
	struct embed_job *job = lane->embedding;

	lane->embedding = NULL;
	job->done += job->in_turn;
	if (job->done == job->n) {
		embed_job_end(sched, job, RC_OK, NULL);
		return;
	}
	(void)pthread_mutex_lock(&sched->lock);
	job->turn = sched->next_turn++;
	(void)pthread_mutex_unlock(&sched->lock);
}

bool lane_embed(struct scheduler *sched, struct lane *lane)
{
	struct embed_job *job = lane->embedding;
	struct errmsg why = ERRMSG_INIT;
	bool done = false;
	enum rc rc;

	if (lane->embed == NULL)
		return false;
	if (job == NULL) {
		job = lane->leaving ? NULL : next_job(sched, lane);
		if (job == NULL)
			return false;
		lane->embedding = job;
		lane->fresh = false;
		job->in_turn = job->n - job->done < TURN_TEXTS ? job->n - job->done : TURN_TEXTS;
		embed_begin(lane->embed, job->texts + job->done, job->in_turn);
	}
	rc = still_wanted(sched, job, &why);
	if (rc == RC_OK)
		rc = embed_step(lane->embed, &done, &why);
	lane_end_if_lost(lane, rc, &why);
	if (rc != RC_OK) {
		embed_stop(lane->embed);
		lane->embedding = NULL;
		embed_job_end(sched, job, rc, &why);
	} else if (done) {
		end_turn(sched, lane);
	}
	return true;
}
