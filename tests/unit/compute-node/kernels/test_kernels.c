/*
 * Kernels: scalar against OpenBLAS in double, every set of this CPU against
 * scalar bit for bit, and the elementary functions against libm.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cblas.h>
#include <cmocka.h>

#include "base/random.h"
#include "kernels/exact.h"
#include "kernels/kernels.h"
#include "kernels/kernels_sets.h"

#define MAX_ROWS 70
#define MAX_K 800
#define MAX_X 140
#define FEW_X 20
#define HEAD_MAX 96
#define CELLS 80

static uint64_t state;

static float random_float(void)
{
	return (float)((int64_t)(random_next(&state) >> 40) - (1 << 23)) * 0x1p-22f;
}

static void fill(float *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = random_float();
}

static size_t below(size_t n)
{
	return (size_t)(random_next(&state) % n);
}

/* Sane F16 numbers where a block has them. */
static void put_halves(enum tensor_type type, uint8_t *block)
{
	static const struct {
		enum tensor_type type;
		int at;
	} places[] = { { TYPE_Q2_K, 80 }, { TYPE_Q3_K, 108 }, { TYPE_Q6_K, 208 },
		{ TYPE_NVFP4, -1 } };
	int at = 0;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		at = type == places[i].type ? places[i].at : at;
	for (int i = 0; at >= 0 && i < 2; i++) {
		uint16_t half = half_to_f16(random_float());

		/* the second is an offset where there is one, else any byte */
		if (i == 0 || kernels_kind(type) == KIND_MIN ||
		    kernels_kind(type) == KIND_MIN_HALVES)
			memcpy(block + at + 2 * i, &half, sizeof(half));
		if (type == TYPE_F16)
			break;
	}
}

/* A matrix of `type` with random content, its scales being sane. */
static uint8_t *random_matrix(enum tensor_type type, size_t n_rows, size_t k)
{
	size_t bytes = type_row_bytes(type, k) * n_rows, step = type_info(type)->block_bytes;
	uint8_t *out = malloc(bytes);

	assert_non_null(out);
	for (size_t i = 0; i < bytes; i++)
		out[i] = (uint8_t)random_next(&state);
	for (size_t i = 0; i < bytes; i += step) {
		float value = random_float();

		if (type == TYPE_F32)
			memcpy(out + i, &value, sizeof(value));
		else if (type == TYPE_MXFP4)
			out[i] = (uint8_t)(118 + below(10));
		else if (type == TYPE_BF16)
			out[i + 1] = (uint8_t)((out[i + 1] & 0x80) | 0x3f);
		else
			put_halves(type, out + i);
	}
	return out;
}

/* weights · x in double, from widened weights. */
static void oracle(enum tensor_type type, const uint8_t *weights, size_t n_rows, const float *x,
    size_t n_x, size_t k, double *out)
{
	double *w = calloc(n_rows * k, sizeof(*w)), *a = calloc(n_x * k, sizeof(*a));
	float *row = calloc(k, sizeof(*row));

	assert_true(w != NULL && a != NULL && row != NULL);
	for (size_t r = 0; r < n_rows; r++) {
		kernels_widen(type, weights + r * type_row_bytes(type, k), k, row);
		for (size_t i = 0; i < k; i++)
			w[r * k + i] = (double)row[i];
	}
	for (size_t i = 0; i < n_x * k; i++)
		a[i] = (double)x[i];
	cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)n_x, (int)n_rows, (int)k, 1.0, a,
	    (int)k, w, (int)k, 0.0, out, (int)n_rows);
	free(w);
	free(a);
	free(row);
}

static double nmse(const float *got, const double *expected, size_t n)
{
	double error = 0, power = 0;

	for (size_t i = 0; i < n; i++) {
		error += ((double)got[i] - expected[i]) * ((double)got[i] - expected[i]);
		power += expected[i] * expected[i];
	}
	return error / power;
}

struct q8 {
	struct q8_rows rows;
	int8_t quants[MAX_X * MAX_K];
	struct q8_block blocks[MAX_X * MAX_K / KERNEL_BLOCK];
};

