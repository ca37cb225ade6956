/* Planes hold what the file's blocks mean: widened, and as the rows of tokens. */
#include "random_weights.h"

static uint64_t file_bytes(uint32_t type, uint64_t k, uint64_t rows)
{
	uint64_t more = type == TYPE_Q4_K || type == TYPE_Q5_K ? k / 256 * 4 : 0;

	return (cuda_row_bytes(type, k) + more) * rows;
}

static std::vector<uint64_t> lengths(uint32_t type)
{
	if (is_float_type(type))
		return { 1, 7, 8, 64, 100, 256, 1000 };
	return type_info(type)->block == 256 ? std::vector<uint64_t>{ 256, 768, 1280 }
	       : type_info(type)->block == 64
		   ? std::vector<uint64_t>{ 64, 192, 1088 }
		   : std::vector<uint64_t>{ 32, 96, 1024, 1056, 2016 };
}

static void test_planes_take_the_bytes_of_the_file(void **state)
{
	uint64_t strides[BACKEND_PLANES], places[BACKEND_PLANES];

	(void)state;
	for (uint32_t type : all_types) {
		uint64_t bytes = cuda_planes(type, 2048, 128, strides, places), sum = 0;

		assert_true(cuda_computes(type));
		assert_int_equal(
		    cuda_row_bytes(type, 2048), type_row_bytes((tensor_type)type, 2048));
		for (int i = 0; i < BACKEND_PLANES; i++) {
			assert_int_equal(places[i] % 256, 0);
			sum += strides[i] * 128;
		}
		assert_int_equal(sum, file_bytes(type, 2048, 128));
		assert_true(bytes >= sum && bytes < sum + BACKEND_PLANES * 256);
	}
	assert_false(cuda_computes(TYPE_IQ2_XXS));
	assert_false(cuda_computes(TYPE_Q8_K));
	assert_false(cuda_computes(999));
	assert_int_equal(cuda_planes(TYPE_Q4_K, 128, 4, strides, places), 0);
}

static void test_widened_rows_are_the_blocks_meaning(void **state)
{
	(void)state;
	for (uint32_t type : all_types) {
		for (uint64_t k : lengths(type)) {
			const uint64_t rows = 7, first = 2, n = 4;
			uint64_t padded = (k + CUDA_F16_PAD - 1) / CUDA_F16_PAD * CUDA_F16_PAD;
			test_matrix m(type, k, rows, k % 3 == 0 ? 7 : 0);
			std::vector<uint16_t> out(padded * (n + 1) + 8, 0x7e55);
			uint16_t *at = (uint16_t *)(((uintptr_t)out.data() + 15) & ~(uintptr_t)15);
			struct cuda_pass p = {};

			p.units = 132;
			assert_int_equal(cuda_widen(&p, &m.m, first, n, at), cudaSuccess);
			for (uint64_t i = 0; i < n * padded; i++) {
				uint64_t row = i / padded, col = i % padded;
				double want = col < k ? m.value(first + row, col) : 0;
				double is = half_from_f16(at[i]);

				if (fabs(is - want) > fabs(want) * 0x1.01p-11 + 0x1.01p-25)
					fail_msg("type %u k %u row %u col %u: %g for %g", type,
					    (unsigned)k, (unsigned)row, (unsigned)col, is, want);
			}
			assert_int_equal(at[n * padded], 0x7e55);
		}
	}
}

static void test_rows_of_tokens_are_scaled(void **state)
{
	(void)state;
	for (uint32_t type : all_types) {
		for (uint64_t k : lengths(type)) {
			test_matrix m(type, k, 9, 3);
			struct backend_row rows[3] = {};
			std::vector<float> x(3 * k + 4, NAN);
			float *at = (float *)(((uintptr_t)x.data() + 15) & ~(uintptr_t)15);
			float scale = k == 96 ? 0 : 2.5f, used = scale != 0 ? scale : 1;
			struct cuda_pass p = {};

			rows[0].token = 8;
			rows[1].token = 0;
			rows[2].token = 4;
			p.rows = rows;
			p.n_rows = 3;
			assert_int_equal(cuda_embed(&p, &m.m, scale, at), cudaSuccess);
			for (uint64_t i = 0; i < 3 * k; i++) {
				double want = m.value((uint64_t)rows[i / k].token, i % k) * used;

				if (!(fabs(at[i] - want) <= fabs(want) * 1e-6 + 1e-6))
					fail_msg("type %u k %u at %u: %g for %g", type, (unsigned)k,
					    (unsigned)i, at[i], want);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_planes_take_the_bytes_of_the_file),
		cmocka_unit_test(test_widened_rows_are_the_blocks_meaning),
		cmocka_unit_test(test_rows_of_tokens_are_scaled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
