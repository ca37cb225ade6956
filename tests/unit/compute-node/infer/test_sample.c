/* Sampling: each filter against the plain twin, which sorts everything. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "infer/sample.h"
#include "plain_sample.h"

#define N_MAX 700      /* some blocks, the last not full */
#define N_LARGE 151936 /* a vocabulary of today */

static void *scratch;        /* [sample_scratch_bytes(N_LARGE)] */
static float *large, *spare; /* [N_LARGE] */

static int32_t sample_row(const struct sample_params *p, const struct sample_row *row)
{
	struct sample_row copy = *row;

	memcpy(spare, row->logits, row->n_vocab * sizeof(spare[0]));
	copy.logits = spare;
	return sample_token(p, &copy, scratch);
}

static int32_t sample(const struct sample_params *p, float *logits, size_t n, uint64_t index)
{
	const struct sample_row row = { .logits = logits, .n_vocab = n, .index = index };

	return sample_row(p, &row);
}

static void random_logits(uint64_t *state, float *logits, size_t n, bool ties)
{
	for (size_t i = 0; i < n; i++) {
		logits[i] = (float)(random_next(state) % 2000) * 0.005f - 5.0f;
		if (ties)
			logits[i] = floorf(logits[i]);
		if (random_next(state) % 50 == 0)
			logits[i] = NAN;
		else if (random_next(state) % 50 == 0)
			logits[i] = -INFINITY;
	}
	logits[random_next(state) % n] = 1.25f;
}

/* Ids that may not be chosen, half of all or all but a few. */
static void random_mask(uint64_t *state, uint64_t *allowed, size_t n)
{
	bool few = random_next(state) % 2 == 0;

	for (size_t i = 0; i < SAMPLE_ALLOWED_WORDS(n); i++)
		allowed[i] = few ? 0 : random_next(state);
	for (size_t i = 0; i < 5; i++) {
		size_t id = random_next(state) % n;

		allowed[id / 64] |= (uint64_t)1 << (id % 64);
	}
}

static void check(const struct sample_params *base, int rounds)
{
	uint64_t state = 99, allowed[SAMPLE_ALLOWED_WORDS(N_MAX)];
	int32_t history[40];

	for (int i = 0; i < rounds; i++) {
		struct sample_params p = *base;
		float logits[N_MAX];
		size_t n = 1 + random_next(&state) % N_MAX;
		struct sample_row row = { .logits = logits,
			.n_vocab = n,
			.history = history,
			.history_len = random_next(&state) % 40,
			.index = random_next(&state) % 1000 };

		p.seed = random_next(&state);
		if (p.top_k == 1000)
			p.top_k = (uint32_t)(1 + random_next(&state) % (i % 2 == 0 ? 40 : N_MAX));
		random_logits(&state, logits, n, i % 3 == 0);
		for (size_t k = 0; k < 40; k++)
			history[k] = (int32_t)(random_next(&state) % (n + 2)) - 1;
		if (i % 4 == 0) {
			random_mask(&state, allowed, n);
			row.allowed = allowed;
		}
		if (i % 5 == 0) {
			row.banned = history;
			row.banned_len = 3;
		}
		assert_int_equal(sample_row(&p, &row), plain_sample(&p, &row));
	}
}

static void test_plain_temperature_draws_like_the_twin(void **unused)
{
	(void)unused;
	check(&(struct sample_params){ .temperature = 0.7f }, 700);
	check(&(struct sample_params){ .temperature = 3.0f }, 700);
}

static void test_top_k_draws_like_the_twin(void **unused)
{
	(void)unused;
	check(&(struct sample_params){ .temperature = 1, .top_k = 1000 }, 1200);
}

static void test_top_p_draws_like_the_twin(void **unused)
{
	(void)unused;
	check(&(struct sample_params){ .temperature = 1, .top_p = 0.5f }, 700);
	check(&(struct sample_params){ .temperature = 2, .top_p = 0.95f }, 700);
}

