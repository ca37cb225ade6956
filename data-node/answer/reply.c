/* Reply: how to answer, the run of it, and what is kept. */
#include "answer/reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer/exchange.h"
#include "answer/output.h"
#include "answer/prompt.h"
#include "answer/recall_only.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "gateway/metric.h"

#define ARENA_BYTES_MAX ((size_t)256 << 20)
#define CONTEXT_TOKENS 2000u
#define ANSWER_TOKENS 1024u
#define CONTEXT_MARGIN 64u /* for what an estimate misses */
#define CANNED_BYTES 512   /* of a recall-only answer in one event */
#define ID_BYTES 40

enum reply_mode { REPLY_PLAIN, REPLY_FULL, REPLY_RECALL_ONLY };

struct reply {
	struct host host;
	const struct chat_request *request;
	unsigned choice;
	struct arena arena;
	char id[ID_BYTES];
	struct chunk_head head;
	struct chunk_end end;
	enum reply_mode mode;
	int64_t asked_utc_ns;

	const char *model; /* on the nodes */
	uint64_t context;
	const char *tool_format;
	bool unheld;       /* some node has the model, but cannot hold it to a constraint */
	struct pack found; /* every candidate */
	struct pack pack;  /* what is in the prompt */
	uint32_t max_tokens;
	struct generation *generation;
	bool started, resumed, over;
	char fingerprint[128];
	char answered_by[POOL_MODEL_NAME_BYTES_MAX];

	struct output *output; /* of a chat; NULL: the text is what it is */
	bool ending;           /* `last` follows what `output` has left */
	struct generation_event last;

	struct buf text, reasoning, calls; /* the answer so far */
	struct buf logprobs;               /* of what was not handed out by a stream */
	struct buf canned;                 /* RECALL_ONLY: the answer */
	size_t canned_given;               /* bytes of it handed out */
};

static void set_fault(struct reply_fault *fault, int status, const char *type, const char *code,
    const char *param, const char *message)
{
	*fault =
	    (struct reply_fault){ .status = status, .type = type, .code = code, .param = param };
	(void)snprintf(fault->message, sizeof(fault->message), "%s", message);
	if (status == 503)
		fault->retry_after = "5";
}

static bool personal(const struct reply *reply)
{
	return reply->request->hearth && !reply->request->background;
}

static bool constrained(const struct reply *reply)
{
	return reply->request->format.constraint.kind != WIRE_CONSTRAINT_NONE;
}

static const char *prompt_param(const struct reply *reply)
{
	return reply->request->kind == CHAT_KIND_CHAT ? "messages" : "prompt";
}

/* ---- which model ---- */

/* A model some node serves, or served when it was last up. */
static enum rc find_model(struct reply *reply, const char *name, bool *known)
{
	struct pool_node *nodes = NULL;
	size_t len = 0;
	bool any_up = false;
	enum rc rc = pool_list(reply->host.pool, &reply->arena, &nodes, &len);

	*known = false;
	if (rc != RC_OK)
		return rc;
	for (size_t i = 0; i < len; i++) {
		any_up = any_up || nodes[i].state == WIRE_LINK_UP;
		for (size_t j = 0; j < nodes[i].models_len; j++) {
			const struct pool_model *model = &nodes[i].models[j];
			if (!model->chat || (name != NULL && strcmp(model->name, name) != 0))
				continue;
			*known = true;
			if (!nodes[i].takes)
				continue;
			if (constrained(reply) && !model->constrains) {
				reply->unheld = true;
				continue;
			}
			reply->model = model->name;
			reply->context = model->context;
			reply->tool_format = model->tool_format;
			return RC_OK;
		}
	}
	/* With every node away nobody can tell whether it exists. */
	*known = *known || !any_up;
	return RC_UNAVAILABLE;
}

static enum rc wait_for_model(struct reply *reply, const char *name)
{
	bool known;
	enum rc rc = find_model(reply, name, &known);

	if (rc != RC_UNAVAILABLE || !known || reply->host.start_timeout_ns <= 0)
		return rc;
	if (!pool_wait(reply->host.pool, name, reply->host.start_timeout_ns))
		return RC_UNAVAILABLE;
	return find_model(reply, name, &known);
}

