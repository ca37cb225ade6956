/*
 * Attention's kernels, emulated, against sums in double: any sizes of heads, each
 * type of cache, windows over rings, softcap, sinks, and equal bits whatever else is
 * in a pass.
 */
#include "attention_fixture.h"

/* A pass whose results are compared. */
static struct result check_pass(
    struct world *w, const std::vector<place> &places, bool answer, double tolerance)
{
	const struct layer *l = &w->l;
	struct result r = run_pass(w, places, answer, true, 0, FORM_ALL);

	for (const place &at : places)
		check_kept(w, at);
	for (size_t t = 0; t < places.size(); t++) {
		for (uint32_t h = 0; h < l->n_head; h++) {
			std::vector<double> want = attend(w, places[t], h);

			for (uint32_t d = 0; d < l->dv; d++)
				check_near(r.f32[(t * l->n_head + h) * l->dv + d], want[d],
				    tolerance, answer ? "answer" : "prompt");
		}
	}
	check_forms(l, &r, places.size());
	return r;
}

#define NEAR_ANSWER 2e-5
#define NEAR_PROMPT 4e-3 /* queries and weights are halves */

static double near_prompt(const struct layer *l)
{
	bool tensor = l->dk == l->dv && l->type != BACKEND_F32 &&
		      (l->dk == 64 || l->dk == 96 || l->dk == 128 || l->dk == 256);

	return tensor ? NEAR_PROMPT : NEAR_ANSWER;
}

static double near_answer(const struct layer *l)
{
	bool tensor = near_prompt(l) > NEAR_ANSWER || (l->dk == 512 && l->dv == 512);

	/* Q8_0 is widened to halves by kernels on tensor units */
	return l->type == BACKEND_Q8_0 && tensor ? 2e-3 : NEAR_ANSWER;
}

/* A prompt in chunks with another sequence's, answers behind both, a prompt behind that. */
static void check_layer(struct layer l, uint32_t n)
{
	struct world w = world_new(l);
	double answer = near_answer(&l), prompt = fmax(near_prompt(&l), answer);

	check_pass(&w, run_of(0, 0, n) + run_of(1, 0, 3), false, prompt);
	check_pass(&w, run_of(1, 3, n / 2 + 1) + run_of(0, n, 5), false, prompt);
	check_pass(&w, run_of(0, n + 5, 1), true, answer);
	check_pass(&w, run_of(0, n + 6, 3) + run_of(1, n / 2 + 4, 2), true, answer);
	check_pass(&w, run_of(0, n + 9, 1), false, prompt);
}

static void test_common_heads_agree_with_double(void **state)
{
	(void)state;
	check_layer(layer_of(4, 1, 128, BACKEND_F16), 150);
	check_layer(layer_of(4, 2, 64, BACKEND_F16), 140);
	check_layer(layer_of(2, 2, 256, BACKEND_F16), 135);
	check_layer(layer_of(3, 1, 96, BACKEND_F16), 70);
}

static void test_q8_cache_agrees_with_double(void **state)
{
	(void)state;
	check_layer(layer_of(4, 1, 128, BACKEND_Q8_0), 150);
	check_layer(layer_of(4, 2, 64, BACKEND_Q8_0), 70);
	check_layer(layer_of(2, 1, 256, BACKEND_Q8_0), 70);
	check_layer(layer_of(2, 1, 96, BACKEND_Q8_0), 70);
	check_layer(layer_of(3, 1, 32, BACKEND_Q8_0), 40);
}

static void test_any_head_agrees_with_double(void **state)
{
	const uint32_t dims[] = { 8, 16, 24, 32, 48, 160 };
	struct layer l;

	(void)state;
	for (uint32_t d : dims)
		check_layer(layer_of(6, 2, d, d % 16 != 0 ? BACKEND_F16 : BACKEND_F32), 40);
	check_layer(layer_of(4, 4, 128, BACKEND_F32), 30);
	l = layer_of(9, 1, 32, BACKEND_F16);
	l.dk = 48;
	l.n_rot = 16;
	check_layer(l, 140);
	l = layer_of(2, 1, 1024, BACKEND_F16);
	check_layer(l, 5);
	check_layer(layer_of(2, 1, 512, BACKEND_F16), 40);
	check_layer(layer_of(2, 2, 512, BACKEND_Q8_0), 5);
}

/* As latent attention has them: all heads share one key, whose end is their value. */
static void test_values_that_stand_in_keys(void **state)
{
	const enum backend_cache types[] = { BACKEND_F16, BACKEND_F32, BACKEND_Q8_0 };

	(void)state;
	for (enum backend_cache type : types) {
		struct layer l = layer_of(9, 1, 64, type);

		l.dk = 96;
		l.n_rot = 32;
		l.v_in_k = true;
		check_layer(l, type == BACKEND_F16 ? 140 : 20);
	}
}

