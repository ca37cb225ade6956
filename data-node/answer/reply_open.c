/* Reply: which model answers, what is found for it, and asking it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer/recall_only.h"
#include "answer/reply_state.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"

#define ARENA_BYTES_MAX ((size_t)256 << 20)
#define ROUTE_BYTES_MAX ((size_t)64 << 10)
#define CONTEXT_MARGIN 64u /* for what an estimate misses */

/* ---- which model ---- */

/* Strict tools, and calls that must come, go to a node that holds calls, if one has the same model.
 */
static bool is_better(
    const struct reply *reply, const struct pool_model *model, const struct pool_model *than)
{
	const struct chat_tools *tools = &reply->request->tools;

	return (tools->strict || tools->must != NULL) && model->holds_calls && !than->holds_calls &&
	       strcmp(model->name, than->name) == 0;
}

/* A model some node serves, or served when it was last up. */
static enum rc find_model(struct reply *reply, const char *name, bool *known)
{
	const struct pool_model *found = NULL;
	struct pool_node *nodes = NULL;
	size_t len = 0;
	bool any_up = false, unheld = false;
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
			if (reply_constrained(reply) && !model->constrains) {
				unheld = true;
				continue;
			}
			if (found == NULL || is_better(reply, model, found))
				found = model;
		}
	}
	if (found != NULL) {
		reply->model = found->name;
		reply->context = found->context;
		reply->tool_format = found->tool_format;
		reply->holds_calls = found->holds_calls;
		return RC_OK;
	}
	reply->unheld = reply->unheld || unheld;
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
		reply_set_fault(fault, 400, "invalid_request_error", "unsupported_value",
		    reply->request->format.param,
		    "no compute node that serves this model can hold its answer to a format: it "
		    "has to "
		    "be upgraded, or its vocabulary lacks letters");
	else
		reply_set_fault(fault, 503, "server_error", "model_unavailable", NULL, text);
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
		reply_set_fault(fault, 404, "invalid_request_error", "model_not_found", "model",
		    "no such model: GET /v1/models lists what there is");
		return RC_NOTFOUND;
	}
	return set_away(reply, fault, "no compute node that serves this model takes requests now");
}

/* ---- asking ---- */

static uint32_t room_for_moments(const struct reply *reply, const struct prompt_config *config)
{
	const struct host *host = &reply->host;
	uint64_t budget = host_context_tokens(host);
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
	uint32_t limit = host_answer_tokens(&reply->host);

	if (reply->request->max_tokens != 0)
		return reply->request->max_tokens;
	if (reply->context != 0 && limit > reply->context / 4)
		limit = (uint32_t)(reply->context / 4);
	return limit;
}

enum rc reply_ask(struct reply *reply, struct reply_fault *fault)
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
		.holds_calls = reply->holds_calls,
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
		reply_set_fault(fault, 503, "server_error", "model_unavailable", NULL,
		    "no compute node that serves this model takes requests now");
	else if (rc != RC_OK)
		reply_set_fault(fault, rc == RC_LIMIT ? 400 : 500,
		    rc == RC_LIMIT ? "invalid_request_error" : "server_error", rc_word(rc), NULL,
		    errmsg_text(&why, rc));
	return rc;
}

/* A copy to cut from, so that a retry may start over from all candidates. */
enum rc reply_fit_pack(struct reply *reply, uint32_t budget)
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
	return reply_fit_pack(reply, room_for_moments(reply, &config));
}

void reply_go_recall_only(struct reply *reply)
{
	generation_free(reply->generation);
	reply->generation = NULL;
	reply->mode = REPLY_RECALL_ONLY;
	reply->pack = reply->found;
	recall_only_write(&reply->pack, &reply->canned);
	reply->fingerprint[0] = '\0';
	reply->head.fingerprint = reply->fingerprint;
}

/* Every moment that may matter. */
static enum rc find_moments(struct reply *reply, struct reply_fault *fault)
{
	struct errmsg why = ERRMSG_INIT;
	enum rc rc = pack_find(&reply->host, reply->request->question, reply->request->question_len,
	    reply->asked_utc_ns, &reply->arena, &reply->found, &why);

	if (rc != RC_OK) {
		log_warn("ANSWER-RECALL", "rc=%s", rc_word(rc));
		reply_set_fault(fault, 500, "server_error", rc_word(rc), NULL,
		    "the timeline could not be searched");
	}
	return rc;
}

