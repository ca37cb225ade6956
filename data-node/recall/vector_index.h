/*
 * Vector index: a vector of small integers for each document that has one, and
 * the nearest to a question's, by looking at all of them.
 *
 * reference: recall-and-training §1: an exact scan of 10⁶ × 384 takes some 30 ms
 * on one core, so there is no graph to build, and a range is a range.  Half of each
 * row is read only where it can matter (vector_index.c), with the same result.  In
 * memory; length + 8 bytes a document.  Not thread-safe by itself.
 *
 * A row is a scale (float32, little-endian) and `length` values of int8: what an
 * encoder said is about scale · value.
 */
#ifndef RECALL_VECTOR_INDEX_H
#define RECALL_VECTOR_INDEX_H

#include "recall/index.h"

#define VECTOR_LENGTH_MAX 8192u
#define VECTOR_ROW_BYTES(length) ((size_t)(length) + 4)

struct vector_index;

/* RC_LIMIT: length 0 or above VECTOR_LENGTH_MAX; RC_NOMEM. */
enum rc vector_index_new(uint32_t length, struct vector_index **out) RC_CHECK;
void vector_index_free(struct vector_index *index); /* wiped */

uint32_t vector_index_length(const struct vector_index *index);

/* A row [VECTOR_ROW_BYTES(length)] of what an encoder said, made one long.  RC_INVALID: a
 * value is not finite, or all are zero. */
enum rc vector_pack(const float *values, uint32_t length, uint8_t *row) RC_CHECK;

/* The vector of document `doc`.  RC_CORRUPT: not a row of this length; RC_NOMEM. */
enum rc vector_index_put(
    struct vector_index *index, uint32_t doc, const uint8_t *row, size_t len) RC_CHECK;
bool vector_index_has(const struct vector_index *index, uint32_t doc);

/* Take over the vector that `from` has of `from_doc`; nothing if it has none.  Of the
 * same length.  RC_NOMEM. */
enum rc vector_index_copy(struct vector_index *index, uint32_t doc, const struct vector_index *from,
    uint32_t from_doc) RC_CHECK;

/*
 * The `k` documents of `docs` in `range` (its lift is not looked at) that are
 * nearest to the row `question`, best first, ties by (t0, seq); score: the
 * cosine.  `hits` [k]; returns how many.  O(vectors in the range).
 */
size_t vector_index_nearest(const struct vector_index *index, const uint8_t *question,
    const struct index *docs, const struct index_range *range, struct index_hit *hits, size_t k);

struct vector_index_stats {
	size_t vectors, bytes; /* bytes: all of it */
};
void vector_index_get_stats(const struct vector_index *index, struct vector_index_stats *out);

#endif
