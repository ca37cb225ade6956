/*
 * Words: which words a text has, so that what a model says can be held to them.
 *
 * Words are folded and stemmed as recall does, in English and in the language of the
 * text that the set was begun with; scripts without spaces count by pairs of letters.
 * One thread.
 */
#ifndef NIGHT_WORDS_H
#define NIGHT_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/rc.h"

struct words;

enum rc words_new(struct words **out) RC_CHECK;
void words_free(struct words *words);

/* Empty the set; from here on texts are read in the language of `text` as well. */
void words_begin(struct words *words, const char *text);
/* Every word of `text` is in the set.  RC_NOMEM. */
enum rc words_add(struct words *words, const char *text) RC_CHECK;

struct word {
	const char *folded; /* lives until the visitor returns */
	size_t folded_len;
	size_t begin, end; /* bytes of the text */
	bool known;        /* it is in the set, in one of its forms */
	bool stop;         /* a word that says little */
};
/* false ends the walk. */
typedef bool word_fn(void *ctx, const struct word *word);

/* Each word of `text`, in order.  RC_NOMEM. */
enum rc words_walk(struct words *words, const char *text, word_fn *visit, void *ctx) RC_CHECK;

/* Does the folded text `list` (" one two three ") have the word? */
bool words_listed(const char *list, const struct word *word);

/* The folded words of `text`, as " one two three ", into `out` [size], cut where it is full. */
enum rc words_fold(struct words *words, const char *text, char *out, size_t size) RC_CHECK;

#endif
