/*
 * Factors: numbers beside a matrix that multiply what it gives.
 *
 * Files with NVFP4 weights keep the second of their two scales apart, as
 * `<name>.scale` beside `<name>.weight`: one number, or one for each expert, in
 * F32.  Any type of matrix may have them.  `<name>.input_scale` beside it is a
 * range of activations for machines that multiply in four bits, and not read.
 */
#ifndef MODEL_FACTOR_H
#define MODEL_FACTOR_H

#include "model/model_impl.h"

/* Give `*matrix` the factors that stand in the tensor `scale`, if the file has
 * it: `*matrix` is then a copy in the model's arena.  RC_INVALID names a tensor of
 * another type or number, or with a factor that is not finite. */
enum rc factor_bind(struct model *model, const char *scale, const struct gguf_tensor **matrix,
    struct errmsg *why) RC_CHECK;

/* Of a row, counted through all matrices of the tensor; 1 without factors. */
static inline float factor_of(const struct gguf_tensor *matrix, uint64_t row)
{
	return matrix->factors != NULL ? matrix->factors[row / matrix->dims[1]] : 1.0f;
}

/* One row of a bound matrix as [dims[0]] floats, its factor in it. */
void factor_row(const struct gguf_tensor *matrix, uint64_t row, float *out);

#endif
