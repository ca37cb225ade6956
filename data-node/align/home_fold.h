/*
 * Home fold: of the home's records over a stretch of time, those that still
 * matter behind it.
 *
 * A state holds until its next change, so a window that begins at T depends on
 * records of any age; but of all that lies before T only few can still be told
 * apart by a slice from T on (window.c, track.c):
 *  F1  what may not have ended at T;
 *  F2  of what has ended, of each track the value that ended last, and the stop
 *      that ended last if no value ended after it;
 *  F3  of each lane the last stop of all its tracks, and the last two records
 *      between which its clock epoch changed (the first that names one, if it
 *      never did; where several of one moment name different ones, all of them
 *      and the next, as their order is the window's affair).
 * Two that end at one time both stay.  Folding is associative: a fold of folds
 * one after the other is the fold of all (home.h keeps them by stretches), and
 * it does not depend on the policy.  References only, no content; tracks,
 * lanes and epochs by keyed hashes.
 */
#ifndef ALIGN_HOME_FOLD_H
#define ALIGN_HOME_FOLD_H

#include "align/item.h"
#include "base/buf.h"

/* Stored numbers: never reorder. */
enum home_role {
	HOME_VALUE = 1,
	HOME_STOP,    /* of its track */
	HOME_LANE,    /* a stop of all tracks of its lane */
	HOME_PASSING, /* feeds another facet: matters until it has ended */
};
#define HOME_ROLE_COUNT 4u

struct home_ref {
	uint64_t seq;
	int64_t key_ns, end_ns;     /* item_key_ns(), item_end_ns() */
	uint64_t track, lane, boot; /* hashes; boot 0: names no epoch */
	enum home_role role;
};

struct home_fold {
	struct home_ref *refs; /* [len] in order of key */
	size_t len, cap;
	uint64_t first_seq, last_seq; /* by which what lies in the stretch came or changed */
	bool dense;                   /* too much to keep: the records must be read */
};

#define HOME_HASH_KEY_BYTES 16

void home_fold_init(struct home_fold *fold);
void home_fold_fini(struct home_fold *fold);
void home_fold_reset(struct home_fold *fold);

struct home_ref home_ref_of(const struct item *item, const uint8_t key[HOME_HASH_KEY_BYTES]);

/* `ref->key_ns` is not less than that of the last one.  RC_NOMEM. */
enum rc home_fold_add(struct home_fold *fold, const struct home_ref *ref) RC_CHECK;

/* Append a fold over what follows; it is dense if either is.  RC_NOMEM. */
enum rc home_fold_join(struct home_fold *fold, const struct home_fold *later) RC_CHECK;

/*
 * Leave out what no slice from `end_ns` on can tell; all keys lie before it.
 * RC_NOMEM.  O(len).
 */
enum rc home_fold_keep(struct home_fold *fold, int64_t end_ns) RC_CHECK;

/* The stored form of a fold over [start, start + span).  RC_LIMIT, RC_NOMEM. */
enum rc home_fold_encode(const struct home_fold *fold, int64_t start_ns, struct buf *out) RC_CHECK;
/* Replaces `fold`.  RC_CORRUPT, RC_NOMEM. */
enum rc home_fold_decode(const uint8_t *bytes, size_t len, int64_t start_ns, int64_t span_ns,
    struct home_fold *fold) RC_CHECK;

#endif
