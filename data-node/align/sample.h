/*
 * Sample: what a block of samples says in one slice.
 *
 * A block is one item over its whole time; what a slice shows of it are the
 * frames whose times lie in that slice: how many, and of each channel the mean
 * (measured values: body, environment), so that slices add up to longer ones,
 * or the frame nearest to the slice's middle (location, where a mean is nowhere
 * the person was).  A slice between two frames shows the nearest one and counts
 * none.  As JSON, after the members of the block's own data:
 *   {"samples":60,"value":71.5}           one channel without a name
 *   {"samples":3,"values":[12,-40.5,3]}   several
 *   {"lat":52.5200066,"lon":13.404954,"samples":1}   named channels
 */
#ifndef ALIGN_SAMPLE_H
#define ALIGN_SAMPLE_H

#include "align/item.h"
#include "base/arena.h"

/* `item->block` is not NULL; *out lives in `arena`.  Pure, O(log frames + frames
 * in the slice).  RC_NOMEM. */
enum rc sample_of_slice(const struct item *item, enum facet facet, int64_t start_ns, int64_t end_ns,
    struct arena *arena, const char **out) RC_CHECK;

#endif
