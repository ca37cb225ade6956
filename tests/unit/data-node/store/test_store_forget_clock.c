/*
 * Store: forgetting what names a clock.  A range means the hub's time, where the
 * newest map places an event; one that may lie in it is taken for in it.
 */
#include "store_fixture.h"

#include "store/store_clock.h"
#include "store/store_forget.h"
#include "store/store_internal.h"
#include "store_canary.h"

#define CANARY "canary-7f3a in the coal mine"
#define LATE_NS (40 * NS_PER_DAY) /* the device is so far behind */
#define DAY0_NS (T0_NS - T0_NS % NS_PER_DAY)

/* Event `i` of a pair of glasses: recorded `i` hours into the day, received `after_ns` later. */
static uint64_t put_heard(struct fixture *f, int i, int64_t after_ns, const char *text)
{
	int64_t at_ns = DAY0_NS + i * NS_PER_HOUR;
	struct observation obs = make_obs("", at_ns - LATE_NS, text);

	obs.source = "glasses";
	obs.clock_id = "glasses";
	obs.boot_epoch = "7";
	obs.has_source_seq = true;
	obs.source_seq = (uint64_t)i;
	obs.recv_utc_ns = obs.recv_mono_ns = at_ns + after_ns;
	return append_one(f->store, &obs).seq;
}

static void put_ping(struct fixture *f, int64_t hub_ns)
{
	struct store_clock_ping ping = { "glasses", "7", hub_ns - LATE_NS, hub_ns + 5000000,
		hub_ns + 5100000, hub_ns - LATE_NS + 10000001 };
	struct observation obs;
	struct arena arena;

	arena_init(&arena, 1 << 20);
	PASS(store_clock_ping_make(
	    &ping, hub_ns + 20 * NS_PER_MS, hub_ns + 20 * NS_PER_MS, &arena, &obs));
	(void)append_one(f->store, &obs);
	arena_fini(&arena);
}

/* Dry and then for good: as many, and the store is whole. */
static uint64_t forget(struct fixture *f, int64_t from_ns, int64_t to_ns)
{
	struct store_forget what = { .from_ns = from_ns, .to_ns = to_ns };
	struct store_forgotten done = { 0 };
	uint64_t count = 0;

	PASS(store_forget_count(f->store, &what, &count, &pass_why));
	PASS(store_forget(f->store, &what, &done, &pass_why));
	assert_int_equal(done.records, count);
	PASS(store_verify(f->store, NULL, NULL, NULL, &pass_why));
	return count;
}

static bool stands(struct fixture *f, uint64_t seq)
{
	struct observation obs;
	struct arena arena;

	arena_init(&arena, 1 << 20);
	PASS(store_get_seq(f->store, seq, &arena, &obs, &pass_why));
	bool there = !obs.tombstone;
	arena_fini(&arena);
	return there;
}

static size_t visible(struct fixture *f, uint64_t as_of_seq)
{
	struct store_range range = {
		.from_ns = OBS_TIME_MIN_NS, .to_ns = OBS_TIME_MAX_NS, .as_of_seq = as_of_seq
	};
	static struct seen seen;

	seen = (struct seen){ .len = 0 };
	PASS(store_scan_time(f->store, &range, NULL, 0, seen_visit, &seen, &pass_why));
	return seen.len;
}

static uint64_t leaked(struct fixture *f)
{
	struct keyring_unlock unlock = { 0 };
	struct store_canary canary;

	fixture_close(f);
	PASS(keyring_open(f->dir, &unlock, &f->keyring, &pass_why));
	store_canary_search(f->dir, f->keyring, CANARY, &canary);
	keyring_close(f->keyring);
	fixture_open(f);
	assert_true(canary.opened > 0);
	return canary.leaked + canary.plain;
}

static void test_a_range_means_the_hubs_time(void **state)
{
	struct fixture f = { 0 };
	uint64_t seqs[4];

	(void)state;
	fixture_init(&f);
	put_ping(&f, DAY0_NS + NS_PER_MIN);
	for (int i = 0; i < 4; i++)
		seqs[i] = put_heard(&f, i + 1, NS_PER_S, i == 1 ? CANARY : "words");
	/* By the device's own time there is nothing. */
	assert_int_equal(forget(&f, DAY0_NS - LATE_NS, DAY0_NS - LATE_NS + NS_PER_DAY), 0);
	assert_true(leaked(&f) > 0);
	assert_int_equal(forget(&f, DAY0_NS + 2 * NS_PER_HOUR - NS_PER_MIN,
			     DAY0_NS + 2 * NS_PER_HOUR + NS_PER_MIN),
	    1);
	for (int i = 0; i < 4; i++)
		assert_int_equal(stands(&f, seqs[i]), i != 1);
	assert_int_equal(leaked(&f), 0);
	fixture_fini(&f);
}

