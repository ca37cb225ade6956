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
 *  T4  odd_len counts the odd entries of [head..len).  While it is 0, all are
 *      plain: narrow instants of one ε, so what touches a slice is a range of
 *      indexes and no item needs to be looked at to find it.
 *  T5  shown.values[first..first + len) show entries[head..head + len), and the
 *      place before them is free: a cell puts there what it carries.
 */
#ifndef ALIGN_TRACK_H
#define ALIGN_TRACK_H

#include "align/item.h"

/* An item that the window holds, with its strings: shared by the facets it
 * feeds. */
struct track_hold {
	union {
		size_t refs;
		struct track_hold *spare; /* the next one that waits for use */
	};
	size_t bytes_len;
	struct item item;
	char bytes[];
};

struct track_entry {
	int64_t t0_ns, period_ns; /* the item's; of the track at this item */
	const struct item *item;
	struct track_hold *hold; /* NULL: the caller keeps the item alive */
	bool odd;                /* not plain */
};

/* Entries as a cell shows them, written once for all the slices they are in;
 * only of tracks whose cells show every entry inside. */
struct track_shown {
	struct cell_value *values; /* [cap] */
	size_t first, len, cap;
};

struct track {
	uint64_t key, lane;
	struct track_entry *entries; /* [cap] */
	size_t head, mid, len, cap, odd_len;
	int64_t early_ns, late_ns; /* ε of the plain ones */
	int64_t last_t0_ns, last_t1_ns;
	bool has_start, has_last; /* values so far: the newest start of a narrow one,
				     the latest end */
	bool has_left, has_note;
	enum facet facet;
	struct track_entry left, note;
	struct track_shown shown;
};

/* Memory of all tracks of a window, against its limits.  Holds come and go one
 * for one: small ones are used again, by size. */
#define TRACK_SPARE_STEP ((size_t)64)
#define TRACK_SPARE_SIZES ((size_t)10)
struct track_use {
	size_t entries, bytes, spare_bytes;
	struct track_hold *spare[TRACK_SPARE_SIZES]; /* [n]: of n steps */
};
void track_use_fini(struct track_use *use);

/* Copy `item` and its strings; NULL on no memory.  put drops one reference. */
struct track_hold *track_hold_new(const struct item *item, struct track_use *use);
void track_hold_put(struct track_hold *hold, struct track_use *use);

/*
 * Add the next item of this track; what has expired at `slice_start_ns`
 * already is folded into left.  Takes one more reference of `hold` (NULL: the
 * item is borrowed).  RC_NOMEM.
 */
enum rc track_push(struct track *track, const struct item *item, struct track_hold *hold,
    const struct policy *policy, int64_t slice_start_ns, struct track_use *use) RC_CHECK;

/* Move on to the slice [start, end): restores T1 and T2. */
void track_advance(struct track *track, int64_t start_ns, int64_t end_ns, struct track_use *use);

/* Show the first `n` entries of the slice, all of them plain (T5).  RC_NOMEM. */
enum rc track_show(struct track *track, size_t n) RC_CHECK;

/* True if all entries are plain and some of them touch the slice. */
static inline bool track_is_plain_in(const struct track *track)
{
	return track->odd_len == 0 && track->head < track->mid;
}

/* True if no slice from `start_ns` on can tell this track from no track. */
bool track_is_spent(const struct track *track, int64_t start_ns, const struct policy *policy);

/* Of itself and its arrays; holds are counted where they are made. */
static inline size_t track_bytes(const struct track *track)
{
	return sizeof *track + track->cap * sizeof *track->entries +
	       track->shown.cap * sizeof *track->shown.values;
}

void track_fini(struct track *track, struct track_use *use);

#endif
