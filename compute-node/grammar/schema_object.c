/* Schema compiler: objects and arrays. */
#include <stdio.h>
#include <string.h>

#include "grammar/schema_impl.h"

static struct value empty_map(struct compiler *c)
{
	return value_map(&c->arena);
}

static void put_byte(struct compiler *c, uint16_t from, char byte, uint16_t to)
{
	builder_bytes(c->builder, from, (uint8_t)byte, (uint8_t)byte, to);
}

/* ---- objects ---- */

struct object {
	struct value properties; /* a map, maybe empty */
	const struct value *required;
	const struct value *others; /* additionalProperties; NULL: none may come */
	bool closed;                /* the schema says that none may */
	size_t n;
};

static bool is_required(const struct object *object, const struct text *name)
{
	for (size_t i = 0; object->required != NULL && i < object->required->u.list->len; i++) {
		struct value one = object->required->u.list->items[i];

		if (one.kind == VALUE_TEXT && one.u.text->len == name->len &&
		    memcmp(one.u.text->bytes, name->bytes, name->len) == 0)
			return true;
	}
	return false;
}

/* A property that is required, but not named, comes as the others do. */
static enum rc add_required(struct compiler *c, struct object *object)
{
	static const struct value anything = { .kind = VALUE_BOOL, .u.boolean = true };
	const struct value_list *list = object->required->u.list;
	struct value all = empty_map(c);
	enum rc rc = value_ok(all) ? RC_OK : RC_NOMEM;

	for (size_t i = 0; rc == RC_OK && i < object->properties.u.map->len; i++)
		rc = value_set(&c->arena, all, object->properties.u.map->pairs[i].key,
		    object->properties.u.map->pairs[i].value);
	for (size_t i = 0; rc == RC_OK && i < list->len; i++) {
		if (list->items[i].kind != VALUE_TEXT)
			return schema_fail(c, RC_INVALID, "required must be an array of names");
		const struct text *name = list->items[i].u.text;

		if (object->closed && value_get(all, name->bytes, name->len) == NULL)
			return schema_fail(c, RC_UNSUPPORTED,
			    "required[%zu] is no property, and additionalProperties allows no "
			    "other",
			    i);
		if (value_get(all, name->bytes, name->len) == NULL)
			rc = value_set(&c->arena, all, name,
			    object->others != NULL ? *object->others : anything);
	}
	object->properties = all;
	return rc;
}

static enum rc read_object(struct compiler *c, struct value schema, struct object *out)
{
	const struct value *properties = schema_get(schema, "properties");
	enum rc rc = RC_OK;

	*out = (struct object){ .properties = empty_map(c),
		.required = schema_get(schema, "required"),
		.others = schema_get(schema, "additionalProperties") };
	if (!value_ok(out->properties))
		return RC_NOMEM;
	if (properties != NULL && properties->kind != VALUE_MAP)
		return schema_fail(c, RC_INVALID, "properties must be an object");
	if (properties != NULL)
		out->properties = *properties;
	if (out->others != NULL && out->others->kind == VALUE_BOOL && !out->others->u.boolean) {
		out->others = NULL;
		out->closed = true;
	} else if (out->others == NULL && (properties == NULL || properties->u.map->len == 0)) {
		static const struct value anything = { .kind = VALUE_BOOL, .u.boolean = true };
		out->others = &anything;
	}
	if (out->required != NULL && out->required->kind != VALUE_LIST)
		return schema_fail(c, RC_INVALID, "required must be an array of names");
	if (out->required != NULL && out->required->u.list->len > SCHEMA_PROPERTIES_MAX)
		return schema_fail(c, RC_LIMIT, "over %zu properties", SCHEMA_PROPERTIES_MAX);
	if (out->required != NULL)
		rc = add_required(c, out);
	out->n = out->properties.u.map->len;
	if (rc == RC_OK && out->n > SCHEMA_PROPERTIES_MAX)
		return schema_fail(c, RC_LIMIT, "over %zu properties", SCHEMA_PROPERTIES_MAX);
	return rc;
}

