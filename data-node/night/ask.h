/*
 * Ask: what the night needs of a model, as a table of functions.
 *
 * The night knows no compute node: whoever runs it says which model there is and
 * has it asked (gateway/asker.h); tests script one.  One thread.
 */
#ifndef NIGHT_ASK_H
#define NIGHT_ASK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/errmsg.h"

#define ASK_MODEL_BYTES_MAX ((size_t)256)
#define ASK_ANSWER_BYTES_MAX ((size_t)32 << 10)

struct ask_model {
	char name[ASK_MODEL_BYTES_MAX];
	uint64_t context; /* tokens; 0: not known */
};

struct ask_question {
	const char *instruction; /* ours */
	const char *material;    /* from the timeline: no special token in it is one */
	const char *schema;      /* JSON: what the answer is held to */
	uint32_t tokens_max;     /* of the answer */
	int64_t timeout_ns;      /* of the answer, without waiting for its turn */
};

struct ask {
	void *ctx;
	/* The model that would be asked now.  RC_UNAVAILABLE: there is none. */
	enum rc (*which)(void *ctx, struct ask_model *out);
	/*
	 * Ask `model`, greedily, and wait for the whole answer, which `out` then holds.  A
	 * person's answer goes first: it is waited for, and one that begins meanwhile
	 * makes this one start over.  `go_on` (may be NULL) is looked at several times a
	 * second; false: RC_CANCELLED.  RC_UNAVAILABLE, RC_TIMEOUT: the model went away,
	 * or is too slow; RC_CONTEXT: the question is too long for it; RC_LIMIT: the answer
	 * has no end; anything else: it cannot be asked this.
	 */
	enum rc (*answer)(void *ctx, const struct ask_model *model,
	    const struct ask_question *question, bool (*go_on)(void *go_on_ctx), void *go_on_ctx,
	    struct buf *out, struct errmsg *why);
};

#endif
