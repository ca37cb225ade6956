/* What the files gguf*.c share: the layout of an open file. */
#ifndef MODEL_GGUF_IMPL_H
#define MODEL_GGUF_IMPL_H

#include "model/gguf.h"

struct gguf {
	const uint8_t *bytes;
	size_t len;
	void *map; /* NULL when the bytes are borrowed */
	uint32_t version;
	uint32_t alignment;
	size_t header_len;
	struct gguf_pair *pairs; /* [pairs_len], as in the file */
	size_t pairs_len;
	struct gguf_tensor *tensors; /* [tensors_len], as in the file */
	uint64_t *offsets;           /* [tensors_len], from the data's start */
	size_t tensors_len;
	const struct gguf_pair **pair_order;     /* sorted by key */
	const struct gguf_tensor **tensor_order; /* sorted by name */
	struct gguf **parts; /* [parts_len] behind the first; their tensors are */
	size_t parts_len;    /* in `tensors` too */
};

/* One file by itself. */
enum rc gguf_open_one(const char *path, struct gguf **out, struct errmsg *why) RC_CHECK;

/* Sort for lookup; RC_INVALID names a key or tensor that stands twice. */
enum rc gguf_index_pairs(struct gguf *gguf, struct errmsg *why) RC_CHECK;
enum rc gguf_index_tensors(struct gguf *gguf, struct errmsg *why) RC_CHECK;

#endif