static void quantize_rows(
    const struct kernels *kernels, const float *x, size_t n_x, size_t k, struct q8 *out)
{
	out->rows = (struct q8_rows){ out->quants, out->blocks, k };
	for (size_t t = 0; t < n_x; t++)
		kernels->quantize(
		    x + t * k, k, out->quants + t * k, out->blocks + t * k / KERNEL_BLOCK);
}

/* A whole matrix by one set, strip by strip. */
static void multiply(const struct kernels *kernels, enum tensor_type type, const uint8_t *weights,
    size_t n_rows, const float *x, size_t n_x, size_t k, float *out)
{
	static struct q8 q8;
	static uint8_t quants[KERNEL_STRIP * MAX_K];
	static float scales[KERNEL_STRIP * MAX_K / KERNEL_BLOCK * KERNEL_FLOATS_MAX];
	const struct kernel_scratch scratch = { quants, scales };
	size_t row_bytes = type_row_bytes(type, k);

	if (kernels_form(type) == FORM_F32) {
		kernels->rows[type](weights, row_bytes, n_rows, x, k, n_x, k, out, n_rows);
		return;
	}
	quantize_rows(kernels, x, n_x, k, &q8);
	for (size_t r = 0; r < n_rows; r += KERNEL_STRIP) {
		size_t n = n_rows - r < KERNEL_STRIP ? n_rows - r : KERNEL_STRIP;

		const struct weight_rows some = { weights + r * row_bytes, row_bytes, n, weights };

		kernels_multiply(kernels, type, &some, &q8.rows, n_x, &scratch, out + r, n_rows);
	}
}

/* Calls `check` for random odd shapes of every type that can be computed. */
static void for_shapes(void (*check)(enum tensor_type type, size_t n_rows, size_t n_x, size_t k))
{
	state = 7;
	for (uint32_t t = 0; t <= TYPE_NUMBER_MAX; t++) {
		enum kernel_form form =
		    type_info(t) != NULL ? kernels_form((enum tensor_type)t) : FORM_NONE;

		for (int i = 0; form != FORM_NONE && i < 12; i++) {
			size_t block = type_info(t)->block > 1 ? type_info(t)->block : 1;
			size_t k = block * (1 + below(MAX_K / block));

			check((enum tensor_type)t, 1 + below(MAX_ROWS), 1 + below(FEW_X), k);
		}
	}
}

static void check_oracle(enum tensor_type type, size_t n_rows, size_t n_x, size_t k)
{
	static float x[MAX_X * MAX_K], out[MAX_X * MAX_ROWS];
	static double expected[MAX_X * MAX_ROWS];
	uint8_t *weights = random_matrix(type, n_rows, k);
	double bound = kernels_form(type) == FORM_F32 ? 1e-11 : 5e-4;

	fill(x, n_x * k);
	multiply(kernels_scalar(), type, weights, n_rows, x, n_x, k, out);
	oracle(type, weights, n_rows, x, n_x, k, expected);
	if (!(nmse(out, expected, n_x * n_rows) < bound))
		fail_msg("%s %zux%zu times %zu: NMSE %g", type_info(type)->name, n_rows, k, n_x,
		    nmse(out, expected, n_x * n_rows));
	free(weights);
}

static void test_scalar_products_agree_with_blas_in_double(void **unused)
{
	(void)unused;
	for_shapes(check_oracle);
}

static void check_sets(enum tensor_type type, size_t n_rows, size_t n_x, size_t k)
{
	static float x[MAX_X * MAX_K], expected[MAX_X * MAX_ROWS], out[MAX_X * MAX_ROWS];
	const struct kernels *sets[KERNEL_SETS_MAX];
	uint8_t *weights = random_matrix(type, n_rows, k);
	size_t n = kernels_sets(sets);

	fill(x, n_x * k);
	multiply(kernels_scalar(), type, weights, n_rows, x, n_x, k, expected);
	for (size_t i = 0; i < n; i++) {
		memset(out, 0xee, sizeof(out));
		multiply(sets[i], type, weights, n_rows, x, n_x, k, out);
		if (memcmp(out, expected, n_x * n_rows * sizeof(float)) != 0)
			fail_msg("%s of %s differs from scalar (%zux%zu times %zu)",
			    type_info(type)->name, sets[i]->name, n_rows, k, n_x);
	}
	free(weights);
}