/* The model behind "hearth": the configured one, else any that chats. */
static enum rc choose_hearth(struct reply *reply)
{
	const char *wanted = reply->host.model;
	bool known;

	if (wanted != NULL && find_model(reply, wanted, &known) == RC_OK)
		return RC_OK;
	return wait_for_model(reply, NULL);
}

/* No node, or none that does what is asked for; said so instead of anything else. */
static enum rc set_away(const struct reply *reply, struct reply_fault *fault, const char *text)
{
	if (reply->unheld)
		set_fault(fault, 400, "invalid_request_error", "unsupported_value",
		    reply->request->format.param,
		    "no compute node that serves this model can hold its answer to a format: it "
		    "has to "
		    "be upgraded, or its vocabulary lacks letters");
	else
		set_fault(fault, 503, "server_error", "model_unavailable", NULL, text);
	return RC_UNAVAILABLE;
}

static enum rc choose_named(struct reply *reply, struct reply_fault *fault)
{
	bool known;
	enum rc rc = wait_for_model(reply, reply->request->model);

	if (rc != RC_UNAVAILABLE)
		return rc;
	rc = find_model(reply, reply->request->model, &known);
	if (rc != RC_UNAVAILABLE)
		return rc;
	if (!known) {
		set_fault(fault, 404, "invalid_request_error", "model_not_found", "model",
		    "no such model: GET /v1/models lists what there is");
		return RC_NOTFOUND;
	}
	return set_away(reply, fault, "no compute node that serves this model takes requests now");
}

/* ---- asking ---- */

static uint32_t room_for_moments(const struct reply *reply, const struct prompt_config *config)
{
	const struct host *host = &reply->host;
	uint64_t budget = host->context_tokens == 0 ? CONTEXT_TOKENS : host->context_tokens;
	uint64_t taken =
	    (uint64_t)prompt_estimate(reply->request, config) + reply->max_tokens + CONTEXT_MARGIN;

	if (reply->context == 0)
		return (uint32_t)budget;
	if (taken >= reply->context)
		return 0;
	return (uint32_t)(budget < reply->context - taken ? budget : reply->context - taken);
}

/* Where the client set no limit: ours, but no more than a quarter of the context. */
static uint32_t answer_limit(const struct reply *reply)
{
	uint32_t limit = reply->host.answer_tokens == 0 ? ANSWER_TOKENS : reply->host.answer_tokens;

	if (reply->request->max_tokens != 0)
		return reply->request->max_tokens;
	if (reply->context != 0 && limit > reply->context / 4)
		limit = (uint32_t)(reply->context / 4);
	return limit;
}

static enum rc ask(struct reply *reply, struct reply_fault *fault)
{
	const struct host *host = &reply->host;
	struct errmsg why = ERRMSG_INIT;
	struct prompt_config config = {
		.model = reply->model,
		.context = reply->context,
		.pack = reply->mode == REPLY_FULL ? &reply->pack : NULL,
		.max_tokens = reply->max_tokens,
		.now_utc_ns = reply->asked_utc_ns,
		.offset_s =
		    host->offset_s == NULL ? 0 : host->offset_s(host->ctx, reply->asked_utc_ns),
		.zone = host->zone == NULL ? "" : host->zone,
		.tool_format = reply->tool_format,
	};
	struct generation_request request = {
		.top_logprobs = reply->request->top_logprobs,
		.resume_timeout_ns = host->resume_timeout_ns,
		.start_timeout_ns = host->start_timeout_ns,
		.begins_again = !reply->request->background,
		.whose = (uint64_t)host->device,
	};
	enum rc rc = prompt_build(reply->request, &config, &reply->arena, &request.generate);

	request.generate.sampling.seed += reply->choice;
	if (rc == RC_OK)
		rc = generation_start(host->pool, &request, &reply->generation, &why);
	if (rc == RC_UNAVAILABLE)
		set_fault(fault, 503, "server_error", "model_unavailable", NULL,
		    "no compute node that serves this model takes requests now");
	else if (rc != RC_OK)
		set_fault(fault, rc == RC_LIMIT ? 400 : 500,
		    rc == RC_LIMIT ? "invalid_request_error" : "server_error", rc_word(rc), NULL,
		    errmsg_text(&why, rc));
	return rc;
}

