/*
 * Moments: what happened in a range, the most telling of it first.
 *
 * Of each stretch (index.h) its wordiest moment, then its second, and so on, so
 * that a long talk does not hide what a single moment says; the first `k` of it
 * spread over the range.
 */
#ifndef RECALL_MOMENTS_H
#define RECALL_MOMENTS_H

#include "recall/index.h"

#define MOMENTS_LOOKED_AT_MAX ((size_t)65536) /* of more, every so-many-th */

/* Places in index_docs() into docs [k]; returns how many, -1 on no memory. */
long moments_choose(
    const struct index *index, const struct index_range *range, size_t k, uint32_t *docs);

#endif
