/* Schema compiler: references, what two schemas allow together, and whether that is nothing. */
#include <stdlib.h>
#include <string.h>

#include "grammar/schema_impl.h"

/* ---- types ---- */

static unsigned type_of(const struct text *word)
{
	static const struct {
		const char *word;
		unsigned type;
	} types[] = { { "null", TYPE_NULL }, { "boolean", TYPE_BOOLEAN },
		{ "integer", TYPE_INTEGER }, { "number", TYPE_NUMBER | TYPE_INTEGER },
		{ "string", TYPE_STRING }, { "array", TYPE_ARRAY }, { "object", TYPE_OBJECT } };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (text_is(word, types[i].word))
			return types[i].type;
	}
	return 0;
}

/* What keywords of some types alone mean without a type. */
static unsigned infer(struct value schema)
{
	static const struct {
		const char *keyword;
		unsigned type;
	} hints[] = { { "properties", TYPE_OBJECT }, { "required", TYPE_OBJECT },
		{ "additionalProperties", TYPE_OBJECT }, { "items", TYPE_ARRAY },
		{ "prefixItems", TYPE_ARRAY }, { "minItems", TYPE_ARRAY },
		{ "maxItems", TYPE_ARRAY }, { "minLength", TYPE_STRING },
		{ "maxLength", TYPE_STRING }, { "pattern", TYPE_STRING }, { "format", TYPE_STRING },
		{ "minimum", TYPE_NUMBER | TYPE_INTEGER },
		{ "maximum", TYPE_NUMBER | TYPE_INTEGER },
		{ "exclusiveMinimum", TYPE_NUMBER | TYPE_INTEGER },
		{ "exclusiveMaximum", TYPE_NUMBER | TYPE_INTEGER } };
	unsigned types = 0;

	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
		if (schema_get(schema, hints[i].keyword) != NULL)
			types |= hints[i].type;
	}
	return types == 0 ? TYPE_ALL : types;
}

enum rc schema_types(struct compiler *c, struct value schema, unsigned *out)
{
	const struct value *type = schema_get(schema, "type");
	const struct value *nullable = schema_get(schema, "nullable");
	unsigned types = 0;

	if (type == NULL) {
		types = infer(schema);
	} else if (type->kind == VALUE_TEXT) {
		types = type_of(type->u.text);
	} else if (type->kind == VALUE_LIST && type->u.list->len > 0) {
		for (size_t i = 0; i < type->u.list->len; i++) {
			struct value one = type->u.list->items[i];
			unsigned bit = one.kind == VALUE_TEXT ? type_of(one.u.text) : 0;

			if (bit == 0)
				return schema_fail(c, RC_INVALID, "type names no type of JSON");
			types |= bit;
		}
	}
	if (types == 0)
		return schema_fail(c, RC_INVALID, "type names no type of JSON");
	if (nullable != NULL && value_truthy(*nullable))
		types |= TYPE_NULL;
	*out = types;
	return RC_OK;
}

static enum rc put_type(struct compiler *c, struct value out, unsigned types)
{
	static const struct {
		const char *word;
		unsigned type;
	} words[] = { { "null", TYPE_NULL }, { "boolean", TYPE_BOOLEAN }, { "number", TYPE_NUMBER },
		{ "integer", TYPE_INTEGER }, { "string", TYPE_STRING }, { "array", TYPE_ARRAY },
		{ "object", TYPE_OBJECT } };
	struct value list = value_list(&c->arena);
	enum rc rc = value_ok(list) ? RC_OK : RC_NOMEM;

	for (size_t i = 0; rc == RC_OK && i < sizeof(words) / sizeof(words[0]); i++) {
		if ((types & words[i].type) != 0)
			rc = value_push(&c->arena, list,
			    value_text(&c->arena, words[i].word, strlen(words[i].word), false));
	}
	return rc == RC_OK ? value_set_name(&c->arena, out, "type", list) : rc;
}

/* ---- references ---- */

/* One step of a pointer, as it is spelled between slashes; RC_INVALID: broken. */
static enum rc unescape(struct compiler *c, const char *at, size_t len, const struct text **out)
{
	char *name = arena_alloc(&c->arena, len + 1);
	size_t n = 0;

