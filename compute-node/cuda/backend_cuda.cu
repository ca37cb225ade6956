/*
 * The backend: memory of a device, passes, and the graphs that answer passes are
 * replayed from.  Kernels are in the other files (cuda/launch.h).
 */
#include <math.h>
#include <new>
#include <stdio.h>
#include <string.h>
#include <thread>
#include <vector>

#include "cuda/launch.h"
#include "cuda/parts.h"
#include "cuda/runtime.h"

#define ALIGN 256u
#define STAGE_BYTES (32u << 20)
#define STAGES 2
#define COPIERS 4u
#define GRAPHS_MAX 256u
#define PAST_MIN 512u /* bounds of positions double from here on */

struct graph {
	uint32_t n_rows, n_wanted, first, n_past_max;
	struct runtime_graph *graph;
};

struct taken {
	void *memory;
	uint64_t bytes;
};

struct backend {
	struct runtime *runtime;
	struct cuda_pass pass;
	struct backend_sizes sizes;
	std::vector<taken> memory;
	struct backend_row *rows;        /* device */
	struct backend_row *pinned_rows; /* host */
	float *logits;                   /* device [n_wanted][n_vocab] */
	float *pinned_logits;            /* host, the same */
	struct backend_shortlist *shortlists; /* host [n_wanted], written by the device */
	uint32_t first;                  /* place of the pass's wanted rows in the three */
	uint8_t *stages[STAGES], *raw[STAGES]; /* host, device */
	std::vector<graph> graphs;
	bool rehearsing; /* what is put into the queue is kept, and not run */
	bool full;       /* there is no memory for more graphs */
	cudaError_t failed; /* the first launch of the pass that did not go */
	const char *failed_at;
};

static enum rc fail(struct errmsg *why, const char *what, cudaError_t rc)
{
	return errmsg_rc(why, rc == cudaErrorMemoryAllocation ? RC_NOMEM : RC_IO, "CUDA: %s: %s",
	    what, cudaGetErrorString(rc));
}

static void note(struct backend *b, const char *what, cudaError_t rc)
{
	if (rc == cudaSuccess || b->failed != cudaSuccess)
		return;
	b->failed = rc;
	b->failed_at = what;
}

const struct cuda_pass *backend_pass(const struct backend *b)
{
	return &b->pass;
}

void backend_note(struct backend *b, const char *what, cudaError_t rc)
{
	note(b, what, rc);
}

static enum rc cuda_take(struct backend *b, uint64_t bytes, void **out, struct errmsg *why)
{
	taken t = { NULL, bytes > 0 ? bytes : 1 };
	cudaError_t rc = runtime_take(b->runtime, t.bytes, &t.memory);

	if (rc != cudaSuccess)
		return errmsg_rc(why, rc == cudaErrorMemoryAllocation ? RC_NOMEM : RC_IO,
		    "CUDA: %llu bytes of device memory: %s", (unsigned long long)bytes,
		    cudaGetErrorString(rc));
	b->memory.push_back(t);
	*out = t.memory;
	return RC_OK;
}

static uint64_t logits_bytes(const struct backend_sizes *s)
{
	return (uint64_t)s->n_wanted * s->n_vocab * sizeof(float);
}

static void cuda_close(struct backend *b)
{
	if (b == NULL)
		return;
	(void)runtime_finish(b->runtime);
	for (graph &g : b->graphs)
		runtime_graph_free(g.graph);
	for (taken &t : b->memory) {
		(void)cudaMemsetAsync(t.memory, 0, t.bytes, b->pass.stream);
		(void)runtime_finish(b->runtime);
		runtime_give(t.memory);
	}
	for (int i = 0; i < STAGES; i++)
		runtime_unpin(b->stages[i], STAGE_BYTES);
	runtime_unpin(b->pinned_rows, b->sizes.n_rows * sizeof(*b->pinned_rows));
	runtime_unpin(b->pinned_logits, logits_bytes(&b->sizes));
	runtime_unpin(b->shortlists, b->sizes.n_wanted * sizeof(*b->shortlists));
	runtime_close(b->runtime);
	delete b;
}

static enum rc cuda_open(unsigned index, struct backend **out, struct errmsg *why)
{
	struct backend *b = new (std::nothrow) backend();
	cudaError_t rc;

