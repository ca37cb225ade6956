/*
 * cuda/gemm.cu under the emulator against sums in double: tails in all three sizes,
 * padding, slices, and rows whose bits do not depend on the others.  cuda_widen() and
 * cuda_gemv() are stood in for here: a matrix is plain floats in its first plane.
 */

#include "cuda/gemm.cuh"
#include "kernel_test.h"
#include "model/type.h"

static unsigned n_gemv, n_widened;

/* [rows][k padded] */
static std::vector<uint16_t> random_halves(size_t rows, size_t k)
{
	size_t kp = gemm_padded(k);
	std::vector<uint16_t> v(rows * kp);

	for (size_t r = 0; r < rows; r++) {
		for (size_t i = 0; i < k; i++)
			v[r * kp + i] = half_to_f16(random_float());
	}
	return v;
}

cudaError_t cuda_widen(const struct cuda_pass *, const struct backend_matrix *m, uint64_t first,
    uint64_t rows, uint16_t *out)
{
	const float *from = (const float *)m->planes[0];
	uint64_t kp = gemm_padded(m->k);

	n_widened++;
	for (uint64_t r = 0; r < rows; r++) {
		for (uint64_t i = 0; i < kp; i++)
			out[r * kp + i] = i < m->k ? half_to_f16(from[(first + r) * m->k + i]) : 0;
	}
	return cudaSuccess;
}

cudaError_t cuda_gemv(const struct cuda_pass *, const struct backend_product *a, uint32_t n,
    const struct backend_acts *in, uint32_t n_rows)
{
	const float *w = (const float *)a->matrix.planes[0];

	assert_int_equal(n, 1);
	n_gemv++;
	for (uint64_t t = 0; t < n_rows; t++) {
		for (uint64_t r = 0; r < a->rows; r++) {
			double sum = a->bias != NULL ? a->bias[r] : 0;

			for (uint64_t i = 0; i < a->matrix.k; i++)
				sum +=
				    (double)w[r * a->matrix.k + i] * in->f32[t * a->matrix.k + i];
			a->out[t * a->out_stride + r] = (float)sum;
		}
	}
	return cudaSuccess;
}

struct sizes {
	uint32_t rows, k, n_rows, units;
	uint64_t stride;
	bool scaled, biased, add;
};

static void check_gemm(const struct sizes &s)
{
	size_t kp = gemm_padded(s.k);
	std::vector<uint16_t> w = random_halves(s.rows, s.k), x = random_halves(s.n_rows, s.k);
	std::vector<float> bias = random_floats(s.rows), scales(s.n_rows);
	std::vector<float> old = random_floats(s.n_rows * s.stride);
	std::vector<float> out = s.add ? old : poison(s.n_rows * s.stride);
	struct cuda_pass p = pass_of(s.n_rows, s.units);

	for (float &f : scales)
		f = ldexpf(1.0f, (int)(random_word() % 9) - 4);
	assert_int_equal(
	    cuda_gemm(&p, w.data(), s.rows, s.k, x.data(), s.scaled ? scales.data() : NULL,
		s.n_rows, s.biased ? bias.data() : NULL, out.data(), s.stride, s.add),
	    cudaSuccess);
	for (size_t t = 0; t < s.n_rows; t++) {
		double scale = s.scaled ? scales[t] : 1.0;

		for (size_t r = 0; r < s.stride; r++) {
			size_t at = t * s.stride + r;
			double sum = 0, size = 0;

			if (r >= s.rows) { /* between the rows nothing is written */
				assert_true(s.add ? out[at] == old[at] : poisoned(out[at]));
				continue;
			}
			for (size_t i = 0; i < s.k; i++) {
				double one = scale * half_from_f16(w[r * kp + i]) *
					     half_from_f16(x[t * kp + i]);

				sum += one;
				size += fabs(one);
			}
			sum += (s.biased ? bias[r] : 0.0) + (s.add ? old[at] : 0.0);
			if (!(fabs(out[at] - sum) <= 1e-6 * (size + 2.0)))
				fail_msg("rows %u k %u n %u: [%zu][%zu] %g, not %g", s.rows, s.k,
				    s.n_rows, t, r, out[at], sum);
		}
	}
}

static void test_sums_agree_with_double(void **)
{
	static const struct sizes all[] = {
		{ 1, 1, 1, 132, 1, false, false, false }, { 7, 33, 5, 132, 9, true, true, false },
		{ 130, 100, 33, 132, 130, true, false, true },
		{ 129, 448, 65, 132, 131, true, true, true },
		{ 256, 192, 128, 1, 256, true, true, false },  /* large */
		{ 259, 70, 140, 1, 260, true, true, true },    /* large, tails */
		{ 511, 64, 129, 1, 511, false, true, false },  /* odd stride */
		{ 128, 256, 128, 1, 128, true, false, false }, /* middle */
		{ 101, 320, 131, 1, 104, true, true, true },   /* middle, tails */
		{ 40, 128, 1200, 4, 42, true, true, false },   /* several bands */
	};

	for (const struct sizes &s : all)
		check_gemm(s);
}

static void test_random_sizes_agree_with_double(void **)
{
	for (int i = 0; i < 25; i++) {
		struct sizes s = {};

		s.rows = 1 + random_word() % 280;
		s.k = 1 + random_word() % 300;
		s.n_rows = 1 + random_word() % 170;
		s.units = 1 + random_word() % 4;
		s.stride = s.rows + random_word() % 4;
		s.scaled = random_word() % 2 != 0;
		s.biased = random_word() % 2 != 0;
		s.add = random_word() % 2 != 0;
		check_gemm(s);
	}
}

