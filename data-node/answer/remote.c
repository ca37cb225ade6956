/* Remote: asking, the run, and what it came to. */
#include "answer/remote.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer/remote_body.h"
#include "base/log.h"
#include "base/wipe.h"
#include "gateway/cloud_place.h"

#define OBJECT_BYTES 256
#define URL_BYTES (CLOUD_URL_BYTES_MAX + 32)
#define MODEL_BYTES (CLOUD_NAME_BYTES_MAX + 8)

struct remote {
	const struct remote_ask *ask;
	const struct remote_plan *plan;
	struct upstream *upstream;
	size_t body_bytes;
	struct spend estimate; /* of one request */
	unsigned reserved;     /* so many of it are counted as spent */
	struct spend used;     /* by the one that is answered */
	bool started;
	size_t said_bytes; /* of the answer, in case nobody counts its tokens */
	uint32_t tokens;   /* pieces so far */
	char model[MODEL_BYTES];
};

static const struct cloud_upstream *chosen(const struct remote *remote)
{
	return remote->plan->decision.upstream;
}

/* ---- asking ---- */

static enum rc put_body(const struct remote_ask *ask, const struct remote_plan *plan,
    struct arena *arena, struct buf *out)
{
	const struct host *host = ask->host;
	const struct cloud_upstream *upstream = plan->decision.upstream;
	const struct prompt_config config = {
		.model = upstream->model,
		.context = (uint64_t)upstream->context,
		.pack = plan->pack.len > 0 || plan->facts > 0 ? &plan->pack : NULL,
		.max_tokens = plan->answer_tokens,
		.now_utc_ns = ask->now_utc_ns,
		.offset_s = host->offset_s == NULL ? 0 : host->offset_s(host->ctx, ask->now_utc_ns),
		.zone = host->zone == NULL ? "" : host->zone,
		.tool_format = "json", /* they go as they came */
	};
	const struct cloud_budget *b = &upstream->budget;
	bool budget = b->day_tokens != 0 || b->month_tokens != 0 || b->day_micros != 0 ||
		      b->month_micros != 0;
	struct wire_generate prompt;

	enum rc rc = prompt_build(ask->request, &config, arena, &prompt);
	if (rc != RC_OK)
		return rc;
	const struct remote_body body = {
		.model = upstream->model,
		.request = ask->request,
		.prompt = &prompt,
		/* What a budget was asked for is what is spent at most. */
		.max_tokens = ask->request->hearth || budget ? plan->answer_tokens : 0,
		.choice = ask->choice,
	};
	remote_body_put(&body, out);
	return buf_rc(out);
}

static void put_layers(const struct remote_plan *plan, char *out, size_t size)
{
	size_t at = strlen(out);

	for (unsigned l = 1; l <= LAYER_COUNT && at < size; l++) {
		if (plan->leaving[l] == 0)
			continue;
		int n = snprintf(out + at, size - at, " %s=%" PRIu32, layer_word((enum layer)l),
		    plan->leaving[l]);
		at += n > 0 ? (size_t)n : 0;
	}
}

/* Before anything leaves. */
static enum rc note_asked(
    const struct remote_ask *ask, const struct remote_plan *plan, size_t bytes, int64_t tokens)
{
	char object[OBJECT_BYTES];

	(void)snprintf(object, sizeof(object), "%s reason=%s bytes=%zu tokens=%" PRId64,
	    plan->decision.upstream->name, route_code(route_last(&plan->decision)->reason), bytes,
	    tokens);
	put_layers(plan, object, sizeof(object));
	size_t len = strlen(object);
	if (plan->facts > 0)
		(void)snprintf(object + len, sizeof(object) - len, " facts=%" PRIu32, plan->facts);
	return cloud_place_note(ask->host->cloud, ask->host->device, "cloud-ask", object,
	    (int64_t)plan->pack.len, NULL);
}

static void note_kept(
    const struct remote_ask *ask, const struct remote_plan *plan, const char *action)
{
	const struct route_step *last = route_last(&plan->decision);
	char object[OBJECT_BYTES];

	(void)snprintf(object, sizeof(object), "%.*s reason=%s", (int)CLOUD_NAME_BYTES_MAX,
	    last->to[0] != '\0' ? last->to : "-", route_code(last->reason));
	/* Nothing leaves by it: an answer at home does not fail for a line in the ledger. */
	(void)!cloud_place_note(ask->host->cloud, ask->host->device, action, object, 0, NULL);
}

/* No: `reason`, and the answer is made at home. */
static enum rc stay(
    const struct remote_ask *ask, struct remote_plan *plan, enum route_reason reason)
{
	route_step(&plan->decision, plan->decision.upstream->name, reason);
	plan->decision.upstream = NULL;
	note_kept(ask, plan, "cloud-stay");
	return RC_UNAVAILABLE;
}