	if (name == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < len; i++) {
		if (at[i] == '~' && i + 1 < len && (at[i + 1] == '0' || at[i + 1] == '1')) {
			name[n++] = at[++i] == '0' ? '~' : '/';
		} else if (at[i] == '%' && i + 2 < len) {
			char hex[3] = { at[i + 1], at[i + 2], '\0' }, *end;
			unsigned long byte = strtoul(hex, &end, 16);

			if (*end != '\0')
				return RC_INVALID;
			name[n++] = (char)byte;
			i += 2;
		} else {
			name[n++] = at[i];
		}
	}
	*out = text_new(&c->arena, name, n, false);
	return *out == NULL ? RC_NOMEM : RC_OK;
}

static const struct value *step_down(const struct value *at, const struct text *name)
{
	char *end;

	if (at->kind == VALUE_MAP)
		return value_get(*at, name->bytes, name->len);
	if (at->kind != VALUE_LIST || name->len == 0 || name->bytes[0] < '0' ||
	    name->bytes[0] > '9')
		return NULL;
	unsigned long i = strtoul(name->bytes, &end, 10);
	return *end == '\0' && i < at->u.list->len ? &at->u.list->items[i] : NULL;
}

enum rc schema_resolve(struct compiler *c, const struct text *ref, const struct value **out)
{
	const struct value *at = c->root;
	const char *from = ref->bytes, *end = ref->bytes + ref->len;

	if (ref->len == 0 || *from++ != '#' || (from < end && *from != '/'))
		return schema_fail(c, RC_UNSUPPORTED, "$ref leads out of the schema");
	while (from < end) {
		const char *slash = memchr(from + 1, '/', (size_t)(end - from - 1));
		const struct text *name = NULL;
		const char *behind = slash == NULL ? end : slash;
		enum rc rc = unescape(c, from + 1, (size_t)(behind - from - 1), &name);

		if (rc == RC_NOMEM)
			return rc;
		at = rc == RC_OK ? step_down(at, name) : NULL;
		if (at == NULL)
			return schema_fail(c, RC_INVALID, "$ref leads nowhere");
		from = behind;
	}
	*out = at;
	return RC_OK;
}

/* ---- together ---- */

struct value schema_without(struct compiler *c, struct value map, const char *key)
{
	struct value out = value_map(&c->arena);

	for (size_t i = 0; value_ok(out) && i < map.u.map->len; i++) {
		const struct value_pair *pair = &map.u.map->pairs[i];

		if (!text_is(pair->key, key) &&
		    value_set(&c->arena, out, pair->key, pair->value) != RC_OK)
			return value_undefined("memory");
	}
	return out;
}

static bool falsity(const struct value *value)
{
	return value != NULL && value->kind == VALUE_BOOL && !value->u.boolean;
}

/* {"allOf": [a, b]}: merged when it is compiled. */
static enum rc both(struct compiler *c, struct value a, struct value b, struct value *out)
{
	struct value list = value_list(&c->arena);

	*out = value_map(&c->arena);
	enum rc rc = value_ok(list) && value_ok(*out) ? RC_OK : RC_NOMEM;
	if (rc == RC_OK)
		rc = value_push(&c->arena, list, a);
	if (rc == RC_OK)
		rc = value_push(&c->arena, list, b);
	return rc == RC_OK ? value_set_name(&c->arena, *out, "allOf", list) : rc;
}

static enum rc merge_properties(
    struct compiler *c, struct value a, struct value b, struct value *out)
{
	if (a.kind != VALUE_MAP || b.kind != VALUE_MAP)
		return schema_fail(c, RC_INVALID, "properties must be an object");
	*out = value_map(&c->arena);
	enum rc rc = value_ok(*out) ? RC_OK : RC_NOMEM;
	for (size_t i = 0; rc == RC_OK && i < a.u.map->len; i++)
		rc = value_set(&c->arena, *out, a.u.map->pairs[i].key, a.u.map->pairs[i].value);
	for (size_t i = 0; rc == RC_OK && i < b.u.map->len; i++) {
		const struct value_pair *pair = &b.u.map->pairs[i];
		const struct value *have = value_get(a, pair->key->bytes, pair->key->len);
		struct value one = pair->value;

		if (have != NULL)
			rc = both(c, *have, pair->value, &one);
		if (rc == RC_OK)
			rc = value_set(&c->arena, *out, pair->key, one);
	}
	return rc;
}

