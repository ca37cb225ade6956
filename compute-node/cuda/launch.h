/*
 * Launch: the kernels of a pass, by file.  Each function puts its work into the
 * pass's stream and returns what the runtime says of the launches; none waits,
 * allocates or reads device memory from the host.
 *
 * Answer rows (at most BACKEND_ANSWER_ROWS) are multiplied straight from the blocks of
 * the weights, prompt rows on tensor units.  In both the additions of a row come in
 * one order, whatever other rows there are.
 */
#ifndef CUDA_LAUNCH_H
#define CUDA_LAUNCH_H

#include "backend/backend.h"
#include "cuda/device.cuh"

/* Positions that one block of answer attention takes; partials are merged in order. */
#define CUDA_STEP 128u
/* f16 rows are padded with zeros to whole multiples of this. */
#define CUDA_F16_PAD 64u
/* Counters of finished blocks. */
#define CUDA_COUNTERS 4096u

struct cuda_pass {
	cudaStream_t stream;
	uint32_t units; /* multiprocessors */
	uint32_t cc;    /* compute capability, 90 */
	bool answer;
	uint32_t n_rows, n_wanted;
	const struct backend_row *rows;      /* [n_rows] on the device */
	const struct backend_row *host_rows; /* the same on the host */
	uint32_t n_past_max;                 /* an answer's positions all lie before this bound: it
					      * decides grids, and is part of the key */
	uint8_t *work;                       /* scratch on the device */
	uint64_t work_bytes;
	uint32_t *counters; /* [CUDA_COUNTERS] on the device; zero before and behind
			     * every kernel that counts */
};

/* weights.cu: planes of each block format, and getting weights into and out of them. */

bool cuda_computes(uint32_t type);
/* Bytes of a row in the file. */
uint64_t cuda_row_bytes(uint32_t type, uint64_t k);
/* Sizes alone: strides and, from 0, places of the planes; returns bytes in all. */
uint64_t cuda_planes(uint32_t type, uint64_t k, uint64_t rows, uint64_t strides[BACKEND_PLANES],
    uint64_t places[BACKEND_PLANES]);
/* `rows` rows of a file's tensor at `raw` (device) to the planes of `m` from row `first`. */
cudaError_t cuda_place(cudaStream_t stream, const uint8_t *raw, uint64_t rows, uint64_t first,
    const struct backend_matrix *m);
/* Rows first … first + rows - 1 as f16, [rows][k rounded up to CUDA_F16_PAD], factors in. */
cudaError_t cuda_widen(const struct cuda_pass *p, const struct backend_matrix *m, uint64_t first,
    uint64_t rows, uint16_t *out);
/* x[row] = scale * the matrix's row of each token (scale 0: 1). */
cudaError_t cuda_embed(
    const struct cuda_pass *p, const struct backend_matrix *m, float scale, float *x);

/* gemv.cu: few rows straight from the blocks.  Any number of rows is taken, in groups. */

cudaError_t cuda_gemv(const struct cuda_pass *p, const struct backend_product *products, uint32_t n,
    const struct backend_acts *in, uint32_t n_rows);
/* out's forms of act(gate · in) * (up · in). */
cudaError_t cuda_gemv_gated(const struct cuda_pass *p, const struct backend_matrix *gate,
    const struct backend_matrix *up, enum backend_activation kind, const float *gelu,
    const struct backend_acts *in, const struct backend_acts *out);
/* The same for each chosen expert: hidden [rows][n_used][n_ff] in the forms of `hidden`. */
cudaError_t cuda_gemv_experts(const struct cuda_pass *p, const struct backend_experts *e,
    const uint32_t *chosen, const struct backend_acts *hidden);
/* x += Σ weights · (down · hidden + bias), in the order of the choices. */
cudaError_t cuda_gemv_experts_down(const struct cuda_pass *p, const struct backend_experts *e,
    const uint32_t *chosen, const float *weights, const struct backend_acts *hidden);

/* gemm.cu: many rows on tensor units. */

/* Rows are [n_rows][k padded] f16 with a power of two each; weights f16 alike:
 * out[t][r] (+)= (Σ w[r] · x[t]) * scales[t] + bias[r]. */
cudaError_t cuda_gemm(const struct cuda_pass *p, const uint16_t *weights, uint64_t rows, uint64_t k,
    const uint16_t *x, const float *x_scales, uint32_t n_rows, const float *bias, float *out,
    uint64_t out_stride, bool add);
/* Each product, its weights widened into the pass's work where they are not f16 already. */
cudaError_t cuda_prompt_matmul(const struct cuda_pass *p, const struct backend_product *products,
    uint32_t n, const struct backend_acts *in);
uint64_t cuda_gemm_work(uint64_t matrix_weights);

/* experts.cu */

/* chosen, weights [rows][n_used] of scores [rows][n_expert]; as infer/experts.c chooses. */
cudaError_t cuda_choose(
    const struct cuda_pass *p, const struct backend_experts *e, uint32_t *chosen, float *weights);
/* All of a network of experts, for either class of rows. */
cudaError_t cuda_experts(const struct cuda_pass *p, const struct backend_experts *e);
uint64_t cuda_experts_work(uint32_t n_rows, uint32_t n_expert, uint32_t n_used, uint32_t n,
    uint32_t n_ff, uint64_t matrix_weights);

/* attention.cu */

/* Norm, rotate, store, attend; out's forms. */
cudaError_t cuda_attention(const struct cuda_pass *p, const struct backend_attention *a);
uint64_t cuda_attention_work(uint32_t n_rows, uint32_t n_head, uint32_t dv, uint32_t n_ctx);

/* shortlist.cu */

/* The shortlist of each of `n_rows` rows of logits, [n_rows][n]; `out` may be the host's. */
cudaError_t cuda_shortlist(const struct cuda_pass *p, const float *logits, uint32_t n,
    uint32_t n_rows, struct backend_shortlist *out);
uint64_t cuda_shortlist_work(uint32_t n_rows);

/* rows.cu: what is done to rows one by one. */

cudaError_t cuda_norm(const struct cuda_pass *p, const float *x, const float *weight, uint32_t n,
    float eps, bool wanted, const struct backend_acts *out);
/* The forms of `n_rows` rows of n that stand in `from`. */
cudaError_t cuda_forms(const struct cuda_pass *p, const float *from, uint32_t n, uint32_t n_rows,
    const struct backend_acts *out);
cudaError_t cuda_norm_add(const struct cuda_pass *p, const float *from, const float *weight,
    uint32_t n, float eps, float *x);
/* Forms of act(gate) * up, rows of n with `stride` floats from one to the next. */
cudaError_t cuda_activate(const struct cuda_pass *p, enum backend_activation kind,
    const float *gelu, const float *gate, const float *up, uint64_t stride, uint32_t n,
    uint32_t n_rows, const struct backend_acts *out);
cudaError_t cuda_rotations(
    const struct cuda_pass *p, const double *freqs, uint32_t n_rot, double magnitude, float *out);
cudaError_t cuda_softcap(const struct cuda_pass *p, float *x, uint64_t n, float cap);

#endif
