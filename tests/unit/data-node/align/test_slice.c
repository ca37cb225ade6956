/*
 * Slices of named situations, straight from a store: what a person would
 * expect to see, the field's known mistakes, and the JSON of the contract.
 */
#include "../store/store_fixture.h"

#include "align/slice.h"
#include "base/hex.h"
#include "base/timestamp.h"
#include "slice_oracle.h"
#include "slice_stream.h"

#define HOUR_NS NS_PER_HOUR
#define BASE_NS (T0_NS / NS_PER_HOUR * NS_PER_HOUR) /* a full hour */

/* The slices of one query, as JSON text and as counts per mode. */
struct seen_slices {
	struct buf json;
	unsigned facets;
	size_t len;
	enum cell_mode modes[FACET_COUNT][4000];
	double numbers[4000]; /* "lat" or "value" of the first value */
	int64_t ages_ns[FACET_COUNT][4000];
	size_t values[FACET_COUNT][4000];
	enum certainty certainty[FACET_COUNT][4000];
	char reason[FACET_COUNT][16]; /* of the last slice */
	char scene[32];
};

static struct seen_slices seen_slices;

static double number_in(const char *json, const char *key)
{
	const char *at = strstr(json, key);

	return at == NULL ? -1 : strtod(at + strlen(key), NULL);
}

static bool visit(void *ctx, const struct slice *slice)
{
	struct seen_slices *s = ctx;

	assert_true(s->len < 4000);
	for (int f = 0; f < FACET_COUNT; f++) {
		const struct cell *cell = &slice->cells[f];
		s->modes[f][s->len] = cell->mode;
		s->ages_ns[f][s->len] = cell->age_ns;
		s->values[f][s->len] = cell->values_len;
		s->certainty[f][s->len] = cell->certainty;
		(void)snprintf(
		    s->reason[f], 16, "%s", cell->absent_reason ? cell->absent_reason : "");
	}
	const struct cell *place = &slice->cells[FACET_LOCATION];
	if (place->values_len > 0)
		s->numbers[s->len] = number_in(cell_value_data(&place->values[0]), "\"lat\":");
	const struct cell *scene = &slice->cells[FACET_SCENE];
	(void)snprintf(s->scene, sizeof s->scene, "%s",
	    scene->values_len > 0 ? cell_value_text(&scene->values[0]) : "none");
	s->len++;
	return slice_json(slice, s->facets, &s->json) == RC_OK;
}

static void build(struct fixture *f, int64_t from_s, int64_t to_s, int64_t step_s)
{
	struct slice_query query = { .from_ns = BASE_NS + from_s * NS_PER_S,
		.to_ns = BASE_NS + to_s * NS_PER_S,
		.step_ns = step_s * NS_PER_S,
		.keep_empty = true };

	buf_fini(&seen_slices.json);
	seen_slices.len = 0;
	buf_init(&seen_slices.json, (size_t)64 << 20);
	PASS(slice_build(f->store, &query, visit, &seen_slices, &pass_why));
}

static void put(struct fixture *f, enum layer layer, const char *kind, int64_t at_s, int64_t end_s,
    const char *text, const char *data_json)
{
	struct observation obs = make_obs("", BASE_NS + at_s * NS_PER_S, text);

	obs.layer = layer;
	obs.kind = kind;
	obs.data_json = data_json;
	obs.origin = ORIGIN_DEVICE;
	if (end_s != 0) {
		obs.has_end = true;
		obs.dev_t1_ns = BASE_NS + end_s * NS_PER_S;
		obs.shape = SHAPE_INTERVAL;
	}
	(void)append_one(f->store, &obs);
}

