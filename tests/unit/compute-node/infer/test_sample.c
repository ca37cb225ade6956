/* Sampling: each filter against a naive twin that sorts everything. */
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

#define N_MAX 200

struct entry {
	int32_t id;
	float logit;
};

static int compare(const void *a, const void *b)
{
	const struct entry *ea = a, *eb = b;

	if (ea->logit > eb->logit || ea->logit < eb->logit)
		return ea->logit > eb->logit ? -1 : 1;
	return (ea->id > eb->id) - (ea->id < eb->id);
}

/* The sorted, filtered list as the header says; returns how many pass. */
static size_t naive_filter(const struct sample_params *p, struct entry *list, size_t n)
{
	double sum = 0, at = 0;
	size_t kept;

	qsort(list, n, sizeof(*list), compare);
	if (p->top_k > 0 && p->top_k < n)
		n = p->top_k;
	kept = n;
	if (p->top_p > 0 && p->top_p < 1) {
		for (size_t i = 0; i < n; i++)
			sum += exp((double)list[i].logit - (double)list[0].logit);
		for (size_t i = 0; i < n; i++) {
			at += exp((double)list[i].logit - (double)list[0].logit);
			if (at >= (double)p->top_p * sum) {
				kept = i + 1;
				break;
			}
		}
	}
	for (size_t i = 1; p->min_p > 0 && i < kept; i++) {
		if (exp((double)list[i].logit - (double)list[0].logit) < (double)p->min_p)
			kept = i;
	}
	return kept;
}

static int compare_ids(const void *a, const void *b)
{
	const struct entry *ea = a, *eb = b;

	return (ea->id > eb->id) - (ea->id < eb->id);
}

static int32_t naive(const struct sample_params *p, const float *logits, size_t n, uint64_t index)
{
	struct entry list[N_MAX];
	double sum = 0, at = 0, top = -1e300;
	size_t len = 0, kept;

	for (size_t i = 0; i < n; i++) {
		if (logits[i] > -INFINITY) /* not NaN either */
			list[len++] = (struct entry){ (int32_t)i, logits[i] };
	}
	kept = naive_filter(p, list, len);
	top = (double)list[0].logit;
	qsort(list, kept, sizeof(*list), compare_ids);
	for (size_t i = 0; i < kept; i++)
		sum += exp(((double)list[i].logit - top) / (double)p->temperature);
	for (size_t i = 0; i < kept; i++) {
		at += exp(((double)list[i].logit - top) / (double)p->temperature);
		if (at > sample_uniform(p->seed, index) * sum)
			return list[i].id;
	}
	return list[kept - 1].id;
}

