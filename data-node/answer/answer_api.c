/* Answer API: the handlers, streamed and whole. */
#include "answer/answer_api.h"

#include <stdlib.h>
#include <string.h>

#include "answer/reply.h"
#include "answer/responses.h"
#include "base/clock.h"

#define REQUEST_ARENA_BYTES_MAX ((size_t)64 << 20)
#define CHUNK_BYTES_MAX ((size_t)32 << 20)

struct choice {
	struct reply *reply;
	bool opened;         /* the role chunk is written */
	uint64_t characters; /* see struct chunk_head */
	bool over;
};

/* One request on its way; lives in the heap, as a stream outlives its handler. */
struct run {
	struct host host;
	struct arena arena; /* of `request` */
	struct chat_request request;
	struct choice choices[CHAT_CHOICES_MAX]; /* [n], asked for side by side */
	size_t n, at;                            /* `at`: the one that events are of */
	struct responses *responses;             /* writes the answer; NULL: chunks do */

	/* streams */
	struct buf out;
	struct buf logprobs; /* of the chunk that is written */
	size_t sent;         /* bytes of `out` */
	bool ended;
	int64_t wrote_ns; /* when something was last written */
	bool has_first;
	struct generation_event first; /* seen before the headers went out */
};

static void run_free(void *ctx)
{
	struct run *run = ctx;

	if (run == NULL)
		return;
	for (size_t i = 0; i < run->n; i++)
		reply_free(run->choices[i].reply);
	responses_fini(run->responses);
	buf_fini(&run->out);
	buf_fini(&run->logprobs);
	arena_fini(&run->arena);
	free(run);
}

static void respond_fault(const struct reply_fault *fault, struct api_response *response)
{
	api_error(response, fault->status, fault->type, fault->code, fault->param, fault->message);
	if (fault->retry_after != NULL)
		api_header(response, "Retry-After", fault->retry_after);
}

static struct choice *now(struct run *run)
{
	return &run->choices[run->at];
}

/* All choices go by the first one's name. */
static struct chunk_head head_of(struct run *run)
{
	struct chunk_head head = *reply_head(run->choices[0].reply);

	head.index = (unsigned)run->at;
	head.characters = &now(run)->characters;
	return head;
}

static bool gone(const struct run *run, const struct api_request *request)
{
	return api_gone(request) ||
	       (run->host.stopping != NULL && run->host.stopping(run->host.ctx));
}

/* ---- whole answers ---- */

static enum rc put_body(struct run *run, struct buf *out)
{
	struct chunk_answer answers[CHAT_CHOICES_MAX];
	struct chunk_end ends[CHAT_CHOICES_MAX];

	if (run->responses != NULL)
		return responses_body(run->responses, out, reply_end(run->choices[0].reply));
	for (size_t i = 0; i < run->n; i++) {
		answers[i] = reply_answer(run->choices[i].reply);
		ends[i] = *reply_end(run->choices[i].reply);
		if (buf_rc(answers[i].text) != RC_OK || buf_rc(answers[i].reasoning) != RC_OK ||
		    buf_rc(answers[i].calls) != RC_OK)
			return RC_LIMIT;
	}
	chunk_body(out, reply_head(run->choices[0].reply), ends, answers, run->n);
	return RC_OK;
}

/* A Responses answer is made of the events that nobody reads here. */
static void take_event(struct run *run, const struct generation_event *event)
{
	if (run->responses == NULL)
		return;
	buf_reset(&run->out);
	if (!now(run)->opened)
		responses_begin(run->responses, &run->out, reply_head(now(run)->reply));
	now(run)->opened = true;
	if (event->kind == GENERATION_DONE)
		responses_end(run->responses, &run->out, reply_end(now(run)->reply));
	else
		responses_event(run->responses, &run->out, event);
}

/* One choice to its end; false: `response` is an error.  The others run beside it as far
 * as they may be ahead. */
static bool await_choice(
    struct run *run, const struct api_request *request, struct api_response *response)
{
	struct generation_event event = { .kind = GENERATION_IDLE };
	struct reply_fault fault = { 0 };

	while (event.kind != GENERATION_DONE) {
		if (gone(run, request)) {
			api_error(
			    response, 499, "server_error", "cancelled", NULL, "the client is gone");
			return false;
		}
		reply_next(now(run)->reply, ANSWER_PULL_NS, &event, &fault);
		if (event.kind == GENERATION_FAILED) {
			respond_fault(&fault, response);
			return false;
		}
		take_event(run, &event);
	}
	return true;
}

