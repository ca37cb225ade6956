/*
 * Foreign bytes of a request, without a store: the target and its parameters,
 * Host and Origin, the bodies of the chat and completion calls, the calls of agents'
 * tools, and edits of what is known.  The first byte picks the parser.
 */
#include <stdlib.h>
#include <string.h>

#include "answer/chat_request.h"
#include "gateway/guard.h"
#include "gateway/mcp_tools.h"
#include "gateway/memory_body.h"
#include "gateway/query.h"
#include "gateway/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define ARENA_BYTES ((size_t)64 << 20)

static void fuzz_target(const char *text, struct arena *arena)
{
	struct api_request request = { 0 };
	struct api_response response;
	unsigned layers = 0;
	int64_t n = 0;

	if (target_parse(text, arena, &request, NULL) != RC_OK)
		return;
	api_response_init(&response);
	(void)query_time(&request, "from", &n, NULL, &response);
	(void)query_int(&request, "limit", 1, 10000, &n, &response);
	(void)query_duration(&request, "step", 1, INT64_MAX, &n, &response);
	(void)query_layers(&request, "layer", &layers, &response);
	api_response_fini(&response);
	/* What was decoded goes back through the encoder. */
	for (size_t i = 0; i < request.params_len; i++) {
		struct api_request again = { 0 };
		struct buf b;
		buf_init(&b, 4 * TARGET_BYTES_MAX);
		buf_puts(&b, "/?x=");
		target_escape(&b, request.params[i].value);
		if (b.len <= TARGET_BYTES_MAX) {
			if (target_parse(buf_text(&b), arena, &again, NULL) != RC_OK ||
			    strcmp(api_param(&again, "x"), request.params[i].value) != 0)
				abort();
		}
		buf_fini(&b);
	}
}

static void fuzz_chat(enum chat_kind kind, const char *text, size_t len, struct arena *arena)
{
	struct chat_request request;
	struct chat_fault fault;

	memset(&request, 0, sizeof(request));
	memset(&fault, 0, sizeof(fault));
	enum rc rc = chat_request_parse(kind, text, len, arena, &request, &fault);
	if (rc == RC_INVALID && (fault.status < 400 || fault.message[0] == 0))
		abort();
}

/* An agent's call: {"name":…,"arguments":…} becomes a request to one of our routes. */
static void fuzz_tool(const char *text, size_t len, struct arena *arena)
{
	struct api_request request = { 0 };
	struct errmsg why = ERRMSG_INIT;

	json_t *root = json_loadb(text, len, 0, NULL);
	const char *name = json_string_value(json_object_get(root, "name"));
	enum rc rc = mcp_tools_request(name != NULL ? name : "search_timeline",
	    json_object_get(root, "arguments"), arena, &request, &why);
	if (rc == RC_OK && (request.path[0] != '/' || request.params_len == 0))
		abort();
	if (rc != RC_OK && why.text[0] == '\0')
		abort();
	json_decref(root);
}

/* What is taken as an edit says what is to be done, and with which fact. */
static void fuzz_memory(const char *text, size_t len, struct arena *arena)
{
	const struct api_request request = { .body = text, .body_len = len };
	struct memory_body_edit body;
	struct api_response response;
	struct memory_body_decision decision;
	struct fact fact;

	api_response_init(&response);
	if (memory_body_edit(&request, arena, &body, &response)) {
		const struct edit *edit = &body.edit;
		if ((edit->number != 0) != (edit->how != EDIT_ADD) ||
		    (edit->how == EDIT_ADD && edit->class == 0))
			abort();
	} else if (response.status != 400) {
		abort();
	}
	api_response_fini(&response);
	api_response_init(&response);
	if (!memory_body_proposal(&request, arena, &fact, &response) && response.status != 400)
		abort();
	api_response_fini(&response);
	api_response_init(&response);
	if (memory_body_decision(&request, &decision, &response) && decision.number == 0)
		abort();
	api_response_fini(&response);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct arena arena;

	if (len == 0)
		return 0;
	arena_init(&arena, ARENA_BYTES);
	char *text = arena_copy(&arena, bytes + 1, len - 1);
	if (text == NULL) {
		arena_fini(&arena);
		return 0;
	}
	switch (bytes[0] % 6) {
	case 0:
		fuzz_target(text, &arena);
		break;
	case 1:
		(void)guard_origin(
		    text, guard_host(text, "home.example", len % 2 == 0) ? text : "localhost");
		(void)guard_loopback(text);
		break;
	case 2:
		fuzz_chat(CHAT_KIND_CHAT, text, len - 1, &arena);
		break;
	case 3:
		fuzz_chat(CHAT_KIND_COMPLETION, text, len - 1, &arena);
		break;
	case 4:
		fuzz_tool(text, len - 1, &arena);
		break;
	default:
		fuzz_memory(text, len - 1, &arena);
		break;
	}
	arena_fini(&arena);
	return 0;
}