static int32_t sample(const struct sample_params *p, const float *logits, size_t n, uint64_t index)
{
	float scratch[N_MAX];
	struct sample_candidate candidates[N_MAX];

	memcpy(scratch, logits, n * sizeof(*logits));
	return sample_token(p, scratch, n, NULL, 0, NULL, 0, index, candidates);
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

static void check(const struct sample_params *base, int rounds)
{
	uint64_t state = 99;

	for (int i = 0; i < rounds; i++) {
		struct sample_params p = *base;
		float logits[N_MAX];
		size_t n = 1 + random_next(&state) % N_MAX;
		uint64_t index = random_next(&state) % 1000;

		p.seed = random_next(&state);
		if (p.top_k == 1000)
			p.top_k = (uint32_t)(1 + random_next(&state) % 40);
		random_logits(&state, logits, n, i % 3 == 0);
		assert_int_equal(sample(&p, logits, n, index), naive(&p, logits, n, index));
	}
}

static void test_plain_temperature_draws_like_the_twin(void **unused)
{
	(void)unused;
	check(&(struct sample_params){ .temperature = 0.7f }, 1500);
	check(&(struct sample_params){ .temperature = 3.0f }, 1500);
}

static void test_top_k_draws_like_the_twin(void **unused)
{
	(void)unused;
	check(&(struct sample_params){ .temperature = 1, .top_k = 1000 }, 3000);
}

static void test_top_p_draws_like_the_twin(void **unused)
{
	(void)unused;
	check(&(struct sample_params){ .temperature = 1, .top_p = 0.5f }, 1500);
	check(&(struct sample_params){ .temperature = 2, .top_p = 0.95f }, 1500);
}

static void test_min_p_draws_like_the_twin(void **unused)
{
	(void)unused;
	check(&(struct sample_params){ .temperature = 1, .min_p = 0.05f }, 1500);
	check(&(struct sample_params){ .temperature = 1, .min_p = 0.6f }, 1500);
}

static void test_all_filters_together_draw_like_the_twin(void **unused)
{
	(void)unused;
	check(
	    &(struct sample_params){
		.temperature = 0.9f, .top_k = 1000, .top_p = 0.9f, .min_p = 0.02f },
	    4000);
}

static void test_temperature_zero_takes_the_greatest_and_of_ties_the_smallest_id(void **unused)
{
	const struct sample_params p = { .temperature = 0, .seed = 5 };
	const float ties[] = { 1, 3, 2, 3, NAN }, nan_first[] = { NAN, NAN, -4, -5 };
	const float nothing[] = { NAN, -INFINITY, NAN };

	(void)unused;
	assert_int_equal(sample(&p, ties, 5, 0), 1);
	assert_int_equal(sample(&p, nan_first, 4, 0), 2);
	assert_int_equal(sample(&p, nothing, 3, 0), 0);
}

static void test_top_k_one_is_greedy_with_ties_to_the_smallest_id(void **unused)
{
	const struct sample_params p = { .temperature = 5, .top_k = 1, .seed = 1 };
	const float ties[] = { 1, 3, 2, 3 };

	(void)unused;
	for (uint64_t i = 0; i < 100; i++)
		assert_int_equal(sample(&p, ties, 4, i), 1);
}

static void test_banned_ids_are_never_chosen(void **unused)
{
	const struct sample_params greedy = { 0 }, hot = { .temperature = 10 };
	const int32_t banned[] = { 1, 3, -7, 100 };
	struct sample_candidate candidates[4];

	(void)unused;
	for (uint64_t i = 0; i < 200; i++) {
		float logits[] = { 0, 9, 1, 9 };
		int32_t id = sample_token(
		    i % 2 == 0 ? &greedy : &hot, logits, 4, NULL, 0, banned, 4, i, candidates);

		assert_true(id == 0 || id == 2);
	}
}

static void test_penalties_change_what_stands_in_the_window_once(void **unused)
{
	struct sample_params p = { .repeat_penalty = 2.0f };
	const int32_t history[] = { 2, 0, 0, 1, -5, 77 };
	struct sample_candidate candidates[4];
	float logits[] = { 4, -1, 3, 2.5f };

	(void)unused;
	/* 0: 4/2 = 2 once though it stands twice; 1: -1·2; 2: 3/2 */
	assert_int_equal(sample_token(&p, logits, 4, history, 6, NULL, 0, 0, candidates), 3);
	assert_true(fabsf(logits[0] - 2.0f) < 1e-6f && fabsf(logits[1] + 2.0f) < 1e-6f);
	assert_true(fabsf(logits[2] - 1.5f) < 1e-6f && fabsf(logits[3] - 2.5f) < 1e-6f);
	p.repeat_last_n = 5; /* leaves out the first */
	logits[0] = 4;
	logits[2] = 3;
	assert_int_equal(sample_token(&p, logits, 4, history, 6, NULL, 0, 0, candidates), 2);
	p = (struct sample_params){ .presence_penalty = 0.5f, .frequency_penalty = 0.25f };
	logits[0] = 4;
	logits[1] = -1;
	assert_int_equal(sample_token(&p, logits, 4, history, 6, NULL, 0, 0, candidates), 0);
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
	struct sample_candidate candidates[4];

	(void)unused;
	for (uint64_t i = 0; i < 100; i++) {
		float a[] = { 1, 1.1f, 0.9f, 1.05f }, b[] = { 1, 1.1f, 0.9f, 1.05f };

		assert_int_equal(sample_token(&p, a, 4, NULL, 0, NULL, 0, i, candidates),
		    sample_token(&p, b, 4, history, 3, NULL, 0, i, candidates));
	}
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
		cmocka_unit_test(test_penalties_change_what_stands_in_the_window_once),
		cmocka_unit_test(test_the_random_stream_depends_on_seed_and_index_alone),
		cmocka_unit_test(test_a_draw_does_not_depend_on_the_history_without_penalties),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
