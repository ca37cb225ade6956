/*
 * POST /control/cloud/explain: where a question would be answered, and what would go
 * along; nothing is asked, counted or written to the ledger.
 */
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "answer/pack.h"
#include "answer/remote.h"
#include "base/clock.h"
#include "gateway/cloud_place.h"
#include "gateway/handlers.h"
#include "gateway/query.h"
#include "gateway/station.h"

#define BODY_BYTES_MAX ((size_t)64 << 10)

/* Some node takes requests for a model that chats. */
static bool node_up(const struct host *host, struct arena *arena)
{
	struct pool_node *nodes = NULL;
	size_t len = 0;

	if (host->pool == NULL || pool_list(host->pool, arena, &nodes, &len) != RC_OK)
		return false;
	for (size_t i = 0; i < len; i++) {
		for (size_t j = 0; nodes[i].takes && j < nodes[i].models_len; j++) {
			if (nodes[i].models[j].chat)
				return true;
		}
	}
	return false;
}

static void put_leaving(struct buf *out, const struct remote_plan *plan)
{
	bool any = false;

	buf_puts(out, ",\"leaving\":{");
	for (unsigned l = 1; l <= LAYER_COUNT; l++) {
		if (plan->leaving[l] == 0)
			continue;
		buf_printf(out, "%s\"%s\":%" PRIu32, any ? "," : "", layer_word((enum layer)l),
		    plan->leaving[l]);
		any = true;
	}
	buf_putc(out, '}');
}

static enum rc explain(const struct host *host, const struct chat_request *request,
    struct arena *arena, struct buf *out, struct errmsg *why)
{
	struct pack found = { 0 };
	struct remote_plan none = { .policy = { .rules_len = 0 } }, *plan = &none;
	struct remote_ask ask = { .host = host,
		.request = request,
		.found = request->hearth ? &found : NULL,
		.local = node_up(host, arena),
		.now_utc_ns = clock_utc_ns() };
	enum rc rc = RC_OK;

	if (request->hearth && request->question_len > 0)
		rc = pack_find(host, request->question, request->question_len, ask.now_utc_ns,
		    arena, &found, why);
	if (rc == RC_OK)
		rc = remote_plan(&ask, arena, &plan);
	if (rc == RC_NOTFOUND) {
		route_step(&none.decision, "", ROUTE_NO_RULE);
		rc = RC_OK;
	}
	if (rc != RC_OK)
		return rc;
	buf_printf(out, "{\"found\":%zu,\"route\":", found.len);
	remote_told(plan, out);
	put_leaving(out, plan);
	buf_puts(out, "}\n");
	return RC_OK;
}

/* {"question":"…","model":"hearth"} */
void handle_control_explain_post(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	struct wire_part part = { .kind = WIRE_PART_TEXT, .media_type = "" };
	struct wire_chat_message message = { .role = "user",
		.parts = &part,
		.parts_len = 1,
		.name = "",
		.tool_call_id = "",
		.tool_calls_json = "" };
	struct errmsg why = ERRMSG_INIT;
	struct host host;

	json_t *root = request->body_len > BODY_BYTES_MAX || request->body == NULL
			   ? NULL
			   : json_loadb(request->body, request->body_len, 0, NULL);
	const char *question = json_string_value(json_object_get(root, "question"));
	const char *model = json_string_value(json_object_get(root, "model"));
	if (question == NULL || model == NULL) {
		query_error(response, question == NULL ? "question" : "model", "a text is needed");
		json_decref(root);
		return;
	}
	part.data = (const uint8_t *)question;
	part.data_len = strlen(question);
	const struct chat_request asked = { .kind = CHAT_KIND_CHAT,
		.model = model,
		.hearth = strcmp(model, CHAT_MODEL_HEARTH) == 0,
		.messages = &message,
		.messages_len = 1,
		.question = question,
		.question_len = part.data_len,
		.tools = { .json = "" },
		.forward = "" };
	host_of(station, &host);
	enum rc rc = asked.hearth || route_names_upstream(model)
			 ? explain(&host, &asked, arena, &response->body, &why)
			 : errmsg_rc(&why, RC_INVALID, "only hearth and cloud/NAME have a route");
	if (rc != RC_OK)
		api_error_rc(response, rc, NULL, &why);
	json_decref(root);
}
