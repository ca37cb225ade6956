/* Window, items in: groups of one time, lanes, tracks. */
#include "align/window_inner.h"

#include <stdlib.h>

#define PUSH_AHEAD 8 /* items asked for before they are looked at */

/* ---- life ----------------------------------------------------------------------------- */

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
	window->due_ns = window_due_ns(window);
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
	track_use_fini(&window->use);
	lookup_fini(&window->lanes);
	lookup_fini(&window->lookup);
	free(window->list.picks);
	free(window->values);
	arena_fini(&window->arena);
	free(window);
}

size_t window_bytes(const struct window *window)
{
	size_t bytes = sizeof *window + window->use.bytes + window->use.spare_bytes +
		       window->arena.used_bytes + window->group_cap * sizeof window->group[0] +
		       FACET_COUNT * SLICE_CELL_VALUES_MAX * sizeof window->values[0] +
		       window->list.cap * sizeof window->list.picks[0] +
		       (window->lanes.cap + window->lookup.cap) * sizeof(struct lookup_slot) +
		       window->lanes.len * sizeof(struct lane);

	for (int facet = 0; facet < FACET_COUNT; facet++) {
		const struct row *row = &window->rows[facet];
		bytes += row->cap * sizeof(struct track *);
		for (size_t i = 0; i < row->len; i++)
			bytes += track_bytes(row->tracks[i]);
	}
	return bytes;
}

bool window_done(const struct window *window)
{
	return window->stopped || window->next_ns >= window->grid.to_ns;
}

/* ---- tracks ----------------------------------------------------------------------- */

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

/* A new boot epoch (not 0) of the lane's clock is a stop just before `item`. */
static enum rc check_epoch(struct window *window, const struct item *item)
{
	bool step = (item->facets & FACET_MASK(FACET_HOME)) != 0;

	if (item->wide)
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
		stop.plain = false;
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

/* ---- items in ----------------------------------------------------------------------- */

static enum rc deliver(struct window *window, const struct item *item, struct track_hold *hold)
{
	enum rc rc = item->boot == 0 ? RC_OK : check_epoch(window, item);

	if (rc != RC_OK)
		return rc;
	if (item->stop_lane)
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

static enum rc verdict(const struct window *window, enum rc rc, struct errmsg *why)
{
	if (rc == RC_OK &&
	    (window->use.entries > WINDOW_ENTRIES_MAX || window->use.bytes > WINDOW_BYTES_MAX))
		rc = RC_LIMIT;
	return rc == RC_OK ? rc : errmsg_rc(why, rc, "too many observations at once");
}

static enum rc flush(struct window *window, struct errmsg *why)
{
	enum rc rc = RC_OK;

	if (window->group_len > 1)
		qsort(window->group, window->group_len, sizeof window->group[0], by_order);
	if (window->group_ns >= window->due_ns)
		rc = window_emit_before(window, window->group_ns, why);
	for (size_t i = 0; i < window->group_len; i++) {
		const struct pending *at = &window->group[i];
		bool repeated = i > 0 && by_order(at, at - 1) == 0;
		if (rc == RC_OK && !repeated && !window_done(window))
			rc = deliver(window, at->item, at->hold);
	}
	for (size_t i = 0; i < window->group_len; i++)
		track_hold_put(window->group[i].hold, &window->use);
	window->group_len = 0;
	return verdict(window, rc, why);
}

/* The item, or a copy of it, waits for others of its time. */
static enum rc join_group(struct window *window, const struct item *item, struct errmsg *why)
{
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
	window->group_ns = item_key_ns(item);
	window->group[window->group_len++] = at;
	return RC_OK;
}

/* An item that no other one shares its time with needs no group. */
static enum rc take_alone(
    struct window *window, const struct item *item, int64_t key_ns, struct errmsg *why)
{
	struct track_hold *hold = NULL;
	enum rc rc = RC_OK;

	if (key_ns >= window->due_ns)
		rc = window_emit_before(window, key_ns, why);
	if (rc != RC_OK || window_done(window))
		return rc;
	if (!window->grid.borrow) {
		hold = track_hold_new(item, &window->use);
		if (hold == NULL)
			return RC_NOMEM;
		item = &hold->item;
	}
	rc = deliver(window, item, hold);
	if (hold != NULL)
		track_hold_put(hold, &window->use);
	return verdict(window, rc, why);
}

enum rc window_push(struct window *window, const struct item *items, size_t n, struct errmsg *why)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; i < n && rc == RC_OK; i++) {
		int64_t key_ns = item_key_ns(&items[i]);
		if (i + PUSH_AHEAD < n)
			__builtin_prefetch(&items[i + PUSH_AHEAD]);
		if (window->group_len > 0 && window->group_ns != key_ns)
			rc = flush(window, why);
		if (rc != RC_OK || window_done(window))
			return rc;
		if (window->group_len == 0 && i + 1 < n && item_key_ns(&items[i + 1]) != key_ns)
			rc = take_alone(window, &items[i], key_ns, why);
		else
			rc = join_group(window, &items[i], why);
	}
	return rc;
}

enum rc window_finish(struct window *window, struct errmsg *why)
{
	enum rc rc = window->group_len > 0 ? flush(window, why) : RC_OK;

	return rc == RC_OK ? window_emit_rest(window, why) : rc;
}
