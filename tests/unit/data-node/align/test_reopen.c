/*
 * Reopening from end to end: what is forgotten in the store, and where a clock
 * map moves something, reaches the stored slices as new versions with a cause;
 * others stay, and the past is read as it was known then.  Late records of every
 * kind are built into the cells that they feed, and the slices are what they
 * would be if all of it was worked out.
 * HEARTH_STREAMS=2000 runs longer.
 */
#include "../store/store_fixture.h"

#include "align/builder.h"
#include "align/slice_serve.h"
#include "slice_stream.h"
#include "store/store_clock.h"
#include "store/store_forget.h"

#define MIN NS_PER_MIN
#define BASE_NS (T0_NS - T0_NS % NS_PER_HOUR)
#define SLICES_MAX 1000
#define TEXT_BYTES_MAX ((size_t)16 << 20)

struct life {
	struct fixture f;
	struct builder *builder;
};

static int setup(void **state)
{
	struct life *life = calloc(1, sizeof *life);

	life->f.in_memory = true;
	fixture_init(&life->f);
	PASS(builder_new(life->f.store, policy_default(), &life->builder, &pass_why));
	*state = life;
	return 0;
}

static int teardown(void **state)
{
	struct life *life = *state;

	builder_close(life->builder);
	fixture_fini(&life->f);
	free(life);
	return 0;
}

static void pass_all(struct life *life)
{
	bool more = true;

	while (more)
		PASS(builder_pass(life->builder, &more, &pass_why));
}

/* ---- what is shown --------------------------------------------------------------------- */

struct shown {
	size_t len;
	uint64_t versions[SLICES_MAX];
	char states[SLICES_MAX][16], causes[SLICES_MAX][16];
	size_t texts[SLICES_MAX]; /* where the JSON of each begins */
	struct buf text;
};

static struct shown shown[2];

static bool show(void *ctx, const struct slice *slice)
{
	struct shown *out = ctx;
	size_t i = out->len++;

	assert_true(i < SLICES_MAX);
	out->versions[i] = slice->version;
	out->texts[i] = out->text.len;
	(void)snprintf(out->states[i], 16, "%s", slice->state);
	(void)snprintf(out->causes[i], 16, "%s", slice->cause == NULL ? "" : slice->cause);
	PASS(slice_json(slice, FACET_MASK_ALL, &out->text));
	buf_putc(&out->text, '\0');
	return true;
}

/* Slices of [from, to) from their rows, and worked out: they must agree. */
static void look(struct life *life, int64_t from_min, int64_t to_min, uint64_t as_of)
{
	struct slice_query query = { .from_ns = BASE_NS + from_min * MIN,
		.to_ns = BASE_NS + to_min * MIN,
		.step_ns = MIN,
		.as_of_seq = as_of,
		.keep_empty = true };
	struct slice_source source = { .store = life->f.store,
		.policy = policy_default(),
		.now_ns = BASE_NS + 24 * NS_PER_HOUR,
		.as_known = as_of != 0 };

	for (int way = 0; way < 2; way++) {
		source.work_out_all = way == 1;
		buf_fini(&shown[way].text);
		buf_init(&shown[way].text, TEXT_BYTES_MAX);
		shown[way].len = 0;
		PASS(slice_serve(&source, &query, show, &shown[way], NULL, &pass_why));
	}
	assert_int_equal(shown[0].len, to_min - from_min);
	assert_int_equal(shown[0].text.len, shown[1].text.len);
	assert_memory_equal(shown[0].text.bytes, shown[1].text.bytes, shown[0].text.len);
}

static const char *text_at(size_t i)
{
	return (const char *)shown[0].text.bytes + shown[0].texts[i];
}

/* ---- a day ------------------------------------------------------------------------------ */

/* A fix each minute, told at once, so that slices are sealed as time goes on. */
static void walk(struct life *life, int64_t from_min, int64_t to_min)
{
	static struct observation obs[SLICES_MAX];
	size_t n = (size_t)(to_min - from_min);

	assert_true(n <= SLICES_MAX);
	for (size_t i = 0; i < n; i++) {
		int64_t at_ns = BASE_NS + (from_min + (int64_t)i) * MIN + 20 * NS_PER_S;
		obs[i] = make_obs("", at_ns, "");
		obs[i].layer = LAYER_ENVIRONMENT;
		obs[i].kind = "location";
		obs[i].data_json = "{\"lat\":52.5,\"lon\":13.5}";
		obs[i].recv_utc_ns = at_ns;
	}
	PASS(store_append(life->f.store, obs, n, NULL, NULL, &pass_why));
}