	if (b == NULL)
		return RC_NOMEM;
	rc = runtime_open(index, &b->runtime);
	if (rc != cudaSuccess) {
		delete b;
		return errmsg_rc(why, RC_NOTFOUND, "CUDA: device %u: %s", index,
		    cudaGetErrorString(rc));
	}
	b->pass.stream = runtime_stream(b->runtime);
	b->pass.units = runtime_figures(b->runtime)->units;
	b->pass.cc = runtime_figures(b->runtime)->cc;
	*out = b;
	return RC_OK;
}

static void cuda_info(const struct backend *b, struct backend_info *out)
{
	const struct runtime_figures *f = runtime_figures(b->runtime);

	*out = {};
	(void)snprintf(out->name, sizeof(out->name), "%s", f->name);
	/* which kernels there are depends on the capability */
	(void)snprintf(out->numerics, sizeof(out->numerics), "cuda/k1-%u", f->cc);
	out->total_bytes = f->total_bytes;
	out->free_bytes = runtime_free_bytes(b->runtime);
	out->unified = f->unified;
}

static uint64_t cuda_matrix_bytes(uint32_t type, uint64_t k, uint64_t rows)
{
	uint64_t strides[BACKEND_PLANES], places[BACKEND_PLANES];

	return cuda_planes(type, k, rows, strides, places);
}

/* What kernels share: no two of them need theirs at once. */
static uint64_t shared_bytes(const struct backend_sizes *s)
{
	uint64_t bytes = cuda_gemm_work(s->matrix_weights);
	uint64_t attention = cuda_attention_work(s->n_rows, s->n_head, s->dv, s->n_ctx);
	uint64_t experts = s->n_expert > 0 ? cuda_experts_work(s->n_rows, s->n_expert, s->n_used,
						 s->n_expert_in, s->n_expert_ff, s->matrix_weights)
					   : 0;
	uint64_t shortlist = cuda_shortlist_work(s->n_wanted);
	uint64_t stacked = cuda_stacked_work(s->n_rows, s->n_stack, s->matrix_weights);

	bytes = attention > bytes ? attention : bytes;
	bytes = stacked > bytes ? stacked : bytes;
	bytes = experts > bytes ? experts : bytes;
	bytes = shortlist > bytes ? shortlist : bytes;
	return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

static uint64_t cuda_work_bytes(const struct backend_sizes *s)
{
	return shared_bytes(s) + logits_bytes(s) + s->n_rows * sizeof(struct backend_row) +
	       (uint64_t)STAGES * STAGE_BYTES + CUDA_COUNTERS * sizeof(uint32_t) + 4 * ALIGN;
}

static enum rc cuda_work(
    struct backend *b, const struct backend_sizes *sizes, struct errmsg *why)
{
	void *memory = NULL;
	enum rc rc = RC_OK;
	cudaError_t pinned = cudaSuccess;

	b->sizes = *sizes;
	b->pass.work_bytes = shared_bytes(sizes);
	rc = cuda_take(b, b->pass.work_bytes, &memory, why);
	b->pass.work = (uint8_t *)memory;
	if (rc == RC_OK)
		rc = cuda_take(b, logits_bytes(sizes), &memory, why);
	b->logits = (float *)memory;
	if (rc == RC_OK)
		rc = cuda_take(b, sizes->n_rows * sizeof(*b->rows), &memory, why);
	b->rows = (struct backend_row *)memory;
	if (rc == RC_OK)
		rc = cuda_take(b, CUDA_COUNTERS * sizeof(uint32_t), &memory, why);
	b->pass.counters = (uint32_t *)memory;
	for (int i = 0; rc == RC_OK && i < STAGES; i++) {
		rc = cuda_take(b, STAGE_BYTES, &memory, why);
		b->raw[i] = (uint8_t *)memory;
		if (rc == RC_OK && pinned == cudaSuccess)
			pinned = runtime_pin(STAGE_BYTES, (void **)&b->stages[i]);
	}
	if (rc == RC_OK && pinned == cudaSuccess)
		pinned = runtime_pin(
		    sizes->n_rows * sizeof(*b->pinned_rows), (void **)&b->pinned_rows);
	if (rc == RC_OK && pinned == cudaSuccess)
		pinned = runtime_pin(logits_bytes(sizes), (void **)&b->pinned_logits);
	if (rc == RC_OK && pinned == cudaSuccess)
		pinned = runtime_pin(
		    sizes->n_wanted * sizeof(*b->shortlists), (void **)&b->shortlists);
	if (rc == RC_OK && pinned != cudaSuccess)
		return fail(why, "pinned memory", pinned);
	b->pass.rows = b->rows;
	return rc;
}

static enum rc cuda_upload(
    struct backend *b, void *to, const void *from, uint64_t bytes, struct errmsg *why)
{
	cudaError_t rc = cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, b->pass.stream);

	if (rc == cudaSuccess)
		rc = runtime_finish(b->runtime);
	return rc == cudaSuccess ? RC_OK : fail(why, "upload", rc);
}

