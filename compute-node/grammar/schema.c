/* Schema compiler: one schema, its keywords, its types. */
#include "grammar/schema.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "grammar/schema_impl.h"
#include "template/template.h"

#define NAME_SHOWN_MAX 40

/* Keywords that restrict and are honoured, and those that only say something. */
static const char *const honoured[] = { "type", "properties", "required", "additionalProperties",
	"items", "prefixItems", "additionalItems", "minItems", "maxItems", "enum", "const",
	"minLength", "maxLength", "pattern", "format", "minimum", "maximum", "exclusiveMinimum",
	"exclusiveMaximum", "multipleOf", "anyOf", "oneOf", "allOf", "$ref", "nullable",
	"uniqueItems", "minProperties" };
static const char *const annotations[] = { "title", "description", "default", "examples", "example",
	"$schema", "$id", "id", "$comment", "$defs", "definitions", "deprecated", "readOnly",
	"writeOnly", "discriminator", "strict", "contentEncoding", "contentMediaType",
	"propertyOrdering", "markdownDescription", "enumNames", "enumDescriptions", "order" };

/* ---- places ---- */

enum rc schema_fail(struct compiler *c, enum rc rc, const char *fmt, ...)
{
	char words[ERRMSG_BYTES];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	if (c->path_len == 0)
		return errmsg_rc(c->why, rc, "schema: %s", words);
	return errmsg_rc(c->why, rc, "schema at %s: %s", c->path, words);
}

static void path_add(struct compiler *c, char byte)
{
	if (c->path_len + 1 < sizeof(c->path))
		c->path[c->path_len++] = byte;
	c->path[c->path_len] = '\0';
}

size_t schema_enter(struct compiler *c, const char *name, size_t len)
{
	size_t before = c->path_len;

	if (before > 0)
		path_add(c, '.');
	for (size_t i = 0; i < len && i < NAME_SHOWN_MAX; i++)
		path_add(c, name[i] > ' ' && name[i] <= '~' ? name[i] : '?');
	return before;
}

void schema_leave(struct compiler *c, size_t path_len)
{
	c->path_len = path_len;
	c->path[path_len] = '\0';
}

/* ---- keywords ---- */

const struct value *schema_get(struct value schema, const char *keyword)
{
	return value_get(schema, keyword, strlen(keyword));
}

enum rc schema_get_count(struct compiler *c, struct value schema, const char *keyword, long *out)
{
	const struct value *value = schema_get(schema, keyword);

	if (value == NULL)
		return RC_OK;
	int64_t n = value->kind == VALUE_INT ? value->u.integer : -1;
	if (value->kind == VALUE_REAL && value->u.real >= 0 && value->u.real <= SCHEMA_COUNT_MAX)
		n = (int64_t)value->u.real;
	if (n < 0)
		return schema_fail(c, RC_INVALID, "%s must be a count", keyword);
	if (n > SCHEMA_COUNT_MAX)
		return schema_fail(c, RC_LIMIT, "%s is over %d", keyword, SCHEMA_COUNT_MAX);
	*out = (long)n;
	return RC_OK;
}

static bool is_one_of(const struct text *key, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (text_is(key, words[i]))
			return true;
	}
	return false;
}

/* What is refused unless it says nothing. */
static enum rc check_vacuous(struct compiler *c, struct value schema)
{
	const struct value *unique = schema_get(schema, "uniqueItems");
	const struct value *multiple = schema_get(schema, "multipleOf");
	long least = 0;

	if (unique != NULL && value_truthy(*unique))
		return schema_fail(c, RC_UNSUPPORTED, "uniqueItems cannot be honoured");
	if (multiple != NULL && !value_equal(*multiple, value_int(1)))
		return schema_fail(c, RC_UNSUPPORTED, "multipleOf cannot be honoured");
	enum rc rc = schema_get_count(c, schema, "minProperties", &least);
	const struct value *required = schema_get(schema, "required");
	size_t sure = required != NULL && required->kind == VALUE_LIST ? required->u.list->len : 0;
	if (rc == RC_OK && (size_t)least > sure)
		return schema_fail(c, RC_UNSUPPORTED, "minProperties cannot be honoured");
	return rc;
}

static enum rc check_keywords(struct compiler *c, struct value schema)
{
	for (size_t i = 0; i < schema.u.map->len; i++) {
		const struct text *key = schema.u.map->pairs[i].key;

		if (is_one_of(key, honoured, sizeof(honoured) / sizeof(honoured[0])) ||
		    is_one_of(key, annotations, sizeof(annotations) / sizeof(annotations[0])) ||
		    (key->len > 2 && memcmp(key->bytes, "x-", 2) == 0))
			continue;
		size_t path = schema_enter(c, key->bytes, key->len);
		enum rc rc = schema_fail(
		    c, RC_UNSUPPORTED, "this keyword is not known, or cannot be honoured");
		schema_leave(c, path);
		return rc;
	}
	return check_vacuous(c, schema);
}

