/*
 * Home: slices over a home of weeks are the same whether all of its past was
 * read, or what its digests say; through late records, new versions, clocks
 * that are set right, and forgetting.
 * HEARTH_STREAMS=200 runs longer.
 */
#include "../store/store_fixture.h"

#include "align/home.h"
#include "align/window.h"
#include "store/store_clock.h"
#include "store/store_digest.h"
#include "store/store_forget.h"

#define LINES_BYTES_MAX ((size_t)64 << 20)
#define BASE_NS (T0_NS - T0_NS % NS_PER_DAY)
#define DAYS 20
#define ROUNDS_DEFAULT 4
#define STEPS 30

static long rounds_wanted(void)
{
	const char *text = getenv("HEARTH_STREAMS");

	return text == NULL ? ROUNDS_DEFAULT : strtol(text, NULL, 10);
}

/* ---- a home --------------------------------------------------------------------------- */

struct home {
	struct fixture f;
	struct policy policy;
	uint64_t seed;
	int made;
	int64_t stray_ns; /* what the clock of one source is off by */
};

static uint64_t below(struct home *home, uint64_t n)
{
	return random_next(&home->seed) % n;
}

/* Whole hours often, so that moments and borders are met. */
static int64_t some_time(struct home *home)
{
	int64_t at_ns = BASE_NS + (int64_t)below(home, DAYS * 24 * 4) * (NS_PER_HOUR / 4);

	return below(home, 3) == 0 ? at_ns + (int64_t)below(home, 3600) * NS_PER_S : at_ns;
}

static struct observation make_change(struct home *home, char id[16], char data[96])
{
	static const char *const sources[] = { "hub", "hub", "bridge", "stray" };
	static const char *const boots[] = { "", "", "", "one", "two" };
	static const char *const states[] = { "on", "off", "unavailable" };
	struct observation obs = make_obs(id, some_time(home), "");
	bool old = home->made > 10 && below(home, 8) == 0;

	(void)snprintf(id, 16, "%d", old ? (int)below(home, (uint64_t)home->made) : home->made);
	home->made += !old;
	(void)snprintf(data, 96, "{\"entity_id\":\"e%d\",\"state\":\"%s\"}", (int)below(home, 4),
	    states[below(home, 3)]);
	obs.layer = LAYER_HOME;
	obs.kind = below(home, 3) == 0 ? "door" : "light";
	obs.source = sources[below(home, 4)];
	obs.boot_epoch = boots[below(home, 5)];
	obs.data_json = data;
	obs.has_source_seq = below(home, 2) == 0;
	obs.source_seq = obs.has_source_seq ? below(home, 3) : 0;
	if (below(home, 12) == 0) { /* of one thing, or of all of them */
		obs.gap = true;
		obs.data_json = below(home, 2) == 0 ? "" : data;
	} else if (below(home, 20) == 0) {
		obs.kind = "suspend";
	} else if (below(home, 6) == 0) {
		static const int64_t lengths[] = { NS_PER_MIN, 5 * NS_PER_HOUR, 3 * NS_PER_DAY };
		obs.shape = SHAPE_INTERVAL;
		obs.has_end = true;
		obs.dev_t1_ns += lengths[below(home, 3)];
	}
	obs.recv_utc_ns = obs.dev_t1_ns + NS_PER_MIN;
	if (strcmp(obs.source, "stray") == 0) {
		obs.clock_id = "stray";
		obs.boot_epoch = "1";
		obs.recv_utc_ns = obs.dev_t1_ns + (int64_t)below(home, 2000) * NS_PER_MIN;
		obs.recv_mono_ns = obs.recv_utc_ns;
		obs.dev_t0_ns += home->stray_ns;
		obs.dev_t1_ns += home->stray_ns;
	}
	return obs;
}

static void append_changes(struct home *home, size_t n)
{
	struct observation obs[64];
	char ids[64][16], data[64][96];

	for (size_t i = 0; i < n; i++)
		obs[i] = make_change(home, ids[i], data[i]);
	PASS(store_append(home->f.store, obs, n, NULL, NULL, &pass_why));
}

