/*
 * Slices from the store: which ranges to read for a grid, and in what order.
 *
 * All layers are read from window_reach_of() on.  A state of the home holds
 * until its next change, so what still matters of that layer's past goes in
 * first (home.h).  All reads are pinned to one cursor.
 */
#include "align/slice.h"

#include "align/home.h"
#include "align/item_names.h"
#include "align/window.h"
#include "base/clock.h"
#include "store/store_clock.h"

struct feed {
	struct window *window;
	struct item_names *names;
	const struct policy *policy;
	struct errmsg *why;
	enum rc rc;
	bool damaged;           /* a record could not be read; the others were */
	bool skip_home;         /* home items that began before `skip_before_ns` */
	int64_t skip_before_ns; /* were read by the first pass */
	/* Of one track. */
	const struct slice_track *track;
	struct store_kept *kept;
	unsigned facets;
	uint64_t boot;              /* of all epochs that were seen; 0: none was */
	int64_t after_ns, until_ns; /* what is asked of its values */
	size_t seen, found;
	bool enough;
};

static int64_t floor_to(int64_t ns, int64_t step_ns)
{
	int64_t rest = ns % step_ns;

	return ns - (rest < 0 ? rest + step_ns : rest);
}

enum rc slice_query_check(struct slice_query *query, struct errmsg *why)
{
	int64_t step_ns = query->step_ns;

	if (step_ns < NS_PER_S || step_ns > NS_PER_DAY || NS_PER_DAY % step_ns != 0)
		return errmsg_rc(why, RC_INVALID,
		    "step: at least one second, and a day must be a multiple of it");
	if (query->from_ns < OBS_TIME_MIN_NS || query->to_ns > OBS_TIME_MAX_NS ||
	    query->from_ns >= query->to_ns)
		return errmsg_rc(
		    why, RC_INVALID, "from, to: an empty range or outside 1900 to 2200");
	query->from_ns = floor_to(query->from_ns, step_ns);
	query->to_ns = floor_to(query->to_ns + step_ns - 1, step_ns);
	if (item_since_ns(query->to_ns, query->from_ns) / step_ns > (int64_t)SLICE_COUNT_MAX)
		return errmsg_rc(why, RC_LIMIT,
		    "more than %zu slices: use a larger step or ask in parts", SLICE_COUNT_MAX);
	query->facets = query->facets == 0 ? FACET_MASK_ALL : query->facets & FACET_MASK_ALL;
	return RC_OK;
}

/* The next one of a scan, which is in order of time. */
static enum rc push(struct feed *feed, const struct item *item)
{
	enum rc rc = window_settle(feed->window, item_key_ns(item), feed->why);

	return rc == RC_OK ? window_push(feed->window, item, 1, feed->why) : rc;
}

static bool take(void *ctx, const struct observation *obs)
{
	struct feed *feed = ctx;
	struct item_rest rest;
	struct item item;

	item_of_names(feed->names, obs, feed->policy, &item, &rest);
	if (feed->skip_home && obs->layer == LAYER_HOME &&
	    item_key_ns(&item) < feed->skip_before_ns)
		return true;
	feed->rc = push(feed, &item);
	return feed->rc == RC_OK && !window_done(feed->window);
}

/* Of a reading that handed its records to take(). */
static enum rc verdict(struct feed *feed, enum rc rc)
{
	if (rc == RC_CORRUPT && feed->rc == RC_OK) {
		feed->damaged = true;
		return RC_OK;
	}
	return rc == RC_OK ? feed->rc : rc;
}

/* Layers that feed the facets of `grid`. */
static unsigned layers_of(const struct window_grid *grid)
{
	unsigned layers = 0;

	if ((grid->facets & FACET_MASK(FACET_SCENE)) != 0)
		return LAYER_MASK_ALL;
	if ((grid->facets & FACET_MASK(FACET_LANGUAGE)) != 0)
		layers |= LAYER_MASK(LAYER_TEXT) | LAYER_MASK(LAYER_AUDITORY);
	if ((grid->facets & FACET_MASK(FACET_VISUAL)) != 0)
		layers |= LAYER_MASK(LAYER_VISUAL);
	if ((grid->facets & FACET_MASK(FACET_AUDIO)) != 0)
		layers |= LAYER_MASK(LAYER_AUDITORY);
	if ((grid->facets & (FACET_MASK(FACET_DEVICE) | FACET_MASK(FACET_BODY))) != 0)
		layers |= LAYER_MASK(LAYER_BEHAVIOUR);
	if ((grid->facets & (FACET_MASK(FACET_LOCATION) | FACET_MASK(FACET_ENVIRONMENT))) != 0)
		layers |= LAYER_MASK(LAYER_ENVIRONMENT);
	if ((grid->facets & FACET_MASK(FACET_HOME)) != 0)
		layers |= LAYER_MASK(LAYER_HOME);
	return layers;
}

