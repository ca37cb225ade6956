/* Window: groups of one time, lanes, tracks, and the slices that fall out. */
#include "align/window.h"

#include <stdlib.h>
#include <string.h>

#include "align/cell.h"
#include "align/lookup.h"
#include "align/scene.h"

/* Values of slices that are out stay until so much is used: a reset costs more
 * than a slice of few values. */
#define ARENA_KEEP_BYTES ((size_t)64 << 10)

/* Last boot epoch of a (source, layer). */
struct lane {
	uint64_t boot;
	int64_t t0_ns; /* of the newest narrow item that named it */
};

/* An item that waits for others of its time. */
struct pending {
	const struct item *item;
	struct track_hold *hold; /* NULL: borrowed */
};

struct row {
	struct track **tracks; /* [len], of one facet */
	size_t len, cap;
};

struct window {
	const struct policy *policy;
	struct window_grid grid;
	slice_visit_fn *visit;
	void *ctx;
	unsigned needed; /* facets that must be kept: the asked ones, all for scene */
	int64_t next_ns; /* start of the next slice */
	int64_t frontier_ns;
	bool stopped;
	struct pending *group; /* items of one key_ns */
	size_t group_len, group_cap;
	struct lookup lanes, lookup;
	struct row rows[FACET_COUNT];
	size_t tracks_len;
	struct track_use use;
	struct pick_list list;
	struct arena arena;        /* blended values of one slice */
	struct cell_value *values; /* of one slice: [FACET_COUNT][SLICE_CELL_VALUES_MAX] */
};

/* ---- life --------------------------------------------------------------------------------- */

struct window_reach window_reach_of(const struct policy *policy, const struct window_grid *grid)
{
	return (struct window_reach){
		.from_ns = grid->from_ns - 2 * policy->reach_ns,
		.to_ns = grid->to_ns + policy->ahead_ns + 2 * PLACEMENT_NARROW_NS,
	};
}

enum rc window_open(const struct policy *policy, const struct window_grid *grid,
    slice_visit_fn *visit, void *ctx, struct window **out)
{
	struct window *window = calloc(1, sizeof *window);

	if (window == NULL)
		return RC_NOMEM;
	window->values = calloc(FACET_COUNT * SLICE_CELL_VALUES_MAX, sizeof window->values[0]);
	if (window->values == NULL) {
		free(window);
		return RC_NOMEM;
	}
	window->policy = policy;
	window->grid = *grid;
	window->visit = visit;
	window->ctx = ctx;
	window->needed = grid->facets & FACET_MASK(FACET_SCENE) ? FACET_MASK_ALL : grid->facets;
	window->next_ns = grid->from_ns;
	window->frontier_ns = INT64_MIN;
	arena_init(&window->arena, WINDOW_SLICE_BYTES_MAX);
	*out = window;
	return RC_OK;
}

void window_close(struct window *window)
{
	if (window == NULL)
		return;
	for (size_t i = 0; i < window->group_len; i++)
		track_hold_put(window->group[i].hold, &window->use);
	free(window->group);
	for (int facet = 0; facet < FACET_COUNT; facet++) {
		struct row *row = &window->rows[facet];
		for (size_t i = 0; i < row->len; i++) {
			track_fini(row->tracks[i], &window->use);
			free(row->tracks[i]);
		}
		free(row->tracks);
	}
	for (size_t i = 0; i < window->lanes.cap; i++)
		free(window->lanes.slots[i].value);
	lookup_fini(&window->lanes);
	lookup_fini(&window->lookup);
	free(window->list.picks);
	free(window->values);
	arena_fini(&window->arena);
	free(window);
}

bool window_done(const struct window *window)
{
	return window->stopped || window->next_ns >= window->grid.to_ns;
}

/* ---- slices out ------------------------------------------------------------------------------ */

/* Bring the tracks of a facet to the slice; those that are spent go. */
static void advance_row(struct window *window, struct row *row, int64_t start_ns, int64_t end_ns)
{
	for (size_t i = 0; i < row->len;) {
		struct track *track = row->tracks[i];
		track_advance(track, start_ns, end_ns, &window->use);
		if (!track_is_spent(track, start_ns, window->policy)) {
			i++;
			continue;
		}
		lookup_del(&window->lookup, track->key);
		track_fini(track, &window->use);
		free(track);
		row->tracks[i] = row->tracks[--row->len];
		window->tracks_len--;
	}
}

static enum rc build_cell(
    struct window *window, int facet, int64_t start_ns, int64_t end_ns, struct cell *out)
{
	const struct policy_rule *rule = &window->policy->rules[facet];
	struct cell_value *values = window->values + (size_t)facet * SLICE_CELL_VALUES_MAX;
	struct row *row = &window->rows[facet];