static enum rc cuda_download(
    struct backend *b, void *to, const void *from, uint64_t bytes, struct errmsg *why)
{
	cudaError_t rc = cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, b->pass.stream);

	if (rc == cudaSuccess)
		rc = runtime_finish(b->runtime);
	return rc == cudaSuccess ? RC_OK : fail(why, "download", rc);
}

/* A mapped file is read by some threads, since each waits for its pages. */
static void copy_shared(uint8_t *to, const uint8_t *from, uint64_t bytes)
{
	uint64_t part = (bytes / COPIERS + ALIGN) / ALIGN * ALIGN;
	std::thread threads[COPIERS];

	if (bytes < 1u << 20) {
		memcpy(to, from, bytes);
		return;
	}
	for (unsigned i = 0; i < COPIERS; i++) {
		uint64_t at = i * part, n = at < bytes ? bytes - at < part ? bytes - at : part : 0;

		threads[i] = std::thread([=]() { memcpy(to + at, from + at, n); });
	}
	for (std::thread &t : threads)
		t.join();
}

static enum rc cuda_place_rows(struct backend *b, uint32_t type, uint64_t k, uint64_t rows,
    const uint8_t *bytes, void *to, struct backend_matrix *out, struct errmsg *why)
{
	uint64_t places[BACKEND_PLANES], n_bytes = cuda_planes(type, k, rows, out->strides, places);
	uint64_t row_bytes = cuda_row_bytes(type, k), most = STAGE_BYTES / row_bytes;
	cudaError_t rc = cudaSuccess;
	unsigned stage = 0;

	if (n_bytes == 0 || most == 0)
		return errmsg_rc(why, RC_UNSUPPORTED, "CUDA: rows of %llu weights of type %u",
		    (unsigned long long)k, type);
	out->type = type;
	out->k = k;
	out->rows = out->height = rows;
	out->factors = NULL;
	for (int i = 0; i < BACKEND_PLANES; i++)
		out->planes[i] = (const uint8_t *)to + places[i];
	for (uint64_t first = 0; rc == cudaSuccess && first < rows; first += most, stage++) {
		uint64_t n = rows - first < most ? rows - first : most;
		unsigned s = stage % STAGES;

		if (stage >= STAGES)
			rc = runtime_wait_stage(b->runtime, s);
		if (rc != cudaSuccess)
			break;
		copy_shared(b->stages[s], bytes + first * row_bytes, n * row_bytes);
		rc = cudaMemcpyAsync(b->raw[s], b->stages[s], n * row_bytes, cudaMemcpyHostToDevice,
		    b->pass.stream);
		if (rc == cudaSuccess)
			rc = cuda_place(b->pass.stream, b->raw[s], n, first, out);
		if (rc == cudaSuccess)
			rc = runtime_mark_stage(b->runtime, s);
	}
	if (rc == cudaSuccess)
		rc = runtime_finish(b->runtime);
	return rc == cudaSuccess ? RC_OK : fail(why, "weights", rc);
}

static enum rc cuda_wipe(struct backend *b, void *at, uint64_t bytes, struct errmsg *why)
{
	cudaError_t rc = cudaMemsetAsync(at, 0, bytes, b->pass.stream);

	return rc == cudaSuccess ? RC_OK : fail(why, "wipe", rc);
}

static enum rc cuda_finish(struct backend *b, struct errmsg *why)
{
	cudaError_t rc = runtime_finish(b->runtime);

	return rc == cudaSuccess ? RC_OK : fail(why, "wait", rc);
}

/* No pass is under way: each has been waited for. */
static enum rc cuda_forget(struct backend *b, struct errmsg *why)
{
	cudaError_t rc =
	    cudaMemsetAsync(b->pass.work, 0, b->pass.work_bytes, b->pass.stream);