/* A copy to cut from, so that a retry may start over from all candidates. */
static enum rc fit_pack(struct reply *reply, uint32_t budget)
{
	reply->pack = reply->found;
	reply->pack.items =
	    arena_array(&reply->arena, reply->found.len, sizeof(*reply->pack.items));
	if (reply->pack.items == NULL)
		return RC_NOMEM;
	if (reply->found.len > 0)
		memcpy(reply->pack.items, reply->found.items,
		    reply->found.len * sizeof(*reply->pack.items));
	pack_fit(&reply->pack, budget);
	return RC_OK;
}

static enum rc fit_first(struct reply *reply)
{
	const struct prompt_config config = { .context = reply->context, .pack = &reply->pack };

	pack_count(&reply->found, reply->host.pool, reply->model, &reply->arena);
	return fit_pack(reply, room_for_moments(reply, &config));
}

static void go_recall_only(struct reply *reply)
{
	generation_free(reply->generation);
	reply->generation = NULL;
	reply->mode = REPLY_RECALL_ONLY;
	reply->pack = reply->found;
	recall_only_write(&reply->pack, &reply->canned);
	reply->fingerprint[0] = '\0';
	reply->head.fingerprint = reply->fingerprint;
}

/* With the person's context, or what can be done without a model. */
static enum rc open_personal(struct reply *reply, struct reply_fault *fault)
{
	struct errmsg why = ERRMSG_INIT;
	enum rc rc = pack_find(&reply->host, reply->request->question, reply->request->question_len,
	    reply->asked_utc_ns, &reply->arena, &reply->found, &why);

	if (rc != RC_OK) {
		log_warn("ANSWER-RECALL", "rc=%s", rc_word(rc));
		set_fault(fault, 500, "server_error", rc_word(rc), NULL,
		    "the timeline could not be searched");
		return rc;
	}
	reply->mode = REPLY_FULL;
	rc = choose_hearth(reply);
	if (rc == RC_OK) {
		reply->max_tokens = answer_limit(reply);
		rc = fit_first(reply);
	}
	if (rc == RC_OK)
		rc = ask(reply, fault);
	if (rc == RC_UNAVAILABLE && constrained(reply))
		return set_away(
		    reply, fault, "no compute node is up, and recall alone answers in no format");
	if (rc == RC_UNAVAILABLE) {
		go_recall_only(reply);
		return RC_OK;
	}
	return rc;
}

/* The prompt and nothing else: a model's own id, or a background call. */
static enum rc open_plain(struct reply *reply, struct reply_fault *fault)
{
	enum rc rc;

	reply->mode = REPLY_PLAIN;
	if (!reply->request->hearth) {
		rc = choose_named(reply, fault);
	} else {
		rc = choose_hearth(reply);
		if (rc == RC_UNAVAILABLE)
			rc = set_away(reply, fault, "no compute node is up");
	}
	if (rc != RC_OK)
		return rc;
	reply->max_tokens = answer_limit(reply);
	return ask(reply, fault);
}

/* How the text of a chat is to be read; a model says how it calls once it is chosen. */
static enum rc open_output(struct reply *reply)
{
	const struct chat_request *request = reply->request;
	bool calls = request->tools.choice != CHAT_TOOLS_NONE;
	const struct output_config config = {
		.calls = request->format.calls          ? OUTPUT_CALLS_FORCED
			 : calls && !constrained(reply) ? OUTPUT_CALLS_TAGS
							: OUTPUT_CALLS_NONE,
		.format = reply->tool_format == NULL ? "" : reply->tool_format,
		.one_call = request->tools.one_call,
		.reasoning = !constrained(reply),
	};

	if (request->kind != CHAT_KIND_CHAT || reply->generation == NULL)
		return RC_OK;
	return output_new(&config, &reply->output);
}

static void make_id(struct reply *reply)
{
	(void)snprintf(reply->id, sizeof(reply->id), "%s-%016llx%08llx",
	    reply->request->kind == CHAT_KIND_CHAT ? "chatcmpl" : "cmpl",
	    (unsigned long long)random_u64(), (unsigned long long)(random_u64() >> 32));
}

enum rc reply_open(const struct host *host, const struct chat_request *request, unsigned choice,
    struct reply **out, struct reply_fault *fault)
{
	struct reply *reply = calloc(1, sizeof(*reply));

