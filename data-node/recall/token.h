/*
 * Tokens: what of a text goes into the index and into a query.
 *
 * Words are folded (fold.h) and, where they are plain Latin, lightly stemmed
 * for English; a word that its stem differs from is handed out in its exact
 * form too.  Scripts without spaces give pairs of neighbours.  Pure, bounded,
 * any bytes: invalid UTF-8 breaks words.
 */
#ifndef RECALL_TOKEN_H
#define RECALL_TOKEN_H

#include <stdbool.h>
#include <stddef.h>

#define TOKEN_BYTES_MAX ((size_t)48) /* longer words are cut */

struct token {
	const char *text; /* [len], folded UTF-8; lives until the visitor returns */
	size_t len;
	bool exact;        /* the exact form of the token before it */
	bool stop;         /* a word that says little ("the", "did", "what") */
	size_t begin, end; /* bytes of the scanned text */
};

/* false ends the scan. */
typedef bool token_fn(void *ctx, const struct token *token);

void token_scan(const char *text, size_t len, token_fn *visit, void *ctx);

/* Light English stem of `word` [len] in place; returns the new length.  Plain
 * lower-case Latin letters only, others stay as they are. */
size_t token_stem(char *word, size_t len);

bool token_is_stop(const char *word, size_t len);

#endif
