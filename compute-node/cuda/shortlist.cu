/*
 * Shortlists: the best of each row of logits, and the sum that their shares are of, so
 * that rows need not leave the device for a token to be chosen (infer/sample_short.c).
 *
 * A row is parted into at most SHORT_CHUNKS chunks.  A first kernel finds each chunk's
 * best and its sum of exponentials.  A second one, a block for each row, ranks those
 * bests: the SHORT_RANK-th bounds the row's SHORT_RANK-th best from below, and lets
 * little more than that through, so the chunks that reach it are read once more for all
 * that does.  Where more does than there is room for, ties for the most part, only the
 * very best is handed out.
 *
 * Order of a sum: lane l of a chunk adds its numbers l, l + lanes, …; lanes are added as
 * a tree, chunks as forms.cuh's block_sum() does.
 */
#include "cuda/forms.cuh"

#define SHORT_CHUNKS 512u
#define SHORT_RANK 80u
#define CHUNK_THREADS 256u

/* What the first kernel leaves for the second, [rows][SHORT_CHUNKS] each. */
struct chunks {
	float *best;  /* -inf: nothing above it */
	int32_t *ids; /* of the first such */
	float *sums;  /* Σ e^(logit - best) */
};

static struct chunks chunks_at(uint8_t *work, uint32_t n_rows)
{
	uint64_t n = (uint64_t)n_rows * SHORT_CHUNKS;
	struct chunks c;

	c.best = (float *)work;
	c.ids = (int32_t *)(c.best + n);
	c.sums = (float *)(c.ids + n);
	return c;
}

uint64_t cuda_shortlist_work(uint32_t n_rows)
{
	return (uint64_t)n_rows * SHORT_CHUNKS * (2 * sizeof(float) + sizeof(int32_t));
}

/* Of a candidate nothing but NaN fails to be above -inf, or it. */
DEVICE bool is_better(float logit, int32_t id, float than, int32_t than_id)
{
	return logit > than || (logit == than && id < than_id);
}

/* The best of `lanes` neighbours, in each of them. */
DEVICE void best_of_lanes(float &logit, int32_t &id, uint32_t lanes)
{
	for (int by = (int)lanes / 2; by > 0; by /= 2) {
		float other = __shfl_xor_sync(~0u, logit, by);
		int32_t other_id = __shfl_xor_sync(~0u, id, by);

		if (is_better(other, other_id, logit, id)) {
			logit = other;
			id = other_id;
		}
	}
}

/* `lanes` threads a chunk of `width`; both are powers of two, lanes at most a warp. */
__global__ void __launch_bounds__(CHUNK_THREADS) chunk_kernel(
    const float *logits, uint32_t n, uint32_t width, uint32_t lanes, struct chunks out)
{
	uint32_t chunk = (blockIdx.x * CHUNK_THREADS + threadIdx.x) / lanes;
	uint32_t first = chunk * width + threadIdx.x % lanes;
	uint32_t end = (chunk + 1) * width < n ? (chunk + 1) * width : n;
	float best = -INFINITY, sum = 0;
	int32_t id = INT32_MAX;

	pdl_wait();
	logits += (uint64_t)blockIdx.y * n;
	for (uint32_t i = first; i < end; i += lanes) {
		float x = logits[i];

		if (x > best) {
			best = x;
			id = (int32_t)i;
		}
	}
	best_of_lanes(best, id, lanes);
	for (uint32_t i = first; i < end; i += lanes) {
		float x = logits[i];

		sum += x > -INFINITY ? expf(x - best) : 0.0f;
	}
	for (int by = (int)lanes / 2; by > 0; by /= 2)
		sum += __shfl_xor_sync(~0u, sum, by);
	if (threadIdx.x % lanes == 0 && chunk < SHORT_CHUNKS) {
		uint64_t at = (uint64_t)blockIdx.y * SHORT_CHUNKS + chunk;

		out.best[at] = best;
		out.ids[at] = id;
		out.sums[at] = sum;
	}
}

