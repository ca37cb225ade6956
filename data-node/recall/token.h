/*
 * Tokens: what of a text goes into the index and into a query.
 *
 * Words are folded (fold.h) and stemmed by language (stem.h); a word that its
 * stem differs from is handed out in its exact form too.  Scripts without
 * spaces give pairs of neighbours.  Pure, bounded, any bytes: invalid UTF-8
 * breaks words.
 */
#ifndef RECALL_TOKEN_H
#define RECALL_TOKEN_H

#include <stdbool.h>
#include <stddef.h>

#include "recall/stem.h"

#define TOKEN_BYTES_MAX STEM_BYTES_MAX /* a longer word is cut at STEM_WORD_BYTES_MAX */

struct token {
	const char *text; /* [len], folded UTF-8; lives until the visitor returns */
	size_t len;
	const char *word; /* [word_len], the folded word it was made of */
	size_t word_len;
	bool exact;        /* the exact form of the token before it */
	bool other;        /* the stem in another language than the text's own */
	bool stop;         /* a word that says little ("the", "did", "what") */
	size_t begin, end; /* bytes of the scanned text */
};

/* false ends the scan. */
typedef bool token_fn(void *ctx, const struct token *token);

/* How a text is read: its language, then others whose stems count too. */
struct token_rules {
	struct stemmer *stemmer;
	enum language languages[LANGUAGE_COUNT];
	size_t languages_len; /* 0: English */
};

void token_scan(
    const struct token_rules *rules, const char *text, size_t len, token_fn *visit, void *ctx);

#endif