static enum rc merge_lists(
    struct compiler *c, struct value a, struct value b, bool common, struct value *out)
{
	if (a.kind != VALUE_LIST || b.kind != VALUE_LIST)
		return schema_fail(c, RC_INVALID, "required and enum must be arrays");
	*out = value_list(&c->arena);
	enum rc rc = value_ok(*out) ? RC_OK : RC_NOMEM;
	for (size_t i = 0; rc == RC_OK && i < a.u.list->len; i++) {
		bool in_b = false;

		for (size_t j = 0; common && !in_b && j < b.u.list->len; j++)
			in_b = value_equal(a.u.list->items[i], b.u.list->items[j]);
		if (!common || in_b)
			rc = value_push(&c->arena, *out, a.u.list->items[i]);
	}
	for (size_t i = 0; rc == RC_OK && !common && i < b.u.list->len; i++)
		rc = value_push(&c->arena, *out, b.u.list->items[i]);
	return rc;
}

/* A keyword that both have. */
static enum rc merge_keyword(
    struct compiler *c, const struct text *key, struct value a, struct value b, struct value *out)
{
	int order = 0;

	*out = a;
	if (value_equal(a, b))
		return RC_OK;
	if (text_is(key, "properties"))
		return merge_properties(c, a, b, out);
	if (text_is(key, "required") || text_is(key, "enum"))
		return merge_lists(c, a, b, text_is(key, "enum"), out);
	if (text_is(key, "items") || text_is(key, "additionalProperties"))
		return both(c, a, b, out);
	bool lower = text_is(key, "minimum") || text_is(key, "exclusiveMinimum") ||
		     text_is(key, "minLength") || text_is(key, "minItems");
	bool upper = text_is(key, "maximum") || text_is(key, "exclusiveMaximum") ||
		     text_is(key, "maxLength") || text_is(key, "maxItems");
	if ((lower || upper) && value_compare(a, b, &order) == RC_OK) {
		*out = (order < 0) == lower ? b : a;
		return RC_OK;
	}
	return schema_fail(c, RC_UNSUPPORTED,
	    "%.40s stands in two schemas that hold together, and differs", key->bytes);
}

static bool says_only(const struct text *key)
{
	static const char *const words[] = { "title", "description", "default", "examples",
		"example", "$schema", "$id", "id", "$comment", "$defs", "definitions", "deprecated",
		"readOnly", "writeOnly", "discriminator", "strict", "propertyOrdering" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (text_is(key, words[i]))
			return true;
	}
	return false;
}

/* additionalProperties speaks of what its own schema does not name. */
static enum rc check_closed(struct compiler *c, struct value a, struct value b)
{
	const struct value *rule = schema_get(a, "additionalProperties");
	const struct value *own = schema_get(a, "properties"), *other = schema_get(b, "properties");
	bool restricts = rule != NULL && !(rule->kind == VALUE_BOOL && rule->u.boolean);

	if (!restricts || other == NULL || other->kind != VALUE_MAP)
		return RC_OK;
	for (size_t i = 0; i < other->u.map->len; i++) {
		const struct text *name = other->u.map->pairs[i].key;

		if (own == NULL || own->kind != VALUE_MAP ||
		    value_get(*own, name->bytes, name->len) == NULL)
			return schema_fail(c, RC_UNSUPPORTED,
			    "additionalProperties cannot be honoured beside a schema that names "
			    "other properties");
	}
	return RC_OK;
}

static enum rc merge_types(
    struct compiler *c, struct value a, struct value b, struct value out, bool *nothing)
{
	unsigned in_a = TYPE_ALL, in_b = TYPE_ALL;
	bool said = schema_get(a, "type") != NULL || schema_get(b, "type") != NULL;
	enum rc rc = RC_OK;