/* The value, from behind the name, to where a comma or the end may stand. */
static enum rc put_value(struct compiler *c, const struct text *name, const struct value *schema,
    uint16_t from, uint16_t to)
{
	const struct notation *notation = c->notation;
	uint16_t value = builder_state(c->builder), end = builder_state(c->builder);
	size_t path = schema_enter(c, name->bytes, name->len);

	schema_put_spelling(c, notation->named, from, value);
	c->notation = schema_notation_of(c, *schema);
	enum rc rc = schema_put(c, *schema, value, end);
	c->notation = notation;
	schema_put_spelling(c, notation->behind, end, to);
	schema_leave(c, path);
	return rc;
}

/* From where a name may stand, over the properties from the i-th on: its name and value,
 * and then the end or a comma; or, if it may be left out, on to the next one. */
static enum rc put_properties(
    struct compiler *c, const struct object *object, const uint16_t *names, uint16_t close)
{
	bool may_end = true; /* nothing behind is required */
	enum rc rc = RC_OK;

	for (size_t i = object->n; rc == RC_OK && i-- > 0;) {
		const struct value_pair *pair = &object->properties.u.map->pairs[i];
		uint16_t named = builder_state(c->builder), next = builder_state(c->builder);

		rc = schema_put_name(c, pair->key, names[i], named);
		if (rc == RC_OK)
			rc = put_value(c, pair->key, &pair->value, named, next);
		if (may_end)
			schema_put_spelling(c, c->notation->close, next, close);
		schema_put_spelling(c, c->notation->comma, next, names[i + 1]);
		if (is_required(object, pair->key))
			may_end = false;
		else
			builder_empty(c->builder, names[i], names[i + 1]);
	}
	return rc;
}

/* Properties that are not named: as many as there come. */
static enum rc put_others(
    struct compiler *c, const struct object *object, uint16_t name, uint16_t close)
{
	static const struct text word = { .bytes = "additionalProperties", .len = 20 };
	uint16_t named = builder_state(c->builder), next = builder_state(c->builder);
	enum rc rc = schema_put_other_name(c, object->properties, name, named);

	if (rc == RC_OK)
		rc = put_value(c, &word, object->others, named, next);
	schema_put_spelling(c, c->notation->close, next, close);
	schema_put_spelling(c, c->notation->comma, next, name);
	return rc;
}

static bool any_required(const struct object *object)
{
	for (size_t i = 0; i < object->n; i++) {
		if (is_required(object, object->properties.u.map->pairs[i].key))
			return true;
	}
	return false;
}

enum rc schema_put_object(struct compiler *c, struct value schema, uint16_t from, uint16_t to)
{
	struct object object;
	enum rc rc = read_object(c, schema, &object);

	if (rc != RC_OK)
		return rc;
	uint16_t *names = arena_array(&c->arena, object.n + 1, sizeof(names[0]));
	uint16_t first = builder_state(c->builder);
	if (names == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i <= object.n; i++)
		names[i] = builder_state(c->builder);
	schema_put_spelling(c, c->notation->open, from, first);
	builder_empty(c->builder, first, names[0]);
	if (!any_required(&object))
		schema_put_spelling(c, c->notation->close, first, to);
	rc = put_properties(c, &object, names, to);
	if (rc == RC_OK && object.others != NULL)
		rc = put_others(c, &object, names[object.n], to);
	return rc;
}

/* ---- arrays ---- */

struct array {
	const struct value_list *first; /* prefixItems; NULL: none */
	const struct value *items;      /* of those behind; NULL: none may come */
	long least, most;               /* most < 0: no end */
};