static void test_every_set_multiplies_to_the_bits_of_scalar(void **unused)
{
	(void)unused;
	for_shapes(check_sets);
}

/* More rows than any set takes in one go. */
static void test_many_rows_multiply_to_the_bits_of_scalar(void **unused)
{
	(void)unused;
	state = 23;
	for (uint32_t t = 0; t <= TYPE_NUMBER_MAX; t++) {
		if (type_info(t) != NULL && kernels_form((enum tensor_type)t) == FORM_Q8)
			check_sets((enum tensor_type)t, 20, MAX_X - below(5), 512);
	}
}

/* One row must not depend on how many others are computed with it. */
static void check_alone(enum tensor_type type, size_t n_rows, size_t n_x, size_t k)
{
	static float x[MAX_X * MAX_K], all[MAX_X * MAX_ROWS], one[MAX_ROWS];
	const struct kernels *sets[KERNEL_SETS_MAX];
	uint8_t *weights = random_matrix(type, n_rows, k);
	size_t n = kernels_sets(sets);

	fill(x, n_x * k);
	for (size_t i = 0; i < n; i++) {
		multiply(sets[i], type, weights, n_rows, x, n_x, k, all);
		for (size_t t = 0; t < n_x; t++) {
			multiply(sets[i], type, weights, n_rows, x + t * k, 1, k, one);
			assert_memory_equal(one, all + t * n_rows, n_rows * sizeof(float));
		}
	}
	free(weights);
}

static void test_a_row_has_the_same_bits_alone_and_in_a_batch(void **unused)
{
	(void)unused;
	for_shapes(check_alone);
}

#if defined(__aarch64__)
/* What `set` has of rows, strips, direct products and the tile. */
static void assert_products_adopted(const struct kernels *candidate)
{
	struct kernels set = *kernels_scalar();

	assert_true(kernels_adopt(&set, candidate, kernels_scalar()));
	for (size_t t = 0; t <= TYPE_NUMBER_MAX; t++) {
		if (candidate->tile[t] != NULL)
			assert_ptr_equal(set.tile[t], candidate->tile[t]);
		if (candidate->rows[t] != NULL)
			assert_ptr_equal(set.rows[t], candidate->rows[t]);
		if (candidate->strip[t] != NULL)
			assert_ptr_equal(set.strip[t], candidate->strip[t]);
		if (candidate->direct[t] != NULL)
			assert_ptr_equal(set.direct[t], candidate->direct[t]);
	}
}
#endif