	advance_row(window, row, start_ns, end_ns);
	if (row->len == 1 && rule->all && track_is_plain_in(row->tracks[0])) {
		cell_of_plain(row->tracks[0], rule, start_ns, end_ns, values, out);
		return RC_OK;
	}
	window->list.len = 0;
	window->list.absent_reason = NULL;
	for (size_t i = 0; i < row->len; i++) {
		enum rc rc = pick_track(row->tracks[i], start_ns, end_ns, window->policy,
		    &window->arena, &window->list);
		if (rc != RC_OK)
			return rc;
	}
	cell_of_picks(rule, &window->list, values, out);
	return RC_OK;
}

static enum rc emit(struct window *window, struct errmsg *why)
{
	struct slice slice = { .start_ns = window->next_ns,
		.end_ns = window->next_ns + window->grid.step_ns,
		.version = 1,
		.labels = { .absent_reason = "none" } };
	enum rc rc = RC_OK;
	bool any = window->grid.keep_empty;

	slice.state = slice.end_ns > window->grid.now_ns ? "open" : "provisional";
	for (int facet = 0; facet < FACET_COUNT && rc == RC_OK; facet++) {
		slice.cells[facet] = (struct cell){ .absent_reason = "none" };
		if ((window->needed & FACET_MASK(facet)) != 0)
			rc = build_cell(window, facet, slice.start_ns, slice.end_ns,
			    facet == FACET_SCENE ? &slice.labels : &slice.cells[facet]);
	}
	if (rc == RC_OK && (window->grid.facets & FACET_MASK(FACET_SCENE)) != 0)
		rc = scene_derive(
		    slice.cells, &slice.labels, &window->arena, &slice.cells[FACET_SCENE]);
	for (int facet = 0; facet < FACET_COUNT; facet++)
		any = any || ((window->grid.facets & FACET_MASK(facet)) != 0 &&
				 slice.cells[facet].mode != CELL_ABSENT);
	if (rc == RC_OK && any && !window->visit(window->ctx, &slice))
		window->stopped = true;
	window->next_ns = slice.end_ns;
	if (window->arena.used_bytes > ARENA_KEEP_BYTES)
		arena_reset(&window->arena);
	return rc == RC_OK ? rc : errmsg_rc(why, rc, "no memory for the slice");
}

/* Slices that no item from `key_ns` on can change. */
static enum rc emit_before(struct window *window, int64_t key_ns, struct errmsg *why)
{
	const struct policy *policy = window->policy;
	int64_t margin_ns = window->grid.step_ns + policy->ahead_ns + 2 * PLACEMENT_NARROW_NS;

