/*
 * Builder inside: one pass, and what its files share.
 *
 * A pass belongs to one thread; `lock` guards the figures that others read.
 */
#ifndef ALIGN_BUILDER_INNER_H
#define ALIGN_BUILDER_INNER_H

#include <pthread.h>
#include <stdatomic.h>

#include "align/builder.h"
#include "align/bytes.h"
#include "align/episode_build.h"
#include "align/home.h"
#include "align/lifecycle.h"
#include "align/slice_row.h"
#include "align/touch.h"
#include "store/store_kept.h"

/* Limits of one pass: what it read, and over how long a time. */
#define PASS_RECORDS_MAX ((size_t)65536)
#define PASS_ROUNDS_MAX 360
#define PASS_LOOKS_MAX ((size_t)64) /* touches that are clipped by the store */
/* Built and committed at once: of a home of 250 things a row takes some 4 KB, as it was
 * and as it is. */
#define PASS_SLICES_MAX ((size_t)4096)
#define PASS_ARENA_BYTES ((size_t)96 << 20)
#define SLICE_ARENA_BYTES ((size_t)16 << 20)

/* Why slices are built in this pass: a record, or the end of their time. */
struct note {
	struct touch touch;       /* rounded to the grid once clipped */
	int64_t round, closed_ns; /* of the lifecycle, at that record */
	uint64_t seq;
	unsigned cause; /* enum dirty_cause; 0: their time was over */
	enum layer layer;
	bool is_value;  /* it hides older values of its track */
	int64_t end_ns; /* of the observation, as it came */
	struct slice_track track;
	bool alone; /* it acts on no other track */
	bool boots; /* but for the epoch that it names */
};

/* What is stored with the rows. */
struct builder_state {
	uint64_t cursor;    /* the log up to here is built */
	int64_t ended_ns;   /* slices that end by then are built */
	int64_t history_ns; /* closed_ns of the last history row */
	uint64_t policy_version;
	uint8_t policy_hash[POLICY_HASH_BYTES];
	struct lifecycle life;
};

struct builder {
	struct store *store;
	const struct policy *policy;
	uint8_t key[STORE_DERIVED_KEY_BYTES];
	uint8_t policy_hash[POLICY_HASH_BYTES];
	struct builder_state state;
	bool loaded;
	struct home_keep home;
	struct episode_build episodes;

	/* Of the pass in progress. */
	struct store_kept *kept; /* used while few notes are at hand */
	struct note *notes;
	size_t notes_len, notes_cap;

	pthread_mutex_t lock;
	pthread_cond_t moved;
	pthread_t thread;
	bool started, stopping;
	bool wanted;     /* someone waits */
	uint64_t cursor; /* = state.cursor, for others */
	struct builder_stats stats;
	atomic_bool stop_pass;
};

/* ---- builder_state.c ------------------------------------------------------------- */
void builder_state_encode(const struct builder_state *state, struct buf *out);
/* RC_CORRUPT, RC_NOMEM; `state->life` is initialised by the caller. */
enum rc builder_state_decode(
    const uint8_t *bytes, size_t len, struct builder_state *state) RC_CHECK;
/* The state as it is stored, or that of a builder that has seen nothing.  RC_NOMEM. */
enum rc builder_state_load(struct builder *builder, const struct store_slice_view *view) RC_CHECK;
/* Store it, and a history row where one is due; `newest`: of the marks that it settles. */
enum rc builder_state_commit(struct builder *builder, uint64_t newest, struct errmsg *why) RC_CHECK;
/* A history row: how far all was closed, and the log's time. */
#define BUILDER_HISTORY_BYTES 16
enum rc builder_history_decode(
    const uint8_t *bytes, size_t len, int64_t *closed_ns, int64_t *now_ns) RC_CHECK;

/* ---- builder.c ------------------------------------------------------------------------ */
/* The digests of the home (home.h), of the time that is over. */
void builder_keep_home(struct builder *builder);
/* The stored episodes, of the time that is sealed; true: there is more to do. */
bool builder_keep_episodes(struct builder *builder);

/* ---- builder_rows.c: the slices of one stretch, built and committed -------------------- */
/* [from, to) on the grid, at most PASS_SLICES_MAX slices, as of `cursor`; the
 * notes that lie over it say why. */
enum rc builder_build(struct builder *builder, int64_t from_ns, int64_t to_ns, uint64_t cursor,
    struct errmsg *why) RC_CHECK;
/* store_slice_commit(), and how long it took. */
enum rc builder_commit(
    struct builder *builder, const struct store_slice_batch *batch, struct errmsg *why) RC_CHECK;

#endif
