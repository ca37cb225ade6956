/*
 * Slice oracle: the semantics of slices by brute force.
 *
 * Every slice looks at every observation again; nothing is remembered between
 * slices and no code is shared with the aligner except its policy table and
 * the JSON writer.  O(N² · slices): for tests on small streams.
 */
#ifndef SUPPORT_SLICE_ORACLE_H
#define SUPPORT_SLICE_ORACLE_H

#include "align/policy.h"
#include "align/window.h"

/* Slices of `grid` over obs [n] in any order; JSON objects, one a line. */
void slice_oracle(const struct policy *policy, const struct window_grid *grid,
    const struct observation *obs, size_t n, struct buf *out);

#endif
