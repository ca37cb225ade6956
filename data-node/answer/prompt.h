/*
 * Prompt: from a checked request and a pack to the body for a compute node.
 *
 * With context the prompt opens with a system message of its own, always the same: who
 * hearth is, and that "I don't know" is an answer.  The owner's current time, the facts
 * that are kept and the moments stand before the newest question, so that what precedes
 * it need not be computed again for each.  Our words are trusted parts; facts, moments
 * and everything the client sent are untrusted ones, so a special token in them is only
 * characters.
 */
#ifndef ANSWER_PROMPT_H
#define ANSWER_PROMPT_H

#include "answer/chat_request.h"
#include "answer/pack.h"

#define PROMPT_SMALL_CONTEXT ((uint64_t)2048) /* below: the short instruction */

struct prompt_config {
	const char *model;       /* on the nodes */
	uint64_t context;        /* of that model; 0: not known */
	const struct pack *pack; /* NULL: without the person's context */
	uint32_t max_tokens;     /* 0: up to the context */
	int64_t now_utc_ns;
	int32_t offset_s;
	const char *zone;
	bool holds_calls;        /* of that model: it knows the constraints of calls */
	const char *tool_format; /* of that model; "" or NULL: tools are told in words */
};

/* Strings of `request` are borrowed, the rest lives in `arena`.  RC_NOMEM. */
enum rc prompt_build(const struct chat_request *request, const struct prompt_config *config,
    struct arena *arena, struct wire_generate *out) RC_CHECK;

/* Tokens of the prompt without any moments, estimated. */
uint32_t prompt_estimate(const struct chat_request *request, const struct prompt_config *config);

#endif
