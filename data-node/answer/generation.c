/*
 * Generation, the puller's half: find a node, ask it, hand out what came,
 * and go on elsewhere when it is lost.
 */
#include "answer/generation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer/generation_state.h"
#include "answer/wait.h"
#include "base/clock.h"

#define BUSY_WAIT_NS (15 * NS_PER_S) /* for a slot, before an answer begins */
#define FAULT_WAIT_NS (3 * NS_PER_S) /* for a node that failed to try again */
#define BUSY_BACKOFF_NS (200 * NS_PER_MS)
#define BUSY_BACKOFF_MAX_NS (2 * NS_PER_S)
#define FAULT_AVOID_NS (500 * NS_PER_MS)
#define MISFIT_AVOID_NS (5 * NS_PER_S)
#define RETRY_NS (50 * NS_PER_MS)
#define FAULTS_MAX 4u

static enum rc init_locks(struct generation *generation)
{
	if (pthread_mutex_init(&generation->lock, NULL) != 0)
		return RC_NOMEM;
	enum rc rc = wait_init(&generation->cond);
	if (rc != RC_OK)
		(void)pthread_mutex_destroy(&generation->lock);
	return rc;
}

static void set_times(struct generation *generation, const struct generation_request *request)
{
	int64_t ttl_ns = request->ttl_ns > 0 ? request->ttl_ns : GENERATION_TTL_NS;

	generation->begun_ns = clock_mono_ns();
	generation->expires_ns = wait_deadline(generation->begun_ns, ttl_ns);
	generation->start_timeout_ns = request->start_timeout_ns;
	generation->resume_timeout_ns = request->resume_timeout_ns > 0
					    ? request->resume_timeout_ns
					    : GENERATION_RESUME_TIMEOUT_NS;
}

/* ---- asking a node ---- */

static void forget_expired(struct generation *generation, int64_t now)
{
	size_t kept = 0;

	for (size_t i = 0; i < generation->avoid_len; i++) {
		if (generation->avoid[i].until_ns > now)
			generation->avoid[kept++] = generation->avoid[i];
	}
	generation->avoid_len = kept;
}

static void avoid_node(struct generation *generation, uint64_t node, int64_t for_ns)
{
	if (generation->avoid_len == CALL_AVOID_MAX) {
		memmove(&generation->avoid[0], &generation->avoid[1],
		    (CALL_AVOID_MAX - 1) * sizeof(generation->avoid[0]));
		generation->avoid_len--;
	}
	generation->avoid[generation->avoid_len++] =
	    (struct avoid){ .node = node, .until_ns = wait_deadline(clock_mono_ns(), for_ns) };
}

static enum rc open_call(struct generation *generation)
{
	const struct call_handler handler = {
		.ctx = generation,
		.message = generation_on_message,
		.down = generation_on_down,
	};
	const struct inbox *inbox = &generation->inbox;
	uint64_t avoid[CALL_AVOID_MAX];
	const char *model = generation->base.model;
	struct call_want want = {
		.model = model[0] == '\0' ? NULL : model,
		.context_min = generation->context_min,
		.prefix = generation->prefix.len > 0 ? &generation->prefix : NULL,
		.constrains = generation->base.constraint.kind != WIRE_CONSTRAINT_NONE,
		.holds_calls = generation->base.constraint.kind == WIRE_CONSTRAINT_CALLS ||
			       generation->base.constraint.kind == WIRE_CONSTRAINT_MUST_CALL,
		.avoid = avoid,
		.avoid_len = generation->avoid_len,
	};

	forget_expired(generation, clock_mono_ns());
	want.avoid_len = generation->avoid_len;
	for (size_t i = 0; i < generation->avoid_len; i++)
		avoid[i] = generation->avoid[i].node;
	/* No call is open, so no other thread writes the inbox's answer now. */
	if (inbox->known) {
		want.goes_on = true;
		want.content_hash = inbox->content_hash;
		want.numerics_id = inbox->first_numerics_id;
		want.cache_type = inbox->cache_type;
	}
	(void)pthread_mutex_lock(&generation->lock);
	generation_inbox_reset(&generation->inbox);
	(void)pthread_mutex_unlock(&generation->lock);
	return call_open(generation->pool, &want, &handler, &generation->call);
}

