/*
 * Vectors: texts embedded by a compute node of the pool.
 *
 * A node that goes away in mid-request is replaced by another that serves the
 * very same model, or waited for.  Call from a thread that may block.
 */
#ifndef ANSWER_VECTORS_H
#define ANSWER_VECTORS_H

#include "answer/pool.h"

#define VECTORS_BATCH_MAX ((size_t)256) /* texts in one message */
#define VECTORS_BATCH_BYTES_MAX ((size_t)4 << 20)

struct vectors_want {
	const char *model;           /* its name, where it was found */
	const uint8_t *content_hash; /* of it: any node that has it will do */
	const char *const *texts;    /* [n], 1 … VECTORS_BATCH_MAX */
	size_t n;
	int64_t timeout_ns;      /* in all */
	int64_t away_ns;         /* how long to wait for a node, each time */
	bool (*gone)(void *ctx); /* asked now and then; true: give up */
	void *ctx;
};

struct vectors {
	float *values; /* [n][length]; freed by vectors_fini() */
	uint32_t length, prompt_tokens;
	uint64_t context, needed; /* with RC_CONTEXT, where the node said so */
};

/*
 * RC_UNAVAILABLE: no node serves it; RC_TIMEOUT, RC_CANCELLED (gone); what the
 * node refused with: RC_CONTEXT, RC_BUSY, RC_INVALID, RC_LIMIT, RC_UNSUPPORTED,
 * RC_NOMEM, RC_IO (anything else).  `out` needs vectors_fini() in any case.
 */
enum rc vectors_get(struct pool *pool, const struct vectors_want *want, struct vectors *out,
    struct errmsg *why) RC_CHECK;

void vectors_fini(struct vectors *vectors);

#endif
