/*
 * Line: a text as one line, so that no moment can pose as two.
 */
#ifndef NIGHT_LINE_H
#define NIGHT_LINE_H

#include <stdbool.h>

#include "base/arena.h"

/*
 * `text` [len] with runs of blanks, line breaks, control and format characters as one
 * blank each and what is no UTF-8 as none; cut at a character's border past `max` bytes.
 * In `arena`; NULL: no memory.
 */
const char *line_make(const char *text, size_t len, size_t max, struct arena *arena);

/* The same, and `*cut` becomes true if something was cut off; else it stays as it is. */
const char *line_cut(const char *text, size_t len, size_t max, struct arena *arena, bool *cut);

/*
 * The whole sentences of `text` that `part` lies in, to the letter and from a word's border to
 * another's: what was cut off may turn it round.  Both are lines of line_make(); the last
 * sentence of a text that was `cut` counts for nothing.  Their beginning in `text` and their
 * length; NULL: `part` does not stand in it so.
 */
const char *line_sentences(const char *text, bool cut, const char *part, size_t *len);

/* Bytes of the first of `marks` [n] that the text at `p` begins with; 0: with none. */
size_t line_mark_len(const char *const marks[], size_t n, const char *p);

/* Code points. */
size_t line_chars(const char *text);

#endif
