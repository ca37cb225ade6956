/* Reply: routes, and answers from elsewhere. */
#include <stdio.h>
#include <string.h>

#include "answer/reply_state.h"
#include "gateway/metric.h"

static enum rc unknown(struct reply_fault *fault)
{
	reply_set_fault(fault, 404, "invalid_request_error", "model_not_found", "model",
	    "no such model: GET /v1/models lists what there is");
	return RC_NOTFOUND;
}

static enum rc open_checked(struct reply *reply)
{
	const struct output_config config = { .format = "", .cite = &reply->cite };

	reply->cite = (struct cite){ .pack = &reply->pack, .request = reply->request };
	if (reply->mode != REPLY_FULL || reply->request->kind != CHAT_KIND_CHAT ||
	    reply_constrained(reply))
		return RC_OK;
	return output_new(&config, &reply->checked);
}

enum rc reply_route(struct reply *reply, struct reply_fault *fault)
{
	bool named = route_names_upstream(reply->request->model);

	if (!named && !reply_personal(reply))
		return RC_UNAVAILABLE;
	reply->ask = (struct remote_ask){
		.host = &reply->host,
		.request = reply->request,
		.choice = reply->choice,
		.found = named ? NULL : &reply->found,
		.local = reply_node_up(reply),
		.now_utc_ns = reply->asked_utc_ns,
	};
	enum rc rc = remote_plan(&reply->ask, &reply->arena, &reply->plan);
	if (rc == RC_NOTFOUND)
		return named ? unknown(fault) : RC_UNAVAILABLE;
	if (rc != RC_OK)
		return rc;
	if (named && route_last(&reply->plan->decision)->reason == ROUTE_UNKNOWN)
		return unknown(fault);
	rc = remote_open(&reply->ask, reply->plan, &reply->arena, &reply->remote);
	if (rc != RC_OK)
		return rc;
	reply->mode = named ? REPLY_PLAIN : REPLY_FULL;
	reply->pack = reply->plan->pack;
	return open_checked(reply);
}

/* Nothing of it was given out yet: it is answered at home, and says why. */
static void fall(struct reply *reply, struct generation_event *event, struct reply_fault *fault)
{
	remote_free(reply->remote);
	reply->remote = NULL;
	output_free(reply->checked);
	reply->checked = NULL;
	remote_fell(&reply->ask, reply->plan, event->rc);
	metric_add(METRIC_ANSWERS_FELL, 1);
	bool opened = reply_open_here(reply, fault) == RC_OK;
	event->kind = opened ? GENERATION_IDLE : GENERATION_FAILED;
	reply->over = !opened;
}

/* What the client asked for wrongly is its own to mend. */
static void on_failed(
    struct reply *reply, struct generation_event *event, struct reply_fault *fault)
{
	bool asked_wrongly = event->rc == RC_INVALID && !reply_personal(reply);

	if (!reply->started && !asked_wrongly) {
		fall(reply, event, fault);
		return;
	}
	if (!reply->over && !asked_wrongly)
		metric_add(METRIC_ANSWERS_FAILED, 1);
	reply->over = true;
	reply_set_fault(fault, asked_wrongly ? 400 : 502,
	    asked_wrongly ? "invalid_request_error" : "server_error",
	    asked_wrongly ? "upstream_refused" : "upstream_failed", NULL, event->error);
}

static void on_piece(
    struct reply *reply, const struct generation_event *event, enum output_kind kind)
{
	const struct output_piece piece = {
		.kind = kind,
		.text = event->text,
		.len = event->text_len,
		.name = event->call_name,
		.id = event->call_id,
		.index = event->call_index,
	};

	reply_keep_piece(reply, &piece);
	if (kind == OUTPUT_CALL)
		reply->remote_calls++;
}

/* The next of the text that was checked, in place of the event that brought it. */
static bool next_checked(struct reply *reply, struct generation_event *event)
{
	struct output_piece piece;

	if (reply->checked == NULL || !output_next(reply->checked, &piece))
		return false;
	event->kind = GENERATION_TEXT;
	event->text = piece.text;
	event->text_len = piece.len;
	return true;
}

/* Text goes through the check.  What ends it waits for what that holds back; thoughts do
 * not, for a mark may go on behind them. */
static void check(struct reply *reply, struct generation_event *event)
{
	if (event->kind == GENERATION_TEXT) {
		output_push(reply->checked, event->text, event->text_len);
		enum rc rc = output_rc(reply->checked);
		if (rc != RC_OK) {
			event->kind = GENERATION_FAILED;
			event->rc = rc;
			(void)snprintf(event->error, sizeof(event->error), "%s", rc_text(rc));
		} else if (!next_checked(reply, event)) {
			event->kind = GENERATION_IDLE;
		}
	} else if (event->kind != GENERATION_IDLE && event->kind != GENERATION_STARTED &&
		   event->kind != GENERATION_REASONING) {
		reply->last = *event;
		output_end(reply->checked);
		reply->waits = next_checked(reply, event);
	}
}

/* What comes next from there, with its log-probabilities kept. */
static void pull(struct reply *reply, int64_t timeout_ns, struct generation_event *event)
{
	*event = reply->last;
	if (next_checked(reply, event))
		return;
	if (reply->waits) {
		reply->waits = false;
		*event = reply->last;
		return;
	}
	remote_next(reply->remote, timeout_ns, event);
	if (event->kind == GENERATION_TEXT || event->kind == GENERATION_DONE)
		reply_keep_logprobs(reply, event);
	if (reply->checked != NULL)
		check(reply, event);
}

void reply_next_remote(struct reply *reply, int64_t timeout_ns, struct generation_event *event,
    struct reply_fault *fault)
{
	pull(reply, timeout_ns, event);
	switch (event->kind) {
	case GENERATION_STARTED:
		reply->started = true;
		metric_add(METRIC_ANSWERS_ELSEWHERE, 1);
		(void)snprintf(reply->answered_by, sizeof(reply->answered_by), "%s", event->model);
		break;
	case GENERATION_TEXT:
		on_piece(reply, event, OUTPUT_TEXT);
		break;
	case GENERATION_REASONING:
		on_piece(reply, event, OUTPUT_REASONING);
		break;
	case GENERATION_CALL:
		on_piece(reply, event, OUTPUT_CALL);
		break;
	case GENERATION_DONE:
		reply_finish(reply, event);
		break;
	case GENERATION_FAILED:
		on_failed(reply, event, fault);
		break;
	default:
		break;
	}
}
