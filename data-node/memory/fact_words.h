/*
 * Words of facts and questions: what tells whether a question names a fact.
 *
 * The stems of a text, without words that say little, each as a hash, so that a
 * question is held against thousands of facts in a moment.  One reading for both
 * sides: stems of English, which leave words of other languages nearly whole, and
 * pairs of characters where there are no spaces.
 */
#ifndef MEMORY_FACT_WORDS_H
#define MEMORY_FACT_WORDS_H

#include <stddef.h>
#include <stdint.h>

#include "recall/stem.h"

#define FACT_WORDS_MAX ((size_t)128)

/* The words of `text` [len] that are not in out[0..n) yet, behind these; how many
 * there are then, at most FACT_WORDS_MAX. */
size_t fact_words(
    struct stemmer *stemmer, const char *text, size_t len, uint32_t out[FACT_WORDS_MAX], size_t n);

/* How many of `a` [a_len] are in `b` [b_len]. */
unsigned fact_words_common(const uint32_t *a, size_t a_len, const uint32_t *b, size_t b_len);

#endif