static void say(struct life *life, int64_t minute, const char *words)
{
	struct observation obs = make_obs(words, BASE_NS + minute * MIN + 30 * NS_PER_S, words);

	obs.recv_utc_ns = obs.dev_t0_ns;
	(void)append_one(life->f.store, &obs);
}

static void test_what_is_forgotten_reopens_its_slices_and_no_others(void **state)
{
	struct life *life = *state;
	struct store_forgotten forgotten;
	struct store_forget what = { .from_ns = BASE_NS + 20 * MIN,
		.to_ns = BASE_NS + 21 * MIN,
		.layers = LAYER_MASK(LAYER_TEXT) };

	walk(life, 0, 20);
	say(life, 20, "a secret");
	walk(life, 20, 120);
	say(life, 30, "a promise");
	walk(life, 120, 180);
	pass_all(life);
	look(life, 20, 31, 0);
	assert_non_null(strstr(text_at(0), "a secret"));
	assert_string_equal(shown[0].states[0], "sealed");
	assert_int_equal(shown[0].versions[0], 1);
	uint64_t promise = shown[0].versions[10];

	PASS(store_forget(life->f.store, &what, &forgotten, &pass_why));
	assert_int_equal(forgotten.records, 1);
	pass_all(life);
	look(life, 19, 31, 0);
	assert_null(strstr(text_at(1), "a secret"));
	assert_int_equal(shown[0].versions[1], 2);
	assert_string_equal(shown[0].causes[1], "forgotten");
	assert_int_equal(shown[0].versions[0], 1);
	assert_int_equal(shown[0].versions[2], 1);
	assert_int_equal(shown[0].versions[11], promise);
	assert_non_null(strstr(text_at(11), "a promise"));
}

/* A recorder whose clock is a month behind, which a ping tells. */
#define OFF_NS (-30 * NS_PER_DAY)

static void ping(struct life *life, int64_t hub_ns)
{
	struct store_clock_ping stamps = { "recorder", "1", hub_ns + OFF_NS,
		hub_ns + 10 * NS_PER_MS, hub_ns + 10 * NS_PER_MS,
		hub_ns + OFF_NS + 20 * NS_PER_MS + 1 };
	struct observation obs;
	struct arena arena;

	arena_init(&arena, 1 << 16);
	PASS(store_clock_ping_make(
	    &stamps, hub_ns + 30 * NS_PER_MS, hub_ns + 30 * NS_PER_MS, &arena, &obs));
	(void)append_one(life->f.store, &obs);
	arena_fini(&arena);
}

static void record(struct life *life, int64_t minute, int64_t sent_min, const char *words)
{
	int64_t at_ns = BASE_NS + minute * MIN + 5 * NS_PER_S;
	struct observation obs = make_obs(words, at_ns + OFF_NS, words);

	obs.source = obs.clock_id = "recorder";
	obs.boot_epoch = "1";
	obs.layer = LAYER_AUDITORY;
	obs.kind = "speech";
	obs.recv_utc_ns = obs.recv_mono_ns = BASE_NS + sent_min * MIN;
	(void)append_one(life->f.store, &obs);
}

static size_t slices_with(const char *words)
{
	size_t n = 0;

	for (size_t i = 0; i < shown[0].len; i++)
		n += strstr(text_at(i), words) != NULL;
	return n;
}

static void test_where_a_clock_map_moves_something_both_places_are_reopened(void **state)
{
	struct life *life = *state;

	ping(life, BASE_NS);
	walk(life, 0, 300);
	record(life, 20, 300, "recorded offline");
	walk(life, 300, 420);
	pass_all(life);
	/* Until its clock is heard again it may have been set: all over the stretch. */
	look(life, 0, 360, 0);
	assert_true(slices_with("recorded offline") > 290);
	assert_non_null(strstr(text_at(20), "recorded offline"));
	assert_non_null(strstr(text_at(200), "recorded offline"));
	assert_string_equal(shown[0].states[200], "sealed");
	uint64_t before = store_cursor(life->f.store);
	uint64_t old = shown[0].versions[200], right = shown[0].versions[20];

	ping(life, BASE_NS + 420 * MIN);
	pass_all(life);
	look(life, 0, 360, 0);
	assert_int_equal(slices_with("recorded offline"), 1);
	assert_non_null(strstr(text_at(20), "recorded offline"));
	assert_int_equal(shown[0].versions[20], right + 1); /* certain now */
	assert_string_equal(shown[0].causes[20], "remapped");
	assert_true(shown[0].versions[200] != old);
	look(life, 340, 360, 0);
	assert_int_equal(shown[0].versions[10], 1); /* it never was there */
	look(life, 0, 360, before);                 /* as it was known */
	assert_true(slices_with("recorded offline") > 290);
	assert_int_equal(shown[0].versions[200], old);
}

