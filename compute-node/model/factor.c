/* Factors of matrices: found, checked, and in the rows that are looked up. */
#include "model/factor.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "kernels/kernels.h"

static enum rc check(const struct gguf_tensor *scale, uint64_t n_matrices, struct errmsg *why)
{
	const int len = (int)scale->name.len;
	uint64_t n = scale->dims[0] * scale->dims[1] * scale->dims[2] * scale->dims[3];

	if (n != 1 && n != n_matrices)
		return errmsg_rc(why, RC_INVALID,
		    "GGUF: tensor %.*s: %" PRIu64 " factors of %" PRIu64 " matrices", len,
		    scale->name.text, n, n_matrices);
	if (scale->type != TYPE_F32)
		return errmsg_rc(why, RC_INVALID, "GGUF: tensor %.*s: type %s, expected F32", len,
		    scale->name.text, type_info(scale->type)->name);
	return RC_OK;
}

enum rc factor_bind(
    struct model *m, const char *name, const struct gguf_tensor **matrix, struct errmsg *why)
{
	const struct gguf_tensor *scale = gguf_find_tensor(m->gguf, name);
	uint64_t n = (*matrix)->dims[2];
	struct gguf_tensor *scaled;
	float *factors;
	enum rc rc;

	if (scale == NULL)
		return RC_OK;
	rc = check(scale, n, why);
	if (rc != RC_OK)
		return rc;
	scaled = arena_array(&m->arena, 1, sizeof(*scaled));
	factors = arena_array(&m->arena, (size_t)n, sizeof(*factors));
	if (scaled == NULL || factors == NULL)
		return RC_NOMEM;
	for (uint64_t i = 0; i < n; i++) {
		size_t at = scale->dims[0] * scale->dims[1] * scale->dims[2] == 1 ? 0 : (size_t)i;

		memcpy(&factors[i], scale->data + at * sizeof(*factors), sizeof(*factors));
		if (!isfinite(factors[i]))
			return errmsg_rc(why, RC_INVALID,
			    "GGUF: tensor %s: factor %" PRIu64 " is not finite", name, i);
	}
	*scaled = **matrix;
	scaled->factors = factors;
	*matrix = scaled;
	return RC_OK;
}

void factor_row(const struct gguf_tensor *matrix, uint64_t row, float *out)
{
	size_t n = (size_t)matrix->dims[0];
	float factor = factor_of(matrix, row);

	kernels_widen(
	    matrix->type, matrix->data + (size_t)row * type_row_bytes(matrix->type, n), n, out);
	for (size_t i = 0; matrix->factors != NULL && i < n; i++)
		out[i] *= factor;
}
