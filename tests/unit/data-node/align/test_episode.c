/*
 * Episodes: cut where place, scene, company or a gap says so and nowhere else;
 * the same wherever a reader starts; reopened as their slices are.
 */
#include "../store/store_fixture.h"

#include "align/builder.h"
#include "align/episode.h"

#define MIN NS_PER_MIN
#define BASE_NS (T0_NS / NS_PER_DAY * NS_PER_DAY)

struct seen_episodes {
	size_t len;
	int64_t starts[200], ends[200];
	uint64_t versions[200];
	char states[200][16], causes[200][16], scenes[200][16], places[200][24], people[200][64];
	struct buf json;
};

static struct seen_episodes seen;

static void copy(char *out, size_t size, const char *text)
{
	(void)snprintf(out, size, "%s", text == NULL ? "" : text);
}

static bool see(void *ctx, const struct episode *episode)
{
	struct seen_episodes *s = ctx;
	size_t i = s->len++;

	assert_true(i < 200);
	s->starts[i] = (episode->start_ns - BASE_NS) / MIN;
	s->ends[i] = (episode->end_ns - BASE_NS) / MIN;
	s->versions[i] = episode->version;
	copy(s->states[i], 16, episode->state);
	copy(s->causes[i], 16, episode->cause);
	copy(s->scenes[i], 16, episode->scene);
	copy(s->places[i], 24, episode->place);
	copy(s->people[i], 64, episode->people_len > 0 ? episode->people[0] : "");
	return episode_json(episode, "", &s->json) == RC_OK;
}

static void walk(struct fixture *f, int64_t from_min, int64_t to_min, int64_t now_min)
{
	struct slice_source source = { f->store, policy_default(), BASE_NS + now_min * MIN, false,
		false };

	seen.len = 0;
	buf_fini(&seen.json);
	buf_init(&seen.json, (size_t)16 << 20);
	PASS(episode_walk(
	    &source, BASE_NS + from_min * MIN, BASE_NS + to_min * MIN, 0, see, &seen, &pass_why));
}

static void put(struct fixture *f, enum layer layer, const char *kind, int64_t minute,
    const char *text, const char *data_json, int64_t recv_min)
{
	struct observation obs = make_obs("", BASE_NS + minute * MIN + 20 * NS_PER_S, text);

	obs.layer = layer;
	obs.kind = kind;
	obs.data_json = data_json;
	obs.recv_utc_ns = BASE_NS + recv_min * MIN + 20 * NS_PER_S;
	(void)append_one(f->store, &obs);
}

static void stay(struct fixture *f, int64_t from_min, int64_t to_min, const char *place, double lat)
{
	char data[96];

	(void)snprintf(
	    data, sizeof data, "{\"lat\":%.4f,\"lon\":13.5,\"region\":\"%s\"}", lat, place);
	for (int64_t m = from_min; m < to_min; m += 2)
		put(f, LAYER_ENVIRONMENT, "location", m, "", data, m);
}

