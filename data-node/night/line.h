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

/* Does `part` [part_len] stand in `text`, both lines of line_make()?  To the letter. */
bool line_holds(const char *text, const char *part);

/* Code points. */
size_t line_chars(const char *text);

#endif
