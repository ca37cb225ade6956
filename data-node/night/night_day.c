/*
 * Night day: scan, rules, difference, write.
 *
 * One scan feeds the rules and gathers the labels that are there.  What a rule
 * says waits until the scan has gone past its start: then every label of that
 * time has been seen, and the two are compared.
 */
#include "night/night_day.h"

#include <stdlib.h>
#include <string.h>

#include "align/lookup.h"
#include "base/clock.h"

#define BATCH_LABELS 1000
#define TOGETHER_MAX ((size_t)4096) /* of one time: sorted by these at a time */
#define TOGETHER_BYTES ((size_t)16 << 20)
#define BATCH_ARENA_BYTES ((size_t)64 << 20)
#define ARENA_KEEP_BYTES ((size_t)1 << 20)
#define BATCH_BYTES ((size_t)16 << 20) /* written out past it */
#define HASH_FACTOR UINT64_C(0x9E3779B97F4A7C15)

/* A label that is there. */
struct present {
	struct label_digest digest;
	uint8_t obs_id[OBS_ID_BYTES];
	uint32_t revision;
	unsigned life;
	bool withdrawn, said;
	struct night_step *step;
};

/* A label said, waiting to be compared; its strings are in `waiting_arena`. */
struct waiting {
	struct label label;
	struct night_step *step;
};

struct night_day {
	const struct night_config *config;
	struct night_step *steps; /* [steps_len] */
	size_t steps_len;
	uint64_t as_of_seq;
	int64_t from_ns, to_ns;
	struct night_step *speaking; /* the rule that runs now */
	struct present *present;     /* [present_len] */
	size_t present_len, present_cap;
	struct lookup lookup;    /* hash of the id → index + 1 */
	struct waiting *waiting; /* [waiting_len] */
	size_t waiting_len, waiting_cap;
	struct arena waiting_arena;
	/* Observations of one time, copied: order of arrival must not matter. */
	struct observation *together; /* [TOGETHER_MAX] */
	size_t together_len;
	struct arena together_arena;
	struct arena arena; /* one label read */
	struct arena batch_arena;
	struct observation batch[BATCH_LABELS];
	size_t batch_len;
	struct night_report *report;
	struct errmsg *why;
	enum rc rc;
};

int64_t night_day_from_ns(const struct night_day *day)
{
	return day->from_ns;
}

int64_t night_day_to_ns(const struct night_day *day)
{
	return day->to_ns;
}

int64_t night_day_local_ns(const struct night_day *day, int64_t utc_ns)
{
	const struct night_config *config = day->config;

	return config->offset_s == NULL
		   ? utc_ns
		   : utc_ns + config->offset_s(config->offset_ctx, utc_ns) * NS_PER_S;
}

struct store *night_day_store(const struct night_day *day)
{
	return day->config->store;
}

/* What is in it is dead; giving it back each time would cost more than it. */
static void arena_trim(struct arena *arena)
{
	if (arena->used_bytes > ARENA_KEEP_BYTES)
		arena_reset(arena);
}

/* ---- writing -------------------------------------------------------------------- */

static enum rc batch_write(struct night_day *day)
{
	enum rc rc = RC_OK;

	if (day->batch_len > 0)
		rc = store_append(
		    day->config->store, day->batch, day->batch_len, NULL, NULL, day->why);
	day->batch_len = 0;
	arena_reset(&day->batch_arena);
	return rc;
}

static enum rc batch_add(struct night_day *day, const struct label *label)
{
	struct observation *obs = &day->batch[day->batch_len];

	enum rc rc = label_encode(label, &day->batch_arena, obs);
	if (rc != RC_OK)
		return errmsg_rc(day->why, rc, "rule %s: a label cannot be written", label->rule);
	obs->recv_utc_ns = clock_utc_ns();
	obs->recv_mono_ns = clock_mono_ns();
	day->batch_len++;
	if (day->batch_len == BATCH_LABELS || day->batch_arena.used_bytes > BATCH_BYTES)
		return batch_write(day);
	return RC_OK;
}

/* ---- labels that are there ---------------------------------------------------------- */

