/*
 * Stem: one form for the forms of a word, by language.
 *
 * libstemmer's (Snowball) algorithms behind a table of irregular forms ("went",
 * "ging", "fui", "vu"), for the languages that have both letters and endings
 * here: English, German, Spanish, French, Italian, Portuguese, Dutch, Russian.
 * A word of another script than its text's language is taken for what that
 * script is read as: Latin for English, Cyrillic for Russian.
 */
#ifndef RECALL_STEM_H
#define RECALL_STEM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/rc.h"
#include "recall/language.h"

#define STEM_LATIN_LAST 0x24Fu           /* letters up to here may have accents */
#define STEM_WORD_BYTES_MAX ((size_t)48) /* of a word that is looked at */
#define STEM_BYTES_MAX ((size_t)64)

struct stemmer; /* one thread at a time */

enum rc stemmer_new(struct stemmer **out) RC_CHECK;
void stemmer_free(struct stemmer *stemmer);

/*
 * The stem of `word` [len ≤ STEM_WORD_BYTES_MAX], lower-case UTF-8 with its
 * accents, folded (fold.h) into `out`; returns its length, at least 1 for a word
 * of letters.
 */
size_t stem_word(struct stemmer *stemmer, enum language language, const char *word, size_t len,
    char out[STEM_BYTES_MAX]);

/* Was a stem not made for want of memory since the last call?  What was scanned
 * meanwhile must be scanned again. */
bool stemmer_failed(struct stemmer *stemmer);

/* A folded word that says little in `language`: "the", "did", "wann", "dónde". */
bool stem_is_stop(enum language language, const char *word, size_t len);

/* The base form of an irregular one (itself: it has no ending to take off), NULL
 * if it is regular; stem_irregular.c. */
const char *stem_irregular(enum language language, const char *word);

#endif