/* Prompts take one query head after another: it is answers that take groups. */
static void check_group(struct layer l, uint32_t n)
{
	struct world w = world_new(l);
	double answer = near_answer(&l);

	fill(&w, run_of(0, 0, n) + run_of(1, 0, 3));
	check_pass(&w, run_of(0, n, 1), true, answer);
	check_pass(&w, run_of(0, n + 1, 3) + run_of(1, 3, 2), true, answer);
	check_pass(&w, run_of(0, n + 4, 2), false, fmax(near_prompt(&l), answer));
}

static void test_large_groups_of_query_heads(void **state)
{
	(void)state;
	check_group(layer_of(16, 1, 64, BACKEND_F16), 20);
	check_group(layer_of(10, 1, 128, BACKEND_Q8_0), 20);
	check_group(layer_of(24, 1, 64, BACKEND_F16), 12);
	check_layer(layer_of(20, 1, 16, BACKEND_F32), 12);
	check_group(layer_of(12, 1, 256, BACKEND_F16), 12);
}

static void test_norms_rotations_and_growth(void **state)
{
	struct layer l = layer_of(4, 2, 64, BACKEND_F16);

	(void)state;
	l.norms = true;
	l.halves = true;
	l.n_rot = 32;
	l.temp_scale = 0.3f;
	l.loud = 50;
	check_layer(l, 40);
	l = layer_of(4, 2, 24, BACKEND_F32);
	l.v_is_k = l.v_norm = l.norms = true;
	l.n_rot = 12;
	check_layer(l, 40);
	l = layer_of(2, 1, 128, BACKEND_Q8_0);
	l.v_is_k = true;
	l.rotate = false;
	check_layer(l, 20);
}

static void test_softcap_and_sinks(void **state)
{
	const uint32_t dims[] = { 64, 256, 24 };

	(void)state;
	for (uint32_t d : dims) {
		struct layer l = layer_of(4, 2, d, BACKEND_F16);

		l.softcap = 3;
		l.sinks = true;
		l.loud = 20;
		check_layer(l, 30);
	}
}

/* Positions far beyond the ring, in passes of all sizes. */
static void check_ring(struct layer l, uint32_t chunk, uint32_t end)
{
	struct world w = world_new(l);
	uint32_t pos = 0;

	for (; pos + chunk < end; pos += chunk)
		check_pass(&w, run_of(1, pos, chunk), false, near_prompt(&l));
	for (; pos < end + 10; pos += 2)
		check_pass(&w, run_of(1, pos, 2), true, near_answer(&l));
}

static void test_windows_over_rings(void **state)
{
	const enum backend_cache types[] = { BACKEND_F16, BACKEND_Q8_0, BACKEND_F32 };

	(void)state;
	for (enum backend_cache type : types) {
		struct layer l = layer_of(2, 1, 64, type);

		l.window = 70;
		l.cells = 256;
		check_ring(l, 50, 410);
		l.window = 33; /* cells that are no multiple of tiles */
		l.cells = 112;
		check_ring(l, 60, 250);
	}
	for (uint32_t d : { 256u, 32u }) {
		struct layer l = layer_of(2, 1, d, BACKEND_F16);

		l.window = 100;
		l.cells = 144;
		check_ring(l, 40, 300);
	}
}

static void check_same(const float *a, const float *b, size_t n)
{
	assert_memory_equal(a, b, n * sizeof(float));
}

/* Prompts give the same bits in one pass, in small ones, and beside others. */
static void check_chunks(struct layer l, uint32_t n)
{
	/* small ones take the last rows alone, behind what the whole stored */
	const struct {
		uint32_t rows, last;
	} chunks[] = { { 1, 3 }, { 7, 17 }, { 33, 74 }, { 64, n }, { 100, n } };
	struct world whole = world_new(l);
	struct result all = run_pass(&whole, run_of(0, 0, n), false, true, 0, FORM_F32);
	size_t wide = l.n_head * l.dv;

	for (const auto &chunk : chunks) {
		struct world w = whole;

		poison(&w, run_of(0, n - chunk.last, chunk.last));
		for (uint32_t pos = n - chunk.last; pos < n; pos += chunk.rows) {
			uint32_t size = n - pos < chunk.rows ? n - pos : chunk.rows;
			struct result r = run_pass(&w, run_of(1, pos / 2, 3) + run_of(0, pos, size),
			    false, true, 0, FORM_F32);

			check_same(&r.f32[3 * wide], &all.f32[pos * wide], size * wide);
		}
	}
}

static void test_prompt_rows_are_independent(void **state)
{
	struct layer l = layer_of(2, 1, 64, BACKEND_F16);

	(void)state;
	check_chunks(l, 140);
	l.window = 60;
	check_chunks(l, 140);
	check_chunks(layer_of(1, 1, 128, BACKEND_Q8_0), 76);
	check_chunks(layer_of(1, 1, 256, BACKEND_F16), 76);
	check_chunks(layer_of(2, 1, 24, BACKEND_F32), 76);
}

