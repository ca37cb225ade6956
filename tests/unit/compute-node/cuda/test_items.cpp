/*
 * cuda/items.cu and cuda/stacked.cu under the emulator: parts of rows copied, normed,
 * mixed and gated, and stacks of matrices, against the same in double precision, with
 * outputs poisoned before.
 */

#include "cuda/parts.h"
#include "kernel_test.h"
#include "random_weights.h"

/* Several at once: each number to its place, all others as they were. */
static void test_parts_are_copied_and_nothing_else(void **)
{
	for (int round = 0; round < 20; round++) {
		uint32_t n_rows = 1 + random_word() % 5, n_copies = 1 + random_word() % 4;
		struct cuda_pass p = pass_of(n_rows);
		std::vector<float> from[BACKEND_COPIES], to[BACKEND_COPIES], expected;
		struct backend_copy c[BACKEND_COPIES] = {};

		for (uint32_t i = 0; i < n_copies; i++) {
			c[i].n = 1 + random_word() % 70;
			c[i].items = 1 + random_word() % 40;
			c[i].from_item = c[i].n + random_word() % 3;
			c[i].from_row = c[i].items * c[i].from_item + random_word() % 5;
			if (random_word() % 2 == 0) { /* heads apart, rows together */
				c[i].to_row = c[i].n;
				c[i].to_item = (uint64_t)n_rows * c[i].n;
			} else {
				c[i].to_item = c[i].n + 1;
				c[i].to_row = c[i].items * c[i].to_item;
			}
			from[i] = random_floats(n_rows * c[i].from_row);
			to[i] = poison(n_rows * (c[i].n + 1) * c[i].items);
			c[i].from = from[i].data();
			c[i].to = to[i].data();
		}
		assert_int_equal(cuda_copy(&p, c, n_copies), cudaSuccess);
		for (uint32_t i = 0; i < n_copies; i++) {
			expected = poison(to[i].size());
			for (uint32_t t = 0; t < n_rows; t++) {
				for (uint32_t j = 0; j < c[i].items; j++)
					memcpy(&expected[t * c[i].to_row + j * c[i].to_item],
					    &from[i][t * c[i].from_row + j * c[i].from_item],
					    c[i].n * sizeof(float));
			}
			assert_memory_equal(
			    to[i].data(), expected.data(), to[i].size() * sizeof(float));
		}
	}
}

static void check_norms(
    uint32_t n_rows, uint32_t items, uint32_t n, uint32_t weights, bool gated, bool in_place)
{
	struct cuda_pass p = pass_of(n_rows);
	const uint32_t width = items * n, padded = (width + 63) / 64 * 64, gap = in_place ? 0 : 3;
	std::vector<float> x = random_floats(n_rows * (width + gap)), w = random_floats(weights * n);
	std::vector<float> z = random_floats(n_rows * width), to = poison(n_rows * width), kept = x;
	std::vector<float> scales = poison(n_rows);
	std::vector<uint16_t> halves(n_rows * padded, 0xffff);
	struct backend_norms a = {};

	a.x = x.data();
	a.x_row = width + gap;
	a.x_item = n;
	a.items = items;
	a.n = n;
	a.weight = weights > 0 ? w.data() : NULL;
	a.weights = weights;
	a.eps = 1e-5f;
	a.gate = gated ? z.data() : NULL;
	a.to = in_place ? x.data() : to.data();
	a.out.f16 = width % 4 == 0 ? halves.data() : NULL;
	a.out.f16_scales = scales.data();
	assert_int_equal(cuda_norms(&p, &a), cudaSuccess);
	for (uint32_t t = 0; t < n_rows; t++) {
		for (uint32_t i = 0; i < width; i++) {
			const float *item = &kept[t * a.x_row + i / n * n];
			double sum = 0, y;

			for (uint32_t d = 0; d < n; d++)
				sum += (double)item[d] * (double)item[d];
			y = (double)item[i % n] / sqrt(sum / n + 1e-5);
			if (weights > 0)
				y *= (double)w[i / n % weights * n + i % n];
			if (gated)
				y *= (double)z[t * width + i] /
				     (1 + exp(-(double)z[t * width + i]));
			check_close((double)a.to[t * width + i], y, 1e-5);
			if (a.out.f16 != NULL)
				check_close((double)(half_from_f16(halves[t * padded + i]) *
					scales[t]), y, 2e-3);
		}
	}
}

static void test_norms_of_parts_agree_with_double(void **)
{
	check_norms(3, 1, 512, 1, false, false);
	check_norms(2, 5, 16, 1, true, true);
	check_norms(4, 2, 100, 2, false, true);
	check_norms(1, 7, 3, 0, false, false);
	check_norms(2, 6, 33, 3, true, false);
}