static void test_min_p_draws_like_the_twin(void **unused)
{
	(void)unused;
	check(&(struct sample_params){ .temperature = 1, .min_p = 0.05f }, 700);
	check(&(struct sample_params){ .temperature = 1, .min_p = 0.6f }, 700);
}

static void test_all_filters_together_draw_like_the_twin(void **unused)
{
	(void)unused;
	check(
	    &(struct sample_params){
		.temperature = 0.9f, .top_k = 1000, .top_p = 0.9f, .min_p = 0.02f },
	    1500);
}

static void test_temperature_zero_takes_the_greatest_and_of_ties_the_smallest_id(void **unused)
{
	const struct sample_params p = { .temperature = 0, .seed = 5 };
	float ties[] = { 1, 3, 2, 3, NAN }, nan_first[] = { NAN, NAN, -4, -5 };
	float nothing[] = { NAN, -INFINITY, NAN };

	(void)unused;
	assert_int_equal(sample(&p, ties, 5, 0), 1);
	assert_int_equal(sample(&p, nan_first, 4, 0), 2);
	assert_int_equal(sample(&p, nothing, 3, 0), 0);
}

static void test_top_k_one_is_greedy_with_ties_to_the_smallest_id(void **unused)
{
	const struct sample_params p = { .temperature = 5, .top_k = 1, .seed = 1 };
	float ties[] = { 1, 3, 2, 3 };

	(void)unused;
	for (uint64_t i = 0; i < 100; i++)
		assert_int_equal(sample(&p, ties, 4, i), 1);
}

static void test_banned_ids_are_never_chosen(void **unused)
{
	const struct sample_params greedy = { 0 }, hot = { .temperature = 10 };
	const int32_t banned[] = { 1, 3, -7, 100 };

	(void)unused;
	for (uint64_t i = 0; i < 200; i++) {
		float logits[] = { 0, 9, 1, 9 };
		const struct sample_row row = { .logits = logits,
			.n_vocab = 4,
			.banned = banned,
			.banned_len = 4,
			.index = i };
		int32_t id = sample_row(i % 2 == 0 ? &greedy : &hot, &row);

		assert_true(id == 0 || id == 2);
	}
}

static void test_only_what_the_mask_allows_is_chosen(void **unused)
{
	const struct sample_params greedy = { 0 }, hot = { .temperature = 10, .top_k = 50 };
	const uint64_t allowed[] = { (uint64_t)1 << 7, 0, 1 | (uint64_t)1 << 3 }; /* 7 128 131 */
	float logits[140];
	struct sample_row row = { .logits = logits, .n_vocab = 140, .allowed = allowed };

	(void)unused;
	for (size_t i = 0; i < 140; i++)
		logits[i] = (float)i;
	assert_int_equal(sample_row(&greedy, &row), 131);
	for (row.index = 0; row.index < 200; row.index++) {
		int32_t id = sample_row(&hot, &row);

		assert_true(id == 7 || id == 128 || id == 131);
	}
	logits[7] = logits[128] = logits[131] = NAN; /* the model gives nothing that may be */
	assert_int_equal(sample_row(&greedy, &row), 7);
	assert_int_equal(sample_row(&hot, &row), 7);
}

static void test_penalties_change_what_stands_in_the_window_once(void **unused)
{
	struct sample_params p = { .repeat_penalty = 2.0f };
	const int32_t history[] = { 2, 0, 0, 1, -5, 77 };
	float logits[] = { 4, -1, 3, 2.5f };
	const struct sample_row row = {
		.logits = logits, .n_vocab = 4, .history = history, .history_len = 6
	};

	(void)unused;
	/* 0: 4/2 = 2 once though it stands twice; 1: -1·2; 2: 3/2 */
	assert_int_equal(sample_token(&p, &row, scratch), 3);
	assert_true(fabsf(logits[0] - 2.0f) < 1e-6f && fabsf(logits[1] + 2.0f) < 1e-6f);
	assert_true(fabsf(logits[2] - 1.5f) < 1e-6f && fabsf(logits[3] - 2.5f) < 1e-6f);
	p.repeat_last_n = 5; /* leaves out the first */
	logits[0] = 4;
	logits[2] = 3;
	assert_int_equal(sample_token(&p, &row, scratch), 2);
	p = (struct sample_params){ .presence_penalty = 0.5f, .frequency_penalty = 0.25f };
	logits[0] = 4;
	logits[1] = -1;
	assert_int_equal(sample_token(&p, &row, scratch), 0);
	assert_true(fabsf(logits[0] - 3.0f) < 1e-6f && fabsf(logits[1] + 1.75f) < 1e-6f);
}

