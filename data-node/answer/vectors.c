/* Vectors: one Embed request, the wait for its answer, another node if need be. */
#include "answer/vectors.h"

#include <stdlib.h>
#include <string.h>

#include "answer/call.h"
#include "answer/wait.h"
#include "base/clock.h"

#define LOOK_NS (100 * NS_PER_MS) /* how often the client is looked after */

/* Under its lock but for what never changes. */
struct wait_state {
	const struct vectors_want *want;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool over; /* `rc` says how */
	enum rc rc;
	struct vectors *out;
	struct errmsg *why;
};

static enum rc rc_of(enum wire_error code)
{
	switch (code) {
	case WIRE_ERROR_CONTEXT:
		return RC_CONTEXT;
	case WIRE_ERROR_BUSY:
		return RC_BUSY;
	case WIRE_ERROR_INVALID:
		return RC_INVALID;
	case WIRE_ERROR_LIMIT:
		return RC_LIMIT;
	case WIRE_ERROR_UNSUPPORTED:
		return RC_UNSUPPORTED;
	case WIRE_ERROR_NO_MODEL:
		return RC_UNAVAILABLE;
	case WIRE_ERROR_MEMORY:
		return RC_NOMEM;
	case WIRE_ERROR_TIMEOUT:
		return RC_TIMEOUT;
	default:
		return RC_IO;
	}
}

static enum rc take_vectors(struct wait_state *state, const struct wire_vectors *from)
{
	struct vectors *out = state->out;

	if (from->length == 0 || from->values_len / from->length != state->want->n ||
	    from->values_len % from->length != 0)
		return errmsg_rc(state->why, RC_IO, "the compute node sent other vectors");
	out->values = calloc(from->values_len, sizeof(*out->values));
	if (out->values == NULL)
		return RC_NOMEM;
	memcpy(out->values, from->values, from->values_len * sizeof(*out->values));
	out->length = from->length;
	out->prompt_tokens = from->prompt_tokens;
	return RC_OK;
}

static void on_message(void *ctx, const struct message *message)
{
	struct wait_state *state = ctx;

	(void)pthread_mutex_lock(&state->lock);
	if (!state->over && message->kind == MESSAGE_VECTORS) {
		state->rc = take_vectors(state, &message->u.vectors);
	} else if (!state->over && message->kind == MESSAGE_ERROR) {
		const struct wire_error_body *error = &message->u.error;

		state->rc = rc_of(error->code);
		errmsg_set(state->why, "%s", error->text);
		state->out->context = error->context;
		state->out->needed = error->needed;
	} else if (!state->over) {
		state->rc = RC_IO;
	}
	state->over = true;
	(void)pthread_cond_signal(&state->cond);
	(void)pthread_mutex_unlock(&state->lock);
}

static void on_down(void *ctx, enum rc reason)
{
	struct wait_state *state = ctx;

	(void)reason;
	(void)pthread_mutex_lock(&state->lock);
	if (!state->over)
		state->rc = RC_CLOSED;
	state->over = true;
	(void)pthread_cond_signal(&state->cond);
	(void)pthread_mutex_unlock(&state->lock);
}

static void on_pool_changed(void *ctx)
{
	struct wait_state *state = ctx;

	(void)pthread_mutex_lock(&state->lock);
	(void)pthread_cond_signal(&state->cond);
	(void)pthread_mutex_unlock(&state->lock);
}

/* Until the answer is there (`for_answer`) or something changed; RC_TIMEOUT,
 * RC_CANCELLED.  A moment at most without an answer to wait for. */
static enum rc await(struct wait_state *state, int64_t deadline, bool for_answer)
{
	const struct vectors_want *want = state->want;
	enum rc rc = RC_OK;
	bool over = false;

	do {
		int64_t now = clock_mono_ns();
		int64_t look = now + LOOK_NS < deadline ? now + LOOK_NS : deadline;

		(void)pthread_mutex_lock(&state->lock);
		if (!state->over)
			(void)wait_until(&state->cond, &state->lock, look);
		over = state->over;
		(void)pthread_mutex_unlock(&state->lock);
		if (over)
			break;
		if (want->gone != NULL && want->gone(want->ctx))
			rc = RC_CANCELLED;
		else if (clock_mono_ns() >= deadline)
			rc = RC_TIMEOUT;
	} while (for_answer && rc == RC_OK);
	return rc;
}

/* One try; RC_CLOSED or RC_UNAVAILABLE: another may help. */
static enum rc try_node(struct wait_state *state, struct pool *pool, int64_t deadline)
{
	const struct vectors_want *want = state->want;
	const struct call_want node = {
		.model = want->model, .content_hash = want->content_hash, .embeds = true
	};
	const struct call_handler handler = {
		.ctx = state, .message = on_message, .down = on_down
	};
	int64_t left_ms = (deadline - clock_mono_ns()) / NS_PER_MS + 1;
	struct call *call = NULL;
	enum rc rc;

	state->over = false; /* no call runs: nobody else looks */
	rc = call_open(pool, &node, &handler, &call);
	if (rc != RC_OK)
		return rc;
	struct message message = {
		.kind = MESSAGE_EMBED,
		.ttl_ms = left_ms > INT32_MAX ? INT32_MAX
			  : left_ms < 1       ? 1
					      : (uint32_t)left_ms,
		.u.embed = { .model = call_model(call),
		    .texts = want->texts,
		    .texts_len = want->n },
	};
	rc = call_send(call, &message);
	if (rc == RC_AGAIN)
		rc = RC_BUSY;
	if (rc == RC_OK)
		rc = await(state, deadline, true);
	if (rc == RC_TIMEOUT || rc == RC_CANCELLED)
		call_cancel(pool, call_node(call), call_request(call));
	call_close(call);
	return rc == RC_OK ? state->rc : rc;
}

static enum rc get(struct wait_state *state, struct pool *pool)
{
	int64_t deadline = wait_deadline(clock_mono_ns(), state->want->timeout_ns);
	struct pool_watch watch = { .ctx = state, .changed = on_pool_changed };
	int64_t away = 0; /* until then we wait for a node; 0: there is one */
	enum rc rc;

	pool_watch_add(pool, &watch);
	for (;;) {
		enum rc waited;

		rc = try_node(state, pool, deadline);
		if (rc == RC_CLOSED)
			away = 0; /* it was there */
		else if (rc != RC_UNAVAILABLE)
			break;
		if (away == 0)
			away = wait_deadline(clock_mono_ns(), state->want->away_ns);
		state->over = false;
		waited = await(state, away < deadline ? away : deadline, false);
		if (waited != RC_OK) {
			rc = waited == RC_TIMEOUT ? RC_UNAVAILABLE : waited;
			break;
		}
	}
	pool_watch_remove(pool, &watch);
	return rc;
}

enum rc vectors_get(
    struct pool *pool, const struct vectors_want *want, struct vectors *out, struct errmsg *why)
{
	struct wait_state state = { .want = want, .out = out, .why = why };
	enum rc rc = RC_NOMEM;

	*out = (struct vectors){ .values = NULL };
	if (want->n == 0 || want->n > VECTORS_BATCH_MAX)
		return RC_LIMIT;
	if (pthread_mutex_init(&state.lock, NULL) != 0)
		return RC_NOMEM;
	if (wait_init(&state.cond) == RC_OK) {
		rc = get(&state, pool);
		(void)pthread_cond_destroy(&state.cond);
	}
	(void)pthread_mutex_destroy(&state.lock);
	return rc;
}

void vectors_fini(struct vectors *vectors)
{
	free(vectors->values);
	*vectors = (struct vectors){ .values = NULL };
}
