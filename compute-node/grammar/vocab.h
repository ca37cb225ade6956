/*
 * Vocab: the texts of a model's tokens in the order of their bytes, so that the tokens
 * which an automaton allows are found in one walk over common prefixes.
 *
 * A control token stands between AUTOMATON_MARK_OPEN and AUTOMATON_MARK_CLOSE, which no text
 * holds: it comes only where an automaton asks for its mark.  Tokens without a text and those
 * that end an answer are left out.  Built once a model; immutable, any thread.
 */
#ifndef GRAMMAR_VOCAB_H
#define GRAMMAR_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/errmsg.h"

struct tokenizer;

#define VOCAB_TOKEN_BYTES_MAX 255u /* a token with a longer text is never allowed */

struct vocab {
	size_t n;            /* tokens in here */
	size_t n_vocab;      /* of the model */
	int32_t *ids;        /* [n] by the bytes of their texts */
	uint8_t *common;     /* [n] bytes shared with the one before */
	uint8_t *rest;       /* [n] bytes behind those */
	uint8_t *bytes;      /* the latter, one behind another */
	const int32_t *ends; /* [n_ends] of the tokenizer: they end an answer */
	size_t n_ends;
	const struct tokenizer *tokenizer;
	bool whole; /* every byte that a text may hold is a token, so nothing is a dead end */
	size_t taken_bytes;
};

/* The tokenizer is borrowed for the vocab's life.  RC_NOMEM. */
enum rc vocab_new(const struct tokenizer *tokenizer, size_t n_vocab, struct vocab **out) RC_CHECK;
void vocab_free(struct vocab *vocab);

/* A token's bytes as automata take them; 0: none do. */
size_t vocab_text(
    const struct tokenizer *tokenizer, int32_t id, uint8_t out[VOCAB_TOKEN_BYTES_MAX]);

/* A token in plans of memory: published vocabularies take 12 to 13. */
#define VOCAB_PLAN_BYTES 16u

#endif
