/*
 * Episodes: runs of slices cut where the scene changes.
 *
 * reference: timeline §3.  Whether a slice begins an episode is decided by the
 * slices around it alone, so episodes are a function of the slices in which
 * something was observed, wherever a reader starts:
 *  E1  after a gap of EPISODE_GAP_SLICES without anything observed;
 *  E2  where scene, named place, position or company is another than it was last
 *      known to be, and stays so for EPISODE_HOLD_SLICES (what says nothing
 *      neither starts nor ends anything);
 *  E3  at the first slice behind a UTC midnight, if the day before that had no
 *      cut of those kinds.
 * Version is the highest of its slices', and it is sealed when they are: an
 * episode is reopened as they are.
 *
 * Where all is sealed and has ended, episodes are stored by stretches of four
 * hours (store/store_episode.h), by reference: which slices say what an episode
 * was.  A row says what would be worked out anew, or a mark lies over it; where
 * none stands they are worked out, with the same result.
 */
#ifndef ALIGN_EPISODE_H
#define ALIGN_EPISODE_H

#include "align/slice_serve.h"

#define EPISODE_GAP_SLICES 30
#define EPISODE_HOLD_SLICES 4
#define EPISODE_KNOWN_SLICES 30 /* how long what was last known counts */
#define EPISODE_METRES 400.0    /* farther is another place */
#define EPISODE_PEOPLE_MAX 8
#define EPISODE_RANGE_NS_MAX (INT64_C(92) * 86400 * 1000000000)

struct episode {
	int64_t start_ns, end_ns;
	uint64_t version;
	const char *state; /* "open", "provisional", "sealed", "reopened" */
	const char *cause; /* of the version; NULL: 1 */
	const char *scene; /* the most frequent one; NULL: none */
	const char *place; /* the same, by name; NULL: none */
	bool has_position;
	double lat, lon; /* the middle one of its positions */
	const char *people[EPISODE_PEOPLE_MAX];
	size_t people_len;
	size_t slices; /* in which something was observed */
};

/* `episode` lives until the visitor returns; false ends the walk. */
typedef bool episode_visit_fn(void *ctx, const struct episode *episode);

/*
 * Episodes that meet [from, to), whole, in order.  `as_of_seq`: 0 for the
 * newest.  RC_INVALID, RC_LIMIT (EPISODE_RANGE_NS_MAX), else as slice_serve().
 */
enum rc episode_walk(const struct slice_source *source, int64_t from_ns, int64_t to_ns,
    uint64_t as_of_seq, episode_visit_fn *visit, void *ctx, struct errmsg *why) RC_CHECK;

/*
 * Make each stored row again from the slices and compare; faults as
 * home_verify().  Rows under a mark, or of another policy, do not count for
 * readers either.  RC_NOMEM, slice_serve()'s errors.
 */
enum rc episode_verify(struct store *store, const struct policy *policy, store_fault_fn *report,
    void *ctx, uint64_t *faults, struct errmsg *why) RC_CHECK;

/* One episode as JSON; `more`: members at its end, each behind a comma, "" for none. */
enum rc episode_json(const struct episode *episode, const char *more, struct buf *out) RC_CHECK;

#endif
