/*
 * Window: the streaming core of the aligner.
 *
 * Items go in, those of each lane in order of time (item.key_ns); slices come out once
 * it is said that nothing comes any more that may change them.  Memory is bounded by what lies
 * between policy->reach_ns before and policy->ahead_ns behind the current slice, plus one state per
 * thing of the home.  One thread.  O(N + slices · tracks).
 */
#ifndef ALIGN_WINDOW_H
#define ALIGN_WINDOW_H

#include "align/track.h"

#define WINDOW_ENTRIES_MAX ((size_t)4 << 20) /* observations at once */
#define WINDOW_BYTES_MAX ((size_t)512 << 20) /* of their strings */
#define WINDOW_TRACKS_MAX ((size_t)1 << 18)  /* sources × kinds × things */
#define WINDOW_SLICE_BYTES_MAX ((size_t)64 << 20)

struct window;

struct window_grid {
	int64_t from_ns, to_ns; /* on the grid */
	int64_t step_ns;
	int64_t now_ns;  /* slices that end later are "open" */
	unsigned facets; /* FACET_MASK bits that are asked for */
	bool keep_empty;
	/* Pushed items and their strings outlive the window: not copied.  For whoever
	 * has a day in memory (bench, tests); slice_build() reads a log and does not. */
	bool borrow;
};

/* How far the items of a grid reach: [from, to) must be pushed for its slices
 * to be what they would be with everything; the home layer from the start. */
struct window_reach {
	int64_t from_ns, to_ns;
};
struct window_reach window_reach_of(const struct policy *policy, const struct window_grid *grid);

/* `policy` is borrowed until window_close; `visit` gets each slice. */
enum rc window_open(const struct policy *policy, const struct window_grid *grid,
    slice_visit_fn *visit, void *ctx, struct window **out) RC_CHECK;
void window_close(struct window *window);

/*
 * The next `n` items: in a lane key_ns never falls, from one call to the next
 * neither, and between two of one lane and one key_ns comes none of another.  Those
 * of one key_ns are put into order here, repeated obs_ids are dropped.  Many of one
 * track in a row, borrowed, cost the least.  RC_LIMIT, RC_NOMEM.
 */
enum rc window_push(
    struct window *window, const struct item *items, size_t n, struct errmsg *why) RC_CHECK;

/* No item with a key_ns before `until_ns` comes any more: the slices that only such
 * ones could change.  RC_LIMIT, RC_NOMEM. */
enum rc window_settle(struct window *window, int64_t until_ns, struct errmsg *why) RC_CHECK;

/* No more items: the rest of the slices. */
enum rc window_finish(struct window *window, struct errmsg *why) RC_CHECK;

/* Bytes that it holds now: items, their strings, what is kept for the next ones.
 * O(tracks). */
size_t window_bytes(const struct window *window);

/* True once the last slice is out or the visitor said stop. */
bool window_done(const struct window *window);

#endif
