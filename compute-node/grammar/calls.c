/* Calls: how each family writes them, and a choice among the tools, each with its own schema. */
#include "grammar/calls.h"

#include <stdbool.h>
#include <string.h>

#include "grammar/schema_impl.h"
#include "template/template.h"

#define NAMES_MAX 2
#define BAR "\xef\xbd\x9c"
#define GAP "\xe2\x96\x81"
#define DEEPSEEK(words) MARK("<" BAR words BAR ">")

/* How reasoning is begun and ended, where a call must come. */
struct thought {
	const char *open, *close;
	const char *never[NOTATION_NEVER_MAX]; /* in between */
	bool again;
};

/* Spellings, in the order in which they come. */
struct form {
	const char *mark;             /* begins calls; laid down where one must come */
	const char *front;            /* before all calls */
	const char *open;             /* before a name */
	const char *named[NAMES_MAX]; /* behind it, one way or the other */
	enum notation_id arguments;
	const char *close; /* behind them */
	const char *again; /* to the next call; NULL: it begins with the mark */
	const char *end;   /* behind all calls */
	bool one;          /* there is no next one */
	struct thought thought;
};

#define THINK                                                                                      \
	{                                                                                          \
		MARK("<think>"), MARK("</think>") BLANKS BLANKS, { "</think>" }, false             \
	}
#define OBJECT BLANKS "{" BLANKS "\"name\"" BLANKS ":" BLANKS "\""
#define NAMED(word) "\"" BLANKS "," BLANKS "\"" word "\"" BLANKS ":" BLANKS

static const struct form forms[CALLS_N] = {
	[CALLS_ARGUMENTS] = { MARK("<tool_call>"), "", OBJECT, { NAMED("arguments") },
	    NOTATION_JSON, BLANKS "}" BLANKS MARK("</tool_call>"), NULL, "", false, THINK },
	[CALLS_PARAMETERS] = { "", "", OBJECT, { NAMED("parameters") }, NOTATION_JSON, BLANKS "}",
	    BLANKS ";", "", false, THINK },
	[CALLS_ARRAY] = { MARK("[TOOL_CALLS]"), BLANKS "[", OBJECT, { NAMED("arguments") },
	    NOTATION_JSON, BLANKS "}", BLANKS ",", BLANKS "]", false, THINK },
	[CALLS_ARGS] = { MARK("[TOOL_CALLS]"), "", "",
	    { MARK("[ARGS]"), MARK("[CALL_ID]") LETTERS MARK("[ARGS]") }, NOTATION_JSON, "",
	    MARK("[TOOL_CALLS]"), "", false, THINK },
	[CALLS_MARKED] = { DEEPSEEK("tool" GAP "calls" GAP "begin"), "",
	    DEEPSEEK("tool" GAP "call" GAP "begin"), { DEEPSEEK("tool" GAP "sep") }, NOTATION_JSON,
	    DEEPSEEK("tool" GAP "call" GAP "end") BLANKS, "",
	    DEEPSEEK("tool" GAP "calls" GAP "end"), false, THINK },
	[CALLS_FENCED] = { DEEPSEEK("tool" GAP "calls" GAP "begin"), "",
	    DEEPSEEK("tool" GAP "call" GAP "begin") "function" DEEPSEEK("tool" GAP "sep"),
	    { "\n```json\n" }, NOTATION_JSON, "\n```" DEEPSEEK("tool" GAP "call" GAP "end") BLANKS,
	    "", DEEPSEEK("tool" GAP "calls" GAP "end"), false, THINK },
	[CALLS_FUNCTION] = { MARK("<tool_call>"), BLANKS, "<function=", { ">" BLANKS },
	    NOTATION_FUNCTION, "</function>" BLANKS MARK("</tool_call>"), NULL, "", false, THINK },
	[CALLS_KEYED] = { MARK("<tool_call>"), BLANKS, "", { BLANKS }, NOTATION_KEYED,
	    MARK("</tool_call>"), NULL, "", false, THINK },
	[CALLS_GEMMA] = { MARK("<|tool_call>"), "", "call:", { "" }, NOTATION_GEMMA,
	    MARK("<tool_call|>"), NULL, "", false,
	    { MARK("<|channel>") "thought", MARK("<channel|>"), { "<channel|>" }, true } },
	[CALLS_NAMED] = { "", "", "", { "\n" BLANKS }, NOTATION_JSON, "", NULL, "", true, THINK },
	[CALLS_MESSAGE] = { MARK("<|channel|>") "commentary to=functions.", "", "",
	    { " " MARK("<|constrain|>") "json" MARK("<|message|>") BLANKS }, NOTATION_JSON, "",
	    NULL, "", true,
	    { MARK("<|channel|>") "analysis" MARK("<|message|>"),
		MARK("<|end|>") MARK("<|start|>") "assistant",
		{ "<|end|>", "<|call|>", "<|return|>", "<|start|>", "<|channel|>" }, true } },
};

