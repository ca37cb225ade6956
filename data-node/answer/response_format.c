/* Response format and tools: checking them, and the schema that holds them together. */
#include "answer/response_format.h"

#include <stdio.h>
#include <string.h>

#include "answer/body.h"

#define SCHEMA_DEPTH_MAX 128 /* walked; deeper ones are refused */

/* ---- tools ---- */

static bool is_name(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char c = name[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			c == '_' || c == '-' || c == '.'))
			return false;
	}
	return len > 0 && len <= TOOL_NAME_BYTES_MAX;
}

static enum rc read_tool(
    const json_t *tool, size_t i, struct arena *arena, const char **name, struct chat_fault *fault)
{
	const json_t *function = json_object_get(tool, "function");
	const char *type = json_string_value(json_object_get(tool, "type"));
	char param[64];

	(void)snprintf(param, sizeof(param), "tools[%zu].type", i);
	if (type == NULL || strcmp(type, "function") != 0)
		return body_refuse(
		    fault, "unsupported_value", param, "%s must be \"function\"", param);
	(void)snprintf(param, sizeof(param), "tools[%zu].function", i);
	if (!json_is_object(function))
		return body_refuse(fault, "invalid_type", param, "%s must be an object", param);
	const json_t *word = json_object_get(function, "name");
	(void)snprintf(param, sizeof(param), "tools[%zu].function.name", i);
	if (!json_is_string(word) || !is_name(json_string_value(word), json_string_length(word)))
		return body_refuse(fault, "invalid_value", param,
		    "%s must be 1 to %zu letters, digits, _, - or .", param, TOOL_NAME_BYTES_MAX);
	(void)snprintf(param, sizeof(param), "tools[%zu].function.description", i);
	if (body_field(function, "description") != NULL &&
	    !json_is_string(body_field(function, "description")))
		return body_refuse(fault, "invalid_type", param, "%s must be a string", param);
	(void)snprintf(param, sizeof(param), "tools[%zu].function.parameters", i);
	if (body_field(function, "parameters") != NULL &&
	    !json_is_object(body_field(function, "parameters")))
		return body_refuse(fault, "invalid_type", param, "%s must be a JSON schema", param);
	*name = arena_strdup(arena, json_string_value(word));
	return *name == NULL ? RC_NOMEM : RC_OK;
}

static enum rc read_tools(
    const json_t *root, struct arena *arena, struct chat_tools *out, struct chat_fault *fault)
{
	const json_t *tools = body_field(root, "tools");
	size_t n = json_array_size(tools);

	if (tools == NULL)
		return RC_OK;
	if (!json_is_array(tools))
		return body_refuse(fault, "invalid_type", "tools", "tools must be an array");
	if (n > TOOLS_MAX)
		return body_refuse(
		    fault, "invalid_value", "tools", "tools has over %zu items", TOOLS_MAX);
	out->names = arena_array(arena, n, sizeof(out->names[0]));
	out->json = body_json(tools, arena);
	if (out->names == NULL || out->json == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < n; i++) {
		enum rc rc = read_tool(json_array_get(tools, i), i, arena, &out->names[i], fault);

		if (rc != RC_OK)
			return rc;
	}
	out->len = n;
	return RC_OK;
}

static enum rc choose_named(const json_t *choice, struct chat_tools *out, struct chat_fault *fault)
{
	const json_t *function = json_object_get(choice, "function");
	const char *type = json_string_value(json_object_get(choice, "type"));
	const char *name = json_string_value(json_object_get(function, "name"));

	if (type == NULL || strcmp(type, "function") != 0 || name == NULL)
		return body_refuse(fault, "unsupported_value", "tool_choice",
		    "tool_choice must be none, auto, required or the name of a function");
	for (size_t i = 0; i < out->len; i++) {
		if (strcmp(out->names[i], name) == 0) {
			out->choice = CHAT_TOOLS_NAMED;
			out->named = i;
			return RC_OK;
		}
	}
	return body_refuse(fault, "invalid_value", "tool_choice.function.name",
	    "tool_choice names a function that tools does not have");
}

