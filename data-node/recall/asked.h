/*
 * Asked: what a question's words ask for, in the words of the timeline.
 *
 * Nobody writes "where" into a visit, nor "eat" under the photo of a plate: a
 * small table, by language, leads from such words to the kinds of moments that
 * answer them.
 */
#ifndef RECALL_ASKED_H
#define RECALL_ASKED_H

#include <stddef.h>

#include "recall/language.h"

/* Kinds and other words with blanks between ("visit location"), NULL: the folded
 * word [len] asks for nothing in particular. */
const char *asked_kinds(enum language language, const char *word, size_t len);

#endif