static void assert_modes(enum facet facet, const char *letters)
{
	static const char names[] = "-ovci"; /* absent observed oVerlap carried interpolated */

	assert_int_equal(seen_slices.len, strlen(letters));
	for (size_t i = 0; i < seen_slices.len; i++) {
		if (names[seen_slices.modes[facet][i]] != letters[i])
			fail_msg("slice %zu of %s is '%c'", i, letters,
			    names[seen_slices.modes[facet][i]]);
	}
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	fixture_init(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	fixture_fini(*state);
	free(*state);
	buf_fini(&seen_slices.json);
	return 0;
}

/* ---- place -------------------------------------------------------------------------------- */

static void test_a_place_is_interpolated_over_two_minutes_and_no_more(void **state)
{
	put(*state, LAYER_ENVIRONMENT, "location", 5, 0, "", "{\"lat\":50.0,\"lon\":10.0}");
	put(*state, LAYER_ENVIRONMENT, "location", 105, 0, "", "{\"lat\":51.0,\"lon\":10.0}");
	put(*state, LAYER_ENVIRONMENT, "location", 305, 0, "", "{\"lat\":52.0,\"lon\":10.0}");
	build(*state, 0, 110, 10);
	assert_modes(FACET_LOCATION, "oiiiiiiiiio");
	assert_true(seen_slices.numbers[5] > 50.499 && seen_slices.numbers[5] < 50.501);
	assert_int_equal(seen_slices.certainty[FACET_LOCATION][0], CERTAINTY_CERTAIN);
	assert_int_equal(seen_slices.certainty[FACET_LOCATION][5], CERTAINTY_POSSIBLE);
	build(*state, 100, 310, 10);
	/* 200 s apart: nearest up to 60 s from either side, nothing between. */
	assert_modes(FACET_LOCATION, "ooooooo-------ooooooo");
}

static void test_a_place_is_carried_a_quarter_of_an_hour_if_the_person_stays(void **state)
{
	put(*state, LAYER_ENVIRONMENT, "location", 30, 0, "",
	    "{\"lat\":50.0,\"lon\":10.0,\"vel\":0}");
	build(*state, 0, 20 * 60, 60);
	assert_modes(FACET_LOCATION, "ooccccccccccccc"
				     "c----");
	assert_string_equal(seen_slices.reason[FACET_LOCATION], "stale");
	assert_int_equal(seen_slices.ages_ns[FACET_LOCATION][14], 810 * NS_PER_S);
}

static void test_a_gap_marker_stops_interpolation_and_carry(void **state)
{
	struct observation gap = make_obs("", BASE_NS + 50 * NS_PER_S, "");

	put(*state, LAYER_ENVIRONMENT, "location", 5, 0, "",
	    "{\"lat\":50.0,\"lon\":10.0,\"vel\":0}");
	put(*state, LAYER_ENVIRONMENT, "location", 95, 0, "", "{\"lat\":51.0,\"lon\":10.0}");
	gap.layer = LAYER_ENVIRONMENT;
	gap.kind = "location";
	gap.gap = true;
	(void)append_one(((struct fixture *)*state)->store, &gap);
	build(*state, 0, 100, 10);
	assert_modes(FACET_LOCATION, "oooooooooo");
	build(*state, 60, 70, 10); /* from behind only */
	assert_int_equal(seen_slices.numbers[0], 51);
	build(*state, 40, 50, 10); /* from before only */
	assert_int_equal(seen_slices.numbers[0], 50);
}

/* ---- home ------------------------------------------------------------------------------------ */

static void test_a_light_stays_on_until_it_changes_however_long(void **state)
{
	static const int64_t day_s = 86400;

	put(*state, LAYER_HOME, "light", -40 * day_s, 0, "",
	    "{\"entity_id\":\"light.hall\",\"state\":\"on\"}");
	put(*state, LAYER_HOME, "light", -2 * day_s, 0, "",
	    "{\"entity_id\":\"light.desk\",\"state\":\"on\"}");
	put(*state, LAYER_HOME, "light", 90, 0, "",
	    "{\"entity_id\":\"light.hall\",\"state\":\"unavailable\"}");
	build(*state, 0, 240, 60);
	assert_modes(FACET_HOME, "cccc");
	assert_int_equal(seen_slices.values[FACET_HOME][0], 2);
	assert_int_equal(seen_slices.values[FACET_HOME][1], 2); /* it held at the start */
	assert_int_equal(seen_slices.values[FACET_HOME][2], 1);
	assert_int_equal(seen_slices.ages_ns[FACET_HOME][0], 40 * day_s * NS_PER_S);
	assert_int_equal(seen_slices.certainty[FACET_HOME][3], CERTAINTY_CERTAIN);
}

/* ---- what people see, hear and do
 * ------------------------------------------------------------------ */

static void test_a_meeting_without_a_frame_shows_no_picture(void **state)
{
	put(*state, LAYER_VISUAL, "frame", 1, 0, "a desk", "");
	put(*state, LAYER_AUDITORY, "speech", 5, 105, "let us begin", "");
	build(*state, 0, 110, 10);
	assert_modes(FACET_VISUAL, "o----------");
	assert_modes(FACET_AUDIO, "vvvvvvvvvvv");
	assert_modes(FACET_LANGUAGE, "vvvvvvvvvvv");
}

static void test_a_frame_is_carried_while_the_capturer_says_unchanged(void **state)
{
	put(*state, LAYER_VISUAL, "frame", 5, 0, "a desk", "");
	put(*state, LAYER_VISUAL, "frame", 15, 0, "", "{\"unchanged\":true}");
	put(*state, LAYER_VISUAL, "frame", 25, 0, "", "{\"unchanged\":true}");
	put(*state, LAYER_VISUAL, "frame", 35, 0, "", "{\"unchanged\":true}");
	put(*state, LAYER_VISUAL, "frame", 45, 0, "", "{\"unchanged\":true}");
	build(*state, 0, 60, 10);
	assert_modes(FACET_VISUAL, "oocc--"); /* the second is nearest ≤ 5 s; 35 s is too old */
}

static void test_overlapping_watcher_intervals_are_all_there(void **state)
{
	put(*state, LAYER_BEHAVIOUR, "app", 0, 50, "editor", "");
	put(*state, LAYER_BEHAVIOUR, "app", 20, 40, "browser", "");
	put(*state, LAYER_BEHAVIOUR, "window", 30, 70, "mail", "");
	build(*state, 0, 80, 10);
	assert_modes(FACET_DEVICE, "vvvvvvvv"); /* 70 s ± 1 s touches the last one */
	assert_int_equal(seen_slices.values[FACET_DEVICE][3], 3);
}

static void test_a_heartbeat_holds_to_its_pulse_and_then_is_gone(void **state)
{
	struct observation obs = make_obs("", BASE_NS + 5 * NS_PER_S, "editor");

	obs.layer = LAYER_BEHAVIOUR;
	obs.kind = "app";
	obs.has_pulse = true;
	obs.pulse_s = 30;
	(void)append_one(((struct fixture *)*state)->store, &obs);
	build(*state, 0, 60, 10);
	assert_modes(FACET_DEVICE, "occc--");
	assert_string_equal(seen_slices.reason[FACET_DEVICE], "stale");
}

static void test_numbers_are_interpolated_within_their_own_sensor(void **state)
{
	put(*state, LAYER_ENVIRONMENT, "temperature", 0, 0, "", "{\"room\":\"a\",\"value\":10}");
	put(*state, LAYER_ENVIRONMENT, "temperature", 300, 0, "", "{\"room\":\"b\",\"value\":90}");
	put(*state, LAYER_ENVIRONMENT, "temperature", 600, 0, "", "{\"room\":\"a\",\"value\":20}");
	build(*state, 240, 360, 120);
	assert_modes(FACET_ENVIRONMENT, "o"); /* b is observed, a beside it interpolated */
	assert_int_equal(seen_slices.values[FACET_ENVIRONMENT][0], 2);
	assert_non_null(strstr(buf_text(&seen_slices.json),
	    "\"data\":{\"room\":\"a\",\"value\":15},\"mode\":\"interpolated\",\"age_s\":240"));
}

static void test_an_instant_near_a_border_is_possible_on_both_sides(void **state)
{
	put(*state, LAYER_TEXT, "message", 60, 0, "hello", "");
	build(*state, 0, 180, 60);
	assert_modes(FACET_LANGUAGE, "oo-");
	assert_int_equal(seen_slices.certainty[FACET_LANGUAGE][0], CERTAINTY_POSSIBLE);
	assert_int_equal(seen_slices.certainty[FACET_LANGUAGE][1], CERTAINTY_POSSIBLE);
	put(*state, LAYER_TEXT, "message", 90, 0, "again", "");
	build(*state, 60, 120, 60);
	assert_int_equal(seen_slices.certainty[FACET_LANGUAGE][0], CERTAINTY_CERTAIN);
}

/* ---- scenes
 * ---------------------------------------------------------------------------------------- */

static void assert_scene(void **state, enum layer layer, const char *kind, const char *text,
    const char *data_json, const char *scene)
{
	static int64_t at_s; /* each in an hour of its own */

	at_s += 4 * 3600;
	put(*state, layer, kind, at_s + 30, at_s + 90, text, data_json);
	build(*state, at_s + 60, at_s + 120, 60);
	assert_string_equal(seen_slices.scene, scene);
	assert_int_equal(seen_slices.modes[FACET_SCENE][0],
	    strcmp(scene, "none") == 0 ? CELL_ABSENT : CELL_OVERLAP);
}

static void test_scenes_follow_their_evidence(void **state)
{
	assert_scene(state, LAYER_BEHAVIOUR, "sleep", "", "", "sleep");
	assert_scene(state, LAYER_BEHAVIOUR, "workout", "", "", "exercise");
	assert_scene(state, LAYER_ENVIRONMENT, "visit", "Trattoria Da Nico", "", "meal");
	assert_scene(state, LAYER_ENVIRONMENT, "visit", "", "{\"place\":\"Office\"}", "work");
	assert_scene(state, LAYER_ENVIRONMENT, "visit", "", "{\"region\":\"home\"}", "home");
	assert_scene(state, LAYER_ENVIRONMENT, "location", "", "{\"lat\":1,\"lon\":1,\"vel\":40}",
	    "commuting");
	assert_scene(state, LAYER_VISUAL, "caption", "a plate of pasta", "", "meal");
	assert_scene(state, LAYER_BEHAVIOUR, "app", "Zoom", "", "meeting");
	assert_scene(state, LAYER_TEXT, "note", "homework about officers", "", "none");
}

/* ---- versions, limits, shape
 * ------------------------------------------------------------------------ */

static void test_as_of_reads_the_past_as_it_was_known(void **state)
{
	struct fixture *f = *state;
	struct observation obs = make_obs("x", BASE_NS + 30 * NS_PER_S, "first");
	struct slice_query query = { .from_ns = BASE_NS,
		.to_ns = BASE_NS + NS_PER_MIN,
		.step_ns = NS_PER_MIN,
		.facets = FACET_MASK(FACET_LANGUAGE) };

	struct store_result first = append_one(f->store, &obs);
	obs.text = "second";
	(void)append_one(f->store, &obs);
	for (int round = 0; round < 2; round++) {
		query.as_of_seq = round == 0 ? first.seq : 0;
		buf_init(&seen_slices.json, 1 << 20);
		seen_slices.len = 0;
		seen_slices.facets = query.facets;
		PASS(slice_build(f->store, &query, visit, &seen_slices, &pass_why));
		assert_non_null(
		    strstr(buf_text(&seen_slices.json), round == 0 ? "first" : "second"));
		assert_null(strstr(buf_text(&seen_slices.json), round == 0 ? "second" : "first"));
		buf_fini(&seen_slices.json);
	}
	seen_slices.facets = 0;
}

static void test_a_slice_exists_if_any_asked_facet_has_a_value(void **state)
{
	struct fixture *f = *state;
	struct slice_query query = { .from_ns = BASE_NS - 600 * NS_PER_S,
		.to_ns = BASE_NS + 600 * NS_PER_S,
		.step_ns = NS_PER_MIN };

	put(f, LAYER_TEXT, "message", 30, 0, "hello", "");
	buf_init(&seen_slices.json, 1 << 20);
	seen_slices.len = 0;
	PASS(slice_build(f->store, &query, visit, &seen_slices, &pass_why));
	assert_int_equal(seen_slices.len, 1);
	query.facets = FACET_MASK(FACET_HOME);
	PASS(slice_build(f->store, &query, visit, &seen_slices, &pass_why));
	assert_int_equal(seen_slices.len, 1);
}

static void test_bad_ranges_and_steps_are_refused(void **state)
{
	struct fixture *f = *state;
	static const struct {
		int64_t from_s, to_s, step_ns;
		enum rc rc;
	} bad[] = { { 0, 60, 0, RC_INVALID }, { 0, 60, NS_PER_S / 2, RC_INVALID },
		{ 0, 60, 7 * NS_PER_S, RC_INVALID }, { 0, 60, 2 * NS_PER_DAY, RC_INVALID },
		{ 60, 60, NS_PER_S, RC_INVALID }, { 60, 0, NS_PER_S, RC_INVALID },
		{ 0, 100001, NS_PER_S, RC_LIMIT } };
	struct slice_query ages = {
		.from_ns = OBS_TIME_MIN_NS, .to_ns = OBS_TIME_MAX_NS, .step_ns = NS_PER_S
	};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct slice_query query = { .from_ns = BASE_NS + bad[i].from_s * NS_PER_S,
			.to_ns = BASE_NS + bad[i].to_s * NS_PER_S,
			.step_ns = bad[i].step_ns };
		struct errmsg why = ERRMSG_INIT;
		assert_int_equal(
		    slice_build(f->store, &query, visit, &seen_slices, &why), bad[i].rc);
		assert_true(why.text[0] != '\0');
	}
	assert_int_equal(slice_build(f->store, &ages, visit, &seen_slices, NULL), RC_LIMIT);
}

