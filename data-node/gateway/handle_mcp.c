/*
 * POST /mcp: the Model Context Protocol over streamable HTTP.
 *
 * JSON-RPC 2.0, one message or (revision 2025-03-26) a batch; the answer is plain
 * JSON, there is no session and nothing is pushed, so GET is refused with 405 as
 * the protocol has it.  Tools only: mcp_tools.h.
 */
#include <jansson.h>
#include <string.h>

#include "gateway/handlers.h"
#include "gateway/mcp_tools.h"
#include "gateway/station.h"

#define BODY_KIB 256
#define BODY_BYTES_MAX ((size_t)BODY_KIB << 10)
#define BATCH_MAX 64

#define RPC_PARSE (-32700)
#define RPC_REQUEST (-32600)
#define RPC_METHOD (-32601)
#define RPC_PARAMS (-32602)
#define RPC_INTERNAL (-32603)

/* Revisions that we speak, newest first. */
static const char *const revisions[] = { "2025-06-18", "2025-03-26", "2024-11-05" };

static json_t *rpc_error(const json_t *id, int code, const char *message)
{
	return json_pack("{s:s,s:O?,s:{s:i,s:s}}", "jsonrpc", "2.0", "id", id, "error", "code",
	    code, "message", message);
}

static json_t *rpc_result(const json_t *id, json_t *result)
{
	return json_pack("{s:s,s:O,s:o}", "jsonrpc", "2.0", "id", id, "result", result);
}

static json_t *initialize(const json_t *params)
{
	const char *asked = json_string_value(json_object_get(params, "protocolVersion"));
	const char *spoken = revisions[0];

	for (size_t i = 0; asked != NULL && i < sizeof revisions / sizeof revisions[0]; i++) {
		if (strcmp(asked, revisions[i]) == 0)
			spoken = revisions[i];
	}
	return json_pack("{s:s,s:{s:{s:b}},s:{s:s,s:s,s:s},s:s}", "protocolVersion", spoken,
	    "capabilities", "tools", "listChanged", 0, "serverInfo", "name", "hearth", "title",
	    "Hearth timeline", "version", HEARTH_VERSION, "instructions",
	    "The person's own timeline: search it first, then read the range around what was "
	    "found. Quote times. What is not found there is not known.");
}

static json_t *call_tool(struct station *station, const struct api_request *request,
    const json_t *id, const json_t *params, struct arena *arena, size_t *room)
{
	const char *name = json_string_value(json_object_get(params, "name"));
	const json_t *arguments = json_object_get(params, "arguments");
	struct errmsg why = ERRMSG_INIT;
	json_t *result = NULL;

	if (name == NULL)
		return rpc_error(id, RPC_PARAMS, "\"name\" of the tool is missing");
	if (arguments != NULL && !json_is_object(arguments))
		return rpc_error(id, RPC_PARAMS, "\"arguments\" must be an object");
	enum rc rc = mcp_tools_call(station, request, name, arguments, arena, room, &result, &why);
	if (rc == RC_OK)
		return rpc_result(id, result);
	return rpc_error(id, rc == RC_NOTFOUND || rc == RC_INVALID ? RPC_PARAMS : RPC_INTERNAL,
	    why.text[0] != '\0' ? why.text : rc_word(rc));
}

/* A notification, none of which we act on, or an answer, though we never ask. */
static bool wants_none(const json_t *message)
{
	bool is_call = json_is_string(json_object_get(message, "method"));

	return is_call ? json_object_get(message, "id") == NULL
		       : json_object_get(message, "result") != NULL;
}

/* The answer to a message that wants one; NULL: no memory. */
static json_t *answer_message(struct station *station, const struct api_request *request,
    const json_t *message, struct arena *arena, size_t *room)
{
	const char *method = json_string_value(json_object_get(message, "method"));
	const json_t *id = json_object_get(message, "id");
	const json_t *params = json_object_get(message, "params");

	if (method == NULL || (!json_is_string(id) && !json_is_integer(id)))
		return rpc_error(NULL, RPC_REQUEST, "not a JSON-RPC 2.0 request");
	if (strcmp(method, "initialize") == 0)
		return rpc_result(id, initialize(params));
	if (strcmp(method, "ping") == 0)
		return rpc_result(id, json_object());
	if (strcmp(method, "tools/list") == 0)
		return rpc_result(id, mcp_tools_list());
	if (strcmp(method, "tools/call") == 0)
		return call_tool(station, request, id, params, arena, room);
	return rpc_error(id, RPC_METHOD, "this server has tools only");
}

/* The same for all messages of a batch that want one, if any does. */
static json_t *answer_batch(struct station *station, const struct api_request *request,
    const json_t *root, struct arena *arena, size_t *room)
{
	const json_t *message;
	size_t i;

	if (json_array_size(root) == 0 || json_array_size(root) > BATCH_MAX)
		return rpc_error(
		    NULL, RPC_REQUEST, "a batch has 1 to " MCP_TEXT(BATCH_MAX) " messages");
	json_t *answers = json_array();
	json_array_foreach(root, i, message)
	{
		if (!wants_none(message) &&
		    json_array_append_new(
			answers, answer_message(station, request, message, arena, room)) != 0) {
			json_decref(answers);
			return NULL;
		}
	}
	return answers;
}

static int put_json(const char *bytes, size_t len, void *ctx)
{
	buf_append(ctx, bytes, len);
	return 0;
}

static bool all_want_none(const json_t *root)
{
	const json_t *message;
	size_t i;

	if (!json_is_array(root))
		return wants_none(root);
	json_array_foreach(root, i, message)
	{
		if (!wants_none(message))
			return false;
	}
	return json_array_size(root) > 0;
}

void handle_mcp_post(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	size_t room = MCP_ANSWER_BYTES_MAX;
	json_t *answer = NULL;
	json_t *root = request->body_len > BODY_BYTES_MAX
			   ? NULL
			   : json_loadb(request->body != NULL ? request->body : "",
				 request->body_len, 0, NULL);

	if (root == NULL) {
		response->status = 400;
		answer = rpc_error(
		    NULL, RPC_PARSE, "the body must be JSON of at most " MCP_TEXT(BODY_KIB) " KiB");
	} else if (all_want_none(root)) {
		response->status = 202;
		json_decref(root);
		return;
	} else if (json_is_array(root)) {
		answer = answer_batch(station, request, root, arena, &room);
	} else {
		answer = answer_message(station, request, root, arena, &room);
	}
	if (answer == NULL ||
	    json_dump_callback(answer, put_json, &response->body, JSON_COMPACT) != 0)
		api_error_rc(response, RC_NOMEM, NULL, NULL);
	json_decref(answer);
	json_decref(root);
}
