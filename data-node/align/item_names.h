/*
 * Item names: what is known of each (layer, source, kind) met in a stream, worked
 * out once, and their texts, so that items of a window need no copies of these.
 * One thread.
 */
#ifndef ALIGN_ITEM_NAMES_H
#define ALIGN_ITEM_NAMES_H

#include "align/item.h"

/* Later ones are worked out for each item, which then carries its own texts. */
#define ITEM_NAMES_MAX ((size_t)4096)

struct item_names;

/* NULL on no memory.  What items borrow of it lives until the free. */
struct item_names *item_names_new(void);
void item_names_free(struct item_names *names);

/* item_of_observation(), by the name. */
void item_of_names(struct item_names *names, const struct observation *obs,
    const struct policy *policy, struct item *out, struct item_rest *rest);

#endif
