/* Items: roles, tracks and evidence read from an observation's fields. */
#include "align/item.h"

#include <string.h>

#include "align/peek.h"
#include "base/clock.h"

#define MEASURED                                                                                   \
	(FACET_MASK(FACET_BODY) | FACET_MASK(FACET_ENVIRONMENT) | FACET_MASK(FACET_LOCATION))
#define HASH_SEED UINT64_C(0x9E3779B97F4A7C15)
#define HASH_FACTOR UINT64_C(0xFF51AFD7ED558CCD)

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * HASH_FACTOR;
	return hash ^ hash >> 32;
}

/* The length goes in as well, so that fields do not run into each other. */
static uint64_t mix_bytes(uint64_t hash, const char *bytes, size_t len)
{
	uint64_t word = 0;

	hash = mix(hash, len + 1);
	for (; len >= sizeof word; bytes += sizeof word, len -= sizeof word) {
		memcpy(&word, bytes, sizeof word);
		hash = mix(hash, word);
	}
	word = 0;
	memcpy(&word, bytes, len);
	return mix(hash, word);
}

/* Words of members; most members are of another length than any of them. */
struct words {
	uint32_t lens; /* bit n: one of n letters */
	const char *list[8];
};

static bool in_list(const struct words *words, const struct peek *member)
{
	if (member->key_len >= 32 || (words->lens >> member->key_len & 1) == 0)
		return false;
	for (const char *const *word = words->list; *word != NULL; word++) {
		if (peek_is(member, *word))
			return true;
	}
	return false;
}

static bool word_is(const char *text, size_t len, const char *word)
{
	return strlen(word) == len && memcmp(text, word, len) == 0;
}

/* ---- what a track is about ---------------------------------------------------- */

static const struct words home_names = { 1u << 4 | 1u << 6 | 1u << 9,
	{ "entity_id", "entity", "device", "name", "room", NULL } };
static const struct words sensor_names = { 1u << 4 | 1u << 6 | 1u << 9,
	{ "entity_id", "entity", "sensor", "room", NULL } };

/* An entity id names the thing alone; else all names together do. */
static uint64_t entity_hash(const char *data_json, const struct words *names)
{
	struct peek member;
	uint64_t hash = HASH_SEED;

	peek_open(&member, data_json);
	while (peek_next(&member)) {
		if (!in_list(names, &member))
			continue;
		if (peek_is(&member, "entity_id"))
			return mix_bytes(HASH_SEED, member.value, member.value_len);
		hash = mix_bytes(hash, member.key, member.key_len);
		hash = mix_bytes(hash, member.value, member.value_len);
	}
	return hash;
}

/* ---- evidence in the data ----------------------------------------------------- */

static bool gone_word(const char *text, size_t len)
{
	return word_is(text, len, "unavailable") || word_is(text, len, "unknown");
}

static bool home_is_gone(const struct observation *obs)
{
	struct peek member;
	const char *text;
	size_t len;

	if (gone_word(obs->text, strlen(obs->text)))
		return true;
	peek_open(&member, obs->data_json);
	while (peek_next(&member)) {
		if (peek_is(&member, "state") && peek_string(&member, &text, &len))
			return gone_word(text, len);
	}
	return false;
}

static bool still_word(const struct peek *member)
{
	static const char *const stills[] = { "stationary", "still" };

	for (size_t i = 0; i < sizeof stills / sizeof stills[0]; i++) {
		if (memmem(member->value, member->value_len, stills[i], strlen(stills[i])) != NULL)
			return true;
	}
	return false;
}