/* Count one request, if the budget holds it. */
static enum rc reserve_one(struct remote *remote, enum spend_limit *limit)
{
	enum rc rc = cloud_place_reserve(remote->ask->host->cloud, chosen(remote),
	    remote->plan->day, &remote->estimate, limit, NULL);

	remote->reserved += rc == RC_OK && *limit == SPEND_FITS;
	return rc;
}

static enum rc reserve(struct remote *remote, struct remote_plan *plan, const struct buf *body)
{
	const struct cloud_upstream *upstream = chosen(remote);
	enum spend_limit limit = SPEND_FITS;

	remote->body_bytes = body->len;
	remote->estimate =
	    (struct spend){ .in = count_estimate(body->len), .out = plan->answer_tokens };
	remote->estimate.micros =
	    spend_micros(&upstream->budget, remote->estimate.in, remote->estimate.out);
	remote->used.in = remote->estimate.in;
	enum rc rc = reserve_one(remote, &limit);
	if (rc != RC_OK || limit != SPEND_FITS)
		return stay(remote->ask, plan, rc != RC_OK ? ROUTE_LEDGER : route_spent(limit));
	return RC_OK;
}

/* What went out already goes once more: counted and noted like the first, or not at all. */
static bool ask_again(void *ctx)
{
	struct remote *remote = ctx;
	enum spend_limit limit = SPEND_FITS;

	return reserve_one(remote, &limit) == RC_OK && limit == SPEND_FITS &&
	       note_asked(remote->ask, remote->plan, remote->body_bytes, remote->estimate.in) ==
		   RC_OK;
}

static enum rc send_off(struct remote *remote, struct remote_plan *plan, struct buf *body)
{
	const struct remote_ask *ask = remote->ask;
	const struct cloud_upstream *upstream = chosen(remote);
	char url[URL_BYTES], key[CLOUD_KEY_TEXT_BYTES];
	struct upstream_config config = { .url = url,
		.ca = upstream->ca,
		.key = key,
		.connect_ns = upstream->connect_ns,
		.idle_ns = upstream->idle_ns,
		.again = ask_again,
		.ctx = remote };

	(void)snprintf(url, sizeof(url), "%s%s", upstream->url,
	    ask->request->kind == CHAT_KIND_CHAT ? "/chat/completions" : "/completions");
	if (cloud_place_key(ask->host->cloud, upstream, key, NULL) != RC_OK)
		return stay(ask, plan, ROUTE_KEY);
	enum rc rc = note_asked(ask, plan, body->len, remote->estimate.in);
	if (rc == RC_OK)
		rc = upstream_open(&config, body, &remote->upstream, NULL);
	else
		rc = stay(ask, plan, ROUTE_LEDGER);
	wipe(key, sizeof(key));
	return rc == RC_CONFIG ? stay(ask, plan, ROUTE_KEY) : rc;
}

enum rc remote_open(const struct remote_ask *ask, struct remote_plan *plan, struct arena *arena,
    struct remote **out)
{
	struct buf body;

	if (plan->decision.upstream == NULL) {
		note_kept(ask, plan, "cloud-stay");
		return RC_UNAVAILABLE;
	}
	struct remote *remote = calloc(1, sizeof(*remote));
	if (remote == NULL)
		return RC_NOMEM;
	remote->ask = ask;
	remote->plan = plan;
	(void)snprintf(remote->model, sizeof(remote->model), ROUTE_MODEL_PREFIX "%s",
	    plan->decision.upstream->name);
	buf_init(&body, UPSTREAM_BODY_BYTES_MAX);
	enum rc rc = put_body(ask, plan, arena, &body);
	if (rc == RC_LIMIT)
		rc = stay(ask, plan, ROUTE_CONTEXT);
	if (rc == RC_OK)
		rc = reserve(remote, plan, &body);
	if (rc == RC_OK)
		rc = send_off(remote, plan, &body);
	buf_fini(&body);
	if (rc != RC_OK) {
		remote_free(remote);
		return rc;
	}
	*out = remote;
	return RC_OK;
}

/* ---- the run ---- */

/* What it came to: as the server counts, else as much as went each way.  Of a request of
 * which nothing came the server may have done all that it was asked for. */
static struct spend came_to(const struct remote *remote, const struct cloud_upstream *upstream)
{
	unsigned asked = remote->upstream == NULL ? 0 : upstream_asked(remote->upstream);
	int64_t lost = remote->started && asked > 0 ? asked - 1 : asked;
	struct spend sum = { .in = lost * remote->estimate.in, .out = lost * remote->estimate.out };

	if (remote->started) {
		sum.in += remote->used.in;
		sum.out += remote->used.out;
	}
	sum.micros = spend_micros(&upstream->budget, sum.in, sum.out);
	return sum;
}

