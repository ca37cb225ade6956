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
 * The same for a facet whose one track has plain entries in the slice and whose
 * rule takes all of them: no picks, no sorting, and the values are the track's
 * own, which stay as they are until it is advanced.  RC_NOMEM.
 */
enum rc cell_of_plain(struct track *track, const struct policy_rule *rule, int64_t start_ns,
    int64_t end_ns, struct cell *out) RC_CHECK;

#endif
