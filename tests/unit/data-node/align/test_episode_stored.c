/*
 * Stored episodes: what rows tell is what is worked out and what a naive twin
 * says, through late records, forgetting, and clocks that are set right; what a
 * change touches goes in its commit and comes again; remade, rows are the same.
 * HEARTH_STREAMS=50 runs longer.
 */
#include "../store/store_fixture.h"

#include "align/builder_inner.h"
#include "align/episode.h"
#include "store/store_episode.h"
#include "store/store_forget.h"
#include "store_canary.h"

#define MIN NS_PER_MIN
#define BASE_NS (T0_NS / NS_PER_DAY * NS_PER_DAY)
#define DAYS 5
#define MINUTES (DAYS * 1440)
#define TEXT_BYTES_MAX ((size_t)16 << 20)
#define NOBODY 0 /* a note that names nobody */
#define SOMEONE 3

struct life {
	struct fixture f;
	struct builder *builder;
	uint64_t seed;
	int64_t now_min;                /* records come at this time */
	bool any[MINUTES];              /* the twin's world */
	unsigned who[MINUTES];          /* NOBODY, or who wrote */
	uint64_t seqs[MINUTES];         /* of the note of that minute */
	int64_t starts[400], ends[400]; /* the twin's episodes, in minutes */
	size_t len;
};