static void ping(struct home *home)
{
	int64_t hub_ns = some_time(home), dev_ns = hub_ns + home->stray_ns;
	struct store_clock_ping stamps = { "stray", "1", dev_ns, hub_ns + 10 * NS_PER_MS,
		hub_ns + 10 * NS_PER_MS, dev_ns + 20 * NS_PER_MS + 1 };
	struct observation obs;
	struct arena arena;

	arena_init(&arena, 1 << 16);
	PASS(store_clock_ping_make(
	    &stamps, hub_ns + 30 * NS_PER_MS, hub_ns + 30 * NS_PER_MS, &arena, &obs));
	(void)append_one(home->f.store, &obs);
	arena_fini(&arena);
}

static void forget(struct home *home)
{
	int64_t from_ns = some_time(home);
	struct store_forget what = { .from_ns = from_ns,
		.to_ns = from_ns + (int64_t)(1 + below(home, 20)) * NS_PER_HOUR,
		.layers = LAYER_MASK(LAYER_HOME) };
	struct store_forgotten forgotten;

	PASS(store_forget(home->f.store, &what, &forgotten, &pass_why));
}

/* ---- both ways -------------------------------------------------------------------------- */

struct lines {
	struct buf text;
	struct window *window;
	const struct policy *policy;
	unsigned facets;
};

static bool put_slice(void *ctx, const struct slice *slice)
{
	struct lines *lines = ctx;
	enum rc rc = slice_json_cells(slice, lines->facets, &lines->text);

	buf_putc(&lines->text, '\n');
	return rc == RC_OK;
}

static bool push(void *ctx, const struct observation *obs)
{
	struct lines *lines = ctx;
	struct item_rest rest;
	struct item item;

	item_of_observation(obs, lines->policy, &item, &rest);
	PASS(window_settle(lines->window, item_key_ns(&item), &pass_why));
	PASS(window_push(lines->window, &item, 1, &pass_why));
	return true;
}

/* The window over everything there ever was. */
static void build_naively(struct home *home, const struct slice_query *query, struct lines *out)
{
	struct window_grid grid = { .from_ns = query->from_ns,
		.to_ns = query->to_ns,
		.step_ns = query->step_ns,
		.now_ns = clock_utc_ns(),
		.facets = query->facets,
		.keep_empty = query->keep_empty };
	struct store_range range = { .from_ns = OBS_TIME_MIN_NS,
		.to_ns = window_reach_of(&home->policy, &grid).to_ns,
		.as_of_seq = query->as_of_seq };

	PASS(window_open(&home->policy, &grid, put_slice, out, &out->window));
	PASS(store_scan_time(home->f.store, &range, NULL, 0, push, out, &pass_why));
	PASS(window_finish(out->window, &pass_why));
	window_close(out->window);
}

static void compare(struct home *home)
{
	static const int64_t steps[] = { NS_PER_MIN, NS_PER_HOUR, NS_PER_DAY };
	struct slice_query query = { .step_ns = steps[below(home, 3)],
		.facets = below(home, 2) == 0 ? FACET_MASK_ALL : FACET_MASK(FACET_HOME),
		.keep_empty = true,
		.policy = &home->policy };
	struct lines lines[2] = { { .policy = &home->policy }, { .policy = &home->policy } };

	query.from_ns = some_time(home) + (int64_t)below(home, 2) * NS_PER_DAY;
	query.from_ns -= query.from_ns % query.step_ns;
	query.to_ns = query.from_ns + (int64_t)(1 + below(home, 5)) * query.step_ns;
	if (below(home, 3) == 0)
		query.as_of_seq = 1 + below(home, store_cursor(home->f.store));
	for (int i = 0; i < 2; i++) {
		buf_init(&lines[i].text, LINES_BYTES_MAX);
		lines[i].facets = query.facets;
	}
	PASS(slice_build(home->f.store, &query, put_slice, &lines[0], &pass_why));
	build_naively(home, &query, &lines[1]);
	const char *a = buf_text(&lines[0].text), *b = buf_text(&lines[1].text);
	size_t at = 0;
	while (a[at] != '\0' && a[at] == b[at])
		at++;
	if (a[at] != b[at])
		fail_msg("as of %llu, folded …%.400s\nall of it …%.400s",
		    (unsigned long long)query.as_of_seq, a + (at < 200 ? 0 : at - 200),
		    b + (at < 200 ? 0 : at - 200));
	for (int i = 0; i < 2; i++)
		buf_fini(&lines[i].text);
}

