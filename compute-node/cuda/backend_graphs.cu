/*
 * Graphs: what passes of answers put into the queue, kept at start and played back.
 *
 * Making one takes milliseconds and memory of the device, which an answer under way has
 * neither of: what was not rehearsed goes kernel by kernel.  The driver takes the memory
 * itself, and does not say how much before.  The plan has a reserve for it; what each
 * graph took is read from the device's free bytes, and the last is made where another one
 * as large as the largest before would no longer fit the reserve.  With the first may come
 * what the driver takes once and for all passes, stacks of kernels say: of that one no more
 * is counted than the plan has for one.
 */
#include "cuda/backend_impl.h"

#include <algorithm>

#define GRAPHS_MAX 256u
#define PAST_MIN 512u /* bounds of positions double from here on */
/* Of one kernel in a graph: what NVIDIA's CCCL counts with in its own cache of graphs
 * (cudax, github.com/NVIDIA/cccl/pull/3768).  Drivers for CUDA 11 took some 64 KiB. */
#define KERNEL_BYTES ((uint64_t)10 << 10)
/* Kernels of a layer: 8 to 10 where it is dense, 12 with experts, some 20 with latents. */
#define LAYER_KERNELS 16u
#define OTHER_KERNELS 16u
/* Drivers take memory in pieces, the first of which stands for many graphs. */
#define RESERVE_MIN ((uint64_t)64 << 20)
#define RESERVE_MAX ((uint64_t)256 << 20)

uint32_t backend_graphs_bound(const struct backend_row *rows, uint32_t n, uint32_t n_ctx)
{
	uint32_t most = 0, bound = PAST_MIN;

	for (uint32_t i = 0; i < n; i++)
		most = rows[i].pos + 1 > most ? rows[i].pos + 1 : most;
	while (bound < most)
		bound *= 2;
	return bound < n_ctx ? bound : n_ctx;
}

static uint64_t one_bytes(const struct backend_sizes *s)
{
	return ((uint64_t)s->n_layer * LAYER_KERNELS + OTHER_KERNELS) * KERNEL_BYTES;
}

static uint64_t graphs_bytes(const struct backend_sizes *s)
{
	uint64_t n = s->n_answers, bytes;

	for (uint64_t bound = PAST_MIN; bound < s->n_ctx; bound *= 2)
		n += s->n_answers;
	if (n == 0)
		return 0;
	bytes = (n < GRAPHS_MAX ? n : GRAPHS_MAX) * one_bytes(s);
	bytes = bytes > RESERVE_MIN ? bytes : RESERVE_MIN;
	return bytes < RESERVE_MAX ? bytes : RESERVE_MAX;
}

static struct graph *find(struct backend *b)
{
	for (graph &g : b->graphs) {
		if (g.n_rows == b->pass.n_rows && g.n_wanted == b->pass.n_wanted &&
		    g.first == b->first && g.n_past_max == b->pass.n_past_max)
			return &g;
	}
	return NULL;
}

enum rc backend_graphs_replay(struct backend *b, bool *replayed, struct errmsg *why)
{
	struct graph *known = find(b);
	cudaError_t rc = cudaSuccess;

	*replayed = known != NULL;
	if (known != NULL)
		rc = runtime_replay(b->runtime, known->graph);
	return rc == cudaSuccess ? RC_OK : backend_fail(why, "graph of a pass", rc);
}

static enum rc cuda_rehearse(struct backend *b, const struct backend_row *rows, uint32_t n_rows,
    uint32_t first, bool *known, struct errmsg *why)
{
	uint64_t reserve = graphs_bytes(&b->sizes);
	cudaError_t captures;
	enum rc rc;

	*known = true;
	b->full = b->full || b->graphs.size() == GRAPHS_MAX || b->graphs_taken >= reserve ||
		  b->graph_most > reserve - b->graphs_taken;
	if (b->full)
		return RC_OK;
	rc = backend_begin(b, BACKEND_ANSWER, rows, n_rows, first, why);
	if (rc != RC_OK || find(b) != NULL)
		return rc;
	b->free_before = runtime_free_bytes(b->runtime);
	captures = runtime_capture(b->runtime);
	if (captures != cudaSuccess)
		return backend_fail(why, "capture of a pass", captures);
	b->rehearsing = true;
	*known = false;
	return RC_OK;
}

/* Another program's memory may come and go meanwhile: what is more free counts as nothing. */
static uint64_t taken_since(const struct backend *b)
{
	uint64_t free_bytes = runtime_free_bytes(b->runtime);

	return b->free_before > free_bytes ? b->free_before - free_bytes : 0;
}

/* Keep it if it fits the reserve. */
static void keep(struct backend *b, const struct graph *g)
{
	uint64_t left = graphs_bytes(&b->sizes) - b->graphs_taken, taken = taken_since(b);

	if (b->graphs.empty()) {
		taken = std::min(taken, one_bytes(&b->sizes));
	} else if (taken <= left) {
		b->graph_most = std::max(b->graph_most, taken);
	} else {
		runtime_graph_free(g->graph);
		b->graphs_taken += taken_since(b); /* what did not come back */
		b->full = true;
		return;
	}
	b->graphs_taken += taken;
	b->graphs.push_back(*g);
}

enum rc backend_graphs_end(struct backend *b, struct errmsg *why)
{
	graph g = { b->pass.n_rows, b->pass.n_wanted, b->first, b->pass.n_past_max, NULL };
	cudaError_t rc = runtime_captured(b->runtime, &g.graph);

	b->rehearsing = false;
	b->full = rc == cudaErrorMemoryAllocation;
	if (rc == cudaSuccess && b->failed == cudaSuccess)
		keep(b, &g);
	else if (rc == cudaSuccess)
		runtime_graph_free(g.graph);
	if (b->failed != cudaSuccess)
		return backend_fail(why, b->failed_at, b->failed);
	return rc == cudaSuccess || b->full ? RC_OK : backend_fail(why, "graph of a pass", rc);
}

void backend_graphs_free(struct backend *b)
{
	for (graph &g : b->graphs)
		runtime_graph_free(g.graph);
	b->graphs.clear();
}

void backend_graphs(struct backend_api *api)
{
	api->graph_bytes = graphs_bytes;
	api->rehearse = cuda_rehearse;
}
