/*
 * Model: a GGUF file opened, checked and bound to an architecture.
 *
 * Weights stay in the mapping (read-only, shared).  Immutable after open, any
 * thread.  Internals are in model/model_impl.h (inference only).
 */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/errmsg.h"

struct model;
struct gguf;
struct tokenizer;

#define MODEL_HASH_BYTES 32

/* Everything is checked before it is used: RC_INVALID and RC_UNSUPPORTED name
 * the key, tensor, architecture or type. */
enum rc model_open(const char *path, struct model **out, struct errmsg *why) RC_CHECK;
void model_close(struct model *model);

/* Nobody computes with the weights for now: their pages need not stay in memory. */
void model_forget_pages(const struct model *model);

struct model_info {
	const char *name;         /* file name without .gguf */
	const char *architecture; /* "llama" */
	uint32_t n_vocab, n_embd, n_layer, n_head, n_ctx_train;
	uint64_t parameters;
	uint64_t weights_bytes;
	uint64_t tables_bytes; /* in memory: vocabulary, and what else the header became */
	uint8_t content_hash[MODEL_HASH_BYTES]; /* BLAKE2b of header and tensor table */
	const char *chat_template;              /* of the GGUF, or NULL */
	bool causal;                            /* generates */
	bool pools;                             /* embeds */
};
const struct model_info *model_info(const struct model *model);
const struct gguf *model_gguf(const struct model *model);
/* NULL for a file without vocabulary. */
const struct tokenizer *model_tokenizer(const struct model *model);

#endif
