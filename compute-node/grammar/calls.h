/*
 * Calls: from tools, as OpenAI's API has them, to the automaton of a call's text behind the
 * mark that begins it.
 *
 * The name is one of the tools'; the arguments are what its parameters allow where the
 * function says "strict": true, and any JSON object where it does not.
 */
#ifndef GRAMMAR_CALLS_H
#define GRAMMAR_CALLS_H

#include <stddef.h>

#include "base/errmsg.h"

struct automaton;

enum calls_form {
	CALLS_ARGUMENTS,  /* {"name": "NAME", "arguments": {…}} */
	CALLS_PARAMETERS, /* {"name": "NAME", "parameters": {…}} */
	CALLS_ARRAY,      /* […], of the first of these */
	CALLS_NAMED,      /* NAME, a line feed, {…}: the name stands elsewhere in the answer */
};

#define CALLS_TOOLS_MAX 128u

/* As schema_compile(); `json` is an array of tools. */
enum rc calls_compile(enum calls_form form, const char *json, size_t len, struct automaton **out,
    struct errmsg *why) RC_CHECK;

#endif