static uint64_t id_hash(const char *rule, const char *key)
{
	uint64_t hash = 1;

	for (const char *p = rule; *p != '\0'; p++)
		hash = (hash ^ (uint8_t)*p) * HASH_FACTOR;
	hash ^= hash >> 31;
	for (const char *p = key; *p != '\0'; p++) {
		hash = (hash ^ (uint8_t)*p) * HASH_FACTOR;
		hash ^= hash >> 29;
	}
	return hash;
}

static struct night_step *step_of(struct night_day *day, const char *rule)
{
	for (size_t i = 0; i < day->steps_len; i++) {
		if (day->steps[i].active && strcmp(day->steps[i].rule->name, rule) == 0)
			return &day->steps[i];
	}
	return NULL;
}

static enum rc present_add(struct night_day *day, const struct label *label,
    const uint8_t obs_id[OBS_ID_BYTES], struct night_step *step)
{
	uint64_t hash = id_hash(label->rule, label->key);

	if (lookup_find(&day->lookup, hash) != NULL)
		return RC_OK; /* another life of it, or it was looked up */
	if (day->present_len == day->present_cap) {
		size_t cap = day->present_cap == 0 ? 256 : day->present_cap * 2;
		if (cap > NIGHT_LABELS_MAX)
			return errmsg_rc(day->why, RC_LIMIT, "more than %zu labels on one day",
			    NIGHT_LABELS_MAX);
		struct present *grown = realloc(day->present, cap * sizeof *grown);
		if (grown == NULL)
			return RC_NOMEM;
		day->present = grown;
		day->present_cap = cap;
	}
	struct present *present = &day->present[day->present_len++];
	*present = (struct present){ .digest = label_digest(label),
		.revision = label->revision,
		.life = label->life,
		.withdrawn = label_is_withdrawn(label),
		.step = step };
	memcpy(present->obs_id, obs_id, OBS_ID_BYTES);
	return lookup_put(&day->lookup, hash, (void *)(uintptr_t)day->present_len);
}

static struct present *present_find(struct night_day *day, const char *rule, const char *key)
{
	uintptr_t place = (uintptr_t)lookup_find(&day->lookup, id_hash(rule, key));

	return place == 0 ? NULL : &day->present[place - 1];
}

/*
 * A label that the scan did not see: there is none, it stands at another time,
 * or an earlier life of it was forgotten (its id is spent: a tombstone keeps
 * it).  `label` gets the life and revision to write with.
 */
static enum rc look_up(
    struct night_day *day, struct label *label, struct night_step *step, bool *same)
{
	struct label_digest want = label_digest(label);
	struct observation obs, stored;
	uint8_t id[OBS_ID_BYTES];
	struct label there;

	for (; label->life < LABEL_LIVES_MAX; label->life++) {
		arena_trim(&day->arena);
		enum rc rc = label_encode(label, &day->arena, &obs);
		if (rc != RC_OK)
			return rc;
		store_obs_id(day->config->store, &obs, id);
		rc = store_get_id(day->config->store, id, &day->arena, &stored, day->why);
		if (rc == RC_NOTFOUND || rc == RC_CORRUPT) {
			*same = label_is_withdrawn(label);
			return RC_OK;
		}
		if (rc != RC_OK)
			return rc;
		if (stored.tombstone)
			continue;
		rc = label_decode(&stored, &day->arena, &there);
		if (rc != RC_OK)
			return rc == RC_NOMEM ? rc : RC_OK;
		struct label_digest have = label_digest(&there);
		label->revision = there.revision + 1;
		*same = memcmp(&have, &want, sizeof want) == 0;
		rc = present_add(day, &there, id, step);
		if (rc == RC_OK)
			day->present[day->present_len - 1].said = true;
		return rc;
	}
	*same = true; /* forgotten so often: it stays so */
	return RC_OK;
}

static enum rc settle_one(struct night_day *day, struct waiting *waiting)
{
	struct label *label = &waiting->label;
	struct present *present = present_find(day, label->rule, label->key);
	bool same = false;