static void respond_whole(
    struct run *run, const struct api_request *request, struct api_response *response)
{
	for (run->at = 0; run->at < run->n; run->at++) {
		if (!await_choice(run, request, response))
			return;
	}
	run->at = 0;
	if (put_body(run, &response->body) != RC_OK) {
		api_error(response, 500, "server_error", "limit_exceeded", NULL,
		    "the answer is too long to be sent in one piece");
		return;
	}
	response->status = 200;
	response->content_type = "application/json";
}

/* ---- streams ---- */

static void fail_stream(struct run *run, const struct reply_fault *fault)
{
	run->ended = true;
	if (run->responses != NULL)
		responses_fail(run->responses, &run->out, fault->code, fault->message);
	else
		chunk_error(&run->out, fault->type, fault->code, fault->message);
}

/* A choice is over; with the last one the stream is. */
static void end_choice(struct run *run)
{
	const struct chunk_head head = head_of(run);
	struct chunk_end ends[CHAT_CHOICES_MAX];

	now(run)->over = run->ended = true;
	for (size_t i = 0; i < run->n; i++)
		run->ended = run->ended && run->choices[i].over;
	if (run->responses != NULL) {
		responses_end(run->responses, &run->out, reply_end(now(run)->reply));
		return;
	}
	reply_take_logprobs(now(run)->reply, &run->logprobs);
	chunk_finish(&run->out, &head, reply_end(now(run)->reply), &run->logprobs);
	if (!run->ended)
		return;
	for (size_t i = 0; i < run->n; i++)
		ends[i] = *reply_end(run->choices[i].reply);
	ends[0] = chunk_sum(ends, run->n);
	chunk_usage(&run->out, &head, &ends[0]);
	chunk_done(&run->out);
}

static void open_choice(struct run *run)
{
	const struct chunk_head head = head_of(run);

	if (now(run)->opened)
		return;
	now(run)->opened = true;
	if (run->responses != NULL)
		responses_begin(run->responses, &run->out, &head);
	else
		chunk_role(&run->out, &head);
}

/* What the answer says, thinks or calls. */
static void write_piece(struct run *run, const struct generation_event *event)
{
	const struct chunk_head head = head_of(run);

	if (run->responses != NULL) {
		responses_event(run->responses, &run->out, event);
	} else if (event->kind == GENERATION_TEXT) {
		reply_take_logprobs(now(run)->reply, &run->logprobs);
		chunk_text(&run->out, &head, event->text, event->text_len, &run->logprobs);
	} else if (event->kind == GENERATION_REASONING) {
		chunk_reasoning(&run->out, &head, event->text, event->text_len);
	} else {
		chunk_call(&run->out, &head, event->call_index, event->call_id, event->call_name,
		    event->text);
	}
}

static void write_event(
    struct run *run, const struct generation_event *event, const struct reply_fault *fault)
{
	switch (event->kind) {
	case GENERATION_STARTED:
		open_choice(run);
		break;
	case GENERATION_TEXT:
	case GENERATION_REASONING:
	case GENERATION_CALL:
		write_piece(run, event);
		break;
	case GENERATION_WAITING:
		chunk_comment(&run->out, "waiting for a compute node");
		break;
	case GENERATION_RESUMED:
		chunk_comment(
		    &run->out, event->numerics_changed ? "resumed with other numerics" : "resumed");
		break;
	case GENERATION_DONE:
		end_choice(run);
		break;
	case GENERATION_FAILED:
		fail_stream(run, fault);
		break;
	case GENERATION_IDLE:
		if (clock_mono_ns() - run->wrote_ns >= ANSWER_COMMENT_NS)
			chunk_comment(&run->out, "waiting");
		break;
	}
}

static void refill(struct run *run)
{
	struct generation_event event;
	struct reply_fault fault = { 0 };

	buf_reset(&run->out);
	run->sent = 0;
	if (run->has_first) {
		run->has_first = false;
		write_event(run, &run->first, NULL);
		return;
	}
	if (run->host.stopping != NULL && run->host.stopping(run->host.ctx)) {
		const struct reply_fault stopping = { .type = "server_error",
			.code = "stopping",
			.message = "the data node is going down" };
		fail_stream(run, &stopping);
		return;
	}
	do
		run->at = (run->at + 1) % run->n;
	while (now(run)->over);
	reply_next(now(run)->reply, ANSWER_PULL_NS / (int64_t)run->n, &event, &fault);
	write_event(run, &event, &fault);
}

static long pull(void *ctx, char *out, size_t max)
{
	struct run *run = ctx;

	if (run->sent == run->out.len) {
		if (run->ended)
			return API_PULL_END;
		refill(run);
		if (buf_rc(&run->out) != RC_OK)
			return API_PULL_FAIL;
		if (run->out.len > 0)
			run->wrote_ns = clock_mono_ns();
	}
	size_t len = run->out.len - run->sent;
	if (len > max)
		len = max;
	if (len > 0)
		memcpy(out, run->out.bytes + run->sent, len);
	run->sent += len;
	return (long)len;
}

