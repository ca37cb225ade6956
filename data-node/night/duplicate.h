/*
 * Duplicates: the same thing seen through two sources.
 *
 * A message on phone and PC, a notification shown again, a photo synced twice,
 * one GPS fix in two apps.  Observations come in order of time; each is
 * compared with those of the last DUPLICATE_WINDOW_NS:
 *   text   equal after folding case, marks, signs and blanks; or nearly so:
 *          MinHash over shingles of four letters finds candidates, the sets
 *          themselves decide (Broder 1997).  Numbers must agree, and the
 *          senders where both name one.  A cut-off text is a copy of the whole.
 *   fix    within 1.5 s and 2 m
 *   file   the same content hash, or the same name and size
 *   data   the same kind and data within 2 s
 * Two observations of one source are two things that happened, except files
 * and notifications: what someone writes twice is no copy.  So a source comes
 * once in a group, and a copy names the first of its group.
 * Memory is bounded: past DUPLICATE_ITEMS_MAX the oldest are no longer looked
 * at.  Deterministic; one thread.
 */
#ifndef NIGHT_DUPLICATE_H
#define NIGHT_DUPLICATE_H

#include "store/observation.h"

#define DUPLICATE_WINDOW_NS INT64_C(600000000000)
#define DUPLICATE_REACH_NS INT64_C(1800000000000) /* of a copy from the first */
#define DUPLICATE_ITEMS_MAX 4096
#define DUPLICATE_LIKENESS 0.8 /* Jaccard, from here on nearly equal */

enum duplicate_how {
	DUPLICATE_NONE,
	DUPLICATE_SAME_TEXT,
	DUPLICATE_NEAR_TEXT,
	DUPLICATE_CUT_TEXT,
	DUPLICATE_SAME_FIX,
	DUPLICATE_SAME_FILE,
	DUPLICATE_SAME_DATA,
};

struct duplicate {
	enum duplicate_how how;
	uint8_t of[OBS_ID_BYTES]; /* the first of its group */
	double confidence;
	int64_t apart_ns; /* from the first */
};

struct duplicate_window;

enum rc duplicate_new(struct duplicate_window **out) RC_CHECK;
void duplicate_free(struct duplicate_window *window);
/* Forget everything. */
void duplicate_reset(struct duplicate_window *window);

/* The next observation, not before the last one; `out->how` tells whether it
 * copies an earlier one. */
void duplicate_push(
    struct duplicate_window *window, const struct observation *obs, struct duplicate *out);

const char *duplicate_word(enum duplicate_how how); /* "same_text" */

#endif
