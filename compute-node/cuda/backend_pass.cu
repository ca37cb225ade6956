/* Passes: rows to the device, what is computed of them, logits and shortlists back. */
#include "cuda/backend_impl.h"

#include <string.h>

#include "cuda/parts.h"

enum rc backend_begin(struct backend *b, enum backend_class class_, const struct backend_row *rows,
    uint32_t n_rows, uint32_t first, struct errmsg *why)
{
	cudaError_t rc;

	b->pass.answer = class_ == BACKEND_ANSWER;
	b->pass.n_rows = n_rows;
	b->first = first;
	b->pass.n_wanted = 0;
	for (uint32_t i = 0; i < n_rows; i++)
		b->pass.n_wanted += rows[i].wanted != UINT32_MAX;
	b->pass.n_past_max = backend_graphs_bound(rows, n_rows, b->sizes.n_ctx);
	b->pass.host_rows = b->pinned_rows;
	b->failed = cudaSuccess;
	if (n_rows > b->sizes.n_rows || first > b->sizes.n_wanted ||
	    b->pass.n_wanted > b->sizes.n_wanted - first ||
	    b->pass.n_wanted > BACKEND_ANSWER_ROWS)
		return errmsg_rc(why, RC_LIMIT, "CUDA: %u rows in a pass of at most %u", n_rows,
		    b->sizes.n_rows);
	memcpy(b->pinned_rows, rows, n_rows * sizeof(*rows));
	rc = cudaMemcpyAsync(b->rows, b->pinned_rows, n_rows * sizeof(*rows),
	    cudaMemcpyHostToDevice, b->pass.stream);
	return rc == cudaSuccess ? RC_OK : backend_fail(why, "rows of a pass", rc);
}

static enum rc cuda_begin(struct backend *b, enum backend_class class_,
    const struct backend_row *rows, uint32_t n_rows, uint32_t first, bool *replayed,
    struct errmsg *why)
{
	enum rc rc = backend_begin(b, class_, rows, n_rows, first, why);

	*replayed = false;
	return rc == RC_OK && b->pass.answer ? backend_graphs_replay(b, replayed, why) : rc;
}

const struct cuda_pass *backend_pass(const struct backend *b)
{
	return &b->pass;
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
		return backend_graphs_end(b, why);
	if (b->failed != cudaSuccess)
		return backend_fail(why, b->failed_at, b->failed);
	if (logits != NULL)
		each_whole(b, [&](uint64_t at, uint64_t n) {
			if (rc == cudaSuccess)
				rc = cudaMemcpyAsync(to + at, from + at, n * sizeof(float),
				    cudaMemcpyDeviceToHost, b->pass.stream);
		});
	if (rc == cudaSuccess)
		rc = runtime_finish(b->runtime);
	if (rc != cudaSuccess)
		return backend_fail(why, "pass", rc);
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
		return backend_fail(why, "logits", rc);
	if (to != logits)
		memcpy(logits, to, bytes);
	return RC_OK;
}

/* ---- what a pass consists of ---- */

static void slot_embed(
    struct backend *b, const struct backend_matrix *m, float scale, float *x)
{
	backend_note(b, "embed", cuda_embed(&b->pass, m, scale, x));
}

static void slot_rotations(
    struct backend *b, const double *freqs, uint32_t n_rot, double magnitude, float *out)
{
	backend_note(b, "rotations", cuda_rotations(&b->pass, freqs, n_rot, magnitude, out));
}

static void slot_norm(struct backend *b, const float *x, const float *weight, uint32_t n, float eps,
    bool wanted, const struct backend_acts *out)
{
	backend_note(b, "norm", cuda_norm(&b->pass, x, weight, n, eps, wanted, out));
}

static void slot_norm_add(struct backend *b, const float *from, const float *weight, uint32_t n,
    float eps, float *x)
{
	backend_note(b, "norm_add", cuda_norm_add(&b->pass, from, weight, n, eps, x));
}

static void slot_matmul(struct backend *b, const struct backend_product *products, uint32_t n,
    const struct backend_acts *in)
{
	backend_note(b, "matmul", b->pass.answer ? cuda_gemv(&b->pass, products, n, in, b->pass.n_rows)
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
		backend_note(b, "gated", cuda_gemv_gated(&b->pass, gate, up, kind, gelu, in, out));
		return;
	}
	products[0].matrix = *gate;
	products[0].out = gate_scratch;
	products[1].matrix = *up;
	products[1].out = up_scratch;
	for (int i = 0; i < 2; i++)
		products[i].rows = products[i].out_stride = n;
	backend_note(b, "gated", cuda_prompt_matmul(&b->pass, products, 2, in));
	backend_note(b, "activation", cuda_activate(&b->pass, kind, gelu, gate_scratch, up_scratch, n,
				  (uint32_t)n, b->pass.n_rows, out));
}

static void slot_attention(struct backend *b, const struct backend_attention *a)
{
	backend_note(b, "attention", cuda_attention(&b->pass, a));
}

static void slot_experts(struct backend *b, const struct backend_experts *e)
{
	backend_note(b, "experts", cuda_experts(&b->pass, e));
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
	backend_note(b, "logits", cuda_gemv(&b->pass, &product, 1, in, n_wanted));
	if (softcap != 0)
		backend_note(b, "soft cap",
		    cuda_softcap(&b->pass, product.out, (uint64_t)n_wanted * n, softcap));
	backend_note(b, "shortlists",
	    cuda_shortlist(&b->pass, product.out, n, n_wanted, b->shortlists + b->first));
}

void backend_passes(struct backend_api *api)
{
	api->host_logits = cuda_host_logits;
	api->begin = cuda_begin;
	api->end = cuda_end;
	api->shortlist = cuda_shortlist_at;
	api->fetch = cuda_fetch;
	api->embed = slot_embed;
	api->rotations = slot_rotations;
	api->norm = slot_norm;
	api->norm_add = slot_norm_add;
	api->matmul = slot_matmul;
	api->gated = slot_gated;
	api->attention = slot_attention;
	api->experts = slot_experts;
	api->logits = slot_logits;
}