static void test_what_may_lie_in_the_range_is_forgotten(void **state)
{
	struct fixture f = { 0 };

	(void)state;
	fixture_init(&f);
	put_ping(&f, DAY0_NS + NS_PER_MIN);
	/* Started anew at some time and never set since: in limbo, between what was last
	 * known of the clock and the receipts. */
	struct observation obs = make_obs("", 12345, CANARY);
	obs.source = obs.clock_id = "glasses";
	obs.boot_epoch = "8";
	obs.has_source_seq = true;
	obs.recv_utc_ns = obs.recv_mono_ns = DAY0_NS + 5 * NS_PER_HOUR;
	uint64_t seq = append_one(f.store, &obs).seq;
	assert_int_equal(forget(&f, DAY0_NS - 3 * NS_PER_DAY, DAY0_NS - NS_PER_DAY), 0);
	assert_int_equal(forget(&f, DAY0_NS + 6 * NS_PER_HOUR, DAY0_NS + 7 * NS_PER_HOUR), 0);
	assert_true(stands(&f, seq));
	assert_int_equal(forget(&f, DAY0_NS + 3 * NS_PER_HOUR, DAY0_NS + 4 * NS_PER_HOUR), 1);
	assert_false(stands(&f, seq));
	assert_int_equal(leaked(&f), 0);
	fixture_fini(&f);
}

/* In limbo first, then placed: forgotten where it is now, at every cursor. */
static void test_what_was_moved_is_forgotten_where_it_is_now_and_counted_once(void **state)
{
	struct fixture f = { 0 };
	uint64_t seqs[8];

	(void)state;
	fixture_init(&f);
	for (int i = 0; i < 8; i++)
		seqs[i] = put_heard(&f, i, (12 - i) * NS_PER_HOUR, CANARY);
	uint64_t before = store_cursor(f.store);
	put_ping(&f, DAY0_NS + 13 * NS_PER_HOUR);
	assert_int_equal(visible(&f, before), 8);
	/* Their stretches in limbo reached to noon; no one lies there now. */
	assert_int_equal(forget(&f, DAY0_NS + 10 * NS_PER_HOUR, DAY0_NS + 12 * NS_PER_HOUR), 0);
	assert_int_equal(forget(&f, DAY0_NS + 2 * NS_PER_HOUR - NS_PER_MIN,
			     DAY0_NS + 4 * NS_PER_HOUR + NS_PER_MIN),
	    3);
	for (int i = 0; i < 8; i++)
		assert_int_equal(stands(&f, seqs[i]), i < 2 || i > 4);
	assert_int_equal(visible(&f, before), 5);
	assert_int_equal(
	    forget(&f, DAY0_NS - NS_PER_HOUR, DAY0_NS + NS_PER_DAY), 6); /* and the ping */
	assert_int_equal(visible(&f, before), 0);
	assert_int_equal(leaked(&f), 0);
	fixture_fini(&f);
}

/* A sync finds its epoch's open events; those that are gone by then stay gone. */
static void test_a_later_sync_brings_nothing_back(void **state)
{
	struct store_rebuilt rebuilt;
	struct fixture f = { 0 };
	uint64_t seqs[4];

	(void)state;
	fixture_init(&f);
	for (int i = 0; i < 4; i++)
		seqs[i] = put_heard(&f, i, (12 - i) * NS_PER_HOUR, i < 2 ? CANARY : "words");
	struct store_forget what = {
		.from_ns = OBS_TIME_MIN_NS, .to_ns = OBS_TIME_MAX_NS, .source = "glasses"
	};
	struct store_forgotten done;
	PASS(store_forget(f.store, &what, &done, &pass_why));
	assert_int_equal(done.records, 4);
	uint64_t kept = put_heard(&f, 9, NS_PER_HOUR, "said later");
	put_ping(&f, DAY0_NS + 13 * NS_PER_HOUR);
	PASS(store_verify(f.store, NULL, NULL, NULL, &pass_why));
	for (int i = 0; i < 4; i++)
		assert_false(stands(&f, seqs[i]));
	assert_true(stands(&f, kept));
	assert_int_equal(visible(&f, 0), 2);
	fixture_close(&f);
	struct keyring_unlock unlock = { 0 };
	PASS(keyring_open(f.dir, &unlock, &f.keyring, &pass_why));
	struct store_config config = { .dir = f.dir, .keyring = f.keyring };
	PASS(store_rebuild(&config, NULL, NULL, &rebuilt, &pass_why));
	keyring_close(f.keyring);
	fixture_open(&f);
	PASS(store_verify(f.store, NULL, NULL, NULL, &pass_why));
	assert_int_equal(visible(&f, 0), 2);
	assert_int_equal(leaked(&f), 0);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_range_means_the_hubs_time),
		cmocka_unit_test(test_what_may_lie_in_the_range_is_forgotten),
		cmocka_unit_test(test_what_was_moved_is_forgotten_where_it_is_now_and_counted_once),
		cmocka_unit_test(test_a_later_sync_brings_nothing_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