/* With the person's context, or what can be done without a model. */
static enum rc open_personal(struct reply *reply, struct reply_fault *fault)
{
	reply->mode = REPLY_FULL;
	enum rc rc = choose_hearth(reply);
	if (rc == RC_OK) {
		reply->max_tokens = answer_limit(reply);
		rc = fit_first(reply);
	}
	if (rc == RC_OK)
		rc = reply_ask(reply, fault);
	if (rc == RC_UNAVAILABLE && reply_constrained(reply))
		return set_away(
		    reply, fault, "no compute node is up, and recall alone answers in no format");
	if (rc == RC_UNAVAILABLE) {
		reply_go_recall_only(reply);
		return RC_OK;
	}
	return rc;
}

/* No node is up, and no model elsewhere can be asked either. */
static enum rc set_all_away(const struct reply *reply, struct reply_fault *fault)
{
	char text[sizeof(fault->message)];

	if (reply->plan == NULL)
		return set_away(reply, fault, "no compute node is up");
	(void)snprintf(text, sizeof(text), "%.64s: %s; and no compute node is up",
	    reply->request->model, route_words(route_last(&reply->plan->decision)->reason));
	return set_away(reply, fault, text);
}

/* The prompt and nothing else: a model's own id, or a background call. */
static enum rc open_plain(struct reply *reply, struct reply_fault *fault)
{
	enum rc rc;

	reply->mode = REPLY_PLAIN;
	/* Who named a model elsewhere gets what there is at home. */
	if (!reply->request->hearth && reply->plan == NULL) {
		rc = choose_named(reply, fault);
	} else {
		rc = choose_hearth(reply);
		if (rc == RC_UNAVAILABLE)
			rc = set_all_away(reply, fault);
	}
	if (rc != RC_OK)
		return rc;
	reply->max_tokens = answer_limit(reply);
	return reply_ask(reply, fault);
}

/* How the text of a chat is to be read; a model says how it calls once it is chosen. */
static enum rc open_output(struct reply *reply)
{
	const struct chat_request *request = reply->request;
	bool calls = request->tools.choice != CHAT_TOOLS_NONE;
	const char *format = reply->tool_format == NULL ? "" : reply->tool_format;
	const bool must = request->tools.must != NULL && reply->holds_calls;
	const struct output_config config = {
		.calls = must                                 ? OUTPUT_CALLS_TAGS
			 : request->format.calls              ? OUTPUT_CALLS_FORCED
			 : calls && !reply_constrained(reply) ? OUTPUT_CALLS_TAGS
							      : OUTPUT_CALLS_NONE,
		.format = format,
		.tools = request->tools.json,
		.must = must,
		.one_call = request->tools.one_call,
		/* What is to be of a form has none in front, but for calls as the model writes
		 * them, and a message before its own. */
		.reasoning = must || !reply_constrained(reply) || strcmp(format, "harmony") == 0,
		.cite =
		    reply->mode == REPLY_FULL && !reply_constrained(reply) ? &reply->cite : NULL,
	};

	reply->cite = (struct cite){ .pack = &reply->pack, .request = request };
	if (request->kind != CHAT_KIND_CHAT || reply->generation == NULL)
		return RC_OK;
	return output_new(&config, &reply->output);
}

bool reply_node_up(struct reply *reply)
{
	bool known;

	return find_model(reply, NULL, &known) == RC_OK;
}

enum rc reply_open_here(struct reply *reply, struct reply_fault *fault)
{
	enum rc rc = reply_personal(reply) ? open_personal(reply, fault) : open_plain(reply, fault);

	return rc == RC_OK ? open_output(reply) : rc;
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

	reply_set_fault(fault, 503, "server_error", "no_memory", NULL, rc_text(RC_NOMEM));
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
	buf_init(&reply->route, ROUTE_BYTES_MAX);
	make_id(reply);
	reply->head = (struct chunk_head){
		.kind = request->kind,
		.id = reply->id,
		.created_s = reply->asked_utc_ns / NS_PER_S,
		.model = request->model,
		.fingerprint = reply->fingerprint,
		.include_usage = request->include_usage,
	};
	enum rc rc = reply_personal(reply) ? find_moments(reply, fault) : RC_OK;
	if (rc == RC_OK)
		rc = reply_route(reply, fault);
	if (rc == RC_UNAVAILABLE)
		rc = reply_open_here(reply, fault);
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
	remote_free(reply->remote);
	output_free(reply->output);
	output_free(reply->checked);
	buf_fini(&reply->text);
	buf_fini(&reply->reasoning);
	buf_fini(&reply->calls);
	buf_fini(&reply->logprobs);
	buf_fini(&reply->canned);
	buf_fini(&reply->route);
	arena_fini(&reply->arena);
	free(reply);
}
