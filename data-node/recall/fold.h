/*
 * Fold: one form for letters that people take for the same.
 *
 * Case folding for Latin, Greek, Cyrillic and Armenian, full-width forms to
 * plain ones, accents off Latin and Greek letters, combining marks dropped.
 * Pure, tables only: no locale.
 */
#ifndef RECALL_FOLD_H
#define RECALL_FOLD_H

#include <stddef.h>
#include <stdint.h>

#define FOLD_OUT_MAX 2

/* The folded form of `cp`: 0 to 2 code points. */
size_t fold_letter(uint32_t cp, uint32_t out[FOLD_OUT_MAX]);

enum fold_class {
	FOLD_BREAK, /* no part of a word */
	FOLD_WORD,  /* letters and digits of scripts that put spaces between words */
	FOLD_DENSE, /* scripts without spaces: indexed by pairs */
};

/* What a folded code point is. */
enum fold_class fold_classify(uint32_t cp);

#endif