static bool restricts(const struct text *key)
{
	return is_one_of(key, honoured, sizeof(honoured) / sizeof(honoured[0]));
}

/* Does anything stand beside these two that a value has to satisfy? */
static bool has_others(struct value schema, const char *a, const char *b)
{
	for (size_t i = 0; i < schema.u.map->len; i++) {
		const struct text *key = schema.u.map->pairs[i].key;

		if (restricts(key) && !text_is(key, a) && !text_is(key, b))
			return true;
	}
	return false;
}

/* ---- rules ---- */

enum rc schema_rule(struct compiler *c, const struct value *schema, uint16_t *start)
{
	struct rule *rule = c->rules;

	while (rule != NULL && (rule->schema != schema || rule->notation != c->notation))
		rule = rule->next;
	if (rule == NULL) {
		rule = arena_alloc(&c->arena, sizeof(*rule));
		if (rule == NULL)
			return RC_NOMEM;
		rule->schema = schema;
		rule->notation = c->notation;
		rule->start = builder_state(c->builder);
		rule->end = builder_state(c->builder);
		builder_final(c->builder, rule->end);
		memcpy(rule->path, c->path, sizeof(rule->path));
		rule->next = c->rules;
		c->rules = rule;
	}
	*start = rule->start;
	return RC_OK;
}

/* Rules bring more rules: until none is left. */
enum rc schema_compile_rules(struct compiler *c)
{
	const struct notation *notation = c->notation;
	enum rc rc = RC_OK;

	for (struct rule *rule = c->rules; rule != NULL && rc == RC_OK;) {
		if (rule->done) {
			rule = rule->next;
			continue;
		}
		rule->done = true;
		memcpy(c->path, rule->path, sizeof(c->path));
		c->path_len = strlen(c->path);
		c->notation = rule->notation;
		rc = schema_put(c, *rule->schema, rule->start, rule->end);
		rule = c->rules;
	}
	c->notation = notation;
	return rc;
}

/* ---- one schema ---- */

/* `from` to `to` by one of the texts. */
static void put_word(struct compiler *c, const char *word, uint16_t from, uint16_t to)
{
	builder_text(c->builder, from, word, strlen(word), to);
}

static enum rc put_types(
    struct compiler *c, struct value schema, unsigned types, uint16_t from, uint16_t to)
{
	enum rc rc = RC_OK;

	if (c->notation->texts)
		types &= TYPE_STRING | TYPE_NULL;
	if ((types & TYPE_NULL) != 0)
		put_word(c, "null", from, to);
	if ((types & TYPE_NULL) != 0 && c->notation->id == NOTATION_GEMMA)
		put_word(c, "None", from, to);
	if ((types & TYPE_BOOLEAN) != 0) {
		put_word(c, "true", from, to);
		put_word(c, "false", from, to);
	}
	if ((types & TYPE_NUMBER) != 0)
		rc = schema_put_number(c, schema, false, from, to);
	else if ((types & TYPE_INTEGER) != 0)
		rc = schema_put_number(c, schema, true, from, to);
	if (rc == RC_OK && (types & TYPE_STRING) != 0)
		rc = schema_put_string(c, schema, from, to);
	if (rc == RC_OK && (types & TYPE_ARRAY) != 0)
		rc = schema_put_array(c, schema, from, to);
	if (rc == RC_OK && (types & TYPE_OBJECT) != 0)
		rc = schema_put_object(c, schema, from, to);
	return rc;
}

static bool is_type(struct value value, unsigned types)
{
	switch (value.kind) {
	case VALUE_NONE:
		return (types & TYPE_NULL) != 0;
	case VALUE_BOOL:
		return (types & TYPE_BOOLEAN) != 0;
	case VALUE_INT:
		return (types & TYPE_INTEGER) != 0;
	case VALUE_REAL:
		return (types & TYPE_NUMBER) != 0;
	case VALUE_TEXT:
		return (types & TYPE_STRING) != 0;
	case VALUE_LIST:
		return (types & TYPE_ARRAY) != 0;
	default:
		return value.kind == VALUE_MAP && (types & TYPE_OBJECT) != 0;
	}
}

