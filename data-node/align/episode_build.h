/*
 * Episode build: the rows of stored episodes, made once all they depend on is
 * sealed.
 *
 * Time here is the log's own, as in lifecycle.h, so rows are a function of the
 * log, the clock maps and the policy.  What is not sealed, goes on, or is damaged
 * has no row: it is worked out when it is asked for.  Nor has a stretch in which
 * no slice is stored, for it costs nothing.
 */
#ifndef ALIGN_EPISODE_BUILD_H
#define ALIGN_EPISODE_BUILD_H

#include <stdatomic.h>

#include "align/policy.h"

struct builder_state; /* align/builder_inner.h */
struct store;

#define EPISODE_BUILD_NS INT64_C(250000000)

/* It goes over the stretches in rounds, from the first that may lack its row to what is
 * closed; a round takes several calls where there is much to read. */
struct episode_build {
	int64_t most_ns;  /* the work of one call, about; EPISODE_BUILD_NS */
	int64_t next_ns;  /* stretches before it have rows, or can have none; INT64_MIN: unknown */
	int64_t tried_ns; /* the log's time when a round began last; INT64_MIN: never */
	bool more;        /* a round is under way: */
	int64_t at_ns;    /* it has come to here, */
	int64_t first_ns; /* and this was the first that it could not make; INT64_MAX: none */
};

void episode_build_init(struct episode_build *build);

/* Slices at or behind `from_ns` have changed. */
void episode_build_touched(struct episode_build *build, int64_t from_ns);

/*
 * Make the rows that are missing, for about build->most_ns of work or until
 * `*stop`; does something every few minutes of the log's time, and while there is
 * `more`.  Called by whoever commits slices, behind that, with its state as it
 * was committed; the errors of slice_serve().
 */
enum rc episode_build(struct episode_build *build, struct store *store, const struct policy *policy,
    const struct builder_state *state, const atomic_bool *stop, struct errmsg *why) RC_CHECK;

#endif