/* ---- late records of every kind -------------------------------------------------------- */

static long late_wanted(void)
{
	const char *text = getenv("HEARTH_STREAMS");

	return text == NULL ? 150 : strtol(text, NULL, 10);
}

/* Epochs that records name: none, any, or most often the same. */
enum boots { BOOTS_NONE, BOOTS_ANY, BOOTS_FEW };

/* One of a random stream, moved into the day; now and then a new version of one
 * that came before it. */
static void put_late(struct life *life, uint64_t *seed, long number, enum boots boots)
{
	static struct slice_stream stream;

	do {
		slice_stream_make(seed, &stream);
	} while (stream.len == 0);
	struct observation obs = stream.obs[random_next(seed) % stream.len];
	int64_t length_ns = obs.dev_t1_ns - obs.dev_t0_ns;
	char id[32];
	if (number > 0 && random_next(seed) % 6 == 0)
		(void)snprintf(
		    id, sizeof id, "late %ld", (long)(random_next(seed) % (uint64_t)number));
	else
		(void)snprintf(id, sizeof id, "late %ld", number);
	obs.client_id = id;
	if (boots == BOOTS_NONE)
		obs.boot_epoch = "";
	if (boots == BOOTS_FEW)
		obs.boot_epoch = random_next(seed) % 30 == 0 ? "two" : "one";
	obs.dev_t0_ns = BASE_NS + (int64_t)(random_next(seed) % (100 * 60)) * NS_PER_S;
	obs.dev_t1_ns = obs.dev_t0_ns + length_ns;
	obs.recv_utc_ns = BASE_NS + 120 * MIN + number * NS_PER_S;
	(void)append_one(life->f.store, &obs);
}

static void forget_some(struct life *life, uint64_t *seed)
{
	int64_t at_ns = BASE_NS + (int64_t)(random_next(seed) % 100) * MIN;
	struct store_forget what = { .from_ns = at_ns,
		.to_ns = at_ns + 30 * NS_PER_S,
		.layers = LAYER_MASK(1 + random_next(seed) % LAYER_COUNT) };
	struct store_forgotten forgotten;

	PASS(store_forget(life->f.store, &what, &forgotten, &pass_why));
}

static struct builder_stats come_late(struct life *life, uint64_t seed, enum boots boots)
{
	struct builder_stats stats;

	walk(life, 0, 120);
	for (int i = 0; i < 110; i++) {
		char words[32];
		(void)snprintf(words, sizeof words, "minute %d", i);
		say(life, i, words);
	}
	pass_all(life);
	for (long i = 0; i < late_wanted(); i++) {
		put_late(life, &seed, i, boots);
		if (i % 40 == 39)
			forget_some(life, &seed);
		if (i % 7 != 0) /* else two at once */
			pass_all(life);
		if (i % 10 == 9)
			look(life, 0, 120, 0);
	}
	pass_all(life);
	look(life, 0, 120, 0);
	builder_get_stats(life->builder, &stats);
	print_message("%llu slices built, %llu of them in part, %llu from one track\n",
	    (unsigned long long)stats.built, (unsigned long long)stats.patched,
	    (unsigned long long)stats.merged);
	return stats;
}

static void test_a_late_record_of_any_kind_is_built_into_its_cells(void **state)
{
	assert_true(come_late(*state, 20261128, BOOTS_ANY).patched > 100);
}

static void test_a_late_record_is_built_from_its_track_alone(void **state)
{
	assert_true(come_late(*state, 20261129, BOOTS_NONE).merged > 100);
}

static void test_a_late_record_within_an_epoch_is_built_from_its_track_alone(void **state)
{
	assert_true(come_late(*state, 20261130, BOOTS_FEW).merged > 100);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_is_forgotten_reopens_its_slices_and_no_others),
		TEST(test_where_a_clock_map_moves_something_both_places_are_reopened),
		TEST(test_a_late_record_of_any_kind_is_built_into_its_cells),
		TEST(test_a_late_record_is_built_from_its_track_alone),
		TEST(test_a_late_record_within_an_epoch_is_built_from_its_track_alone),
	};

	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	for (int i = 0; i < 2; i++)
		buf_fini(&shown[i].text);
	return failed;
}
