/*
 * The inside of a tokenizer: the vocabulary, and one table of functions for
 * each kind (spm.c, …).  For tokenize/ only.
 */
#ifndef TOKENIZE_TOKENIZER_IMPL_H
#define TOKENIZE_TOKENIZER_IMPL_H

#include "model/gguf.h"
#include "tokenize/tokenizer.h"

#define TOKENIZER_VOCAB_MAX (1u << 22)
/* Text of one call; a longer prompt cannot fit any context. */
#define TOKENIZER_TEXT_BYTES_MAX (64u << 20)

/* Token types as GGUF numbers them. */
enum token_type {
	TOKEN_NORMAL = 1,
	TOKEN_UNKNOWN = 2,
	TOKEN_CONTROL = 3,
	TOKEN_USER_DEFINED = 4,
	TOKEN_UNUSED = 5,
	TOKEN_BYTE = 6,
};

struct token {
	struct gguf_string_view text; /* in the mapped file */
	float score;
	uint8_t type; /* enum token_type */
	bool special; /* parsed only from trusted text */
};

struct tokenizer_kind {
	const char *model; /* tokenizer.ggml.model */
	/* What the kind needs beyond the vocabulary; sets tokenizer->own. */
	enum rc (*load)(struct tokenizer *tokenizer, const struct gguf *gguf, struct errmsg *why);
	void (*unload)(struct tokenizer *tokenizer);
	/* Ids of text that holds no special token.  `first`: nothing but a
	 * special token stands before it. */
	enum rc (*encode)(const struct tokenizer *tokenizer, const char *text, size_t len,
	    bool first, struct tokens *out, struct errmsg *why);
	/* Bytes of an ordinary token, as tokenizer_piece(). */
	size_t (*piece)(
	    const struct tokenizer *tokenizer, const struct token *token, char *out, size_t cap);
};

struct tokenizer {
	const struct tokenizer_kind *kind;
	void *own;            /* the kind's */
	struct token *tokens; /* [n] */
	size_t n;
	uint32_t *buckets;  /* [buckets_len] id + 1 by hash of text; 0 is empty */
	size_t buckets_len; /* a power of two, at least 2n */
	int32_t *whole;     /* ids matched as a whole in text, longest first */
	size_t whole_len;
	bool whole_starts[256]; /* bytes that such a text can start with */
	int32_t bos, eos, unknown;
	bool add_bos, add_eos, add_space_prefix;
	int32_t *ends;
	size_t ends_len;
	size_t bytes; /* of all tables, the kind's among them */
};

extern const struct tokenizer_kind tokenizer_spm;
extern const struct tokenizer_kind tokenizer_bpe;
extern const struct tokenizer_kind tokenizer_bpe_raw;
extern const struct tokenizer_kind tokenizer_wpm;

/* The id with exactly this text, or TOKEN_NONE. */
int32_t tokenizer_find(const struct tokenizer *tokenizer, const char *text, size_t len);

/* Build the table behind tokenizer_find(); texts are loaded. */
enum rc tokenizer_index(struct tokenizer *tokenizer) RC_CHECK;

/* Copy at most `cap` bytes; returns `len`. */
size_t tokenizer_give(const void *bytes, size_t len, char *out, size_t cap);

#endif