static void test_bits_of_a_row_do_not_depend_on_the_others(void **)
{
	const uint32_t rows = 260, k = 330, n = 200;
	const uint32_t firsts[] = { 0, 3, 70, 199 }, counts[] = { 1, 17, 65, 130 };
	size_t kp = gemm_padded(k);
	std::vector<uint16_t> w = random_halves(rows, k), x = random_halves(n, k);
	std::vector<float> bias = random_floats(rows), scales(n, 0.5f), all = poison(n * rows);
	struct cuda_pass p = pass_of(n, 1);

	assert_int_equal(cuda_gemm(&p, w.data(), rows, k, x.data(), scales.data(), n, bias.data(),
			     all.data(), rows, false),
	    cudaSuccess);
	for (uint32_t first : firsts) {
		for (uint32_t count : counts) {
			std::vector<float> out;

			count = count < n - first ? count : n - first;
			out = poison(count * rows);
			p.units = 1 + random_word() % 140;
			assert_int_equal(
			    cuda_gemm(&p, w.data(), rows, k, x.data() + first * kp, scales.data(),
				count, bias.data(), out.data(), rows, false),
			    cudaSuccess);
			assert_memory_equal(out.data(), all.data() + (size_t)first * rows,
			    out.size() * sizeof(float));
		}
	}
}

static struct backend_product product_of(uint32_t type, const std::vector<float> &w, uint64_t rows,
    uint64_t k, std::vector<float> &out, const float *bias)
{
	struct backend_product a = {};

	a.matrix.type = type;
	a.matrix.k = k;
	a.matrix.rows = rows;
	a.matrix.height = rows;
	a.matrix.planes[0] = (const uint8_t *)w.data();
	a.matrix.strides[0] = k * 4;
	a.rows = rows;
	a.bias = bias;
	a.out = out.data();
	a.out_stride = rows;
	return a;
}

static void check_product(const struct backend_product &a, const std::vector<float> &w,
    const struct backend_acts &in, uint32_t n_rows, double tolerance)
{
	size_t kp = gemm_padded(a.matrix.k);

	for (size_t t = 0; t < n_rows; t++) {
		for (size_t r = 0; r < a.rows; r++) {
			double sum = a.bias != NULL ? a.bias[r] : 0;

			for (size_t i = 0; i < a.matrix.k; i++)
				sum += (double)w[r * a.matrix.k + i] *
				       half_from_f16(in.f16[t * kp + i]) * in.f16_scales[t];
			assert_true(fabs(a.out[t * a.out_stride + r] - sum) <= tolerance);
		}
	}
}

/* One matrix in slices, one of F32, one of halves where it lies. */
static void test_products_go_the_way_of_their_type(void **)
{
	const uint32_t rows = 700, k = 128, n = 19;
	std::vector<float> w = random_floats(rows * k), f32 = random_floats(n * k);
	std::vector<float> bias = random_floats(rows), scales(n, 2.0f), outs[3];
	std::vector<uint16_t> x(n * k), halves(rows * k), work(300 * k);
	struct backend_product all[3];
	struct backend_acts in = {};
	struct cuda_pass p = pass_of(n, 8);

	for (size_t i = 0; i < f32.size(); i++) {
		x[i] = half_to_f16(f32[i]);
		f32[i] = half_from_f16(x[i]) * 2.0f;
	}
	for (size_t i = 0; i < w.size(); i++) {
		halves[i] = half_to_f16(w[i]);
		w[i] = half_from_f16(halves[i]);
	}
	for (std::vector<float> &out : outs)
		out = poison(n * rows);
	in.f32 = f32.data();
	in.f16 = x.data();
	in.f16_scales = scales.data();
	p.work = (uint8_t *)work.data();
	p.work_bytes = work.size() * 2; /* 256 rows a slice */
	all[0] = product_of(TYPE_Q8_0, w, rows, k, outs[0], bias.data());
	all[1] = product_of(TYPE_F32, w, rows, k, outs[1], NULL);
	all[2] = product_of(TYPE_F16, w, rows, k, outs[2], bias.data());
	all[2].matrix.planes[0] = (const uint8_t *)halves.data();
	all[2].matrix.strides[0] = k * 2;
	n_gemv = n_widened = 0;
	assert_int_equal(cuda_prompt_matmul(&p, all, 3, &in), cudaSuccess);
	assert_int_equal(n_gemv, 1);
	assert_int_equal(n_widened, 3);
	for (const struct backend_product &a : all)
		check_product(a, w, in, n, 1e-3);
	p.work_bytes = k * 2 - 1;
	assert_int_not_equal(cuda_prompt_matmul(&p, all, 1, &in), cudaSuccess);
}

static void test_work_holds_a_row_of_any_matrix(void **)
{
	for (int i = 0; i < 200; i++) {
		uint64_t k = 1 + random_word() % 300000, rows = 1 + random_word() % 300000;

		assert_true(cuda_gemm_work(k * rows) >= gemm_padded(k) * 2);
		assert_true(cuda_gemm_work(k * rows) <= (1ull << 30) + (1ull << 20));
	}
}

int main()
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums_agree_with_double),
		cmocka_unit_test(test_random_sizes_agree_with_double),
		cmocka_unit_test(test_bits_of_a_row_do_not_depend_on_the_others),
		cmocka_unit_test(test_products_go_the_way_of_their_type),
		cmocka_unit_test(test_work_holds_a_row_of_any_matrix),
	};

	random_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