	if (present != NULL) {
		struct label_digest digest = label_digest(label);
		same = memcmp(&digest, &present->digest, sizeof digest) == 0;
		present->said = true;
		label->life = present->life;
		label->revision = present->revision + 1;
	} else {
		enum rc rc = look_up(day, label, waiting->step, &same);
		if (rc != RC_OK)
			return rc;
	}
	if (same)
		return RC_OK;
	waiting->step->changed++;
	day->report->written++;
	return batch_add(day, label);
}

/* Compare what was said of times that the scan has passed: of all of them. */
static enum rc settle(struct night_day *day)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; i < day->waiting_len && rc == RC_OK; i++)
		rc = settle_one(day, &day->waiting[i]);
	day->waiting_len = 0;
	arena_trim(&day->waiting_arena);
	return rc;
}

enum rc night_say(struct night_day *day, const struct label *said, struct errmsg *why)
{
	struct arena *arena = &day->waiting_arena;
	struct night_step *step = day->speaking;
	struct label label = *said;

	if (label.t0_ns < day->from_ns || label.t0_ns >= day->to_ns)
		return RC_OK;
	if (day->waiting_len == day->waiting_cap) {
		size_t cap = day->waiting_cap == 0 ? 256 : day->waiting_cap * 2;
		if (cap > NIGHT_LABELS_MAX)
			return errmsg_rc(why, RC_LIMIT, "too many labels at once");
		struct waiting *grown = realloc(day->waiting, cap * sizeof *grown);
		if (grown == NULL)
			return RC_NOMEM;
		day->waiting = grown;
		day->waiting_cap = cap;
	}
	label.rule = step->rule->name;
	label.version = step->rule->version;
	label.revision = 0;
	label.life = 0;
	label.key = arena_strdup(arena, said->key);
	label.value_json = arena_strdup(arena, said->value_json);
	label.about = (const uint8_t(*)[OBS_ID_BYTES])arena_copy(
	    arena, said->about, said->about_len * OBS_ID_BYTES);
	if (label.key == NULL || label.value_json == NULL || label.about == NULL)
		return errmsg_rc(why, RC_NOMEM, "too many labels at once");
	day->waiting[day->waiting_len++] = (struct waiting){ label, step };
	return RC_OK;
}

/* What no rule said again. */
static enum rc withdraw(struct night_day *day)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; i < day->present_len && rc == RC_OK; i++) {
		struct present *present = &day->present[i];
		struct observation obs;
		struct label label;
		if (present->said || present->withdrawn)
			continue;
		arena_trim(&day->arena);
		rc = store_get_id(day->config->store, present->obs_id, &day->arena, &obs, day->why);
		if (rc == RC_OK)
			rc = label_decode(&obs, &day->arena, &label);
		if (rc == RC_NOTFOUND || rc == RC_CORRUPT) {
			rc = RC_OK; /* forgotten or broken meanwhile */
			continue;
		}
		if (rc != RC_OK)
			break;
		label.version = present->step->rule->version;
		label.revision = present->revision + 1;
		label.value_json = "null";
		label.confidence = 0;
		present->step->changed++;
		day->report->withdrawn++;
		rc = batch_add(day, &label);
	}
	return rc;
}

/* ---- the scan --------------------------------------------------------------------- */

static enum rc take_label(struct night_day *day, const struct observation *obs)
{
	struct label label;

	if (obs->place.t0_ns < day->from_ns || obs->place.t0_ns >= day->to_ns)
		return RC_OK;
	arena_trim(&day->arena);
	enum rc rc = label_decode(obs, &day->arena, &label);
	if (rc == RC_NOMEM)
		return rc;
	struct night_step *step = rc == RC_OK ? step_of(day, label.rule) : NULL;
	return step != NULL ? present_add(day, &label, obs->obs_id, step) : RC_OK;
}

static int by_order(const void *a, const void *b)
{
	const struct observation *x = a, *y = b;
	int order = strcmp(x->source, y->source);

	if (order != 0)
		return order;
	if (x->source_seq != y->source_seq)
		return x->source_seq < y->source_seq ? -1 : 1;
	return memcmp(x->obs_id, y->obs_id, OBS_ID_BYTES);
}

static bool wants(
    const struct night_day *day, const struct night_step *step, const struct observation *obs)
{
	const struct night_rule *rule = step->rule;

	return step->active && (rule->layers & LAYER_MASK(obs->layer)) != 0 &&
	       obs->place.t1_ns >= day->from_ns - rule->before_ns &&
	       obs->place.t0_ns < day->to_ns + rule->after_ns;
}