/* End the call; `tell`: the node is still at it. */
static void close_call(struct generation *generation, bool tell)
{
	struct call *call = generation->call;

	if (call == NULL)
		return;
	(void)pthread_mutex_lock(&generation->lock);
	generation->inbox.request = 0;
	(void)pthread_mutex_unlock(&generation->lock);
	if (tell)
		call_cancel(generation->pool, call_node(call), call_request(call));
	call_close(call);
	generation->call = NULL;
}

static uint32_t ttl_ms_left(const struct generation *generation)
{
	int64_t left_ms = (generation->expires_ns - clock_mono_ns()) / NS_PER_MS;

	if (left_ms < 1)
		return 1;
	return left_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)left_ms;
}

/* The body for this attempt: the first question, or where the answer stands. */
static void fill_generate(struct generation *generation, struct wire_generate *out)
{
	struct inbox *inbox = &generation->inbox;
	size_t from = 0;

	*out = generation->base;
	out->model = call_model(generation->call);
	if (inbox->known) {
		from = inbox->text_gap ? 0 : inbox->ids_len;
		out->messages_len = out->raw_len = 0;
		out->prompt_ids = inbox->prompt_ids;
		out->prompt_ids_len = inbox->prompt_ids_len;
		out->generated_ids = inbox->ids;
		out->generated_ids_len = from;
	}
	generation->credited = generation->drained + GENERATION_WINDOW;
	if (generation->credited <= from)
		generation->credited = (uint32_t)from + 1;
	out->credit = generation->credited - (uint32_t)from;
}

static enum rc ask(struct generation *generation)
{
	struct inbox *inbox = &generation->inbox;
	enum rc rc = open_call(generation);

	if (rc != RC_OK)
		return rc;
	struct message message = { .kind = MESSAGE_GENERATE, .ttl_ms = ttl_ms_left(generation) };
	fill_generate(generation, &message.u.generate);
	(void)pthread_mutex_lock(&generation->lock);
	inbox->limit = generation->credited + GENERATION_SLACK;
	inbox->node = call_node(generation->call);
	inbox->request = call_request(generation->call);
	(void)pthread_mutex_unlock(&generation->lock);
	rc = call_send(generation->call, &message);
	if (rc != RC_OK) {
		close_call(generation, false);
		return rc;
	}
	(void)snprintf(
	    generation->model, sizeof(generation->model), "%s", call_model(generation->call));
	generation->phase = PHASE_ASKED;
	return RC_OK;
}

/* More tokens may come: as many as were pulled. */
static void grant(struct generation *generation)
{
	uint32_t target = generation->drained + GENERATION_WINDOW;

	if (target < generation->credited + GENERATION_WINDOW / 2)
		return;
	struct message message = {
		.kind = MESSAGE_CREDIT,
		.u.credit = target - generation->credited,
	};
	(void)pthread_mutex_lock(&generation->lock);
	generation->inbox.limit = target + GENERATION_SLACK;
	(void)pthread_mutex_unlock(&generation->lock);
	if (call_send(generation->call, &message) == RC_OK)
		generation->credited = target;
}

/* ---- events ---- */

static void fill_event(
    struct generation *generation, enum generation_event_kind kind, struct generation_event *event)
{
	*event = (struct generation_event){
		.kind = kind,
		.text = "",
		.logprobs = "",
		.tokens = generation->drained,
		.prompt_tokens = generation->prompt_tokens,
		.cached_tokens = generation->cached_tokens,
		.model = generation->model,
		.numerics_id = generation->numerics_id,
		.reasoning = generation->reasoning,
	};
}

