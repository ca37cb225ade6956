/*
 * Cell: the picks of a facet's tracks put together, in order.
 */
#ifndef ALIGN_CELL_H
#define ALIGN_CELL_H

#include "align/pick.h"

/* From picks to a cell; sorts `list`.  `values` must outlive `out`,
 * and has room for all picks or SLICE_CELL_VALUES_MAX. */
void cell_of_picks(const struct policy_rule *rule, struct pick_list *list,
    struct cell_value *values, struct cell *out);

/*
 * The same without picks and sorting, for tracks that have plain entries in the
 * slice and nothing odd: one track, whose rule takes all of them and what it
 * carries;
 */
void cell_of_track(const struct track *track, const struct policy *policy, int64_t start_ns,
    int64_t end_ns, struct cell_value *values, struct cell *out);

/* or 1 ≤ n ≤ CELL_NEAREST_MAX tracks, of each of which the rule takes the nearest
 * and carries nothing beside it. */
#define CELL_NEAREST_MAX ((size_t)16)
void cell_of_nearest(struct track *const *tracks, size_t n, int64_t start_ns, int64_t end_ns,
    struct cell_value *values, struct cell *out);

#endif
