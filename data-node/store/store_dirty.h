/*
 * Store dirty: which stretches of hub time changed after slices were built
 * over them.
 *
 * Whoever changes what a slice may have been built from calls
 * store_dirty_mark() inside the writer's transaction; the marks are written in
 * that transaction, so a reader sees a change and its mark or neither.  Marks
 * say where and why, not what: ranges may be wider than the change, never
 * narrower.  Nothing is recorded behind the built frontier, where no slice
 * stands.  The aligner's builder takes the marks away once it has built anew.
 *
 * Database `dirty`: number(8) → from(8) to(8) first_seq(8) last_seq(8)
 * layers(1) cause(1), plain; number 0 → the frontier, time(8).
 */
#ifndef STORE_STORE_DIRTY_H
#define STORE_STORE_DIRTY_H

#include "store/observation.h"

struct store;

/* Stored numbers: never reorder. */
enum dirty_cause {
	DIRTY_LATE = 1,   /* an observation came after its slices were built */
	DIRTY_SUPERSEDED, /* a new version took the place of an old one */
	DIRTY_REMAPPED,   /* a clock map moved observations */
	DIRTY_FORGOTTEN,  /* observations became tombstones */
	DIRTY_POLICY,     /* another policy is in force */
	DIRTY_REBUILT,    /* derived databases were dropped */
};
#define DIRTY_CAUSE_COUNT 6

/* "late", "superseded", …; NULL if unknown. */
const char *dirty_cause_word(enum dirty_cause cause);

struct store_dirty {
	int64_t from_ns, to_ns; /* hub time [from, to); an instant is [t, t + 1) */
	unsigned layers;        /* LAYER_MASK bits */
	enum dirty_cause cause;
	uint64_t first_seq, last_seq; /* log records behind it; 0: none */
};

/*
 * Writer thread, inside its transaction (store_apply, a task of
 * store_task_run).  Never fails: marks are gathered, joined with neighbours of
 * the same cause, and written before the commit.
 */
void store_dirty_mark(struct store *store, const struct store_dirty *mark);

/*
 * Every mark in the order in which they were made, into `arena`, as of one
 * moment; `newest` is the number of the last one (for store_dirty_clear).
 */
enum rc store_dirty_list(struct store *store, struct arena *arena, struct store_dirty **out,
    size_t *len, uint64_t *newest, struct errmsg *why) RC_CHECK;

/*
 * Take away the marks up to number `newest` and move the frontier: slices that
 * an observation before `built_ns` could change have been built.  Blocks until
 * committed.
 */
enum rc store_dirty_clear(
    struct store *store, uint64_t newest, int64_t built_ns, struct errmsg *why) RC_CHECK;

/* The frontier; OBS_TIME_MIN_NS if nothing was built.  Any thread, no I/O. */
int64_t store_built_ns(const struct store *store);

#define STORE_DIRTY_BYTES 34
/* The stored form; RC_CORRUPT if a field cannot be. */
void store_dirty_encode(const struct store_dirty *mark, uint8_t out[STORE_DIRTY_BYTES]);
enum rc store_dirty_decode(const uint8_t *bytes, size_t len, struct store_dirty *out) RC_CHECK;

#endif