static void step(struct home *home)
{
	switch (below(home, 8)) {
	case 0:
		ping(home);
		break;
	case 1:
		forget(home);
		break;
	case 2:
	case 3:
		PASS(home_build(home->f.store, some_time(home), &home->policy, NULL, &pass_why));
		break;
	default:
		append_changes(home, 1 + below(home, 16));
		break;
	}
}

static void count_fault(void *ctx, const char *text)
{
	assert_non_null(strstr(text, "digest: level "));
	++*(uint64_t *)ctx;
}

static uint64_t verify(struct fixture *f)
{
	uint64_t reported = 0, faults = 0;

	PASS(home_verify(f->store, policy_default(), count_fault, &reported, &faults, &pass_why));
	assert_int_equal(reported, faults);
	return faults;
}

static void test_digests_tell_what_all_records_tell(void **state)
{
	uint64_t seed = 20261127;

	(void)state;
	for (long round = 0; round < rounds_wanted(); round++) {
		struct home home = { .f = { .in_memory = true }, .seed = random_next(&seed) };
		home.stray_ns = -5 * NS_PER_HOUR - 17;
		home.policy = *policy_default();
		fixture_init(&home.f);
		append_changes(&home, 64);
		PASS(home_build(
		    home.f.store, BASE_NS + DAYS * NS_PER_DAY, &home.policy, NULL, &pass_why));
		for (int i = 0; i < STEPS; i++) {
			step(&home);
			for (int k = 0; k < 6; k++)
				compare(&home);
		}
		assert_int_equal(verify(&home.f), 0);
		fixture_fini(&home.f);
	}
}

/* ---- digests ------------------------------------------------------------------------------ */

static int count_rows(struct store *store)
{
	struct buf row;
	int rows = 0;

	buf_init(&row, STORE_DIGEST_BYTES_MAX);
	for (unsigned level = 0; level < STORE_DIGEST_LEVELS; level++) {
		int64_t span_ns = store_digest_span_ns(level), at_ns = BASE_NS - NS_PER_DAY;
		for (at_ns -= at_ns % span_ns; at_ns < BASE_NS + DAYS * NS_PER_DAY;
		     at_ns += span_ns) {
			buf_reset(&row);
			rows +=
			    store_digest_get(store, LAYER_HOME, level, at_ns, &row, NULL) == RC_OK;
		}
	}
	buf_fini(&row);
	return rows;
}

static void put_light(struct fixture *f, int64_t at_ns, const char *id, const char *state)
{
	struct observation obs = make_obs(id, at_ns, "");
	char data[64];

	(void)snprintf(data, sizeof data, "{\"entity_id\":\"light\",\"state\":\"%s\"}", state);
	obs.layer = LAYER_HOME;
	obs.kind = "light";
	obs.data_json = data;
	(void)append_one(f->store, &obs);
}

static void test_a_late_change_takes_one_digest_of_each_size_away_and_no_more(void **state)
{
	struct fixture f = { .in_memory = true };
	int64_t until_ns = BASE_NS + 16 * NS_PER_DAY;

	(void)state;
	fixture_init(&f);
	for (int i = 0; i < 16 * 4; i++)
		put_light(&f, BASE_NS + i * (NS_PER_DAY / 4), "", i % 2 == 0 ? "on" : "off");
	PASS(home_build(f.store, until_ns, policy_default(), NULL, &pass_why));
	int rows = count_rows(f.store);
	uint64_t touches = store_digest_touches(f.store);
	assert_true(rows > 64);
	put_light(&f, until_ns + NS_PER_HOUR, "", "on"); /* what is new touches none */
	assert_int_equal(count_rows(f.store), rows);
	assert_int_equal(store_digest_touches(f.store), touches);
	put_light(&f, BASE_NS + NS_PER_DAY / 2 + 5, "", "on");
	assert_in_range(rows - count_rows(f.store), 3, STORE_DIGEST_LEVELS);
	PASS(home_build(f.store, until_ns, policy_default(), NULL, &pass_why));
	assert_int_equal(count_rows(f.store), rows);
	PASS(store_digest_drop(f.store, &pass_why));
	assert_int_equal(count_rows(f.store), 0);
	fixture_fini(&f);
}