static void test_three_hundred_years_apart_is_only_old(void **state)
{
	struct fixture *f = *state;
	struct observation obs = make_obs("", OBS_TIME_MIN_NS, "");
	struct slice_query query = { .from_ns = OBS_TIME_MAX_NS - NS_PER_HOUR,
		.to_ns = OBS_TIME_MAX_NS,
		.step_ns = NS_PER_HOUR,
		.keep_empty = true };

	obs.layer = LAYER_HOME;
	obs.kind = "door";
	obs.data_json = "{\"state\":\"open\"}";
	(void)append_one(f->store, &obs);
	obs.layer = LAYER_ENVIRONMENT;
	obs.kind = "temperature";
	obs.data_json = "{\"value\":1}";
	(void)append_one(f->store, &obs);
	obs.dev_t0_ns = obs.dev_t1_ns = OBS_TIME_MAX_NS - 1;
	(void)append_one(f->store, &obs);
	buf_init(&seen_slices.json, 1 << 20);
	seen_slices.len = 0;
	PASS(slice_build(f->store, &query, visit, &seen_slices, &pass_why));
	assert_modes(FACET_HOME, "c");
	assert_int_equal(seen_slices.ages_ns[FACET_HOME][0], INT64_MAX);
	assert_modes(FACET_ENVIRONMENT, "o");
}

