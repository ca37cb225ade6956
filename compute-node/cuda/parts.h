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

/* backend_cuda.cu: an open device's pass, and where its first failure is noted. */
const struct cuda_pass *backend_pass(const struct backend *b);
void backend_note(struct backend *b, const char *what, cudaError_t rc);

#endif
