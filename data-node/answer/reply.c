/* Reply: the run of it, and what is kept. */
#include <stdio.h>
#include <string.h>

#include "answer/exchange.h"
#include "answer/reply_state.h"
#include "base/clock.h"
#include "base/log.h"
#include "gateway/metric.h"

void reply_set_fault(struct reply_fault *fault, int status, const char *type, const char *code,
    const char *param, const char *message)
{
	*fault =
	    (struct reply_fault){ .status = status, .type = type, .code = code, .param = param };
	(void)snprintf(fault->message, sizeof(fault->message), "%s", message);
	if (status == 503)
		fault->retry_after = "5";
}

bool reply_personal(const struct reply *reply)
{
	return reply->request->hearth && !reply->request->background;
}

bool reply_constrained(const struct reply *reply)
{
	return reply->request->format.constraint.kind != WIRE_CONSTRAINT_NONE;
}

static const char *prompt_param(const struct reply *reply)
{
	return reply->request->kind == CHAT_KIND_CHAT ? "messages" : "prompt";
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

void reply_finish(struct reply *reply, struct generation_event *event)
{
	if (reply->over)
		return;
	reply->over = true;
	reply->end = (struct chunk_end){
		.finish = event->finish,
		.prompt_tokens = event->prompt_tokens,
		.cached_tokens = event->cached_tokens,
		.completion_tokens = event->tokens,
		.calls = reply->output == NULL ? reply->remote_calls : output_calls(reply->output),
	};
	if (reply->plan != NULL) {
		remote_told(reply->plan, &reply->route);
		reply->end.route = buf_text(&reply->route);
	}
	if (reply->request->hearth) {
		reply->end.mode = reply->mode == REPLY_RECALL_ONLY ? "recall-only" : "full";
		reply->end.pack = &reply->pack;
	}
	metric_add(METRIC_TOKENS_PROMPT, event->prompt_tokens);
	metric_add(METRIC_TOKENS_GENERATED, event->tokens);
	if (!reply_personal(reply))
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
		reply_finish(reply, event);
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
	else if (reply_fit_pack(reply, smaller) != RC_OK)
		return false;
	generation_free(reply->generation);
	reply->generation = NULL;
	enum rc rc = reply_ask(reply, fault);
	if (rc == RC_UNAVAILABLE && reply_personal(reply) && !reply_constrained(reply)) {
		reply_go_recall_only(reply);
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
		reply_set_fault(fault, 400, "invalid_request_error", "context_length_exceeded",
		    prompt_param(reply), text);
		break;
	case RC_INVALID:
	case RC_LIMIT:
	case RC_UNSUPPORTED:
		reply_set_fault(fault, 400, "invalid_request_error",
		    event->rc == RC_UNSUPPORTED ? "unsupported_value" : "invalid_value",
		    strncmp(event->error, "schema", strlen("schema")) == 0
			? reply->request->format.param
			: NULL,
		    event->error);
		break;
	case RC_TIMEOUT:
		reply_set_fault(fault, 504, "server_error", "timeout", NULL, event->error);
		break;
	case RC_CANCELLED:
		reply_set_fault(fault, 499, "server_error", "cancelled", NULL, event->error);
		break;
	case RC_BUSY:
	case RC_BUDGET:
		reply_set_fault(fault, 503, "server_error", "busy", NULL, event->error);
		break;
	case RC_UNAVAILABLE:
		reply_set_fault(
		    fault, 503, "server_error", "model_unavailable", NULL, event->error);
		break;
	default:
		reply_set_fault(fault, 500, "server_error", rc_word(event->rc), NULL, event->error);
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
	if (!reply->started && event->rc == RC_UNAVAILABLE && reply_personal(reply) &&
	    !reply_constrained(reply)) {
		reply_go_recall_only(reply);
		event->kind = GENERATION_IDLE;
		return;
	}
	fault_of(reply, event, fault);
	if (!reply->over && fault->status >= 500)
		metric_add(METRIC_ANSWERS_FAILED, 1);
	reply->over = true;
}

/* ---- what the text holds ---- */

void reply_keep_piece(struct reply *reply, const struct output_piece *piece)
{
	bool keeps = !reply->request->stream || reply_personal(reply);

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
	reply_keep_piece(reply, &piece);
	event->kind = kinds[piece.kind];
	event->text = piece.text;
	event->text_len = piece.len;
	event->call_name = piece.name;
	event->call_id = piece.id;
	event->call_index = piece.index;
	return true;
}

void reply_keep_logprobs(struct reply *reply, const struct generation_event *event)
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
		if (!reply->request->stream || reply_personal(reply))
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
	reply_finish(reply, event);
}

void reply_next(struct reply *reply, int64_t timeout_ns, struct generation_event *event,
    struct reply_fault *fault)
{
	if (reply->remote != NULL) {
		reply_next_remote(reply, timeout_ns, event, fault);
		return;
	}
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
		reply_keep_logprobs(reply, event);
		on_text(reply, event, fault);
		break;
	case GENERATION_DONE:
		reply_keep_logprobs(reply, event);
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