static enum rc read_choice(const json_t *root, struct chat_tools *out, struct chat_fault *fault)
{
	const json_t *choice = body_field(root, "tool_choice");
	const json_t *parallel = body_field(root, "parallel_tool_calls");
	const char *word = json_string_value(choice);

	if (parallel != NULL && !json_is_boolean(parallel))
		return body_refuse(fault, "invalid_type", "parallel_tool_calls",
		    "parallel_tool_calls must be true or false");
	out->one_call = parallel != NULL && json_is_false(parallel);
	out->choice = out->len > 0 ? CHAT_TOOLS_AUTO : CHAT_TOOLS_NONE;
	if (choice == NULL || (word != NULL && strcmp(word, "auto") == 0))
		return RC_OK;
	if (json_is_object(choice))
		return choose_named(choice, out, fault);
	if (word != NULL && strcmp(word, "none") == 0) {
		out->choice = CHAT_TOOLS_NONE;
		return RC_OK;
	}
	if (word == NULL || strcmp(word, "required") != 0)
		return body_refuse(fault, "unsupported_value", "tool_choice",
		    "tool_choice must be none, auto, required or the name of a function");
	if (out->len == 0)
		return body_refuse(fault, "invalid_value", "tool_choice",
		    "tool_choice requires a tool: there is none");
	out->choice = CHAT_TOOLS_REQUIRED;
	return RC_OK;
}

/* ---- schemas within another one ---- */

/* A copy whose references lead to `place`, where it will stand.  NULL: too deep, no memory. */
static json_t *moved(const json_t *schema, const char *place, int depth)
{
	const char *key;
	json_t *value, *out;
	size_t i;

	if (depth > SCHEMA_DEPTH_MAX)
		return NULL;
	if (json_is_array(schema)) {
		out = json_array();
		for (i = 0; out != NULL && i < json_array_size(schema); i++) {
			value = moved(json_array_get(schema, i), place, depth + 1);
			if (json_array_append_new(out, value) != 0) {
				json_decref(out);
				out = NULL;
			}
		}
		return out;
	}
	if (!json_is_object(schema))
		return json_deep_copy(schema);
	out = json_object();
	json_object_foreach((json_t *)schema, key, value)
	{
		const char *text = json_string_value(value);
		json_t *copy = strcmp(key, "$ref") == 0 && text != NULL && text[0] == '#'
				   ? json_sprintf("%s%s", place, text + 1)
				   : moved(value, place, depth + 1);

		if (json_object_set_new(out, key, copy) != 0) {
			json_decref(out);
			return NULL;
		}
	}
	return out;
}

/* The schema under $defs of `whole`, as `name`; returns a reference to it. */
static json_t *put_definition(json_t *defs, const char *name, const json_t *schema)
{
	char place[48];

	(void)snprintf(place, sizeof(place), "#/$defs/%s", name);
	json_t *copy = moved(schema, place, 0);
	if (copy == NULL || json_object_set_new(defs, name, copy) != 0)
		return NULL;
	return json_pack("{s:s}", "$ref", place);
}

/* {"name": that one, "arguments": as it takes them}. */
static json_t *call_of(const json_t *tool, size_t i, json_t *defs)
{
	const json_t *function = json_object_get(tool, "function");
	const json_t *parameters = body_field(function, "parameters");
	json_t *arguments;
	char name[32];

	(void)snprintf(name, sizeof(name), "tool%zu", i);
	arguments = parameters != NULL
			? put_definition(defs, name, parameters)
			: json_pack("{s:s, s:b}", "type", "object", "additionalProperties", 0);
	if (arguments == NULL)
		return NULL;
	return json_pack("{s:s, s:{s:{s:O}, s:o}, s:[s,s], s:b}", "type", "object", "properties",
	    "name", "const", json_object_get(function, "name"), "arguments", arguments, "required",
	    "name", "arguments", "additionalProperties", 0);
}

