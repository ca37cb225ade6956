/*
 * Index segment: what documents have added to an index, as bytes.
 *
 * Segments follow each other: each holds the documents since the one before,
 * the terms that came with them, and what they added to the postings.  An index
 * that takes all of them in order equals the one they were made from, but for
 * which documents are dead: the snapshot (snapshot.h) tells that.
 *
 * Form: "HXS" version(1), then numbers as varints of seven bits each, least
 * first.  Documents and terms before, documents, new terms, terms with postings;
 * for each document its seq (difference), t0 (difference, zigzag), span and back;
 * for each new term length and bytes; for each term with postings its number
 * (difference), length and bytes.  Lengths of documents and stretches follow from
 * those.
 */
#ifndef RECALL_INDEX_SEGMENT_H
#define RECALL_INDEX_SEGMENT_H

#include "base/buf.h"
#include "recall/index.h"

#define INDEX_SEGMENT_VERSION 1
#define INDEX_SEGMENT_DOCS_MAX ((uint32_t)1 << 20)
#define INDEX_SEGMENT_TERM_BYTES_MAX ((uint32_t)1 << 10)

/* Documents that are in no segment yet. */
size_t index_unsaved(const struct index *index);

/* Append the segment of these to `out`; the error is in buf_rc(). */
void index_segment_encode(const struct index *index, struct buf *out);
/* What was encoded is saved: the next segment begins behind it. */
void index_segment_saved(struct index *index);

/*
 * Take a segment on top of what `index` has.  RC_CORRUPT (also one that does not
 * begin where the index ends), RC_NOMEM: the index is of no use any more, but to
 * be freed.
 */
enum rc index_segment_take(struct index *index, const uint8_t *bytes, size_t len) RC_CHECK;

#endif
