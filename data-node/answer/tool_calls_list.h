/*
 * The inside of reading calls: the list that each reader fills.
 */
#ifndef ANSWER_TOOL_CALLS_LIST_H
#define ANSWER_TOOL_CALLS_LIST_H

#include <jansson.h>

#include "answer/tool_calls.h"

/* Append one: `arguments` is an object, or a string with one in it; nothing is {}.  False:
 * it is none, there are too many, or no memory. */
bool tool_calls_add(
    struct tool_calls *list, const char *name, size_t name_len, const json_t *arguments);

/* tool_calls_gemma.c: all calls of [at, end). */
bool tool_calls_read_gemma(struct tool_calls *list, const char *at, const char *end);

/* As tool_calls_within(). */
bool tool_calls_within_gemma(const char *at, const char *end);

#endif
