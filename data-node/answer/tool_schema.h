/*
 * Tool schema: what a tool's parameters say of one argument, for ways to write calls in which a
 * text stands without quotes.
 *
 * compute-node/grammar/schema_notation.c tells the same of a schema, and holds values to it:
 * both read `type`, then what enum or const name, then what $ref, allOf, anyOf and oneOf lead to.
 */
#ifndef ANSWER_TOOL_SCHEMA_H
#define ANSWER_TOOL_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

enum tool_value {
	TOOL_VALUE_TEXT = 1,
	TOOL_VALUE_NULL = 2,
	TOOL_VALUE_OTHER = 4,
	TOOL_VALUE_HELD = 8, /* and nothing else: what is no text is JSON */
};

struct tool_schema {
	json_t *tools; /* as OpenAI's API has them; NULL: nobody says */
	bool held;     /* a call must come, so all functions count as strict */
};

/* What the argument `key` of the function `name` may be, of these; 0: nobody says.  Pure. */
unsigned tool_schema_values(const struct tool_schema *schema, const char *name, size_t name_len,
    const char *key, size_t key_len);

#endif
