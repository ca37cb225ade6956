/* The guard: floors, what lies between them, and stalls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "serve/guard.h"

#define MIB (UINT64_C(1) << 20)
#define TICK_NS (100 * NS_PER_MS)

static struct guard guard;
static int64_t now_ns;

static int setup(void **state)
{
	(void)state;
	guard_init(&guard, &(struct guard_config){ .soft_bytes = 1000 * MIB });
	now_ns = NS_PER_S;
	return 0;
}

static enum guard_level look(uint64_t available_mib, uint64_t stalled_ms)
{
	const struct memory_figures figures = { .total_bytes = 16000 * MIB,
		.available_bytes = available_mib * MIB,
		.stalled_us = stalled_ms * 1000,
		.has_stall = true };

	now_ns += TICK_NS;
	return guard_step(&guard, &figures, now_ns);
}

static void test_soft_lasts_until_a_quarter_more_is_back(void **state)
{
	(void)state;
	assert_int_equal(look(1000, 0), GUARD_OK);
	assert_int_equal(look(999, 0), GUARD_SOFT);
	assert_int_equal(look(1249, 0), GUARD_SOFT);
	assert_int_equal(look(1250, 0), GUARD_OK);
	assert_int_equal(look(1000, 0), GUARD_OK);
}

static void test_hard_is_half_of_soft_unless_it_is_named(void **state)
{
	(void)state;
	assert_int_equal(look(500, 0), GUARD_SOFT);
	assert_int_equal(look(499, 0), GUARD_HARD);
	guard_init(
	    &guard, &(struct guard_config){ .soft_bytes = 1000 * MIB, .hard_bytes = 100 * MIB });
	assert_int_equal(look(100, 0), GUARD_SOFT);
	assert_int_equal(look(99, 0), GUARD_HARD);
}

static void test_floors_follow_the_size_of_the_host(void **state)
{
	struct memory_figures figures = { .total_bytes = 1600 * MIB };

	(void)state;
	guard_init(&guard, &(struct guard_config){ 0 });
	assert_int_equal(guard_soft_bytes(&guard, &figures), 100 * MIB);
	figures.total_bytes = 512 * 1024 * MIB;
	assert_int_equal(guard_soft_bytes(&guard, &figures), 1024 * MIB);
}

static void test_a_second_of_stalls_counts_below_the_soft_floor_alone(void **state)
{
	uint64_t stalled_ms = 0;

	(void)state;
	for (int i = 0; i < 30; i++)
		assert_int_equal(look(2000, stalled_ms += 100), GUARD_OK);
	for (int i = 0; i < 30; i++)
		assert_int_equal(look(2000, stalled_ms += 40), GUARD_OK);
	for (int i = 0; i < 30; i++)
		assert_int_equal(look(900, stalled_ms += 40), GUARD_SOFT);
	for (int i = 0; i < 12; i++)
		(void)look(900, stalled_ms += 60);
	assert_int_equal(guard.level, GUARD_HARD);
}

static void test_less_than_a_second_of_stalls_proves_nothing(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 9; i++)
		assert_int_equal(look(900, i * 100), GUARD_SOFT);
}

static void test_a_kernel_without_figures_of_stalls_still_has_floors(void **state)
{
	struct memory_figures figures = {
		.total_bytes = 16000 * MIB, .available_bytes = 900 * MIB, .stalled_us = 0
	};

	(void)state;
	for (int i = 0; i < 30; i++) {
		figures.stalled_us += 100000;
		now_ns += TICK_NS;
		assert_int_equal(guard_step(&guard, &figures, now_ns), GUARD_SOFT);
	}
	figures.available_bytes = 0;
	assert_int_equal(guard_step(&guard, &figures, now_ns), GUARD_HARD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_soft_lasts_until_a_quarter_more_is_back, setup),
		cmocka_unit_test_setup(test_hard_is_half_of_soft_unless_it_is_named, setup),
		cmocka_unit_test_setup(test_floors_follow_the_size_of_the_host, setup),
		cmocka_unit_test_setup(
		    test_a_second_of_stalls_counts_below_the_soft_floor_alone, setup),
		cmocka_unit_test_setup(test_less_than_a_second_of_stalls_proves_nothing, setup),
		cmocka_unit_test_setup(
		    test_a_kernel_without_figures_of_stalls_still_has_floors, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