static bool count_visit(void *ctx, const struct observation *obs)
{
	(void)obs;
	++*(int *)ctx;
	return true;
}

static void test_a_moment_needs_one_record_a_thing_however_long_the_past(void **state)
{
	struct fixture f = { .in_memory = true };
	int visited = 0;

	(void)state;
	fixture_init(&f);
	for (int i = 0; i < 300; i++)
		put_light(&f, BASE_NS + i * NS_PER_HOUR, "", i % 2 == 0 ? "on" : "off");
	PASS(home_build(f.store, BASE_NS + 10 * NS_PER_DAY, policy_default(), NULL, &pass_why));
	PASS(home_visit(f.store, BASE_NS + 12 * NS_PER_DAY, store_cursor(f.store), policy_default(),
	    count_visit, &visited, &pass_why));
	assert_in_range(visited, 1, 2);
	fixture_fini(&f);
}

/* The leaf of one change, in which another record stands. */
static void test_verify_names_a_digest_that_differs_from_its_records(void **state)
{
	struct fixture f = { .in_memory = true };
	struct store_digest_row row = { .start_ns = BASE_NS + 6 * NS_PER_HOUR };
	struct home_fold fold;
	struct buf bytes;
	uint64_t touches;
	bool stale;

	(void)state;
	fixture_init(&f);
	for (int i = 0; i < 16 * 4; i++)
		put_light(&f, BASE_NS + i * (NS_PER_DAY / 4), "", i % 2 == 0 ? "on" : "off");
	PASS(home_build(f.store, BASE_NS + 16 * NS_PER_DAY, policy_default(), NULL, &pass_why));
	assert_int_equal(verify(&f), 0);
	home_fold_init(&fold);
	buf_init(&bytes, STORE_DIGEST_BYTES_MAX);
	PASS(store_digest_get(f.store, LAYER_HOME, 0, row.start_ns, &bytes, &pass_why));
	PASS(home_fold_decode(bytes.bytes, bytes.len, row.start_ns, STORE_DIGEST_LEAF_NS, &fold));
	assert_int_equal(fold.len, 1);
	PASS(store_digest_begin(f.store, LAYER_HOME, BASE_NS, &touches, &pass_why));
	for (int wrong = 0; wrong < 3; wrong++) {
		if (wrong == 0)
			fold.refs[0].seq += 5;
		else if (wrong == 1)
			fold.last_seq--; /* it would count for a cursor before the record */
		else
			fold.dense = true; /* no harm: the records are read */
		buf_reset(&bytes);
		PASS(home_fold_encode(&fold, row.start_ns, &bytes));
		row.bytes = bytes.bytes;
		row.len = bytes.len;
		PASS(store_digest_put(f.store, LAYER_HOME, &row, 1, touches, &stale, &pass_why));
		assert_false(stale);
		if (wrong < 2)
			assert_true(verify(&f) > 0);
		fold.refs[0].seq -= wrong == 0 ? 5 : 0;
	}
	buf_fini(&bytes);
	home_fold_fini(&fold);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_digests_tell_what_all_records_tell),
		cmocka_unit_test(test_a_late_change_takes_one_digest_of_each_size_away_and_no_more),
		cmocka_unit_test(test_a_moment_needs_one_record_a_thing_however_long_the_past),
		cmocka_unit_test(test_verify_names_a_digest_that_differs_from_its_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
