/*
 * Diverse: candidates in an order in which each says something that those before it
 * do not.
 *
 * reference: recall-and-training §1, maximal marginal relevance: the next one is the
 * one with the most λ · score - (1 - λ) · likeness, to the likest of those chosen;
 * scores count by the best one's.  Likeness goes by the words of both, each as much
 * as it is rare: what is alike in less than half of them is not alike at all, for
 * moments around one question share words (on a public set of conversations any
 * likeness below costs coverage, as does likeness by vectors, which is why they have
 * no part in it).  What was said again at another time is another moment, and counts
 * half; what was seen twice at one time stands behind all that was not.
 */
#ifndef RECALL_DIVERSE_H
#define RECALL_DIVERSE_H

#include "base/arena.h"
#include "recall/index.h"

#define DIVERSE_LAMBDA 0.7
#define DIVERSE_ALIKE_MIN 0.5  /* share of words */
#define DIVERSE_REPEAT_MIN 0.9 /* likeness, beyond DIVERSE_ALIKE_MIN: it says nothing new */
#define DIVERSE_APART_NS INT64_C(3600000000000)
#define DIVERSE_APART_WEIGHT 0.5
#define DIVERSE_ITEMS_MAX ((size_t)128) /* those behind keep their order */
#define DIVERSE_WORDS_MAX ((size_t)64)  /* of each, that are compared */

struct diverse_item {
	const char *text;
	int64_t t0_ns;
	double score; /* out: none is above the one before it */
	size_t place; /* out: where it stood */
};

/* Reorder `items` [n].  RC_NOMEM.  O(n²) of the first DIVERSE_ITEMS_MAX. */
enum rc diverse_rank(
    const struct index *index, struct diverse_item *items, size_t n, struct arena *arena) RC_CHECK;

#endif
