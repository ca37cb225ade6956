/*
 * Calls: from tools, as OpenAI's API has them, to the automaton of calls as a family of
 * models writes them.
 *
 * A call that need not come is laid down from behind the mark that begins it, or them all; one
 * that must, with that mark, and maybe with reasoning before it and more calls behind it.  The
 * name is one of the tools'; the arguments are what its parameters allow where the
 * function says "strict": true or a call must come, and anything that is written as an object
 * elsewhere.
 */
#ifndef GRAMMAR_CALLS_H
#define GRAMMAR_CALLS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/errmsg.h"

struct automaton;

enum calls_form {
	CALLS_ARGUMENTS,  /* {"name": "NAME", "arguments": {…}}</tool_call> */
	CALLS_PARAMETERS, /* {"name": "NAME", "parameters": {…}}; … */
	CALLS_ARRAY,      /* […], of objects like the first */
	CALLS_ARGS,       /* NAME[ARGS]{…}, or with [CALL_ID] before [ARGS] */
	CALLS_MARKED,     /* DeepSeek's marks around NAME and {…} */
	CALLS_FENCED,     /* the same with the arguments between ```json and ``` */
	CALLS_FUNCTION,   /* <function=NAME><parameter=KEY>value</parameter>…</function> */
	CALLS_KEYED,      /* NAME<arg_key>KEY</arg_key><arg_value>value</arg_value>… */
	CALLS_GEMMA,      /* call:NAME{KEY:value,…} */
	CALLS_NAMED,      /* NAME, a line feed, {…}: the name stands elsewhere in the answer */
	CALLS_MESSAGE,    /* what that is of: a message of harmony, with its header */
	CALLS_N,
};

#define CALLS_TOOLS_MAX 128u

struct calls_want {
	enum calls_form form;
	bool must;   /* a call has to come */
	bool thinks; /* MUST: reasoning may stand before it */
	bool one;    /* MUST: and no other follows it */
};

/* As schema_compile(); `json` is an array of tools. */
enum rc calls_compile(const struct calls_want *want, const char *json, size_t len,
    struct automaton **out, struct errmsg *why) RC_CHECK;

#endif
