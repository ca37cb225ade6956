/*
 * Store forget: observations of a range, layer or source are gone for good.
 *
 * reference: timeline §5.  A forgotten record becomes a tombstone (its id and
 * times stand, so that a phone's re-upload is a duplicate); the keys of every
 * (day, layer) that held one are dropped, after what stays of that day was
 * sealed under a new key; everything else is wrapped under a fresh KEK.  All
 * versions of an observation count, each by its own layer, source and time.
 *
 * With an observation go the labels (night/label.h) of its days and of the days
 * beside them, in every layer: what they say may have been read from it.  The
 * next night says anew what still holds.  Facts (memory/fact.h) go with any
 * observation that they name as read.  How far the night's work has come, and what
 * became of facts (the owner's removal, say), hold no content and are never
 * forgotten for their own time or source.
 *
 * A time is where an observation may lie on the hub's time: one whose clock is
 * off by hours, or in limbo, is forgotten if any of its stretch is in the range.
 *
 * The log says what was forgotten: a record with `forget_layers` forgets what
 * matches it among the records before it.  That record is written first; a
 * forgetting that was cut off is finished by the next store_open().
 */
#ifndef STORE_STORE_FORGET_H
#define STORE_STORE_FORGET_H

#include "store/store.h"

struct store_forget {
	int64_t from_ns, to_ns; /* hub time, what intersects [from, to); OBS_TIME_MIN_NS
				   and OBS_TIME_MAX_NS: no bound on that side */
	unsigned layers;        /* LAYER_MASK bits; 0: all */
	const char *source;     /* NULL: all */
};

struct store_forgotten {
	uint64_t seq;           /* of the record that says so */
	uint64_t records;       /* forgotten; every version of an observation counts,
				   labels and facts that went along do not */
	uint64_t resealed;      /* stay, under a new key */
	uint64_t keys;          /* dropped */
	uint64_t looked, total; /* records of the log passed, of how many */
};

/* RC_INVALID names the field: "to: …", "from: …", "layer: …", "source: …". */
enum rc store_forget_check(const struct store_forget *what, struct errmsg *why) RC_CHECK;

/* How many records would be forgotten. */
enum rc store_forget_count(struct store *store, const struct store_forget *what, uint64_t *records,
    struct errmsg *why) RC_CHECK;

/*
 * One forgetting at a time: RC_BUSY.  After begin nothing brings back what
 * matches; it is finished by steps of bounded length, between which appends go
 * on, or by the next store_open().  Any one thread.
 */
struct store_forget_run;
enum rc store_forget_begin(struct store *store, const struct store_forget *what,
    struct store_forget_run **out, struct errmsg *why) RC_CHECK;
/* RC_FULL: not even the reserve is left; it may be tried again. */
enum rc store_forget_step(struct store_forget_run *run, bool *done, struct errmsg *why) RC_CHECK;
const struct store_forgotten *store_forget_result(const struct store_forget_run *run);
void store_forget_end(struct store_forget_run *run);

/* All of it. */
enum rc store_forget(struct store *store, const struct store_forget *what,
    struct store_forgotten *out, struct errmsg *why) RC_CHECK;

/* True while one is under way: what matches it may still be read. */
bool store_forgetting(const struct store *store);

/* The same, or one gave up after it had retired keys: it comes to its end later. */
bool store_forget_unfinished(const struct store *store);

/* Grows each time when records of the log were written anew, here or where it follows:
 * who keeps what it read must then read again. */
uint64_t store_rewrites(const struct store *store);

/* Does the record `forget` (forget_layers != 0) forget `obs`?  Pure. */
bool store_forget_matches(const struct observation *forget, const struct observation *obs);

#endif
