/* Sampling from a shortlist: what it chooses is what the plain twin chooses from the whole
 * row, whatever the filters, bans, masks and penalties, and it says so when it cannot know. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/backend.h"
#include "base/random.h"
#include "infer/sample.h"
#include "plain_sample.h"

#define N_MAX 300
#define HISTORY 30

static void *scratch; /* [sample_scratch_bytes(N_MAX)] */

static bool is_better(float a, size_t a_id, float b, size_t b_id)
{
	return a > b || (!(a < b) && a_id < b_id);
}

/* The `n` best of a row and no more; `skew`: by what share of itself the sum is wrong. */
static struct backend_shortlist list_of(const float *logits, size_t n_vocab, size_t n, double skew)
{
	struct backend_shortlist list = { .last = { INT32_MAX, -INFINITY } };
	bool taken[N_MAX] = { false };
	double sum = 0;

	for (;;) {
		size_t best = n_vocab;

		for (size_t i = 0; i < n_vocab; i++) {
			if (!taken[i] && logits[i] > -INFINITY &&
			    (best == n_vocab || is_better(logits[i], i, logits[best], best)))
				best = i;
		}
		if (best == n_vocab)
			break;
		if (list.n == n) { /* one is missing */
			list.last = list.best[n - 1];
			break;
		}
		taken[best] = true;
		list.best[list.n++] = (struct backend_candidate){ (int32_t)best, logits[best] };
	}
	for (size_t i = 0; i < n_vocab && list.n > 0; i++)
		sum += logits[i] > -INFINITY ? exp((double)(logits[i] - list.best[0].logit)) : 0;
	list.sum = (float)(sum * (1 + skew * BACKEND_SHORT_ERROR));
	for (uint32_t i = list.n; i-- > 1;) { /* in no order */
		struct backend_candidate one = list.best[i];

		list.best[i] = list.best[i / 2];
		list.best[i / 2] = one;
	}
	return list;
}

/* A row, and what stands in the way of its best. */
struct world {
	float logits[N_MAX];
	int32_t history[HISTORY], banned[4];
	uint64_t allowed[SAMPLE_ALLOWED_WORDS(N_MAX)];
	struct sample_row row;
};

static float random_logit(uint64_t *state, int kind)
{
	static const float ends[] = { INFINITY, -INFINITY, NAN, 3.4028235e38f, -3.4028235e38f, 0.0f,
		-0.0f, 1e-45f, 1e30f, -87.5f };

	switch (kind) {
	case 0: /* ties */
		return (float)(random_next(state) % 6);
	case 1:
		if (random_next(state) % 8 == 0)
			return ends[random_next(state) % 10];
		return ends[1 + random_next(state) % 2];
	case 2: /* flat */
		return -3.5f;
	default:
		if (random_next(state) % 40 == 0)
			return NAN;
		return (float)(random_next(state) % 20000) * (kind == 3 ? 1e-3f : 4e-5f) - 9;
	}
}

static void make_world(struct world *w, uint64_t *state, int kind)
{
	size_t n = 1 + random_next(state) % N_MAX;
	uint64_t what = random_next(state);

	w->row = (struct sample_row){
		.logits = w->logits, .n_vocab = n, .index = random_next(state) % 1000
	};
	for (size_t i = 0; i < n; i++)
		w->logits[i] = random_logit(state, kind);
	for (size_t i = 0; i < HISTORY; i++)
		w->history[i] = (int32_t)(random_next(state) % (n + 2)) - 1;
	w->row.history = w->history;
	w->row.history_len = HISTORY;
	if (what % 4 == 0) {
		for (size_t i = 0; i < 4; i++)
			w->banned[i] = (int32_t)(random_next(state) % (n + 1));
		w->row.banned = w->banned;
		w->row.banned_len = 4;
	}
	if (what / 4 % 4 == 0) {
		for (size_t i = 0; i < SAMPLE_ALLOWED_WORDS(n); i++)
			w->allowed[i] = random_next(state) & random_next(state);
		w->allowed[n / 2 / 64] |= (uint64_t)1 << (n / 2 % 64);
		w->row.allowed = w->allowed;
	}
}

/* Returns how many of `rounds` choices the shortlist of `n` was enough for. */
static size_t check(const struct sample_params *base, size_t n, int kind, bool plain, size_t rounds)
{
	uint64_t state = 7 + (uint64_t)kind;
	size_t chosen = 0;

	for (size_t i = 0; i < rounds; i++) {
		struct sample_params p = *base;
		struct backend_shortlist list;
		struct world w;
		int32_t got = -1;

		make_world(&w, &state, kind);
		if (plain)
			w.row.allowed = NULL, w.row.banned_len = 0;
		p.seed = random_next(&state);
		list = list_of(w.logits, w.row.n_vocab, n, (double)(i % 3) - 1);
		if (!sample_short(&p, &w.row, &list, scratch, &got))
			continue;
		chosen++;
		assert_int_equal(got, plain_sample(&p, &w.row));
	}
	return chosen;
}