/* prefixItems and items; before 2020 that was items and additionalItems. */
static enum rc read_items(struct compiler *c, struct value schema, struct array *out)
{
	static const struct value anything = { .kind = VALUE_BOOL, .u.boolean = true };
	const struct value *first = schema_get(schema, "prefixItems");
	const struct value *items = schema_get(schema, "items");

	if (first == NULL && items != NULL && items->kind == VALUE_LIST) {
		first = items;
		items = schema_get(schema, "additionalItems");
	}
	if (first != NULL && (first->kind != VALUE_LIST || first->u.list->len > SCHEMA_COUNT_MAX))
		return schema_fail(c, RC_INVALID, "prefixItems must be an array of schemas");
	if (first != NULL)
		out->first = first->u.list;
	out->items = items == NULL ? &anything : items;
	if (items != NULL && items->kind == VALUE_BOOL && !items->u.boolean)
		out->items = NULL;
	return RC_OK;
}

static enum rc read_array(struct compiler *c, struct value schema, struct array *out)
{
	long most = -1;

	*out = (struct array){ .least = 0 };
	enum rc rc = read_items(c, schema, out);
	if (rc == RC_OK)
		rc = schema_get_count(c, schema, "minItems", &out->least);
	if (rc == RC_OK)
		rc = schema_get_count(c, schema, "maxItems", &most);
	long listed = out->first == NULL ? 0 : (long)out->first->len;
	if (out->items == NULL && (most < 0 || most > listed))
		most = listed;
	out->most = most;
	return rc;
}

/* The i-th item, by a call: one automaton for all that are alike. */
static enum rc put_item(
    struct compiler *c, const struct array *array, long i, uint16_t from, uint16_t to)
{
	const bool listed = array->first != NULL && (size_t)i < array->first->len;
	const struct value *schema = listed ? &array->first->items[i] : array->items;
	char name[32];
	int len = listed ? snprintf(name, sizeof(name), "prefixItems[%ld]", i)
			 : snprintf(name, sizeof(name), "items");
	size_t path = schema_enter(c, name, (size_t)len);
	uint16_t start = 0;
	enum rc rc = schema_rule(c, schema, &start);

	if (rc == RC_OK)
		builder_call(c->builder, from, start, to);
	schema_leave(c, path);
	return rc == RC_OK ? builder_rc(c->builder) : rc;
}

/*
 * Items one behind another from `at`; where there is no end, the last one comes again and
 * again.
 */
static enum rc put_items(struct compiler *c, const struct array *array, uint16_t at, uint16_t close)
{
	long listed = array->first == NULL ? 0 : (long)array->first->len;
	long n = array->most >= 0            ? array->most
		 : array->least > listed + 1 ? array->least
					     : listed + 1;
	enum rc rc = RC_OK;

	for (long i = 0; rc == RC_OK && i < n; i++) {
		uint16_t done = builder_state(c->builder), next = builder_state(c->builder);
		uint16_t comma = builder_state(c->builder), item = builder_state(c->builder);

		rc = put_item(c, array, i, at, done);
		schema_put_blanks(c, done, next);
		if (i + 1 >= array->least)
			put_byte(c, next, ']', close);
		bool again = i + 1 == n && array->most < 0;
		if (i + 1 < n || again)
			put_byte(c, next, ',', comma);
		schema_put_blanks(c, comma, again ? at : item);
		at = item;
	}
	return rc;
}

enum rc schema_put_array(struct compiler *c, struct value schema, uint16_t from, uint16_t to)
{
	struct array array;
	enum rc rc = read_array(c, schema, &array);

	if (rc != RC_OK)
		return rc;
	uint16_t open = builder_state(c->builder), first = builder_state(c->builder);
	uint16_t item = builder_state(c->builder);
	put_byte(c, from, '[', open);
	schema_put_blanks(c, open, first);
	builder_empty(c->builder, first, item);
	if (array.least == 0)
		put_byte(c, first, ']', to);
	return array.most == 0 ? RC_OK : put_items(c, &array, item, to);
}
