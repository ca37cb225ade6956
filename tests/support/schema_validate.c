/* The naive validator: one keyword after another. */
#include "schema_validate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct value *get(struct value map, const char *key)
{
	return map.kind == VALUE_MAP ? value_get(map, key, strlen(key)) : NULL;
}

static bool is_number(struct value value)
{
	return value.kind == VALUE_INT || value.kind == VALUE_REAL;
}

static double number(struct value value)
{
	return value.kind == VALUE_INT ? (double)value.u.integer : value.u.real;
}

static bool is_of(struct value value, const struct text *type)
{
	switch (value.kind) {
	case VALUE_NONE:
		return text_is(type, "null");
	case VALUE_BOOL:
		return text_is(type, "boolean");
	case VALUE_INT:
		return text_is(type, "integer") || text_is(type, "number");
	case VALUE_REAL:
		return text_is(type, "number") ||
		       (text_is(type, "integer") && floor(value.u.real) >= value.u.real);
	case VALUE_TEXT:
		return text_is(type, "string");
	case VALUE_LIST:
		return text_is(type, "array");
	default:
		return text_is(type, "object");
	}
}

static bool types_hold(struct value schema, struct value value)
{
	const struct value *type = get(schema, "type");

	if (type == NULL)
		return true;
	if (type->kind == VALUE_TEXT)
		return is_of(value, type->u.text);
	for (size_t i = 0; i < type->u.list->len; i++) {
		if (is_of(value, type->u.list->items[i].u.text))
			return true;
	}
	return false;
}

/* Beyond Python's: true is not 1. */
static bool same(struct value a, struct value b)
{
	return (a.kind == VALUE_BOOL) == (b.kind == VALUE_BOOL) && value_equal(a, b);
}

static bool names_hold(struct value schema, struct value value)
{
	const struct value *values = get(schema, "enum"), *one = get(schema, "const");
	bool found = values == NULL;

	for (size_t i = 0; values != NULL && i < values->u.list->len; i++)
		found = found || same(values->u.list->items[i], value);
	return found && (one == NULL || same(*one, value));
}

static size_t code_points(const struct text *text)
{
	size_t n = 0;

	for (size_t i = 0; i < text->len; i++)
		n += ((unsigned char)text->bytes[i] & 0xC0) != 0x80;
	return n;
}

static bool at_least(struct value schema, const char *keyword, double n)
{
	const struct value *bound = get(schema, keyword);

	return bound == NULL || n >= number(*bound);
}

static bool at_most(struct value schema, const char *keyword, double n)
{
	const struct value *bound = get(schema, keyword);

	return bound == NULL || n <= number(*bound);
}

static bool sizes_hold(struct value schema, struct value value)
{
	const struct value *above = get(schema, "exclusiveMinimum");
	const struct value *below = get(schema, "exclusiveMaximum");

	if (value.kind == VALUE_TEXT)
		return at_least(schema, "minLength", (double)code_points(value.u.text)) &&
		       at_most(schema, "maxLength", (double)code_points(value.u.text));
	if (value.kind == VALUE_LIST)
		return at_least(schema, "minItems", (double)value.u.list->len) &&
		       at_most(schema, "maxItems", (double)value.u.list->len);
	if (!is_number(value))
		return true;
	return at_least(schema, "minimum", number(value)) &&
	       at_most(schema, "maximum", number(value)) &&
	       (above == NULL || number(value) > number(*above)) &&
	       (below == NULL || number(value) < number(*below));
}

static bool object_holds(struct value root, struct value schema, struct value value)
{
	const struct value *properties = get(schema, "properties");
	const struct value *required = get(schema, "required");
	const struct value *others = get(schema, "additionalProperties");

	for (size_t i = 0; required != NULL && i < required->u.list->len; i++) {
		const struct text *name = required->u.list->items[i].u.text;

		if (value_get(value, name->bytes, name->len) == NULL)
			return false;
	}
	for (size_t i = 0; i < value.u.map->len; i++) {
		const struct value_pair *pair = &value.u.map->pairs[i];
		const struct value *own =
		    properties == NULL ? NULL
				       : value_get(*properties, pair->key->bytes, pair->key->len);

		own = own == NULL ? others : own;
		if (own != NULL && !schema_validate(root, *own, pair->value))
			return false;
	}
	return true;
}

static bool array_holds(struct value root, struct value schema, struct value value)
{
	const struct value *first = get(schema, "prefixItems"), *items = get(schema, "items");

	for (size_t i = 0; i < value.u.list->len; i++) {
		const struct value *own =
		    first != NULL && i < first->u.list->len ? &first->u.list->items[i] : items;

		if (own != NULL && !schema_validate(root, *own, value.u.list->items[i]))
			return false;
	}
	return true;
}

/* How many of the schemas under `keyword` hold. */
static size_t holding(
    struct value root, struct value schema, const char *keyword, struct value value, size_t *n)
{
	const struct value *list = get(schema, keyword);
	size_t holds = 0;

	*n = list == NULL ? 0 : list->u.list->len;
	for (size_t i = 0; i < *n; i++)
		holds += schema_validate(root, list->u.list->items[i], value);
	return holds;
}

static bool choices_hold(struct value root, struct value schema, struct value value)
{
	size_t n;

	if (holding(root, schema, "allOf", value, &n) != n)
		return false;
	if (holding(root, schema, "anyOf", value, &n) == 0 && n > 0)
		return false;
	return holding(root, schema, "oneOf", value, &n) == 1 || n == 0;
}

/* "#", "#/a/b": the tests have no others. */
static struct value resolve(struct value root, const struct text *ref)
{
	struct value at = root;
	const char *from = ref->bytes + 1, *end = ref->bytes + ref->len;

	while (from < end) {
		const char *slash = memchr(from + 1, '/', (size_t)(end - from - 1));
		const char *behind = slash == NULL ? end : slash;
		const struct value *next = value_get(at, from + 1, (size_t)(behind - from - 1));

		if (next == NULL)
			abort();
		at = *next;
		from = behind;
	}
	return at;
}

bool schema_validate(struct value root, struct value schema, struct value value)
{
	if (schema.kind == VALUE_BOOL)
		return schema.u.boolean;
	const struct value *ref = get(schema, "$ref"), *nullable = get(schema, "nullable");
	if (ref != NULL && !schema_validate(root, resolve(root, ref->u.text), value))
		return false;
	if (value.kind == VALUE_NONE && nullable != NULL && nullable->u.boolean)
		return true;
	return types_hold(schema, value) && names_hold(schema, value) &&
	       sizes_hold(schema, value) && choices_hold(root, schema, value) &&
	       (value.kind != VALUE_MAP || object_holds(root, schema, value)) &&
	       (value.kind != VALUE_LIST || array_holds(root, schema, value));
}
