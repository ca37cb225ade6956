/*
 * The choice of a row's experts by one warp (infer/experts.c is the specification).
 *
 * Lane l looks after experts l, l + 32, … and remembers the best of them; a choice
 * compares the lanes' best, and only the lane that had it looks again.  A sum of
 * softmax is added up by lanes, then lane by lane as a tree; that of the chosen
 * weights in the order of the choices.
 */
#include "cuda/launch.h"

#define WARP 32u
#define SUM_MIN 6.103515625e-5f /* of weights that are to sum to 1: the least normal half */
#define TAKEN 0u                /* no key is this */

/* The numbers of enum moe_gating, model/model_impl.h. */
enum gating { GATING_SOFTMAX = 1, GATING_SIGMOID = 2, GATING_SOFTMAX_CHOSEN = 3 };

struct choice_job {
	const float *scores, *bias;
	uint32_t n_expert, n_used, n_group, n_group_used, gating;
	bool norm;
	float scale;
	uint32_t *chosen;
	float *weights;
};

DEVICE float lanes_max(float v)
{
	for (int by = 16; by > 0; by /= 2)
		v = fmaxf(v, __shfl_xor_sync(~0u, v, by));
	return v;
}

DEVICE float lanes_sum(float v)
{
	for (int by = 16; by > 0; by /= 2)
		v += __shfl_xor_sync(~0u, v, by);
	return v;
}

DEVICE uint32_t lanes_max_key(uint32_t v)
{
#ifdef CUDA_EMULATED
	for (int by = 16; by > 0; by /= 2)
		v = max(v, __shfl_xor_sync(~0u, v, by));
	return v;
#else
	return __reduce_max_sync(~0u, v);
#endif
}

DEVICE uint32_t lanes_min_index(uint32_t v)
{
	return ~lanes_max_key(~v);
}

/* Keys are in the order of the floats, with both zeros the same and NaN last. */
DEVICE uint32_t key_of(float x)
{
	uint32_t bits = __float_as_uint(x + 0.0f);

	if (!(x == x))
		return TAKEN + 1;
	return (bits >> 31) != 0 ? ~bits : bits | 0x80000000u;
}

DEVICE float float_of(uint32_t key)
{
	return __uint_as_float((key >> 31) != 0 ? key & 0x7fffffffu : ~key);
}

/* A lane's best that is not taken. */
struct best {
	uint32_t key, at;
};

DEVICE struct best look(const uint32_t *keys, uint32_t n)
{
	struct best b = { TAKEN, UINT32_MAX };

	for (uint32_t i = threadIdx.x; i < n; i += WARP) {
		if (keys[i] > b.key) {
			b.key = keys[i];
			b.at = i;
		}
	}
	return b;
}

/* The best of all lanes, the lowest of equals; it becomes taken. */
DEVICE uint32_t take(struct best *b, uint32_t *keys, uint32_t n)
{
	uint32_t key = lanes_max_key(b->key);
	uint32_t at = lanes_min_index(b->key == key ? b->at : UINT32_MAX);

	if (at >= n) /* all are taken: never with n_used <= n_expert */
		return 0;
	if (b->at == at) {
		keys[at] = TAKEN;
		*b = look(keys, n);
	}
	return at;
}

/* Scores become what the weights are taken from, and are kept with their keys. */
DEVICE void gate_row(const struct choice_job *job, const float *from, float *scores, uint32_t *keys)
{
	float top = -INFINITY, sum = 0;

	for (uint32_t i = threadIdx.x; i < job->n_expert; i += WARP) {
		scores[i] = from[i];
		top = fmaxf(top, scores[i]);
	}
	if (job->gating == GATING_SOFTMAX) {
		top = lanes_max(top);
		for (uint32_t i = threadIdx.x; i < job->n_expert; i += WARP) {
			scores[i] = expf(scores[i] - top);
			sum += scores[i];
		}
		sum = lanes_sum(sum);
	}
	for (uint32_t i = threadIdx.x; i < job->n_expert; i += WARP) {
		if (job->gating == GATING_SOFTMAX)
			scores[i] /= sum;
		else if (job->gating == GATING_SIGMOID)
			scores[i] = 1.0f / (1.0f + expf(-scores[i]));
		keys[i] = key_of(job->bias != NULL ? scores[i] + job->bias[i] : scores[i]);
	}
	__syncwarp();
}

