/* Tool schema: a walk over what a schema shows on its face. */
#include "answer/tool_schema.h"

#include <string.h>

#define DEPTH_MAX 16
#define STEPS_MAX 20000

struct walk {
	const json_t *root; /* where references begin */
	unsigned steps;
};

static unsigned look(struct walk *walk, const json_t *schema, int depth);

static unsigned of_word(const json_t *word)
{
	const char *text = json_string_value(word);

	if (text == NULL)
		return TOOL_VALUE_OTHER;
	return strcmp(text, "string") == 0 ? TOOL_VALUE_TEXT
	       : strcmp(text, "null") == 0 ? TOOL_VALUE_NULL
					   : TOOL_VALUE_OTHER;
}

static unsigned of_value(const json_t *value)
{
	return json_is_string(value) ? TOOL_VALUE_TEXT
	       : json_is_null(value) ? TOOL_VALUE_NULL
				     : TOOL_VALUE_OTHER;
}

/* Of the items of an array, or of one that is none. */
static unsigned of_each(const json_t *list, unsigned (*of)(const json_t *one))
{
	unsigned all = 0;

	if (!json_is_array(list))
		return of(list);
	for (size_t i = 0; i < json_array_size(list); i++)
		all |= of(json_array_get(list, i));
	return all;
}

static unsigned of_choice(struct walk *walk, const json_t *choice, int depth)
{
	unsigned all = 0;

	if (!json_is_array(choice))
		return TOOL_VALUE_OTHER;
	for (size_t i = 0; i < json_array_size(choice); i++)
		all |= look(walk, json_array_get(choice, i), depth + 1);
	return all;
}

static unsigned of_all(struct walk *walk, const json_t *all, int depth)
{
	for (size_t i = 0; i < json_array_size(all); i++) {
		unsigned values = look(walk, json_array_get(all, i), depth + 1);

		if ((values & TOOL_VALUE_OTHER) == 0)
			return values;
	}
	return TOOL_VALUE_OTHER;
}

/* One step of a reference, from a / on. */
static const json_t *step(const json_t *at, const char *name, size_t len)
{
	if (json_is_object(at))
		return json_object_getn(at, name, len);
	size_t index = 0;
	for (size_t i = 0; i < len; i++) {
		if (name[i] < '0' || name[i] > '9' || i > 6)
			return NULL;
		index = index * 10 + (size_t)(name[i] - '0');
	}
	return json_array_get(at, index);
}

/* A name that is escaped is not looked for. */
static unsigned of_ref(struct walk *walk, const json_t *ref, int depth)
{
	const char *at = json_string_value(ref);
	const json_t *target = walk->root;

	if (at == NULL || at[0] != '#' || strpbrk(at, "~%") != NULL)
		return TOOL_VALUE_OTHER;
	for (at++; *at == '/' && target != NULL;) {
		size_t len = strcspn(++at, "/");

		target = step(target, at, len);
		at += len;
	}
	return *at == '\0' && target != NULL ? look(walk, target, depth + 1) : TOOL_VALUE_OTHER;
}

/* As templates take a value for true, and so whoever holds a call to its schema. */
static bool is_so(const json_t *value)
{
	switch (value == NULL ? JSON_NULL : json_typeof(value)) {
	case JSON_NULL:
	case JSON_FALSE:
		return false;
	case JSON_INTEGER:
		return json_integer_value(value) != 0;
	case JSON_REAL:
		return json_real_value(value) < 0 || json_real_value(value) > 0;
	case JSON_STRING:
		return json_string_length(value) > 0;
	case JSON_ARRAY:
		return json_array_size(value) > 0;
	case JSON_OBJECT:
		return json_object_size(value) > 0;
	default:
		return true;
	}
}

static unsigned look(struct walk *walk, const json_t *schema, int depth)
{
	unsigned values = TOOL_VALUE_OTHER;
	const json_t *found;

	if (!json_is_object(schema) || depth > DEPTH_MAX || ++walk->steps > STEPS_MAX)
		return TOOL_VALUE_OTHER;
	if ((found = json_object_get(schema, "type")) != NULL)
		values = of_each(found, of_word);
	else if ((found = json_object_get(schema, "enum")) != NULL)
		values = of_each(found, of_value);
	else if ((found = json_object_get(schema, "const")) != NULL)
		values = of_value(found);
	else if ((found = json_object_get(schema, "$ref")) != NULL)
		values = of_ref(walk, found, depth);
	else if ((found = json_object_get(schema, "allOf")) != NULL)
		values = of_all(walk, found, depth);
	else if ((found = json_object_get(schema, "anyOf")) != NULL ||
		 (found = json_object_get(schema, "oneOf")) != NULL)
		values = of_choice(walk, found, depth);
	return values | (is_so(json_object_get(schema, "nullable")) ? TOOL_VALUE_NULL : 0u);
}

unsigned tool_schema_values(const struct tool_schema *tools, const char *name, size_t name_len,
    const char *key, size_t key_len)
{
	for (size_t i = 0; i < json_array_size(tools->tools); i++) {
		const json_t *function =
		    json_object_get(json_array_get(tools->tools, i), "function");
		const json_t *own = json_object_get(function, "name");
		const json_t *parameters = json_object_get(function, "parameters");
		struct walk walk = { .root = parameters };

		if (json_string_length(own) != name_len ||
		    memcmp(json_string_value(own), name, name_len) != 0)
			continue;
		const json_t *schema =
		    json_object_getn(json_object_get(parameters, "properties"), key, key_len);
		if (schema == NULL)
			schema = json_object_get(parameters, "additionalProperties");
		if (tools->held || json_is_true(json_object_get(function, "strict")))
			return TOOL_VALUE_HELD |
			       (schema == NULL ? TOOL_VALUE_OTHER : look(&walk, schema, 0));
		return json_is_object(schema) ? look(&walk, schema, 0) : 0;
	}
	return 0;
}