static void test_the_json_is_that_of_the_contract(void **state)
{
	struct item_rest rest = { .client_id = "m1",
		.source = "phone",
		.kind = "message",
		.text = "say \"hi\"",
		.data_json = "{\"to\":\"Mia\"}" };
	struct item item = { .t0_ns = BASE_NS + 1, .t1_ns = BASE_NS + 1, .rest = &rest };
	struct cell_value value = {
		.item = &item, .mode = CELL_OBSERVED, .certainty = CERTAINTY_CERTAIN
	};
	struct slice slice = {
		.start_ns = BASE_NS, .end_ns = BASE_NS + NS_PER_S, .version = 1, .state = "open"
	};
	struct buf out;

	(void)state;
	for (int i = 0; i < FACET_COUNT; i++)
		slice.cells[i] = (struct cell){ .absent_reason = "none" };
	slice.cells[FACET_LANGUAGE] = (struct cell){ .mode = CELL_OBSERVED,
		.values = &value,
		.values_len = 1,
		.values_total = 300,
		.age_ns = 0,
		.error_ns = 1500000000,
		.certainty = CERTAINTY_CERTAIN };
	buf_init(&out, 4096);
	PASS(slice_json(&slice, FACET_MASK(FACET_LANGUAGE) | FACET_MASK(FACET_HOME), &out));
	assert_string_equal(buf_text(&out),
	    "{\"start\":\"2025-11-19T18:00:00.000000000Z\",\"end\":\"2025-11-19T18:00:01."
	    "000000000Z\","
	    "\"version\":1,\"state\":\"open\",\"cells\":{"
	    "\"language\":{\"mode\":\"observed\",\"values\":[{"
	    "\"obs_id\":\"00000000000000000000000000000000\",\"id\":\"m1\",\"source\":\"phone\","
	    "\"kind\":\"message\",\"start\":\"2025-11-19T18:00:00.000000001Z\","
	    "\"text\":\"say \\\"hi\\\"\",\"data\":{\"to\":\"Mia\"}}],"
	    "\"values_total\":300,\"age_s\":0,\"error_s\":1.5,\"certainty\":\"certain\"},"
	    "\"home\":{\"mode\":\"absent\",\"reason\":\"none\",\"values\":[],"
	    "\"age_s\":null,\"error_s\":null,\"certainty\":null}}}");
	buf_fini(&out);
}

