/*
 * Embed: texts to one vector each, of length 1.
 *
 * The model's file says how a text's rows become one (pooling): their mean, the
 * first (CLS) or the last.  Encoders take many texts in a pass, decoders one
 * text in as many passes as it needs, on sequence 0, which is wiped after it.
 * One thread at a time, the one that may call the engine; all memory is taken
 * by embed_new() and is part of the engine's plan.
 */
#ifndef INFER_EMBED_H
#define INFER_EMBED_H

#include "infer/engine.h"
#include "tokenize/tokenizer.h"

struct embed;

struct embed_text {
	const int32_t *ids; /* [n] */
	size_t n;
	float *out; /* [n_embd], written when the text is done */
};

/* RC_UNSUPPORTED: the model does not pool.  Borrows both. */
enum rc embed_new(const struct model *model, struct engine *engine, struct embed **out,
    struct errmsg *why) RC_CHECK;
void embed_free(struct embed *embed); /* wipes */

/* What embed_new() takes; 0 for a model that does not pool. */
uint64_t embed_bytes(const struct model *model, const struct engine_config *config);

/* Append a text's ids as the model wants them, start and end tokens included;
 * special tokens are not parsed. */
enum rc embed_tokenize(const struct tokenizer *tokenizer, const char *text, size_t len,
    struct tokens *out, struct errmsg *why) RC_CHECK;

/* RC_OK if such a text can be embedded; RC_INVALID (no tokens), RC_CONTEXT. */
enum rc embed_check(uint32_t n_ctx, size_t n_tokens, struct errmsg *why) RC_CHECK;

/* Start on `n` texts, each of which embed_check() lets pass; borrowed until
 * embed_step() says that it is done. */
void embed_begin(struct embed *embed, const struct embed_text *texts, size_t n);

/* One pass.  RC_INVALID: a token id outside the vocabulary, or a vector that is
 * not finite; the rest is then given up. */
enum rc embed_step(struct embed *embed, bool *done, struct errmsg *why) RC_CHECK;

/* Give up what was begun. */
void embed_stop(struct embed *embed);

/* All of it. */
enum rc embed_run(
    struct embed *embed, const struct embed_text *texts, size_t n, struct errmsg *why) RC_CHECK;

#endif
