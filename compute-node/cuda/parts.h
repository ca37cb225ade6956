/*
 * Parts: launchers of what only some families need, beside those of cuda/launch.h.
 * They follow the same rules; shapes are those of backend/backend.h.
 */
#ifndef CUDA_PARTS_H
#define CUDA_PARTS_H

#include "cuda/launch.h"

/* items.cu */

cudaError_t cuda_copy(const struct cuda_pass *p, const struct backend_copy *copies, uint32_t n);
cudaError_t cuda_norms(const struct cuda_pass *p, const struct backend_norms *n);
cudaError_t cuda_blend(const struct cuda_pass *p, const struct backend_blend *m);
cudaError_t cuda_activate_rows(const struct cuda_pass *p, enum backend_activation kind,
    const float *gelu, const float *gate, float *up, uint32_t n, const struct backend_acts *out);

/* encoder.cu */

cudaError_t cuda_layer_norm(const struct cuda_pass *p, const struct backend_layer_norm *n);
cudaError_t cuda_texts(const struct cuda_pass *p, const struct backend_texts *t);
/* weights.cu: x = the matrix's row of each row's position. */
cudaError_t cuda_positions(const struct cuda_pass *p, const struct backend_matrix *m, float *x);

/* stacked.cu */

cudaError_t cuda_stacked(const struct cuda_pass *p, const struct backend_matrix *m, uint32_t n,
    const struct backend_acts *in, float *out);
/* Work for stacks of up to `n` matrices. */
uint64_t cuda_stacked_work(uint32_t n_rows, uint32_t n, uint64_t matrix_weights);

/* recurrent.cu */

cudaError_t cuda_convolve(const struct cuda_pass *p, const struct backend_recurrent *r);
cudaError_t cuda_recur(const struct cuda_pass *p, const struct backend_recurrent *r);

/* backend_parts.cu */

/* Put the slots of these parts into the table. */
void backend_parts(struct backend_api *api);

/* backend_pass.cu, backend_cuda.cu: an open device's pass, and where its first failure is
 * noted. */
const struct cuda_pass *backend_pass(const struct backend *b);
void backend_note(struct backend *b, const char *what, cudaError_t rc);

#endif