static void test_no_function_of_this_cpus_sets_failed_its_check(void **unused)
{
	(void)unused;
#if defined(__x86_64__)
	struct kernels set = *kernels_scalar();
	const struct kernels *best = kernels_get();

	if (kernels_has_avx2()) {
		assert_true(kernels_adopt(&set, &kernels_avx2, kernels_scalar()));
		for (size_t i = 0; i <= TYPE_NUMBER_MAX; i++) {
			assert_ptr_equal(set.panels[i], kernels_avx2.panels[i]);
			assert_ptr_equal(set.direct[i], kernels_avx2.direct[i]);
		}
		assert_ptr_equal(set.quantize, kernels_avx2.quantize);
		assert_ptr_equal(set.softmax, kernels_avx2.softmax);
		assert_ptr_equal(set.mix_f16, kernels_avx2.mix_f16);
		assert_ptr_equal(set.scores_q8, kernels_avx2.scores_q8);
		assert_ptr_equal(set.mix_q8, kernels_avx2.mix_q8);
	}
	if (kernels_has_avx512()) {
		assert_ptr_equal(best->rows[TYPE_F16], kernels_avx512.rows[TYPE_F16]);
		for (size_t i = 0; i <= TYPE_NUMBER_MAX; i++)
			assert_ptr_equal(best->strip[i], kernels_avx512.strip[i]);
		assert_ptr_equal(best->quantize, kernels_avx512.quantize);
		assert_ptr_equal(best->rms_norm, kernels_avx512.rms_norm);
		assert_ptr_equal(best->swiglu, kernels_avx512.swiglu);
		assert_ptr_equal(best->softmax, kernels_avx512.softmax);
		assert_ptr_equal(best->scores_f32, kernels_avx512.scores_f32);
		assert_ptr_equal(best->mix_f32, kernels_avx512.mix_f32);
		assert_ptr_equal(best->scores_q8, kernels_avx512.scores_q8);
		assert_ptr_equal(best->mix_q8, kernels_avx512.mix_q8);
	}
	if (kernels_has_avx512vnni()) {
		for (size_t i = 0; i <= TYPE_NUMBER_MAX; i++) {
			assert_ptr_equal(best->tile[i], kernels_avx512vnni.tile[i]);
			assert_null(best->panels[i]);
			assert_ptr_equal(best->direct[i], kernels_avx512vnni.direct[i]);
		}
	}
#elif defined(__aarch64__)
	const struct kernels *best = kernels_get();

	if (kernels_has_neondot())
		assert_products_adopted(&kernels_neondot);
	assert_products_adopted(&kernels_neon);
	assert_string_equal(best->name, kernels_has_neoni8mm()  ? "neoni8mm"
					: kernels_has_neondot() ? "neondot"
								: "neon");
	if (kernels_has_neoni8mm())
		assert_memory_equal(best->tile, kernels_neoni8mm.tile, sizeof(best->tile));
	assert_ptr_equal(best->quantize, kernels_neon.quantize);
	assert_ptr_equal(best->rms_norm, kernels_neon.rms_norm);
	assert_ptr_equal(best->swiglu, kernels_neon.swiglu);
	assert_ptr_equal(best->softmax, kernels_neon.softmax);
	assert_ptr_equal(best->scores_f16, kernels_neon.scores_f16);
	assert_ptr_equal(best->scores_f32, kernels_neon.scores_f32);
	assert_ptr_equal(best->mix_f16, kernels_neon.mix_f16);
	assert_ptr_equal(best->mix_f32, kernels_neon.mix_f32);
#endif
}

/* NVFP4 as published: FP4 E2M1 in groups of 16 with an FP8 E4M3 scale each,
 * no sign; the values from the definition of such numbers. */
static void test_nvfp4_is_what_its_definition_says(void **unused)
{
	uint8_t block[36];
	float out[64];

	(void)unused;
	state = 19;
	for (int round = 0; round < 2000; round++) {
		for (size_t i = 0; i < sizeof(block); i++)
			block[i] = (uint8_t)random_next(&state);
		kernels_widen(TYPE_NVFP4, block, 64, out);
		for (int i = 0; i < 64; i++) {
			int group = i / 16, in_group = i % 16;
			int byte = block[4 + 8 * group + in_group % 8];
			int code = in_group < 8 ? byte & 15 : byte >> 4;
			int e2 = code >> 1 & 3, m2 = code & 1;
			double element = e2 == 0 ? 0.5 * m2 : ldexp(1 + 0.5 * m2, e2 - 1);
			int e8 = block[group] >> 3 & 15, m8 = block[group] & 7;
			double scale = e8 == 0 ? ldexp(m8, -9) : ldexp(1 + m8 / 8.0, e8 - 7);

			if (e8 == 15 && m8 == 7)
				scale = 0; /* no number */
			if (code >= 8)
				element = -element;
			assert_true(fabs((double)out[i] - element * scale) <= 0);
		}
	}
}

static void wrong_norm(const float *x, const float *weight, size_t n, float eps, float *y)
{
	kernels_scalar()->rms_norm(x, weight, n, eps, y);
	y[0] *= 1.0000002f;
}

static void test_a_kernel_with_one_wrong_bit_is_not_adopted(void **unused)
{
	const struct kernels broken = { .name = "broken", .rms_norm = wrong_norm };
	struct kernels set = *kernels_scalar();

	(void)unused;
	assert_false(kernels_adopt(&set, &broken, kernels_scalar()));
	assert_ptr_equal(set.rms_norm, kernels_scalar()->rms_norm);
	assert_string_equal(set.name, "scalar");
}

