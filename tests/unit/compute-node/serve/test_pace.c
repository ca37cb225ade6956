/* Pacing of prompts, on a machine whose rounds cost what was measured of one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "base/random.h"
#include "serve/pace.h"

#define UBATCH 256u
#define ROUNDS_MAX 8192
#define NOISE 0.04 /* of a round, to either side */
#define GAP 4.0    /* p99, in medians */
#define SHARE 0.66 /* of the free rate: less than 0.7 where prompts are deep */

static uint64_t state;
static double gaps[ROUNDS_MAX];
static size_t gaps_len;

/*
 * Milliseconds of a round: two cores with AVX2, 0.6 G weights of 4.5 bits.  Rows go by
 * fours; a prompt's attention grows with its depth.
 */
static double cost_ms(uint32_t answers, uint32_t prompts, uint32_t depth)
{
	static const double left_over[] = { 0, 10, 13, 18 };
	uint32_t rows = answers + prompts;
	double ms = rows <= 4 ? 16 + 4.5 * rows : 21 + 18 * (rows / 4) + left_over[rows % 4];

	ms += rows > 16 ? 5 * (rows / 4 - 4) : 0; /* they leave the nearest cache */
	return ms + 0.0023 * depth * prompts + 1.5 * answers;
}

static double noisy(double ms)
{
	double unit = (double)(random_next(&state) >> 11) * 0x1p-53;

	return ms * (1 - NOISE + 2 * NOISE * unit);
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double round_of(struct pace *pace, uint32_t answers, uint32_t prompts, uint32_t depth)
{
	double ms = noisy(cost_ms(answers, prompts, depth));

	pace_learn(pace, answers, prompts, (int64_t)(ms * 1e6));
	if (answers > 0 && prompts > 0 && gaps_len < ROUNDS_MAX)
		gaps[gaps_len++] = ms;
	return ms;
}

/* Time that a prompt takes beside so many answers. */
static double prompt_ms(struct pace *pace, uint32_t answers, uint32_t len)
{
	double ms = 0;

	for (uint32_t at = 0, n; at < len; at += n) {
		n = pace_rows(pace, answers, UBATCH - answers);
		assert_in_range(n, 1, UBATCH - answers);
		n = n < len - at ? n : len - at;
		ms += round_of(pace, answers, n, at);
	}
	return ms;
}

/* The gaps' p99 in medians of answers alone, and the prompt's share of its free rate. */
static void run(uint32_t answers, uint32_t len, double *gap, double *share)
{
	struct pace pace = { .prompt_ns = 0 };
	double alone[101], free_ms, beside_ms;

	state = 7;
	gaps_len = 0;
	free_ms = prompt_ms(&pace, 0, len);
	(void)prompt_ms(&pace, 0, 9); /* the answers' own prompts */
	for (size_t i = 0; i < 101; i++)
		alone[i] = round_of(&pace, answers, 0, 0);
	qsort(alone, 101, sizeof(alone[0]), ascending);
	beside_ms = prompt_ms(&pace, answers, len);
	qsort(gaps, gaps_len, sizeof(gaps[0]), ascending);
	*gap = gaps[gaps_len * 99 / 100] / alone[50];
	*share = free_ms / beside_ms;
}

static void test_gaps_stay_short_and_prompts_keep_their_share(void **unused)
{
	static const uint32_t lens[] = { 512, 1024, 4096 };

	(void)unused;
	for (size_t i = 0; i < 3; i++) {
		double gap, share;

		run(1, lens[i], &gap, &share);
		assert_true(gap <= GAP && share >= SHARE);
	}
}

static void test_many_answers_leave_prompts_their_share_too(void **unused)
{
	double gap, share;

	(void)unused;
	for (uint32_t answers = 2; answers <= 16; answers++) {
		run(answers, 2048, &gap, &share);
		assert_true(gap <= GAP && share >= SHARE);
	}
}

static void test_answers_that_come_and_go_are_known_by_their_number(void **unused)
{
	struct pace pace = { .prompt_ns = 0 };

	(void)unused;
	state = 3;
	for (uint32_t i = 0; i < 60; i++)
		(void)round_of(&pace, 1 + i % 4 * 4, 0, 0);
	(void)prompt_ms(&pace, 4, 400);
	/* eight answers: never seen alone with prompts, between what was seen */
	uint32_t n = pace_rows(&pace, 8, UBATCH - 8);
	double stretch = cost_ms(8, n, 400) / cost_ms(8, 0, 0);

	assert_true(stretch > 2.5 && stretch < 4.5);
}

static void test_what_is_not_known_gets_few_rows_and_nobody_beside_gets_all(void **unused)
{
	struct pace pace = { .prompt_ns = 0 };

	(void)unused;
	assert_int_equal(pace_rows(&pace, 0, 256), 256);
	assert_in_range(pace_rows(&pace, 3, 253), 1, 16);
	assert_int_equal(pace_rows(&pace, 3, 2), 2);
	pace_learn(&pace, 0, 256, 1000000000);
	assert_in_range(pace_rows(&pace, 3, 253), 1, 16);
	pace_learn(&pace, 3, 0, 1);
	assert_in_range(pace_rows(&pace, 3, 253), 1, 1); /* dear, but they go on */
	assert_int_equal(pace_rows(&pace, 3, 0), 0);
	for (int i = 0; i < 50; i++)
		pace_learn(&pace, 3, 0, 1000000000000);
	assert_int_equal(pace_rows(&pace, 3, 253), 253);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gaps_stay_short_and_prompts_keep_their_share),
		cmocka_unit_test(test_many_answers_leave_prompts_their_share_too),
		cmocka_unit_test(test_answers_that_come_and_go_are_known_by_their_number),
		cmocka_unit_test(test_what_is_not_known_gets_few_rows_and_nobody_beside_gets_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
