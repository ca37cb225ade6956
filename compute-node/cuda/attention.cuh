/*
 * Attention: what its kernels share.
 *
 * Numerics.  Scores are kept in powers of two: q · k * scale * log2(e), so that a
 * weight is 2^(score - max).  A row's result never depends on other rows:
 *   answer  positions in steps of CUDA_STEP from position 0, each with a softmax of
 *           its own; steps s with s % ATTENTION_CLASSES == c are added in rising
 *           order, then the classes in rising order;
 *   prompt  positions in tiles of PROMPT_TILE from position 0, in rising order.
 * What a row does not see of a step or tile has weight 0 and changes no bit.
 * Online softmax: Milakov and Gimelshein 2018; its tiling: Dao et al. 2022.
 *
 * Cells.  Position p lies in cell p % cells of its sequence.  Cells are a multiple of
 * ATTENTION_GRANULE, so a granule of positions always lies in one piece, aligned to
 * 16 bytes in every type.
 */
#ifndef CUDA_ATTENTION_CUH
#define CUDA_ATTENTION_CUH

#include "cuda/forms.cuh"

#define ATTENTION_GRANULE 16u
#define ATTENTION_CLASSES 8u
#define ATTENTION_BLOCK 32u /* numbers that share a scale in a Q8_0 cache */
#define ATTENTION_FUSED_ROWS 32u /* of a pass: one bit each */
#define ATTENTION_DIM_MAX 1024u
#define ATTENTION_LOG2E 1.4426950408889634f
#define ATTENTION_HALF_MAX 65504.0f

/* Softmaxes of single steps, by (row of the group * n_head + head) * n_steps + step,
 * the first step that the row sees being 0. */
struct attention_partials {
	float2 *sums;  /* max of scores, sum of weights */
	float *values; /* [dv] each, weighted */
	uint32_t n_steps;
};

/* What a kernel of answers is given: rows `row` … of the pass. */
struct attention_group {
	const struct backend_row *rows;
	uint32_t row, n_rows; /* the first of the group; all of the pass */
	bool fused;           /* heads are not prepared yet: the kernel of steps does it */
	struct attention_partials partials;
	uint32_t *counters;      /* of steps done, zero between kernels; or NULL: steps are
				  * merged by a kernel of its own */
	struct backend_acts out; /* with counters: f32 and q8, those that are not NULL */
};

/* Launchers of the other files; `n_rows` of the group.  The kernel of steps on tensor
 * units prepares heads itself in answer passes (`fused`). */
cudaError_t attention_prepare(const struct cuda_pass *p, const struct backend_attention *a);
/* Whether the kernels on tensor units take heads of this size on this device. */
bool attention_has_steps(const struct cuda_pass *p, const struct backend_attention *a);
cudaError_t attention_steps(const struct cuda_pass *p, const struct backend_attention *a,
    const struct attention_group *g, uint32_t n_rows);
/* Whether that kernel merges the steps of `n_rows` rows itself, given counters. */
bool attention_finishes(const struct cuda_pass *p, const struct backend_attention *a,
    uint32_t n_rows, uint32_t n_steps);
cudaError_t attention_steps_any(const struct cuda_pass *p, const struct backend_attention *a,
    const struct attention_group *g, uint32_t n_rows);
/* Into the f32 and q8 forms of `out`, those that are not NULL. */
cudaError_t attention_merge(const struct cuda_pass *p, const struct backend_attention *a,
    const struct attention_group *g, uint32_t n_rows, const struct backend_acts *out);
bool attention_has_prompt(const struct cuda_pass *p, const struct backend_attention *a);
/* out [rows][n_head * dv] */
cudaError_t attention_prompt(
    const struct cuda_pass *p, const struct backend_attention *a, float *out);

/* Shared memory that a block may have: the large data centre parts, the others. */
static inline bool attention_large(const struct cuda_pass *p)
{
	return p->cc >= 90 && p->cc < 120;
}

/* Positions first … end - 1 of a step or tile, counted from its first. */
struct attention_span {
	uint32_t first, end;
};

DEVICE uint32_t first_seen(uint32_t pos, uint32_t window)
{
	return window > 0 && pos >= window ? pos + 1 - window : 0;
}

/* What a row sees of the `n` positions from `base` on. */
DEVICE attention_span seen_of(uint32_t pos, uint32_t window, uint32_t base, uint32_t n)
{
	uint32_t first = first_seen(pos, window), end = pos + 1;
	attention_span s;

	s.end = end > base ? min(end - base, n) : 0;
	s.first = min(first > base ? first - base : 0, s.end);
	return s;
}