static enum rc read_all(struct feed *feed, struct store *store, const struct window_grid *grid,
    bool near_only, uint64_t as_of_seq)
{
	struct window_reach reach = window_reach_of(feed->policy, grid);
	unsigned layers = layers_of(grid);
	enum rc rc = RC_OK;

	if (near_only) {
		reach.from_ns = grid->from_ns - 2 * PLACEMENT_NARROW_NS;
		reach.to_ns = grid->to_ns + 2 * PLACEMENT_NARROW_NS;
	}
	if (reach.from_ns < OBS_TIME_MIN_NS)
		reach.from_ns = OBS_TIME_MIN_NS;
	if ((layers & LAYER_MASK(LAYER_HOME)) != 0 && reach.from_ns > OBS_TIME_MIN_NS) {
		rc = verdict(feed, home_visit(store, reach.from_ns, as_of_seq, feed->policy, take,
				       feed, feed->why));
		feed->skip_home = true;
		feed->skip_before_ns = reach.from_ns;
	}
	if (rc != RC_OK)
		return rc;
	struct store_range range = { .from_ns = reach.from_ns,
		.to_ns = reach.to_ns,
		.layers = layers,
		.as_of_seq = as_of_seq,
		.kept = near_only ? feed->kept : NULL };
	return verdict(feed, store_scan_time(store, &range, NULL, 0, take, feed, feed->why));
}

/* ---- one track ----------------------------------------------------------------------- */

/* Nearest first: four times as far each time. */
#define BACK_FIRST_NS (16 * NS_PER_S)
#define BACK_TIMES 4
/* The last value, and the one before it, which gives it its period. */
#define BACK_VALUES 2
#define STEP_FIRST ((size_t)32)
#define STEP_MAX ((size_t)2048)

/* Is this of the track, or a stop of its lane? */
static bool is_of_track(
    struct feed *feed, const struct observation *obs, struct item *item, struct item_rest *rest)
{
	item_of_names(feed->names, obs, feed->policy, item, rest);
	feed->seen++;
	if (rest->lane != feed->track->lane)
		return false;
	if (item->boots && !item->wide) {
		if (feed->boot != 0 && feed->boot != rest->boot)
			feed->rc = RC_AGAIN; /* another record of the lane began an epoch */
		feed->boot = rest->boot;
	}
	return item->track == feed->track->track || item->stop_lane;
}

static bool is_value(const struct feed *feed, const struct item *item)
{
	return item->role == ITEM_VALUE && !item->wide &&
	       (item->facets & feed->facets) == feed->facets;
}

/* Values that were over before until_ns, and began behind after_ns: all that is
 * not read was over by then. */
static bool count_values(void *ctx, const struct observation *obs)
{
	struct feed *feed = ctx;
	struct item_rest rest;
	struct item item;

	if (is_of_track(feed, obs, &item, &rest) && is_value(feed, &item) &&
	    item.t0_ns > feed->after_ns && item.t1_ns + item.late_ns < feed->until_ns)
		feed->found++;
	feed->enough = feed->found >= BACK_VALUES;
	return feed->rc == RC_OK && !feed->enough;
}

/* Behind the range one value hides all that follow it, but for those that their
 * ε brings back into the range. */
static bool take_of_track(void *ctx, const struct observation *obs)
{
	struct feed *feed = ctx;
	struct item_rest rest;
	struct item item;

	bool ours = is_of_track(feed, obs, &item, &rest);
	if (ours && item_key_ns(&item) < feed->after_ns)
		feed->rc = RC_AGAIN; /* notes behind its beginning are not read */
	if (ours && feed->rc == RC_OK)
		feed->rc = push(feed, &item);
	if (ours && item.plain && is_value(feed, &item) &&
	    item.t0_ns - item.early_ns >= feed->until_ns)
		feed->found++;
	feed->enough =
	    feed->found > 0 && item_key_ns(&item) >= feed->until_ns + 2 * PLACEMENT_NARROW_NS;
	return feed->rc == RC_OK && !feed->enough && !window_done(feed->window);
}

static enum rc scan(struct feed *feed, struct store *store, const struct store_range *range,
    struct store_position *at, size_t limit, store_visit_fn *visit)
{
	enum rc rc = store_scan_time(store, range, at, limit, visit, feed, feed->why);

	return rc == RC_CORRUPT ? RC_AGAIN : verdict(feed, rc);
}

/* From `at` on few records first, then more, until there are enough. */
static enum rc scan_steps(struct feed *feed, struct store *store, const struct store_range *range,
    struct store_position *at, store_visit_fn *visit)
{
	size_t before, step = STEP_FIRST;
	enum rc rc;