static void test_the_random_stream_depends_on_seed_and_index_alone(void **unused)
{
	double sum = 0;

	(void)unused;
	for (uint64_t i = 0; i < 20000; i++) {
		double u = sample_uniform(42, i);

		assert_true(u >= 0 && u < 1);
		sum += u;
	}
	assert_true(fabs(sum / 20000 - 0.5) < 0.01);
	assert_true(sample_uniform(1, 7) <= sample_uniform(1, 7) &&
		    sample_uniform(1, 7) >= sample_uniform(1, 7));
	assert_true(fabs(sample_uniform(1, 7) - sample_uniform(2, 7)) > 0);
	assert_true(fabs(sample_uniform(1, 7) - sample_uniform(1, 8)) > 0);
	/* Philox4x32-10 of counter 0, key 0, as published: 6627e8d5 … */
	assert_true(fabs(sample_uniform(0, 0) - 0x6627e8d5p-32) < 1e-15);
}

static void test_a_draw_does_not_depend_on_the_history_without_penalties(void **unused)
{
	const struct sample_params p = { .temperature = 1, .top_p = 0.9f, .seed = 3 };
	const int32_t history[] = { 1, 2, 3 };
	float logits[] = { 1, 1.1f, 0.9f, 1.05f };
	struct sample_row row = {
		.logits = logits, .n_vocab = 4, .history = history, .history_len = 3
	};

	(void)unused;
	for (row.index = 0; row.index < 100; row.index++)
		assert_int_equal(sample(&p, logits, 4, row.index), sample_row(&p, &row));
}

static void test_penalties_draw_like_the_twin(void **unused)
{
	(void)unused;
	check(&(struct sample_params){ .temperature = 0.8f, .top_p = 0.9f, .repeat_penalty = 1.3f },
	    500);
	check(&(struct sample_params){ .temperature = 1,
		  .top_k = 1000,
		  .repeat_last_n = 11,
		  .presence_penalty = 1.5f,
		  .frequency_penalty = -0.5f },
	    500);
	check(&(struct sample_params){ .repeat_penalty = 1.1f, .frequency_penalty = 0.7f }, 1000);
}

/* Where approximate sums cannot tell: shares of equal weights that are met exactly. */
static void test_shares_that_are_met_exactly_draw_like_the_twin(void **unused)
{
	float logits[512];

	(void)unused;
	for (size_t n = 1; n <= 512; n *= 2) {
		for (size_t i = 0; i < n; i++)
			logits[i] = -3.5f;
		for (uint64_t i = 0; i < 64; i++) {
			const struct sample_params p = {
				.temperature = 1, .top_p = (float)(1 + i % 7) / 8, .seed = i
			};
			const struct sample_row row = {
				.logits = logits, .n_vocab = n, .index = i
			};

			assert_int_equal(sample_row(&p, &row), plain_sample(&p, &row));
		}
	}
}