static void test_facets_follow_layers_and_kinds(void **state)
{
	(void)state;
	assert_int_equal(facet_of_kind(LAYER_TEXT, "bookmark"), FACET_MASK(FACET_LANGUAGE));
	assert_int_equal(facet_of_kind(LAYER_AUDITORY, "speech"),
	    FACET_MASK(FACET_AUDIO) | FACET_MASK(FACET_LANGUAGE));
	assert_int_equal(facet_of_kind(LAYER_BEHAVIOUR, "heart_rate"), FACET_MASK(FACET_BODY));
	assert_int_equal(facet_of_kind(LAYER_BEHAVIOUR, "whatever"), FACET_MASK(FACET_DEVICE));
	assert_int_equal(facet_of_kind(LAYER_ENVIRONMENT, "noise"), FACET_MASK(FACET_ENVIRONMENT));
	assert_int_equal(facet_of_kind(LAYER_ENVIRONMENT, "visit"), FACET_MASK(FACET_LOCATION));
	for (int i = 0; i < FACET_COUNT; i++)
		assert_int_equal(facet_parse(facet_word((enum facet)i)), i);
	assert_int_equal(facet_parse("aura"), -1);
}

static bool put_line(void *ctx, const struct slice *slice)
{
	struct seen_slices *s = ctx;
	enum rc rc = slice_json(slice, s->facets, &s->json);

	buf_putc(&s->json, '\n');
	return rc == RC_OK;
}