static bool any_wants(const struct night_day *day, const struct observation *obs)
{
	bool any = false;

	for (size_t i = 0; i < day->steps_len && !any; i++)
		any = wants(day, &day->steps[i], obs);
	return any;
}

static enum rc give(struct night_day *day, const struct observation *obs)
{
	enum rc rc = RC_OK;

	day->report->observations++;
	for (size_t i = 0; i < day->steps_len && rc == RC_OK; i++) {
		struct night_step *step = &day->steps[i];
		if (!wants(day, step, obs))
			continue;
		day->speaking = step;
		rc = step->rule->take(step->state, day, obs, day->why);
	}
	return rc;
}

/* The observations of one time to the rules; then, once the scan has gone past
 * it, compare what they said of it. */
static enum rc give_together(struct night_day *day, bool passed)
{
	enum rc rc = RC_OK;

	if (day->together_len > 1)
		qsort(day->together, day->together_len, sizeof day->together[0], by_order);
	for (size_t i = 0; i < day->together_len && rc == RC_OK; i++)
		rc = give(day, &day->together[i]);
	day->together_len = 0;
	arena_trim(&day->together_arena);
	return rc == RC_OK && passed ? settle(day) : rc;
}

/* A copy of what rules look at. */
static enum rc keep(struct night_day *day, const struct observation *obs)
{
	struct arena *arena = &day->together_arena;
	struct observation *copy = &day->together[day->together_len];

	*copy = *obs;
	copy->client_id = copy->clock_id = copy->boot_epoch = copy->zone = copy->extra_json = "";
	copy->source = arena_strdup(arena, obs->source);
	copy->kind = arena_strdup(arena, obs->kind);
	copy->text = obs->text[0] == '\0' ? "" : arena_strdup(arena, obs->text);
	copy->data_json = obs->data_json[0] == '\0' ? "" : arena_strdup(arena, obs->data_json);
	if (obs->values_len > 0)
		copy->values = (const double *)(const void *)arena_copy(
		    arena, obs->values, obs->values_len * sizeof(double));
	if (obs->times_ns != NULL)
		copy->times_ns = (const int64_t *)(const void *)arena_copy(
		    arena, obs->times_ns, observation_frames(obs) * sizeof(int64_t));
	if (copy->source == NULL || copy->kind == NULL || copy->text == NULL ||
	    copy->data_json == NULL || (obs->values_len > 0 && copy->values == NULL) ||
	    (obs->times_ns != NULL && copy->times_ns == NULL))
		return errmsg_rc(day->why, RC_NOMEM, "too much at one time");
	day->together_len++;
	return RC_OK;
}

/* What the scan is in order of. */
static int64_t scan_time(const struct observation *obs)
{
	int64_t k0_ns, k1_ns;

	placement_extent(&obs->place, &k0_ns, &k1_ns);
	return k0_ns;
}

static bool scan_take(void *ctx, const struct observation *obs)
{
	struct night_day *day = ctx;
	bool full =
	    day->together_len == TOGETHER_MAX || day->together_arena.used_bytes > TOGETHER_BYTES;

	bool passed = day->together_len > 0 && scan_time(obs) != scan_time(&day->together[0]);
	if (full || passed)
		day->rc = give_together(day, passed);
	if (day->rc == RC_OK && label_is(obs))
		day->rc = take_label(day, obs);
	else if (day->rc == RC_OK && obs->origin != ORIGIN_SYSTEM && !obs->tombstone &&
		 any_wants(day, obs))
		day->rc = keep(day, obs);
	return day->rc == RC_OK;
}

/* What the active rules read, together. */
static unsigned needs(const struct night_day *day, int64_t *before_ns, int64_t *after_ns)
{
	unsigned layers = 0;

	*before_ns = *after_ns = 0;
	for (size_t i = 0; i < day->steps_len; i++) {
		const struct night_rule *rule = day->steps[i].rule;
		if (!day->steps[i].active)
			continue;
		layers |= rule->layers;
		*before_ns = rule->before_ns > *before_ns ? rule->before_ns : *before_ns;
		*after_ns = rule->after_ns > *after_ns ? rule->after_ns : *after_ns;
	}
	return layers;
}