static void build_all(struct fixture *f)
{
	struct builder *builder;
	bool more = true;

	PASS(builder_new(f->store, policy_default(), &builder, &pass_why));
	while (more)
		PASS(builder_pass(builder, &more, &pass_why));
	builder_close(builder);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	f->in_memory = true;
	fixture_init(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	fixture_fini(*state);
	free(*state);
	buf_fini(&seen.json);
	return 0;
}

static void test_another_place_is_another_episode_and_a_word_between_is_none(void **state)
{
	struct fixture *f = *state;

	stay(f, 480, 540, "home", 52.50);
	stay(f, 540, 700, "office", 52.53);
	put(f, LAYER_BEHAVIOUR, "app", 600, "an editor", "", 600);
	put(f, LAYER_TEXT, "note", 630, "remember the milk", "", 630);
	walk(f, 0, 1440, 3000);
	assert_int_equal(seen.len, 2);
	assert_in_range(seen.starts[0], 479, 480); /* a fix counts a minute around it */
	assert_string_equal(seen.places[0], "home");
	assert_in_range(seen.starts[1], 539, 541);
	assert_string_equal(seen.places[1], "office");
	assert_string_equal(seen.scenes[1], "work");
}

static void test_a_moment_elsewhere_cuts_nothing(void **state)
{
	struct fixture *f = *state;

	stay(f, 480, 600, "home", 52.50);
	put(f, LAYER_ENVIRONMENT, "location", 541, "",
	    "{\"lat\":52.9,\"lon\":13.5,\"region\":\"roof\"}", 541);
	walk(f, 0, 1440, 3000);
	assert_int_equal(seen.len, 1);
}

static void test_a_long_gap_ends_an_episode_and_a_short_one_does_not(void **state)
{
	struct fixture *f = *state;

	for (int m = 600; m < 620; m++)
		put(f, LAYER_TEXT, "note", m, "here", "", m);
	for (int m = 640; m < 660; m++) /* 20 minutes later */
		put(f, LAYER_TEXT, "note", m, "here", "", m);
	for (int m = 720; m < 730; m++) /* an hour later */
		put(f, LAYER_TEXT, "note", m, "here", "", m);
	walk(f, 0, 1440, 3000);
	assert_int_equal(seen.len, 2);
	assert_int_equal(seen.starts[0], 600);
	assert_int_equal(seen.ends[0], 660);
	assert_int_equal(seen.starts[1], 720);
}

static void test_other_company_is_another_episode(void **state)
{
	struct fixture *f = *state;

	for (int m = 600; m < 620; m++)
		put(f, LAYER_TEXT, "message", m, "hi", "{\"from\":\"Ines\"}", m);
	for (int m = 620; m < 640; m++)
		put(f, LAYER_TEXT, "message", m, "hello", "{\"from\":\"Bert\"}", m);
	walk(f, 0, 1440, 3000);
	assert_int_equal(seen.len, 2);
	assert_string_equal(seen.people[0], "Ines");
	assert_string_equal(seen.people[1], "Bert");
}

static void test_episodes_are_the_same_wherever_a_reader_starts(void **state)
{
	struct fixture *f = *state;
	uint64_t seed = 5;
	static struct seen_episodes all;

	/* Five days, one of them without any change. */
	for (int day = 0; day < 5; day++) {
		int64_t at = day * 1440;
		if (day == 2) {
			stay(f, at, at + 1440, "home", 52.50);
			continue;
		}
		stay(f, at, at + 420, "home", 52.50);
		stay(f, at + 480, at + 900, "office", 52.53);
		stay(f, at + 960, at + 1440, "home", 52.50);
	}
	build_all(f);
	walk(f, 0, 5 * 1440, 20000);
	all = seen;
	buf_init(&seen.json, 0); /* `all` has the text */
	assert_in_range(all.len, 9, 14);
	for (int round = 0; round < 30; round++) {
		int64_t from = (int64_t)(random_next(&seed) % 7000);
		int64_t to = from + 1 + (int64_t)(random_next(&seed) % 1500);
		size_t k = 0;
		walk(f, from, to, 20000);
		while (k < all.len && all.ends[k] <= from)
			k++;
		for (size_t i = 0; i < seen.len; i++, k++) {
			assert_true(k < all.len);
			assert_int_equal(seen.starts[i], all.starts[k]);
			assert_int_equal(seen.ends[i], all.ends[k]);
			assert_string_equal(seen.places[i], all.places[k]);
		}
		assert_true(k == all.len || all.starts[k] >= to);
	}
	buf_fini(&all.json);
}

static void test_an_episode_is_open_then_sealed_and_reopened_by_late_data(void **state)
{
	struct fixture *f = *state;

	stay(f, 480, 540, "home", 52.50);
	build_all(f);
	walk(f, 0, 1440, 541);
	assert_string_equal(seen.states[0], "open");
	stay(f, 640, 660, "office", 52.53);
	build_all(f);
	walk(f, 0, 1440, 800);
	assert_int_equal(seen.len, 2);
	assert_string_equal(seen.states[0], "sealed");
	put(f, LAYER_AUDITORY, "speech", 500, "what was said", "{\"speaker\":\"Ines\"}", 800);
	build_all(f);
	walk(f, 0, 1440, 800);
	assert_int_equal(seen.versions[0], 2);
	assert_string_equal(seen.states[0], "reopened");
	assert_string_equal(seen.causes[0], "late");
	assert_string_equal(seen.people[0], "Ines");
	assert_int_equal(seen.versions[1], 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_another_place_is_another_episode_and_a_word_between_is_none),
		TEST(test_a_moment_elsewhere_cuts_nothing),
		TEST(test_a_long_gap_ends_an_episode_and_a_short_one_does_not),
		TEST(test_other_company_is_another_episode),
		TEST(test_episodes_are_the_same_wherever_a_reader_starts),
		TEST(test_an_episode_is_open_then_sealed_and_reopened_by_late_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
