/*
 * Builder pass: the log read on, notes of what it touches, the slices under
 * them built, and the place in the log committed last.
 *
 * A pass ends early where a slice that it touches could have been sealed in
 * between and is touched again: the sealed content must have stood in a row.
 */
#include <stdlib.h>
#include <string.h>

#include "align/builder_inner.h"

#define VIEW_ARENA_BYTES ((size_t)64 << 20)
#define OLD_ARENA_BYTES ((size_t)24 << 20)
#define JOIN_SLICES 32 /* touches closer than this are built at once */

struct pass {
	struct builder *builder;
	uint64_t target, first_seq, cursor; /* read up to cursor */
	int64_t first_round;
	bool any, cut;
	struct arena old; /* a superseded record */
	enum rc rc;
};

struct range {
	int64_t from_ns, to_ns;
};

static int64_t floor_grid(int64_t ns)
{
	int64_t rest = ns % BUILDER_GRID_NS;

	return ns - (rest < 0 ? rest + BUILDER_GRID_NS : rest);
}

static enum rc add_note(struct builder *builder, const struct note *note)
{
	if (builder->notes_len == builder->notes_cap) {
		size_t cap = builder->notes_cap == 0 ? 64 : builder->notes_cap * 2;
		struct note *notes = realloc(builder->notes, cap * sizeof *notes);
		if (notes == NULL)
			return RC_NOMEM;
		builder->notes = notes;
		builder->notes_cap = cap;
	}
	builder->notes[builder->notes_len++] = *note;
	return RC_OK;
}

/* ---- the log ------------------------------------------------------------------------ */

static struct note note_of(const struct pass *pass, const struct observation *obs, uint64_t seq,
    enum dirty_cause cause, int64_t closed_ns)
{
	const struct builder *builder = pass->builder;
	struct note note = { .round = lifecycle_round(builder->policy, builder->state.life.now_ns),
		.closed_ns = closed_ns,
		.seq = seq,
		.cause = (unsigned)cause,
		.layer = obs->layer };
	struct item_rest rest;
	struct item item;

	item_of_observation(obs, builder->policy, &item, &rest);
	touch_of_item(&item, obs->layer, builder->policy, &note.touch);
	note.is_value = item.role == ITEM_VALUE && !item.wide;
	note.end_ns = note.touch.t1_ns;
	note.track = (struct slice_track){ item.track, rest.lane, obs->layer };
	note.alone = !item.boots && !item.stop_lane && !item.wide;
	note.boots = item.boots && !item.stop_lane && !item.wide;
	return note;
}

/* Would this touch a slice that an earlier one touched, and that was sealed
 * between the two? */
static bool must_cut(const struct pass *pass, const struct note *note)
{
	const struct builder *builder = pass->builder;

	if (floor_grid(note->touch.from_ns) + BUILDER_GRID_NS > note->closed_ns)
		return false; /* as most: it touches no slice that could be sealed */
	for (size_t i = 0; i < builder->notes_len; i++) {
		const struct note *before = &builder->notes[i];
		if (before->round + 2 > note->round)
			return false; /* in order of round */
		int64_t from_ns = before->touch.from_ns > note->touch.from_ns
				      ? before->touch.from_ns
				      : note->touch.from_ns;
		if (from_ns < before->touch.to_ns && from_ns < note->touch.to_ns &&
		    floor_grid(from_ns) + BUILDER_GRID_NS <= note->closed_ns)
			return true;
	}
	return false;
}

/* Slices whose time is over now: built for the first time. */
static enum rc end_slices(struct pass *pass, uint64_t seq)
{
	struct builder_state *state = &pass->builder->state;
	int64_t ended_ns = floor_grid(state->life.now_ns);
	struct note note = { .round = lifecycle_round(pass->builder->policy, state->life.now_ns),
		.closed_ns = INT64_MIN,
		.seq = seq };

