/*
 * Cell: the picks of a facet's tracks put together, in order.
 */
#ifndef ALIGN_CELL_H
#define ALIGN_CELL_H

#include "align/pick.h"

/* From picks to a cell; sorts `list`, the values go to `arena`.  RC_NOMEM. */
enum rc cell_of_picks(const struct policy_rule *rule, struct pick_list *list, struct arena *arena,
    struct cell *out) RC_CHECK;

#endif
