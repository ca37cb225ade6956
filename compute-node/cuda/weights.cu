/*
 * Weights: sizes of planes, planes to f16 rows, planes to the rows of tokens.
 *
 * A thread takes a group of 32 weights.  Widened: integer * scale (+ offset) * factor in
 * f32, rounded to f16; each warp's 2 KiB go through shared memory, so that they are
 * written in whole lines.
 */
#include "cuda/formats.cuh"
#include "cuda/parts.h"

#define THREADS 256u
#define PIECES 4u  /* of 16 bytes, of a group's halves */
#define PLACE_AT 256u /* planes begin at multiples */
#define HALVES 8u  /* of 16 bytes */

/* ---- sizes ---- */

struct shape {
	struct format_block block;
	uint32_t groups; /* of a block that planes are made of; 0: a float type */
	int planes;
	uint32_t (*stride)(int plane, uint32_t groups);
};

static struct shape shape_of(uint32_t type)
{
	struct shape s = { format_block_of(type), 0, 1, NULL };

	switch (type) {
#define X(name, format)                                                                            \
	case TYPE_##name:                                                                          \
		s.groups = s.block.weights / FORMAT_GROUP;                                         \
		s.planes = format::PLANES;                                                         \
		s.stride = format::stride;                                                         \
		break;
		FORMATS_QUANT(X)
#undef X
	default:
		break;
	}
	return s;
}

bool cuda_computes(uint32_t type)
{
	return shape_of(type).groups > 0 || type == TYPE_F16 || type == TYPE_BF16 ||
	       type == TYPE_F32;
}

uint64_t cuda_row_bytes(uint32_t type, uint64_t k)
{
	struct shape s = shape_of(type);

	return s.block.weights > 0 ? k / s.block.weights * s.block.bytes : 0;
}

uint64_t cuda_planes(uint32_t type, uint64_t k, uint64_t rows, uint64_t strides[BACKEND_PLANES],
    uint64_t places[BACKEND_PLANES])
{
	struct shape s = shape_of(type);
	uint64_t at = 0;

	for (int i = 0; i < BACKEND_PLANES; i++)
		strides[i] = places[i] = 0;
	if (!cuda_computes(type) || k == 0 || k % s.block.weights != 0)
		return 0;
	for (int i = 0; i < s.planes; i++) {
		strides[i] = s.groups > 0 ? s.stride(i, (uint32_t)(k / FORMAT_GROUP))
					  : k * s.block.bytes;
		places[i] = at;
		at += (strides[i] * rows + PLACE_AT - 1) / PLACE_AT * PLACE_AT;
	}
	return at;
}

/* ---- to floats ---- */

DEVICE float factor_of(const backend_matrix &m, uint64_t row)
{
	return m.factors != NULL ? m.factors[row / m.height] : 1.0f;
}

template <class F>
DEVICE void read_group(const backend_matrix &m, uint64_t row, uint32_t g, format_words &out)
{
	format_row r;

	for (int i = 0; i < F::PLANES; i++)
		r.p[i] = m.planes[i] + row * m.strides[i];
	F::unpack(F::load(r, g, (uint32_t)(m.k / FORMAT_GROUP)), g, out);
}

/* Groups behind the end of a row are zeros. */
template <class F>
__global__ void __launch_bounds__(THREADS) widen_kernel(
    backend_matrix m, uint64_t first, uint32_t row_groups, uint64_t n, uint16_t *out)
{
	__shared__ uint4 tile[THREADS * PIECES];
	uint64_t base = (uint64_t)blockIdx.x * THREADS, at = base + threadIdx.x;
	uint64_t row = first + at / row_groups;
	uint32_t g = (uint32_t)(at % row_groups), lane = threadIdx.x % 32;
	uint32_t warp = threadIdx.x - lane; /* its first thread */
	format_words words = {};
	bool inside = at < n && g < m.k / FORMAT_GROUP;
	float factor = 0.0f;
	uint4 *mine = tile + warp * PIECES;

	if (inside) {
		read_group<F>(m, row, g, words);
		factor = factor_of(m, row);
	}
	pdl_wait();
#pragma unroll
	for (uint32_t i = 0; i < PIECES; i++) {
		uint32_t h[4];

#pragma unroll
		for (int j = 0; j < 4; j++) {
			int w = (int)(8 * i) + 2 * j;

			h[j] = floats_to_half2(format_value<F>(words, w) * factor,
			    format_value<F>(words, w + 1) * factor);
		}
		mine[lane * PIECES + (i ^ (lane >> 1 & 3))] = make_uint4(h[0], h[1], h[2], h[3]);
	}
	__syncwarp();
#pragma unroll
	for (uint32_t i = 0; i < PIECES; i++) {
		uint32_t piece = i * 32 + lane, from = piece / PIECES;

		if (base + warp + from < n)
			((uint4 *)out)[(base + warp) * PIECES + piece] =
			    mine[from * PIECES + (piece % PIECES ^ (from >> 1 & 3))];
	}
}

DEVICE float read_float(const uint8_t *row, uint32_t type, uint64_t i)
{
	return type == TYPE_F32	  ? ((const float *)row)[i]
	       : type == TYPE_F16 ? half_to_float(((const uint16_t *)row)[i])
				  : bf16_to_float(((const uint16_t *)row)[i]);
}