	while (!window_done(window) && window->next_ns <= key_ns - margin_ns) {
		enum rc rc = emit(window, why);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

/* ---- items in -----------------------------------------------------------------------------------
 */

static enum rc track_of(
    struct window *window, int facet, const struct item *item, struct track **out)
{
	uint64_t key = item->track + (uint64_t)(facet + 1) * UINT64_C(0xD1B54A32D192ED03);
	struct track *track = lookup_find(&window->lookup, key);
	struct row *row = &window->rows[facet];

	if (track != NULL) {
		*out = track;
		return RC_OK;
	}
	if (window->tracks_len == WINDOW_TRACKS_MAX)
		return RC_LIMIT;
	if (row->len == row->cap) {
		size_t cap = row->cap == 0 ? 16 : row->cap * 2;
		struct track **tracks = realloc(row->tracks, cap * sizeof(struct track *));
		if (tracks == NULL)
			return RC_NOMEM;
		row->tracks = tracks;
		row->cap = cap;
	}
	track = calloc(1, sizeof *track);
	if (track == NULL || lookup_put(&window->lookup, key, track) != RC_OK) {
		free(track);
		return RC_NOMEM;
	}
	track->key = key;
	track->lane = item->lane;
	track->facet = (enum facet)facet;
	row->tracks[row->len++] = track;
	window->tracks_len++;
	*out = track;
	return RC_OK;
}

/* A stop ends the tracks of its lane that had a value not long before it. */
static enum rc stop_lane(struct window *window, const struct item *stop, struct track_hold *hold)
{
	for (int facet = 0; facet < FACET_COUNT; facet++) {
		const struct row *row = &window->rows[facet];
		if ((stop->facets & FACET_MASK(facet)) == 0)
			continue;
		bool step = window->policy->rules[facet].carry == POLICY_CARRY_STEP;
		for (size_t i = 0; i < row->len; i++) {
			struct track *track = row->tracks[i];
			if (track->lane != stop->lane || !track->has_last)
				continue;
			if (!step && item_since_ns(stop->t0_ns, track->last_t1_ns) >
					 window->policy->reach_ns)
				continue;
			enum rc rc = track_push(
			    track, stop, hold, window->policy, window->next_ns, &window->use);
			if (rc != RC_OK)
				return rc;
		}
	}
	return RC_OK;
}

/* A new boot epoch of the lane's clock is a stop just before `item`. */
static enum rc check_epoch(struct window *window, const struct item *item)
{
	bool step = (item->facets & FACET_MASK(FACET_HOME)) != 0;

	if (item->boot == 0 || item->wide)
		return RC_OK;
	struct lane *lane = lookup_find(&window->lanes, item->lane);
	if (lane == NULL) {
		lane = calloc(1, sizeof *lane);
		if (lane == NULL || lookup_put(&window->lanes, item->lane, lane) != RC_OK) {
			free(lane);
			return RC_NOMEM;
		}
	} else if (lane->boot != item->boot &&
		   (step || item_since_ns(item->t0_ns, lane->t0_ns) <= window->policy->reach_ns)) {
		struct item stop = *item;
		stop.role = ITEM_STOP;
		stop.t1_ns = stop.t0_ns;
		stop.stop_reason = "epoch";
		stop.facets = FACET_MASK_ALL;
		struct track_hold *hold = track_hold_new(&stop, &window->use);
		if (hold == NULL)
			return RC_NOMEM;
		enum rc rc = stop_lane(window, &hold->item, hold);
		track_hold_put(hold, &window->use);
		if (rc != RC_OK)
			return rc;
	}
	lane->boot = item->boot;
	lane->t0_ns = item->t0_ns;
	return RC_OK;
}

static enum rc deliver(struct window *window, const struct item *item, struct track_hold *hold)
{
	enum rc rc = check_epoch(window, item);

	if (rc != RC_OK)
		return rc;
	if (item->role == ITEM_STOP && item->stop_lane)
		return stop_lane(window, item, hold);
	for (unsigned mask = item->facets & window->needed; mask != 0 && rc == RC_OK;
	     mask &= mask - 1) {
		struct track *track;
		rc = track_of(window, __builtin_ctz(mask), item, &track);
		if (rc == RC_OK)
			rc = track_push(
			    track, item, hold, window->policy, window->next_ns, &window->use);
	}
	return rc;
}

static int by_order(const void *a, const void *b)
{
	const struct pending *x = a, *y = b;

	return item_order(x->item, y->item);
}

static enum rc flush(struct window *window, struct errmsg *why)
{
	enum rc rc = RC_OK;

	if (window->group_len == 0)
		return RC_OK;
	if (window->group_len > 1)
		qsort(window->group, window->group_len, sizeof window->group[0], by_order);
	int64_t key_ns = item_key_ns(window->group[0].item);
	if (key_ns > window->frontier_ns) {
		window->frontier_ns = key_ns;
		rc = emit_before(window, key_ns, why);
	}
	for (size_t i = 0; i < window->group_len; i++) {
		const struct pending *at = &window->group[i];
		bool repeated = i > 0 && by_order(at, at - 1) == 0;
		if (rc == RC_OK && !repeated && !window_done(window))
			rc = deliver(window, at->item, at->hold);
	}
	for (size_t i = 0; i < window->group_len; i++)
		track_hold_put(window->group[i].hold, &window->use);
	window->group_len = 0;
	if (rc == RC_OK &&
	    (window->use.entries > WINDOW_ENTRIES_MAX || window->use.bytes > WINDOW_BYTES_MAX))
		rc = RC_LIMIT;
	return rc == RC_OK ? rc : errmsg_rc(why, rc, "too many observations at once");
}

enum rc window_push(struct window *window, const struct item *item, struct errmsg *why)
{
	if (window->group_len > 0 && item_key_ns(window->group[0].item) != item_key_ns(item)) {
		enum rc rc = flush(window, why);
		if (rc != RC_OK)
			return rc;
	}
	if (window_done(window))
		return RC_OK;
	if (window->group_len == window->group_cap) {
		size_t cap = window->group_cap == 0 ? 64 : window->group_cap * 2;
		if (cap > WINDOW_ENTRIES_MAX)
			return errmsg_rc(why, RC_LIMIT, "too many observations of one time");
		struct pending *group = realloc(window->group, cap * sizeof *group);
		if (group == NULL)
			return RC_NOMEM;
		window->group = group;
		window->group_cap = cap;
	}
	struct pending at = { .item = item };
	if (!window->grid.borrow) {
		at.hold = track_hold_new(item, &window->use);
		if (at.hold == NULL)
			return RC_NOMEM;
		at.item = &at.hold->item;
	}
	window->group[window->group_len++] = at;
	return RC_OK;
}

enum rc window_finish(struct window *window, struct errmsg *why)
{
	enum rc rc = flush(window, why);

	while (rc == RC_OK && !window_done(window))
		rc = emit(window, why);
	return rc;
}
