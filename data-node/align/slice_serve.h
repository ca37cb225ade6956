/*
 * Serving slices: from their rows where those stand, worked out where not; the
 * bytes are the same either way.
 *
 * A row stands if its slice had ended when it was built, no mark lies over it,
 * and it tells of the log up to the cursor that is asked for.  Version, state
 * and cause always come from the lifecycle.  A slice of another step has the
 * highest version of the grid's slices it meets, and is sealed when they are.
 */
#ifndef ALIGN_SLICE_SERVE_H
#define ALIGN_SLICE_SERVE_H

#include "align/policy.h"

struct slice_source {
	struct store *store;
	const struct policy *policy;
	int64_t now_ns;    /* slices that end later are "open" */
	bool as_known;     /* query->as_of_seq names a past: state as known then */
	bool work_out_all; /* never read a row's content */
};

struct slice_served {
	size_t from_rows, worked_out; /* slices that were visited */
};

/*
 * Slices of `query` (its policy is ignored) in order of time; as slice_build().
 * `served` may be NULL.  Any thread.
 */
enum rc slice_serve(const struct slice_source *source, const struct slice_query *query,
    slice_visit_fn *visit, void *ctx, struct slice_served *served, struct errmsg *why) RC_CHECK;

#endif
