/* Touches: reach of one observation, by the rules of the facets it feeds. */
#include "align/touch.h"

#include "base/clock.h"
#include "store/store.h"

#define LOOK_FIRST ((size_t)16)
#define BACK_FIRST_NS (32 * NS_PER_S)

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t minus(int64_t ns, int64_t span_ns)
{
	int64_t out;

	return __builtin_sub_overflow(ns, span_ns, &out) || out < OBS_TIME_MIN_NS ? OBS_TIME_MIN_NS
										  : out;
}

static int64_t plus(int64_t ns, int64_t span_ns)
{
	int64_t out;

	return __builtin_add_overflow(ns, span_ns, &out) || out > OBS_TIME_MAX_NS ? OBS_TIME_MAX_NS
										  : out;
}

static unsigned facets_of_layer(enum layer layer)
{
	switch (layer) {
	case LAYER_TEXT:
		return FACET_MASK(FACET_LANGUAGE);
	case LAYER_VISUAL:
		return FACET_MASK(FACET_VISUAL);
	case LAYER_AUDITORY:
		return FACET_MASK(FACET_AUDIO) | FACET_MASK(FACET_LANGUAGE);
	case LAYER_BEHAVIOUR:
		return FACET_MASK(FACET_DEVICE) | FACET_MASK(FACET_BODY);
	case LAYER_ENVIRONMENT:
		return FACET_MASK(FACET_LOCATION) | FACET_MASK(FACET_ENVIRONMENT);
	case LAYER_HOME:
		return FACET_MASK(FACET_HOME);
	}
	return FACET_MASK_ALL;
}

struct span {
	int64_t back_ns, ahead_ns;
};

/* The widest of the facets' rules. */
static struct span span_of(unsigned facets, const struct policy *policy)
{
	struct span span = { .ahead_ns = 2 * policy->reach_ns };

	for (int facet = 0; facet < FACET_COUNT; facet++) {
		const struct policy_rule *rule = &policy->rules[facet];
		if ((facets & FACET_MASK(facet)) == 0)
			continue;
		span.back_ns = larger(span.back_ns, larger(rule->nearest_ns, rule->blend_ns));
		if (rule->carry == POLICY_CARRY_STEP)
			span.ahead_ns = INT64_MAX;
	}
	return span;
}

static enum touch_clip clip_of(const struct item *item, const struct policy *policy)
{
	enum touch_clip clip = TOUCH_CLIP_NEXT;

	if (item->role == ITEM_NOTE || item->stop_lane || item->wide)
		return TOUCH_NO_CLIP;
	for (int facet = 0; facet < FACET_COUNT; facet++) {
		const struct policy_rule *rule = &policy->rules[facet];
		if ((item->facets & FACET_MASK(facet)) != 0 &&
		    (rule->carry == POLICY_CARRY_PERIODS || rule->nearest_times != 0))
			clip = TOUCH_CLIP_SECOND;
	}
	return clip;
}

/* Items of one key are in the same tracks of the same facets. */
static uint64_t key_of(const struct item *item)
{
	return item->track + item->facets * UINT64_C(0x9E3779B97F4A7C15);
}

/* `lane`: it acts on all tracks of its lane. */
static void reach_of(const struct item *item, unsigned facets, bool lane,
    const struct policy *policy, struct touch *out)
{
	struct span span = span_of(facets, policy);

	*out = (struct touch){
		.t0_ns = item->t0_ns,
		.t1_ns = item->t1_ns,
		.first_ns = minus(item->t0_ns, item->early_ns),
		.last_ns = plus(plus(plus(item->t1_ns, item->late_ns), item->late_ns), 1),
		.track = key_of(item),
		.facets = facets,
		.clip = lane ? TOUCH_NO_CLIP : clip_of(item, policy),
	};
	/* The next record that names an epoch may begin one, or no longer. */
	if (lane && item->boots)
		span.ahead_ns = plus(span.ahead_ns, policy->reach_ns);
	out->from_ns = minus(out->first_ns, span.back_ns);
	out->to_ns = plus(out->last_ns, span.ahead_ns);
	out->clip_back = out->clip != TOUCH_NO_CLIP;
}

void touch_of_item(
    const struct item *item, enum layer layer, const struct policy *policy, struct touch *out)
{
	bool lane = item->boots || item->stop_lane;

	reach_of(
	    item, lane ? facets_of_layer(layer) | item->facets : item->facets, lane, policy, out);
}