	set_fault(fault, 503, "server_error", "no_memory", NULL, rc_text(RC_NOMEM));
	if (reply == NULL)
		return RC_NOMEM;
	reply->host = *host;
	reply->request = request;
	reply->choice = choice;
	reply->asked_utc_ns = clock_utc_ns();
	arena_init(&reply->arena, ARENA_BYTES_MAX);
	buf_init(&reply->text, REPLY_TEXT_BYTES_MAX);
	buf_init(&reply->reasoning, REPLY_TEXT_BYTES_MAX);
	buf_init(&reply->calls, REPLY_TEXT_BYTES_MAX);
	buf_init(&reply->logprobs, REPLY_TEXT_BYTES_MAX);
	buf_init(&reply->canned, REPLY_TEXT_BYTES_MAX);
	make_id(reply);
	reply->head = (struct chunk_head){
		.kind = request->kind,
		.id = reply->id,
		.created_s = reply->asked_utc_ns / NS_PER_S,
		.model = request->model,
		.fingerprint = reply->fingerprint,
		.include_usage = request->include_usage,
	};
	enum rc rc = personal(reply) ? open_personal(reply, fault) : open_plain(reply, fault);
	if (rc == RC_OK)
		rc = open_output(reply);
	if (rc != RC_OK) {
		reply_free(reply);
		return rc;
	}
	*out = reply;
	return RC_OK;
}

void reply_free(struct reply *reply)
{
	if (reply == NULL)
		return;
	generation_free(reply->generation);
	output_free(reply->output);
	buf_fini(&reply->text);
	buf_fini(&reply->reasoning);
	buf_fini(&reply->calls);
	buf_fini(&reply->logprobs);
	buf_fini(&reply->canned);
	arena_fini(&reply->arena);
	free(reply);
}

/* ---- the run ---- */

static void keep_exchange(struct reply *reply)
{
	struct errmsg why = ERRMSG_INIT;
	const struct exchange exchange = {
		.id = reply->id,
		.request = reply->request,
		.pack = &reply->pack,
		.mode = reply->end.mode,
		.model = reply->answered_by,
		.numerics_id = reply->fingerprint,
		.finish = reply->end.finish == WIRE_FINISH_LENGTH ? "length" : "stop",
		.text = buf_text(&reply->text),
		.text_len = reply->text.len,
		.asked_utc_ns = reply->asked_utc_ns,
		.answered_utc_ns = clock_utc_ns(),
	};
	enum rc rc = exchange_store(&reply->host, &exchange, &why);

	/* A full disk must not cost the person the answer as well. */
	if (rc != RC_OK)
		log_error("ANSWER-NOT-KEPT", "rc=%s", rc_word(rc));
}

static void finish(struct reply *reply, struct generation_event *event)
{
	if (reply->over)
		return;
	reply->over = true;
	reply->end = (struct chunk_end){
		.finish = event->finish,
		.prompt_tokens = event->prompt_tokens,
		.cached_tokens = event->cached_tokens,
		.completion_tokens = event->tokens,
		.calls = reply->output == NULL ? 0 : output_calls(reply->output),
	};
	if (reply->request->hearth) {
		reply->end.mode = reply->mode == REPLY_RECALL_ONLY ? "recall-only" : "full";
		reply->end.pack = &reply->pack;
	}
	metric_add(METRIC_TOKENS_PROMPT, event->prompt_tokens);
	metric_add(METRIC_TOKENS_GENERATED, event->tokens);
	if (!personal(reply))
		return;
	metric_add(METRIC_ANSWERS, 1);
	if (reply->mode == REPLY_RECALL_ONLY)
		metric_add(METRIC_ANSWERS_RECALL_ONLY, 1);
	/* What calls tools is on its way to an answer, and none yet. */
	if (reply->end.calls == 0 && !reply->request->forget && reply->choice == 0)
		keep_exchange(reply);
}