static bool fail(struct generation *generation, enum rc rc, const char *text, uint64_t context,
    uint64_t needed, struct generation_event *event)
{
	close_call(generation, true);
	generation->phase = PHASE_ENDED;
	fill_event(generation, GENERATION_FAILED, event);
	event->rc = rc;
	event->context = context;
	event->needed = needed;
	(void)snprintf(event->error, sizeof(event->error), "%s",
	    text != NULL && text[0] != '\0' ? text : rc_text(rc));
	generation->last = *event;
	return true;
}

/* The node is lost or will not do: seek on. */
static void lose(struct generation *generation, enum rc rc, int64_t avoid_ns, bool tell)
{
	uint64_t node = call_node(generation->call);

	close_call(generation, tell);
	if (avoid_ns > 0)
		avoid_node(generation, node, avoid_ns);
	if (generation->away_since_ns == 0)
		generation->away_since_ns = clock_mono_ns();
	generation->seek_rc = rc;
	generation->phase = PHASE_SEEKING;
}

static bool lose_faulty(struct generation *generation, struct generation_event *event)
{
	if (++generation->faults > FAULTS_MAX)
		return fail(generation, RC_UNAVAILABLE, "the compute node failed on this request",
		    0, 0, event);
	lose(generation, RC_UNAVAILABLE, FAULT_AVOID_NS, true);
	return false;
}

static void lose_busy(struct generation *generation, enum rc rc)
{
	int64_t backoff_ns = BUSY_BACKOFF_NS
			     << (generation->refusals < 8 ? generation->refusals : 8);

	if (backoff_ns > BUSY_BACKOFF_MAX_NS)
		backoff_ns = BUSY_BACKOFF_MAX_NS;
	generation->refusals++;
	if (generation->busy_since_ns == 0)
		generation->busy_since_ns = clock_mono_ns();
	lose(generation, rc, backoff_ns, false);
}

/* A larger node may hold what this one cannot. */
static bool lose_short(struct generation *generation, const struct wire_error_body *refusal,
    const char *text, struct generation_event *event)
{
	uint64_t needed =
	    refusal->needed > refusal->context ? refusal->needed : refusal->context + 1;

	if (generation->context_min >= needed)
		return fail(generation, RC_CONTEXT, text, refusal->context, refusal->needed, event);
	generation->last.context = refusal->context;
	generation->last.needed = refusal->needed;
	(void)snprintf(generation->last.error, sizeof(generation->last.error), "%s", text);
	generation->context_min = needed;
	lose(generation, RC_CONTEXT, MISFIT_AVOID_NS, false);
	return false;
}

/* The node has no room for a lease, or ended it just now: without one, then. */
static void lose_lease(struct generation *generation)
{
	bool leased = generation->prefix.len > 0;

	prefix_fini(&generation->prefix);
	lose(generation, RC_UNAVAILABLE, leased ? 0 : MISFIT_AVOID_NS, false);
}

static bool refused(struct generation *generation, const struct wire_error_body *refusal,
    const char *text, struct generation_event *event)
{
	switch (refusal->code) {
	case WIRE_ERROR_CONTEXT:
		return lose_short(generation, refusal, text, event);
	case WIRE_ERROR_BUSY:
		lose_busy(generation, RC_BUSY);
		return false;
	case WIRE_ERROR_MEMORY:
		lose_busy(generation, RC_BUDGET);
		return false;
	case WIRE_ERROR_NO_LEASE:
		lose_lease(generation);
		return false;
	case WIRE_ERROR_NO_MODEL:
	case WIRE_ERROR_VERSION:
		lose(generation, RC_UNAVAILABLE, MISFIT_AVOID_NS, false);
		return false;
	case WIRE_ERROR_CANCELLED: /* not by us: the node is going down */
		lose(generation, RC_CLOSED, FAULT_AVOID_NS, false);
		return false;
	case WIRE_ERROR_INVALID:
		return fail(generation, RC_INVALID, text, 0, 0, event);
	case WIRE_ERROR_UNSUPPORTED:
		return fail(generation, RC_UNSUPPORTED, text, 0, 0, event);
	case WIRE_ERROR_LIMIT:
		return fail(generation, RC_LIMIT, text, 0, 0, event);
	case WIRE_ERROR_TIMEOUT:
		return fail(generation, RC_TIMEOUT, text, 0, 0, event);
	case WIRE_ERROR_INTERNAL:
	case WIRE_ERROR_UNKNOWN:
		break;
	}
	return lose_faulty(generation, event);
}