void touch_of_mark(const struct store_dirty *mark, const struct policy *policy, struct touch *out)
{
	unsigned facets = 0;

	for (unsigned layer = 1; layer <= LAYER_COUNT; layer++) {
		if ((mark->layers & LAYER_MASK(layer)) != 0)
			facets |= facets_of_layer((enum layer)layer);
	}
	struct span span = span_of(facets, policy);
	int64_t error_ns = PLACEMENT_NARROW_NS; /* of wide ones the mark has the extent */
	*out = (struct touch){
		.from_ns = minus(minus(mark->from_ns, error_ns), span.back_ns),
		.to_ns = plus(plus(mark->to_ns, error_ns), plus(span.ahead_ns, policy->reach_ns)),
		.t0_ns = mark->from_ns,
		.t1_ns = mark->to_ns,
		.facets = FACET_MASK_ALL,
	};
}

/* What comes behind a value does not see past it: it ends later, so it is the last one.
 * Where it may still be inside, a state is carried in before it. */
void touch_clip_at(struct touch *touch, int64_t next_ns, int64_t until_ns)
{
	int64_t to_ns = larger(touch->last_ns, plus(until_ns, 1));

	touch->t1_ns = next_ns;
	touch->clip = touch->clip == TOUCH_CLIP_SECOND ? TOUCH_CLIP_NEXT : TOUCH_NO_CLIP;
	if (touch->clip == TOUCH_NO_CLIP && to_ns < touch->to_ns)
		touch->to_ns = to_ns;
}

/* ---- in the store -------------------------------------------------------------------- */

struct look {
	struct touch *touch;
	const struct policy *policy;
	size_t seen;
	bool found;
	int64_t last_ns; /* from where on the last one found may lie */
};

static bool look_at(void *ctx, const struct observation *obs)
{
	struct look *look = ctx;
	struct item_rest rest;
	struct item item;

	item_of_observation(obs, look->policy, &item, &rest);
	if (key_of(&item) == look->touch->track && item.role == ITEM_VALUE && !item.wide &&
	    item.t0_ns > look->touch->t1_ns)
		touch_clip_at(look->touch, item.t1_ns, plus(item.t1_ns, item.late_ns));
	look->seen++;
	return look->touch->clip != TOUCH_NO_CLIP;
}

static enum rc clip_ahead(struct touch *touch, struct store *store,
    const struct store_range *within, const struct policy *policy, struct errmsg *why)
{
	struct look look = { .touch = touch, .policy = policy };
	struct store_position at = { .set = false };
	size_t step = LOOK_FIRST, before = 0;
	enum rc rc = RC_OK;
	struct store_range range = *within;

	range.from_ns = touch->t1_ns;
	range.to_ns = touch->to_ns;
	/* Most often the next value is near: few records first, then more. */
	while (rc == RC_OK && touch->clip != TOUCH_NO_CLIP && look.seen < TOUCH_LOOK_MAX) {
		before = look.seen;
		rc = store_scan_time(store, &range, &at, step, look_at, &look, why);
		if (look.seen - before < step)
			break; /* to the end of the range */
		step *= 4;
	}
	return rc == RC_CORRUPT ? RC_OK : rc; /* what cannot be read clips nothing */
}

/* The last plain value before the observation. */
static bool look_back(void *ctx, const struct observation *obs)
{
	struct look *look = ctx;
	struct item_rest rest;
	struct item item;

	item_of_observation(obs, look->policy, &item, &rest);
	if (key_of(&item) == look->touch->track && item.plain && item.t0_ns < look->touch->t0_ns) {
		look->found = true;
		look->last_ns = minus(item.t0_ns, item.early_ns);
	}
	look->seen++;
	return true;
}

/* What lies wholly before that value finds it first, on its way here. */
static enum rc clip_back(struct touch *touch, struct store *store, const struct store_range *within,
    const struct policy *policy, struct errmsg *why)
{
	struct look look = { .touch = touch, .policy = policy };
	struct store_range range = *within;
	enum rc rc = RC_OK;

	if (item_since_ns(touch->first_ns, touch->from_ns) <= PLACEMENT_NARROW_NS)
		return RC_OK; /* there is little to leave out */
	range.from_ns = touch->t0_ns;
	for (int64_t step_ns = BACK_FIRST_NS;
	     rc == RC_OK && !look.found && range.from_ns > touch->from_ns &&
	     look.seen < TOUCH_LOOK_MAX;
	     step_ns *= 2) {
		range.to_ns = range.from_ns;
		range.from_ns = larger(touch->from_ns, minus(range.from_ns, step_ns));
		rc = store_scan_time(
		    store, &range, NULL, TOUCH_LOOK_MAX - look.seen, look_back, &look, why);
	}
	if (look.found)
		touch->from_ns = larger(touch->from_ns,
		    touch->first_ns < look.last_ns ? touch->first_ns : look.last_ns);
	return rc == RC_CORRUPT ? RC_OK : rc;
}

