/*
 * Store snapshot: what recall has made of the log, kept so that a start need not
 * read the log anew.
 *
 * Database `snapshot`, derived: number(4) part(4) → sealed; number 2^32-1 is the
 * head, the others are segments that build on each other.  "epoch" → plain: so
 * often something was forgotten.  What the bytes say is recall's affair
 * (recall/snapshot.h).
 * Invariants:
 *  N1  all of it is sealed under one key of its own in the keyring.  A forgetting
 *      takes the head away and retires that key in the commit in which it retires
 *      the keys of the days: what is left is unreadable once it is over, and a
 *      later commit clears it away.
 *  N2  a segment and the head that counts it go in one commit, and only on top of
 *      the head they were made for; never one of before a forgetting, nor while
 *      a forgetting has not come to its end.
 */
#ifndef STORE_STORE_SNAPSHOT_H
#define STORE_STORE_SNAPSHOT_H

#include "base/buf.h"
#include "store/store.h"

#define STORE_SNAPSHOT_SEGMENTS_MAX (UINT32_C(1) << 20)
#define STORE_SNAPSHOT_BYTES_MAX ((size_t)256 << 20) /* of a segment or the head */

struct store_snapshot {
	uint64_t epoch;
	uint64_t run;      /* of one index as it grew: a number drawn when it began */
	uint32_t segments; /* that the head counts */
};

/* The head, its bytes appended to `bytes`.  RC_NOTFOUND: there is none, but the
 * epoch is set; RC_CORRUPT: the same, it does not open. */
enum rc store_snapshot_head(struct store *store, struct store_snapshot *out, struct buf *bytes,
    struct errmsg *why) RC_CHECK;

/* Segment `number`, appended to `bytes`.  RC_NOTFOUND, RC_CORRUPT. */
enum rc store_snapshot_segment(
    struct store *store, uint32_t number, struct buf *bytes, struct errmsg *why) RC_CHECK;

/*
 * The next segment, at->segments, and the head that counts it.  The first one
 * (0) takes the place of whatever was there.  `*stale`: that is not the head
 * that stands, or its epoch is over; nothing was put.
 */
enum rc store_snapshot_put(struct store *store, const struct store_snapshot *at,
    const struct buf *segment, const struct buf *head, bool *stale, struct errmsg *why) RC_CHECK;

/* Segments that no head counts go, a bounded number in a commit, until there are none. */
enum rc store_snapshot_clean(struct store *store, struct errmsg *why) RC_CHECK;

#endif