/* ---- phases: each returns true if it filled `event` ---- */

static int64_t seek_deadline(const struct generation *generation)
{
	int64_t start = wait_deadline(generation->begun_ns, generation->start_timeout_ns);

	if (generation->inbox.known || generation->seek_rc == RC_CLOSED)
		return wait_deadline(generation->away_since_ns, generation->resume_timeout_ns);
	if (generation->busy_since_ns != 0) {
		int64_t busy = wait_deadline(generation->busy_since_ns, BUSY_WAIT_NS);
		return busy > start ? busy : start;
	}
	if (generation->faults > 0) {
		int64_t again = wait_deadline(generation->away_since_ns, FAULT_WAIT_NS);
		return again > start ? again : start;
	}
	return start;
}

static bool give_up(struct generation *generation, struct generation_event *event)
{
	if (generation->inbox.known)
		return fail(
		    generation, RC_TIMEOUT, "no compute node came back in time", 0, 0, event);
	if (generation->seek_rc == RC_BUSY)
		return fail(generation, RC_BUSY, "every compute node is busy", 0, 0, event);
	if (generation->seek_rc == RC_BUDGET)
		return fail(generation, RC_BUDGET, NULL, 0, 0, event);
	return fail(generation, RC_UNAVAILABLE, NULL, 0, 0, event);
}

/* When to look again although nothing happened. */
static int64_t next_look(const struct generation *generation, enum rc rc, int64_t now)
{
	int64_t wake = rc == RC_UNAVAILABLE ? INT64_MAX : now + RETRY_NS;

	for (size_t i = 0; i < generation->avoid_len; i++) {
		if (generation->avoid[i].until_ns < wake)
			wake = generation->avoid[i].until_ns;
	}
	return wake;
}

static bool seek(struct generation *generation, struct generation_event *event)
{
	enum rc rc = ask(generation);

	if (rc == RC_OK)
		return false;
	if (rc != RC_UNAVAILABLE && rc != RC_CLOSED && rc != RC_AGAIN)
		return fail(generation, rc, NULL, 0, 0, event);
	if (generation->seek_rc == RC_CONTEXT && !generation->inbox.known) {
		struct generation_event said = generation->last;
		return fail(generation, RC_CONTEXT, said.error, said.context, said.needed, event);
	}
	int64_t now = clock_mono_ns();
	int64_t deadline = seek_deadline(generation);
	if (now >= deadline)
		return give_up(generation, event);
	generation->wake_ns = next_look(generation, rc, now);
	if (generation->wake_ns > deadline)
		generation->wake_ns = deadline;
	if (generation->announced_waiting)
		return false;
	generation->announced_waiting = true;
	fill_event(generation, GENERATION_WAITING, event);
	return true;
}

static bool begin(struct generation *generation, bool changed, struct generation_event *event)
{
	bool again = generation->announced_start;

	generation->phase = PHASE_RUNNING;
	generation->announced_start = true;
	generation->announced_waiting = false;
	fill_event(generation, again ? GENERATION_RESUMED : GENERATION_STARTED, event);
	event->numerics_changed = changed;
	return true;
}

/* Under the lock: move what came in to `out`; how many new ids there were. */
static size_t take_text(struct generation *generation)
{
	struct inbox *inbox = &generation->inbox;
	size_t fresh = inbox->ids_len - generation->drained;
	struct buf empty = generation->out;

	buf_reset(&empty);
	generation->out = inbox->text;
	inbox->text = empty;
	generation->drained = (uint32_t)inbox->ids_len;
	if (inbox->logprobs.len > 0) {
		if (generation->logprobs.len > 0)
			buf_putc(&generation->logprobs, ',');
		buf_append(&generation->logprobs, buf_text(&inbox->logprobs), inbox->logprobs.len);
		buf_reset(&inbox->logprobs);
	}
	return fresh;
}

