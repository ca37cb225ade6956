/*
 * Slice oracle: timeline §3 spelled out, one question at a time.
 *
 * Names: a "thing" is what one track follows, written as text; a "stop" is a
 * time over which nothing of a thing may be carried or blended.
 */
#include "slice_oracle.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ORACLE_OBS_MAX 512
#define NONE (-1)

struct fact {
	const struct observation *obs;
	char lane[160], thing[640];
	int64_t begin, end, early, late;
	bool wide; /* somewhere from begin - early to end + late */
	bool instant, value, note, stop, stop_whole_lane;
	const char *why_stop;
	int64_t period, pulse;
	int rank;          /* by the order of ties, which wide facts leave */
	struct item shown; /* names, times and words, for slice_json() alone */
	struct item_rest shown_rest;
};

struct stop {
	int fact;    /* whose time it has */
	bool before; /* a new epoch: just before that fact itself */
	const char *why;
};

struct world {
	const struct policy *policy;
	struct fact facts[ORACLE_OBS_MAX]; /* in order */
	int n;
};

/* ---- reading data the simple way --------------------------------------------------------- */

static bool number_after(const char *json, const char *name, double *out)
{
	char key[40];

	(void)snprintf(key, sizeof key, "\"%s\":", name);
	const char *at = strstr(json, key);
	if (at == NULL ||
	    (at[strlen(key)] != '-' && (at[strlen(key)] < '0' || at[strlen(key)] > '9')))
		return false;
	*out = strtod(at + strlen(key), NULL);
	return true;
}

static void string_after(const char *json, const char *name, char out[64])
{
	char key[40];

	(void)snprintf(key, sizeof key, "\"%s\":\"", name);
	const char *at = strstr(json, key);
	out[0] = '\0';
	if (at != NULL)
		(void)snprintf(
		    out, 64, "%.*s", (int)strcspn(at + strlen(key), "\""), at + strlen(key));
}

/* ---- facts ----------------------------------------------------------------------------------- */

