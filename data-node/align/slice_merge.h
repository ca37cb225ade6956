/*
 * Merge: one track's values of a cell, made anew, put among what is stored of
 * the other tracks.
 *
 * Tracks say what they have to say about a slice each on its own, and a cell is
 * their values in order; so where only one track has changed the others are had
 * from the row.  Not so where a rule keeps only the best of them.
 */
#ifndef ALIGN_SLICE_MERGE_H
#define ALIGN_SLICE_MERGE_H

#include "align/slice_fill.h"

/*
 * `refs->cells[facet]` with the values of `track` taken out and those of `own`,
 * its cell made of that track alone, put in; what is new lives in `arena`.
 * `*changed` is set if another cell comes of it, else left.
 * RC_AGAIN: the other tracks must be looked at.  RC_NOTFOUND: a record is gone.
 */
enum rc slice_merge_cell(struct fill *fill, enum facet facet, uint64_t track,
    const struct cell *own, struct arena *arena, struct slice_refs *refs, bool *changed) RC_CHECK;

#endif