	if (rc == cudaSuccess)
		rc = cudaMemsetAsync(b->logits, 0, logits_bytes(&b->sizes), b->pass.stream);
	if (rc == cudaSuccess)
		rc = cudaMemsetAsync(
		    b->rows, 0, b->sizes.n_rows * sizeof(*b->rows), b->pass.stream);
	memset(b->pinned_rows, 0, b->sizes.n_rows * sizeof(*b->pinned_rows));
	memset(b->pinned_logits, 0, logits_bytes(&b->sizes));
	memset(b->shortlists, 0, b->sizes.n_wanted * sizeof(*b->shortlists));
	return rc == cudaSuccess ? RC_OK : fail(why, "wipe", rc);
}

/* A bound of all positions, from few. */
static uint32_t past_bound(const struct backend_row *rows, uint32_t n, uint32_t n_ctx)
{
	uint32_t most = 0, bound = PAST_MIN;

	for (uint32_t i = 0; i < n; i++)
		most = rows[i].pos + 1 > most ? rows[i].pos + 1 : most;
	while (bound < most)
		bound *= 2;
	return bound < n_ctx ? bound : n_ctx;
}

static struct graph *find_graph(struct backend *b)
{
	for (graph &g : b->graphs) {
		if (g.n_rows == b->pass.n_rows && g.n_wanted == b->pass.n_wanted &&
		    g.first == b->first && g.n_past_max == b->pass.n_past_max)
			return &g;
	}
	return NULL;
}

static enum rc cuda_begin(struct backend *b, enum backend_class class_,
    const struct backend_row *rows, uint32_t n_rows, uint32_t first, bool *replayed,
    struct errmsg *why)
{
	struct graph *known = NULL;
	cudaError_t rc;

	b->pass.answer = class_ == BACKEND_ANSWER;
	b->pass.n_rows = n_rows;
	b->first = first;
	b->pass.n_wanted = 0;
	for (uint32_t i = 0; i < n_rows; i++)
		b->pass.n_wanted += rows[i].wanted != UINT32_MAX;
	b->pass.n_past_max = past_bound(rows, n_rows, b->sizes.n_ctx);
	b->pass.host_rows = b->pinned_rows;
	b->failed = cudaSuccess;
	*replayed = false;
	if (n_rows > b->sizes.n_rows || first > b->sizes.n_wanted ||
	    b->pass.n_wanted > b->sizes.n_wanted - first ||
	    b->pass.n_wanted > BACKEND_ANSWER_ROWS)
		return errmsg_rc(why, RC_LIMIT, "CUDA: %u rows in a pass of at most %u", n_rows,
		    b->sizes.n_rows);
	memcpy(b->pinned_rows, rows, n_rows * sizeof(*rows));
	rc = cudaMemcpyAsync(b->rows, b->pinned_rows, n_rows * sizeof(*rows),
	    cudaMemcpyHostToDevice, b->pass.stream);
	if (rc == cudaSuccess && b->pass.answer)
		known = find_graph(b);
	*replayed = known != NULL;
	if (rc == cudaSuccess && known != NULL && !b->rehearsing)
		rc = runtime_replay(b->runtime, known->graph);
	if (rc == cudaSuccess && known == NULL && b->rehearsing)
		rc = runtime_capture(b->runtime);
	return rc == cudaSuccess ? RC_OK : fail(why, "begin of a pass", rc);
}

/*
 * Graphs are all made at start: making one takes milliseconds and memory of the device,
 * which an answer under way has neither of.  Other shapes of passes go kernel by kernel.
 */
static enum rc cuda_rehearse(struct backend *b, const struct backend_row *rows, uint32_t n_rows,
    uint32_t first, bool *known, struct errmsg *why)
{
	enum rc rc;

	*known = true;
	if (b->full || b->graphs.size() == GRAPHS_MAX)
		return RC_OK;
	b->rehearsing = true;
	rc = cuda_begin(b, BACKEND_ANSWER, rows, n_rows, first, known, why);
	b->rehearsing = rc == RC_OK && !*known;
	return rc;
}

/* What was captured becomes a graph. */
static enum rc end_rehearsal(struct backend *b, struct errmsg *why)
{
	graph g = { b->pass.n_rows, b->pass.n_wanted, b->first, b->pass.n_past_max, NULL };
	cudaError_t rc = runtime_captured(b->runtime, &g.graph);

