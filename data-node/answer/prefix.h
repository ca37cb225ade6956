/*
 * Prefix: how a prompt begins, as hashes of ever more of it, so that prompts with
 * the same beginning are told and nothing of their text is kept.
 *
 * Step i hashes the first (i + 1) * PREFIX_STEP_BYTES bytes of what a template is
 * likely to write first: who asks, tools, then message after message.  Hashes are
 * keyed anew in each process.  What they lead to is a guess that costs time when it
 * is wrong: a compute node compares token by token.  Any thread.
 */
#ifndef ANSWER_PREFIX_H
#define ANSWER_PREFIX_H

#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"
#include "wire/message.h"

#define PREFIX_STEP_BYTES ((size_t)256)
#define PREFIX_STEPS_MAX ((size_t)8192) /* 2 MiB of a prompt; what follows is not looked at */

struct prefix {
	uint64_t *steps; /* [len] malloc'd, each of this hash and all before it */
	size_t len;
};

/*
 * Of messages, tools or a raw prompt.  `whose` parts those who must not learn from
 * a short wait what another one asked.  RC_NOMEM; `out` is then empty.
 */
enum rc prefix_make(
    const struct wire_generate *generate, uint64_t whose, struct prefix *out) RC_CHECK;
void prefix_fini(struct prefix *prefix);

/* Steps that both begin with. */
size_t prefix_shared(const struct prefix *a, const struct prefix *b);

#endif