enum rc touch_clip_by_store(struct touch *touch, struct store *store,
    const struct store_range *within, const struct policy *policy, struct errmsg *why)
{
	enum rc rc = RC_OK;

	if (touch->clip_back)
		rc = clip_back(touch, store, within, policy, why);
	return rc == RC_OK ? clip_ahead(touch, store, within, policy, why) : rc;
}

/* ---- epochs ---------------------------------------------------------------------------- */

/* The records of the item's lane that name an epoch. */
struct epoch_look {
	const struct item *item;
	const struct policy *policy;
	int64_t from_ns; /* on the way back: of the stretch at hand */
	size_t seen;
	bool found; /* one that does not share its time with the item */
	bool other; /* one of another epoch */
};

/* 0 if it is none of them. */
static uint64_t epoch_of(struct epoch_look *look, const struct observation *obs, int64_t *t0_ns)
{
	struct item_rest rest;
	struct item item;

	look->seen++;
	item_of_observation(obs, look->policy, &item, &rest);
	*t0_ns = item.t0_ns;
	if (item.wide || rest.lane != look->item->rest->lane || item.seq == look->item->seq)
		return 0;
	return rest.boot;
}

/* The next one, and those at the item's own time. */
static bool look_behind(void *ctx, const struct observation *obs)
{
	struct epoch_look *look = ctx;
	int64_t t0_ns;
	uint64_t boot = epoch_of(look, obs, &t0_ns);

	if (boot == 0 || t0_ns < look->item->t0_ns)
		return true;
	look->found = t0_ns > look->item->t0_ns;
	look->other = look->other || boot != look->item->rest->boot;
	return !look->found && !look->other;
}

/* The last one: of the stretch, which goes on up to the item or what was looked at. */
static bool look_before(void *ctx, const struct observation *obs)
{
	struct epoch_look *look = ctx;
	int64_t t0_ns;
	uint64_t boot = epoch_of(look, obs, &t0_ns);

	if (boot != 0 && t0_ns >= look->from_ns && t0_ns < look->item->t0_ns) {
		look->found = true;
		look->other = boot != look->item->rest->boot;
	}
	return true;
}

static enum rc find_behind(
    struct epoch_look *look, struct store *store, struct store_range *range, struct errmsg *why)
{
	struct store_position at = { .set = false };
	size_t before, count = LOOK_FIRST;
	enum rc rc;

	range->from_ns = look->item->t0_ns;
	range->to_ns = plus(look->item->t0_ns, look->policy->reach_ns + 1);
	do {
		before = look->seen;
		rc = store_scan_time(store, range, &at, count, look_behind, look, why);
		if (rc != RC_OK || look->seen - before < count)
			break; /* to the end of the range */
		count *= 4;
	} while (!look->found && !look->other && look->seen < TOUCH_LOOK_MAX);
	return rc;
}

static enum rc find_before(
    struct epoch_look *look, struct store *store, struct store_range *range, struct errmsg *why)
{
	int64_t first_ns = minus(look->item->t0_ns, look->policy->reach_ns);
	enum rc rc = RC_OK;

	look->from_ns = look->item->t0_ns;
	for (int64_t step_ns = BACK_FIRST_NS;
	     rc == RC_OK && !look->found && look->from_ns > first_ns && look->seen < TOUCH_LOOK_MAX;
	     step_ns *= 2) {
		range->to_ns = look->from_ns;
		look->from_ns = range->from_ns = larger(first_ns, minus(range->to_ns, step_ns));
		rc = store_scan_time(
		    store, range, NULL, TOUCH_LOOK_MAX - look->seen, look_before, look, why);
	}
	return rc;
}

enum rc touch_in_epoch(const struct item *item, struct store *store,
    const struct store_range *within, const struct policy *policy, struct touch *out,
    struct errmsg *why)
{
	/* At home an epoch ends whatever held before, however long ago. */
	bool step = (within->layers & LAYER_MASK(LAYER_HOME)) != 0;
	struct store_range range = *within;

	for (int back = 0; back < 2; back++) {
		struct epoch_look look = { .item = item, .policy = policy };
		enum rc rc = back ? find_before(&look, store, &range, why)
				  : find_behind(&look, store, &range, why);
		if (rc != RC_OK && rc != RC_CORRUPT)
			return rc;
		if (rc != RC_OK || look.other || look.seen >= TOUCH_LOOK_MAX ||
		    (step && !look.found))
			return RC_NOTFOUND;
	}
	reach_of(item, item->facets, false, policy, out);
	return RC_OK;
}
