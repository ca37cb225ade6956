/*
 * Pre-tokenizers: where a byte-level BPE may not join across.
 *
 * Published ones are regular expressions over Unicode classes; each is scanned
 * by hand here, alternative by alternative, left to right.  A pre-tokenizer is
 * a row of stages; every stage cuts what the one before left into matches and
 * the text between them.  Pure, any thread.
 */
#ifndef TOKENIZE_PRETOKEN_H
#define TOKENIZE_PRETOKEN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/rc.h"

struct pretoken;

/* By the GGUF's tokenizer.ggml.pre; NULL if it is not known. */
const struct pretoken *pretoken_find(const char *name, size_t len);

/* A token that equals a whole piece is taken without looking at merges. */
bool pretoken_ignores_merges(const struct pretoken *pretoken);
/* A beginning-of-text token comes first unless the file says otherwise. */
bool pretoken_adds_bos(const struct pretoken *pretoken);
/* Not byte-level: code points with blanks as U+2581 (gemma4). */
bool pretoken_is_raw(const struct pretoken *pretoken);

/* Called with each piece in order; not RC_OK ends the walk. */
typedef enum rc pretoken_fn(void *ctx, const char *piece, size_t len);

enum rc pretoken_split(const struct pretoken *pretoken, const char *text, size_t len,
    pretoken_fn *fn, void *ctx) RC_CHECK;

#endif
