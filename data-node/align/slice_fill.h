/*
 * Fill: a stored row back into a slice, its records fetched from the log.
 *
 * Neighbouring slices show the same records, so those that were fetched are
 * kept until so many bytes are in use.  One thread.
 */
#ifndef ALIGN_SLICE_FILL_H
#define ALIGN_SLICE_FILL_H

#include "align/item.h"
#include "align/lookup.h"
#include "align/policy.h"
#include "align/slice_row.h"

struct fill {
	struct store *store;
	const struct store_kept *kept; /* looked into first; NULL */
	const struct policy *policy;
	unsigned facets;      /* that are asked for */
	struct arena records; /* what `items` points into */
	struct lookup items;  /* seq → struct item */
	struct arena arena;   /* of the slice at hand */
};

void fill_init(
    struct fill *fill, struct store *store, const struct policy *policy, unsigned facets);
void fill_fini(struct fill *fill);

/*
 * Set `out->cells` (start and end are set by the caller); what it points to
 * lives until the next call.  RC_NOTFOUND: a record is gone or cannot be read,
 * so the slice must be worked out.  RC_NOMEM, the store's errors.
 */
enum rc fill_slice(struct fill *fill, const struct slice_refs *refs, struct slice *out,
    struct errmsg *why) RC_CHECK;

/* The records of those of `facets` of a row that are not there yet, in one reading,
 * for fill_item(); where one cannot be had, it is told of then.  As above. */
enum rc fill_fetch(struct fill *fill, const struct slice_refs *refs, unsigned facets) RC_CHECK;

/* A record as an item, which lives until the next fill_slice().  As above. */
enum rc fill_item(
    struct fill *fill, uint64_t seq, const struct item **out, struct errmsg *why) RC_CHECK;

#endif
