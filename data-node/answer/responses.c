/* Responses: the request, turned into a chat's. */
#include "answer/responses.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "answer/body.h"
#include "answer/responses_state.h"

/* The chat body that comes to be, and which input each message came from. */
struct turn {
	json_t *chat, *messages;
	long from[RESPONSES_INPUT_MAX + 1]; /* -1: instructions */
	struct chat_fault *fault;
};

static enum rc append(struct turn *turn, json_t *message, long from)
{
	size_t n = json_array_size(turn->messages);

	if (n > RESPONSES_INPUT_MAX) {
		json_decref(message);
		return body_refuse(turn->fault, "invalid_value", "input",
		    "input has over %zu items", RESPONSES_INPUT_MAX);
	}
	if (json_array_append_new(turn->messages, message) != 0)
		return RC_NOMEM;
	turn->from[n] = from;
	return RC_OK;
}

/* ---- items of the input ---- */

/* A call that the model made: it joins the assistant's turn before it. */
static enum rc add_call(struct turn *turn, const json_t *item, size_t i)
{
	size_t n = json_array_size(turn->messages);
	json_t *last = n > 0 ? json_array_get(turn->messages, n - 1) : NULL;
	const char *role = json_string_value(json_object_get(last, "role"));
	char param[48];

	(void)snprintf(param, sizeof(param), "input[%zu]", i);
	if (!json_is_string(json_object_get(item, "call_id")) ||
	    !json_is_string(json_object_get(item, "name")) ||
	    !json_is_string(json_object_get(item, "arguments")))
		return body_refuse(turn->fault, "invalid_type", param,
		    "%s needs call_id, name and arguments, all strings", param);
	json_t *call = json_pack("{s:O, s:s, s:{s:O, s:O}}", "id", json_object_get(item, "call_id"),
	    "type", "function", "function", "name", json_object_get(item, "name"), "arguments",
	    json_object_get(item, "arguments"));
	if (role == NULL || strcmp(role, "assistant") != 0) {
		last = json_pack("{s:s, s:n}", "role", "assistant", "content");
		enum rc rc = last == NULL ? RC_NOMEM : append(turn, last, (long)i);
		if (rc != RC_OK) {
			json_decref(call);
			return rc;
		}
	}
	json_t *calls = json_object_get(last, "tool_calls");
	if (calls == NULL) {
		calls = json_array();
		if (json_object_set_new(last, "tool_calls", calls) != 0) {
			json_decref(call);
			return RC_NOMEM;
		}
	}
	return json_array_append_new(calls, call) == 0 ? RC_OK : RC_NOMEM;
}

static enum rc add_result(struct turn *turn, const json_t *item, size_t i)
{
	char param[48];

	(void)snprintf(param, sizeof(param), "input[%zu].call_id", i);
	if (!json_is_string(json_object_get(item, "call_id")))
		return body_refuse(
		    turn->fault, "invalid_type", param, "%s must be a string", param);
	(void)snprintf(param, sizeof(param), "input[%zu].output", i);
	if (body_field(item, "output") == NULL)
		return body_refuse(
		    turn->fault, "missing_required_parameter", param, "%s is missing", param);
	json_t *message = json_pack("{s:s, s:O, s:O}", "role", "tool", "tool_call_id",
	    json_object_get(item, "call_id"), "content", json_object_get(item, "output"));
	return message == NULL ? RC_NOMEM : append(turn, message, (long)i);
}

static enum rc add_message(struct turn *turn, const json_t *item, size_t i)
{
	json_t *message = json_object();
	static const char *const keys[] = { "role", "content" };

	for (size_t k = 0; message != NULL && k < sizeof(keys) / sizeof(keys[0]); k++) {
		json_t *value = json_object_get(item, keys[k]);

		if (value != NULL && json_object_set(message, keys[k], value) != 0) {
			json_decref(message);
			return RC_NOMEM;
		}
	}
	return message == NULL ? RC_NOMEM : append(turn, message, (long)i);
}

static enum rc add_item(struct turn *turn, const json_t *item, size_t i)
{
	const char *type = json_string_value(json_object_get(item, "type"));
	char param[48];

	(void)snprintf(param, sizeof(param), "input[%zu].type", i);
	if (type == NULL || strcmp(type, "message") == 0)
		return add_message(turn, item, i);
	if (strcmp(type, "function_call") == 0)
		return add_call(turn, item, i);
	if (strcmp(type, "function_call_output") == 0)
		return add_result(turn, item, i);
	if (strcmp(type, "reasoning") == 0)
		return RC_OK; /* thought once, and not said */
	return body_refuse(turn->fault, "unsupported_value", param,
	    "%s must be message, function_call, function_call_output or reasoning", param);
}