static void test_infinities_and_extremes_draw_like_the_twin(void **unused)
{
	static const float ends[] = { INFINITY, -INFINITY, NAN, 3.4028235e38f, -3.4028235e38f, 0.0f,
		-0.0f, 1e-45f, 1e30f, -87.5f };
	uint64_t state = 5;
	float logits[130];

	(void)unused;
	for (uint64_t i = 0; i < 2000; i++) {
		const float temperatures[] = { 1, 1e-6f, 1e-45f, 1e6f, 3e38f };
		const struct sample_params p = { .temperature = temperatures[i % 5],
			.top_k = (uint32_t)(random_next(&state) % 4),
			.top_p = i % 3 == 0 ? 0.7f : 0,
			.min_p = i % 7 == 0    ? 0.3f
				 : i % 11 == 0 ? 1.0f
				 : i % 13 == 0 ? 1.5f
					       : 0,
			.seed = i };
		const size_t n = 1 + random_next(&state) % 130;
		const size_t kinds = i % 2 == 0 ? 10 : 3;
		const struct sample_row row = { .logits = logits, .n_vocab = n, .index = i };

		for (size_t k = 0; k < n; k++)
			logits[k] = ends[(i % 2 == 0 ? 0 : 5) + random_next(&state) % kinds];
		assert_int_equal(sample_row(&p, &row), plain_sample(&p, &row));
	}
}

/* Rows as long as they come: flat ones, peaked ones, and ties. */
static void test_long_rows_draw_like_the_twin(void **unused)
{
	static const struct sample_params all[] = {
		{ .temperature = 1 },
		{ .temperature = 0.7f, .top_p = 0.95f },
		{ .temperature = 0.8f, .top_k = 40, .top_p = 0.9f },
		{ .temperature = 1.3f, .min_p = 0.02f, .top_p = 0.99f },
		{ .temperature = 2, .top_k = 3000 },
	};
	uint64_t state = 17;

	(void)unused;
	for (size_t i = 0; i < 10; i++) {
		struct sample_params p = all[i % 5];
		const struct sample_row row = { .logits = large, .n_vocab = N_LARGE, .index = i };

		p.seed = i + 1;
		for (size_t k = 0; k < N_LARGE; k++) {
			float sum = 0;

			for (int j = 0; j < 4; j++)
				sum += (float)(random_next(&state) % 4096) * 0x1p-11f - 1;
			large[k] = i < 5 ? sum * 0.5f : i % 2 == 0 ? sum * 8 : floorf(sum * 2);
		}
		assert_int_equal(sample_row(&p, &row), plain_sample(&p, &row));
	}
}

static int take_memory(void **unused)
{
	(void)unused;
	scratch = malloc(sample_scratch_bytes(N_LARGE));
	large = calloc(N_LARGE, sizeof(large[0]));
	spare = calloc(N_LARGE, sizeof(spare[0]));
	return scratch == NULL || large == NULL || spare == NULL ? -1 : 0;
}

static int give_memory(void **unused)
{
	(void)unused;
	free(scratch);
	free(large);
	free(spare);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_temperature_draws_like_the_twin),
		cmocka_unit_test(test_top_k_draws_like_the_twin),
		cmocka_unit_test(test_top_p_draws_like_the_twin),
		cmocka_unit_test(test_min_p_draws_like_the_twin),
		cmocka_unit_test(test_all_filters_together_draw_like_the_twin),
		cmocka_unit_test(
		    test_temperature_zero_takes_the_greatest_and_of_ties_the_smallest_id),
		cmocka_unit_test(test_top_k_one_is_greedy_with_ties_to_the_smallest_id),
		cmocka_unit_test(test_banned_ids_are_never_chosen),
		cmocka_unit_test(test_only_what_the_mask_allows_is_chosen),
		cmocka_unit_test(test_penalties_draw_like_the_twin),
		cmocka_unit_test(test_shares_that_are_met_exactly_draw_like_the_twin),
		cmocka_unit_test(test_infinities_and_extremes_draw_like_the_twin),
		cmocka_unit_test(test_long_rows_draw_like_the_twin),
		cmocka_unit_test(test_penalties_change_what_stands_in_the_window_once),
		cmocka_unit_test(test_the_random_stream_depends_on_seed_and_index_alone),
		cmocka_unit_test(test_a_draw_does_not_depend_on_the_history_without_penalties),
	};

	return cmocka_run_group_tests(tests, take_memory, give_memory);
}
