/*
 * Builder: the thread that follows the log and keeps the stored slices.
 *
 * Each pass reads what the log has gained, works out which slices of the
 * default grid that can have changed (touch.h) and builds those anew; their
 * rows, the lifecycle and the place in the log are committed together with the
 * end of the marks they settle.  A pass that was cut off is simply done again.
 * Rows exist for slices that had ended when the log was last written to.  Then
 * the digests of the home (home.h) are brought up to there, and the episodes
 * (episode_build.h) up to what is sealed.
 *
 * Invariants:
 *  B1  what a row says is what slice_build() says at any cursor from the row's
 *      seq up to the builder's, unless a mark lies over it.
 *  B2  the rows are a function of the log, the clock maps and the policy: not
 *      of when passes ran or how long they were.  (seq and round of a row may
 *      name another record of the same round.)
 *  B3  a version is given to each content that was sealed: content that
 *      returns to the sealed one before the next sealing is that version again.
 */
#ifndef ALIGN_BUILDER_H
#define ALIGN_BUILDER_H

#include "align/policy.h"

#define BUILDER_GRID_NS INT64_C(60000000000)
#define BUILDER_GRID_S 60u
#define BUILDER_WAIT_NS INT64_C(2000000000) /* for the cursor a reader needs */

struct builder;

/* `policy` and `store` are borrowed until builder_close(). */
enum rc builder_open(struct store *store, const struct policy *policy, struct builder **out,
    struct errmsg *why) RC_CHECK;
void builder_close(struct builder *builder);

/* The store's cursor up to which all is built. */
uint64_t builder_cursor(struct builder *builder);

/* Wait for it to be `seq`, at most `wait_ns`; true if it got there. */
bool builder_wait(struct builder *builder, uint64_t seq, int64_t wait_ns);

struct builder_stats {
	uint64_t passes, built; /* since it was opened; built: slices worked out */
	uint64_t patched;       /* of built: only the cells that can have changed */
	uint64_t merged;        /* of patched: from one track alone */
	uint64_t reopened;      /* versions that were opened */
	uint64_t commit_ns;     /* what committing took of the passes' time */
	uint64_t home_ns;       /* and the digests of the home, once the slices stood */
	uint64_t episodes_ns;   /* and the episodes */
};
void builder_get_stats(struct builder *builder, struct builder_stats *out);

/*
 * One pass over at most so much of the log as is settled at once, and where that
 * was all, some of the episodes; `*more` says whether there is more to do.  For callers that run no
 * thread (builder_new); builder_open() calls it from its own.
 */
enum rc builder_new(struct store *store, const struct policy *policy, struct builder **out,
    struct errmsg *why) RC_CHECK;
enum rc builder_pass(struct builder *builder, bool *more, struct errmsg *why) RC_CHECK;

#endif
