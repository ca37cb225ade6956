/* The backend: a device's memory, what is put there and wiped, and the table of functions. */
#include "cuda/backend_impl.h"

#include <new>
#include <stdio.h>
#include <string.h>
#include <thread>

#include "cuda/parts.h"

#define ALIGN 256u
#define STAGE_BYTES (32u << 20)
#define COPIERS 4u

enum rc backend_fail(struct errmsg *why, const char *what, cudaError_t rc)
{
	return errmsg_rc(why, rc == cudaErrorMemoryAllocation ? RC_NOMEM : RC_IO, "CUDA: %s: %s",
	    what, cudaGetErrorString(rc));
}

void backend_note(struct backend *b, const char *what, cudaError_t rc)
{
	if (rc == cudaSuccess || b->failed != cudaSuccess)
		return;
	b->failed = rc;
	b->failed_at = what;
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

uint64_t backend_logits_bytes(const struct backend_sizes *s)
{
	return (uint64_t)s->n_wanted * s->n_vocab * sizeof(float);
}

static void cuda_close(struct backend *b)
{
	if (b == NULL)
		return;
	(void)runtime_finish(b->runtime);
	backend_graphs_free(b);
	for (taken &t : b->memory) {
		(void)cudaMemsetAsync(t.memory, 0, t.bytes, b->pass.stream);
		(void)runtime_finish(b->runtime);
		runtime_give(t.memory);
	}
	for (int i = 0; i < STAGES; i++)
		runtime_unpin(b->stages[i], STAGE_BYTES);
	runtime_unpin(b->pinned_rows, b->sizes.n_rows * sizeof(*b->pinned_rows));
	runtime_unpin(b->pinned_logits, backend_logits_bytes(&b->sizes));
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
	out->n_graphs = (uint32_t)b->graphs.size();
	out->graph_bytes = b->graphs_taken;
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
	return shared_bytes(s) + backend_logits_bytes(s) + s->n_rows * sizeof(struct backend_row) +
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
		rc = cuda_take(b, backend_logits_bytes(sizes), &memory, why);
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
		pinned = runtime_pin(backend_logits_bytes(sizes), (void **)&b->pinned_logits);
	if (rc == RC_OK && pinned == cudaSuccess)
		pinned = runtime_pin(
		    sizes->n_wanted * sizeof(*b->shortlists), (void **)&b->shortlists);
	if (rc == RC_OK && pinned != cudaSuccess)
		return backend_fail(why, "pinned memory", pinned);
	b->pass.rows = b->rows;
	return rc;
}

static enum rc cuda_upload(
    struct backend *b, void *to, const void *from, uint64_t bytes, struct errmsg *why)
{
	cudaError_t rc = cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, b->pass.stream);

	if (rc == cudaSuccess)
		rc = runtime_finish(b->runtime);
	return rc == cudaSuccess ? RC_OK : backend_fail(why, "upload", rc);
}

static enum rc cuda_download(
    struct backend *b, void *to, const void *from, uint64_t bytes, struct errmsg *why)
{
	cudaError_t rc = cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, b->pass.stream);

	if (rc == cudaSuccess)
		rc = runtime_finish(b->runtime);
	return rc == cudaSuccess ? RC_OK : backend_fail(why, "download", rc);
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
	return rc == cudaSuccess ? RC_OK : backend_fail(why, "weights", rc);
}

static enum rc cuda_wipe(struct backend *b, void *at, uint64_t bytes, struct errmsg *why)
{
	cudaError_t rc = cudaMemsetAsync(at, 0, bytes, b->pass.stream);

	return rc == cudaSuccess ? RC_OK : backend_fail(why, "wipe", rc);
}

static enum rc cuda_finish(struct backend *b, struct errmsg *why)
{
	cudaError_t rc = runtime_finish(b->runtime);

	return rc == cudaSuccess ? RC_OK : backend_fail(why, "wait", rc);
}

/* No pass is under way: each has been waited for. */
static enum rc cuda_forget(struct backend *b, struct errmsg *why)
{
	cudaError_t rc =
	    cudaMemsetAsync(b->pass.work, 0, b->pass.work_bytes, b->pass.stream);

	if (rc == cudaSuccess)
		rc = cudaMemsetAsync(b->logits, 0, backend_logits_bytes(&b->sizes), b->pass.stream);
	if (rc == cudaSuccess)
		rc = cudaMemsetAsync(
		    b->rows, 0, b->sizes.n_rows * sizeof(*b->rows), b->pass.stream);
	memset(b->pinned_rows, 0, b->sizes.n_rows * sizeof(*b->pinned_rows));
	memset(b->pinned_logits, 0, backend_logits_bytes(&b->sizes));
	memset(b->shortlists, 0, b->sizes.n_wanted * sizeof(*b->shortlists));
	return rc == cudaSuccess ? RC_OK : backend_fail(why, "wipe", rc);
}

static enum rc cuda_measure(
    struct backend *b, double *read_bytes_s, double *tensor_flops_s, struct errmsg *why)
{
	cudaError_t rc = runtime_measure(b->runtime, read_bytes_s, tensor_flops_s);

	return rc == cudaSuccess ? RC_OK : backend_fail(why, "measure", rc);
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
	api.measure = cuda_measure;
	backend_passes(&api);
	backend_parts(&api);
	backend_graphs(&api);
	return &api;
}

extern "C" __attribute__((visibility("default"))) const struct backend_api *backend_entry(void)
{
	static const struct backend_api *const api = make();

	return api;
}