	b->rehearsing = false;
	if (rc == cudaSuccess && b->failed == cudaSuccess)
		b->graphs.push_back(g);
	else if (rc == cudaSuccess)
		runtime_graph_free(g.graph);
	if (b->failed != cudaSuccess)
		return fail(why, b->failed_at, b->failed);
	b->full = rc == cudaErrorMemoryAllocation;
	return rc == cudaSuccess || b->full ? RC_OK : fail(why, "graph of a pass", rc);
}

static float *cuda_host_logits(struct backend *b)
{
	return b->pinned_logits;
}

/* Memory that the device writes: `to` itself if it is that, or the same rows of ours. */
static float *pinned_for(struct backend *b, float *to, uint32_t place)
{
	float *end = b->pinned_logits + (uint64_t)b->sizes.n_wanted * b->sizes.n_vocab;

	return to >= b->pinned_logits && to < end
		   ? to
		   : b->pinned_logits + (uint64_t)place * b->sizes.n_vocab;
}

/* Wanted rows from `at` on that all are brief, or none. */
static uint32_t count_alike(const struct backend *b, const bool *brief, uint32_t at)
{
	uint32_t n = 1;

	while (at + n < b->pass.n_wanted && brief[at + n] == brief[at])
		n++;
	return n;
}

/* Call `go` for each run of wanted rows that are not brief. */
template <class F> static void each_whole(const struct backend *b, F go)
{
	bool brief[BACKEND_ANSWER_ROWS] = { false };

	for (uint32_t i = 0; i < b->pass.n_rows; i++) {
		if (b->pinned_rows[i].wanted < BACKEND_ANSWER_ROWS)
			brief[b->pinned_rows[i].wanted] = b->pinned_rows[i].brief;
	}
	for (uint32_t at = 0, n = 0; at < b->pass.n_wanted; at += n) {
		n = count_alike(b, brief, at);
		if (!brief[at])
			go((uint64_t)at * b->sizes.n_vocab, (uint64_t)n * b->sizes.n_vocab);
	}
}

static enum rc cuda_end(struct backend *b, float *logits, struct errmsg *why)
{
	const float *from = b->logits + (uint64_t)b->first * b->sizes.n_vocab;
	float *to = pinned_for(b, logits, b->first);
	cudaError_t rc = cudaSuccess;

	if (b->rehearsing)
		return end_rehearsal(b, why);
	if (b->failed != cudaSuccess)
		return fail(why, b->failed_at, b->failed);
	if (logits != NULL)
		each_whole(b, [&](uint64_t at, uint64_t n) {
			if (rc == cudaSuccess)
				rc = cudaMemcpyAsync(to + at, from + at, n * sizeof(float),
				    cudaMemcpyDeviceToHost, b->pass.stream);
		});
	if (rc == cudaSuccess)
		rc = runtime_finish(b->runtime);
	if (rc != cudaSuccess)
		return fail(why, "pass", rc);
	if (logits != NULL && to != logits)
		each_whole(b, [&](uint64_t at, uint64_t n) {
			memcpy(logits + at, to + at, n * sizeof(float));
		});
	return RC_OK;
}

static const struct backend_shortlist *cuda_shortlist_at(struct backend *b, uint32_t place)
{
	return &b->shortlists[place];
}

static enum rc cuda_fetch(
    struct backend *b, uint32_t place, float *logits, struct errmsg *why)
{
	uint64_t bytes = b->sizes.n_vocab * sizeof(float);
	float *to = pinned_for(b, logits, place);
	cudaError_t rc = cudaMemcpyAsync(to, b->logits + (uint64_t)place * b->sizes.n_vocab, bytes,
	    cudaMemcpyDeviceToHost, b->pass.stream);

	if (rc == cudaSuccess)
		rc = runtime_finish(b->runtime);
	if (rc != cudaSuccess)
		return fail(why, "logits", rc);
	if (to != logits)
		memcpy(logits, to, bytes);
	return RC_OK;
}

/* ---- what a pass consists of ---- */

static void slot_embed(
    struct backend *b, const struct backend_matrix *m, float scale, float *x)
{
	note(b, "embed", cuda_embed(&b->pass, m, scale, x));
}

static void slot_rotations(
    struct backend *b, const double *freqs, uint32_t n_rot, double magnitude, float *out)
{
	note(b, "rotations", cuda_rotations(&b->pass, freqs, n_rot, magnitude, out));
}

static void slot_norm(struct backend *b, const float *x, const float *weight, uint32_t n, float eps,
    bool wanted, const struct backend_acts *out)
{
	note(b, "norm", cuda_norm(&b->pass, x, weight, n, eps, wanted, out));
}