/* Eight numbers of a row from `i` on, zeros behind its end. */
template <class F>
DEVICE void read_eight(const backend_matrix &m, uint64_t row, uint64_t i, bool whole, float *v)
{
	const uint8_t *from = m.planes[0] + row * m.strides[0];
	format_row r;

	if (!whole || i + HALVES > m.k) {
		for (uint32_t j = 0; j < HALVES; j++)
			v[j] = i + j < m.k ? read_float(from, F::TYPE, i + j) : 0.0f;
		return;
	}
	r.p[0] = from;
	for (uint32_t j = 0; j < HALVES; j += F::WEIGHTS)
		F::unpack(F::load(r, (uint32_t)(i + j) / F::WEIGHTS, 0), v + j);
}

/* A thread makes eight halves. */
template <class F>
__global__ void __launch_bounds__(THREADS) widen_floats_kernel(
    backend_matrix m, uint64_t first, uint32_t row_pieces, uint64_t n, uint16_t *out)
{
	uint64_t at = (uint64_t)blockIdx.x * THREADS + threadIdx.x, row = first + at / row_pieces;
	float v[HALVES], factor;

	if (at >= n) {
		pdl_wait();
		return;
	}
	read_eight<F>(m, row, at % row_pieces * HALVES, m.strides[0] % 16 == 0, v);
	factor = factor_of(m, row);
	pdl_wait();
	((uint4 *)out)[at] = make_uint4(floats_to_half2(v[0] * factor, v[1] * factor),
	    floats_to_half2(v[2] * factor, v[3] * factor),
	    floats_to_half2(v[4] * factor, v[5] * factor),
	    floats_to_half2(v[6] * factor, v[7] * factor));
}

static dim3 blocks_of(uint64_t n)
{
	return dim3((unsigned)((n + THREADS - 1) / THREADS));
}

cudaError_t cuda_widen(const struct cuda_pass *p, const struct backend_matrix *m, uint64_t first,
    uint64_t rows, uint16_t *out)
{
	uint64_t padded = (m->k + CUDA_F16_PAD - 1) / CUDA_F16_PAD * CUDA_F16_PAD;
	uint64_t groups = padded / FORMAT_GROUP, eights = padded / HALVES;

	if (rows == 0)
		return cudaSuccess;
	switch (m->type) {
#define X(name, format)                                                                            \
	case TYPE_##name:                                                                          \
		return launch(widen_kernel<format>, blocks_of(groups * rows), dim3(THREADS), 0,    \
		    p->stream, *m, first, (uint32_t)groups, groups * rows, out);
		FORMATS_QUANT(X)
#undef X
#define X(name, format)                                                                            \
	case TYPE_##name:                                                                          \
		return launch(widen_floats_kernel<format>, blocks_of(eights * rows),               \
		    dim3(THREADS), 0, p->stream, *m, first, (uint32_t)eights, eights * rows, out);
		FORMATS_FLOAT(X)
#undef X
	default:
		return cudaErrorInvalidValue;
	}
}

/* ---- rows of tokens ---- */

/* A block a row. */
template <class F>
__global__ void __launch_bounds__(THREADS) embed_kernel(
    backend_matrix m, const backend_row *rows, bool by_position, float scale, float *x)
{
	uint64_t token;
	float factor;

	pdl_wait();
	token = by_position ? rows[blockIdx.x].pos : (uint32_t)rows[blockIdx.x].token;
	factor = factor_of(m, token);
	x += blockIdx.x * m.k;
	if constexpr (F::QUANT) {
		for (uint32_t g = threadIdx.x; g < m.k / FORMAT_GROUP; g += THREADS) {
			format_words words;

			read_group<F>(m, token, g, words);
#pragma unroll
			for (int i = 0; i < 32; i += 4)
				*(float4 *)(x + 32 * (uint64_t)g + i) =
				    make_float4(format_value<F>(words, i) * factor * scale,
					format_value<F>(words, i + 1) * factor * scale,
					format_value<F>(words, i + 2) * factor * scale,
					format_value<F>(words, i + 3) * factor * scale);
		}
	} else {
		for (uint32_t i = threadIdx.x; i < m.k; i += THREADS)
			x[i] = read_float(m.planes[0] + token * m.strides[0], F::TYPE, i) * factor *
			       scale;
	}
}

static cudaError_t embed_rows(const struct cuda_pass *p, const struct backend_matrix *m,
    bool by_position, float scale, float *x)
{
	switch (m->type) {
#define X(name, format)                                                                            \
	case TYPE_##name:                                                                          \
		return launch(embed_kernel<format>, dim3(p->n_rows), dim3(THREADS), 0, p->stream,  \
		    *m, p->rows, by_position, scale, x);
		FORMATS_QUANT(X)
		FORMATS_FLOAT(X)
#undef X
	default:
		return cudaErrorInvalidValue;
	}
}

cudaError_t cuda_embed(
    const struct cuda_pass *p, const struct backend_matrix *m, float scale, float *x)
{
	return embed_rows(p, m, false, scale != 0 ? scale : 1.0f, x);
}

cudaError_t cuda_positions(const struct cuda_pass *p, const struct backend_matrix *m, float *x)
{
	return embed_rows(p, m, true, 1.0f, x);
}