	if (!said)
		return RC_OK;
	if (schema_get(a, "type") != NULL)
		rc = schema_types(c, a, &in_a);
	if (rc == RC_OK && schema_get(b, "type") != NULL)
		rc = schema_types(c, b, &in_b);
	*nothing = (in_a & in_b) == 0;
	return rc == RC_OK && !*nothing ? put_type(c, out, in_a & in_b) : rc;
}

static enum rc merge_maps(struct compiler *c, struct value a, struct value b, struct value *out)
{
	struct value merged = value_map(&c->arena);
	bool nothing = false;
	enum rc rc = value_ok(merged) ? check_closed(c, a, b) : RC_NOMEM;

	if (rc == RC_OK)
		rc = check_closed(c, b, a);
	if (rc == RC_OK)
		rc = merge_types(c, a, b, merged, &nothing);
	for (int side = 0; side < 2; side++) {
		struct value mine = side == 0 ? a : b, other = side == 0 ? b : a;

		for (size_t i = 0; rc == RC_OK && i < mine.u.map->len; i++) {
			const struct value_pair *pair = &mine.u.map->pairs[i];
			const struct value *theirs =
			    value_get(other, pair->key->bytes, pair->key->len);
			struct value one = pair->value;

			if (says_only(pair->key) || text_is(pair->key, "type") ||
			    text_is(pair->key, "nullable") || (side == 1 && theirs != NULL))
				continue;
			if (theirs != NULL && text_is(pair->key, "const"))
				nothing = nothing || !value_equal(one, *theirs);
			else if (theirs != NULL)
				rc = merge_keyword(c, pair->key, one, *theirs, &one);
			if (rc == RC_OK)
				rc = value_set(&c->arena, merged, pair->key, one);
		}
	}
	*out = nothing ? value_bool(false) : merged;
	return rc;
}

enum rc schema_merge(struct compiler *c, struct value a, struct value b, struct value *out)
{
	enum rc rc = ++c->steps > SCHEMA_STEPS_MAX
			 ? schema_fail(c, RC_LIMIT, "over %u schemas to look at", SCHEMA_STEPS_MAX)
			 : RC_OK;

	if (rc == RC_OK)
		rc = schema_flatten(c, a, &a);
	if (rc == RC_OK)
		rc = schema_flatten(c, b, &b);
	if (rc != RC_OK)
		return rc;
	if (falsity(&a) || falsity(&b))
		*out = value_bool(false);
	else if (a.kind == VALUE_BOOL)
		*out = b;
	else if (b.kind == VALUE_BOOL)
		*out = a;
	else
		rc = merge_maps(c, a, b, out);
	return rc;
}

static enum rc flatten_map(struct compiler *c, struct value schema, struct value *out)
{
	const struct value *ref = schema_get(schema, "$ref"), *target = NULL;
	const struct value *all = schema_get(schema, "allOf");
	enum rc rc = RC_OK;

	*out = schema;
	if (ref != NULL) {
		*out = schema_without(c, *out, "$ref");
		if (ref->kind != VALUE_TEXT)
			return schema_fail(c, RC_INVALID, "$ref must be a string");
		rc = value_ok(*out) ? schema_resolve(c, ref->u.text, &target) : RC_NOMEM;
		if (rc == RC_OK)
			rc = schema_merge(c, *out, *target, out);
		return rc;
	}
	if (all == NULL)
		return RC_OK;
	if (all->kind != VALUE_LIST)
		return schema_fail(c, RC_INVALID, "allOf must be an array of schemas");
	*out = schema_without(c, *out, "allOf");
	rc = value_ok(*out) ? RC_OK : RC_NOMEM;
	for (size_t i = 0; rc == RC_OK && i < all->u.list->len; i++)
		rc = schema_merge(c, *out, all->u.list->items[i], out);
	return rc;
}

enum rc schema_flatten(struct compiler *c, struct value schema, struct value *out)
{
	enum rc rc = RC_OK;

	if (schema.kind != VALUE_MAP && schema.kind != VALUE_BOOL)
		return schema_fail(c, RC_INVALID, "a schema is an object, true or false");
	*out = schema;
	if (++c->depth > SCHEMA_DEPTH_MAX)
		rc = schema_fail(c, RC_LIMIT, "over %d schemas deep", SCHEMA_DEPTH_MAX);
	else if (schema.kind == VALUE_MAP)
		rc = flatten_map(c, schema, out);
	c->depth--;
	return rc;
}