/* Values that are named: those of the types, and of both where const stands beside enum. */
static enum rc put_named(struct compiler *c, struct value schema, uint16_t from, uint16_t to)
{
	const struct value *values = schema_get(schema, "enum");
	const struct value *one = schema_get(schema, "const");
	struct value list = value_list(&c->arena);
	unsigned types = TYPE_ALL;
	enum rc rc = value_ok(list) ? RC_OK : RC_NOMEM;

	if (values != NULL && (values->kind != VALUE_LIST || values->u.list->len == 0))
		return schema_fail(c, RC_INVALID, "enum must be an array of values");
	if (values != NULL && values->u.list->len > SCHEMA_CHOICES_MAX)
		return schema_fail(c, RC_LIMIT, "enum has over %zu values", SCHEMA_CHOICES_MAX);
	for (size_t i = 0; i < schema.u.map->len; i++) {
		const struct text *key = schema.u.map->pairs[i].key;

		if (restricts(key) && !text_is(key, "enum") && !text_is(key, "const") &&
		    !text_is(key, "type") && !text_is(key, "nullable") && !text_is(key, "format"))
			return schema_fail(c, RC_UNSUPPORTED,
			    "beside enum or const nothing but type can be honoured");
	}
	if (rc == RC_OK && schema_get(schema, "type") != NULL)
		rc = schema_types(c, schema, &types);
	for (size_t i = 0; rc == RC_OK && values != NULL && i < values->u.list->len; i++) {
		struct value value = values->u.list->items[i];

		if (is_type(value, types) && (one == NULL || value_equal(value, *one)))
			rc = value_push(&c->arena, list, value);
	}
	if (rc == RC_OK && values == NULL && is_type(*one, types))
		rc = value_push(&c->arena, list, *one);
	if (rc == RC_OK && schema_get(schema, "nullable") != NULL &&
	    value_truthy(*schema_get(schema, "nullable")))
		rc = value_push(&c->arena, list, value_none());
	return rc == RC_OK ? schema_put_literals(c, list, from, to) : rc;
}

/* oneOf is anyOf where no value can be of two alternatives. */
static enum rc check_apart(struct compiler *c, const struct value_list *alternatives)
{
	for (size_t i = 0; i < alternatives->len; i++) {
		for (size_t j = 0; j < i; j++) {
			bool apart = false;
			enum rc rc =
			    schema_apart(c, alternatives->items[i], alternatives->items[j], &apart);

			if (rc != RC_OK)
				return rc;
			if (!apart)
				return schema_fail(c, RC_UNSUPPORTED,
				    "oneOf cannot be honoured: values could be of alternatives %zu "
				    "and "
				    "%zu; anyOf can",
				    j, i);
		}
	}
	return RC_OK;
}

/* Each alternative together with what stands beside the choice. */
static enum rc put_choice(
    struct compiler *c, struct value schema, const char *keyword, uint16_t from, uint16_t to)
{
	const struct value *choice = schema_get(schema, keyword);
	bool others = has_others(schema, keyword, keyword);
	struct value rest = schema_without(c, schema, keyword);
	enum rc rc = value_ok(rest) ? RC_OK : RC_NOMEM;

	if (choice->kind != VALUE_LIST || choice->u.list->len == 0)
		return schema_fail(c, RC_INVALID, "%s must be an array of schemas", keyword);
	if (choice->u.list->len > SCHEMA_ALTERNATIVES_MAX)
		return schema_fail(
		    c, RC_LIMIT, "%s has over %zu alternatives", keyword, SCHEMA_ALTERNATIVES_MAX);
	if (rc == RC_OK && strcmp(keyword, "oneOf") == 0)
		rc = check_apart(c, choice->u.list);
	for (size_t i = 0; rc == RC_OK && i < choice->u.list->len; i++) {
		struct value one = choice->u.list->items[i];
		char name[32];
		int len = snprintf(name, sizeof(name), "%s[%zu]", keyword, i);
		size_t path = schema_enter(c, name, (size_t)len);

		if (others)
			rc = schema_merge(c, rest, one, &one);
		if (rc == RC_OK)
			rc = schema_put(c, one, from, to);
		schema_leave(c, path);
	}
	return rc;
}

static enum rc put_map(struct compiler *c, struct value schema, uint16_t from, uint16_t to)
{
	const struct value *ref = schema_get(schema, "$ref");
	unsigned types = 0;
	enum rc rc = check_keywords(c, schema);

