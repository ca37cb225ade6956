/*
 * Heads before their scores, for the kernels that do not prepare them themselves:
 * norm, rotation, growth of queries, and the cache (cuda/attention_heads.cuh).
 */
#include "cuda/attention_heads.cuh"

#define PREPARE_WARPS 4u
#define PREPARE_NUMBERS 128u /* of a head, on the way together */

DEVICE void load_head(const head &h, const float *from, bool norm, const float *weight, float eps)
{
	float sum = 0, v[PREPARE_NUMBERS / 32];

	for (uint32_t first = 0; first < h.n; first += PREPARE_NUMBERS) {
		fetch_numbers<PREPARE_NUMBERS>(from + first, h.n - first, h.lane, v);
		put_numbers<PREPARE_NUMBERS>(h, first, v, &sum);
	}
	norm_head(h, sum, norm, weight, eps);
}

DEVICE void rotate_head(const head &h, const backend_attention &a)
{
	const float2 *turns = (const float2 *)(a.rope + (uint64_t)h.row * a.n_rot);

	for (uint32_t i = h.lane; i < a.n_rot / 2; i += 32)
		turn_pair(h, a, i, turns[i]);
	__syncwarp();
}

DEVICE void prepare_query(head h, const backend_attention &a, uint32_t pos, uint32_t i)
{
	float *q = a.q + ((uint64_t)h.row * a.n_head + i) * a.dk, factor;

	h.n = a.dk;
	load_head(h, q, a.q_norm != NULL, a.q_norm, a.norm_eps);
	if (a.rotate)
		rotate_head(h, a);
	factor = growth(a, pos);
	for (uint32_t d = h.lane; d < h.n; d += 32)
		q[d] = a.temp_scale != 0 ? h.x[d] * factor : h.x[d];
}

DEVICE void store_head(const head &h, const backend_attention &a, uint8_t *cell)
{
	head_place to = {};

	to.cell = cell;
	keep_head(h, a.type, to);
}

DEVICE void prepare_key(head h, const backend_attention &a, const backend_row &row, uint32_t i)
{
	h.n = a.dk;
	load_head(h, a.k + ((uint64_t)h.row * a.n_head_kv + i) * a.dk, a.k_norm != NULL, a.k_norm,
	    a.norm_eps);
	if (a.rotate)
		rotate_head(h, a);
	store_head(h, a, cell_of(a, keys_of(a, row.seq, i), row.pos, a.dk));
}

/* Keys are not written back, so a value that is one finds it as projected. */
DEVICE void prepare_value(head h, const backend_attention &a, const backend_row &row, uint32_t i)
{
	uint64_t at = (uint64_t)h.row * a.n_head_kv + i;

	h.n = a.dv;
	load_head(h, a.v_is_k ? a.k + at * a.dk : a.v + at * a.dv, a.v_norm, NULL, a.norm_eps);
	store_head(h, a, cell_of(a, values_of(a, row.seq, i), row.pos, a.dv));
}

/* Keys and values that go into the cache; values that stand in keys come with them. */
DEVICE uint32_t stored_heads(const backend_attention &a)
{
	return a.store ? (a.v_in_k ? 1 : 2) * a.n_head_kv : 0;
}

__global__ void __launch_bounds__(PREPARE_WARPS * 32) prepare_kernel(
    __grid_constant__ const backend_attention a, const backend_row *rows, uint32_t first)
{
	KERNEL_SHARED(float, shared);
	uint32_t i = first + blockIdx.x * PREPARE_WARPS + threadIdx.x / 32;
	backend_row row;
	head h;

	pdl_wait();
	if (i >= a.n_head + stored_heads(a))
		return;
	h.x = shared + threadIdx.x / 32 * max(a.dk, a.dv);
	h.row = blockIdx.y;
	h.lane = threadIdx.x % 32;
	row = rows[h.row];
	if (i < a.n_head)
		prepare_query(h, a, row.pos, i);
	else if (i < a.n_head + a.n_head_kv)
		prepare_key(h, a, row, i - a.n_head);
	else
		prepare_value(h, a, row, i - a.n_head - a.n_head_kv);
}

cudaError_t attention_prepare(const struct cuda_pass *p, const struct backend_attention *a)
{
	bool queries = a->q_norm != NULL || a->rotate || a->temp_scale != 0;
	uint32_t first = queries ? 0 : a->n_head;
	uint32_t kept = a->store ? (a->v_in_k ? 1 : 2) * a->n_head_kv : 0;
	uint32_t n = a->n_head - first + kept;
	size_t shared = PREPARE_WARPS * sizeof(float) * (a->dk > a->dv ? a->dk : a->dv);

	if (n == 0)
		return cudaSuccess;
	return launch(prepare_kernel, dim3((n + PREPARE_WARPS - 1) / PREPARE_WARPS, p->n_rows),
	    PREPARE_WARPS * 32, shared, p->stream, *a, p->rows, first);
}
