/*
 * Adapter: low-rank changes to a model's matrices (LoRA; Hu et al. 2021), from a
 * GGUF of type "adapter" that stands in memory.
 *
 * For each changed matrix W [n_rows][n] it holds NAME.lora_a [rank][n] and
 * NAME.lora_b [n_rows][rank], for experts a stack of either, in F32, F16 or BF16:
 * W·x becomes W·x + alpha / rank · B·(A·x).  alpha 0 stands for rank.  The file may
 * name its base, as the 64 hex digits of model_info.content_hash under the key
 * hearth.base_hash; without it another model of the same shapes cannot be told.
 *
 * Immutable after adapter_parse(), any thread.  What it points to is the caller's.
 */
#ifndef MODEL_ADAPTER_H
#define MODEL_ADAPTER_H

#include <stddef.h>
#include <stdint.h>

#include "base/errmsg.h"
#include "model/type.h"

#define ADAPTER_RANK_MAX 128u
#define ADAPTER_TENSORS_MAX 8192u
#define ADAPTER_KEYS_MAX 256u
#define ADAPTER_ALIGN ((size_t)64) /* of the table; bytes are aligned for a float */

struct model; /* model/model.h */

/* What changes one tensor of the base. */
struct adapter_target {
	const uint8_t *base; /* the tensor's data in the model's file */
	uint64_t base_bytes, row_bytes;
	uint64_t n, n_rows;   /* of one matrix of the base */
	const uint8_t *a, *b; /* [stack][rank][n], [stack][n_rows][rank] */
	enum tensor_type a_type, b_type;
	uint32_t rank;
	float scale;
};

struct adapter {
	size_t n;
	struct adapter_target targets[]; /* by `base` */
};

/* Bytes of the table that the largest adapter of this model needs. */
size_t adapter_table_bytes(const struct model *model);

/*
 * Check `bytes` and write the adapter into `table` (adapter_table_bytes()); both are
 * borrowed as long as it is used, and so is the model.  RC_INVALID: no adapter, not of this model,
 * a shape, a number that is not finite; RC_UNSUPPORTED: kind, type, or a tensor that cannot be
 * adapted here; RC_LIMIT: rank, tensors, keys.  `why` names key or tensor.
 */
enum rc adapter_parse(const struct model *model, const uint8_t *bytes, size_t len, void *table,
    const struct adapter **out, struct errmsg *why) RC_CHECK;

/* What changes the tensor that `weight`, the first byte of one of its rows, lies in;
 * NULL: nothing does. */
const struct adapter_target *adapter_find(const struct adapter *adapter, const uint8_t *weight);

#endif
