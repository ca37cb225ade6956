/*
 * The choice of experts against the published definitions, worked out plainly
 * in double: softmax and sigmoid, bias of the choice, groups, ties.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "infer/experts.h"

#define N_MAX 64
#define ROUNDS 2000

struct row {
	float scores[N_MAX], bias[N_MAX];
	bool biased;
	uint32_t chosen[N_MAX];
	float weights[N_MAX];
};

static uint64_t state = 77;

static uint32_t below(uint32_t n)
{
	return (uint32_t)(random_next(&state) % n);
}

static float random_score(void)
{
	return (float)((int32_t)below(2001) - 1000) / 250.0f; /* -4 … 4, with ties */
}

static void choose(const struct moe *moe, struct row *row)
{
	float scores[N_MAX], keys[N_MAX];
	uint8_t taken[N_MAX];
	const struct choice choice = { scores, keys, taken, row->chosen, row->weights };

	memcpy(scores, row->scores, sizeof(scores));
	experts_choose(kernels_scalar(), moe, row->biased ? row->bias : NULL, &choice);
}

/* What the weights are taken from. */
static void naive_gate(const struct moe *moe, const float *scores, double *out)
{
	double sum = 0;

	for (uint32_t i = 0; i < moe->n_expert; i++) {
		double s = (double)scores[i];

		out[i] = moe->gating == MOE_SIGMOID   ? 1 / (1 + exp(-s))
			 : moe->gating == MOE_SOFTMAX ? exp(s)
						      : s;
		sum += out[i];
	}
	for (uint32_t i = 0; moe->gating == MOE_SOFTMAX && i < moe->n_expert; i++)
		out[i] /= sum;
}

/* How many of `keys` (NaN: out) come before number i. */
static uint32_t rank_of(const double *keys, uint32_t n, uint32_t i)
{
	uint32_t before = 0;

	for (uint32_t j = 0; j < n; j++)
		before += keys[j] > keys[i] || (keys[j] == keys[i] && j < i);
	return before;
}

/* V3: the sum of a group's two best; V2, which has softmax: its best. */
static double naive_group(const struct moe *moe, const double *keys, uint32_t n)
{
	double first = -INFINITY, second = -INFINITY;

	for (uint32_t i = 0; i < n; i++) {
		if (keys[i] > first) {
			second = first;
			first = keys[i];
		} else if (keys[i] > second) {
			second = keys[i];
		}
	}
	return moe->gating == MOE_SOFTMAX || n == 1 ? first : first + second;
}

/* Scores that the naive twin and floats could order differently are avoided:
 * ties are exact in both, near ties do not come up on this grid but by groups. */
static bool check(const struct moe *moe, const struct row *row)
{
	double gates[N_MAX], keys[N_MAX], groups[N_MAX], sum = 0;
	uint32_t in_group = moe->n_expert / moe->n_group;

	naive_gate(moe, row->scores, gates);
	for (uint32_t i = 0; i < moe->n_expert; i++)
		keys[i] = gates[i] + (row->biased ? (double)row->bias[i] : 0);
	for (uint32_t g = 0; g < moe->n_group; g++)
		groups[g] = naive_group(moe, keys + g * in_group, in_group);
	for (uint32_t g = 0; g < moe->n_group; g++) {
		for (uint32_t h = 0; h < g; h++) {
			if (fabs(groups[g] - groups[h]) < 1e-5)
				return false;
		}
	}
	for (uint32_t i = 0; i < moe->n_expert; i++) {
		if (rank_of(groups, moe->n_group, i / in_group) >= moe->n_group_used)
			keys[i] = -INFINITY;
	}
	for (uint32_t i = 0; i < moe->n_used; i++) {
		uint32_t chosen = row->chosen[i];

		if (fabs(keys[chosen]) < INFINITY && rank_of(keys, moe->n_expert, chosen) != i)
			fail_msg("choice %u is expert %u", i, chosen);
		assert_true(fabs(keys[chosen]) < INFINITY);
		sum += moe->gating == MOE_SOFTMAX_CHOSEN ? exp(gates[chosen]) : gates[chosen];
	}
	for (uint32_t i = 0; i < moe->n_used; i++) {
		double weight = gates[row->chosen[i]];

		if (moe->gating == MOE_SOFTMAX_CHOSEN)
			weight = exp(weight) / sum;
		else if (moe->norm)
			weight /= sum;
		weight *= (double)moe->scale;
		if (!(fabs(weight - (double)row->weights[i]) <= 1e-5 * fabs(weight)))
			fail_msg("weight %g, expected %g", (double)row->weights[i], weight);
	}
	return true;
}

static struct moe random_moe(void)
{
	struct moe moe = { .n_group = 1 + below(4), .scale = 1.0f + (float)below(3) };
	uint32_t in_group = 1 + below(16);

	moe.n_expert = moe.n_group * in_group;
	moe.n_group_used = 1 + below(moe.n_group);
	moe.n_used = 1 + below(moe.n_group_used * in_group);
	moe.gating = (enum moe_gating)(MOE_SOFTMAX + below(3));
	moe.norm = below(2) == 0;
	return moe;
}

static void test_choices_and_weights_follow_the_definitions(void **unused)
{
	uint32_t checked = 0;

	(void)unused;
	for (uint32_t round = 0; round < ROUNDS; round++) {
		struct moe moe = random_moe();
		struct row row = { .biased = moe.gating == MOE_SIGMOID && below(2) == 0 };

		for (uint32_t i = 0; i < moe.n_expert; i++) {
			row.scores[i] = random_score() + (float)i * 0x1p-8f;
			row.bias[i] = random_score();
		}
		choose(&moe, &row);
		checked += check(&moe, &row);
	}
	assert_true(checked > ROUNDS / 2);
}

static void test_equal_scores_go_to_the_lower_number(void **unused)
{
	struct moe moe = { .n_expert = 8,
		.n_used = 4,
		.n_group = 4,
		.n_group_used = 3,
		.gating = MOE_SIGMOID,
		.norm = true,
		.scale = 1.0f };
	struct row row = { .scores = { 1, 1, 0, 2, 1, 1, 2, 0 } };

	(void)unused;
	choose(&moe, &row);
	assert_int_equal(row.chosen[0], 3);
	assert_int_equal(row.chosen[1], 0);
	assert_int_equal(row.chosen[2], 1);
	assert_int_equal(row.chosen[3], 4);
}

static void test_scores_that_are_no_numbers_still_give_different_experts(void **unused)
{
	struct moe moe = { .n_expert = 6,
		.n_used = 4,
		.n_group = 1,
		.n_group_used = 1,
		.gating = MOE_SOFTMAX,
		.norm = true,
		.scale = 1.0f };
	struct row row = { .scores = { NAN, NAN, NAN, NAN, NAN, NAN } };

	(void)unused;
	choose(&moe, &row);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(row.chosen[i], i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_choices_and_weights_follow_the_definitions),
		cmocka_unit_test(test_equal_scores_go_to_the_lower_number),
		cmocka_unit_test(test_scores_that_are_no_numbers_still_give_different_experts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