static enum rc add_input(struct turn *turn, const json_t *root)
{
	const json_t *instructions = body_field(root, "instructions"),
		     *input = body_field(root, "input");
	enum rc rc = RC_OK;

	if (instructions != NULL && !json_is_string(instructions))
		return body_refuse(
		    turn->fault, "invalid_type", "instructions", "instructions must be a string");
	if (instructions != NULL)
		rc = append(
		    turn, json_pack("{s:s, s:O}", "role", "system", "content", instructions), -1);
	if (rc == RC_OK && json_is_string(input))
		return append(turn, json_pack("{s:s, s:O}", "role", "user", "content", input), 0);
	if (rc == RC_OK && !json_is_array(input))
		return body_refuse(turn->fault, "invalid_type", "input",
		    "input must be a string or an array of items");
	for (size_t i = 0; rc == RC_OK && i < json_array_size(input); i++)
		rc = add_item(turn, json_array_get(input, i), i);
	return rc;
}

/* ---- the rest ---- */

/* {"type":"function","name":…} becomes {"type":"function","function":{"name":…}}. */
static json_t *wrapped(const json_t *flat)
{
	json_t *inner = json_is_object(flat) ? json_copy((json_t *)flat) : NULL;
	json_t *type = json_object_get(flat, "type");

	if (inner == NULL)
		return json_null();
	(void)json_object_del(inner, "type");
	return json_pack("{s:O?, s:o}", "type", type, "function", inner);
}

static int put_tools(json_t *chat, const json_t *root)
{
	const json_t *tools = body_field(root, "tools"), *choice = body_field(root, "tool_choice");
	int failed = 0;

	if (json_is_array(tools)) {
		json_t *list = json_array();

		for (size_t i = 0; i < json_array_size(tools); i++)
			failed |= json_array_append_new(list, wrapped(json_array_get(tools, i)));
		failed |= json_object_set_new(chat, "tools", list);
	} else if (tools != NULL) {
		failed |= json_object_set(chat, "tools", (json_t *)tools);
	}
	if (json_is_object(choice))
		failed |= json_object_set_new(chat, "tool_choice", wrapped(choice));
	else if (choice != NULL)
		failed |= json_object_set(chat, "tool_choice", (json_t *)choice);
	return failed;
}

/* text.format is flat where response_format has a json_schema. */
static int put_format(json_t *chat, const json_t *root)
{
	const json_t *format = body_field(body_field(root, "text"), "format");
	const char *type = json_string_value(json_object_get(format, "type"));

	if (format == NULL)
		return 0;
	if (type == NULL || strcmp(type, "json_schema") != 0)
		return json_object_set(chat, "response_format", (json_t *)format);
	return json_object_set_new(
	    chat, "response_format", json_pack("{s:s, s:O}", "type", type, "json_schema", format));
}

static int put_plain(json_t *chat, const json_t *root)
{
	static const char *const names[][2] = { { "model", "model" }, { "stream", "stream" },
		{ "temperature", "temperature" }, { "top_p", "top_p" }, { "user", "user" },
		{ "max_output_tokens", "max_tokens" }, { "seed", "seed" }, { "store", "store" },
		{ "parallel_tool_calls", "parallel_tool_calls" } };
	int failed = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const json_t *value = body_field(root, names[i][0]);

		if (value != NULL)
			failed |= json_object_set(chat, names[i][1], (json_t *)value);
	}
	return failed;
}

static enum rc refuse_stored(const json_t *root, struct chat_fault *fault)
{
	static const char *const names[] = { "previous_response_id", "conversation", "prompt" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (body_field(root, names[i]) != NULL)
			return body_refuse(fault, "unsupported_value", names[i],
			    "%s: responses are not kept here; send the whole input", names[i]);
	}
	if (json_is_true(json_object_get(root, "background")))
		return body_refuse(fault, "unsupported_value", "background",
		    "background: an answer is made while its request is open");
	return RC_OK;
}

/* ---- faults ---- */

/* In this API's names: "messages[2].content" came from "input[1].content". */
static void rename_fault(const struct turn *turn, struct chat_fault *fault)
{
	static const char *const names[][2] = { { "response_format.json_schema", "text.format" },
		{ "response_format", "text.format" }, { "max_tokens", "max_output_tokens" },
		{ "messages", "input" } };
	char rest[sizeof(fault->param)];
	unsigned long n = 0;
	int used = 0;

	if (sscanf(fault->param, "messages[%lu]%n", &n, &used) == 1 && used > 0 &&
	    n <= RESPONSES_INPUT_MAX) {
		(void)snprintf(rest, sizeof(rest), "%s", fault->param + used);
		if (turn->from[n] < 0)
			(void)snprintf(fault->param, sizeof(fault->param), "instructions");
		else
			(void)snprintf(fault->param, sizeof(fault->param), "input[%ld]%.60s",
			    turn->from[n], rest);
		return;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t len = strlen(names[i][0]);

		if (strncmp(fault->param, names[i][0], len) != 0)
			continue;
		(void)snprintf(rest, sizeof(rest), "%s", fault->param + len);
		(void)snprintf(fault->param, sizeof(fault->param), "%s%.70s", names[i][1], rest);
		return;
	}
}