static int setup(void **state)
{
	struct life *life = calloc(1, sizeof *life);

	life->f.in_memory = true;
	life->seed = 7;
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

static uint64_t below(struct life *life, uint64_t n)
{
	return random_next(&life->seed) % n;
}

/* ---- what is told ------------------------------------------------------------------------ */

struct told {
	size_t len;
	int64_t starts[400], ends[400];
	struct buf text;
};

static struct told told[2];

static bool tell(void *ctx, const struct episode *episode)
{
	struct told *out = ctx;

	assert_true(out->len < 400);
	out->starts[out->len] = (episode->start_ns - BASE_NS) / MIN;
	out->ends[out->len++] = (episode->end_ns - BASE_NS) / MIN;
	PASS(episode_json(episode, "", &out->text));
	buf_putc(&out->text, '\n');
	return true;
}

/* Episodes of [from, to) as a reader gets them, and worked out from the log: they
 * must agree. */
static void look(struct life *life, int64_t from_min, int64_t to_min, uint64_t as_of)
{
	struct slice_source source = { .store = life->f.store,
		.policy = policy_default(),
		.now_ns = BASE_NS + life->now_min * MIN + 26 * NS_PER_S,
		.as_known = as_of != 0 };

	for (int way = 0; way < 2; way++) {
		source.work_out_all = way == 1;
		buf_fini(&told[way].text);
		buf_init(&told[way].text, TEXT_BYTES_MAX);
		told[way].len = 0;
		PASS(episode_walk(&source, BASE_NS + from_min * MIN, BASE_NS + to_min * MIN, as_of,
		    tell, &told[way], &pass_why));
	}
	assert_string_equal(buf_text(&told[0].text), buf_text(&told[1].text));
}

/* ---- rows -------------------------------------------------------------------------------- */

static struct store_episode_view read_rows(struct life *life, struct arena *arena)
{
	struct store_episode_view view;

	arena_init(arena, (size_t)64 << 20);
	PASS(store_episode_read(life->f.store, BASE_NS - 10 * NS_PER_DAY, BASE_NS + 40 * NS_PER_DAY,
	    arena, &view, &pass_why));
	return view;
}

static size_t rows_len(struct life *life)
{
	struct arena arena;
	size_t n = read_rows(life, &arena).rows_len;

	arena_fini(&arena);
	return n;
}

static void assert_rows_equal(
    const struct store_episode_view *a, const struct store_episode_view *b)
{
	assert_int_equal(a->rows_len, b->rows_len);
	for (size_t i = 0; i < a->rows_len; i++) {
		assert_true(a->rows[i].start_ns == b->rows[i].start_ns);
		assert_true(a->rows[i].from_ns == b->rows[i].from_ns);
		assert_true(a->rows[i].until_ns == b->rows[i].until_ns);
		assert_int_equal(a->rows[i].len, b->rows[i].len);
		assert_memory_equal(a->rows[i].bytes, b->rows[i].bytes, a->rows[i].len);
	}
}

static void count_fault(void *ctx, const char *text)
{
	assert_non_null(strstr(text, "episode: the row of 20"));
	++*(uint64_t *)ctx;
}

static uint64_t verify(struct life *life)
{
	uint64_t reported = 0, faults = 0;

	PASS(episode_verify(
	    life->f.store, policy_default(), count_fault, &reported, &faults, &pass_why));
	assert_int_equal(reported, faults);
	return faults;
}

/* ---- the twin ---------------------------------------------------------------------------- */

static bool twin_is_change(const struct life *life, int i)
{
	bool gap = true, known = false;
	unsigned say = 0, who = life->who[i];

	for (int k = i - 30; k < i; k++)
		gap = gap && (k < 0 || !life->any[k]);
	if (gap)
		return true;
	if (who == NOBODY)
		return false;
	/* Who was there last within half an hour, and all within the hold. */
	for (int k = i - 1; k >= 0 && k >= i - 30 && !(known && i - k > 4); k--) {
		if (life->who[k] == who)
			return false;
		known = known || life->who[k] != NOBODY;
	}
	for (int k = i; k < i + 4 && k < MINUTES; k++) {
		if (life->who[k] != NOBODY && life->who[k] != who)
			return false;
		say += life->who[k] == who;
	}
	return known && say >= 2;
}

static void twin_cut(struct life *life)
{
	static bool cut[MINUTES];
	static bool change[MINUTES];

	for (int i = 0; i < MINUTES; i++)
		cut[i] = change[i] = life->any[i] && twin_is_change(life, i);
	for (int midnight = 0; midnight < MINUTES; midnight += 1440) {
		int first = midnight;
		bool quiet = true;
		for (int k = midnight - 1439; k < midnight; k++)
			quiet = quiet && (k < 0 || !change[k]);
		while (first < midnight + 1440 && !life->any[first])
			first++;
		if (quiet && first < midnight + 1440)
			cut[first] = true;
	}
	life->len = 0;
	for (int i = 0; i < MINUTES; i++) {
		if (cut[i])
			life->starts[life->len++] = i;
		if (life->any[i])
			life->ends[life->len - 1] = i + 1;
	}
}

static void compare_with_twin(struct life *life, int64_t from_min, int64_t to_min)
{
	size_t k = 0;

	look(life, from_min, to_min, 0);
	while (k < life->len && life->ends[k] <= from_min)
		k++;
	for (size_t i = 0; i < told[0].len; i++, k++) {
		assert_true(k < life->len);
		assert_int_equal(told[0].starts[i], life->starts[k]);
		assert_int_equal(told[0].ends[i], life->ends[k]);
	}
	assert_true(k == life->len || life->starts[k] >= to_min);
}

/* ---- a life ------------------------------------------------------------------------------- */

static void write_note(struct life *life, int minute, unsigned who)
{
	static const char *const people[] = { "", "{\"from\":\"Ines\"}", "{\"from\":\"Bert\"}",
		"{\"from\":\"Cleo\"}" };
	struct observation obs = make_obs("", BASE_NS + minute * MIN + 20 * NS_PER_S, "a word");

	obs.data_json = people[who];
	obs.recv_utc_ns = BASE_NS + life->now_min * MIN + 25 * NS_PER_S;
	life->seqs[minute] = append_one(life->f.store, &obs).seq;
	life->any[minute] = true;
	life->who[minute] = who;
}

/* Runs of somebody, dense or sparse, and gaps; on time. */
static void live(struct life *life)
{
	static const int paces[] = { 1, 2, 7, 25 }, lengths[] = { 3, 20, 90, 700 };

	for (int at = 0; at < MINUTES;) {
		unsigned who = (unsigned)below(life, SOMEONE + 1);
		int pace = paces[below(life, 4)];
		int end = at + lengths[below(life, 4)] + (int)below(life, 20);
		/* Two days on end of one person who never writes at midnight. */
		if (at > 1440 && at < 1600) {
			pace = 25;
			end = at + 2900;
		}
		for (; at < end && at < MINUTES; at += pace) {
			life->now_min = at;
			if (at % 1440 > 5)
				write_note(life, at, who);
		}
		if (below(life, 3) == 0)
			at += (int)below(life, 200);
		if (below(life, 4) == 0)
			pass_all(life);
	}
	life->now_min = MINUTES + 60;
	write_note(life, MINUTES - 1, NOBODY);
	pass_all(life);
}

static void forget_minute(struct life *life, int minute)
{
	struct store_forget what = { .from_ns = BASE_NS + minute * MIN,
		.to_ns = BASE_NS + (minute + 1) * MIN,
		.layers = LAYER_MASK_ALL };
	struct store_forgotten forgotten;

	PASS(store_forget(life->f.store, &what, &forgotten, &pass_why));
	life->any[minute] = false;
	life->who[minute] = NOBODY;
}

static void change_something(struct life *life)
{
	int minute = (int)below(life, MINUTES);

	life->now_min += 7; /* enough for what is touched to be sealed again */
	if (life->any[minute] && below(life, 2) == 0)
		forget_minute(life, minute);
	else if (!life->any[minute])
		write_note(life, minute, (unsigned)below(life, SOMEONE + 1));
}

static long rounds_wanted(void)
{
	const char *text = getenv("HEARTH_STREAMS");

	return text == NULL ? 1 : strtol(text, NULL, 10);
}

static void test_rows_tell_what_is_worked_out_and_what_the_twin_says(void **state)
{
	struct life *life = *state;

	for (long round = 0; round < rounds_wanted(); round++) {
		uint64_t seed = life->seed;
		if (round > 0) {
			(void)teardown((void **)&life);
			(void)setup((void **)&life);
			life->seed = seed;
		}
		live(life);
		twin_cut(life);
		assert_true(rows_len(life) > 20);
		compare_with_twin(life, 0, MINUTES);
		for (int i = 0; i < 12; i++) {
			int64_t from = (int64_t)below(life, MINUTES - 1);
			change_something(life);
			if (i % 3 == 0) /* a mark lies over it */
				compare_with_twin(life, from, from + 1);
			pass_all(life);
			twin_cut(life);
			compare_with_twin(life, from,
			    from + 1 + (int64_t)below(life, (uint64_t)(MINUTES - from)));
		}
		compare_with_twin(life, 0, MINUTES);
		assert_int_equal(verify(life), 0);
	}
	*state = life;
}

/* ---- one day, with everything -------------------------------------------------------------- */

static void put(struct life *life, enum layer layer, const char *kind, int64_t minute,
    const char *text, const char *data_json)
{
	struct observation obs = make_obs("", BASE_NS + minute * MIN + 20 * NS_PER_S, text);

	obs.layer = layer;
	obs.kind = kind;
	obs.data_json = data_json;
	obs.recv_utc_ns = BASE_NS + life->now_min * MIN + 25 * NS_PER_S;
	(void)append_one(life->f.store, &obs);
}

static void stay(struct life *life, int64_t from_min, int64_t to_min, const char *place, double lat)
{
	char data[96];

	for (int64_t m = from_min; m < to_min; m += 2) {
		life->now_min = m;
		(void)snprintf(data, sizeof data, "{\"lat\":%.4f,\"lon\":13.5,\"region\":\"%s\"}",
		    lat + (double)(m % 10) / 1e5, place);
		put(life, LAYER_ENVIRONMENT, "location", m, "", data);
		if (m % 60 == 0)
			put(life, LAYER_AUDITORY, "speech", m, "words",
			    m % 120 == 0 ? "{\"speaker\":\"Ines\"}" : "{\"speaker\":\"Bert\"}");
	}
}

static void live_two_days(struct life *life)
{
	put(life, LAYER_HOME, "presence", 0, "", "{\"entity_id\":\"p\",\"state\":\"home\"}");
	for (int day = 0; day < 2; day++) {
		stay(life, day * 1440, day * 1440 + 420, "home", 52.50);
		stay(life, day * 1440 + 480, day * 1440 + 900, "office", 52.53);
		stay(life, day * 1440 + 960, day * 1440 + 1440, "home", 52.50);
	}
	pass_all(life);
}

static void test_a_late_word_takes_away_what_it_touches_and_it_comes_again(void **state)
{
	struct life *life = *state;

	live_two_days(life);
	size_t rows = rows_len(life);
	uint64_t before = store_cursor(life->f.store);
	assert_in_range(rows, 8, 12);
	look(life, 0, 2880, 0);
	assert_non_null(strstr(buf_text(&told[0].text), "\"state\":\"sealed\",\"scene\":\"work\","
							"\"place\":\"office\",\"position\":"));
	assert_null(strstr(buf_text(&told[0].text), "Cleo"));

	put(life, LAYER_AUDITORY, "speech", 600, "late", "{\"speaker\":\"Cleo\"}");
	look(life, 0, 2880, 0); /* under its mark */
	assert_non_null(strstr(buf_text(&told[0].text), "Cleo"));
	pass_all(life);
	assert_in_range(rows - rows_len(life), 1, 3);
	look(life, 0, 2880, 0);
	assert_non_null(strstr(buf_text(&told[0].text), "\"version\":2,\"state\":\"reopened\","
							"\"cause\":\"late\""));
	look(life, 0, 2880, before);
	assert_null(strstr(buf_text(&told[0].text), "Cleo"));
	life->now_min += 10;
	put(life, LAYER_TEXT, "note", life->now_min, "later", "");
	pass_all(life);
	assert_in_range(rows_len(life), rows, rows + 1);
	look(life, 0, 2880, 0);
	assert_non_null(strstr(
	    buf_text(&told[0].text), "\"version\":2,\"state\":\"sealed\",\"cause\":\"late\""));
}

static void test_rows_are_remade_as_they_were(void **state)
{
	struct life *life = *state;
	struct arena arenas[2];
	struct store_episode_view views[2];

	live_two_days(life);
	views[0] = read_rows(life, &arenas[0]);
	PASS(store_slice_drop(life->f.store, &pass_why));
	assert_int_equal(rows_len(life), 0);
	builder_close(life->builder);
	PASS(builder_new(life->f.store, policy_default(), &life->builder, &pass_why));
	pass_all(life);
	views[1] = read_rows(life, &arenas[1]);
	assert_rows_equal(&views[0], &views[1]);
	assert_true(views[0].rows_len > 0);
	arena_fini(&arenas[0]);
	arena_fini(&arenas[1]);
}

static void test_what_goes_on_or_may_still_change_has_no_row(void **state)
{
	struct life *life = *state;

	stay(life, 0, 700, "home", 52.50); /* and on it goes */
	pass_all(life);
	assert_in_range(rows_len(life), 0, 2); /* the stretches in which nothing begins */
	look(life, 0, 1440, 0);
	assert_int_equal(told[0].len, 1);
	assert_non_null(strstr(buf_text(&told[0].text), "\"state\":\"open\""));
	life->now_min = 760;
	put(life, LAYER_TEXT, "note", 760, "later", "");
	pass_all(life);
	assert_in_range(rows_len(life), 2, 3);
	look(life, 0, 1440, 0);
}

/* However little is done at a time, it comes to an end, and to the same rows: also while
 * the first stretches cannot be made. */
static void test_work_in_small_parts_comes_to_an_end(void **state)
{
	struct life *life = *state;
	struct store_episode_view views[2];
	struct arena arenas[2];
	bool more = true;

	life->builder->episodes.most_ns = -1; /* one stretch a call */
	stay(life, 0, 2000, "home", 52.50);   /* and on it goes */
	for (int calls = 0; more; calls++) {
		assert_true(calls < 100);
		PASS(builder_pass(life->builder, &more, &pass_why));
	}
	live_two_days(life);
	views[0] = read_rows(life, &arenas[0]);
	assert_true(views[0].rows_len > 0);
	PASS(store_slice_drop(life->f.store, &pass_why));
	builder_close(life->builder);
	PASS(builder_new(life->f.store, policy_default(), &life->builder, &pass_why));
	pass_all(life);
	views[1] = read_rows(life, &arenas[1]);
	assert_rows_equal(&views[0], &views[1]);
	arena_fini(&arenas[0]);
	arena_fini(&arenas[1]);
}

/* A row that tells something else is told, so it is rows that are read; and verify
 * names it. */
static void test_readers_read_rows_and_verify_names_those_that_differ(void **state)
{
	struct life *life = *state;
	struct store_episode_view view;
	struct arena arena;
	size_t episodes, wrong = 0;

	live_two_days(life);
	look(life, 0, 1440, 0);
	assert_int_equal(verify(life), 0);
	episodes = told[0].len;
	view = read_rows(life, &arena);
	for (size_t i = 0; i < view.rows_len; i++) {
		struct store_episode_row *row = &view.rows[i];
		if (row->start_ns < BASE_NS || row->start_ns >= BASE_NS + NS_PER_DAY)
			continue;
		wrong += row->len != 2;
		row->bytes = (const uint8_t *)"\x01\x00"; /* nothing begins in it */
		row->len = 2;
		PASS(store_episode_put(life->f.store, row, 1, &pass_why));
	}
	arena_fini(&arena);
	struct slice_source source = { .store = life->f.store,
		.policy = policy_default(),
		.now_ns = BASE_NS + 3 * NS_PER_DAY };
	told[0].len = 0;
	PASS(episode_walk(&source, BASE_NS, BASE_NS + NS_PER_DAY, 0, tell, &told[0], &pass_why));
	assert_true(told[0].len < episodes);
	assert_true(wrong > 1);
	assert_int_equal(verify(life), wrong);
	/* Not where a mark lies over them, for then they are not read either. */
	put(life, LAYER_AUDITORY, "speech", 500, "late", "{\"speaker\":\"Cleo\"}");
	assert_true(verify(life) < wrong);
	look(life, 500, 510, 0);
}

#define CANARY "Xylophone4711"

/* By every key that is left: rows too are opened and looked through. */
static uint64_t leaks(struct life *life)
{
	struct keyring_unlock unlock = { 0 };
	struct store_canary canary;

	builder_close(life->builder);
	fixture_close(&life->f);
	PASS(keyring_open(life->f.dir, &unlock, &life->f.keyring, &pass_why));
	store_canary_search(life->f.dir, life->f.keyring, CANARY, &canary);
	keyring_close(life->f.keyring);
	fixture_open(&life->f);
	PASS(builder_new(life->f.store, policy_default(), &life->builder, &pass_why));
	assert_int_equal(canary.plain, 0);
	return canary.leaked;
}

static void test_rows_hold_no_content_so_what_is_forgotten_is_nowhere(void **state)
{
	struct life *life = *state;
	struct store_forget what = {
		.from_ns = BASE_NS, .to_ns = BASE_NS + NS_PER_DAY, .layers = LAYER_MASK_ALL
	};
	struct store_forgotten forgotten;

	stay(life, 0, 420, CANARY, 52.50);
	stay(life, 480, 900, CANARY " office", 52.53);
	for (int m = 500; m < 520; m++)
		put(life, LAYER_AUDITORY, "speech", m, CANARY, "{\"speaker\":\"" CANARY "\"}");
	stay(life, 960, 1440, "elsewhere", 52.50);
	life->now_min = 1600;
	put(life, LAYER_TEXT, "note", 1600, "later", "");
	pass_all(life);
	assert_true(rows_len(life) > 3);
	look(life, 0, 1440, 0);
	assert_non_null(strstr(buf_text(&told[0].text), CANARY));
	/* The log has it, which the search must find, and nothing else has it. */
	assert_int_equal(leaks(life), 20 + 2 * 210);

	PASS(store_forget(life->f.store, &what, &forgotten, &pass_why));
	look(life, 0, 1440, 0);
	assert_null(strstr(buf_text(&told[0].text), CANARY));
	pass_all(life);
	look(life, 0, 1440, 0);
	assert_int_equal(told[0].len, 0);
	assert_int_equal(leaks(life), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_rows_tell_what_is_worked_out_and_what_the_twin_says),
		TEST(test_a_late_word_takes_away_what_it_touches_and_it_comes_again),
		TEST(test_rows_are_remade_as_they_were),
		TEST(test_what_goes_on_or_may_still_change_has_no_row),
		TEST(test_work_in_small_parts_comes_to_an_end),
		TEST(test_readers_read_rows_and_verify_names_those_that_differ),
		TEST(test_rows_hold_no_content_so_what_is_forgotten_is_nowhere),
	};

	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	for (int i = 0; i < 2; i++)
		buf_fini(&told[i].text);
	return failed;
}
