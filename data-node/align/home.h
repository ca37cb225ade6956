/*
 * Home: the records of the home layer that still matter at a moment, found
 * without reading all that came before it.
 *
 * What a stretch of the layer comes to (home_fold.h) is kept in the store's
 * digests: stretches of 90 minutes, of four of them, of four of those, to 179
 * years.  So a moment is at most three of each size away from the beginning,
 * and a change far back takes away one of each size.  A digest counts for a
 * cursor at or behind the last change in its stretch; where none does, and in
 * what lies between the last stretch and the moment, the records are read.
 */
#ifndef ALIGN_HOME_H
#define ALIGN_HOME_H

#include <stdatomic.h>

#include "align/home_fold.h"

/*
 * Visit, in order of time, the home records that begin before `before_ns` and
 * that a slice at or behind it can tell from none, as of `cursor`; some that it
 * cannot may be among them.  The visitor may end the walk by false.
 * RC_CORRUPT, after all were visited: a record could not be read.
 */
enum rc home_visit(struct store *store, int64_t before_ns, uint64_t cursor,
    const struct policy *policy, store_visit_fn *visit, void *ctx, struct errmsg *why) RC_CHECK;

/*
 * Make the digests that are missing of what lies before `until_ns`; costs what
 * is missing.  RC_AGAIN: something changed meanwhile, or `*stop` became true;
 * what was put stands.  One thread at a time.
 */
enum rc home_build(struct store *store, int64_t until_ns, const struct policy *policy,
    const atomic_bool *stop, struct errmsg *why) RC_CHECK;

/*
 * Make each digest again and compare: `report` is called for those that would
 * lead a reader astray, which are counted in `*faults`.  One after the other,
 * beside whatever else goes on.  RC_NOMEM, the store's errors.
 */
enum rc home_verify(struct store *store, const struct policy *policy, store_fault_fn *report,
    void *ctx, uint64_t *faults, struct errmsg *why) RC_CHECK;

/* Up to where digests were made, as of so many changes. */
struct home_keep {
	uint64_t touches;
	int64_t until_ns; /* INT64_MIN: not known */
};
void home_keep_init(struct home_keep *keep);

/* home_build() of the whole leaves before `until_ns`, if another of them is over or
 * something changed since the last time.  For whoever keeps the digests; what
 * fails is tried again with the next call, for they only make slices faster. */
enum rc home_keep(struct home_keep *keep, struct store *store, int64_t until_ns,
    const struct policy *policy, const atomic_bool *stop, struct errmsg *why) RC_CHECK;

#endif