/* Wait until the prompt is accepted or refused; false: `response` is an error. */
static bool await_start(
    struct run *run, const struct api_request *request, struct api_response *response)
{
	int64_t deadline = clock_mono_ns() + ANSWER_HEADERS_WAIT_NS;
	struct reply_fault fault = { 0 };

	while (clock_mono_ns() < deadline) {
		if (gone(run, request)) {
			api_error(
			    response, 499, "server_error", "cancelled", NULL, "the client is gone");
			return false;
		}
		reply_next(now(run)->reply, ANSWER_PULL_NS, &run->first, &fault);
		if (run->first.kind == GENERATION_FAILED) {
			respond_fault(&fault, response);
			return false;
		}
		if (run->first.kind == GENERATION_STARTED)
			break;
	}
	/* Late: the role chunk goes out all the same, what follows may be comments. */
	run->first.kind = GENERATION_STARTED;
	run->has_first = true;
	return true;
}

static void respond_stream(struct run *run, struct api_response *response)
{
	run->wrote_ns = clock_mono_ns();
	response->status = 200;
	response->content_type = "text/event-stream";
	api_header(response, "Cache-Control", "no-store");
	response->pull = pull;
	response->pull_ctx = run;
	response->pull_free = run_free;
}

/* ---- handlers ---- */

static struct run *run_new(const struct host *host)
{
	struct run *run = calloc(1, sizeof(*run));

	if (run == NULL)
		return NULL;
	run->host = *host;
	arena_init(&run->arena, REQUEST_ARENA_BYTES_MAX);
	buf_init(&run->out, CHUNK_BYTES_MAX);
	buf_init(&run->logprobs, CHUNK_BYTES_MAX);
	return run;
}

static void respond_parse(enum rc rc, const struct chat_fault *fault, struct api_response *response)
{
	if (rc != RC_INVALID) {
		api_error_rc(response, rc, NULL, NULL);
		return;
	}
	api_error(response, fault->status, "invalid_request_error", fault->code,
	    fault->param[0] == '\0' ? NULL : fault->param, fault->message);
}

static enum rc parse(struct run *run, enum answer_kind kind, const struct api_request *request,
    struct chat_fault *unread)
{
	if (kind == ANSWER_RESPONSES)
		return responses_parse(request->body, request->body_len, &run->arena, &run->request,
		    &run->responses, unread);
	return chat_request_parse(kind == ANSWER_COMPLETION ? CHAT_KIND_COMPLETION : CHAT_KIND_CHAT,
	    request->body, request->body_len, &run->arena, &run->request, unread);
}

void answer_run(const struct host *host, enum answer_kind kind, const struct api_request *request,
    struct api_response *response)
{
	struct chat_fault unread = { 0 };
	struct reply_fault fault = { 0 };
	struct run *run = run_new(host);

	if (run == NULL) {
		api_error_rc(response, RC_NOMEM, NULL, NULL);
		return;
	}
	enum rc rc = parse(run, kind, request, &unread);
	if (rc != RC_OK) {
		respond_parse(rc, &unread, response);
		goto out;
	}
	if (host->pool == NULL) {
		api_error_rc(response, RC_UNAVAILABLE, NULL, NULL);
		goto out;
	}
	for (; run->n < run->request.choices; run->n++) {
		if (reply_open(host, &run->request, (unsigned)run->n, &run->choices[run->n].reply,
			&fault) != RC_OK) {
			respond_fault(&fault, response);
			goto out;
		}
	}
	if (!run->request.stream) {
		respond_whole(run, request, response);
	} else if (await_start(run, request, response)) {
		respond_stream(run, response);
		run = NULL; /* the stream's now */
	}
out:
	run_free(run);
}

void answer_api_chat(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	struct host host;

	(void)arena;
	host_of(station, &host);
	host.device = request->device;
	answer_run(&host, ANSWER_CHAT, request, response);
}

void answer_api_completions(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	struct host host;

	(void)arena;
	host_of(station, &host);
	host.device = request->device;
	answer_run(&host, ANSWER_COMPLETION, request, response);
}

void answer_api_responses(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	struct host host;

	(void)arena;
	host_of(station, &host);
	host.device = request->device;
	answer_run(&host, ANSWER_RESPONSES, request, response);
}

void answer_api_models(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	struct host host;

	(void)request;
	host_of(station, &host);
	answer_models(&host, arena, response);
}

void answer_api_model(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	struct host host;

	host_of(station, &host);
	answer_model(&host, request->path + strlen(ANSWER_MODELS_PATH), arena, response);
}