bool item_is_stationary(const struct item *item)
{
	static const struct words speeds = { 1u << 3 | 1u << 5 | 1u << 8,
		{ "vel", "speed", "velocity", NULL } };
	static const struct words regions = { 1u << 5 | 1u << 6 | 1u << 9,
		{ "inregions", "inrids", "region", "place", NULL } };
	static const struct words activities = { 1u << 8 | 1u << 16,
		{ "activity", "motionactivities", NULL } };
	struct peek member;
	double number;

	peek_open(&member, item->locates ? item->rest->data_json : NULL);
	while (peek_next(&member)) {
		if (in_list(&speeds, &member) && peek_number(&member, &number) && number == 0)
			return true;
		if (in_list(&regions, &member) && !peek_empty(&member))
			return true;
		if (in_list(&activities, &member) && still_word(&member))
			return true;
		if (peek_is(&member, "stationary") && peek_true(&member))
			return true;
		if (peek_is(&member, "moving") && peek_false(&member))
			return true;
	}
	return false;
}

/* "unchanged":true; `alone` tells whether the data says nothing else. */
static bool says_unchanged(const char *data_json, bool *alone)
{
	struct peek member;
	bool unchanged = false;

	*alone = true;
	peek_open(&member, data_json);
	while (peek_next(&member)) {
		if (peek_is(&member, "unchanged") && peek_true(&member))
			unchanged = true;
		else
			*alone = false;
	}
	return unchanged;
}

/* ---- the item ------------------------------------------------------------------ */

static void set_times(const struct observation *obs, const struct policy *policy, struct item *out,
    struct item_rest *rest)
{
	const struct placement *place = &obs->place;
	int64_t extent_end_ns;

	out->t0_ns = place->t0_ns;
	out->t1_ns = place->t1_ns;
	out->early_ns = place->defaulted ? policy->error_ns : place->early_ns;
	out->late_ns = place->defaulted ? policy->error_ns : place->late_ns;
	out->wide = placement_is_wide(place);
	placement_extent(place, &rest->key_ns, &extent_end_ns);
	if (obs->shape == SHAPE_BLOCK && obs->rate_hz > 0 && obs->times_ns == NULL) {
		double span_s = (double)observation_frames(obs) / obs->rate_hz;
		double room_s = (double)(OBS_TIME_MAX_NS - out->t0_ns) / (double)NS_PER_S;
		int64_t end_ns = span_s < room_s ? out->t0_ns + (int64_t)(span_s * (double)NS_PER_S)
						 : OBS_TIME_MAX_NS;
		if (end_ns > out->t1_ns)
			out->t1_ns = end_ns;
	}
	if (obs->has_pulse && obs->pulse_s > 0) {
		double max_s = (double)policy->pulse_max_ns / (double)NS_PER_S;
		rest->pulse_ns = obs->pulse_s < max_s ? (int64_t)(obs->pulse_s * (double)NS_PER_S)
						      : policy->pulse_max_ns;
		out->pulses = rest->pulse_ns > 0;
	}
}

/* One whose time is not known stops from where it may have begun. */
static void set_stop(struct item *out, struct item_rest *rest, const char *reason, bool lane)
{
	if (out->wide) {
		out->t0_ns = rest->key_ns;
		out->early_ns = out->late_ns = 0;
		out->wide = false;
	}
	out->role = ITEM_STOP;
	out->t1_ns = out->t0_ns; /* from here on; what comes later counts again */
	rest->stop_reason = reason;
	out->stop_lane = lane;
}

static void set_role(const struct observation *obs, const struct item_name *name, struct item *out,
    struct item_rest *rest)
{
	bool alone;

	if (obs->gap) {
		set_stop(out, rest, "gap",
		    obs->layer != LAYER_HOME ||
			entity_hash(obs->data_json, &home_names) == HASH_SEED);
	} else if (name->suspend) {
		set_stop(out, rest, "suspend", true);
	} else if (obs->layer == LAYER_HOME) {
		if (home_is_gone(obs))
			set_stop(out, rest, "unavailable", false);
	} else if (obs->layer == LAYER_ENVIRONMENT) {
		out->locates = true;
	} else if (obs->layer == LAYER_VISUAL && says_unchanged(obs->data_json, &alone)) {
		out->unchanged = true;
		if (alone && obs->text[0] == '\0')
			out->role = ITEM_NOTE;
		if (out->role == ITEM_NOTE && out->wide)
			out->facets = 0; /* it vouches for no frame in particular */
	}
}

