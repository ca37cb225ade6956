/* Night plan: bits of days, and the log that sets them. */
#include "night/night_plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/store_clock.h"
#include "store/store_raw.h"

#define PLAN_ARENA_BYTES ((size_t)32 << 20)
#define WORD_BITS 64
#define WORDS ((NIGHT_DAY_COUNT + WORD_BITS - 1) / WORD_BITS)

struct night_plan {
	size_t rules_len;
	uint64_t (*days)[WORDS]; /* [rules_len] */
};

struct reading {
	struct night_plan *plan;
	struct store *store;
	const struct night_rule *const *rules;
	const uint64_t *after_seqs;
	uint64_t up_to_seq;
	uint64_t forgot_seq; /* newest record that forgot something; 0: none */
	struct arena arena;
	enum rc rc;
};

enum rc night_plan_new(size_t rules_len, struct night_plan **out)
{
	struct night_plan *plan = calloc(1, sizeof *plan);

	if (plan == NULL)
		return RC_NOMEM;
	plan->rules_len = rules_len;
	plan->days = calloc(rules_len, sizeof *plan->days);
	if (plan->days == NULL) {
		free(plan);
		return RC_NOMEM;
	}
	*out = plan;
	return RC_OK;
}

void night_plan_free(struct night_plan *plan)
{
	if (plan == NULL)
		return;
	free(plan->days);
	free(plan);
}

static int32_t day_of(int64_t utc_ns)
{
	int64_t day = utc_ns / NS_PER_DAY;

	return (int32_t)(utc_ns % NS_PER_DAY < 0 ? day - 1 : day);
}

/* Days `first` to `last`, as far as the calendar goes. */
static void mark_days(struct night_plan *plan, size_t i, int32_t first, int32_t last)
{
	first = first < NIGHT_DAY_FIRST ? 0 : first - NIGHT_DAY_FIRST;
	last = last - NIGHT_DAY_FIRST >= NIGHT_DAY_COUNT ? NIGHT_DAY_COUNT - 1
							 : last - NIGHT_DAY_FIRST;
	for (int32_t day = first; day <= last; day++)
		plan->days[i][day / WORD_BITS] |= UINT64_C(1) << (day % WORD_BITS);
}

void night_plan_mark(struct night_plan *plan, size_t i, int32_t day, int around)
{
	mark_days(plan, i, day - around, day + around);
}

bool night_plan_has(const struct night_plan *plan, size_t i, int32_t day)
{
	int32_t at = day - NIGHT_DAY_FIRST;

	return at >= 0 && at < NIGHT_DAY_COUNT &&
	       (plan->days[i][at / WORD_BITS] >> (at % WORD_BITS) & 1) != 0;
}

/* The days of the rules in `mask` together. */
static uint64_t word_of(const struct night_plan *plan, uint32_t mask, int32_t word)
{
	uint64_t bits = 0;

	for (size_t i = 0; i < plan->rules_len; i++)
		bits |= (mask >> i & 1) != 0 ? plan->days[i][word] : 0;
	return bits;
}

bool night_plan_next(const struct night_plan *plan, uint32_t mask, int32_t *day)
{
	int32_t at = *day <= NIGHT_DAY_FIRST ? 0 : *day - NIGHT_DAY_FIRST;

	if (at >= NIGHT_DAY_COUNT)
		return false;
	uint64_t bits = word_of(plan, mask, at / WORD_BITS) & UINT64_MAX << (at % WORD_BITS);
	for (int32_t word = at / WORD_BITS;;) {
		if (bits != 0) {
			*day = NIGHT_DAY_FIRST + word * WORD_BITS + __builtin_ctzll(bits);
			return true;
		}
		if (++word == WORDS)
			return false;
		bits = word_of(plan, mask, word);
	}
}

uint64_t night_plan_count(const struct night_plan *plan, uint32_t mask)
{
	uint64_t count = 0;

	for (int32_t word = 0; word < WORDS; word++)
		count += (uint64_t)__builtin_popcountll(word_of(plan, mask, word));
	return count;
}

/* ---- the log ------------------------------------------------------------------------ */

/* An observation is context up to `after_ns` behind a day, and from `before_ns`
 * before it: the days that can see it.  Rules go by its place, however wide. */
static void touch(
    struct reading *reading, unsigned layer, const struct placement *place, uint64_t seq)
{
	for (size_t i = 0; i < reading->plan->rules_len; i++) {
		const struct night_rule *rule = reading->rules[i];
		if (seq > reading->after_seqs[i] && (rule->layers & LAYER_MASK(layer)) != 0)
			mark_days(reading->plan, i, day_of(place->t0_ns - rule->after_ns),
			    day_of(place->t1_ns + rule->before_ns));
	}
}

/* Labels of these days and of those beside them went, of every rule. */
static void touch_forgotten(struct reading *reading, int64_t t0_ns, int64_t t1_ns)
{
	uint64_t seq = reading->forgot_seq;

	for (size_t i = 0; i < reading->plan->rules_len; i++) {
		int around = 1 + reading->rules[i]->from_days;
		if (seq > reading->after_seqs[i])
			mark_days(reading->plan, i, day_of(t0_ns) - around, day_of(t1_ns) + around);
	}
}

