/* Window, items in: groups of one time, lanes, tracks. */
#include "align/window_inner.h"

#include <stdlib.h>

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
	window->values = malloc(FACET_COUNT * SLICE_CELL_VALUES_MAX * sizeof window->values[0]);
	if (window->values == NULL) {
		free(window);
		return RC_NOMEM;
	}
	window->policy = policy;
	window->grid = *grid;
	window->round = (struct track_round){ policy, grid->from_ns, grid->step_ns };
	window->visit = visit;
	window->ctx = ctx;
	window->needed = grid->facets & FACET_MASK(FACET_SCENE) ? FACET_MASK_ALL : grid->facets;
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
		track_hold_put(window->group[i], &window->use);
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
	return window->stopped || window->round.start_ns >= window->grid.to_ns;
}

/* ---- tracks ----------------------------------------------------------------------- */

static inline uint64_t track_key(const struct item *item, int facet)
{
	return item->track + (uint64_t)(facet + 1) * UINT64_C(0xD1B54A32D192ED03);
}

static enum rc add_track(
    struct window *window, int facet, const struct item *item, uint64_t key, struct track **out)
{
	const struct policy_rule *rule = &window->policy->rules[facet];
	struct row *row = &window->rows[facet];

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
	struct track *track = calloc(1, sizeof *track);
	if (track == NULL || lookup_put(&window->lookup, key, track) != RC_OK) {
		free(track);
		return RC_NOMEM;
	}
	track->key = key;
	track->lane = item->rest->lane;
	track->facet = (enum facet)facet;
	track->early_ns = -1; /* nothing is like its entries */
	track->thins = !rule->all && rule->carry != POLICY_CARRY_STEP;
	track->stretch_end_ns = INT64_MIN;
	row->tracks[row->len++] = track;
	window->tracks_len++;
	*out = track;
	return RC_OK;
}

static inline enum rc track_of(
    struct window *window, int facet, const struct item *item, struct track **out)
{
	uint64_t key = track_key(item, facet);

	*out = lookup_find(&window->lookup, key);
	return *out != NULL ? RC_OK : add_track(window, facet, item, key, out);
}

/* The track holds on to the item. */
static enum rc push_to(
    struct window *window, struct track *track, const struct item *item, bool tied)
{
	if (item->held)
		track_hold_get(item);
	enum rc rc = track_push(track, item, tied, &window->round, &window->use);
	if (rc != RC_OK)
		track_hold_put(item, &window->use);
	return rc;
}

/* A stop ends the tracks of its lane that had a value not long before it. */
static enum rc stop_lane(struct window *window, const struct item *stop)
{
	for (int facet = 0; facet < FACET_COUNT; facet++) {
		const struct row *row = &window->rows[facet];
		if ((stop->facets & FACET_MASK(facet)) == 0)
			continue;
		bool step = window->policy->rules[facet].carry == POLICY_CARRY_STEP;
		for (size_t i = 0; i < row->len; i++) {
			struct track *track = row->tracks[i];
			if (track->lane != stop->rest->lane || !track->has_last)
				continue;
			if (!step && item_since_ns(stop->t0_ns, track_last_end_ns(track)) >
					 window->policy->reach_ns)
				continue;
			enum rc rc = push_to(window, track, stop, true);
			if (rc != RC_OK)
				return rc;
		}
	}
	return RC_OK;
}

/* The stop that a new boot epoch is, just before `item`. */
static enum rc stop_epoch(struct window *window, const struct item *item)
{
	struct item_rest rest = *item->rest;
	struct item stop = *item;

	rest.stop_reason = "epoch";
	rest.block = NULL;
	stop.role = ITEM_STOP;
	stop.plain = stop.usual = false;
	stop.t1_ns = stop.t0_ns;
	stop.rest = &rest;
	stop.facets = FACET_MASK_ALL;
	const struct item *held = track_hold_new(&stop, &window->use);
	if (held == NULL)
		return RC_NOMEM;
	enum rc rc = stop_lane(window, held);
	track_hold_put(held, &window->use);
	return rc;
}

/* A new boot epoch (not 0) of the lane's clock stops the lane. */
static enum rc check_epoch(struct window *window, const struct item *item)
{
	const struct item_rest *rest = item->rest;
	bool step = (item->facets & FACET_MASK(FACET_HOME)) != 0;
	enum rc rc = RC_OK;