static void check_attention(const struct kernels *set, size_t head, size_t n_q, bool f16)
{
	static float cells[CELLS * HEAD_MAX], x[8 * HEAD_MAX], acc[2][8 * HEAD_MAX];
	static uint16_t halves[CELLS * HEAD_MAX];
	static float out[2][8 * CELLS];
	const struct kernels *spec = kernels_scalar();
	const void *cache = f16 ? (const void *)halves : (const void *)cells;
	size_t n = 1 + below(CELLS);

	fill(cells, CELLS * head);
	for (size_t i = 0; i < CELLS * head; i++)
		halves[i] = half_to_f16(cells[i]);
	fill(x, 8 * head);
	(f16 ? spec->scores_f16 : spec->scores_f32)(
	    cache, CELLS / KERNEL_CELLS, head, x, head, n_q, out[0], CELLS);
	(f16 ? set->scores_f16 : set->scores_f32)(
	    cache, CELLS / KERNEL_CELLS, head, x, head, n_q, out[1], CELLS);
	assert_memory_equal(out[0], out[1], n_q * CELLS * sizeof(float));
	fill(acc[0], n_q * head);
	memcpy(acc[1], acc[0], sizeof(acc[0]));
	(f16 ? spec->mix_f16 : spec->mix_f32)(cache, n, head, out[0], CELLS, n_q, acc[0], head);
	(f16 ? set->mix_f16 : set->mix_f32)(cache, n, head, out[0], CELLS, n_q, acc[1], head);
	assert_memory_equal(acc[0], acc[1], n_q * head * sizeof(float));
}

static void test_every_set_attends_to_the_bits_of_scalar(void **unused)
{
	const struct kernels *sets[KERNEL_SETS_MAX];
	size_t n = kernels_sets(sets);

	(void)unused;
	state = 11;
	for (size_t i = 0; i < n; i++) {
		for (size_t n_q = 1; n_q <= KERNEL_QUERIES_MAX; n_q++) {
			for (size_t head = 1; head <= HEAD_MAX; head = head * 3 / 2 + 1) {
				check_attention(sets[i], head, n_q, false);
				check_attention(sets[i], head, n_q, true);
			}
			check_attention(sets[i], 64, n_q, true);
			check_attention(sets[i], 96, n_q, false);
		}
	}
}

static void test_every_set_norms_gates_and_softmaxes_to_the_bits_of_scalar(void **unused)
{
	static float x[MAX_K], y[MAX_K], out[2][MAX_K];
	const struct kernels *sets[KERNEL_SETS_MAX], *spec = kernels_scalar();
	size_t n_sets = kernels_sets(sets);

	(void)unused;
	state = 13;
	for (size_t n = 1; n < MAX_K; n += 1 + n / 9) {
		for (size_t i = 0; i < n_sets; i++) {
			float max[2], sum[2];

			fill(x, n);
			fill(y, n);
			spec->rms_norm(x, y, n, 1e-6f, out[0]);
			sets[i]->rms_norm(x, y, n, 1e-6f, out[1]);
			assert_memory_equal(out[0], out[1], n * sizeof(float));
			for (size_t j = 0; j < n; j++)
				x[j] *= 50; /* reach both ends of e^x */
			spec->swiglu(x, y, n, out[0]);
			sets[i]->swiglu(x, y, n, out[1]);
			assert_memory_equal(out[0], out[1], n * sizeof(float));
			memcpy(out[0], x, n * sizeof(float));
			memcpy(out[1], x, n * sizeof(float));
			sum[0] = spec->softmax(out[0], n, 0.3f, &max[0]);
			sum[1] = sets[i]->softmax(out[1], n, 0.3f, &max[1]);
			assert_memory_equal(out[0], out[1], n * sizeof(float));
			assert_memory_equal(&sum[0], &sum[1], sizeof(float));
			assert_memory_equal(&max[0], &max[1], sizeof(float));
		}
	}
}