static int64_t max_of(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* What comes first in a stream. */
static int64_t key_of(const struct observation *obs)
{
	int64_t side = max_of(obs->place.early_ns, obs->place.late_ns);

	return side > PLACEMENT_NARROW_NS ? obs->place.t0_ns - obs->place.early_ns
					  : obs->place.t0_ns;
}

/* Of a wide fact, when it was over at the latest. */
static int64_t over_at(const struct fact *fact)
{
	return fact->wide ? fact->end + fact->late : fact->end;
}

static unsigned facets_of(const struct observation *obs)
{
	unsigned facets = facet_of_kind(obs->layer, obs->kind);

	if (obs->layer == LAYER_AUDITORY && obs->text[0] == '\0')
		facets &= ~FACET_MASK(FACET_LANGUAGE);
	return facets;
}

static void name_thing(const struct observation *obs, struct fact *fact)
{
	char a[64] = "", b[64] = "", c[64] = "";

	if (obs->layer == LAYER_HOME) {
		string_after(obs->data_json, "entity_id", a);
		if (a[0] == '\0') {
			string_after(obs->data_json, "name", b);
			string_after(obs->data_json, "room", c);
		}
	} else if (facets_of(obs) & FACET_MASK(FACET_ENVIRONMENT)) {
		string_after(obs->data_json, "room", c);
	}
	(void)snprintf(fact->lane, sizeof fact->lane, "%d|%s", (int)obs->layer, obs->source);
	(void)snprintf(fact->thing, sizeof fact->thing, "%d|%s|%s|%s|%s|%s", (int)obs->layer,
	    obs->source, obs->kind, a, b, c);
}

static void name_role(const struct observation *obs, struct fact *fact)
{
	char state[64];

	string_after(obs->data_json, "state", state);
	if (obs->gap) {
		fact->stop = true;
		fact->why_stop = "gap";
		fact->stop_whole_lane = obs->layer != LAYER_HOME || obs->data_json[0] == '\0';
	} else if (strcmp(obs->kind, "suspend") == 0) {
		fact->stop = fact->stop_whole_lane = true;
		fact->why_stop = "suspend";
	} else if (obs->layer == LAYER_HOME && strcmp(state, "unavailable") == 0) {
		fact->stop = true;
		fact->why_stop = "unavailable";
	} else if (obs->layer == LAYER_VISUAL && obs->text[0] == '\0' &&
		   strcmp(obs->data_json, "{\"unchanged\":true}") == 0) {
		fact->note = true;
	} else {
		fact->value = true;
	}
}

static void make_fact(const struct world *world, const struct observation *obs, struct fact *fact)
{
	*fact = (struct fact){ .obs = obs, .begin = obs->place.t0_ns, .end = obs->place.t1_ns };
	fact->early = obs->place.defaulted ? world->policy->error_ns : obs->place.early_ns;
	fact->late = obs->place.defaulted ? world->policy->error_ns : obs->place.late_ns;
	fact->wide = max_of(obs->place.early_ns, obs->place.late_ns) > PLACEMENT_NARROW_NS;
	name_thing(obs, fact);
	name_role(obs, fact);
	if (fact->wide && fact->stop) { /* from where it may have begun */
		fact->begin -= fact->early;
		fact->early = fact->late = 0;
		fact->wide = false;
	}
	if (fact->wide)
		fact->note = false;
	if (fact->stop)
		fact->end = fact->begin;
	fact->instant = fact->begin == fact->end;
	if (obs->has_pulse) {
		fact->pulse = (int64_t)(obs->pulse_s * 1e9);
		if (fact->pulse > world->policy->pulse_max_ns)
			fact->pulse = world->policy->pulse_max_ns;
	}
}

/* A stop stands where it may have begun. */
static int64_t order_ns(const struct fact *fact)
{
	return fact->stop ? fact->begin : fact->obs->place.t0_ns;
}

static int by_order(const void *a, const void *b)
{
	int64_t from = order_ns(a), to = order_ns(b);
	const struct observation *x = ((const struct fact *)a)->obs,
				 *y = ((const struct fact *)b)->obs;
	int names = strcmp(x->source, y->source);

	if (from != to)
		return from < to ? -1 : 1;
	if (names != 0)
		return names;
	uint64_t p = x->has_source_seq ? x->source_seq : 0,
		 q = y->has_source_seq ? y->source_seq : 0;
	if (p != q)
		return p < q ? -1 : 1;
	return memcmp(x->obs_id, y->obs_id, OBS_ID_BYTES);
}

static int by_key(const void *a, const void *b)
{
	int64_t x = key_of(((const struct fact *)a)->obs),
		y = key_of(((const struct fact *)b)->obs);

	return x != y ? (x < y ? -1 : 1) : by_order(a, b);
}

static void set_ranks(struct world *world)
{
	for (int i = 0; i < world->n; i++) {
		for (int k = 0; k < world->n; k++)
			world->facts[i].rank += by_order(&world->facts[k], &world->facts[i]) < 0;
	}
}

static void set_periods(struct world *world)
{
	const struct policy *policy = world->policy;

	for (int i = 0; i < world->n; i++) {
		struct fact *fact = &world->facts[i];
		int64_t period = policy->period_default_ns;
		for (int k = i - 1; k >= 0 && !fact->wide; k--) {
			const struct fact *before = &world->facts[k];
			if (!before->value || before->wide ||
			    strcmp(before->thing, fact->thing) != 0)
				continue;
			int64_t pause = fact->begin - before->begin;
			if (pause > 0 && pause <= policy->period_max_ns)
				period = pause;
			break;
		}
		if (fact->pulse > 0)
			period = fact->pulse;
		fact->period = period < policy->period_max_ns ? period : policy->period_max_ns;
	}
}

/* ---- stops
 * --------------------------------------------------------------------------------------- */

/* Does fact `i` open a new clock epoch of its lane? */
static bool opens_epoch(const struct world *world, int i)
{
	const struct fact *fact = &world->facts[i];

	if (fact->obs->boot_epoch[0] == '\0' || fact->wide)
		return false;
	for (int k = i - 1; k >= 0; k--) {
		const struct fact *before = &world->facts[k];
		if (before->obs->boot_epoch[0] == '\0' || before->wide ||
		    strcmp(before->lane, fact->lane) != 0)
			continue;
		bool near = fact->begin - before->begin <= world->policy->reach_ns;
		return strcmp(before->obs->boot_epoch, fact->obs->boot_epoch) != 0 &&
		       (near || fact->obs->layer == LAYER_HOME);
	}
	return false;
}

/* A lane's stop reaches a thing that had a value before it, not too long ago. */
static bool reaches(const struct world *world, int at, const char *thing, int facet)
{
	bool step = facet == FACET_HOME;
	bool any = false;
	int64_t latest = 0;

	for (int k = 0; k < at; k++) {
		const struct fact *fact = &world->facts[k];
		if (!fact->value || strcmp(fact->thing, thing) != 0 ||
		    !(facets_of(fact->obs) & FACET_MASK(facet)))
			continue;
		if (!any || over_at(fact) > latest)
			latest = over_at(fact);
		any = true;
	}
	return any && (step || world->facts[at].begin - latest <= world->policy->reach_ns);
}

static int stops_of(
    const struct world *world, const char *lane, const char *thing, int facet, struct stop *out)
{
	int n = 0;

	for (int i = 0; i < world->n; i++) {
		const struct fact *fact = &world->facts[i];
		if (strcmp(fact->lane, lane) != 0)
			continue;
		if (opens_epoch(world, i) && reaches(world, i, thing, facet))
			out[n++] = (struct stop){ i, true, "epoch" };
		if (!fact->stop || !(facets_of(fact->obs) & FACET_MASK(facet)))
			continue;
		if (fact->stop_whole_lane ? reaches(world, i, thing, facet)
					  : strcmp(fact->thing, thing) == 0)
			out[n++] = (struct stop){ i, false, fact->why_stop };
	}
	return n;
}

/* ---- one thing in one slice
 * ------------------------------------------------------------------------ */

struct view {
	const struct world *world;
	int facet;
	const char *thing;
	const struct policy_rule *rule;
	int64_t start, end;
	const struct stop *stops;
	int stops_n;
};

struct answer {
	int fact, next;
	int order; /* of its fact */
	int rank;  /* 0 inside, 1 blended, 2 nearest, 3 carried */
	enum cell_mode mode;
	int64_t age;
	bool certain;
	char data[400];
	struct cell_made made;
};

struct answers {
	struct answer list[ORACLE_OBS_MAX];
	int n;
	const char *reason;
};

static bool is_mine(const struct view *view, int i)
{
	return view->world->facts[i].value &&
	       strcmp(view->world->facts[i].thing, view->thing) == 0 &&
	       (facets_of(view->world->facts[i].obs) & FACET_MASK(view->facet));
}

static bool is_inside(const struct view *view, const struct fact *fact)
{
	if (fact->begin - fact->early >= view->end)
		return false;
	return fact->instant ? fact->begin + fact->late >= view->start
			     : fact->end + fact->late > view->start;
}

static bool is_over(const struct view *view, const struct fact *fact)
{
	return !is_inside(view, fact) && fact->begin - fact->early < view->end;
}

static bool is_certain(const struct view *view, const struct fact *fact)
{
	return fact->begin + fact->late < view->end &&
	       (fact->instant ? fact->begin - fact->early >= view->start
			      : fact->end - fact->early > view->start);
}

static int64_t distance(const struct view *view, const struct fact *fact)
{
	if (fact->end < view->start)
		return view->start - fact->end;
	return fact->begin > view->end ? fact->begin - view->end : 0;
}

static bool has_samples(const struct view *view, const struct fact *fact)
{
	return fact->obs->values_len > 0 &&
	       (view->facet == FACET_BODY || view->facet == FACET_ENVIRONMENT ||
		   view->facet == FACET_LOCATION);
}

static struct answer *add(const struct view *view, struct answers *answers, int fact, int rank,
    enum cell_mode mode, int64_t age, bool certain)
{
	int order = view->world->facts[fact].rank;

	assert(answers->n < ORACLE_OBS_MAX);
	struct answer *answer = &answers->list[answers->n++];
	*answer = (struct answer){ fact, NONE, order, rank, mode, age, certain, "",
		{ NULL, NULL, NULL } };
	if (rank == 0 && has_samples(view, &view->world->facts[fact]))
		slice_oracle_block(view->world->facts[fact].obs, view->world->facts[fact].begin,
		    view->facet, view->start, view->end, answer->data, sizeof answer->data);
	return answer;
}

static bool take_inside(const struct view *view, struct answers *answers)
{
	int best = NONE, before = answers->n;
	int64_t best_off = 0;

	for (int i = 0; i < view->world->n; i++) {
		const struct fact *fact = &view->world->facts[i];
		if (!is_mine(view, i) || !is_inside(view, fact))
			continue;
		int64_t off = llabs(2 * fact->begin - view->start - view->end);
		if (!fact->instant)
			add(view, answers, i, 0, CELL_OVERLAP, distance(view, fact),
			    is_certain(view, fact));
		else if (view->rule->all)
			add(view, answers, i, 0, CELL_OBSERVED, distance(view, fact),
			    is_certain(view, fact));
		else if (best == NONE || off < best_off)
			best = i, best_off = off;
	}
	if (best != NONE) {
		const struct fact *fact = &view->world->facts[best];
		add(view, answers, best, 0, CELL_OBSERVED, distance(view, fact),
		    is_certain(view, fact));
	}
	return answers->n > before;
}

/* The value before the slice; NONE and a reason if there is none or a stop. */
static int left_of(const struct view *view, const char **reason)
{
	int left = NONE, left_rank = NONE;
	int64_t left_end = 0;

	*reason = "none";
	for (int i = 0; i < view->world->n; i++) {
		const struct fact *fact = &view->world->facts[i];
		if (is_mine(view, i) && is_over(view, fact) &&
		    (left == NONE || over_at(fact) > left_end ||
			(over_at(fact) == left_end && fact->rank > left_rank)))
			left = i, left_end = over_at(fact), left_rank = fact->rank;
	}
	if (left != NONE)
		*reason = "stale";
	for (int s = 0; s < view->stops_n; s++) {
		const struct stop *stop = &view->stops[s];
		int64_t at = view->world->facts[stop->fact].begin;
		int rank = view->world->facts[stop->fact].rank;
		if (at > view->start)
			continue;
		bool newer = left_end < at || (left_end == at && left_rank < rank + !stop->before);
		if (left == NONE && strcmp(*reason, "none") == 0)
			newer = true;
		if (newer) {
			left = NONE;
			left_end = at;
			left_rank = rank;
			*reason = stop->why;
		}
	}
	bool old = strcmp(*reason, "none") != 0 && view->facet != FACET_HOME &&
		   view->start - left_end > view->world->policy->reach_ns;
	if (old)
		*reason = "none";
	else if (left != NONE && view->rule->carry == POLICY_CARRY_NEVER)
		*reason = "none";
	return left;
}

static int right_of(const struct view *view)
{
	for (int i = 0; i < view->world->n; i++) {
		const struct fact *fact = &view->world->facts[i];
		if (!is_mine(view, i) || fact->wide || is_inside(view, fact) || is_over(view, fact))
			continue;
		for (int s = 0; s < view->stops_n; s++) {
			const struct stop *stop = &view->stops[s];
			if (view->world->facts[stop->fact].begin > view->start &&
			    (stop->fact < i || (stop->fact == i && stop->before)))
				return NONE;
		}
		return i;
	}
	return NONE;
}

/* ---- blending
 * ----------------------------------------------------------------------------------------- */

static bool blend_place(
    const struct view *view, const struct fact *a, const struct fact *b, double f, char *out)
{
	double lat[2], lon[2], acc[2], speed = -1, v;
	const struct fact *both[2] = { a, b };

	for (int i = 0; i < 2; i++) {
		const char *json = both[i]->obs->data_json;
		if (!number_after(json, "lat", &lat[i]) || !number_after(json, "lon", &lon[i]))
			return false;
		if (!number_after(json, "acc", &acc[i]))
			acc[i] = view->world->policy->accuracy_m;
		if (number_after(json, "vel", &v) && v * (1.0 / 3.6) > speed)
			speed = v * (1.0 / 3.6);
	}
	double gap = (double)(b->begin - a->begin) / 1e9;
	double x = (lon[1] - lon[0]) * cos((lat[0] + lat[1]) / 2 * 0.017453292519943295);
	double way = sqrt((lat[1] - lat[0]) * (lat[1] - lat[0]) + x * x) * 111195.0;
	if (speed * gap > way)
		way = speed * gap;
	(void)snprintf(out, 400, "{\"acc\":%.1f,\"lat\":%.7f,\"lon\":%.7f}",
	    (acc[0] > acc[1] ? acc[0] : acc[1]) + way, lat[0] + (lat[1] - lat[0]) * f,
	    lon[0] + (lon[1] - lon[0]) * f);
	return true;
}

static bool blend_value(const struct fact *a, const struct fact *b, double f, char *out)
{
	double x, y;
	char room[64], room2[64];

	if (!number_after(a->obs->data_json, "value", &x) ||
	    !number_after(b->obs->data_json, "value", &y))
		return false;
	string_after(a->obs->data_json, "room", room);
	string_after(b->obs->data_json, "room", room2);
	if (room[0] != '\0' && strcmp(room, room2) == 0)
		(void)snprintf(out, 400, "{\"room\":\"%s\",\"value\":%.9g}", room, x + (y - x) * f);
	else
		(void)snprintf(out, 400, "{\"value\":%.9g}", x + (y - x) * f);
	return true;
}

static bool take_blend(const struct view *view, int left, int right, struct answers *answers)
{
	char data[400];

	if (view->rule->blend == POLICY_BLEND_NONE || left == NONE || right == NONE)
		return false;
	const struct fact *a = &view->world->facts[left], *b = &view->world->facts[right];
	if (a->wide || b->wide || !a->instant || !b->instant ||
	    b->begin - a->begin > view->rule->blend_ns)
		return false;
	int64_t middle = view->start + (view->end - view->start) / 2;
	double f = (double)(middle - a->begin) / (double)(b->begin - a->begin);
	if (view->rule->blend == POLICY_BLEND_LOCATION ? !blend_place(view, a, b, f, data)
						       : !blend_value(a, b, f, data))
		return false;
	int64_t p = distance(view, a), q = distance(view, b);
	struct answer *answer =
	    add(view, answers, left, 1, CELL_INTERPOLATED, p < q ? p : q, false);
	answer->next = right;
	memcpy(answer->data, data, sizeof data);
	return true;
}

/* ---- nearest and carry
 * ----------------------------------------------------------------------------------- */

static bool is_near(const struct view *view, int i)
{
	if (i == NONE || view->rule->nearest_ns == 0 || !view->world->facts[i].instant ||
	    view->world->facts[i].wide)
		return false;
	int64_t off = distance(view, &view->world->facts[i]);
	return off <= view->rule->nearest_ns &&
	       (view->rule->nearest_times == 0 ||
		   off <= view->rule->nearest_times * view->world->facts[i].period);
}

static bool take_nearest(const struct view *view, int left, int right, struct answers *answers)
{
	bool l = is_near(view, left), r = is_near(view, right);

	if (!l && !r)
		return false;
	int pick = l ? left : right;
	if (l && r &&
	    distance(view, &view->world->facts[right]) < distance(view, &view->world->facts[left]))
		pick = right;
	add(view, answers, pick, 2, CELL_OBSERVED, distance(view, &view->world->facts[pick]),
	    false);
	return true;
}

static bool is_vouched(const struct view *view, const struct fact *left)
{
	const struct fact *note = NULL;
	int64_t until = left->end + left->pulse;

	if (strstr(left->obs->data_json, "\"unchanged\":true") != NULL)
		until = left->end + view->rule->carry_ns;
	for (int i = 0; i < view->world->n; i++) {
		const struct fact *fact = &view->world->facts[i];
		if (fact->note && strcmp(fact->thing, view->thing) == 0 && fact->begin < view->end)
			note = fact;
	}
	if (note != NULL && note->begin >= left->begin) {
		int64_t hold =
		    note->pulse > view->rule->nearest_ns ? note->pulse : view->rule->nearest_ns;
		until = note->end + hold > until ? note->end + hold : until;
	}
	return view->start <= until;
}

static bool may_carry(const struct view *view, const struct fact *left)
{
	int64_t age = view->start - over_at(left);
	const char *json = left->obs->data_json;
	double vel;

	if (age < 0 || age > view->rule->carry_ns)
		return false;
	if (left->wide && view->facet != FACET_HOME)
		return false;
	switch (view->facet) {
	case FACET_HOME:
		return left->instant;
	case FACET_LOCATION:
		return left->instant && ((number_after(json, "vel", &vel) && vel == 0) ||
					    strstr(json, "inregions") != NULL);
	case FACET_DEVICE:
		return age <= left->pulse;
	case FACET_ENVIRONMENT:
	case FACET_BODY:
		return left->instant && age <= 3 * left->period;
	case FACET_VISUAL:
		return is_vouched(view, left);
	default:
		return false;
	}
}

static void ask_thing(const struct view *view, struct answers *answers)
{
	const char *reason;
	bool inside = take_inside(view, answers), step = view->facet == FACET_HOME;

	if (inside && !step)
		return;
	int left = left_of(view, &reason), right = right_of(view);
	if (!inside &&
	    (take_blend(view, left, right, answers) || take_nearest(view, left, right, answers)))
		return;
	if (left != NONE && may_carry(view, &view->world->facts[left])) {
		const struct fact *fact = &view->world->facts[left];
		add(view, answers, left, 3, CELL_CARRIED, view->start - over_at(fact),
		    step && !inside && !fact->wide);
		return;
	}
	static const char *const weights[] = { "none", "stale", "epoch", "suspend", "unavailable",
		"gap" };
	int old = 0, new = 0;
	for (int i = 0; i < 6 && !inside; i++) {
		old = strcmp(weights[i], answers->reason) == 0 ? i : old;
		new = strcmp(weights[i], reason) == 0 ? i : new;
	}
	if (new > old)
		answers->reason = reason;
}

/* ---- cells and slices
 * ------------------------------------------------------------------------------------- */

static int by_fact(const void *a, const void *b)
{
	const struct answer *x = a, *y = b;

	return x->order != y->order ? x->order - y->order : x->rank - y->rank;
}

/* Once the facts stand where they stay. */
static void set_shown(struct world *world)
{
	for (int i = 0; i < world->n; i++) {
		struct fact *fact = &world->facts[i];
		const struct observation *obs = fact->obs;
		fact->shown_rest = (struct item_rest){ .client_id = obs->client_id,
			.source = obs->source,
			.kind = obs->kind,
			.text = obs->text,
			.data_json = obs->data_json };
		memcpy(fact->shown_rest.obs_id, obs->obs_id, OBS_ID_BYTES);
		fact->shown = (struct item){
			.t0_ns = fact->begin, .t1_ns = fact->end, .rest = &fact->shown_rest
		};
	}
}

static void fill_value(const struct world *world, struct answer *answer, struct cell_value *out)
{
	const struct fact *fact = &world->facts[answer->fact];
	struct cell_made *made = &answer->made;
	bool blended = answer->next != NONE;

	*made = (struct cell_made){ .next = blended ? &world->facts[answer->next].shown : NULL,
		.text = blended ? "" : fact->obs->text,
		.data_json = answer->data[0] != '\0' ? answer->data : fact->obs->data_json };
	*out = (struct cell_value){ .item = &fact->shown,
		.made = blended || answer->data[0] != '\0' ? made : NULL,
		.mode = answer->mode,
		.age_ns = answer->age,
		.certainty = answer->certain ? CERTAINTY_CERTAIN : CERTAINTY_POSSIBLE };
}

/* The wider side of an answer's ε. */
static int64_t error_of(const struct world *world, const struct answer *answer)
{
	const struct fact *fact = &world->facts[answer->fact];
	int64_t error = max_of(fact->early, fact->late);

	if (answer->next == NONE)
		return error;
	fact = &world->facts[answer->next];
	return max_of(error, max_of(fact->early, fact->late));
}

static void fill_cell(const struct world *world, int facet, struct answers *answers,
    struct cell_value *values, struct cell *cell)
{
	static const enum cell_mode strongest[] = { CELL_OBSERVED, CELL_OVERLAP, CELL_INTERPOLATED,
		CELL_CARRIED };
	int best = 9, n = 0;
	int64_t error = 0;

	*cell = (struct cell){ .mode = CELL_ABSENT, .absent_reason = answers->reason };
	for (int i = 0; i < answers->n; i++)
		best = answers->list[i].rank < best ? answers->list[i].rank : best;
	qsort(answers->list, (size_t)answers->n, sizeof answers->list[0], by_fact);
	for (int i = 0; i < answers->n; i++) {
		if (facet != FACET_LOCATION || answers->list[i].rank == best) {
			error = max_of(error, error_of(world, &answers->list[i]));
			fill_value(world, &answers->list[i], &values[n++]);
		}
	}
	if (n == 0)
		return;
	cell->absent_reason = NULL;
	cell->values = values;
	cell->error_ns = error;
	cell->values_total = cell->values_len = (size_t)n;
	for (int m = 3; m >= 0; m--) {
		for (int i = 0; i < n; i++)
			cell->mode = values[i].mode == strongest[m] ? strongest[m] : cell->mode;
	}
	for (int i = 0; i < n; i++) {
		if (values[i].mode != cell->mode)
			continue;
		cell->age_ns = values[i].age_ns > cell->age_ns ? values[i].age_ns : cell->age_ns;
		if (values[i].certainty == CERTAINTY_CERTAIN)
			cell->certainty = CERTAINTY_CERTAIN;
	}
}

static void ask_facet(
    const struct world *world, int facet, int64_t start, int64_t end, struct answers *answers)
{
	struct stop stops[2 * ORACLE_OBS_MAX];

	answers->n = 0;
	answers->reason = "none";
	for (int i = 0; i < world->n; i++) {
		const struct fact *fact = &world->facts[i];
		bool seen = false;
		if ((!fact->value && (!fact->stop || fact->stop_whole_lane)) ||
		    !(facets_of(fact->obs) & FACET_MASK(facet)))
			continue;
		for (int k = 0; k < i; k++) {
			const struct fact *old = &world->facts[k];
			seen = seen || (strcmp(old->thing, fact->thing) == 0 &&
					   (facets_of(old->obs) & FACET_MASK(facet)) &&
					   (old->value || (old->stop && !old->stop_whole_lane)));
		}
		if (seen)
			continue;
		int n = stops_of(world, fact->lane, fact->thing, facet, stops);
		struct view view = { world, facet, fact->thing, &world->policy->rules[facet], start,
			end, stops, n };
		ask_thing(&view, answers);
	}
}

void slice_oracle(const struct policy *policy, const struct window_grid *grid,
    const struct observation *obs, size_t n, struct buf *out)
{
	struct world *world = calloc(1, sizeof *world);
	struct answers *answers = calloc(FACET_COUNT, sizeof *answers);
	struct cell_value *values = calloc(FACET_COUNT * ORACLE_OBS_MAX, sizeof *values);

	assert(n <= ORACLE_OBS_MAX && world != NULL && answers != NULL && values != NULL);
	assert((grid->facets & FACET_MASK(FACET_SCENE)) == 0); /* has tests of its own */
	world->policy = policy;
	for (size_t i = 0; i < n; i++)
		make_fact(world, &obs[i], &world->facts[world->n++]);
	qsort(world->facts, n, sizeof world->facts[0], by_key);
	set_ranks(world);
	set_periods(world);
	set_shown(world);
	for (int64_t at = grid->from_ns; at < grid->to_ns; at += grid->step_ns) {
		struct slice slice = { .start_ns = at, .end_ns = at + grid->step_ns, .version = 1 };
		bool any = grid->keep_empty;
		slice.state = slice.end_ns > grid->now_ns ? "open" : "provisional";
		for (int facet = 0; facet < FACET_COUNT; facet++) {
			slice.cells[facet] = (struct cell){ .absent_reason = "none" };
			if (!(grid->facets & FACET_MASK(facet)))
				continue;
			ask_facet(world, facet, slice.start_ns, slice.end_ns, &answers[facet]);
			fill_cell(world, facet, &answers[facet], &values[facet * ORACLE_OBS_MAX],
			    &slice.cells[facet]);
			any = any || slice.cells[facet].mode != CELL_ABSENT;
		}
		if (any && slice_json(&slice, grid->facets, out) == RC_OK)
			buf_putc(out, '\n');
	}
	free(world);
	free(answers);
	free(values);
}