/* Answers give the same bits alone, beside others, and under any bound. */
static void check_answers(struct layer l)
{
	struct world w = world_new(l), other;
	std::vector<place> rows = run_of(0, 150, 3) + run_of(1, 20, 2);
	size_t wide = l.n_head * l.dv;
	struct result all;

	fill(&w, run_of(0, 0, 150) + run_of(1, 0, 20));
	other = w;
	all = run_pass(&w, rows, true, true, 0, FORM_ALL);
	for (size_t t = 0; t < rows.size(); t++) {
		struct result r =
		    run_pass(&other, { rows[t] }, true, true, t % 2 == 0 ? 0 : 500, FORM_ALL);

		check_same(&r.f32[0], &all.f32[t * wide], wide);
		assert_memory_equal(&r.q8[0], &all.q8[t * wide], wide);
	}
}

static void test_answer_rows_are_independent(void **state)
{
	struct layer l = layer_of(4, 1, 128, BACKEND_F16);

	(void)state;
	check_answers(l);
	l.window = 60;
	check_answers(l);
	check_answers(layer_of(2, 2, 64, BACKEND_Q8_0));
	check_answers(layer_of(1, 1, 256, BACKEND_F16));
	check_answers(layer_of(9, 1, 32, BACKEND_F32));
}

/* One form alone is the same as among all; nothing else is written. */
static void check_single_forms(struct layer l, bool answer)
{
	std::vector<place> rows = run_of(0, 0, 5);
	struct world w = world_new(l);
	struct result all = run_pass(&w, rows, answer, true, 0, FORM_ALL);
	struct result q8 = run_pass(&w, rows, answer, true, 0, FORM_Q8);
	struct result f16 = run_pass(&w, rows, answer, true, 0, FORM_F16);

	assert_memory_equal(q8.q8.data(), all.q8.data(), all.q8.size());
	check_same(q8.q8_scales.data(), all.q8_scales.data(), all.q8_scales.size());
	assert_memory_equal(f16.f16.data(), all.f16.data(), 2 * all.f16.size());
	check_same(f16.f16_scales.data(), all.f16_scales.data(), all.f16_scales.size());
	for (float x : q8.f32)
		assert_true(isnan(x));
}

static void test_forms_alone(void **state)
{
	(void)state;
	for (bool answer : { false, true }) {
		check_single_forms(layer_of(4, 1, 64, BACKEND_F16), answer);
		check_single_forms(layer_of(6, 2, 16, BACKEND_F32), answer);
	}
}

/* Many runs, more than a launch takes; and rows that read what others stored. */
static void test_many_runs_and_borrowed_caches(void **state)
{
	struct layer l = layer_of(2, 1, 64, BACKEND_F16);
	struct world w;
	std::vector<place> rows;
	struct result r, again;

	(void)state;
	l.n_seq = 40;
	l.cells = 32;
	w = world_new(l);
	for (uint32_t s = 0; s < 40; s++)
		rows = rows + run_of(s, 0, 1 + s % 2);
	r = check_pass(&w, rows, false, NEAR_PROMPT);
	again = run_pass(&w, rows, false, false, 0, FORM_ALL);
	check_same(again.f32.data(), r.f32.data(), r.f32.size());
	rows.clear();
	for (uint32_t s = 0; s < 16; s++)
		rows.push_back({ s * 2 + 1, 2 });
	r = check_pass(&w, rows, true, NEAR_ANSWER);
	again = run_pass(&w, rows, true, false, 0, FORM_ALL);
	check_same(again.f32.data(), r.f32.data(), r.f32.size());
}

static void check_equal(const struct result &a, const struct result &b)
{
	check_same(a.f32.data(), b.f32.data(), a.f32.size());
	check_same(a.q8_scales.data(), b.q8_scales.data(), a.q8_scales.size());
	assert_memory_equal(a.q8.data(), b.q8.data(), a.q8.size());
	assert_memory_equal(a.f16.data(), b.f16.data(), 2 * a.f16.size());
}

/* Rows that share sequences, across a border of steps; blocks in either order, steps
 * merged by either kernel: the same bits, which are those of a row alone. */
