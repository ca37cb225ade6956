/*
 * cuda/shortlist.cu: what a list says of its row is so, for vocabularies of all sizes and
 * rows of all kinds; and the token that is sampled from it is the one that the plain twin
 * takes from the whole row.
 */
extern "C" {
#include "infer/sample.h"
#include "plain_sample.h"
}

#include "kernel_test.h"

#define KINDS 8

static float number_of(int kind, uint32_t i)
{
	static const float ends[] = { INFINITY, -INFINITY, NAN, 3.4028235e38f, -3.4028235e38f, 0.0f,
		-0.0f, 1e-45f, -87.5f };

	switch (kind) {
	case 0: /* as models have them */
		return 3 * (random_float() + random_float() + random_float());
	case 1: /* peaked */
		return random_word() % 50 == 0 ? 12 + random_float() : random_float();
	case 2: /* flat */
		return -2.5f;
	case 3: /* ties */
		return (float)(random_word() % 9);
	case 4: /* the best next to each other */
		return -0.01f * (float)i + random_float();
	case 5:
		return ends[random_word() % 9];
	case 6: /* hardly anything above -inf */
		return random_word() % 64 == 0 ? random_float() : random_word() % 2 ? NAN : -INFINITY;
	default:
		return -INFINITY;
	}
}

static bool is_better(float a, int32_t a_id, float b, int32_t b_id)
{
	return a > b || (a == b && a_id < b_id);
}

static void check_list(const std::vector<float> &row, const backend_shortlist &list)
{
	std::vector<bool> listed(row.size());
	float best = -INFINITY;
	double sum = 0;

	assert_in_range(list.n, 0, BACKEND_SHORT_MAX);
	for (uint32_t i = 0; i < list.n; i++) {
		int32_t id = list.best[i].id;

		assert_in_range(id, 0, row.size() - 1);
		assert_false(listed[id]);
		listed[id] = true;
		assert_true(list.best[i].logit == row[id]);
	}
	for (size_t i = 0; i < row.size(); i++) {
		bool above = row[i] > -INFINITY;

		best = above && row[i] > best ? row[i] : best;
		if (above && !is_better(list.last.logit, list.last.id, row[i], (int32_t)i))
			assert_true(listed[i]);
	}
	if (!(best > -INFINITY)) {
		assert_int_equal(list.n, 0);
		return;
	}
	assert_true(list.n > 0);
	for (float x : row)
		sum += x > -INFINITY ? exp((double)x - (double)best) : 0;
	if (best < INFINITY)
		assert_true(fabs((double)list.sum - sum) <= sum * BACKEND_SHORT_ERROR / 4);
}

static std::vector<backend_shortlist> lists_of(
    const std::vector<float> &logits, uint32_t n, uint32_t n_rows)
{
	std::vector<uint8_t> work(cuda_shortlist_work(n_rows), 0xff);
	std::vector<backend_shortlist> lists(n_rows);
	struct cuda_pass p = pass_of(0);

	p.work = work.data();
	p.work_bytes = work.size();
	memset((void *)lists.data(), 0xff, n_rows * sizeof(lists[0]));
	assert_int_equal(cuda_shortlist(&p, logits.data(), n, n_rows, lists.data()), cudaSuccess);
	return lists;
}

static const uint32_t sizes[] = { 1, 3, 79, 80, 512, 513, 3001, 20000 };

static void test_lists_say_what_is_so(void **)
{
	for (uint32_t n : sizes) {
		std::vector<float> logits;
		std::vector<backend_shortlist> lists;

		for (int kind = 0; kind < KINDS; kind++) {
			for (uint32_t i = 0; i < n; i++)
				logits.push_back(number_of(kind, i));
		}
		emulate_backwards = n % 2 == 0;
		lists = lists_of(logits, n, KINDS);
		for (int kind = 0; kind < KINDS; kind++)
			check_list(std::vector<float>(logits.begin() + (size_t)kind * n,
				       logits.begin() + (size_t)(kind + 1) * n),
			    lists[kind]);
	}
	emulate_backwards = false;
}

/* Not the very best alone, where the row has no ties to speak of. */
static void test_lists_are_as_long_as_filters_want_them(void **)
{
	std::vector<float> logits(2 * 20000);
	std::vector<backend_shortlist> lists;

	for (float &x : logits)
		x = number_of(0, 0);
	lists = lists_of(logits, 20000, 2);
	for (const backend_shortlist &list : lists)
		assert_in_range(list.n, 65, BACKEND_SHORT_MAX);
}

static void test_tokens_from_lists_are_those_of_whole_rows(void **)
{
	/* temperature, top-k, top-p, min-p, repeat penalty */
	static const struct sample_params all[] = {
		{ 0, 0, 0, 0, 0, 0, 0, 0, 0 },
		{ 0.8f, 40, 0.95f, 0, 0, 0, 0, 0, 0 },
		{ 1, 64, 0, 0, 0, 0, 0, 0, 0 },
		{ 1, 0, 0.5f, 0, 0, 0, 0, 0, 0 },
		{ 0.7f, 0, 0, 0.1f, 0, 0, 0, 0, 0 },
		{ 0.3f, 0, 0.9f, 0, 1.1f, 0, 0, 0, 0 },
	};
	const uint32_t n = 3001;
	std::vector<uint8_t> scratch(sample_scratch_bytes(n));
	unsigned n_chosen[KINDS] = {};

	for (int kind = 0; kind < KINDS; kind++) {
		std::vector<float> logits(n);
		std::vector<backend_shortlist> lists;

		for (uint32_t i = 0; i < n; i++)
			logits[i] = number_of(kind, i);
		lists = lists_of(logits, n, 1);
		for (uint64_t i = 0; i < 18; i++) {
			const int32_t history[] = { 5, 77, lists[0].best[0].id, 5 };
			struct sample_params p = all[i % 6];
			struct sample_row row = {};
			int32_t got;

			p.seed = i;
			row.logits = logits.data();
			row.n_vocab = n;
			row.history = history;
			row.history_len = lists[0].n > 0 ? 4 : 2;
			row.index = 3 * i;
			if (!sample_short(&p, &row, &lists[0], scratch.data(), &got))
				continue;
			n_chosen[kind]++;
			assert_int_equal(got, plain_sample(&p, &row));
		}
	}
	assert_true(n_chosen[1] >= 9 && n_chosen[0] >= 9); /* top-k and greedy at least */
	assert_true(n_chosen[2] >= 3 && n_chosen[3] >= 3); /* greedy */
}

/* One row's bits do not depend on the others. */
static void test_a_list_is_the_same_beside_others(void **)
{
	const uint32_t n = 3001, n_rows = 16;
	std::vector<float> logits(n * n_rows);
	std::vector<backend_shortlist> together, alone;

	for (float &x : logits)
		x = number_of(0, 0);
	together = lists_of(logits, n, n_rows);
	for (uint32_t t = 0; t < n_rows; t += 5) {
		alone = lists_of(std::vector<float>(logits.begin() + t * n,
				     logits.begin() + (t + 1) * n),
		    n, 1);
		assert_memory_equal(&alone[0].sum, &together[t].sum, sizeof(float));
		assert_int_equal(alone[0].n, together[t].n);
	}
}

int main()
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists_say_what_is_so),
		cmocka_unit_test(test_lists_are_as_long_as_filters_want_them),
		cmocka_unit_test(test_tokens_from_lists_are_those_of_whole_rows),
		cmocka_unit_test(test_a_list_is_the_same_beside_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
