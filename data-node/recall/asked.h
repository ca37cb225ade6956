/*
 * Asked: what a question's words ask for, in the words of the timeline.
 *
 * Nobody writes "where" into a visit, nor "eat" under the photo of a plate: a
 * small table, by language, leads from such words to the kinds of moments that
 * answer them.
 */
#ifndef RECALL_ASKED_H
#define RECALL_ASKED_H

#include <stdbool.h>
#include <stddef.h>

#include "recall/language.h"

/* Kinds and other words with blanks between ("visit location"), NULL: the folded
 * word [len] asks for nothing in particular. */
const char *asked_kinds(enum language language, const char *word, size_t len);

/*
 * The folded word [len] asks and tells nothing of the moment that answers: it names the
 * sort of answer ("which city", "what does it cost": a moment holds the city, the sum),
 * that something was said ("recommended": a moment is what was said), or no more than
 * that something happened ("turned out", "wanted").
 */
bool asked_only(enum language language, const char *word, size_t len);

#endif