	if (ended_ns <= state->ended_ns)
		return RC_OK;
	note.touch = (struct touch){
		.from_ns = state->ended_ns, .to_ns = ended_ns, .facets = FACET_MASK_ALL
	};
	enum rc rc = state->ended_ns == INT64_MIN ? RC_OK : add_note(pass->builder, &note);
	state->ended_ns = ended_ns;
	return rc;
}

/* The version that `obs` took the place of is touched as well. */
static enum rc note_superseded(struct pass *pass, const struct observation *obs, int64_t closed_ns)
{
	struct observation old;

	if (obs->supersedes_seq == 0)
		return RC_OK;
	arena_reset(&pass->old);
	enum rc rc =
	    store_get_seq(pass->builder->store, obs->supersedes_seq, &pass->old, &old, NULL);
	if (rc == RC_NOTFOUND || rc == RC_CORRUPT)
		return RC_OK; /* it could not stand in a slice either */
	if (rc != RC_OK)
		return rc;
	struct note note = note_of(pass, &old, obs->seq, DIRTY_SUPERSEDED, closed_ns);
	return add_note(pass->builder, &note);
}

static enum rc take_record(struct pass *pass, const struct observation *obs)
{
	struct builder *builder = pass->builder;
	struct lifecycle *life = &builder->state.life;
	int64_t now_ns = obs->recv_utc_ns > life->now_ns ? obs->recv_utc_ns : life->now_ns;
	int64_t closed_ns = lifecycle_closed_at(life, builder->policy, now_ns);
	int64_t round = lifecycle_round(builder->policy, now_ns);
	struct note note = note_of(pass, obs, obs->seq, DIRTY_LATE, closed_ns);

	note.round = round;
	if (!pass->any)
		pass->first_round = round;
	pass->cut =
	    pass->any && (round - pass->first_round >= PASS_ROUNDS_MAX || must_cut(pass, &note));
	if (pass->cut)
		return RC_OK;
	pass->any = true;
	/* The night's own labels come when they come: no watermark of a device. */
	bool own = strcmp(obs->source, OBS_SOURCE_NIGHT) == 0;
	enum rc rc =
	    own ? RC_OK
		: lifecycle_feed(life, builder->policy, obs->source, note.touch.t1_ns, now_ns);
	if (rc == RC_OK)
		rc = note_superseded(pass, obs, closed_ns);
	if (rc == RC_OK)
		rc = add_note(builder, &note);
	return rc == RC_OK ? end_slices(pass, obs->seq) : rc;
}

static bool take(void *ctx, const struct observation *obs)
{
	struct pass *pass = ctx;

	if (obs->seq > pass->target || atomic_load(&pass->builder->stop_pass))
		return false;
	if (!obs->tombstone && observation_feeds_slices(obs))
		pass->rc = take_record(pass, obs);
	if (pass->rc != RC_OK || pass->cut)
		return false;
	pass->cursor = obs->seq;
	return true;
}

static enum rc read_log(struct pass *pass, struct errmsg *why)
{
	struct builder *builder = pass->builder;
	uint64_t before = builder->state.cursor;

	enum rc rc = store_scan_log(builder->store, before, PASS_RECORDS_MAX, take, pass, why);
	if (pass->rc != RC_OK)
		return pass->rc;
	if (atomic_load(&builder->stop_pass))
		return RC_CANCELLED;
	if (rc != RC_OK && rc != RC_CORRUPT)
		return rc;
	/* Records that cannot be read are passed over. */
	if (!pass->cut && pass->cursor - before < PASS_RECORDS_MAX)
		pass->cursor = pass->target;
	return RC_OK;
}

/* ---- notes into ranges ------------------------------------------------------------------ */

