/*
 * AVX2: many rows times weights.  Spec: scalar strip and tile.
 *
 * A panel is 256 weights of a strip's rows, unpacked into the nearest cache as
 * the products take them.  Sixteen weight rows and four rows of activations are
 * multiplied at once: what one broadcast of activations feeds two products, and
 * what was loaded of weights four.  The sums stand in memory meanwhile, one for
 * each row of either, and go on with the next panel.
 */
#if defined(__x86_64__)
#include "kernels/x86_avx2_dot.h"
/* the vectors come first */
#include "kernels/x86.h"
#include "kernels/x86_unpack.h"

#define SIDES 2 /* vectors of weight rows at once */
#define SIDE_ROWS (SIDES * VEC_ROWS)
#define ACTS 4
/* Rows of activations that a panel is unpacked for, whose sums stay at hand. */
#define CHUNK 128

/* Part of a panel: its integers and floats, from some row on. */
struct panel {
	const uint8_t *quants;
	const float *floats;
};

INLINE vec panel_step(const uint8_t *quants, size_t s, size_t side)
{
	return _mm256_load_si256(
	    (const __m256i *)(const void *)(quants + s * STEP_BYTES + side * sizeof(vec)));
}

/* Steps first … end - 1 of few integers. */
INLINE void panel_narrow(size_t run, size_t nx, const uint8_t *quants, const struct operand *x,
    size_t b, size_t first, size_t end, vec dots[SIDES][ACTS])
{
	const vec ones = _mm256_set1_epi16(1);
	vec sums[SIDES][ACTS];

	UNROLL for (size_t s = first; s < end; s++)
	{
		size_t at = (s - first) % run;
		vec v[SIDES];

		UNROLL for (size_t i = 0; i < SIDES; i++) v[i] = panel_step(quants, s, i);
		UNROLL for (size_t t = 0; t < nx; t++)
		{
			vec four = four_of(&x[t], b, s);

			UNROLL for (size_t i = 0; i < SIDES; i++)
			{
				vec a = _mm256_maddubs_epi16(v[i], four);

				sums[i][t] =
				    in_order(at == 0 ? a : _mm256_add_epi16(sums[i][t], a));
				if (at + 1 < run && s + 1 < end)
					continue;
				a = _mm256_madd_epi16(sums[i][t], ones);
				dots[i][t] = s - first < run ? a : _mm256_add_epi32(dots[i][t], a);
			}
		}
	}
}

/* The same of all 8 bits. */
INLINE void panel_wide(size_t nx, const uint8_t *quants, const struct operand *x, size_t b,
    size_t first, size_t end, vec dots[SIDES][ACTS])
{
	const vec ones = _mm256_set1_epi16(1);

	UNROLL for (size_t s = first; s < end; s++)
	{
		vec v[SIDES], size[SIDES];

		UNROLL for (size_t i = 0; i < SIDES; i++)
		{
			v[i] = panel_step(quants, s, i);
			size[i] = _mm256_abs_epi8(v[i]);
		}
		UNROLL for (size_t t = 0; t < nx; t++)
		{
			vec four = four_of(&x[t], b, s);

			UNROLL for (size_t i = 0; i < SIDES; i++)
			{
				vec a = _mm256_maddubs_epi16(size[i], _mm256_sign_epi8(four, v[i]));

				a = _mm256_madd_epi16(a, ones);
				dots[i][t] =
				    in_order(s == first ? a : _mm256_add_epi32(dots[i][t], a));
			}
		}
	}
}

INLINE void panel_steps(int zero, size_t run, size_t nx, const uint8_t *quants,
    const struct operand *x, size_t b, size_t first, size_t end, const int32_t *bias,
    vec dots[SIDES][ACTS])
{
	if (run == 0) {
		panel_wide(nx, quants, x, b, first, end, dots);
		return;
	}
	panel_narrow(run, nx, quants, x, b, first, end, dots);
	UNROLL for (size_t t = 0; zero != 0 && t < nx; t++)
	{
		vec moved = _mm256_set1_epi32(bias[t] / KERNEL_BIAS * zero);

		UNROLL for (size_t i = 0; i < SIDES; i++) dots[i][t] =
		    _mm256_add_epi32(dots[i][t], moved);
	}
}