static void test_quantizing_gives_equal_bits_for_hostile_numbers(void **unused)
{
	static const float hostile[] = { 0.0f, -0.0f, INFINITY, -INFINITY, NAN, 1e-44f, -1e-44f,
		3e38f, -3e38f, 1.0f, 0.5f, -127.5f };
	const struct kernels *sets[KERNEL_SETS_MAX];
	size_t n_sets = kernels_sets(sets);
	float x[KERNEL_BLOCK];

	(void)unused;
	state = 17;
	for (int round = 0; round < 300; round++) {
		int8_t quants[2][KERNEL_BLOCK];
		struct q8_block blocks[2];

		for (size_t i = 0; i < KERNEL_BLOCK; i++)
			x[i] = below(4) == 0 ? hostile[below(12)] : random_float();
		kernels_scalar()->quantize(x, KERNEL_BLOCK, quants[0], &blocks[0]);
		for (size_t i = 0; i < n_sets; i++) {
			sets[i]->quantize(x, KERNEL_BLOCK, quants[1], &blocks[1]);
			assert_memory_equal(quants[0], quants[1], sizeof(quants[0]));
			assert_memory_equal(&blocks[0], &blocks[1], sizeof(blocks[0]));
		}
	}
}

static void test_f16_conversion_round_trips_every_half(void **unused)
{
	(void)unused;
	for (uint32_t h = 0; h < 65536; h++) {
		uint16_t back = half_to_f16(half_from_f16((uint16_t)h));

		if ((h & 0x7c00) == 0x7c00 && (h & 0x3ff) != 0)
			assert_int_equal(back & 0x7e00, (h | 0x200) & 0x7e00); /* NaN */
		else
			assert_int_equal(back, h);
	}
	assert_int_equal(half_to_f16(65519.0f), 0x7bff);
	assert_int_equal(half_to_f16(65520.0f), 0x7c00);
	assert_int_equal(half_to_f16(0x1.002p0f), 0x3c00); /* tie to even, down */
	assert_int_equal(half_to_f16(0x1.006p0f), 0x3c02); /* tie to even, up */
	assert_int_equal(half_to_f16(0x1p-25f), 0x0000);   /* tie to even, to zero */
	assert_int_equal(half_to_f16(0x1.1p-25f), 0x0001);
}

static void test_elementary_functions_are_close_to_libm(void **unused)
{
	(void)unused;
	for (float x = -86.9f; x < 87.9f; x += 0.013f)
		assert_true(fabs((double)exact_expf(x) / exp((double)x) - 1) < 2.5e-7);
	assert_true(exact_expf(-INFINITY) >= 0 && exact_expf(-INFINITY) <= 0);
	assert_true(isinf(exact_expf(INFINITY)) && isnan(exact_expf(NAN)));
	for (double x = -690; x < 700; x += 0.37)
		assert_true(fabs(exact_exp(x) / exp(x) - 1) < 1e-14);
	for (double x = 1e-300; x < 1e300; x *= 1.7)
		assert_true(fabs(exact_log(x) - log(x)) <= 4e-16 * fabs(log(x)) + 4e-16);
	assert_true(fabs(exact_pow(10000.0, -0.3125) / pow(10000.0, -0.3125) - 1) < 1e-14);
	for (double x = 0; x < 4e6; x = x * 1.01 + 0.01) {
		double s, c;

		exact_sincos(x, &s, &c);
		assert_true(fabs(s - sin(x)) < 2e-14 && fabs(c - cos(x)) < 2e-14);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scalar_products_agree_with_blas_in_double),
		cmocka_unit_test(test_every_set_multiplies_to_the_bits_of_scalar),
		cmocka_unit_test(test_many_rows_multiply_to_the_bits_of_scalar),
		cmocka_unit_test(test_a_row_has_the_same_bits_alone_and_in_a_batch),
		cmocka_unit_test(test_no_function_of_this_cpus_sets_failed_its_check),
		cmocka_unit_test(test_nvfp4_is_what_its_definition_says),
		cmocka_unit_test(test_a_kernel_with_one_wrong_bit_is_not_adopted),
		cmocka_unit_test(test_every_set_attends_to_the_bits_of_scalar),
		cmocka_unit_test(test_every_set_norms_gates_and_softmaxes_to_the_bits_of_scalar),
		cmocka_unit_test(test_quantizing_gives_equal_bits_for_hostile_numbers),
		cmocka_unit_test(test_f16_conversion_round_trips_every_half),
		cmocka_unit_test(test_elementary_functions_are_close_to_libm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
