/*
 * Writes small random GGUF models of architecture llama for tests: a few
 * hundred kilobytes, a SentencePiece vocabulary that reaches every byte, all
 * weights F32 from a seed, so that tests need no file from outside.
 */
#ifndef SUPPORT_TINY_GGUF_H
#define SUPPORT_TINY_GGUF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/errmsg.h"

struct tiny_gguf {
	uint64_t seed;
	uint32_t n_ctx;     /* 0: 256 */
	uint32_t n_embd;    /* 0: 64 */
	uint32_t n_head;    /* 0: 4 */
	uint32_t n_head_kv; /* 0: 2 */
	uint32_t n_layer;   /* 0: 2 */
	uint32_t n_ff;      /* 0: 96 */
	float eos_bias;     /* scales the row of </s> in the output matrix; 0: as the others */
	bool no_vocab;      /* leave the vocabulary out */
	bool endless;       /* no token ends an answer, only its length */
	const char *chat_template; /* NULL: none */
};

/* Fixed ids of the vocabulary. */
#define TINY_GGUF_UNK 0
#define TINY_GGUF_BOS 1
#define TINY_GGUF_EOS 2
#define TINY_GGUF_BYTE0 3     /* <0x00>, 256 of them follow each other */
#define TINY_GGUF_CONTROL 259 /* "<|mark|>": control, seen in trusted text only */
#define TINY_GGUF_CONTROL_TEXT "<|mark|>"

/* Write the file whole; RC_IO, RC_NOMEM.  The same options give the same bytes. */
enum rc tiny_gguf_write(
    const char *path, const struct tiny_gguf *options, struct errmsg *why) RC_CHECK;

#endif