/* A block of 32. */
INLINE void panel_block(enum kernel_kind kind, int zero, size_t run, size_t nx, struct panel at,
    const struct operand *x, size_t b, float *sums)
{
	vec all[SIDES][ACTS], high[SIDES][ACTS];
	int32_t bias[ACTS], bias_high[ACTS];
	size_t end = kind == KIND_HALVES ? STEPS / 2 : STEPS;

	UNROLL for (size_t t = 0; t < nx; t++)
	{
		const struct q8_block *block = &x[t].blocks[b];

		bias[t] = kind == KIND_HALVES ? block->low : block->bias;
		bias_high[t] = block->bias - block->low;
	}
	panel_steps(zero, run, nx, at.quants, x, b, 0, end, bias, all);
	if (kind == KIND_HALVES)
		panel_steps(zero, run, nx, at.quants, x, b, end, STEPS, bias_high, high);
	UNROLL for (size_t i = 0; i < SIDES; i++)
	{
		__m256 f[KERNEL_FLOATS_MAX];

		UNROLL for (size_t j = 0; j < kernels_floats(kind); j++) f[j] =
		    _mm256_load_ps(at.floats + j * KERNEL_STRIP + i * VEC_ROWS);
		UNROLL for (size_t t = 0; t < nx; t++)
		{
			float *sum = sums + t * KERNEL_STRIP + i * VEC_ROWS;

			_mm256_store_ps(sum, add_scaled(kind, all[i][t],
						 kind == KIND_HALVES ? high[i][t] : all[i][t], f,
						 &x[t].blocks[b], _mm256_load_ps(sum)));
		}
	}
}

/* What the next panel is unpacked from: each tile asks for its share of it.  While
 * this one is unpacked that would stop its loads. */
struct ahead {
	const uint8_t *at;
	size_t lines;
};

INLINE void ask(struct ahead *ahead)
{
	for (size_t i = 0; i < ahead->lines; i++, ahead->at += CACHE_LINE)
		_mm_prefetch((const char *)ahead->at, _MM_HINT_T0);
}

/* Rows first … first + n - 1 of `x` from the block `b` on, and where their sums
 * stand: [n][KERNEL_STRIP]. */
struct batch {
	const struct q8_rows *x;
	size_t first, n, b;
	float *sums;
	struct ahead *ahead;
};

/* `nx` of them from `t` on. */
INLINE void panel_tile(enum kernel_kind kind, int zero, size_t run, size_t nx, struct panel at,
    size_t n_groups, struct batch batch, size_t t)
{
	struct operand operands[ACTS];

	ask(batch.ahead);
	UNROLL for (size_t i = 0; i < nx; i++) operands[i] =
	    operand_of(batch.x, batch.first + t + i);
	for (size_t g = 0; g < n_groups; g++) {
		panel_block(
		    kind, zero, run, nx, at, operands, batch.b + g, batch.sums + t * KERNEL_STRIP);
		at.quants += UNPACK_GROUP;
		at.floats += kernels_floats(kind) * KERNEL_STRIP;
	}
}

/* Sixteen weight rows times all of the batch. */
INLINE void panel_side(enum kernel_kind kind, int zero, size_t run, struct panel at,
    size_t n_groups, struct batch batch)
{
	size_t t = 0;

	for (; t + ACTS <= batch.n; t += ACTS)
		panel_tile(kind, zero, run, ACTS, at, n_groups, batch, t);
	if (batch.n - t == 3)
		panel_tile(kind, zero, run, 3, at, n_groups, batch, t);
	if (batch.n - t == 2)
		panel_tile(kind, zero, run, 2, at, n_groups, batch, t);
	if (batch.n - t == 1)
		panel_tile(kind, zero, run, 1, at, n_groups, batch, t);
}