/* Any of the calls that may be made, and `other` (NULL: none). */
static json_t *choice_of(const json_t *root, const struct chat_tools *tools, const json_t *other)
{
	const json_t *list = json_object_get(root, "tools");
	json_t *defs = json_object(), *any = json_array(), *out = NULL;
	bool ok = defs != NULL && any != NULL;

	if (other != NULL)
		ok = ok && json_array_append_new(any, put_definition(defs, "answer", other)) == 0;
	for (size_t i = 0; ok && i < tools->len; i++) {
		if (tools->choice != CHAT_TOOLS_NAMED || tools->named == i)
			ok = json_array_append_new(
				 any, call_of(json_array_get(list, i), i, defs)) == 0;
	}
	if (ok)
		out = json_pack("{s:O, s:O}", "anyOf", any, "$defs", defs);
	json_decref(any);
	json_decref(defs);
	return out;
}

static enum rc constrain(const json_t *schema, const char *param, struct arena *arena,
    struct chat_format *out, struct chat_fault *fault)
{
	const char *text = schema == NULL ? NULL : body_json(schema, arena);

	if (text == NULL)
		return body_refuse(
		    fault, "invalid_value", param, "%s: the schema is nested too deep", param);
	if (strlen(text) > WIRE_SCHEMA_BYTES_MAX)
		return body_refuse(fault, "invalid_value", param,
		    "%s: the schema is over %zu bytes", param, WIRE_SCHEMA_BYTES_MAX);
	out->constraint =
	    (struct wire_constraint){ .kind = WIRE_CONSTRAINT_JSON_SCHEMA, .schema = text };
	out->param = param;
	return RC_OK;
}

/* ---- the response format ---- */

/* `*schema` is borrowed from `root`; NULL with `*any` false: free text. */
static enum rc read_format(
    const json_t *root, const json_t **schema, bool *any, struct chat_fault *fault)
{
	const json_t *format = body_field(root, "response_format");
	const char *type = json_string_value(json_object_get(format, "type"));
	const json_t *inner = json_object_get(format, "json_schema");

	*schema = NULL;
	*any = false;
	if (format == NULL || (type != NULL && strcmp(type, "text") == 0))
		return RC_OK;
	if (type != NULL && strcmp(type, "json_object") == 0) {
		*any = true;
		return RC_OK;
	}
	if (type == NULL || strcmp(type, "json_schema") != 0)
		return body_refuse(fault, "unsupported_value", "response_format",
		    "response_format.type must be text, json_object or json_schema");
	if (!json_is_object(inner))
		return body_refuse(fault, "missing_required_parameter",
		    "response_format.json_schema", "response_format.json_schema is missing");
	*schema = json_object_get(inner, "schema");
	if (!json_is_object(*schema))
		return body_refuse(fault, "invalid_type", "response_format.json_schema.schema",
		    "response_format.json_schema.schema must be a JSON schema");
	return RC_OK;
}

static enum rc put_format(const json_t *root, const json_t *schema, bool any, struct arena *arena,
    struct chat_request *out, struct chat_fault *fault)
{
	bool forced =
	    out->tools.choice == CHAT_TOOLS_REQUIRED || out->tools.choice == CHAT_TOOLS_NAMED;
	bool may_call = out->tools.choice == CHAT_TOOLS_AUTO;
	json_t *object = any ? json_pack("{s:s}", "type", "object") : NULL, *both = NULL;
	enum rc rc = RC_OK;

	if (forced || (may_call && (schema != NULL || any))) {
		both = choice_of(root, &out->tools,
		    forced           ? NULL
		    : schema != NULL ? schema
				     : object);
		out->format.calls = true;
		rc = constrain(
		    both, forced ? "tools" : "response_format", arena, &out->format, fault);
	} else if (schema != NULL) {
		rc = constrain(schema, "response_format", arena, &out->format, fault);
	} else if (any) {
		out->format.constraint.kind = WIRE_CONSTRAINT_JSON_OBJECT;
		out->format.param = "response_format";
	}
	json_decref(both);
	json_decref(object);
	return rc;
}