static void test_slices_of_the_store_equal_those_of_the_oracle(void **state)
{
	struct fixture *f = *state;
	static struct slice_stream stream;
	static struct observation stored[SLICE_STREAM_MAX * 8];
	uint64_t seed = 99;
	size_t n = 0;
	struct arena arena;
	struct buf want;

	arena_init(&arena, (size_t)16 << 20);
	for (int round = 0; round < 6; round++) {
		slice_stream_make(&seed, &stream);
		for (size_t i = 0; i < stream.len; i++) {
			char id[64];
			(void)snprintf(id, sizeof id, "%d-%zu", round, i);
			stream.obs[i].client_id = id;
			if (stream.obs[i].shape != SHAPE_BLOCK)
				stream.obs[i].shape =
				    stream.obs[i].has_end ? SHAPE_INTERVAL : SHAPE_INSTANT;
			struct store_result result = append_one(f->store, &stream.obs[i]);
			PASS(store_get_seq(f->store, result.seq, &arena, &stored[n++], &pass_why));
		}
		struct slice_query query = { .from_ns = stream.grid.from_ns,
			.to_ns = stream.grid.to_ns,
			.step_ns = stream.grid.step_ns,
			.facets = stream.grid.facets };
		stream.grid.keep_empty = false;
		stream.grid.now_ns = clock_utc_ns();
		buf_init(&want, (size_t)64 << 20);
		slice_oracle(policy_default(), &stream.grid, stored, n, &want);
		buf_fini(&seen_slices.json);
		buf_init(&seen_slices.json, (size_t)64 << 20);
		seen_slices.facets = query.facets;
		PASS(slice_build(f->store, &query, put_line, &seen_slices, &pass_why));
		assert_string_equal(buf_text(&want), buf_text(&seen_slices.json));
		buf_fini(&want);
	}
	seen_slices.facets = 0;
	arena_fini(&arena);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_STORE(test_a_place_is_interpolated_over_two_minutes_and_no_more),
		WITH_STORE(test_a_place_is_carried_a_quarter_of_an_hour_if_the_person_stays),
		WITH_STORE(test_a_gap_marker_stops_interpolation_and_carry),
		WITH_STORE(test_a_light_stays_on_until_it_changes_however_long),
		WITH_STORE(test_a_meeting_without_a_frame_shows_no_picture),
		WITH_STORE(test_a_frame_is_carried_while_the_capturer_says_unchanged),
		WITH_STORE(test_overlapping_watcher_intervals_are_all_there),
		WITH_STORE(test_a_heartbeat_holds_to_its_pulse_and_then_is_gone),
		WITH_STORE(test_numbers_are_interpolated_within_their_own_sensor),
		WITH_STORE(test_an_instant_near_a_border_is_possible_on_both_sides),
		WITH_STORE(test_scenes_follow_their_evidence),
		WITH_STORE(test_as_of_reads_the_past_as_it_was_known),
		WITH_STORE(test_a_slice_exists_if_any_asked_facet_has_a_value),
		WITH_STORE(test_bad_ranges_and_steps_are_refused),
		WITH_STORE(test_three_hundred_years_apart_is_only_old),
		cmocka_unit_test(test_the_json_is_that_of_the_contract),
		cmocka_unit_test(test_facets_follow_layers_and_kinds),
		WITH_STORE(test_slices_of_the_store_equal_those_of_the_oracle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
