/* Window: groups of one time, lanes, tracks, and the slices that fall out. */
#include "align/window.h"

#include <stdlib.h>
#include <string.h>

#include "align/cell.h"
#include "align/lookup.h"
#include "align/scene.h"

/* Values of slices that are out stay until so much is used: a reset costs more
 * than a slice of few values. */
#define ARENA_KEEP_BYTES ((size_t)1 << 20)

/* Last boot epoch of a (source, layer). */
struct lane {
	uint64_t boot;
	int64_t t0_ns; /* of the newest narrow item that named it */
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
	struct track_entry *group; /* items of one key_ns, with their strings */
	size_t group_len, group_cap;
	struct lookup lanes, lookup;
	struct row rows[FACET_COUNT];
	size_t tracks_len;
	struct track_use use;
	struct pick_list list;
	struct arena arena; /* of one slice */
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
		track_strings_put(window->group[i].strings, &window->use);
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
	arena_fini(&window->arena);
	free(window);
}

bool window_done(const struct window *window)
{
	return window->stopped || window->next_ns >= window->grid.to_ns;
}

/* ---- slices out ------------------------------------------------------------------------------ */

static enum rc build_cell(
    struct window *window, int facet, int64_t start_ns, int64_t end_ns, struct cell *out)
{
	struct row *row = &window->rows[facet];

	window->list.len = 0;
	window->list.absent_reason = NULL;
	for (size_t i = 0; i < row->len;) {
		struct track *track = row->tracks[i];
		track_advance(track, start_ns, end_ns, &window->use);
		if (track_is_spent(track, start_ns, window->policy)) {
			lookup_del(&window->lookup, track->key);
			track_fini(track, &window->use);
			free(track);
			row->tracks[i] = row->tracks[--row->len];
			window->tracks_len--;
			continue;
		}
		enum rc rc = pick_track(
		    track, start_ns, end_ns, window->policy, &window->arena, &window->list);
		if (rc != RC_OK)
			return rc;
		i++;
	}
	return cell_of_picks(&window->policy->rules[facet], &window->list, &window->arena, out);
}

static enum rc emit(struct window *window, struct errmsg *why)
{
	struct slice slice = { .start_ns = window->next_ns,
		.end_ns = window->next_ns + window->grid.step_ns,
		.version = 1 };
	enum rc rc = RC_OK;
	bool any = window->grid.keep_empty;

	slice.state = slice.end_ns > window->grid.now_ns ? "open" : "provisional";
	for (int facet = 0; facet < FACET_COUNT && rc == RC_OK; facet++) {
		slice.cells[facet] = (struct cell){ .absent_reason = "none" };
		if (facet != FACET_SCENE && (window->needed & FACET_MASK(facet)) != 0)
			rc = build_cell(
			    window, facet, slice.start_ns, slice.end_ns, &slice.cells[facet]);
	}
	if (rc == RC_OK && (window->grid.facets & FACET_MASK(FACET_SCENE)) != 0)
		rc = scene_derive(slice.cells, &window->arena, &slice.cells[FACET_SCENE]);
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

static enum rc push_to(struct window *window, struct track *track, const struct item *item,
    struct track_strings *strings)
{
	if (strings != NULL)
		strings->refs++; /* the track's; it may drop it at once */
	enum rc rc =
	    track_push(track, item, strings, window->policy, window->next_ns, &window->use);
	if (rc != RC_OK)
		track_strings_put(strings, &window->use);
	return rc;
}

/* A stop ends the tracks of its lane that had a value not long before it. */
static enum rc stop_lane(
    struct window *window, const struct item *stop, struct track_strings *strings)
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
			enum rc rc = push_to(window, track, stop, strings);
			if (rc != RC_OK)
				return rc;
		}
	}
	return RC_OK;
}

/* A new boot epoch of the lane's clock is a stop just before `item`. */
static enum rc check_epoch(
    struct window *window, const struct item *item, struct track_strings *strings)
{
	struct lane *lane = lookup_find(&window->lanes, item->lane);
	bool step = (item->facets & FACET_MASK(FACET_HOME)) != 0;

	if (item->boot == 0 || item->wide)
		return RC_OK;
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
		enum rc rc = stop_lane(window, &stop, strings);
		if (rc != RC_OK)
			return rc;
	}
	lane->boot = item->boot;
	lane->t0_ns = item->t0_ns;
	return RC_OK;
}

static enum rc deliver(struct window *window, const struct track_entry *entry)
{
	const struct item *item = &entry->item;
	enum rc rc = check_epoch(window, item, entry->strings);

	if (rc != RC_OK)
		return rc;
	if (item->role == ITEM_STOP && item->stop_lane)
		return stop_lane(window, item, entry->strings);
	for (int facet = 0; facet < FACET_COUNT && rc == RC_OK; facet++) {
		struct track *track;
		if ((item->facets & window->needed & FACET_MASK(facet)) == 0)
			continue;
		rc = track_of(window, facet, item, &track);
		if (rc == RC_OK)
			rc = push_to(window, track, item, entry->strings);
	}
	return rc;
}

static int by_order(const void *a, const void *b)
{
	const struct track_entry *x = a, *y = b;

	return item_order(&x->item, &y->item);
}

static enum rc flush(struct window *window, struct errmsg *why)
{
	enum rc rc = RC_OK;

	if (window->group_len == 0)
		return RC_OK;
	if (window->group_len > 1)
		qsort(window->group, window->group_len, sizeof window->group[0], by_order);
	int64_t key_ns = window->group[0].item.key_ns;
	if (key_ns > window->frontier_ns) {
		window->frontier_ns = key_ns;
		rc = emit_before(window, key_ns, why);
	}
	for (size_t i = 0; i < window->group_len; i++) {
		struct track_entry *entry = &window->group[i];
		bool repeated = i > 0 && by_order(entry, &window->group[i - 1]) == 0;
		if (rc == RC_OK && !repeated && !window_done(window))
			rc = deliver(window, entry);
	}
	for (size_t i = 0; i < window->group_len; i++)
		track_strings_put(window->group[i].strings, &window->use);
	window->group_len = 0;
	if (rc == RC_OK &&
	    (window->use.entries > WINDOW_ENTRIES_MAX || window->use.bytes > WINDOW_BYTES_MAX))
		rc = RC_LIMIT;
	return rc == RC_OK ? rc : errmsg_rc(why, rc, "too many observations at once");
}

enum rc window_push(struct window *window, const struct item *item, struct errmsg *why)
{
	if (window->group_len > 0 && window->group[0].item.key_ns != item->key_ns) {
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
		struct track_entry *group = realloc(window->group, cap * sizeof *group);
		if (group == NULL)
			return RC_NOMEM;
		window->group = group;
		window->group_cap = cap;
	}
	struct track_entry *entry = &window->group[window->group_len];
	*entry = (struct track_entry){ .item = *item };
	if (!window->grid.borrow) {
		entry->strings = track_strings_new(&entry->item, &window->use);
		if (entry->strings == NULL)
			return RC_NOMEM;
	}
	window->group_len++;
	return RC_OK;
}

enum rc window_finish(struct window *window, struct errmsg *why)
{
	enum rc rc = flush(window, why);

	while (rc == RC_OK && !window_done(window))
		rc = emit(window, why);
	return rc;
}
