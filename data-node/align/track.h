/*
 * Track: one facet's items of one (source, layer, kind, thing), in order.
 *
 * A track holds what the slices still to come can tell: the entries that are in
 * or behind the current slice, the ones read ahead, and of everything that has
 * passed only the last one that ended ("left").  Where a rule takes one instant a
 * slice, the nearest to its middle, most of a dense track can be told by no slice
 * and is left out as it comes.  One thread.
 * Invariants:
 *  T1  entries[head..mid) may have begun before the slice's end, [mid..len) not
 *      (by key_ns and the widest ε of a narrow item).
 *  T2  no entry in [head..mid) has expired at the slice's start.
 *  T3  left is the expired entry with the greatest (item_end_ns, order).
 *  T4  odd_len counts the odd entries of [head..len).  While it is 0, all are
 *      plain: narrow instants of one ε, so what touches a slice is a range of
 *      indexes and no item needs to be looked at to find it.
 *  T5  entries[first..len) are the plain ones that began in the stretch of the grid
 *      up to stretch_end_ns, mid ≤ first ≤ best: the first of all, the first of
 *      those nearest to its middle, and the last (with what shares its time).  The
 *      slice of the stretch shows best; another one that any of them touches shows
 *      first or last, if one of its own does not come before them; and what has
 *      nothing inside looks at the nearest outside.
 */
#ifndef ALIGN_TRACK_H
#define ALIGN_TRACK_H

#include <stddef.h>

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
	struct item_rest rest;
	char bytes[];
};

/* An entry keeps the hold that its item stands in; an item that stands in none
 * is kept alive by the caller. */
struct track_entry {
	int64_t t0_ns;    /* of the item */
	int64_t pause_ns; /* since the track's last value: track_period_ns() */
	const struct item *item;
};

/* What a track must know of its window: of the grid a slice's start and the step. */
struct track_round {
	const struct policy *policy;
	int64_t start_ns; /* of the next slice */
	int64_t step_ns;
};

struct track {
	uint64_t key, lane;
	struct track_entry *entries; /* [cap] */
	size_t head, mid, len, cap, odd_len;
	int64_t early_ns, late_ns;           /* ε of the plain ones */
	int64_t last_t0_ns, last_t1_ns;      /* a later t0 is also a later end */
	bool has_start, has_last;            /* values so far: the newest start of a narrow one,
						the latest end */
	bool has_left, has_note, left_odd;   /* left was odd, or expired out of order */
	bool thins;                          /* T5; else stretch_end_ns stays INT64_MIN */
	int64_t stretch_end_ns, best_off_ns; /* twice the distance to the middle */
	size_t first, best;
	enum facet facet;
	struct track_entry left, note;
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

/* A copy of the item and its strings, held; NULL on no memory.  get and put add
 * and drop one reference of an item that is held. */
const struct item *track_hold_new(const struct item *item, struct track_use *use);
void track_hold_drop(const struct item *item, struct track_use *use);

static inline struct track_hold *track_hold_of(const struct item *item)
{
	return (
	    struct track_hold *)(uintptr_t)((const char *)item - offsetof(struct track_hold, item));
}

static inline void track_hold_get(const struct item *item)
{
	track_hold_of(item)->refs++;
}

/* Of any item: where nothing is held, it is not even looked at. */
static inline void track_hold_put(const struct item *item, struct track_use *use)
{
	if (use->bytes > 0 && item->held)
		track_hold_drop(item, use);
}

/*
 * Add the next item of this track, which may share its time with others of it if
 * `tied`; what has expired when the next slice begins
 * already is folded into left.  Takes over a reference of an item that is held.
 * RC_NOMEM: it does not.
 */
enum rc track_push(struct track *track, const struct item *item, bool tied,
    const struct track_round *round, struct track_use *use) RC_CHECK;

/*
 * The same for as many of `items` as are of the first one's track and like its
 * plain entries, and share their time with no other one, from the first on:
 * returns how many.  The last one never is.  They are not held.
 */
size_t track_push_run(struct track *track, const struct item *items, size_t n,
    const struct track_round *round, struct track_use *use);

/* Of the track, at this value. */
static inline int64_t track_period_ns(const struct track_entry *entry, const struct policy *policy)
{
	if (entry->pause_ns > 0 && entry->pause_ns <= policy->period_max_ns)
		return entry->pause_ns;
	return policy->period_default_ns < policy->period_max_ns ? policy->period_default_ns
								 : policy->period_max_ns;
}

/* The latest end of a value so far. */
static inline int64_t track_last_end_ns(const struct track *track)
{
	bool later = track->has_start && track->last_t0_ns > track->last_t1_ns;

	return later ? track->last_t0_ns : track->last_t1_ns;
}

/* Move on to the slice [start, end): restores T1 and T2. */
void track_advance(struct track *track, int64_t start_ns, int64_t end_ns, struct track_use *use);

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
	return sizeof *track + track->cap * sizeof *track->entries;
}

void track_fini(struct track *track, struct track_use *use);

#endif