	if (item->wide)
		return RC_OK;
	struct lane *lane = lookup_find(&window->lanes, rest->lane);
	if (lane == NULL) {
		lane = calloc(1, sizeof *lane);
		if (lane == NULL || lookup_put(&window->lanes, rest->lane, lane) != RC_OK) {
			free(lane);
			return RC_NOMEM;
		}
	} else if (lane->boot != rest->boot &&
		   (step || item_since_ns(item->t0_ns, lane->t0_ns) <= window->policy->reach_ns)) {
		rc = stop_epoch(window, item);
	}
	lane->boot = rest->boot;
	lane->t0_ns = item->t0_ns;
	return rc;
}

/* ---- items in ----------------------------------------------------------------------- */

static enum rc deliver(struct window *window, const struct item *item, bool tied)
{
	enum rc rc = item->boots ? check_epoch(window, item) : RC_OK;

	if (rc != RC_OK)
		return rc;
	if (item->stop_lane)
		return stop_lane(window, item);
	for (unsigned mask = item->facets & window->needed; mask != 0 && rc == RC_OK;
	     mask &= mask - 1) {
		struct track *track;
		rc = track_of(window, __builtin_ctz(mask), item, &track);
		if (rc == RC_OK)
			rc = push_to(window, track, item, tied);
	}
	return rc;
}

static int by_order(const void *a, const void *b)
{
	return item_order(*(const struct item *const *)a, *(const struct item *const *)b);
}

static enum rc verdict(const struct window *window, enum rc rc, struct errmsg *why)
{
	if (rc == RC_OK &&
	    (window->use.entries > WINDOW_ENTRIES_MAX || window->use.bytes > WINDOW_BYTES_MAX))
		rc = RC_LIMIT;
	return rc == RC_OK ? rc : errmsg_rc(why, rc, "too many observations at once");
}

static enum rc flush(struct window *window)
{
	enum rc rc = RC_OK;

	if (window->group_len > 1)
		qsort(window->group, window->group_len, sizeof(struct item *), by_order);
	for (size_t i = 0; i < window->group_len && rc == RC_OK; i++) {
		const struct item **at = &window->group[i];
		if (i == 0 || by_order(at, at - 1) != 0)
			rc = deliver(window, *at, window->group_len > 1);
	}
	for (size_t i = 0; i < window->group_len; i++)
		track_hold_put(window->group[i], &window->use);
	window->group_len = 0;
	return rc;
}

/* The item, or a copy of it, waits for others of its time. */
static enum rc join_group(struct window *window, const struct item *item, struct errmsg *why)
{
	if (window->group_len == window->group_cap) {
		size_t cap = window->group_cap == 0 ? 64 : window->group_cap * 2;
		if (cap > WINDOW_ENTRIES_MAX)
			return errmsg_rc(why, RC_LIMIT, "too many observations of one time");
		const struct item **group = realloc(window->group, cap * sizeof(struct item *));
		if (group == NULL)
			return RC_NOMEM;
		window->group = group;
		window->group_cap = cap;
	}
	window->group_ns = item_key_ns(item);
	if (!window->grid.borrow)
		item = track_hold_new(item, &window->use);
	if (item == NULL)
		return RC_NOMEM;
	window->group[window->group_len++] = item;
	return RC_OK;
}

/* Of items that need no copy, those from the first on that one track takes as they
 * are; how many. */
static size_t take_run(struct window *window, const struct item *items, size_t n)
{
	unsigned facets = items->facets & window->needed;

	if (!window->grid.borrow || facets == 0 || (facets & (facets - 1)) != 0)
		return 0;
	struct track *track = lookup_find(&window->lookup, track_key(items, __builtin_ctz(facets)));
	return track == NULL ? 0 : track_push_run(track, items, n, &window->round, &window->use);
}

enum rc window_push(struct window *window, const struct item *items, size_t n, struct errmsg *why)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; i < n && rc == RC_OK && !window_done(window); i++) {
		if (window->group_len > 0 && window->group_ns != item_key_ns(&items[i]))
			rc = flush(window);
		if (rc == RC_OK && window->group_len == 0)
			i += take_run(window, items + i, n - i);
		if (rc == RC_OK)
			rc = join_group(window, &items[i], why);
	}
	return verdict(window, rc, why);
}

enum rc window_settle(struct window *window, int64_t until_ns, struct errmsg *why)
{
	enum rc rc = RC_OK;

	if (window->due_ns > until_ns)
		return RC_OK;
	if (window->group_len > 0 && window->group_ns < until_ns)
		rc = flush(window);
	rc = verdict(window, rc, why);
	return rc == RC_OK ? window_emit_before(window, until_ns, why) : rc;
}

enum rc window_finish(struct window *window, struct errmsg *why)
{
	enum rc rc = window->group_len > 0 ? verdict(window, flush(window), why) : RC_OK;

	return rc == RC_OK ? window_emit_rest(window, why) : rc;
}