/* ---- one call ---- */

/* A strict function without parameters takes none. */
static enum rc put_no_arguments(struct compiler *c, uint16_t from, uint16_t to)
{
	uint16_t middle = builder_state(c->builder);

	schema_put_spelling(c, c->notation->open, from, middle);
	schema_put_spelling(c, c->notation->close, middle, to);
	return RC_OK;
}

/* Whatever else parameters allow: arguments are an object. */
static enum rc as_object(struct compiler *c, struct value parameters, struct value *out)
{
	static const struct text word = { .bytes = "object", .len = 6 };
	static const struct text key = { .bytes = "type", .len = 4 };
	const struct value *type = schema_get(parameters, "type");
	const struct value *nullable = schema_get(parameters, "nullable");

	if (parameters.kind != VALUE_MAP || (nullable != NULL && value_truthy(*nullable)) ||
	    (type != NULL && (type->kind != VALUE_TEXT || !text_is(type->u.text, "object"))))
		return schema_fail(c, RC_UNSUPPORTED, "parameters must be of type object");
	*out = parameters;
	if (type != NULL)
		return RC_OK;
	*out = schema_without(c, parameters, "type");
	if (!value_ok(*out))
		return RC_NOMEM;
	return value_set(
	    &c->arena, *out, &key, (struct value){ .kind = VALUE_TEXT, .u.text = &word });
}

static enum rc put_arguments(
    struct compiler *c, struct value function, bool must, uint16_t from, uint16_t to)
{
	static const char *const choices[] = { "$ref", "allOf", "anyOf", "oneOf", "enum", "const" };
	const struct value *strict = schema_get(function, "strict");
	const struct value *parameters = schema_get(function, "parameters");
	struct value object;

	if (!must && (strict == NULL || strict->kind != VALUE_BOOL || !strict->u.boolean)) {
		builder_call(c->builder, from, schema_shared(c, SHARED_ANY_OBJECT), to);
		return RC_OK;
	}
	if (parameters == NULL || parameters->kind == VALUE_NONE)
		return put_no_arguments(c, from, to);
	enum rc rc = as_object(c, *parameters, &object);
	/* Who reads a value of such a notation looks for its property, and finds one. */
	for (size_t i = 0;
	     rc == RC_OK && c->notation->text != NULL && i < sizeof(choices) / sizeof(choices[0]);
	     i++) {
		if (schema_get(*parameters, choices[i]) != NULL)
			return schema_fail(c, RC_UNSUPPORTED,
			    "%s of all parameters cannot be honoured in calls of this model",
			    choices[i]);
	}
	c->root = parameters;
	if (rc == RC_OK)
		rc = schema_put(c, object, from, to);
	return rc == RC_OK ? schema_compile_rules(c) : rc;
}