/* A group counts as its two best together; with softmax, or alone, as its best. */
DEVICE uint32_t group_key(const struct choice_job *job, const uint32_t *keys, uint32_t n)
{
	uint32_t first = TAKEN, second = TAKEN;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t key = keys[i];

		second = max(second, min(first, key));
		first = max(first, key);
	}
	if (job->gating == GATING_SOFTMAX || n == 1)
		return first;
	return key_of(float_of(first) + float_of(second));
}

/* Take the experts of all but the best groups. */
DEVICE void keep_groups(const struct choice_job *job, uint32_t *keys, uint32_t *groups)
{
	uint32_t n = job->n_expert / job->n_group;
	struct best b;

	for (uint32_t g = threadIdx.x; g < job->n_group; g += WARP)
		groups[g] = group_key(job, keys + g * n, n);
	__syncwarp();
	b = look(groups, job->n_group);
	for (uint32_t i = 0; i < job->n_group_used; i++)
		(void)take(&b, groups, job->n_group);
	__syncwarp();
	for (uint32_t i = threadIdx.x; i < job->n_expert; i += WARP) {
		if (i / n >= job->n_group || groups[i / n] != TAKEN)
			keys[i] = TAKEN;
	}
	__syncwarp();
}

DEVICE float weight_of(
    const struct choice_job *job, const float *scores, const uint32_t *chosen, uint32_t i)
{
	float score = scores[chosen[i]];

	return job->gating == GATING_SOFTMAX_CHOSEN ? expf(score - scores[chosen[0]]) : score;
}

/* All lanes find the same factor; each writes weights of its own. */
DEVICE void weigh(
    const struct choice_job *job, const float *scores, const uint32_t *chosen, float *weights)
{
	float sum = 0, factor = job->scale;

	for (uint32_t i = 0; i < job->n_used; i++)
		sum += weight_of(job, scores, chosen, i);
	if (job->gating == GATING_SOFTMAX_CHOSEN)
		factor /= sum;
	else if (job->norm)
		factor /= sum > SUM_MIN ? sum : SUM_MIN;
	for (uint32_t i = threadIdx.x; i < job->n_used; i += WARP)
		weights[i] = weight_of(job, scores, chosen, i) * factor;
}

__global__ void __launch_bounds__(32) choose_kernel(const struct choice_job job)
{
	KERNEL_SHARED(uint32_t, shared);
	uint32_t *keys = shared, *chosen = keys + job.n_expert, *groups = chosen + job.n_used;
	float *scores = (float *)(groups + job.n_group);
	uint64_t row = blockIdx.x;
	struct best b;

	pdl_wait();
	gate_row(&job, job.scores + row * job.n_expert, scores, keys);
	if (job.n_group > 1)
		keep_groups(&job, keys, groups);
	b = look(keys, job.n_expert);
	for (uint32_t i = 0; i < job.n_used; i++) {
		uint32_t at = take(&b, keys, job.n_expert);

		if (threadIdx.x == i % WARP) {
			chosen[i] = at;
			job.chosen[row * job.n_used + i] = at;
		}
	}
	__syncwarp();
	weigh(&job, scores, chosen, job.weights + row * job.n_used);
}

cudaError_t cuda_choose(
    const struct cuda_pass *p, const struct backend_experts *e, uint32_t *chosen, float *weights)
{
	struct choice_job job = {};
	size_t words = 2 * (size_t)e->n_expert + e->n_used + e->n_group;

	job.scores = e->scores;
	job.bias = e->choice_bias;
	job.n_expert = e->n_expert;
	job.n_used = e->n_used;
	job.n_group = e->n_group;
	job.n_group_used = e->n_group_used;
	job.gating = e->gating;
	job.norm = e->norm;
	job.scale = e->scale;
	job.chosen = chosen;
	job.weights = weights;
	if (p->n_rows == 0)
		return cudaSuccess;
	return launch(
	    choose_kernel, dim3(p->n_rows), dim3(WARP), words * sizeof(uint32_t), p->stream, job);
}