/* ---- apart ---- */

/* The values that a schema names; NULL: it names none. */
static const struct value_list *named(struct compiler *c, struct value schema)
{
	const struct value *values = schema_get(schema, "enum");
	const struct value *one = schema_get(schema, "const");
	struct value list;

	if (one == NULL)
		return values != NULL && values->kind == VALUE_LIST ? values->u.list : NULL;
	list = value_list(&c->arena);
	if (!value_ok(list) || value_push(&c->arena, list, *one) != RC_OK)
		return NULL;
	return list.u.list;
}

static bool share(const struct value_list *a, const struct value_list *b)
{
	for (size_t i = 0; i < a->len; i++) {
		for (size_t j = 0; j < b->len; j++) {
			if (value_equal(a->items[i], b->items[j]))
				return true;
		}
	}
	return false;
}

static bool requires(struct value schema, const struct text *name)
{
	const struct value *required = schema_get(schema, "required");

	for (size_t i = 0;
	     required != NULL && required->kind == VALUE_LIST && i < required->u.list->len; i++) {
		struct value one = required->u.list->items[i];

		if (one.kind == VALUE_TEXT && one.u.text->len == name->len &&
		    memcmp(one.u.text->bytes, name->bytes, name->len) == 0)
			return true;
	}
	return false;
}

/* A property that both require, with values that they do not share. */
static enum rc objects_apart(struct compiler *c, struct value a, struct value b, bool *out)
{
	const struct value *in_a = schema_get(a, "properties"), *in_b = schema_get(b, "properties");

	if (in_a == NULL || in_b == NULL || in_a->kind != VALUE_MAP || in_b->kind != VALUE_MAP)
		return RC_OK;
	for (size_t i = 0; i < in_a->u.map->len && !*out; i++) {
		const struct value_pair *pair = &in_a->u.map->pairs[i];
		const struct value *theirs = value_get(*in_b, pair->key->bytes, pair->key->len);
		struct value one, other;

		if (theirs == NULL || !requires(a, pair->key) || !requires(b, pair->key))
			continue;
		enum rc rc = schema_flatten(c, pair->value, &one);
		if (rc == RC_OK)
			rc = schema_flatten(c, *theirs, &other);
		if (rc != RC_OK)
			return rc;
		if (one.kind != VALUE_MAP || other.kind != VALUE_MAP)
			continue;
		const struct value_list *mine = named(c, one), *others = named(c, other);
		*out = mine != NULL && others != NULL && !share(mine, others);
	}
	return RC_OK;
}

enum rc schema_apart(struct compiler *c, struct value a, struct value b, bool *out)
{
	unsigned in_a = TYPE_ALL, in_b = TYPE_ALL;

	*out = false;
	if (++c->steps > SCHEMA_STEPS_MAX)
		return schema_fail(c, RC_LIMIT, "over %u schemas to look at", SCHEMA_STEPS_MAX);
	enum rc rc = schema_flatten(c, a, &a);
	if (rc == RC_OK)
		rc = schema_flatten(c, b, &b);
	if (rc != RC_OK)
		return rc;
	*out = falsity(&a) || falsity(&b);
	if (*out || a.kind != VALUE_MAP || b.kind != VALUE_MAP)
		return RC_OK;
	const struct value_list *mine = named(c, a), *theirs = named(c, b);
	*out = mine != NULL && theirs != NULL && !share(mine, theirs);
	/* A type that is inferred is what we write, so it tells too. */
	if (rc == RC_OK && mine == NULL && !*out)
		rc = schema_types(c, a, &in_a);
	if (rc == RC_OK && theirs == NULL && !*out)
		rc = schema_types(c, b, &in_b);
	if (rc == RC_OK && (in_a & in_b) == 0)
		*out = true;
	else if (rc == RC_OK && !*out && in_a == TYPE_OBJECT && in_b == TYPE_OBJECT)
		rc = objects_apart(c, a, b, out);
	return rc;
}