/* The cell `i` cells behind `cell`. */
DEVICE uint32_t cell_after(uint32_t cell, uint32_t i, uint32_t cells)
{
	for (cell += i; cell >= cells;)
		cell -= cells;
	return cell;
}

/* Bytes of one position's `n` numbers. */
DEVICE uint32_t position_bytes(enum backend_cache type, uint32_t n)
{
	return type == BACKEND_F16 ? 2 * n : type == BACKEND_F32 ? 4 * n : n + n / 32 * 2;
}

DEVICE const uint8_t *keys_of(const backend_attention &a, uint32_t seq, uint32_t head_kv)
{
	return a.keys + seq * a.keys_seq + head_kv * a.keys_head;
}

DEVICE const uint8_t *values_of(const backend_attention &a, uint32_t seq, uint32_t head_kv)
{
	return a.values + seq * a.values_seq + head_kv * a.values_head;
}

#ifdef CUDA_EMULATED

DEVICE float exp2_fast(float x)
{
	return exp2f(x);
}

DEVICE float reciprocal_fast(float x)
{
	return 1.0f / x;
}

DEVICE uint32_t half2_minus(uint32_t x, uint32_t y)
{
	float2 a = half2_to_float2(x), b = half2_to_float2(y);

	return floats_to_half2(a.x - b.x, a.y - b.y);
}

DEVICE uint32_t half2_times(uint32_t x, uint32_t y)
{
	float2 a = half2_to_float2(x), b = half2_to_float2(y);

	return floats_to_half2(a.x * b.x, a.y * b.y);
}

#else

/* 0 for -inf, exactly 1 for 0. */
DEVICE float exp2_fast(float x)
{
	float y;

	asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
	return y;
}

/* 0 for inf. */
DEVICE float reciprocal_fast(float x)
{
	float y;

	asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
	return y;
}

DEVICE uint32_t half2_minus(uint32_t x, uint32_t y)
{
	uint32_t z;

	asm("sub.rn.f16x2 %0, %1, %2;" : "=r"(z) : "r"(x), "r"(y));
	return z;
}

DEVICE uint32_t half2_times(uint32_t x, uint32_t y)
{
	uint32_t z;

	asm("mul.rn.f16x2 %0, %1, %2;" : "=r"(z) : "r"(x), "r"(y));
	return z;
}

#endif

/* Four signed bytes times a half (in both halves of `scale`).  A byte behind the high
 * byte of 1024 is 1024 and the byte, as a half. */
DEVICE uint2 q8_to_halves(uint32_t bytes, uint32_t scale)
{
	const uint32_t bias = 0x64806480u; /* 1024 + 128 */
	uint32_t x = bytes ^ 0x80808080u;
	uint32_t low = __byte_perm(x, 0x64646464u, 0x4140);
	uint32_t high = __byte_perm(x, 0x64646464u, 0x4342);

	return make_uint2(half2_times(half2_minus(low, bias), scale),
	    half2_times(half2_minus(high, bias), scale));
}

/* What turns q · k of scaled queries into a score in powers of two. */
DEVICE float query_factor(const backend_attention &a)
{
	return a.softcap != 0 ? a.scale : a.scale * ATTENTION_LOG2E;
}

/* cap * tanh(s / cap), by tanh(x) = 1 - 2 / (1 + e^2x): its error is one of the
 * cap's last places, which is what counts for a score. */
DEVICE float soften(float s, float cap)
{
	float e = exp2_fast(s * (2.0f * ATTENTION_LOG2E / cap));

	return cap * ATTENTION_LOG2E * (1.0f - 2.0f * reciprocal_fast(1.0f + e));
}

/* The factor of a finished row's values, `top` and `sum` being its softmax. */
DEVICE float finish_factor(const float *sinks, uint32_t head, float top, float sum)
{
	float part = 1.0f;

	if (sinks != NULL) {
		float sink = sinks[head] * ATTENTION_LOG2E, most = fmaxf(top, sink);

		part = exp2_fast(top - most);
		sum = sum * part + exp2_fast(sink - most);
	}
	return part / sum;
}

/* max - max of a softmax without weights would be NaN. */
DEVICE float finite_or_0(float top)
{
	return top == -INFINITY ? 0.0f : top;
}

#endif