static void test_the_greatest_is_in_a_list_of_one(void **unused)
{
	(void)unused;
	for (int kind = 0; kind < 5; kind++)
		assert_int_equal(check(&(struct sample_params){ 0 }, 1, kind, true, 300), 300);
}

static void test_a_list_longer_than_top_k_is_enough_for_it(void **unused)
{
	const struct sample_params all[] = { { .temperature = 0.8f, .top_k = 7 },
		{ .temperature = 1, .top_k = 7, .top_p = 0.7f },
		{ .temperature = 1.5f, .top_k = 7, .top_p = 0.95f, .min_p = 0.05f } };

	(void)unused;
	for (size_t i = 0; i < 9; i++)
		assert_int_equal(
		    check(&all[i % 3], 8, (const int[]){ 0, 2, 3 }[i / 3], true, 200), 200);
}

/* With whatever lowers logits too; NaN in place of a share: it may never be enough. */
static void test_what_is_chosen_is_what_the_whole_row_gives(void **unused)
{
	static const struct sample_params all[] = {
		{ .temperature = 0 },
		{ .temperature = 1 },
		{ .temperature = 0.02f },
		{ .temperature = 1, .top_k = 5 },
		{ .temperature = 1, .top_k = 20, .top_p = 0.8f },
		{ .temperature = 1, .top_p = 0.3f },
		{ .temperature = 0.5f, .top_p = 0.9f },
		{ .temperature = 1, .min_p = 0.4f },
		{ .temperature = 2, .top_p = 0.6f, .min_p = 0.7f },
		{ .temperature = 1, .min_p = 1.5f },
		{ .repeat_penalty = 1.3f },
		{ .temperature = 1, .top_k = 4, .repeat_penalty = 1.2f, .repeat_last_n = 9 },
		{ .temperature = 0.9f, .top_p = 0.4f, .presence_penalty = 0.7f },
		{ .temperature = 1, .min_p = 0.3f, .frequency_penalty = 0.2f },
		{ .repeat_penalty = 0.8f },
		{ .temperature = 1, .top_k = 3, .frequency_penalty = -0.2f },
	};
	size_t n_chosen = 0;

	(void)unused;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		for (int kind = 0; kind < 5; kind++) {
			const size_t n = (const size_t[]){ 1, 12, 60, 256 }[(i + (size_t)kind) % 4];

			n_chosen += check(&all[i], n, kind, false, 60);
		}
	}
	assert_in_range(n_chosen, 2000, 4799);
}

/* One ahead of the 79 others that the list has, all of which the window holds, and 200 far
 * behind: the others weigh less now, and so does the share of all, of which they are 16%. */
static void test_what_a_penalty_takes_out_of_the_list_still_weighs(void **unused)
{
	float logits[280];
	int32_t history[79], got;
	const struct sample_row row = {
		.logits = logits, .n_vocab = 280, .history = history, .history_len = 79
	};
	struct sample_params p = { .temperature = 1, .presence_penalty = 1 };
	struct backend_shortlist list;

	(void)unused;
	for (size_t i = 0; i < 280; i++)
		logits[i] = i == 0 ? 10.0f : i < 80 ? 5.0f : -20.0f;
	for (int32_t i = 0; i < 79; i++)
		history[i] = i + 1;
	list = list_of(logits, 280, 80, 0);
	list.last = (struct backend_candidate){ INT32_MAX, 5.0f };
	p.top_p = 0.9f; /* some of those that are no longer in order */
	assert_false(sample_short(&p, &row, &list, scratch, &got));
	p.top_p = 0.8f;
	assert_true(sample_short(&p, &row, &list, scratch, &got));
	assert_int_equal(got, 0);
}

/* A few stand out; the rest of the list lies close together, and all else far behind.
 * The window holds some of the worst of the list. */
static void make_tail(struct world *w, uint64_t *state, size_t n)
{
	float rest = (float)(random_next(state) % 6000) * 1e-3f;
	size_t ahead = 1 + random_next(state) % 3;

	w->row = (struct sample_row){ .logits = w->logits,
		.n_vocab = N_MAX,
		.index = random_next(state) % 1000,
		.history = w->history,
		.history_len = HISTORY };
	for (size_t i = 0; i < N_MAX; i++) {
		w->logits[i] = rest + (float)(random_next(state) % 100) * 1e-3f;
		if (i >= n)
			w->logits[i] -= 25;
	}
	for (size_t i = 0; i < ahead; i++)
		w->logits[random_next(state) % n] = 7 + (float)(random_next(state) % 1000) * 1e-3f;
	for (size_t i = 0; i < HISTORY; i++)
		w->history[i] = (int32_t)(random_next(state) % n);
}