struct strip {
	const struct weight_rows *weights;
	const uint8_t *rows[KERNEL_STRIP]; /* of them, the last one repeated */
};

INLINE void panel_by_panel(enum tensor_type type, unpack_fn *unpack, enum kernel_kind kind,
    int zero, size_t run, const struct strip *strip, struct batch batch)
{
	_Alignas(CACHE_LINE) uint8_t quants[UNPACK_GROUPS * UNPACK_GROUP];
	_Alignas(CACHE_LINE) float floats[UNPACK_GROUPS * KERNEL_FLOATS_MAX * KERNEL_STRIP];
	size_t n_blocks = batch.x->k / KERNEL_BLOCK;

	for (; batch.b < n_blocks; batch.b += UNPACK_GROUPS) {
		size_t left = n_blocks - batch.b, n = left < UNPACK_GROUPS ? left : UNPACK_GROUPS;
		size_t at = type_row_bytes(type, batch.b * KERNEL_BLOCK);
		size_t bytes = type_row_bytes(type, n * KERNEL_BLOCK);
		size_t tiles = (batch.n + ACTS - 1) / ACTS * SIDES;
		struct ahead ahead = {
			unpack_next(strip->weights, at),
			(bytes * KERNEL_STRIP / CACHE_LINE + tiles - 1) / tiles,
		};

		batch.ahead = &ahead;
		for (size_t r = 0; r < KERNEL_STRIP; r += VEC_ROWS)
			unpack(strip->rows + r, at, n, NULL, quants + r * 4, floats + r);
		for (size_t r = 0; r < strip->weights->n; r += SIDE_ROWS) {
			struct batch side = batch;

			side.sums += r;
			panel_side(
			    kind, zero, run, (struct panel){ quants + r * 4, floats + r }, n, side);
		}
	}
}

INLINE void put_sums(const float *sums, size_t n_rows, float *out)
{
	if (n_rows < KERNEL_STRIP) {
		memcpy(out, sums, n_rows * sizeof(*out));
		return;
	}
	UNROLL for (size_t r = 0; r < KERNEL_STRIP; r += VEC_ROWS)
	    _mm256_storeu_ps(out + r, _mm256_load_ps(sums + r));
}

INLINE void panels(enum tensor_type type, unpack_fn *unpack, enum kernel_kind kind, int zero,
    size_t run, const struct weight_rows *weights, const struct q8_rows *x, size_t n_x, float *out,
    size_t out_stride)
{
	struct strip strip = { .weights = weights };
	_Alignas(CACHE_LINE) float sums[CHUNK * KERNEL_STRIP];

	for (size_t r = 0; r < KERNEL_STRIP; r++)
		strip.rows[r] = weight_row(weights, r);
	for (size_t first = 0; first < n_x; first += CHUNK) {
		size_t n = n_x - first < CHUNK ? n_x - first : CHUNK;

		memset(sums, 0, n * KERNEL_STRIP * sizeof(*sums));
		panel_by_panel(type, unpack, kind, zero, run, &strip,
		    (struct batch){ .x = x, .first = first, .n = n, .sums = sums });
		for (size_t t = 0; t < n; t++)
			put_sums(
			    sums + t * KERNEL_STRIP, weights->n, out + (first + t) * out_stride);
	}
}

#define X(type, name, kind)                                                                        \
	void avx2_panels_##name(const struct weight_rows *weights, const struct q8_rows *x,        \
	    size_t n_x, float *out, size_t out_stride)                                             \
	{                                                                                          \
		panels(TYPE_##type, avx2_unpack_##name, kind, zero_##name, run_##name, weights, x, \
		    n_x, out, out_stride);                                                         \
	}
BLOCK_FORMATS(X)
#undef X
#else
typedef int no_x86; /* a translation unit is never empty */
#endif
