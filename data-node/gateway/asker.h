/*
 * Asker: the night's questions, asked of a compute node of the pool.
 *
 * Which model: the one that the owner named for the night, or else the largest that
 * chats and can be held to a form.  Answers that somebody waits for go first: none is
 * asked for while there is one, and one that begins takes the compute node from us.
 */
#ifndef GATEWAY_ASKER_H
#define GATEWAY_ASKER_H

#include "answer/pool.h"
#include "night/ask.h"

struct asker;

/* `pool` and `model` (NULL: as said above) are borrowed until asker_free(). */
enum rc asker_new(struct pool *pool, const char *model, struct asker **out) RC_CHECK;
void asker_free(struct asker *asker);

/* Lives as long as `asker`. */
struct ask asker_for_night(struct asker *asker);

#endif