static void settle(struct remote *remote)
{
	/* The decision may be to stay by now. */
	const struct cloud_upstream *upstream =
	    cloud_policy_find(&remote->plan->policy, remote->model + strlen(ROUTE_MODEL_PREFIX));

	if (remote->reserved == 0 || upstream == NULL)
		return;
	const struct spend used = came_to(remote, upstream);
	const struct spend reserved = { .in = remote->reserved * remote->estimate.in,
		.out = remote->reserved * remote->estimate.out,
		.micros = remote->reserved * remote->estimate.micros };
	remote->reserved = 0;
	enum rc rc = cloud_place_settle(
	    remote->ask->host->cloud, upstream, remote->plan->day, &reserved, &used, NULL);
	if (rc != RC_OK)
		log_warn("CLOUD-UNSETTLED", "upstream=%s rc=%s", upstream->name, rc_word(rc));
}

void remote_free(struct remote *remote)
{
	if (remote == NULL)
		return;
	settle(remote);
	upstream_free(remote->upstream);
	free(remote);
}

/* As the server counts; of what broke off that may be how it stood at the beginning. */
static void take_usage(struct remote *remote, const struct upstream_event *from)
{
	bool whole = from->kind == UPSTREAM_DONE;

	if (whole || from->prompt_tokens > remote->used.in)
		remote->used.in = from->prompt_tokens;
	if (whole || from->completion_tokens > remote->used.out)
		remote->used.out = from->completion_tokens;
}

static void count(struct remote *remote, const struct upstream_event *from)
{
	switch (from->kind) {
	case UPSTREAM_STARTED:
		remote->started = true;
		cloud_place_fell(remote->ask->host->cloud, chosen(remote)->name, false);
		break;
	case UPSTREAM_TEXT:
	case UPSTREAM_REASONING:
	case UPSTREAM_CALL:
		remote->said_bytes += from->len;
		remote->tokens++;
		remote->used.out = count_estimate(remote->said_bytes);
		break;
	case UPSTREAM_DONE:
	case UPSTREAM_FAILED:
		if (from->has_usage)
			take_usage(remote, from);
		settle(remote);
		break;
	case UPSTREAM_IDLE:
		break;
	}
}

void remote_next(struct remote *remote, int64_t timeout_ns, struct generation_event *event)
{
	static const enum generation_event_kind kinds[] = {
		[UPSTREAM_IDLE] = GENERATION_IDLE,
		[UPSTREAM_STARTED] = GENERATION_STARTED,
		[UPSTREAM_TEXT] = GENERATION_TEXT,
		[UPSTREAM_REASONING] = GENERATION_REASONING,
		[UPSTREAM_CALL] = GENERATION_CALL,
		[UPSTREAM_DONE] = GENERATION_DONE,
		[UPSTREAM_FAILED] = GENERATION_FAILED,
	};
	struct upstream_event from;

	upstream_next(remote->upstream, timeout_ns, &from);
	count(remote, &from);
	*event = (struct generation_event){
		.kind = kinds[from.kind],
		.text = from.text,
		.text_len = from.len,
		.call_name = from.name,
		.call_id = from.id,
		.call_index = from.index,
		.logprobs = from.logprobs,
		.logprobs_len = from.logprobs_len,
		.tokens = remote->tokens,
		.prompt_tokens = (uint32_t)remote->used.in,
		.finish = from.cut_short ? WIRE_FINISH_LENGTH : WIRE_FINISH_STOP,
		.rc = from.rc,
		.model = remote->model,
		.numerics_id = "",
	};
	if (from.kind == UPSTREAM_DONE)
		event->tokens = (uint32_t)remote->used.out;
	if (from.kind == UPSTREAM_FAILED)
		(void)snprintf(event->error, sizeof(event->error), "%s: %.*s", remote->model,
		    (int)(sizeof(event->error) - MODEL_BYTES - 3), from.error);
}

void remote_fell(const struct remote_ask *ask, struct remote_plan *plan, enum rc rc)
{
	const char *name = plan->decision.upstream->name;
	enum route_reason reason = rc == RC_TIMEOUT       ? ROUTE_SILENT
				   : rc == RC_BUSY        ? ROUTE_BUSY
				   : rc == RC_DENIED      ? ROUTE_DENIED
				   : rc == RC_INVALID     ? ROUTE_REFUSED
				   : rc == RC_UNAVAILABLE ? ROUTE_UNREACHABLE
							  : ROUTE_FAULTY;

	if (rc == RC_UNAVAILABLE || rc == RC_TIMEOUT)
		cloud_place_fell(ask->host->cloud, name, true);
	route_step(&plan->decision, name, reason);
	plan->decision.upstream = NULL;
	note_kept(ask, plan, "cloud-fell");
}