static void slot_norm_add(struct backend *b, const float *from, const float *weight, uint32_t n,
    float eps, float *x)
{
	note(b, "norm_add", cuda_norm_add(&b->pass, from, weight, n, eps, x));
}

static void slot_matmul(struct backend *b, const struct backend_product *products, uint32_t n,
    const struct backend_acts *in)
{
	note(b, "matmul", b->pass.answer ? cuda_gemv(&b->pass, products, n, in, b->pass.n_rows)
					 : cuda_prompt_matmul(&b->pass, products, n, in));
}

static void slot_gated(struct backend *b, const struct backend_matrix *gate,
    const struct backend_matrix *up, enum backend_activation kind, const float *gelu,
    const struct backend_acts *in, float *gate_scratch, float *up_scratch,
    const struct backend_acts *out)
{
	uint64_t n = gate->rows;
	struct backend_product products[2] = {};

	if (b->pass.answer) {
		note(b, "gated", cuda_gemv_gated(&b->pass, gate, up, kind, gelu, in, out));
		return;
	}
	products[0].matrix = *gate;
	products[0].out = gate_scratch;
	products[1].matrix = *up;
	products[1].out = up_scratch;
	for (int i = 0; i < 2; i++)
		products[i].rows = products[i].out_stride = n;
	note(b, "gated", cuda_prompt_matmul(&b->pass, products, 2, in));
	note(b, "activation", cuda_activate(&b->pass, kind, gelu, gate_scratch, up_scratch, n,
				  (uint32_t)n, b->pass.n_rows, out));
}

static void slot_attention(struct backend *b, const struct backend_attention *a)
{
	note(b, "attention", cuda_attention(&b->pass, a));
}

static void slot_experts(struct backend *b, const struct backend_experts *e)
{
	note(b, "experts", cuda_experts(&b->pass, e));
}

static void slot_logits(struct backend *b, const struct backend_product *output, float softcap,
    const struct backend_acts *in)
{
	struct backend_product product = *output;
	uint32_t n = b->sizes.n_vocab, n_wanted = b->pass.n_wanted;

	if (n_wanted == 0)
		return;
	product.out = b->logits + (uint64_t)b->first * n;
	product.out_stride = n;
	note(b, "logits", cuda_gemv(&b->pass, &product, 1, in, n_wanted));
	if (softcap != 0)
		note(b, "soft cap",
		    cuda_softcap(&b->pass, product.out, (uint64_t)n_wanted * n, softcap));
	note(b, "shortlists",
	    cuda_shortlist(&b->pass, product.out, n, n_wanted, b->shortlists + b->first));
}

static enum rc cuda_measure(
    struct backend *b, double *read_bytes_s, double *tensor_flops_s, struct errmsg *why)
{
	cudaError_t rc = runtime_measure(b->runtime, read_bytes_s, tensor_flops_s);

	return rc == cudaSuccess ? RC_OK : fail(why, "measure", rc);
}

static const struct backend_api *make()
{
	static struct backend_api api;

	api.abi = BACKEND_ABI;
	api.name = "cuda";
	api.open = cuda_open;
	api.close = cuda_close;
	api.info = cuda_info;
	api.computes = cuda_computes;
	api.matrix_bytes = cuda_matrix_bytes;
	api.work_bytes = cuda_work_bytes;
	api.take = cuda_take;
	api.work = cuda_work;
	api.upload = cuda_upload;
	api.download = cuda_download;
	api.place = cuda_place_rows;
	api.wipe = cuda_wipe;
	api.finish = cuda_finish;
	api.forget = cuda_forget;
	api.host_logits = cuda_host_logits;
	api.begin = cuda_begin;
	api.rehearse = cuda_rehearse;
	api.end = cuda_end;
	api.shortlist = cuda_shortlist_at;
	api.fetch = cuda_fetch;
	api.embed = slot_embed;
	api.rotations = slot_rotations;
	api.norm = slot_norm;
	api.norm_add = slot_norm_add;
	api.matmul = slot_matmul;
	api.gated = slot_gated;
	api.attention = slot_attention;
	api.experts = slot_experts;
	api.logits = slot_logits;
	api.measure = cuda_measure;
	backend_parts(&api);
	return &api;
}

extern "C" __attribute__((visibility("default"))) const struct backend_api *backend_entry(void)
{
	static const struct backend_api *const api = make();

	return api;
}