/* ---- the whole ---- */

static const char *keep(
    const json_t *root, const char *name, const char *absent, struct arena *arena)
{
	const json_t *value = body_field(root, name);

	return value == NULL ? absent : body_json(value, arena);
}

static enum rc remember(const json_t *root, struct arena *arena, struct responses *answer)
{
	answer->instructions = keep(root, "instructions", "null", arena);
	answer->tools = keep(root, "tools", "[]", arena);
	answer->tool_choice = keep(root, "tool_choice", "\"auto\"", arena);
	answer->text = keep(root, "text", "{\"format\":{\"type\":\"text\"}}", arena);
	answer->metadata = keep(root, "metadata", "{}", arena);
	answer->temperature = keep(root, "temperature", "1", arena);
	answer->top_p = keep(root, "top_p", "1", arena);
	answer->max_output_tokens = keep(root, "max_output_tokens", "null", arena);
	answer->store = keep(root, "store", "true", arena);
	answer->parallel = !json_is_false(json_object_get(root, "parallel_tool_calls"));
	return answer->instructions == NULL || answer->tools == NULL ||
		       answer->tool_choice == NULL || answer->text == NULL ||
		       answer->metadata == NULL || answer->temperature == NULL ||
		       answer->top_p == NULL || answer->max_output_tokens == NULL ||
		       answer->store == NULL
		   ? RC_NOMEM
		   : RC_OK;
}

static enum rc parse_chat(struct turn *turn, struct arena *arena, struct chat_request *out)
{
	const char *body = body_json(turn->chat, arena);

	if (body == NULL)
		return RC_NOMEM;
	enum rc rc =
	    chat_request_parse(CHAT_KIND_CHAT, body, strlen(body), arena, out, turn->fault);
	if (rc == RC_INVALID)
		rename_fault(turn, turn->fault);
	return rc;
}

static enum rc parse_root(const json_t *root, struct arena *arena, struct chat_request *out,
    struct responses *answer, struct chat_fault *fault)
{
	struct turn *turn = arena_alloc(arena, sizeof(*turn));

	if (!json_is_object(root))
		return body_refuse(fault, "invalid_type", "", "the body must be a JSON object");
	if (turn == NULL)
		return RC_NOMEM;
	*turn = (struct turn){ .chat = json_object(), .messages = json_array(), .fault = fault };
	enum rc rc =
	    json_object_set(turn->chat, "messages", turn->messages) == 0 ? RC_OK : RC_NOMEM;
	if (rc == RC_OK)
		rc = refuse_stored(root, fault);
	if (rc == RC_OK)
		rc = add_input(turn, root);
	if (rc == RC_OK && (put_plain(turn->chat, root) | put_tools(turn->chat, root) |
			       put_format(turn->chat, root)) != 0)
		rc = RC_NOMEM;
	if (rc == RC_OK)
		rc = parse_chat(turn, arena, out);
	if (rc == RC_OK)
		rc = remember(root, arena, answer);
	json_decref(turn->messages);
	json_decref(turn->chat);
	return rc;
}

enum rc responses_parse(const char *body, size_t len, struct arena *arena, struct chat_request *out,
    struct responses **answer, struct chat_fault *fault)
{
	struct responses *made = arena_alloc(arena, sizeof(*made));
	json_error_t error;

	*answer = NULL;
	*fault = (struct chat_fault){ 0 };
	if (made == NULL)
		return RC_NOMEM;
	if (len > CHAT_BODY_BYTES_MAX) {
		(void)body_refuse(fault, "request_too_large", "", "the body is over %zu bytes",
		    CHAT_BODY_BYTES_MAX);
		fault->status = 413;
		return RC_INVALID;
	}
	json_t *root = json_loadb(body, len, JSON_DECODE_ANY, &error);
	if (root == NULL)
		return body_refuse(fault, "invalid_json", "",
		    "the body is not valid JSON at line %d, column %d", error.line, error.column);
	enum rc rc = parse_root(root, arena, out, made, fault);
	json_decref(root);
	if (rc != RC_OK)
		return rc;
	buf_init(&made->done, CHAT_BODY_BYTES_MAX * 4);
	buf_init(&made->current, CHAT_BODY_BYTES_MAX * 2);
	*answer = made;
	return RC_OK;
}

void responses_fini(struct responses *answer)
{
	if (answer == NULL)
		return;
	buf_fini(&answer->done);
	buf_fini(&answer->current);
}