	if (rc != RC_OK)
		return rc;
	if (ref != NULL && !has_others(schema, "$ref", "$ref")) {
		const struct value *target = NULL;
		uint16_t start = 0;

		if (ref->kind != VALUE_TEXT)
			return schema_fail(c, RC_INVALID, "$ref must be a string");
		rc = schema_resolve(c, ref->u.text, &target);
		if (rc == RC_OK)
			rc = schema_rule(c, target, &start);
		if (rc == RC_OK)
			builder_call(c->builder, from, start, to);
		return rc;
	}
	if (ref != NULL || schema_get(schema, "allOf") != NULL) {
		rc = schema_flatten(c, schema, &schema);
		return rc == RC_OK ? schema_put(c, schema, from, to) : rc;
	}
	if (schema_get(schema, "anyOf") != NULL)
		return put_choice(c, schema, "anyOf", from, to);
	if (schema_get(schema, "oneOf") != NULL)
		return put_choice(c, schema, "oneOf", from, to);
	if (schema_get(schema, "enum") != NULL || schema_get(schema, "const") != NULL)
		return put_named(c, schema, from, to);
	if (!has_others(schema, "", "")) {
		builder_call(c->builder, from, schema_shared(c, SHARED_ANY), to);
		return RC_OK;
	}
	rc = schema_types(c, schema, &types);
	return rc == RC_OK ? put_types(c, schema, types, from, to) : rc;
}

enum rc schema_put(struct compiler *c, struct value schema, uint16_t from, uint16_t to)
{
	enum rc rc = builder_rc(c->builder);

	if (rc != RC_OK)
		return schema_fail(c, rc, "more than %u states or %u steps are needed",
		    AUTOMATON_STATES_MAX, AUTOMATON_EDGES_MAX);
	if (++c->steps > SCHEMA_STEPS_MAX)
		return schema_fail(c, RC_LIMIT, "over %u schemas to look at", SCHEMA_STEPS_MAX);
	if (++c->depth > SCHEMA_DEPTH_MAX)
		return schema_fail(c, RC_LIMIT, "over %d schemas deep", SCHEMA_DEPTH_MAX);
	if (schema.kind == VALUE_BOOL) {
		if (schema.u.boolean)
			builder_call(c->builder, from, schema_shared(c, SHARED_ANY), to);
	} else if (schema.kind == VALUE_MAP) {
		rc = put_map(c, schema, from, to);
	} else {
		rc = schema_fail(c, RC_INVALID, "a schema is an object, true or false");
	}
	c->depth--;
	return rc;
}

/* ---- the whole ---- */

enum rc schema_begin(struct compiler *c, struct errmsg *why)
{
	*c = (struct compiler){ .why = why, .notation = &notations[NOTATION_JSON] };
	arena_init(&c->arena, SCHEMA_WORK_BYTES_MAX);
	enum rc rc = builder_new(&c->builder);
	/* State 0 is what a full builder hands out: nothing leads from it. */
	if (rc == RC_OK)
		(void)builder_state(c->builder);
	return rc;
}

enum rc schema_finish(
    struct compiler *c, enum rc rc, uint16_t start, struct automaton **out, struct errmsg *why)
{
	if (rc == RC_OK)
		rc = builder_finish(c->builder, start, out, why);
	builder_free(c->builder);
	arena_fini(&c->arena);
	if (rc == RC_NOMEM)
		return errmsg_rc(why, rc, "schema: it needs more memory than it may have");
	return rc;
}

enum rc schema_compile(const char *json, size_t len, struct automaton **out, struct errmsg *why)
{
	struct errmsg cause = ERRMSG_INIT;
	struct value whole = value_undefined("");
	struct compiler c;

	if (len > SCHEMA_BYTES_MAX)
		return errmsg_rc(why, RC_LIMIT, "schema: over %zu bytes", SCHEMA_BYTES_MAX);
	enum rc rc = schema_begin(&c, why);
	uint16_t start = 0, end = 0;
	if (rc == RC_OK) {
		start = builder_state(c.builder);
		end = builder_state(c.builder);
		builder_final(c.builder, end);
		rc = template_parse_json(json, len, &c.arena, &whole, &cause);
		if (rc == RC_INVALID)
			rc = schema_fail(&c, rc, "%s", errmsg_text(&cause, rc));
		else if (rc == RC_LIMIT)
			rc = schema_fail(&c, rc, "nested too deep");
	}
	c.root = &whole;
	if (rc == RC_OK)
		rc = schema_put(&c, whole, start, end);
	if (rc == RC_OK)
		rc = schema_compile_rules(&c);
	return schema_finish(&c, rc, start, out, why);
}

enum rc schema_any_object(struct automaton **out, struct errmsg *why)
{
	struct compiler c;
	enum rc rc = schema_begin(&c, why);
	uint16_t start = rc == RC_OK ? schema_shared(&c, SHARED_ANY_OBJECT) : 0;

	return schema_finish(&c, rc, start, out, why);
}