/* What the last event handed out is gone. */
static void drop_logprobs(struct generation *generation)
{
	buf_consume(&generation->logprobs, generation->logprobs_given);
	generation->logprobs_given = 0;
}

static void give_logprobs(struct generation *generation, struct generation_event *event)
{
	event->logprobs = buf_text(&generation->logprobs);
	event->logprobs_len = generation->logprobs_given = generation->logprobs.len;
}

static bool finish(struct generation *generation, enum wire_finish how, bool changed,
    struct generation_event *event)
{
	if (how != WIRE_FINISH_STOP && how != WIRE_FINISH_LENGTH)
		return lose_faulty(generation, event);
	close_call(generation, false);
	generation->phase = PHASE_ENDED;
	fill_event(generation, GENERATION_DONE, event);
	event->finish = how;
	event->numerics_changed = changed;
	generation->last = *event;
	give_logprobs(generation, event);
	return true;
}

static bool look(struct generation *generation, struct generation_event *event)
{
	struct inbox *inbox = &generation->inbox;
	char refusal_text[sizeof(inbox->refusal_text)];

	(void)pthread_mutex_lock(&generation->lock);
	generation->seen = inbox->news;
	bool begins = generation->phase == PHASE_ASKED && inbox->started;
	size_t fresh = 0;
	if (begins) {
		memcpy(generation->numerics_id, inbox->numerics_id, sizeof(inbox->numerics_id));
		generation->prompt_tokens = (uint32_t)inbox->prompt_ids_len;
		generation->cached_tokens = inbox->cached;
		generation->reasoning = inbox->reasoning;
	} else if (generation->phase == PHASE_RUNNING) {
		fresh = take_text(generation);
	}
	bool down = inbox->down, error = inbox->error, done = inbox->done, fault = inbox->fault;
	bool changed = inbox->numerics_changed, cancelled = inbox->cancelled;
	enum wire_finish how = inbox->finish;
	struct wire_error_body refusal = inbox->refusal;
	memcpy(refusal_text, inbox->refusal_text, sizeof(refusal_text));
	(void)pthread_mutex_unlock(&generation->lock);

	if (cancelled)
		return fail(generation, RC_CANCELLED, NULL, 0, 0, event);
	if (clock_mono_ns() >= generation->expires_ns)
		return fail(generation, RC_TIMEOUT, "the answer took too long", 0, 0, event);
	if (generation->phase == PHASE_SEEKING)
		return seek(generation, event);
	if (begins)
		return begin(generation, changed, event);
	if (fresh > 0) {
		generation->away_since_ns = generation->busy_since_ns = 0;
		generation->faults = generation->refusals = 0;
	}
	if (generation->phase == PHASE_RUNNING && !done && !down && !error && !fault)
		grant(generation);
	if (generation->phase == PHASE_RUNNING && generation->out.len > 0) {
		fill_event(generation, GENERATION_TEXT, event);
		event->text = buf_text(&generation->out);
		event->text_len = generation->out.len;
		give_logprobs(generation, event);
		event->numerics_changed = changed;
		return true;
	}
	if (done)
		return finish(generation, how, changed, event);
	if (error)
		return refused(generation, &refusal, refusal_text, event);
	if (fault)
		return lose_faulty(generation, event);
	if (down)
		lose(generation, RC_CLOSED, 0, false);
	return false;
}

/* Sleep until something comes in, a look is due, or `deadline_ns`. */
static void sleep_on(struct generation *generation, int64_t deadline_ns)
{
	int64_t until = deadline_ns;

	if (generation->phase == PHASE_SEEKING && generation->wake_ns < until)
		until = generation->wake_ns;
	if (generation->expires_ns < until)
		until = generation->expires_ns;
	(void)pthread_mutex_lock(&generation->lock);
	while (generation->inbox.news == generation->seen) {
		if (!wait_until(&generation->cond, &generation->lock, until))
			break;
	}
	(void)pthread_mutex_unlock(&generation->lock);
}

