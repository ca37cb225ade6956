/*
 * AVX2: 8-bit activations, and strips times them.  Spec: scalar_q8.c.
 *
 * Without VNNI the product of unsigned and signed bytes saturates at 16 bits
 * unless the unsigned side stays below 128: so it gets |weight| (at most 128
 * with an activation of at most 127: 2·128·127 fits) and the other side the
 * activation with the weight's sign.
 */
#if defined(__x86_64__)
#include "kernels/x86.h"
#include "kernels/x86_avx2.h"

#define STEPS (KERNEL_BLOCK / 4)
#define STEP_BYTES (KERNEL_STRIP * 4)
#define TILE_X 4

void avx2_quantize(const float *x, size_t k, int8_t *quants, struct q8_block *blocks)
{
	const __m256 sign = _mm256_set1_ps(-0.0f), limit = _mm256_set1_ps(127.0f);

	for (size_t b = 0; b < k / KERNEL_BLOCK; b++, x += KERNEL_BLOCK, quants += KERNEL_BLOCK) {
		__m256 tops = _mm256_setzero_ps(), inverse;
		__m256i q[4];
		int32_t low = 0, high = 0;
		float top;

		for (size_t i = 0; i < 4; i++)
			tops =
			    _mm256_max_ps(_mm256_andnot_ps(sign, _mm256_loadu_ps(x + i * 8)), tops);
		top = lanes_max(tops);
		inverse = _mm256_set1_ps(top > 0 ? 127.0f / top : 0.0f);
		for (size_t i = 0; i < 4; i++) {
			__m256 scaled =
			    _mm256_round_ps(_mm256_mul_ps(_mm256_loadu_ps(x + i * 8), inverse),
				_MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
			__m256 sane =
			    _mm256_cmp_ps(_mm256_andnot_ps(sign, scaled), limit, _CMP_LE_OQ);

			q[i] = _mm256_cvtps_epi32(_mm256_and_ps(scaled, sane));
		}
		/* packs work on 128-bit halves: put the eights back in order */
		q[0] = _mm256_packs_epi16(
		    _mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
		q[0] = _mm256_permutevar8x32_epi32(q[0], _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
		_mm256_storeu_si256((__m256i *)(void *)quants, q[0]);
		for (size_t i = 0; i < KERNEL_BLOCK / 2; i++) {
			low += quants[i];
			high += quants[i + KERNEL_BLOCK / 2];
		}
		blocks[b] = (struct q8_block){ .scale = top / 127.0f,
			.sum = top / 127.0f * (float)(low + high),
			.bias = -KERNEL_BIAS * (low + high),
			.low = -KERNEL_BIAS * low };
	}
}

/* Steps first … end - 1 of eight rows times `nx` rows of activations. */
INLINE void add_steps(size_t nx, const uint8_t *w, const int8_t *const *a, size_t b, size_t first,
    size_t end, __m256i *dots)
{
	const __m256i ones = _mm256_set1_epi16(1), bias = _mm256_set1_epi8((char)KERNEL_BIAS);

	for (size_t t = 0; t < nx; t++)
		dots[t] = _mm256_setzero_si256();
	for (size_t s = first; s < end; s++) {
		__m256i v = _mm256_xor_si256(
		    _mm256_loadu_si256((const __m256i *)(const void *)(w + s * STEP_BYTES)), bias);
		__m256i size = _mm256_abs_epi8(v);

		for (size_t t = 0; t < nx; t++) {
			int32_t four;
			__m256i x;

			memcpy(&four, a[t] + b * KERNEL_BLOCK + s * 4, sizeof(four));
			x = _mm256_sign_epi8(_mm256_set1_epi32(four), v);
			x = _mm256_madd_epi16(_mm256_maddubs_epi16(size, x), ones);
			dots[t] = _mm256_add_epi32(dots[t], x);
		}
	}
}

/* Eight rows of a block times `nx` rows of activations; `kind` and `nx` are
 * constants. */
INLINE void add_block(enum kernel_kind kind, size_t nx, const uint8_t *w, const float *floats,
    const int8_t *const *a, const struct q8_block *const *x, size_t b, __m256 *sums)
{
	__m256 f[KERNEL_FLOATS_MAX];
	__m256i dots[TILE_X], high[TILE_X];

	for (size_t i = 0; i < kernels_floats(kind); i++)
		f[i] = _mm256_loadu_ps(floats + i * KERNEL_STRIP);
	add_steps(nx, w, a, b, 0, kind == KIND_HALVES ? STEPS / 2 : STEPS, dots);
	if (kind == KIND_HALVES)
		add_steps(nx, w, a, b, STEPS / 2, STEPS, high);
	for (size_t t = 0; t < nx; t++) {
		__m256 scale = _mm256_set1_ps(x[t][b].scale), dot = _mm256_cvtepi32_ps(dots[t]);

		if (kind == KIND_HALVES) {
			dot = _mm256_fmadd_ps(
			    _mm256_cvtepi32_ps(high[t]), f[1], _mm256_mul_ps(dot, f[0]));
			sums[t] = _mm256_fmadd_ps(dot, scale, sums[t]);
			continue;
		}
		sums[t] = _mm256_fmadd_ps(dot, _mm256_mul_ps(f[0], scale), sums[t]);
		if (kind == KIND_MIN)
			sums[t] = _mm256_fmadd_ps(_mm256_set1_ps(x[t][b].sum), f[1], sums[t]);
		if (kind == KIND_MIN_HALVES) {
			sums[t] =
			    _mm256_fmadd_ps(_mm256_set1_ps(q8_sum_low(&x[t][b])), f[1], sums[t]);
			sums[t] =
			    _mm256_fmadd_ps(_mm256_set1_ps(q8_sum_high(&x[t][b])), f[2], sums[t]);
		}
	}
}

INLINE void tile_eight(enum kernel_kind kind, size_t nx, const uint8_t *quants, const float *scales,
    const struct q8_rows *x, size_t x_first, size_t n_rows, float *out, size_t out_stride)
{
	size_t n_blocks = x->k / KERNEL_BLOCK, n_floats = kernels_floats(kind) * KERNEL_STRIP;
	const int8_t *a[TILE_X];
	const struct q8_block *blocks[TILE_X];
	__m256 sums[TILE_X];

	for (size_t t = 0; t < nx; t++) {
		a[t] = x->quants + (x_first + t) * x->k;
		blocks[t] = x->blocks + (x_first + t) * n_blocks;
		sums[t] = _mm256_setzero_ps();
	}
	for (size_t b = 0; b < n_blocks; b++)
		add_block(kind, nx, quants + b * STEPS * STEP_BYTES, scales + b * n_floats, a,
		    blocks, b, sums);
	for (size_t t = 0; t < nx; t++) {
		float eight[8];

		_mm256_storeu_ps(eight, sums[t]);
		memcpy(out + t * out_stride, eight, (n_rows < 8 ? n_rows : 8) * sizeof(float));
	}
}

#define CALL(kind, nx)                                                                             \
	tile_eight(kind, nx, quants + r * 4, scales + r, x, x_first + t, n_rows - r,               \
	    out + t * out_stride + r, out_stride)
#define TILE(name, kind)                                                                           \
	void name(const uint8_t *quants, const float *scales, const struct q8_rows *x,             \
	    size_t x_first, size_t n_x, size_t n_rows, float *out, size_t out_stride)              \
	{                                                                                          \
		for (size_t r = 0; r < n_rows; r += 8) {                                           \
			size_t t = 0;                                                              \
			for (; t + TILE_X <= n_x; t += TILE_X)                                     \
				CALL(kind, TILE_X);                                                \
			for (; t < n_x; t++)                                                       \
				CALL(kind, 1);                                                     \
		}                                                                                  \
	}

TILE(avx2_tile_plain, KIND_PLAIN)
TILE(avx2_tile_halves, KIND_HALVES)
TILE(avx2_tile_min, KIND_MIN)
TILE(avx2_tile_min_halves, KIND_MIN_HALVES)
#else
typedef int no_x86; /* a translation unit is never empty */
#endif
