/* How long a link waits before it dials again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "wire/client_state.h"

#define MAX_NS (5 * NS_PER_S)
#define FIRST_NS (100 * NS_PER_MS)

/* A dial that lasted so long, from some time on. */
static int64_t after(int64_t last_ns, bool up, int64_t lasted_ns)
{
	const struct dial dial = { .up = up, .start_ns = 77 * NS_PER_S };

	return client_backoff(last_ns, &dial, dial.start_ns + lasted_ns, MAX_NS);
}

static void test_waits_double_up_to_the_longest(void **state)
{
	(void)state;
	int64_t wait_ns = 0;
	for (int64_t want_ns = FIRST_NS; want_ns < MAX_NS; want_ns *= 2) {
		wait_ns = after(wait_ns, false, NS_PER_MS);
		assert_int_equal(wait_ns, want_ns);
	}
	for (int i = 0; i < 3; i++) {
		wait_ns = after(wait_ns, false, NS_PER_MS);
		assert_int_equal(wait_ns, MAX_NS);
	}
}

static void test_a_session_that_held_starts_the_wait_over(void **state)
{
	(void)state;
	assert_int_equal(after(MAX_NS, true, NS_PER_S), FIRST_NS);
	assert_int_equal(after(MAX_NS, true, NS_PER_HOUR), FIRST_NS);
	assert_int_equal(after(FIRST_NS, true, NS_PER_S), FIRST_NS);
}

static void test_one_that_ended_at_once_does_not(void **state)
{
	(void)state;
	/* A node that comes up and dies is not dialled ten times a second. */
	assert_int_equal(after(FIRST_NS, true, NS_PER_S - 1), 2 * FIRST_NS);
	assert_int_equal(after(MAX_NS, true, 10 * NS_PER_MS), MAX_NS);
	/* Nor one that took long to fail, but never was up. */
	assert_int_equal(after(FIRST_NS, false, 4 * NS_PER_S), 2 * FIRST_NS);
}

static void test_a_longest_wait_below_the_first_one_holds(void **state)
{
	(void)state;
	const struct dial dial = { .up = false };
	assert_int_equal(client_backoff(0, &dial, 1, NS_PER_MS), NS_PER_MS);
	assert_int_equal(client_backoff(NS_PER_MS, &dial, 1, NS_PER_MS), NS_PER_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waits_double_up_to_the_longest),
		cmocka_unit_test(test_a_session_that_held_starts_the_wait_over),
		cmocka_unit_test(test_one_that_ended_at_once_does_not),
		cmocka_unit_test(test_a_longest_wait_below_the_first_one_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
