/*
 * Count: how many tokens texts are, asked of a compute node, so that a budget
 * is the model's own and not a guess.
 */
#ifndef ANSWER_COUNT_H
#define ANSWER_COUNT_H

#include "answer/pool.h"

#define COUNT_TIMEOUT_NS (INT64_C(300) * 1000000)

struct count_text {
	const char *text; /* [len], untrusted: special tokens count as characters */
	size_t len;
};

/* `tokens` [n] from a node that serves `model` (NULL: any).  RC_UNAVAILABLE,
 * RC_TIMEOUT, RC_CLOSED: then count_estimate() will do.  Any thread. */
enum rc count_tokens(struct pool *pool, const char *model, const struct count_text *texts, size_t n,
    int64_t timeout_ns, uint32_t *tokens) RC_CHECK;

/* A quarter of the bytes, and one. */
uint32_t count_estimate(size_t len);

#endif