static void test_a_window_of_the_lists_own_tail_leaves_the_choice_as_it_is(void **unused)
{
	static const float shares[] = { 0.5f, 0.7f, 0.8f, 0.9f, 0.95f, 0.98f };
	static const struct sample_params all[] = {
		{ .temperature = 1, .presence_penalty = 1 },
		{ .temperature = 2, .frequency_penalty = 0.6f },
		{ .temperature = 1, .repeat_penalty = 1.4f },
		{ .temperature = 1.5f, .presence_penalty = 0.5f, .min_p = 0.01f },
		{ .temperature = 1, .presence_penalty = 2, .top_k = 5 },
		{ .temperature = 1, .presence_penalty = 0.2f, .top_k = 12 },
	};
	uint64_t state = 3;
	size_t chosen[6] = { 0 };

	(void)unused;
	for (size_t i = 0; i < 1800; i++) {
		const size_t n = 2 + random_next(&state) % 60;
		struct sample_params p = all[i % 6];
		struct backend_shortlist list;
		struct world w;
		int32_t got = -1;

		make_tail(&w, &state, n);
		p.top_p = i % 4 == 0 ? 0 : shares[i / 6 % 6];
		p.seed = random_next(&state);
		list = list_of(w.logits, N_MAX, n, (double)(i % 3) - 1);
		if (!sample_short(&p, &w.row, &list, scratch, &got))
			continue;
		chosen[i % 6]++;
		assert_int_equal(got, plain_sample(&p, &w.row));
	}
	for (size_t i = 0; i < 6; i++)
		assert_in_range(chosen[i], 50, 299);
}

/* A share that the sum's error leaves open is not decided. */
static void test_a_share_too_close_to_tell_is_left_to_the_whole_row(void **unused)
{
	float logits[N_MAX];
	const struct sample_row row = { .logits = logits, .n_vocab = 256 };
	struct sample_params p = { .temperature = 1, .top_p = 0.0625f, .seed = 4 };
	struct backend_shortlist list;
	int32_t got;

	(void)unused;
	for (size_t i = 0; i < 256; i++)
		logits[i] = 1.5f;
	list = list_of(logits, 256, 40, 0);
	assert_false(sample_short(&p, &row, &list, scratch, &got)); /* 16 of 256 */
	p.top_p = 0.0626f;
	assert_true(sample_short(&p, &row, &list, scratch, &got));
	assert_int_equal(got, plain_sample(&p, &row));
	p.top_p = 0.2f; /* more than the list has */
	assert_false(sample_short(&p, &row, &list, scratch, &got));
}

static void test_a_list_is_asked_for_where_it_may_do(void **unused)
{
	(void)unused;
	assert_true(sample_is_brief(&(struct sample_params){ 0 }));
	assert_true(sample_is_brief(&(struct sample_params){ .temperature = 1, .top_k = 40 }));
	assert_true(sample_is_brief(&(struct sample_params){ .temperature = 1, .top_p = 0.9f }));
	assert_true(sample_is_brief(&(struct sample_params){ .temperature = 1, .min_p = 0.1f }));
	assert_true(sample_is_brief(&(struct sample_params){ .repeat_penalty = 1.1f }));
	assert_false(sample_is_brief(&(struct sample_params){ .temperature = 1 }));
	assert_false(sample_is_brief(&(struct sample_params){ .temperature = 1, .top_k = 5000 }));
	assert_false(sample_is_brief(&(struct sample_params){ .repeat_penalty = 0.9f }));
	assert_false(sample_is_brief(&(struct sample_params){ .presence_penalty = -1 }));
}

static int take_memory(void **unused)
{
	(void)unused;
	scratch = malloc(sample_scratch_bytes(N_MAX));
	return scratch == NULL ? -1 : 0;
}

static int give_memory(void **unused)
{
	(void)unused;
	free(scratch);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_greatest_is_in_a_list_of_one),
		cmocka_unit_test(test_a_list_longer_than_top_k_is_enough_for_it),
		cmocka_unit_test(test_what_is_chosen_is_what_the_whole_row_gives),
		cmocka_unit_test(test_what_a_penalty_takes_out_of_the_list_still_weighs),
		cmocka_unit_test(test_a_window_of_the_lists_own_tail_leaves_the_choice_as_it_is),
		cmocka_unit_test(test_a_share_too_close_to_tell_is_left_to_the_whole_row),
		cmocka_unit_test(test_a_list_is_asked_for_where_it_may_do),
	};

	return cmocka_run_group_tests(tests, take_memory, give_memory);
}
