/*
 * Posting: the documents that have a term, read in order.
 *
 * Postings of a term stand in groups of POSTING_GROUP, and for each group but the
 * first it is known where it begins: who looks for a document reads one group.
 * The bytes are those that index.c or index_segment.c put, checked already.
 */
#ifndef RECALL_POSTING_H
#define RECALL_POSTING_H

#include "recall/index_inner.h"

struct posting {
	const uint8_t *at, *end;
	uint32_t doc, units; /* of the last one read; doc before the first: what steps count from */
};

/* Groups of a term; the last may be empty. */
static inline size_t posting_groups(const struct index_term *term)
{
	return term->docs / POSTING_GROUP + 1;
}

/* To the front of group `group`. */
static inline struct posting posting_open(const struct index_term *term, size_t group)
{
	size_t whole = term->docs / POSTING_GROUP;
	struct posting posting = { .at = term->bytes, .end = term->bytes };

	if (group > 0) {
		posting.at += term->skips[group - 1].at;
		posting.doc = term->skips[group - 1].doc;
	}
	posting.end += group < whole ? term->skips[group].at : term->len;
	return posting;
}

/* The group in which `doc` or what comes next behind it would stand. */
static inline size_t posting_group_of(const struct index_term *term, uint32_t doc)
{
	size_t low = 0, high = term->docs / POSTING_GROUP;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (term->skips[mid].doc < doc)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static inline uint32_t posting_number(struct posting *posting)
{
	uint32_t value = *posting->at++;

	if (value < 0x80)
		return value;
	value &= 0x7F;
	for (unsigned shift = 7;; shift += 7) {
		uint8_t byte = *posting->at++;
		value |= (uint32_t)(byte & 0x7F) << shift;
		if (byte < 0x80)
			return value;
	}
}

/* The next one of the group; false: there is none. */
static inline bool posting_next(struct posting *posting)
{
	if (posting->at >= posting->end)
		return false;
	posting->doc += posting_number(posting);
	posting->units = posting_number(posting);
	return true;
}

#endif