static void test_blends_agree_with_double(void **)
{
	for (int round = 0; round < 16; round++) {
		uint32_t n_rows = 1 + random_word() % 4, n = 1 + random_word() % 300;
		bool keeps = (round & 1) != 0, from = (round & 2) != 0, gate = (round & 4) != 0;
		struct cuda_pass p = pass_of(n_rows);
		std::vector<float> to = keeps ? random_floats(n_rows * n) : poison(n_rows * n), was = to;
		std::vector<float> x = random_floats(n_rows * n), g = random_floats(n_rows);
		struct backend_blend m = {};

		m.to = to.data();
		m.keep = keeps ? 0.7f : 0;
		m.from = from ? x.data() : NULL;
		m.times = 1.5f;
		m.gate = gate ? g.data() : NULL;
		m.n = n;
		assert_int_equal(cuda_blend(&p, &m), cudaSuccess);
		for (uint32_t i = 0; i < n_rows * n; i++) {
			double y = keeps ? (double)was[i] * (double)m.keep : 0;

			if (from)
				y += 1.5 * (double)x[i] *
				     (gate ? 1 / (1 + exp(-(double)g[i / n])) : 1);
			check_close((double)to[i], y, 1e-6);
		}
	}
}

static void test_gates_agree_with_double(void **)
{
	const uint32_t n_rows = 3, n = 96;
	struct cuda_pass p = pass_of(n_rows);
	std::vector<float> gate = random_floats(n_rows * n), up = random_floats(n_rows * n), was = up;
	std::vector<float> out = poison(n_rows * n);
	struct backend_acts acts = {};

	acts.f32 = out.data();
	assert_int_equal(cuda_activate_rows(&p, BACKEND_SIGMOID_GATED, NULL, gate.data(),
			     up.data(), n, &acts), cudaSuccess);
	for (uint32_t i = 0; i < n_rows * n; i++)
		check_close(
		    (double)out[i], (double)was[i] / (1 + exp(-(double)gate[i])), 1e-6);
	up = was;
	assert_int_equal(cuda_activate_rows(
			     &p, BACKEND_RELU_SQUARED, NULL, NULL, up.data(), n, &acts), cudaSuccess);
	for (uint32_t i = 0; i < n_rows * n; i++)
		check_close((double)out[i],
		    was[i] > 0 ? (double)was[i] * (double)was[i] : 0, 1e-6);
}

/* Rows in all forms, and what they mean in the one that a class multiplies. */
struct rows {
	std::vector<float> f32, q8_scales, f16_scales;
	std::vector<int8_t> q8;
	std::vector<uint16_t> f16;
	struct backend_acts acts = {};
	uint32_t k;

	rows(uint32_t n, uint32_t k_) : k(k_)
	{
		struct cuda_pass p = pass_of(n);

		f32 = random_floats((size_t)n * k);
		q8.resize((size_t)n * k);
		q8_scales = poison((size_t)n * (k / 32 + 1) * 2);
		f16.resize((size_t)n * ((k + 63) / 64 * 64));
		f16_scales = poison(n);
		acts.q8 = k % 32 == 0 ? q8.data() : NULL;
		acts.q8_scales = q8_scales.data();
		acts.f16 = f16.data();
		acts.f16_scales = f16_scales.data();
		assert_int_equal(cuda_forms(&p, f32.data(), k, n, &acts), cudaSuccess);
		acts.f32 = f32.data();
	}
	double value(bool quantised, size_t row, size_t i) const
	{
		size_t at = row * k + i;

		return quantised ? (double)q8[at] * (double)q8_scales[at / 32 * 2] : (double)f32[at];
	}
};

static void check_stack(
    uint32_t type, uint32_t n, uint32_t height, uint32_t k, uint32_t n_rows, bool answer)
{
	const struct test_matrix m(type, k, (uint64_t)n * height);
	const struct rows in(n * n_rows, k);
	std::vector<float> out = poison((size_t)n * n_rows * height + 1);
	struct cuda_pass p = pass_of(n_rows);
	/* room for three matrices at a time */
	uint64_t bytes = cuda_stacked_work(n_rows, n, 0) - (1u << 20) +
			 3ull * height * ((k + 63) / 64 * 64) * 2;
	std::vector<uint8_t> work(bytes, 0xff);

	p.answer = answer;
	p.work = work.data();
	p.work_bytes = bytes;
	assert_int_equal(cuda_stacked(&p, &m.m, n, &in.acts, out.data()), cudaSuccess);
	assert_true(poisoned(out[(size_t)n * n_rows * height]));
	for (size_t at = 0; at < (size_t)n * n_rows * height; at++) {
		size_t row = at / height, r = row / n_rows * height + at % height;
		double sum = 0, size = 0;

		for (size_t i = 0; i < k; i++) {
			double term = m.value(r, i) *
				      in.value(answer && !is_float_type(type), row, i);

			sum += term;
			size += fabs(term);
		}
		if (!(fabs((double)out[at] - sum) <= (answer ? 1e-5 : 2e-3) * size))
			fail_msg("%u: %.9g instead of %.9g", type, (double)out[at], sum);
	}
}

static void test_stacks_agree_with_double(void **)
{
	static const uint32_t types[] = { TYPE_F32, TYPE_F16, TYPE_Q8_0, TYPE_Q4_0 };

	for (uint32_t type : types) {
		check_stack(type, 4, 24, 64, 3, true);
		check_stack(type, 5, 20, 96, 70, false);
		check_stack(type, 2, 36, 128, 1, false);
	}
}

int main()
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts_are_copied_and_nothing_else),
		cmocka_unit_test(test_norms_of_parts_agree_with_double),
		cmocka_unit_test(test_blends_agree_with_double),
		cmocka_unit_test(test_gates_agree_with_double),
		cmocka_unit_test(test_stacks_agree_with_double),
	};

	random_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