static enum rc put_call(struct compiler *c, const struct form *form, bool must, struct value tool,
    uint16_t from, uint16_t to)
{
	const struct value *function = schema_get(tool, "function");
	const struct value *name = function == NULL ? NULL : schema_get(*function, "name");

	if (name == NULL || name->kind != VALUE_TEXT || !schema_is_word(name->u.text))
		return schema_fail(c, RC_INVALID, "a tool is a function with a name");
	size_t before = schema_enter(c, name->u.text->bytes, name->u.text->len);
	uint16_t open = builder_state(c->builder), named = builder_state(c->builder);
	uint16_t arguments = builder_state(c->builder), end = builder_state(c->builder);

	schema_put_spelling(c, form->open, from, open);
	builder_text(c->builder, open, name->u.text->bytes, name->u.text->len, named);
	for (size_t i = 0; i < NAMES_MAX && form->named[i] != NULL; i++)
		schema_put_spelling(c, form->named[i], named, arguments);
	c->notation = &notations[form->arguments];
	enum rc rc = put_arguments(c, *function, must, arguments, end);
	c->notation = &notations[NOTATION_JSON];
	schema_put_spelling(c, form->close, end, to);
	schema_leave(c, before);
	return rc;
}

/* ---- all calls ---- */

/* From where calls may begin, at `from`, to `end`. */
static enum rc put_calls(struct compiler *c, const struct calls_want *want, struct value tools,
    uint16_t from, uint16_t end)
{
	const struct form *form = &forms[want->form];
	uint16_t mark = builder_state(c->builder), front = builder_state(c->builder);
	uint16_t call = builder_state(c->builder), behind = builder_state(c->builder);
	enum rc rc = RC_OK;

	if (tools.kind != VALUE_LIST || tools.u.list->len == 0)
		return schema_fail(c, RC_INVALID, "tools must be a list that is not empty");
	if (tools.u.list->len > CALLS_TOOLS_MAX)
		return schema_fail(c, RC_LIMIT, "over %u tools", CALLS_TOOLS_MAX);
	builder_empty(c->builder, from, mark);
	schema_put_spelling(c, want->must ? form->mark : "", mark, front);
	schema_put_spelling(c, form->front, front, call);
	for (size_t i = 0; rc == RC_OK && i < tools.u.list->len; i++)
		rc = put_call(c, form, want->must, tools.u.list->items[i], call, behind);
	if (form->again != NULL && !want->one)
		schema_put_spelling(c, form->again, behind, call);
	else if (want->must && !form->one && !want->one)
		schema_put_blanks(c, behind, mark);
	schema_put_spelling(c, form->end, behind, end);
	return rc;
}

/* What may stand before what must come, at `from`. */
static void put_thought(
    struct compiler *c, const struct thought *thought, bool thinks, uint16_t from, uint16_t to)
{
	uint16_t at = builder_state(c->builder), inside = builder_state(c->builder);
	uint16_t over = builder_state(c->builder);

	schema_put_spelling(c, BLANKS BLANKS, from, at);
	builder_empty(c->builder, at, to);
	if (!thinks)
		return;
	schema_put_spelling(c, thought->open, at, inside);
	schema_put_free(c, thought->never, inside, over);
	schema_put_spelling(c, thought->close, over, thought->again ? at : to);
}

enum rc calls_compile(const struct calls_want *want, const char *json, size_t len,
    struct automaton **out, struct errmsg *why)
{
	struct errmsg cause = ERRMSG_INIT;
	struct compiler c;
	struct value tools;
	uint16_t start = 0, from, end;

	if (len > SCHEMA_BYTES_MAX)
		return errmsg_rc(why, RC_LIMIT, "tools: over %zu bytes", SCHEMA_BYTES_MAX);
	enum rc rc = schema_begin(&c, why);
	if (rc == RC_OK) {
		start = from = builder_state(c.builder);
		end = builder_state(c.builder);
		builder_final(c.builder, end);
		if (want->must) {
			from = builder_state(c.builder);
			put_thought(&c, &forms[want->form].thought, want->thinks, start, from);
		}
		rc = template_parse_json(json, len, &c.arena, &tools, &cause);
		if (rc == RC_OK)
			rc = put_calls(&c, want, tools, from, end);
		else if (rc != RC_NOMEM)
			rc = schema_fail(&c, rc, "%s", errmsg_text(&cause, rc));
	}
	return schema_finish(&c, rc, start, out, why);
}