void item_name_of(enum layer layer, const char *source, const char *kind, struct item_name *out)
{
	uint64_t lane = mix_bytes(mix(HASH_SEED, (uint64_t)layer), source, strlen(source));

	*out = (struct item_name){
		.source = source,
		.kind = kind,
		.layer = layer,
		.facets = facet_of_kind(layer, kind),
		.lane = lane,
		.track = mix_bytes(lane, kind, strlen(kind)),
		.suspend = strcmp(kind, "suspend") == 0 || strcmp(kind, "shutdown") == 0,
		.own = observation_own_source(source),
	};
}

/* Which of its source's and kind's things it is about. */
static uint64_t track_of(const struct observation *obs, uint64_t track, unsigned facets)
{
	if (obs->layer == LAYER_HOME)
		return mix(track, entity_hash(obs->data_json, &home_names));
	if (facets & FACET_MASK(FACET_ENVIRONMENT))
		return mix(track, entity_hash(obs->data_json, &sensor_names));
	if (facets == FACET_MASK(FACET_SCENE)) /* several may hold at one time */
		return mix_bytes(track, obs->client_id, strlen(obs->client_id));
	return track;
}

void item_of_named(const struct observation *obs, const struct item_name *name,
    const struct policy *policy, struct item *out, struct item_rest *rest)
{
	*rest = (struct item_rest){
		.lane = name->lane,
		.source_seq = obs->has_source_seq ? obs->source_seq : 0,
		.client_id = obs->client_id,
		.source = name->source,
		.kind = name->kind,
		.text = obs->text,
		.data_json = obs->data_json,
	};
	*out = (struct item){
		.role = ITEM_VALUE, .seq = obs->seq, .facets = name->facets, .rest = rest
	};
	memcpy(rest->obs_id, obs->obs_id, OBS_ID_BYTES);
	if (obs->origin == ORIGIN_SYSTEM && name->own)
		out->facets = observation_feeds_slices(obs) ? FACET_MASK(FACET_SCENE) : 0;
	if (obs->layer == LAYER_AUDITORY && obs->text[0] == '\0')
		out->facets &= ~FACET_MASK(FACET_LANGUAGE); /* sound without a transcript */
	set_times(obs, policy, out, rest);
	set_role(obs, name, out, rest);
	if (obs->shape == SHAPE_BLOCK && obs->values_len > 0 &&
	    (obs->rate_hz > 0 || obs->times_ns != NULL) && (out->facets & MEASURED) != 0)
		rest->block = obs;
	out->plain =
	    out->role == ITEM_VALUE && !out->wide && item_is_instant(out) && rest->block == NULL;
	out->track = track_of(obs, name->track, out->facets);
	if (obs->place.epoch != 0)
		rest->boot = mix(HASH_SEED, obs->place.epoch);
	else if (obs->boot_epoch[0] != '\0')
		rest->boot = mix_bytes(HASH_SEED, obs->boot_epoch, strlen(obs->boot_epoch));
	out->boots = rest->boot != 0;
	out->usual = out->plain && !out->boots && !out->pulses;
}

void item_of_observation(const struct observation *obs, const struct policy *policy,
    struct item *out, struct item_rest *rest)
{
	struct item_name name;

	item_name_of(obs->layer, obs->source, obs->kind, &name);
	item_of_named(obs, &name, policy, out, rest);
}

int item_order(const struct item *a, const struct item *b)
{
	if (a->t0_ns != b->t0_ns)
		return a->t0_ns < b->t0_ns ? -1 : 1;
	const struct item_rest *x = a->rest, *y = b->rest;
	int order = x->source == y->source ? 0 : strcmp(x->source, y->source);
	if (order != 0)
		return order;
	if (x->source_seq != y->source_seq)
		return x->source_seq < y->source_seq ? -1 : 1;
	return memcmp(x->obs_id, y->obs_id, OBS_ID_BYTES);
}
