/*
 * Track: one facet's items of one (source, layer, kind, thing), in order.
 *
 * A track holds what the slices still to come can touch: the entries that are
 * in or behind the current slice, the ones read ahead, and of everything that
 * has passed only the last one that ended ("left").  One thread.
 * Invariants:
 *  T1  entries[head..mid) may have begun before the slice's end, [mid..len) not
 *      (by key_ns and the widest ε of a narrow item).
 *  T2  no entry in [head..mid) has expired at the slice's start.
 *  T3  left is the expired entry with the greatest (item_end_ns, order).
 */
#ifndef ALIGN_TRACK_H
#define ALIGN_TRACK_H

#include "align/item.h"

/* The strings of one item, shared by the facets it feeds; borrowed ones have
 * none. */
struct track_strings {
	size_t refs, bytes_len;
	char bytes[];
};

struct track_entry {
	struct item item;
	struct track_strings *strings; /* NULL: the caller keeps them alive */
};

struct track {
	uint64_t key, lane;
	enum facet facet;
	struct track_entry *entries;
	size_t head, mid, len, cap;
	struct track_entry left, note;
	bool has_left, has_note;
	bool has_start, has_last; /* values so far: the newest start of a narrow one,
				     the latest end */
	int64_t last_t0_ns, last_t1_ns;
};

/* Memory of all tracks of a window, against its limits. */
struct track_use {
	size_t entries, bytes;
};

/* Copy `item`'s strings; NULL on no memory.  put drops one reference. */
struct track_strings *track_strings_new(struct item *item, struct track_use *use);
void track_strings_put(struct track_strings *strings, struct track_use *use);

/*
 * Add the next item of this track; what has expired at `slice_start_ns`
 * already is folded into left.  Takes one reference of `strings` (may be NULL)
 * over on success.  RC_NOMEM.
 */
enum rc track_push(struct track *track, const struct item *item, struct track_strings *strings,
    const struct policy *policy, int64_t slice_start_ns, struct track_use *use) RC_CHECK;

/* Move on to the slice [start, end): restores T1 and T2. */
void track_advance(struct track *track, int64_t start_ns, int64_t end_ns, struct track_use *use);

/* True if no slice from `start_ns` on can tell this track from no track. */
bool track_is_spent(const struct track *track, int64_t start_ns, const struct policy *policy);

void track_fini(struct track *track, struct track_use *use);

#endif
