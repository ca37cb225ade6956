/*
 * Lifecycle: how far the timeline is closed follows from watermarks, idleness
 * and rounds alone, however the log is cut.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "align/lifecycle.h"
#include "base/clock.h"
#include "base/random.h"

#define T0_NS (INT64_C(1763577000) * NS_PER_S)
#define MIN NS_PER_MIN

static struct policy policy;
static struct lifecycle life;

static int setup(void **state)
{
	(void)state;
	policy = *policy_default();
	lifecycle_init(&life);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	lifecycle_fini(&life);
	return 0;
}

static void feed(const char *source, int64_t end_ns, int64_t recv_ns)
{
	assert_int_equal(lifecycle_feed(&life, &policy, source, end_ns, recv_ns), RC_OK);
}

static int64_t closed_at(int64_t now_ns)
{
	return lifecycle_closed_at(&life, &policy, now_ns);
}

static void test_the_slowest_source_that_is_not_idle_holds_sealing_back(void **state)
{
	(void)state;
	for (int i = 0; i <= 60; i++) {
		feed("fast", T0_NS + i * MIN, T0_NS + i * MIN);
		feed("slow", T0_NS + i * MIN / 2, T0_NS + i * MIN); /* ever further behind */
	}
	int64_t now_ns = T0_NS + 60 * MIN;
	assert_true(closed_at(now_ns) <= T0_NS + 30 * MIN - policy.late_ns);
	assert_true(closed_at(now_ns) >= T0_NS + 29 * MIN - policy.late_ns);
}

static void test_an_idle_source_never_holds_sealing_back(void **state)
{
	(void)state;
	feed("asleep", T0_NS, T0_NS);
	for (int i = 0; i <= 60; i++)
		feed("awake", T0_NS + i * MIN, T0_NS + i * MIN);
	int64_t at_ns = T0_NS + 60 * MIN;
	assert_true(closed_at(at_ns) >= at_ns - policy.late_ns - 2 * MIN);
	/* With nothing more from anyone, time itself goes on. */
	assert_true(closed_at(at_ns + 5 * NS_PER_HOUR) >=
		    at_ns + 5 * NS_PER_HOUR - policy.late_ns - policy.settle_ns * 2);
}

static void test_what_one_upload_brings_source_after_source_is_in_before_sealing(void **state)
{
	(void)state;
	int64_t recv_ns = T0_NS + NS_PER_DAY; /* a day's file, read in within seconds */
	for (int i = 0; i < 1000; i++)
		feed("a", T0_NS + i * MIN, recv_ns + i * NS_PER_MS);
	for (int i = 0; i < 1000; i++) {
		int64_t now_ns = recv_ns + 9 * NS_PER_S + i * NS_PER_MS; /* over a border */
		assert_true(closed_at(now_ns) <= T0_NS);
		feed("b", T0_NS + i * MIN, now_ns);
	}
	assert_true(closed_at(recv_ns + MIN) > T0_NS + 900 * MIN);
}

static void test_a_source_of_the_future_closes_nothing_that_is_not_over(void **state)
{
	(void)state;
	feed("broken", T0_NS + 100 * NS_PER_DAY, T0_NS);
	feed("broken", T0_NS + 100 * NS_PER_DAY, T0_NS + MIN);
	assert_true(closed_at(T0_NS + 2 * MIN) <= T0_NS + 2 * MIN - policy.late_ns);
}

static void test_time_never_runs_backwards_and_nothing_is_unsealed(void **state)
{
	(void)state;
	feed("a", T0_NS, T0_NS);
	feed("a", T0_NS + 60 * MIN, T0_NS + 60 * MIN);
	feed("a", T0_NS + 61 * MIN, T0_NS + 61 * MIN);
	int64_t before_ns = closed_at(T0_NS + 61 * MIN);
	feed("late", T0_NS, T0_NS + 61 * MIN);        /* its clock, or an old recording */
	feed("a", T0_NS + 62 * MIN, T0_NS - 5 * MIN); /* the hub's clock was set back */
	assert_true(life.now_ns == T0_NS + 61 * MIN);
	assert_true(closed_at(T0_NS + 70 * MIN) >= before_ns);
}

/* Random sources, sealing looked at in between or not: the same. */
static void test_looking_in_between_and_storing_change_nothing(void **state)
{
	uint64_t seed = 7;
	struct lifecycle stored;
	struct buf bytes, other;

	(void)state;
	lifecycle_init(&stored);
	for (int round = 0; round < 50; round++) {
		int64_t recv_ns = T0_NS;
		lifecycle_fini(&life);
		lifecycle_fini(&stored);
		for (int i = 0; i < 200; i++) {
			char name[8];
			static const int64_t steps[] = { 0, NS_PER_S, 15 * NS_PER_S, 20 * MIN };
			(void)snprintf(name, sizeof name, "s%d", (int)(random_next(&seed) % 5));
			recv_ns += steps[random_next(&seed) % 4];
			int64_t end_ns = recv_ns - (int64_t)(random_next(&seed) % 40) * MIN;
			feed(name, end_ns, recv_ns);
			buf_init(&bytes, 4096);
			lifecycle_encode(&stored, &bytes);
			struct lifecycle again;
			lifecycle_init(&again);
			assert_int_equal(lifecycle_decode(bytes.bytes, bytes.len, &again), RC_OK);
			buf_fini(&bytes);
			lifecycle_fini(&stored);
			stored = again;
			(void)lifecycle_closed_at(&stored, &policy, recv_ns - 1);
			assert_int_equal(
			    lifecycle_feed(&stored, &policy, name, end_ns, recv_ns), RC_OK);
		}
		buf_init(&bytes, 4096);
		buf_init(&other, 4096);
		lifecycle_encode(&life, &bytes);
		lifecycle_encode(&stored, &other);
		assert_int_equal(bytes.len, other.len);
		assert_memory_equal(bytes.bytes, other.bytes, bytes.len);
		buf_fini(&bytes);
		buf_fini(&other);
	}
	lifecycle_fini(&stored);
}

static void test_bytes_that_cannot_be_a_lifecycle_are_refused(void **state)
{
	struct buf bytes;

	(void)state;
	feed("a", T0_NS, T0_NS);
	feed("b", T0_NS, T0_NS);
	buf_init(&bytes, 4096);
	lifecycle_encode(&life, &bytes);
	struct lifecycle back;
	lifecycle_init(&back);
	assert_int_equal(lifecycle_decode(bytes.bytes, bytes.len - 1, &back), RC_CORRUPT);
	bytes.bytes[27] = 3; /* more sources than there are bytes */
	assert_int_equal(lifecycle_decode(bytes.bytes, bytes.len, &back), RC_CORRUPT);
	bytes.bytes[27] = 2;
	memcpy(bytes.bytes + 28, bytes.bytes + 52, 8); /* the same source twice */
	assert_int_equal(lifecycle_decode(bytes.bytes, bytes.len, &back), RC_CORRUPT);
	lifecycle_fini(&back);
	buf_fini(&bytes);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_slowest_source_that_is_not_idle_holds_sealing_back),
		TEST(test_an_idle_source_never_holds_sealing_back),
		TEST(test_what_one_upload_brings_source_after_source_is_in_before_sealing),
		TEST(test_a_source_of_the_future_closes_nothing_that_is_not_over),
		TEST(test_time_never_runs_backwards_and_nothing_is_unsealed),
		TEST(test_looking_in_between_and_storing_change_nothing),
		TEST(test_bytes_that_cannot_be_a_lifecycle_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
