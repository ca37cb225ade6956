/*
 * The plain twin of index_query(): every posting of every term scored, in arrays as
 * large as the index.  For comparing, to the last bit.
 */
#ifndef SUPPORT_RECALL_PLAIN_H
#define SUPPORT_RECALL_PLAIN_H

#include "recall/index.h"

/* As index_query(); -1: no memory. */
long recall_plain_query(const struct index *index, const struct index_query_term *terms,
    size_t terms_len, size_t telling_len, const struct index_range *range, struct index_hit *hits,
    size_t k);

/* As index_support(). */
double recall_plain_support(const struct index *index, const struct index_query_term *terms,
    size_t terms_len, const uint32_t *docs, size_t docs_len);

#endif
