/*
 * Tokenizers: text to ids and back, from a GGUF's vocabulary.
 *
 * One front for every kind (SentencePiece now; BPE and WordPiece follow): the
 * kind is a table of functions chosen at load.  Immutable after load, any
 * thread.  Special tokens are parsed only where the caller says the text is
 * trusted (DESIGN §5): otherwise "<|im_end|>" is just characters.
 */
#ifndef TOKENIZE_TOKENIZER_H
#define TOKENIZE_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/errmsg.h"

struct gguf; /* model/gguf.h */
struct tokenizer;

#define TOKEN_NONE (-1)
/* No token has a longer text: vocabularies that do are refused. */
#define TOKEN_BYTES_MAX 4096u

/* A growing list of ids; zero it before use, tokens_free() after. */
struct tokens {
	int32_t *ids;
	size_t len, cap;
};
void tokens_free(struct tokens *tokens); /* wipes */
enum rc tokens_push(struct tokens *tokens, int32_t id) RC_CHECK;

/* RC_NOTFOUND: the file has no vocabulary ("no_vocab").  RC_UNSUPPORTED names
 * the unknown model or pre-tokenizer.  The strings stay in the mapped file. */
enum rc tokenizer_load(
    const struct gguf *gguf, struct tokenizer **out, struct errmsg *why) RC_CHECK;
void tokenizer_free(struct tokenizer *tokenizer);

enum tokenize_flags {
	TOKENIZE_SPECIAL = 1, /* parse special tokens: trusted text only */
	TOKENIZE_FIRST = 2,   /* this is the start of the prompt (SPM's space prefix) */
};

/* Append the ids of `len` bytes (any bytes: invalid UTF-8 falls back to byte
 * tokens or unknown).  RC_NOMEM, RC_LIMIT. */
enum rc tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t len,
    unsigned flags, struct tokens *out, struct errmsg *why) RC_CHECK;

/*
 * The same for text whose bytes are trusted one by one (`trust` [len], 0 or 1):
 * a special token is parsed only where all its bytes are trusted.  Trust
 * changes nothing else: words are not split where it changes.
 */
enum rc tokenizer_encode_mixed(const struct tokenizer *tokenizer, const char *text,
    const uint8_t *trust, size_t len, bool first, struct tokens *out, struct errmsg *why) RC_CHECK;

/* Bytes of one token; at most `cap` are written, the full length is returned.
 * Control tokens give 0 unless `special`. */
size_t tokenizer_piece(
    const struct tokenizer *tokenizer, int32_t id, bool special, char *out, size_t cap);

size_t tokenizer_vocab_size(const struct tokenizer *tokenizer);

/* Memory that its tables take; texts of tokens stay in the mapped file. */
size_t tokenizer_bytes(const struct tokenizer *tokenizer);
bool tokenizer_add_bos(const struct tokenizer *tokenizer);
bool tokenizer_add_eos(const struct tokenizer *tokenizer);
int32_t tokenizer_bos(const struct tokenizer *tokenizer); /* TOKEN_NONE if none */
int32_t tokenizer_eos(const struct tokenizer *tokenizer);
/* True for every token that ends an answer (eos, eot, <|im_end|>, …). */
bool tokenizer_is_end(const struct tokenizer *tokenizer, int32_t id);
/* The ids that end an answer; the array lives as long as the tokenizer. */
const int32_t *tokenizer_ends(const struct tokenizer *tokenizer, size_t *len);
/* SPM: a blank stands before the first word of a text. */
bool tokenizer_space_prefix(const struct tokenizer *tokenizer);

#endif
