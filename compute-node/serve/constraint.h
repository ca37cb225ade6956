/*
 * Constraint: what holds an answer to a JSON object or a schema, or its calls to tools.
 *
 * Compiled on the desk, with all the memory that it will need; so many at once, the
 * rest are told to come again.  What a node cannot hold an answer to it refuses.
 */
#ifndef SERVE_CONSTRAINT_H
#define SERVE_CONSTRAINT_H

#include "grammar/matcher.h"
#include "serve/fleet.h"
#include "wire/message.h"

#define CONSTRAINTS_MAX                                                                            \
	48u /* of all models: answers that run and that wait; ~2 MiB each at most                  \
	     */

/*
 * RC_OK with `*out` NULL where there is no constraint.  RC_UNSUPPORTED, RC_INVALID, RC_LIMIT: what
 * schema_compile() says, or the model's vocabulary cannot spell every text; RC_BUSY: as many
 * as there may be; RC_NOMEM.
 */
enum rc constraint_new(const struct served_model *model, const struct wire_constraint *constraint,
    struct matcher **out, struct errmsg *why) RC_CHECK;
void constraint_free(struct matcher *matcher);

#endif
