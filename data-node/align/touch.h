/*
 * Touch: which slices an observation can change by coming or going.
 *
 * reference: timeline §3, `[t − ε − window, t + ε + carry]`, clipped at the next
 * observation.  Forward, "carry" includes the hour over which an absent cell
 * still names the reason ("stale", "gap").  What a touch leaves out is certainly
 * the same with and without the observation; what it covers may be.
 */
#ifndef ALIGN_TOUCH_H
#define ALIGN_TOUCH_H

#include "align/item.h"
#include "store/store_dirty.h"

/* How many of the track's next values hide the observation from all that
 * follows: one, two where its period gives them theirs, none if it acts on
 * other tracks as well. */
enum touch_clip { TOUCH_NO_CLIP, TOUCH_CLIP_NEXT, TOUCH_CLIP_SECOND };

struct touch {
	int64_t from_ns, to_ns;
	int64_t t0_ns, t1_ns;      /* of the observation */
	int64_t first_ns, last_ns; /* it may lie in [first, last): no other value hides it there */
	uint64_t track;            /* a key: equal where items share tracks and facets */
	unsigned facets;           /* FACET_MASK bits of the cells that can change, scene aside */
	enum touch_clip clip;
	bool clip_back; /* the track's last value before it hides it from what is
			   before that */
};

/* Without looking at any other observation. */
void touch_of_item(
    const struct item *item, enum layer layer, const struct policy *policy, struct touch *out);

/* Of whatever may have happened in a marked range. */
void touch_of_mark(const struct store_dirty *mark, const struct policy *policy, struct touch *out);

/* The track's next narrow value (or, told again, the one behind that) begins
 * behind t1, ends at `next_ns` and may be over as late as `until_ns`. */
void touch_clip_at(struct touch *touch, int64_t next_ns, int64_t until_ns);

/*
 * Clip by what the store holds, on both sides; looks at no more than
 * TOUCH_LOOK_MAX records on each.  Of `within`, layers, as_of_seq and kept say
 * what is read.  The store's errors.
 */
#define TOUCH_LOOK_MAX 2000
enum rc touch_clip_by_store(struct touch *touch, struct store *store,
    const struct store_range *within, const struct policy *policy, struct errmsg *why) RC_CHECK;

/*
 * Of a narrow item that names an epoch: did its lane run in that one before and behind
 * it?  Then no epoch begins or ends by it, and it touches what one that names none
 * does: `out` is that.  RC_NOTFOUND: one may.  The rest as above.
 */
enum rc touch_in_epoch(const struct item *item, struct store *store,
    const struct store_range *within, const struct policy *policy, struct touch *out,
    struct errmsg *why) RC_CHECK;

#endif