/* The row's best, in all threads; `shared` [16] each. */
DEVICE void best_of_block(float &logit, int32_t &id, float *shared, int32_t *shared_ids)
{
	uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32;

	best_of_lanes(logit, id, 32);
	if (lane == 0) {
		shared[warp] = logit;
		shared_ids[warp] = id;
	}
	__syncthreads();
	logit = lane < SHORT_CHUNKS / 32 ? shared[lane] : -INFINITY;
	id = lane < SHORT_CHUNKS / 32 ? shared_ids[lane] : INT32_MAX;
	best_of_lanes(logit, id, 32);
}

/* How many chunks are better than this thread's. */
DEVICE uint32_t rank_of(float own, const float *best)
{
	uint32_t rank = 0;

	for (uint32_t i = 0; i < SHORT_CHUNKS; i++)
		rank += is_better(best[i], (int32_t)i, own, (int32_t)threadIdx.x);
	return rank;
}

/* A thread for each chunk, a block for each row. */
__global__ void __launch_bounds__(SHORT_CHUNKS) gather_kernel(
    const float *logits, uint32_t n, uint32_t width, struct chunks in, backend_shortlist *out)
{
	__shared__ float best[SHORT_CHUNKS], shared[32], least;
	__shared__ int32_t shared_ids[32];
	__shared__ backend_candidate found[BACKEND_SHORT_MAX];
	__shared__ uint32_t n_found;
	uint64_t at = (uint64_t)blockIdx.x * SHORT_CHUNKS + threadIdx.x;
	float top, sum;
	int32_t top_id;

	pdl_wait();
	logits += (uint64_t)blockIdx.x * n;
	out += blockIdx.x;
	top = best[threadIdx.x] = in.best[at];
	top_id = in.ids[at];
	if (threadIdx.x == 0)
		n_found = 0;
	best_of_block(top, top_id, shared, shared_ids);
	sum = best[threadIdx.x] > -INFINITY ? in.sums[at] * expf(best[threadIdx.x] - top) : 0.0f;
	sum = block_sum(sum, shared);
	if (rank_of(best[threadIdx.x], best) == SHORT_RANK - 1)
		least = best[threadIdx.x];
	__syncthreads();
	for (uint32_t c = threadIdx.x / 32; c < SHORT_CHUNKS; c += SHORT_CHUNKS / 32) {
		uint32_t end = (c + 1) * width < n ? (c + 1) * width : n;

		if (!(best[c] >= least) || !(best[c] > -INFINITY))
			continue;
		for (uint32_t i = c * width + threadIdx.x % 32; i < end; i += 32) {
			float x = logits[i];
			uint32_t place;

			if (!(x >= least) || !(x > -INFINITY))
				continue;
			place = atomicAdd(&n_found, 1u);
			if (place < BACKEND_SHORT_MAX)
				found[place] = { (int32_t)i, x };
		}
	}
	__syncthreads();
	if (n_found <= BACKEND_SHORT_MAX) {
		if (threadIdx.x < n_found)
			out->best[threadIdx.x] = found[threadIdx.x];
	} else if (threadIdx.x == 0) {
		out->best[0] = { top_id, top };
	}
	if (threadIdx.x != 0)
		return;
	out->n = n_found <= BACKEND_SHORT_MAX ? n_found : 1;
	out->sum = sum;
	if (n_found <= BACKEND_SHORT_MAX)
		out->last = { INT32_MAX, least };
	else
		out->last = { top_id, top };
}

cudaError_t cuda_shortlist(const struct cuda_pass *p, const float *logits, uint32_t n,
    uint32_t n_rows, struct backend_shortlist *out)
{
	struct chunks c = chunks_at(p->work, n_rows);
	uint32_t width = 1, lanes;
	cudaError_t rc;

	if (n_rows == 0)
		return cudaSuccess;
	while ((uint64_t)width * SHORT_CHUNKS < n)
		width *= 2;
	lanes = width < 32 ? width : 32;
	rc = launch(chunk_kernel, dim3(SHORT_CHUNKS * lanes / CHUNK_THREADS, n_rows), CHUNK_THREADS,
	    0, p->stream, logits, n, width, lanes, c);
	if (rc == cudaSuccess)
		rc = launch(gather_kernel, n_rows, SHORT_CHUNKS, 0, p->stream, logits, n, width, c,
		    out);
	return rc;
}
