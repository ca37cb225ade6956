/*
 * A GGUF in memory that holds a vocabulary and nothing else, for tests of
 * tokenizers.
 */
#ifndef SUPPORT_VOCAB_GGUF_H
#define SUPPORT_VOCAB_GGUF_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct vocab_gguf {
	const char *model; /* "gpt2" */
	const char *pre;   /* NULL: leave the key out */
	const char *const *tokens;
	const int32_t *types; /* NULL: leave the key out */
	size_t tokens_len;
	const char *const *merges; /* NULL: leave the key out */
	size_t merges_len;
};

/* Append the bytes to `out`; check buf_rc(). */
void vocab_gguf_write(const struct vocab_gguf *vocab, struct buf *out);

#endif