	do {
		before = feed->seen;
		rc = scan(feed, store, range, at, step, visit);
		if (feed->seen - before < step)
			break; /* to the end of the range */
		step = step < STEP_MAX ? step * 2 : step;
	} while (rc == RC_OK && !feed->enough && !window_done(feed->window));
	return rc;
}

static enum rc read_track(
    struct feed *feed, struct store *store, const struct window_grid *grid, uint64_t as_of_seq)
{
	struct window_reach reach = window_reach_of(feed->policy, grid);
	struct store_range range = { .to_ns = grid->from_ns,
		.layers = LAYER_MASK(feed->track->layer),
		.as_of_seq = as_of_seq,
		.kept = feed->kept };
	struct store_position at = { .set = false };
	enum rc rc = RC_OK;

	if (reach.from_ns < OBS_TIME_MIN_NS)
		reach.from_ns = OBS_TIME_MIN_NS;
	feed->facets = grid->facets;
	feed->until_ns = grid->from_ns;
	for (int64_t back_ns = BACK_FIRST_NS; rc == RC_OK && !feed->enough; back_ns *= BACK_TIMES) {
		range.from_ns = grid->from_ns - 2 * PLACEMENT_NARROW_NS - back_ns;
		if (range.from_ns <= reach.from_ns)
			break;
		feed->after_ns = range.from_ns;
		feed->found = 0;
		rc = scan_steps(feed, store, &range, &(struct store_position){ 0 }, count_values);
	}
	if (rc != RC_OK)
		return rc;
	if (!feed->enough && feed->track->layer == LAYER_HOME)
		return RC_AGAIN; /* a state may hold from long before */
	if (!feed->enough) {
		range.from_ns = reach.from_ns;
		feed->after_ns = INT64_MIN;
	}
	feed->until_ns = grid->to_ns;
	feed->found = 0;
	feed->enough = false;
	/* All that may touch the range; most often its next value is among that. */
	range.to_ns = grid->to_ns + 2 * PLACEMENT_NARROW_NS;
	rc = scan(feed, store, &range, &at, 0, take_of_track);
	range.to_ns = reach.to_ns;
	if (rc == RC_OK && feed->found == 0)
		rc = scan_steps(feed, store, &range, &at, take_of_track);
	return rc;
}

/* ---- slices -------------------------------------------------------------------------- */

bool slice_cell_is_settled(const struct policy *policy, enum facet facet, const struct cell *cell)
{
	const struct policy_rule *rule = &policy->rules[facet];
	bool alone = policy_rule_is_inside(rule);

	if (cell->mode == CELL_ABSENT)
		return false; /* the reason may lie before it */
	/* Only what lies inside is ever certain of what was observed. */
	return alone || (rule->best_only && rule->carry != POLICY_CARRY_STEP &&
			    (cell->mode == CELL_OBSERVED || cell->mode == CELL_OVERLAP) &&
			    cell->certainty == CERTAINTY_CERTAIN);
}

enum rc slice_build(struct store *store, const struct slice_query *asked, slice_visit_fn *visit,
    void *ctx, struct errmsg *why)
{
	struct slice_query checked = *asked, *query = &checked;
	struct feed feed = { .policy = query->policy != NULL ? query->policy : policy_default(),
		.track = query->track,
		.kept = query->kept,
		.why = why };
	uint64_t cursor = store_cursor(store);

	enum rc rc = slice_query_check(query, why);
	if (rc != RC_OK)
		return rc;
	struct window_grid grid = { .from_ns = query->from_ns,
		.to_ns = query->to_ns,
		.step_ns = query->step_ns,
		.now_ns = clock_utc_ns(),
		.facets = query->facets,
		.keep_empty = query->keep_empty };
	if (query->as_of_seq != 0 && query->as_of_seq < cursor)
		cursor = query->as_of_seq;
	feed.names = item_names_new();
	rc = feed.names == NULL ? RC_NOMEM
				: window_open(feed.policy, &grid, visit, ctx, &feed.window);
	/* 0 would read "the newest": an empty store has nothing. */
	if (rc == RC_OK && cursor > 0 && query->track != NULL)
		rc = read_track(&feed, store, &grid, cursor);
	else if (rc == RC_OK && cursor > 0)
		rc = read_all(&feed, store, &grid, query->near_only, cursor);
	if (rc == RC_OK)
		rc = window_finish(feed.window, why);
	window_close(feed.window);
	item_names_free(feed.names);
	return rc == RC_OK && feed.damaged ? RC_CORRUPT : rc;
}

uint64_t slice_clock_map_version(struct store *store, uint64_t as_of_seq)
{
	return store_clock_version(store, as_of_seq);
}
