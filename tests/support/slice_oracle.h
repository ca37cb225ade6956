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

/* Inside of it: what the block `obs`, which begins at begin_ns of the hub's time,
 * says in one slice; at most two channels. */
void slice_oracle_block(const struct observation *obs, int64_t begin_ns, int facet,
    int64_t start_ns, int64_t end_ns, char *out, size_t room);

#endif