static int by_track(const void *a, const void *b)
{
	const struct note *x = *(const struct note *const *)a, *y = *(const struct note *const *)b;

	if (x->touch.track != y->touch.track)
		return x->touch.track < y->touch.track ? -1 : 1;
	if (x->touch.t0_ns != y->touch.t0_ns)
		return x->touch.t0_ns < y->touch.t0_ns ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* Clip each note by the values of its track that this pass saw. */
static enum rc clip_by_pass(struct builder *builder)
{
	size_t n = builder->notes_len;
	struct note **order = malloc((n + 1) * sizeof(struct note *));

	if (order == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < n; i++)
		order[i] = &builder->notes[i];
	qsort(order, n, sizeof(struct note *), by_track);
	for (size_t i = 0; i < n; i++) {
		struct touch *touch = &order[i]->touch;
		for (size_t k = i + 1; k < n && touch->clip != TOUCH_NO_CLIP; k++) {
			const struct note *next = order[k];
			if (next->touch.track != touch->track)
				break;
			if (next->is_value && next->touch.t0_ns > touch->t1_ns)
				touch_clip_at(touch, next->end_ns, next->touch.last_ns);
		}
	}
	free(order);
	return RC_OK;
}

static struct store_range range_of(const struct pass *pass, const struct note *note)
{
	return (struct store_range){ .layers = LAYER_MASK(note->layer),
		.as_of_seq = pass->cursor,
		.kept = pass->builder->kept };
}

/* What lies within an epoch acts on its track alone. */
static enum rc settle_epoch(struct pass *pass, struct note *note, struct errmsg *why)
{
	struct store_range within = range_of(pass, note);
	struct observation obs;
	struct item_rest rest;
	struct item item;

	arena_reset(&pass->old);
	enum rc rc = store_get_seqs(
	    pass->builder->store, &note->seq, 1, pass->cursor, &pass->old, &obs, why);
	if (rc == RC_OK) {
		item_of_observation(&obs, pass->builder->policy, &item, &rest);
		rc = touch_in_epoch(
		    &item, pass->builder->store, &within, pass->builder->policy, &note->touch, why);
		note->alone = rc == RC_OK;
	}
	return rc == RC_NOTFOUND || rc == RC_CORRUPT ? RC_OK : rc;
}

static enum rc settle_epochs(struct pass *pass, struct errmsg *why)
{
	struct builder *builder = pass->builder;
	enum rc rc = RC_OK;

	for (size_t i = 0;
	     i < builder->notes_len && builder->notes_len <= PASS_LOOKS_MAX && rc == RC_OK; i++) {
		struct note *note = &builder->notes[i];
		if (note->boots && note->cause == DIRTY_LATE)
			rc = settle_epoch(pass, note, why);
	}
	return rc;
}

static enum rc clip_by_store(struct pass *pass, struct errmsg *why)
{
	struct builder *builder = pass->builder;
	size_t looks = 0;
	enum rc rc = RC_OK;

	for (size_t i = 0; i < builder->notes_len; i++) {
		struct touch *touch = &builder->notes[i].touch;
		touch->clip_back = touch->clip_back && builder->notes_len <= PASS_LOOKS_MAX;
		looks += touch->clip != TOUCH_NO_CLIP;
	}
	for (size_t i = 0; i < builder->notes_len && looks <= PASS_LOOKS_MAX && rc == RC_OK; i++) {
		struct store_range within = range_of(pass, &builder->notes[i]);
		rc = touch_clip_by_store(
		    &builder->notes[i].touch, builder->store, &within, builder->policy, why);
	}
	return rc;
}

/* On the grid, and within the time that is over. */
static void round_notes(struct builder *builder, int64_t first_ns)
{
	for (size_t i = 0; i < builder->notes_len; i++) {
		struct touch *touch = &builder->notes[i].touch;
		if (touch->from_ns < first_ns)
			touch->from_ns = first_ns;
		touch->from_ns = floor_grid(touch->from_ns);
		touch->to_ns = touch->to_ns >= builder->state.ended_ns
				   ? builder->state.ended_ns
				   : floor_grid(touch->to_ns + BUILDER_GRID_NS - 1);
	}
}

static int by_from(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return x->from_ns < y->from_ns ? -1 : x->from_ns > y->from_ns;
}

static enum rc build_ranges(struct pass *pass, struct range *ranges, size_t n, struct errmsg *why)
{
	const int64_t join_ns = JOIN_SLICES * BUILDER_GRID_NS;
	const int64_t most_ns = (int64_t)PASS_SLICES_MAX * BUILDER_GRID_NS;
	enum rc rc = RC_OK;

	qsort(ranges, n, sizeof *ranges, by_from);
	for (size_t i = 0; i < n && rc == RC_OK;) {
		struct range all = ranges[i++];
		for (; i < n && ranges[i].from_ns <= all.to_ns + join_ns; i++)
			all.to_ns = ranges[i].to_ns > all.to_ns ? ranges[i].to_ns : all.to_ns;
		while (all.from_ns < all.to_ns && rc == RC_OK) {
			int64_t to_ns =
			    all.to_ns - all.from_ns > most_ns ? all.from_ns + most_ns : all.to_ns;
			rc = builder_build(pass->builder, all.from_ns, to_ns, pass->cursor, why);
			all.from_ns = to_ns;
		}
	}
	return rc;
}

/* From where on something can stand in slices, or stands in rows (all before it
 * may be forgotten), if notes go farther back than records do. */
static enum rc find_first(const struct builder *builder, int64_t *first_ns, struct errmsg *why)
{
	struct store_stats stats;
	bool told = true; /* by records */
	int64_t row_ns;

	*first_ns = OBS_TIME_MIN_NS;
	for (size_t i = 0; i < builder->notes_len; i++) {
		unsigned cause = builder->notes[i].cause;
		told = told && (cause == 0 || cause == DIRTY_LATE || cause == DIRTY_SUPERSEDED);
	}
	if (told)
		return RC_OK;
	enum rc rc = store_get_stats(builder->store, &stats, why);
	if (rc != RC_OK)
		return rc;
	*first_ns = stats.first_ns - 2 * builder->policy->reach_ns;
	rc = store_slice_next(builder->store, BUILDER_GRID_S, OBS_TIME_MIN_NS, &row_ns, why);
	if (rc == RC_OK && row_ns < *first_ns)
		*first_ns = row_ns;
	return rc == RC_NOTFOUND ? RC_OK : rc;
}

static enum rc build_notes(struct pass *pass, struct errmsg *why)
{
	struct builder *builder = pass->builder;
	int64_t first_ns;
	size_t n = 0;

	enum rc rc = find_first(builder, &first_ns, why);
	if (rc == RC_OK)
		rc = settle_epochs(pass, why);
	if (rc == RC_OK)
		rc = clip_by_pass(builder);
	if (rc == RC_OK)
		rc = clip_by_store(pass, why);
	if (rc != RC_OK)
		return rc;
	round_notes(builder, first_ns);
	struct range *ranges = malloc((builder->notes_len + 1) * sizeof *ranges);
	if (ranges == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < builder->notes_len; i++) {
		const struct touch *touch = &builder->notes[i].touch;
		if (touch->from_ns < touch->to_ns)
			ranges[n++] = (struct range){ touch->from_ns, touch->to_ns };
	}
	rc = build_ranges(pass, ranges, n, why);
	free(ranges);
	return rc;
}

/* ---- marks and policy ----------------------------------------------------------------------- */

/* Marks that the log does not tell of. */
static enum rc note_marks(struct pass *pass, const struct store_slice_view *view)
{
	struct builder *builder = pass->builder;
	enum rc rc = RC_OK;

	for (size_t i = 0; i < view->marks_len && rc == RC_OK; i++) {
		const struct store_dirty *mark = &view->marks[i];
		struct note note = {
			.round = lifecycle_round(builder->policy, builder->state.life.now_ns),
			.closed_ns = builder->state.life.closed_ns,
			.seq = pass->cursor,
			.cause = (unsigned)mark->cause,
		};
		if (mark->cause == DIRTY_LATE || mark->cause == DIRTY_SUPERSEDED)
			continue;
		touch_of_mark(mark, builder->policy, &note.touch);
		rc = add_note(builder, &note);
	}
	return rc;
}

/* Built under another policy than the one in force? */
static bool policy_changed(const struct builder *builder)
{
	return builder->state.cursor > 0 &&
	       memcmp(builder->state.policy_hash, builder->policy_hash, POLICY_HASH_BYTES) != 0;
}

/* Then everything that was built is built anew. */
static enum rc note_policy(struct pass *pass)
{
	struct builder *builder = pass->builder;
	struct note note = {
		.touch = { .from_ns = OBS_TIME_MIN_NS,
		    .to_ns = OBS_TIME_MAX_NS,
		    .facets = FACET_MASK_ALL },
		.round = lifecycle_round(builder->policy, builder->state.life.now_ns),
		.closed_ns = builder->state.life.closed_ns,
		.seq = pass->cursor,
		.cause = DIRTY_POLICY,
	};

	return policy_changed(builder) ? add_note(builder, &note) : RC_OK;
}

static bool has_foreign_mark(const struct store_slice_view *view)
{
	for (size_t i = 0; i < view->marks_len; i++) {
		if (view->marks[i].cause != DIRTY_LATE && view->marks[i].cause != DIRTY_SUPERSEDED)
			return true;
	}
	return false;
}

static enum rc commit(struct pass *pass, uint64_t newest, struct errmsg *why)
{
	struct builder *builder = pass->builder;

	/* Another policy is in force for all once the log was read to its end. */
	if (pass->cursor == pass->target) {
		memcpy(builder->state.policy_hash, builder->policy_hash, POLICY_HASH_BYTES);
		builder->state.policy_version = builder->policy->version;
	}
	builder->state.cursor = pass->cursor;
	return builder_state_commit(builder, newest, why);
}

static enum rc run(
    struct pass *pass, const struct store_slice_view *view, bool *more, struct errmsg *why)
{
	struct builder *builder = pass->builder;
	enum rc rc = builder->loaded ? RC_OK : builder_state_load(builder, view);

	if (rc != RC_OK)
		return rc;
	pass->target = view->cursor;
	pass->cursor = builder->state.cursor;
	builder->notes_len = 0;
	if (view->cursor <= builder->state.cursor && !has_foreign_mark(view) &&
	    !policy_changed(builder))
		return RC_OK;
	if (view->cursor > builder->state.cursor)
		rc = read_log(pass, why);
	*more = pass->cursor < pass->target;
	if (rc == RC_OK && !*more)
		rc = note_marks(pass, view);
	if (rc == RC_OK && !*more)
		rc = note_policy(pass);
	if (rc == RC_OK)
		rc = build_notes(pass, why);
	if (rc == RC_OK)
		rc = commit(pass, *more ? 0 : view->newest, why);
	return rc;
}

enum rc builder_pass(struct builder *builder, bool *more, struct errmsg *why)
{
	struct pass pass = { .builder = builder };
	struct store_slice_view view;
	struct arena arena;

	*more = false;
	arena_init(&arena, VIEW_ARENA_BYTES);
	arena_init(&pass.old, OLD_ARENA_BYTES);
	enum rc rc = store_slice_read(builder->store, BUILDER_GRID_S, 0, 0, &arena, &view, why);
	if (rc == RC_OK)
		rc = run(&pass, &view, more, why);
	arena_fini(&arena);
	arena_fini(&pass.old);
	store_kept_reset(builder->kept);
	(void)pthread_mutex_lock(&builder->lock);
	if (rc == RC_OK) {
		builder->cursor = builder->state.cursor;
		builder->stats.passes++;
	} else {
		builder->loaded = false; /* what is stored is what counts */
	}
	(void)pthread_cond_broadcast(&builder->moved);
	(void)pthread_mutex_unlock(&builder->lock);
	if (rc != RC_OK || *more)
		return rc;
	builder_keep_home(builder);
	*more = builder_keep_episodes(builder);
	return RC_OK;
}
