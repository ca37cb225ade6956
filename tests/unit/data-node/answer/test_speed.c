/* How fast a node answers, from when its first tokens come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "answer/speed.h"
#include "base/clock.h"

static struct speeds speeds;
static uint8_t hash[WIRE_HASH_BYTES];

static int setup(void **state)
{
	(void)state;
	memset(&speeds, 0, sizeof(speeds));
	memset(hash, 7, sizeof(hash));
	return 0;
}

/* Tokens one by one, `gap_ns` apart, then the end. */
static void answer(uint32_t tokens, int64_t gap_ns)
{
	struct speed_run run = { .tokens = 0 };

	for (uint32_t i = 0; i < tokens; i++)
		speed_take(&speeds, hash, &run, 1, false, 1 + i * gap_ns);
	speed_take(&speeds, hash, &run, 0, true, NS_PER_HOUR);
}

static void assert_speed(double want)
{
	double got = speed_of(&speeds, hash);

	if (got < want * 0.999 || got > want * 1.001)
		fail_msg("%f tokens/s, not %f", got, want);
}

static void test_speed_is_that_of_the_tokens_not_of_the_end(void **state)
{
	(void)state;
	assert_true(speed_of(&speeds, hash) <= 0);
	answer(SPEED_TOKENS_MIN, 50 * NS_PER_MS); /* seven gaps: too few to tell */
	assert_true(speed_of(&speeds, hash) <= 0);
	answer(20, 50 * NS_PER_MS);
	assert_speed(20);
}

static void test_speed_does_not_hang_on_whoever_reads_slowly(void **state)
{
	(void)state;
	struct speed_run run = { .tokens = 0 };
	for (uint32_t i = 0; i <= SPEED_TOKENS_MAX; i++)
		speed_take(&speeds, hash, &run, 1, false, 1 + i * 10 * NS_PER_MS);
	speed_take(&speeds, hash, &run, 30, false, NS_PER_MIN);
	speed_take(&speeds, hash, &run, 0, true, NS_PER_MIN);
	assert_speed(100);
}

static void test_speed_counts_nothing_of_the_first_message(void **state)
{
	(void)state;
	struct speed_run run = { .tokens = 0 };
	speed_take(&speeds, hash, &run, 9, false, 1);
	for (int i = 1; i <= 8; i++)
		speed_take(&speeds, hash, &run, 1, false, 1 + i * 25 * NS_PER_MS);
	speed_take(&speeds, hash, &run, 0, true, NS_PER_MIN);
	assert_speed(40);
}

static void test_speed_moves_with_later_answers_and_is_of_one_model(void **state)
{
	(void)state;
	answer(40, 10 * NS_PER_MS);
	assert_speed(100);
	answer(40, 100 * NS_PER_MS);
	assert_speed(73);
	for (int i = 0; i < 30; i++)
		answer(40, 100 * NS_PER_MS);
	assert_speed(10);
	hash[0] = 8;
	assert_true(speed_of(&speeds, hash) <= 0);
	answer(40, NS_PER_MS);
	assert_speed(1000);
	hash[0] = 7;
	assert_speed(10);
}

static void test_speed_of_more_models_than_there_are_places(void **state)
{
	(void)state;
	for (size_t i = 0; i <= WIRE_MODELS_MAX; i++) {
		hash[1] = (uint8_t)i;
		answer(40, 10 * NS_PER_MS);
		assert_speed(100);
	}
	hash[1] = 0;
	assert_true(speed_of(&speeds, hash) <= 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_speed_is_that_of_the_tokens_not_of_the_end, setup),
		cmocka_unit_test_setup(test_speed_does_not_hang_on_whoever_reads_slowly, setup),
		cmocka_unit_test_setup(test_speed_counts_nothing_of_the_first_message, setup),
		cmocka_unit_test_setup(
		    test_speed_moves_with_later_answers_and_is_of_one_model, setup),
		cmocka_unit_test_setup(test_speed_of_more_models_than_there_are_places, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
