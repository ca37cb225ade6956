/* Count: one Tokenize request, and the wait for its answer. */
#include "answer/count.h"

#include "answer/call.h"
#include "answer/wait.h"
#include "base/clock.h"

struct count {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool over;
	enum rc rc;
	uint32_t *tokens; /* [n] */
	size_t n;
};

uint32_t count_estimate(size_t len)
{
	size_t n = len / 4 + 1;

	return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

static void on_message(void *ctx, const struct message *message)
{
	struct count *count = ctx;
	const struct wire_token_ids *ids = &message->u.token_ids;

	(void)pthread_mutex_lock(&count->lock);
	count->rc = RC_UNAVAILABLE;
	if (message->kind == MESSAGE_TOKEN_IDS && ids->part_counts_len == count->n) {
		for (size_t i = 0; i < count->n; i++)
			count->tokens[i] = ids->part_counts[i];
		count->rc = RC_OK;
	}
	count->over = true;
	(void)pthread_cond_signal(&count->cond);
	(void)pthread_mutex_unlock(&count->lock);
}

static void on_down(void *ctx, enum rc reason)
{
	struct count *count = ctx;

	(void)reason;
	(void)pthread_mutex_lock(&count->lock);
	if (!count->over)
		count->rc = RC_CLOSED;
	count->over = true;
	(void)pthread_cond_signal(&count->cond);
	(void)pthread_mutex_unlock(&count->lock);
}

static enum rc ask(struct count *count, struct pool *pool, const char *model,
    const struct wire_part *parts, int64_t timeout_ns)
{
	const struct call_want want = { .model = model };
	const struct call_handler handler = {
		.ctx = count,
		.message = on_message,
		.down = on_down,
	};
	int64_t deadline = wait_deadline(clock_mono_ns(), timeout_ns);
	struct call *call = NULL;
	enum rc rc = call_open(pool, &want, &handler, &call);

	if (rc != RC_OK)
		return rc;
	struct message message = {
		.kind = MESSAGE_TOKENIZE,
		.ttl_ms = (uint32_t)(timeout_ns / NS_PER_MS) + 1,
		.u.tokenize = { .model = call_model(call),
		    .parts = parts,
		    .parts_len = count->n,
		    .count_only = true },
	};
	rc = call_send(call, &message);
	if (rc == RC_OK) {
		(void)pthread_mutex_lock(&count->lock);
		while (!count->over && wait_until(&count->cond, &count->lock, deadline))
			;
		rc = count->over ? count->rc : RC_TIMEOUT;
		(void)pthread_mutex_unlock(&count->lock);
	}
	call_close(call);
	return rc;
}

enum rc count_tokens(struct pool *pool, const char *model, const struct count_text *texts, size_t n,
    int64_t timeout_ns, uint32_t *tokens)
{
	struct count count = { .tokens = tokens, .n = n };
	struct arena arena;
	enum rc rc = RC_NOMEM;

	if (n > WIRE_PARTS_MAX)
		return RC_LIMIT;
	arena_init(&arena, WIRE_PARTS_MAX * sizeof(struct wire_part) * 2);
	struct wire_part *parts = arena_array(&arena, n, sizeof(*parts));
	if (parts == NULL)
		goto out;
	for (size_t i = 0; i < n; i++) {
		parts[i].data = (const uint8_t *)texts[i].text;
		parts[i].data_len = texts[i].len;
		parts[i].media_type = "";
	}
	if (pthread_mutex_init(&count.lock, NULL) != 0)
		goto out;
	if (wait_init(&count.cond) == RC_OK) {
		rc = ask(&count, pool, model, parts, timeout_ns);
		(void)pthread_cond_destroy(&count.cond);
	}
	(void)pthread_mutex_destroy(&count.lock);
out:
	arena_fini(&arena);
	return rc;
}
