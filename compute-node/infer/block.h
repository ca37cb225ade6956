/*
 * Blocks: the parts that architectures are written with.
 *
 * Every thread of the crew calls the same blocks in the same order; each block
 * shares its work out and ends when it is done, so the next one sees its result.
 */
#ifndef INFER_BLOCK_H
#define INFER_BLOCK_H

#include "infer/pass.h"
#include "model/model_impl.h"

struct gguf_tensor;

/* out (+)= weight · in + bias, for every row of `in`. */
struct product {
	const struct gguf_tensor *weight;
	size_t first, n_rows;  /* rows of `weight`, through all its dimensions; n_rows 0: dims[1] */
	const float *bias;     /* [n_rows], may be NULL */
	const struct acts *in; /* NULL: what the other products of the call multiply */
	float *out;            /* [rows of in][out_stride] */
	size_t out_stride;     /* 0: n_rows */
	bool add;              /* add to what is there */
};

const struct model *block_model(const struct worker *worker);

/* x = rows of token_embd, scaled; also the rotation tables of the ubatch. */
void block_embed(struct worker *worker);

/* out = RMS norm of x. */
void block_norm(struct worker *worker, const float *weight, struct acts *out);

/* out = x. */
void block_take(struct worker *worker, struct acts *out);

/* x += RMS norm of `from` [n_rows][n_embd], which is scratch afterwards. */
void block_norm_add(struct worker *worker, const float *weight, float *from);

/* Several matrices that multiply the same rows, as one stage. */
void block_matmul(
    struct worker *worker, const struct product *products, size_t n, const struct acts *in);

/* out = activation of `n` numbers; `gate` is not read where the kind has none. */
void block_activate(const struct worker *worker, enum activation kind, const float *gate,
    const float *up, size_t n, float *out);

/* block_norm and block_matmul; few rows are normed by every thread for itself. */
void block_norm_matmul(
    struct worker *worker, const float *norm, const struct product *products, size_t n);

/* hidden = act(gate · normed) * (up · normed), from the residual stream, as one stage. */
void block_norm_gated(struct worker *worker, const float *norm, const struct gguf_tensor *gate,
    const struct gguf_tensor *up);

/* out = silu(gate) * up, or gelu(gate) * up, of `n` numbers: what the model has. */
void block_gate(const struct pass *p, const float *gate, const float *up, size_t n, float *out);

/* hidden = the same of gate and up of all rows, `n` wide. */
void block_swiglu(struct worker *worker, size_t n);

/* `n_rows` rows of `acts` from `first` on, `n` wide. */
struct acts block_slice(const struct acts *acts, size_t first, size_t n_rows, size_t n);

/* Fill in the 8-bit form of one finished row of `n`, if the model needs it. */
void block_quantize_row(const struct worker *worker, struct acts *acts, size_t row, size_t n);

/* Final norm, output matrix and soft cap for the rows that want logits. */
void block_logits(struct worker *worker);

#endif
