/* Labels: as observations and back, what counts as the same, finding them. */
#include "../store/store_fixture.h"
#include "night/label.h"

static const uint8_t ids[3][OBS_ID_BYTES] = { { 1, 2, 3 }, { 4, 5, 6 }, { 7, 8, 9 } };

static struct label make_label(void)
{
	return (struct label){ .rule = "language",
		.version = 2,
		.key = "0102",
		.layer = LAYER_TEXT,
		.t0_ns = T0_NS,
		.t1_ns = T0_NS,
		.about = ids,
		.about_len = 2,
		.value_json = "{\"a\":[1,2]}",
		.confidence = 0.9731,
		.revision = 3,
		.life = 1 };
}

static void check_same(const struct label *a, const struct label *b)
{
	struct label_digest x = label_digest(a), y = label_digest(b);

	assert_memory_equal(&x, &y, sizeof x);
}

static void test_a_label_is_read_back(void **state)
{
	struct label label = make_label(), back;
	struct observation obs;
	struct arena arena;

	(void)state;
	arena_init(&arena, 1 << 20);
	PASS(label_encode(&label, &arena, &obs));
	assert_int_equal(observation_check(&obs, NULL), RC_OK);
	assert_int_equal(obs.origin, ORIGIN_SYSTEM);
	assert_string_equal(obs.client_id, "language:0102~1");
	assert_string_equal(obs.data_json,
	    "{\"about\":[\"01020300000000000000000000000000\",\"04050600000000000000000000000000\"]"
	    ","
	    "\"confidence\":0.9731,\"revision\":3,\"rule\":\"language\",\"value\":{\"a\":[1,2]},"
	    "\"version\":2}");
	PASS(label_decode(&obs, &arena, &back));
	check_same(&label, &back);
	assert_string_equal(back.rule, "language");
	assert_string_equal(back.key, "0102");
	assert_string_equal(back.value_json, "{\"a\":[1,2]}");
	assert_int_equal(back.about_len, 2);
	assert_memory_equal(back.about, ids, 2 * OBS_ID_BYTES);
	assert_int_equal(back.revision, 3);
	assert_int_equal(back.life, 1);
	arena_fini(&arena);
}

static void test_revision_and_life_are_not_compared(void **state)
{
	struct label a = make_label(), b = make_label();

	(void)state;
	b.revision = 9;
	b.life = 0;
	check_same(&a, &b);
	struct label others[6];
	for (int i = 0; i < 6; i++)
		others[i] = make_label();
	others[0].version = 3;
	others[1].t1_ns++;
	others[2].about_len = 1;
	others[3].value_json = "{\"a\":[1,3]}";
	others[4].confidence = 0.9732;
	others[5].layer = LAYER_VISUAL;
	for (int i = 0; i < 6; i++) {
		struct label_digest x = label_digest(&a), y = label_digest(&others[i]);
		assert_memory_not_equal(&x, &y, sizeof x);
	}
}

static void test_limits_are_refused(void **state)
{
	struct label label = make_label();
	struct observation obs;
	struct arena arena;

	(void)state;
	arena_init(&arena, 1 << 20);
	label.about_len = 0;
	assert_int_equal(label_encode(&label, &arena, &obs), RC_LIMIT);
	label = make_label();
	label.life = LABEL_LIVES_MAX;
	assert_int_equal(label_encode(&label, &arena, &obs), RC_LIMIT);
	label = make_label();
	label.rule = "a rule with a name that is much too long for one";
	assert_int_equal(label_encode(&label, &arena, &obs), RC_LIMIT);
	arena_fini(&arena);
}

static void test_other_observations_are_no_labels(void **state)
{
	struct label label = make_label(), back;
	struct observation obs, other;
	struct arena arena;

	(void)state;
	arena_init(&arena, 1 << 20);
	PASS(label_encode(&label, &arena, &obs));
	other = obs;
	other.origin = ORIGIN_DEVICE; /* whoever sends it: it is not ours */
	assert_int_equal(label_decode(&other, &arena, &back), RC_NOTFOUND);
	other = obs;
	other.source = "phone";
	assert_int_equal(label_decode(&other, &arena, &back), RC_NOTFOUND);
#define ABOUT "\"about\":[\"01020300000000000000000000000000\"]"
	static const char *const broken[] = { "", "{}", "{\"about\":[],\"value\":1,\"version\":1}",
		"{\"about\":[\"01\"],\"value\":1,\"version\":1}", "{" ABOUT ",\"version\":1}",
		"{" ABOUT ",\"value\":1}",
		"{\"about\":[\"0102030000000000000000000000000g\"],\"value\":1,\"version\":1}",
		"{" ABOUT ",\"confidence\":2,\"value\":1,\"version\":1}" };
	for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
		other = obs;
		other.data_json = broken[i];
		assert_int_equal(label_decode(&other, &arena, &back), RC_CORRUPT);
	}
	static const char *const names[] = { "", "language", ":0102", "language:", "language:~1",
		"language:1~", "language:1~0", "language:1~64", "language:1~x", "language:1~999999",
		"lang\"uage:1", "Language:1" };
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		other = obs;
		other.client_id = names[i];
		assert_int_equal(label_decode(&other, &arena, &back), RC_CORRUPT);
	}
	arena_fini(&arena);
}

static bool count(void *ctx, const struct label *label, const struct observation *as_stored)
{
	(void)label;
	(void)as_stored;
	++*(int *)ctx;
	return true;
}

static void test_labels_of_an_observation_are_found(void **state)
{
	struct label label = make_label();
	struct observation obs;
	struct arena arena;
	struct fixture f = { .store = NULL };
	int found = 0;

	(void)state;
	fixture_init(&f);
	arena_init(&arena, 1 << 20);
	label.revision = 0;
	PASS(label_encode(&label, &arena, &obs));
	(void)append_one(f.store, &obs);
	label.rule = "outlier";
	PASS(label_encode(&label, &arena, &obs));
	(void)append_one(f.store, &obs);
	label.rule = "duplicate";
	label.value_json = "null";
	PASS(label_encode(&label, &arena, &obs));
	(void)append_one(f.store, &obs);
	obs = make_obs("x", T0_NS, "hello");
	(void)append_one(f.store, &obs);
	PASS(label_find(f.store, ids[1], LAYER_TEXT, T0_NS, T0_NS, count, &found, &pass_why));
	assert_int_equal(found, 2); /* the withdrawn one is none */
	found = 0;
	PASS(label_find(f.store, ids[2], LAYER_TEXT, T0_NS, T0_NS, count, &found, &pass_why));
	PASS(label_find(f.store, ids[1], LAYER_VISUAL, T0_NS, T0_NS, count, &found, &pass_why));
	assert_int_equal(found, 0);
	arena_fini(&arena);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_label_is_read_back),
		cmocka_unit_test(test_revision_and_life_are_not_compared),
		cmocka_unit_test(test_limits_are_refused),
		cmocka_unit_test(test_other_observations_are_no_labels),
		cmocka_unit_test(test_labels_of_an_observation_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
