/*
 * Pick: what one track has to say about one slice.
 *
 * In this order: what lies in the slice; a blend of the values on both sides;
 * the nearest outside it; the last one, carried.  Nothing is blended or
 * carried over a stop.  An interval says its own end: it joins by overlap, and
 * outlives it only by a pulse or an "unchanged".  Pure but for the arena of blended values.
 */
#ifndef ALIGN_PICK_H
#define ALIGN_PICK_H

#include "align/track.h"

/* How a value came in, strongest first. */
enum pick_rank { PICK_INSIDE, PICK_BLENDED, PICK_NEAREST, PICK_CARRIED };

struct pick {
	struct cell_value value;
	int64_t error_ns;
	enum pick_rank rank;
};

/* Picks of one cell, grown as needed. */
struct pick_list {
	struct pick *picks;
	size_t len, cap;
	const char *absent_reason; /* the weightiest of the tracks without a pick */
};

/* Add the picks of `track` (advanced to [start, end)).  RC_NOMEM. */
enum rc pick_track(const struct track *track, int64_t start_ns, int64_t end_ns,
    const struct policy *policy, struct arena *arena, struct pick_list *list) RC_CHECK;

/*
 * What a track that has values in the slice carries into it all the same: the
 * state that it had before them.  NULL if nothing; else the item and its age.
 */
const struct item *pick_carried(const struct track *track, const struct policy *policy,
    int64_t start_ns, int64_t end_ns, int64_t *age_ns);

/* Of a track with nothing but plain entries in the slice, the index of the first
 * of those nearest to the middle. */
size_t pick_nearest_plain(const struct track *track, int64_t start_ns, int64_t end_ns);

/* Reasons by weight; NULL is the lightest. */
const char *pick_reason_max(const char *a, const char *b);

#endif