static enum rc scan(struct night_day *day)
{
	int64_t before_ns, after_ns;
	unsigned layers = needs(day, &before_ns, &after_ns);
	struct store_range range = { .from_ns = day->from_ns - before_ns,
		.to_ns = day->to_ns + after_ns,
		.layers = layers,
		.as_of_seq = day->as_of_seq };
	struct store_position pos = { .set = false };

	if (layers == 0)
		return RC_OK;
	enum rc rc = store_scan_time(day->config->store, &range, &pos, 0, scan_take, day, day->why);
	if (day->rc == RC_OK && (rc == RC_OK || rc == RC_CORRUPT))
		day->rc = give_together(day, true);
	return day->rc != RC_OK ? day->rc : rc;
}

static enum rc call_each(struct night_day *day, bool end)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; i < day->steps_len && rc == RC_OK; i++) {
		struct night_step *step = &day->steps[i];
		if (!step->active)
			continue;
		day->speaking = step;
		if (end && step->rule->end != NULL)
			rc = step->rule->end(step->state, day, day->why);
		else if (!end && step->rule->begin != NULL)
			rc = step->rule->begin(step->state, day, day->why);
	}
	return rc;
}

static void start_day(
    struct night_day *day, int32_t number, struct night_report *report, struct errmsg *why)
{
	day->from_ns = (int64_t)number * NS_PER_DAY;
	day->to_ns = day->from_ns + NS_PER_DAY;
	day->report = report;
	day->why = why;
	day->rc = RC_OK;
	day->present_len = day->waiting_len = 0;
	day->together_len = 0;
	arena_reset(&day->together_arena);
	lookup_fini(&day->lookup);
	day->lookup = (struct lookup){ 0 };
	arena_reset(&day->waiting_arena);
	for (size_t i = 0; i < day->steps_len; i++)
		day->steps[i].changed = 0;
	report->days++;
}

enum rc night_day_run(
    struct night_day *day, int32_t number, struct night_report *report, struct errmsg *why)
{
	start_day(day, number, report, why);
	enum rc rc = call_each(day, false);
	if (rc == RC_OK)
		rc = scan(day);
	bool damaged = rc == RC_CORRUPT && day->rc == RC_OK;
	if (rc == RC_OK || damaged)
		rc = call_each(day, true);
	if (rc == RC_OK)
		rc = settle(day);
	/* Of what could not be read, the labels stay. */
	if (rc == RC_OK && !damaged)
		rc = withdraw(day);
	return rc == RC_OK && damaged ? RC_CORRUPT : rc;
}

enum rc night_day_flush(struct night_day *day, struct errmsg *why)
{
	day->why = why;
	return batch_write(day);
}

/* ---- life --------------------------------------------------------------------------- */

enum rc night_day_new(const struct night_config *config, struct night_step *steps, size_t steps_len,
    uint64_t as_of_seq, struct night_day **out)
{
	struct night_day *day = calloc(1, sizeof *day);

	if (day == NULL)
		return RC_NOMEM;
	day->config = config;
	day->steps = steps;
	day->steps_len = steps_len;
	day->as_of_seq = as_of_seq;
	arena_init(&day->arena, BATCH_ARENA_BYTES);
	arena_init(&day->waiting_arena, BATCH_ARENA_BYTES);
	arena_init(&day->together_arena, BATCH_ARENA_BYTES);
	day->together = calloc(TOGETHER_MAX, sizeof *day->together);
	if (day->together == NULL) {
		night_day_free(day);
		return RC_NOMEM;
	}
	arena_init(&day->batch_arena, BATCH_ARENA_BYTES);
	*out = day;
	return RC_OK;
}

void night_day_free(struct night_day *day)
{
	if (day == NULL)
		return;
	lookup_fini(&day->lookup);
	free(day->present);
	free(day->waiting);
	free(day->together);
	arena_fini(&day->together_arena);
	arena_fini(&day->waiting_arena);
	arena_fini(&day->arena);
	arena_fini(&day->batch_arena);
	free(day);
}