static bool is_scene(const struct observation *obs)
{
	return observation_is_label(obs) &&
	       strncmp(obs->client_id, OBS_SCENE_ID, sizeof OBS_SCENE_ID - 1) == 0;
}

static void touch_scene(struct reading *reading, const struct observation *obs)
{
	for (size_t i = 0; i < reading->plan->rules_len; i++) {
		if (reading->rules[i]->sees_scenes && obs->seq > reading->after_seqs[i])
			mark_days(
			    reading->plan, i, day_of(obs->place.t0_ns), day_of(obs->place.t1_ns));
	}
}

static bool take(void *ctx, const struct observation *obs)
{
	struct reading *reading = ctx;
	struct observation old;

	if (obs->seq > reading->up_to_seq)
		return false;
	if (obs->forget_layers != 0) {
		reading->forgot_seq = obs->seq;
		return true;
	}
	if (is_scene(obs))
		touch_scene(reading, obs);
	if (obs->origin == ORIGIN_SYSTEM && !obs->tombstone)
		return true;
	touch(reading, obs->layer, &obs->place, obs->seq);
	if (obs->supersedes_seq == 0)
		return true;
	arena_reset(&reading->arena);
	enum rc rc =
	    store_get_seq(reading->store, obs->supersedes_seq, &reading->arena, &old, NULL);
	if (rc == RC_OK)
		touch(reading, old.layer, &old.place, obs->seq);
	else if (rc != RC_NOTFOUND && rc != RC_CORRUPT)
		reading->rc = rc;
	return reading->rc == RC_OK;
}

static bool moved(void *ctx, uint64_t seq, uint64_t by_seq, enum layer layer,
    const struct placement *from, const struct placement *to)
{
	struct reading *reading = ctx;

	(void)seq;
	touch(reading, layer, from, by_seq);
	touch(reading, layer, to, by_seq);
	return true;
}

/* ---- what was forgotten --------------------------------------------------------------- */

/* A tombstone is sealed under the key that belongs to no day: few others are. */
static bool look_at(void *ctx, const struct store_raw *entry)
{
	struct reading *reading = ctx;
	struct observation obs;
	unsigned layer = 0;
	int32_t day = 0;

	uint64_t seq = store_raw_seq(entry);
	if (seq > reading->forgot_seq)
		return false;
	if (!store_raw_sealed_under(entry, &day, &layer) || layer != 0)
		return true;
	arena_reset(&reading->arena);
	enum rc rc = store_get_seq(reading->store, seq, &reading->arena, &obs, NULL);
	if (rc == RC_OK && obs.tombstone && obs.forget_layers == 0)
		touch_forgotten(reading, obs.dev_t0_ns, obs.dev_t1_ns);
	else if (rc != RC_OK && rc != RC_NOTFOUND && rc != RC_CORRUPT)
		reading->rc = rc;
	return reading->rc == RC_OK;
}

/* Which days it was does not follow from what was asked for: an interval reaches
 * out of the range, a source is on some days.  Tombstones tell, those of labels
 * too.  Forgetting has read as much. */
static enum rc read_tombstones(struct reading *reading, struct errmsg *why)
{
	enum rc rc = store_raw_scan_log(reading->store, 0, look_at, reading, why);

	return reading->rc != RC_OK ? reading->rc : rc;
}

/* A rule whose labels depend on another's, around each of its days. */
static void mark_dependents(struct night_plan *plan, const struct night_rule *const *rules)
{
	for (size_t i = 0; i < plan->rules_len; i++) {
		for (size_t k = 0; k < i && rules[i]->from != NULL; k++) {
			int32_t day = NIGHT_DAY_FIRST;
			if (rules[i]->from != rules[k]->name)
				continue;
			for (; night_plan_next(plan, UINT32_C(1) << k, &day); day++)
				night_plan_mark(plan, i, day, rules[i]->from_days);
		}
	}
}

enum rc night_plan_read(struct night_plan *plan, struct store *store,
    const struct night_table *table, const uint64_t *after_seqs, uint64_t up_to_seq,
    bool all_dependents, struct errmsg *why)
{
	struct reading reading = { .plan = plan,
		.store = store,
		.rules = table->rules,
		.after_seqs = after_seqs,
		.up_to_seq = up_to_seq };
	uint64_t first = UINT64_MAX;

	for (size_t i = 0; i < plan->rules_len; i++)
		first = after_seqs[i] < first ? after_seqs[i] : first;
	arena_init(&reading.arena, PLAN_ARENA_BYTES);
	enum rc rc = store_scan_log(store, first, 0, take, &reading, why);
	if (reading.rc != RC_OK)
		rc = reading.rc;
	bool damaged = rc == RC_CORRUPT;
	if (rc == RC_OK || damaged)
		rc = store_clock_moved(store, first, up_to_seq, moved, &reading, why);
	if (rc == RC_OK && reading.forgot_seq != 0)
		rc = read_tombstones(&reading, why);
	arena_fini(&reading.arena);
	if (rc == RC_OK && damaged)
		rc = RC_CORRUPT;
	if (all_dependents && (rc == RC_OK || rc == RC_CORRUPT))
		mark_dependents(plan, table->rules);
	return rc;
}
