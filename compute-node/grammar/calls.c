/* Calls: a choice among the tools, each with its own schema as the root. */
#include "grammar/calls.h"

#include <string.h>

#include "grammar/schema_impl.h"
#include "template/template.h"

/* Bytes, blanks as a model may write them behind. */
static uint16_t put(struct compiler *c, uint16_t from, const char *bytes, size_t len)
{
	uint16_t middle = builder_state(c->builder), to = builder_state(c->builder);

	builder_text(c->builder, from, bytes, len, middle);
	schema_put_blanks(c, middle, to);
	return to;
}

static uint16_t put_word(struct compiler *c, uint16_t from, const char *word)
{
	return put(c, from, word, strlen(word));
}

/* A strict function without parameters takes none. */
static enum rc put_arguments(struct compiler *c, struct value function, uint16_t from, uint16_t to)
{
	const struct value *strict = schema_get(function, "strict");
	const struct value *parameters = schema_get(function, "parameters");

	if (strict == NULL || strict->kind != VALUE_BOOL || !strict->u.boolean) {
		builder_call(c->builder, from, schema_shared(c, SHARED_ANY_OBJECT), to);
		return RC_OK;
	}
	if (parameters == NULL || parameters->kind == VALUE_NONE) {
		uint16_t middle = put_word(c, from, "{");

		builder_bytes(c->builder, middle, '}', '}', to);
		return RC_OK;
	}
	/* Whatever else the schema allows: arguments are an object. */
	const struct value *type = schema_get(*parameters, "type");
	if (parameters->kind != VALUE_MAP || type == NULL || type->kind != VALUE_TEXT ||
	    !text_is(type->u.text, "object"))
		return schema_fail(c, RC_UNSUPPORTED, "parameters must be of type object");
	c->root = parameters;
	enum rc rc = schema_put(c, *parameters, from, to);
	return rc == RC_OK ? schema_compile_rules(c) : rc;
}

static enum rc put_call(
    struct compiler *c, enum calls_form form, struct value tool, uint16_t from, uint16_t to)
{
	const struct value *function = schema_get(tool, "function");
	const struct value *name = function == NULL ? NULL : schema_get(*function, "name");

	if (name == NULL || name->kind != VALUE_TEXT || name->u.text->len == 0 ||
	    memchr(name->u.text->bytes, '\n', name->u.text->len) != NULL)
		return schema_fail(c, RC_INVALID, "a tool is a function with a name");
	size_t before = schema_enter(c, name->u.text->bytes, name->u.text->len);
	uint16_t at = from, end = builder_state(c->builder);
	enum rc rc;

	if (form == CALLS_NAMED) {
		uint16_t line = builder_state(c->builder);

		builder_text(c->builder, at, name->u.text->bytes, name->u.text->len, line);
		at = put_word(c, line, "\n");
		rc = put_arguments(c, *function, at, to);
	} else {
		uint16_t quoted = builder_state(c->builder);

		at = put_word(c, put_word(c, put_word(c, at, "{"), "\"name\""), ":");
		rc = schema_put_name(c, name->u.text, at, quoted);
		at = builder_state(c->builder);
		schema_put_blanks(c, quoted, at);
		at = put_word(c, at, ",");
		at = put_word(c, at, form == CALLS_PARAMETERS ? "\"parameters\"" : "\"arguments\"");
		at = put_word(c, at, ":");
		if (rc == RC_OK)
			rc = put_arguments(c, *function, at, end);
		at = builder_state(c->builder);
		schema_put_blanks(c, end, at);
		builder_bytes(c->builder, at, '}', '}', to);
	}
	schema_leave(c, before);
	return rc;
}

static enum rc put_calls(
    struct compiler *c, enum calls_form form, struct value tools, uint16_t start, uint16_t end)
{
	uint16_t from = builder_state(c->builder), to = end;
	enum rc rc = RC_OK;

	if (tools.kind != VALUE_LIST || tools.u.list->len == 0)
		return schema_fail(c, RC_INVALID, "tools must be a list that is not empty");
	if (tools.u.list->len > CALLS_TOOLS_MAX)
		return schema_fail(c, RC_LIMIT, "over %u tools", CALLS_TOOLS_MAX);
	schema_put_blanks(c, start, from);
	if (form == CALLS_ARRAY) {
		from = put_word(c, from, "[");
		to = builder_state(c->builder);
		uint16_t behind = builder_state(c->builder), comma = builder_state(c->builder);

		schema_put_blanks(c, to, behind);
		builder_bytes(c->builder, behind, ']', ']', end);
		builder_bytes(c->builder, behind, ',', ',', comma);
		schema_put_blanks(c, comma, from);
	}
	for (size_t i = 0; rc == RC_OK && i < tools.u.list->len; i++)
		rc = put_call(c, form, tools.u.list->items[i], from, to);
	return rc;
}

enum rc calls_compile(
    enum calls_form form, const char *json, size_t len, struct automaton **out, struct errmsg *why)
{
	struct errmsg cause = ERRMSG_INIT;
	struct compiler c;
	struct value tools;
	uint16_t start = 0, end;

	if (len > SCHEMA_BYTES_MAX)
		return errmsg_rc(why, RC_LIMIT, "tools: over %zu bytes", SCHEMA_BYTES_MAX);
	enum rc rc = schema_begin(&c, why);
	if (rc == RC_OK) {
		start = builder_state(c.builder);
		end = builder_state(c.builder);
		builder_final(c.builder, end);
		rc = template_parse_json(json, len, &c.arena, &tools, &cause);
		if (rc == RC_OK)
			rc = put_calls(&c, form, tools, start, end);
		else if (rc != RC_NOMEM)
			rc = schema_fail(&c, rc, "%s", errmsg_text(&cause, rc));
	}
	return schema_finish(&c, rc, start, out, why);
}