/* A recall-only answer as events, a line or so at a time. */
static void next_canned(struct reply *reply, struct generation_event *event)
{
	const char *text = buf_text(&reply->canned) + reply->canned_given;
	size_t left = reply->canned.len - reply->canned_given;

	*event = (struct generation_event){ .kind = GENERATION_STARTED, .text = "", .model = "" };
	event->numerics_id = "";
	if (!reply->started) {
		reply->started = true;
		return;
	}
	if (left == 0) {
		event->kind = GENERATION_DONE;
		event->finish = WIRE_FINISH_STOP;
		finish(reply, event);
		return;
	}
	const char *line = memchr(text, '\n', left);
	size_t len = line == NULL ? left : (size_t)(line - text) + 1;
	event->kind = GENERATION_TEXT;
	event->text = text;
	event->text_len = len;
	reply->canned_given += len;
	buf_append(&reply->text, text, len);
}

/* The prompt is too long: first leave the answer's length open, then drop
 * moments; what the client sent is never cut. */
static bool try_shorter(struct reply *reply, struct reply_fault *fault)
{
	uint32_t smaller = reply->pack.tokens / 2;

	if (reply->request->max_tokens == 0 && reply->max_tokens != 0)
		reply->max_tokens = 0;
	else if (reply->mode != REPLY_FULL || reply->pack.len == 0)
		return false;
	else if (fit_pack(reply, smaller) != RC_OK)
		return false;
	generation_free(reply->generation);
	reply->generation = NULL;
	enum rc rc = ask(reply, fault);
	if (rc == RC_UNAVAILABLE && personal(reply) && !constrained(reply)) {
		go_recall_only(reply);
		return true;
	}
	return rc == RC_OK;
}

static void fault_of(
    const struct reply *reply, const struct generation_event *event, struct reply_fault *fault)
{
	char text[sizeof(fault->message)];

	switch (event->rc) {
	case RC_CONTEXT:
		(void)snprintf(text, sizeof(text),
		    "This model's maximum context length is %llu tokens, but %llu were asked for.",
		    (unsigned long long)event->context, (unsigned long long)event->needed);
		set_fault(fault, 400, "invalid_request_error", "context_length_exceeded",
		    prompt_param(reply), text);
		break;
	case RC_INVALID:
	case RC_LIMIT:
	case RC_UNSUPPORTED:
		set_fault(fault, 400, "invalid_request_error",
		    event->rc == RC_UNSUPPORTED ? "unsupported_value" : "invalid_value",
		    strncmp(event->error, "schema", strlen("schema")) == 0
			? reply->request->format.param
			: NULL,
		    event->error);
		break;
	case RC_TIMEOUT:
		set_fault(fault, 504, "server_error", "timeout", NULL, event->error);
		break;
	case RC_CANCELLED:
		set_fault(fault, 499, "server_error", "cancelled", NULL, event->error);
		break;
	case RC_BUSY:
	case RC_BUDGET:
		set_fault(fault, 503, "server_error", "busy", NULL, event->error);
		break;
	case RC_UNAVAILABLE:
		set_fault(fault, 503, "server_error", "model_unavailable", NULL, event->error);
		break;
	default:
		set_fault(fault, 500, "server_error", rc_word(event->rc), NULL, event->error);
		break;
	}
}

static void on_failed(
    struct reply *reply, struct generation_event *event, struct reply_fault *fault)
{
	if (!reply->started && event->rc == RC_CONTEXT && try_shorter(reply, fault)) {
		event->kind = GENERATION_IDLE;
		return;
	}
	if (!reply->started && event->rc == RC_UNAVAILABLE && personal(reply) &&
	    !constrained(reply)) {
		go_recall_only(reply);
		event->kind = GENERATION_IDLE;
		return;
	}
	fault_of(reply, event, fault);
	if (!reply->over && fault->status >= 500)
		metric_add(METRIC_ANSWERS_FAILED, 1);
	reply->over = true;
}

/* ---- what the text holds ---- */

static void keep_piece(struct reply *reply, const struct output_piece *piece)
{
	bool keeps = !reply->request->stream || personal(reply);

	if (!keeps)
		return;
	switch (piece->kind) {
	case OUTPUT_TEXT:
		buf_append(&reply->text, piece->text, piece->len);
		break;
	case OUTPUT_REASONING:
		if (!reply->request->stream)
			buf_append(&reply->reasoning, piece->text, piece->len);
		break;
	case OUTPUT_CALL:
		if (reply->request->stream)
			break;
		if (reply->calls.len > 0)
			buf_putc(&reply->calls, ',');
		chunk_put_call(&reply->calls, -1, piece->id, piece->name, piece->text);
		break;
	}
}