static void check_orders(struct layer l)
{
	std::vector<place> rows = run_of(0, 125, 6) + run_of(1, 20, 3) + run_of(0, 131, 2);
	struct world start = world_new(l), w, alone;
	struct result all;
	size_t wide = l.n_head * l.dv;

	fill(&start, run_of(0, 0, 125) + run_of(1, 0, 20));
	poison(&start, rows);
	w = start;
	finish = FINISH_NEVER;
	all = check_pass(&w, rows, true, near_answer(&l));
	for (int i = 0; i < 3; i++) {
		struct world again = start;

		finish = i == 0 ? FINISH_NEVER : FINISH_ALWAYS;
		emulate_backwards = i != 1;
		check_equal(run_pass(&again, rows, true, true, 0, FORM_ALL), all);
		assert_memory_equal(again.keys.data(), w.keys.data(), w.keys.size());
		assert_memory_equal(again.values.data(), w.values.data(), w.values.size());
	}
	emulate_backwards = false;
	alone = start;
	for (size_t t = 0; t < rows.size(); t++) {
		struct result r = run_pass(&alone, { rows[t] }, true, true, 512, FORM_ALL);

		check_same(r.f32.data(), &all.f32[t * wide], wide);
	}
	finish = FINISH_MIXED;
}

static void test_answers_in_any_order(void **state)
{
	struct layer l = layer_of(4, 1, 128, BACKEND_F16);

	(void)state;
	l.norms = true;
	check_orders(l);
	l.window = 5;
	l.halves = true;
	check_orders(l);
	l = layer_of(6, 2, 64, BACKEND_Q8_0);
	l.v_is_k = l.v_norm = true;
	check_orders(l);
	l = layer_of(20, 1, 64, BACKEND_F16); /* two pieces of query heads */
	l.sinks = true;
	l.temp_scale = 0.3f;
	check_orders(l);
	check_orders(layer_of(2, 2, 96, BACKEND_F16));
	l = layer_of(2, 1, 256, BACKEND_Q8_0); /* two tiles a step */
	l.norms = true;
	l.n_rot = 64;
	check_orders(l);
	check_orders(layer_of(10, 1, 256, BACKEND_F16));
}

/* The same grid for one row whose positions move, as a graph is replayed; all classes of
 * steps, and windows that begin in any of them. */
static void check_moving(struct layer l, uint32_t end)
{
	struct world w = world_new(l);

	finish = FINISH_ALWAYS;
	for (uint32_t pos = 0; pos < end; pos++) {
		bool near = pos % CUDA_STEP < 2 || pos % CUDA_STEP > 126 || pos + 1 == end;

		if (near) {
			poison(&w, { { 1, pos } });
			(void)check_pass(&w, { { 1, pos } }, true, near_answer(&l));
			emulate_backwards = !emulate_backwards;
		} else {
			uint32_t n = 126 - pos % CUDA_STEP + 1;

			n = pos + n < end - 1 ? n : end - 1 - pos;
			fill(&w, run_of(1, pos, n));
			pos += n - 1;
		}
	}
	finish = FINISH_MIXED;
	emulate_backwards = false;
}

static void test_one_row_moving_on(void **state)
{
	struct layer l = layer_of(4, 2, 64, BACKEND_F16);

	(void)state;
	l.cells = 2048;
	check_moving(l, 1100);
	l.window = 300;
	l.cells = 512;
	check_moving(l, 1100);
}

/* 512 numbers: prompts take the kernel of answers, behind one that prepares heads. */
static void test_heads_prepared_by_either_kernel(void **state)
{
	(void)state;
	for (enum backend_cache type : { BACKEND_F16, BACKEND_Q8_0 }) {
		struct layer l = layer_of(3, 1, 512, type);
		struct world a, b;

		l.cells = 64;
		l.norms = true;
		l.temp_scale = 0.3f;
		a = b = world_new(l);
		check_equal(run_pass(&a, run_of(0, 0, 9), true, true, 0, FORM_ALL),
		    run_pass(&b, run_of(0, 0, 9), false, true, 0, FORM_ALL));
		assert_memory_equal(a.keys.data(), b.keys.data(), a.keys.size());
		assert_memory_equal(a.values.data(), b.values.data(), a.values.size());
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_common_heads_agree_with_double),
		cmocka_unit_test(test_q8_cache_agrees_with_double),
		cmocka_unit_test(test_any_head_agrees_with_double),
		cmocka_unit_test(test_values_that_stand_in_keys),
		cmocka_unit_test(test_large_groups_of_query_heads),
		cmocka_unit_test(test_norms_rotations_and_growth),
		cmocka_unit_test(test_softcap_and_sinks),
		cmocka_unit_test(test_windows_over_rings),
		cmocka_unit_test(test_prompt_rows_are_independent),
		cmocka_unit_test(test_answer_rows_are_independent),
		cmocka_unit_test(test_forms_alone),
		cmocka_unit_test(test_many_runs_and_borrowed_caches),
		cmocka_unit_test(test_answers_in_any_order),
		cmocka_unit_test(test_one_row_moving_on),
		cmocka_unit_test(test_heads_prepared_by_either_kernel),
	};

	random_start();
	if (getenv("ONLY") != NULL)
		cmocka_set_test_filter(getenv("ONLY"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