void generation_next(
    struct generation *generation, int64_t timeout_ns, struct generation_event *event)
{
	int64_t deadline = wait_deadline(clock_mono_ns(), timeout_ns);

	drop_logprobs(generation);
	if (generation->phase == PHASE_ENDED) {
		*event = generation->last;
		return;
	}
	for (;;) {
		enum generation_phase before = generation->phase;
		if (look(generation, event))
			return;
		if (generation->phase != before)
			continue; /* lost a node or asked one: look again first */
		if (clock_mono_ns() >= deadline)
			break;
		sleep_on(generation, deadline);
	}
	fill_event(generation, GENERATION_IDLE, event);
}

void generation_cancel(struct generation *generation)
{
	struct inbox *inbox = &generation->inbox;

	(void)pthread_mutex_lock(&generation->lock);
	uint64_t node = inbox->node;
	uint64_t request = inbox->request;
	inbox->request = 0;
	inbox->cancelled = true;
	inbox->news++;
	(void)pthread_cond_signal(&generation->cond);
	(void)pthread_mutex_unlock(&generation->lock);
	if (request != 0)
		call_cancel(generation->pool, node, request);
}

static void destroy(struct generation *generation)
{
	arena_fini(&generation->arena);
	prefix_fini(&generation->prefix);
	generation_inbox_fini(&generation->inbox);
	buf_fini(&generation->out);
	buf_fini(&generation->logprobs);
	(void)pthread_cond_destroy(&generation->cond);
	(void)pthread_mutex_destroy(&generation->lock);
	free(generation);
}

void generation_free(struct generation *generation)
{
	if (generation == NULL)
		return;
	close_call(generation, true);
	pool_watch_remove(generation->pool, &generation->watch);
	if (!generation->background)
		pool_answer_ended(generation->pool);
	destroy(generation);
}

enum rc generation_start(struct pool *pool, const struct generation_request *request,
    struct generation **out, struct errmsg *why)
{
	struct generation *generation = calloc(1, sizeof(*generation));

	if (generation == NULL || init_locks(generation) != RC_OK) {
		free(generation);
		return errmsg_rc(why, RC_NOMEM, "no memory for an answer");
	}
	generation->pool = pool;
	arena_init(&generation->arena, WIRE_ARENA_BYTES_MAX);
	buf_init(&generation->out, GENERATION_TEXT_BYTES_MAX);
	buf_init(&generation->inbox.text, GENERATION_TEXT_BYTES_MAX);
	buf_init(&generation->inbox.logprobs, GENERATION_TEXT_BYTES_MAX);
	buf_init(&generation->logprobs, GENERATION_TEXT_BYTES_MAX);
	generation->top_logprobs = request->top_logprobs;
	set_times(generation, request);
	if (generation_copy(&generation->arena, &request->generate, &generation->base) != RC_OK) {
		destroy(generation);
		return errmsg_rc(why, RC_LIMIT, "the request is too large");
	}
	/* Without memory for it nothing is lost but time. */
	if (request->begins_again)
		(void)!prefix_make(&generation->base, request->whose, &generation->prefix);
	generation->watch =
	    (struct pool_watch){ .ctx = generation, .changed = generation_on_change };
	pool_watch_add(pool, &generation->watch);
	generation->background = request->background;
	if (!generation->background)
		pool_answer_begins(pool);
	enum rc rc = ask(generation);
	bool later = rc == RC_CLOSED || rc == RC_AGAIN ||
		     (rc == RC_UNAVAILABLE && request->start_timeout_ns > 0);
	if (rc != RC_OK && !later) {
		generation_free(generation);
		return errmsg_rc(why, rc, "%s", rc_text(rc));
	}
	*out = generation;
	return RC_OK;
}