/* The next piece of the text so far, in place of the event that brought it. */
static bool next_piece(struct reply *reply, struct generation_event *event)
{
	static const enum generation_event_kind kinds[] = {
		[OUTPUT_TEXT] = GENERATION_TEXT,
		[OUTPUT_REASONING] = GENERATION_REASONING,
		[OUTPUT_CALL] = GENERATION_CALL,
	};
	struct output_piece piece;

	if (reply->output == NULL || !output_next(reply->output, &piece))
		return false;
	keep_piece(reply, &piece);
	event->kind = kinds[piece.kind];
	event->text = piece.text;
	event->text_len = piece.len;
	event->call_name = piece.name;
	event->call_id = piece.id;
	event->call_index = piece.index;
	return true;
}

static void take_logprobs(struct reply *reply, const struct generation_event *event)
{
	if (event->logprobs_len == 0)
		return;
	if (reply->logprobs.len > 0)
		buf_putc(&reply->logprobs, ',');
	buf_append(&reply->logprobs, event->logprobs, event->logprobs_len);
}

static void on_started(struct reply *reply, const struct generation_event *event)
{
	if (event->kind == GENERATION_STARTED && event->reasoning && reply->output != NULL)
		output_begin_within(reply->output);
	reply->started = true;
	(void)snprintf(reply->fingerprint, sizeof(reply->fingerprint), "%s", event->numerics_id);
	(void)snprintf(reply->answered_by, sizeof(reply->answered_by), "%s", event->model);
	if (event->kind == GENERATION_RESUMED)
		metric_add(METRIC_ANSWERS_RESUMED, 1);
}

static void on_text(struct reply *reply, struct generation_event *event, struct reply_fault *fault)
{
	if (reply->output == NULL) {
		if (!reply->request->stream || personal(reply))
			buf_append(&reply->text, event->text, event->text_len);
		return;
	}
	output_push(reply->output, event->text, event->text_len);
	if (output_rc(reply->output) != RC_OK) {
		event->kind = GENERATION_FAILED;
		event->rc = output_rc(reply->output);
		on_failed(reply, event, fault);
	} else if (!next_piece(reply, event)) {
		event->kind = GENERATION_IDLE;
	}
}

static void on_done(struct reply *reply, struct generation_event *event)
{
	if (reply->output != NULL && !reply->ending) {
		reply->ending = true;
		reply->last = *event;
		reply->last.logprobs_len = 0; /* they are taken */
		output_end(reply->output);
		if (next_piece(reply, event))
			return;
	}
	finish(reply, event);
}

void reply_next(struct reply *reply, int64_t timeout_ns, struct generation_event *event,
    struct reply_fault *fault)
{
	if (reply->generation == NULL) {
		next_canned(reply, event);
		return;
	}
	*event = reply->last;
	if (next_piece(reply, event))
		return;
	if (!reply->ending)
		generation_next(reply->generation, timeout_ns, event);
	switch (event->kind) {
	case GENERATION_STARTED:
	case GENERATION_RESUMED:
		on_started(reply, event);
		break;
	case GENERATION_TEXT:
		take_logprobs(reply, event);
		on_text(reply, event, fault);
		break;
	case GENERATION_DONE:
		take_logprobs(reply, event);
		on_done(reply, event);
		break;
	case GENERATION_FAILED:
		on_failed(reply, event, fault);
		break;
	default:
		break;
	}
}

const struct chunk_head *reply_head(const struct reply *reply)
{
	return &reply->head;
}

const struct chunk_end *reply_end(const struct reply *reply)
{
	return &reply->end;
}

struct chunk_answer reply_answer(const struct reply *reply)
{
	return (struct chunk_answer){
		.text = &reply->text,
		.reasoning = &reply->reasoning,
		.calls = &reply->calls,
		.logprobs = reply->request->logprobs ? &reply->logprobs : NULL,
	};
}

void reply_take_logprobs(struct reply *reply, struct buf *out)
{
	struct buf taken = reply->logprobs;

	buf_reset(out);
	reply->logprobs = *out;
	*out = taken;
}