/* A call that need not come is held to its schema from where it begins. */
static enum rc look_for_strict(
    const json_t *root, struct chat_request *out, struct chat_fault *fault)
{
	const json_t *tools = body_field(root, "tools");

	for (size_t i = 0; out->tools.choice == CHAT_TOOLS_AUTO && i < out->tools.len; i++) {
		const json_t *function = json_object_get(json_array_get(tools, i), "function");

		if (json_is_true(json_object_get(function, "strict")))
			out->tools.strict = true;
	}
	if (!out->tools.strict)
		return RC_OK;
	if (strlen(out->tools.json) > WIRE_SCHEMA_BYTES_MAX)
		return body_refuse(fault, "invalid_value", "tools",
		    "tools: strict ones may have %zu bytes in all", WIRE_SCHEMA_BYTES_MAX);
	if (out->format.constraint.kind == WIRE_CONSTRAINT_NONE)
		out->format.param = "tools";
	return RC_OK;
}

/* What parameters are of, all of them, is told by `properties` alone in each family's calls. */
static bool is_plain(const json_t *tool)
{
	static const char *const choices[] = { "$ref", "allOf", "anyOf", "oneOf", "enum", "const" };
	const json_t *parameters = body_field(json_object_get(tool, "function"), "parameters");

	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
		if (json_object_get(parameters, choices[i]) != NULL)
			return false;
	}
	return true;
}

/* A call that must come, as the model writes calls. */
static enum rc read_must(const json_t *root, struct arena *arena, struct chat_request *out)
{
	const json_t *list = body_field(root, "tools");
	const bool named = out->tools.choice == CHAT_TOOLS_NAMED;
	json_t *tools = json_array();
	bool plain = named || out->tools.choice == CHAT_TOOLS_REQUIRED;
	enum rc rc = tools == NULL ? RC_NOMEM : RC_OK;

	for (size_t i = 0; rc == RC_OK && plain && i < out->tools.len; i++) {
		json_t *tool = json_array_get(list, i);

		if (named && i != out->tools.named)
			continue;
		plain = is_plain(tool);
		if (json_array_append(tools, tool) != 0)
			rc = RC_NOMEM;
	}
	if (rc == RC_OK && plain) {
		out->tools.must = body_json(tools, arena);
		if (out->tools.must == NULL)
			rc = RC_NOMEM;
		else if (strlen(out->tools.must) > WIRE_SCHEMA_BYTES_MAX)
			out->tools.must = NULL;
	}
	json_decref(tools);
	return rc;
}

enum rc response_format_read(
    const json_t *root, struct arena *arena, struct chat_request *out, struct chat_fault *fault)
{
	const json_t *schema = NULL;
	bool any = false;

	if (json_array_size(body_field(root, "functions")) > 0)
		return body_refuse(
		    fault, "unsupported_value", "functions", "functions: send them as tools");
	out->tools = (struct chat_tools){ .json = "" };
	out->format = (struct chat_format){ .constraint = { .schema = "" } };
	enum rc rc = read_tools(root, arena, &out->tools, fault);
	if (rc == RC_OK)
		rc = read_choice(root, &out->tools, fault);
	if (rc == RC_OK)
		rc = read_format(root, &schema, &any, fault);
	if (rc == RC_OK)
		rc = put_format(root, schema, any, arena, out, fault);
	if (rc == RC_OK)
		rc = look_for_strict(root, out, fault);
	if (rc == RC_OK)
		rc = read_must(root, arena, out);
	if (rc == RC_OK && out->tools.choice == CHAT_TOOLS_NONE)
		out->tools.json = "";
	return rc;
}
