/*
 * Index queries: which terms count how much, the two passes that find the best k
 * documents; ranges.
 */
#include "recall/posting.h"

#include <math.h>
#include <stdlib.h>

static double idf(double all, double with)
{
	return log(1 + (all - with + 0.5) / (with + 0.5));
}

double index_rarity(const struct index *index, const char *term, size_t len)
{
	uint32_t number = index_find(index, term, len);
	double with = number == UINT32_MAX ? 0 : (double)index->terms[number].docs;

	return idf((double)index->docs_len, with);
}

/* ---- ranges ----------------------------------------------------------------------------- */

bool index_in_range(const struct index_doc *doc, const struct index_range *range)
{
	if (!range->set)
		return true;
	if (doc->t0_ns >= range->to_ns)
		return false;
	if (doc->t0_ns >= range->from_ns)
		return true;
	/* In seconds: 1900 to 2200 does not fit nanoseconds. */
	double back_s = ((double)range->from_ns - (double)doc->t0_ns) / 1e9;
	return doc->span_s > 0 && back_s < (double)doc->span_s;
}

bool index_span_in_range(
    const struct index *index, size_t doc, size_t len, const struct index_range *range)
{
	size_t last = (doc + len - 1) / INDEX_SPAN_DOCS;

	for (size_t i = doc / INDEX_SPAN_DOCS; i <= last && range->set; i++) {
		const struct index_span *span = &index->spans[i];
		/* A second for what index_in_range() rounds. */
		if (span->from_ns < range->to_ns &&
		    (double)range->from_ns - (double)span->to_ns < 1e9)
			return true;
	}
	return !range->set;
}

size_t index_next_in_range(const struct index *index, size_t doc, const struct index_range *range)
{
	while (doc < index->docs_len) {
		size_t end = (doc / INDEX_SPAN_DOCS + 1) * INDEX_SPAN_DOCS;
		if (end > index->docs_len)
			end = index->docs_len;
		if (!index_span_in_range(index, doc, end - doc, range))
			doc = end;
		for (; doc < end; doc++) {
			if (index_in_range(&index->docs[doc], range))
				return doc;
		}
	}
	return doc;
}

bool index_has_in_range(
    const struct index *index, const char *text, size_t len, const struct index_range *range)
{
	uint32_t number = index_find(index, text, len);

	if (number == UINT32_MAX)
		return false;
	const struct index_term *term = &index->terms[number];
	for (size_t group = 0; group < posting_groups(term); group++) {
		struct posting posting = posting_open(term, group);
		while (posting_next(&posting)) {
			if (index->turns[posting.doc].units != 0 &&
			    index_in_range(&index->docs[posting.doc], range))
				return true;
		}
	}
	return false;
}

/* ---- queries ---------------------------------------------------------------------------- */

static void read_terms(
    struct query *query, const struct index_query_term *terms, size_t terms_len, size_t telling_len)
{
	const struct index *index = query->index;

	for (size_t i = 0; i < terms_len; i++) {
		uint32_t number = index_find(index, terms[i].text, terms[i].len);
		if (number == UINT32_MAX)
			continue;
		const struct index_term *term = &index->terms[number];
		query->terms[query->terms_len++] = (struct query_term){ .term = term,
			.doc_weight =
			    terms[i].weight * idf((double)index->docs_len, (double)term->docs),
			.stretch_weight = terms[i].weight * idf((double)index->stretches_len,
								(double)term->stretches),
			.beside = telling_len > 0 && i >= telling_len };
		query->tell_len += !query->terms[query->terms_len - 1].beside;
	}
}

long index_query(const struct index *index, const struct index_query_term *terms, size_t terms_len,
    size_t telling_len, const struct index_range *range, struct index_hit *hits, size_t k)
{
	size_t shared = index->shared_len > 0 ? index->shared_len : 1, found = 0;
	enum rc rc = RC_NOMEM;

	if (index->docs_len == 0 || k == 0)
		return 0;
	struct query query = { .index = index,
		.range = range,
		.mean_units = (double)index->units_total / (double)index->docs_len,
		.shared_mean_units = (double)index->shared_units / (double)shared,
		.terms = calloc(terms_len + 1, sizeof *query.terms) };
	uint64_t *wanted = calloc(index->stretches_len / 64 + 1, sizeof *wanted);
	if (query.terms != NULL && wanted != NULL) {
		read_terms(&query, terms, terms_len, telling_len);
		rc = index_filter(&query, k, wanted);
	}
	if (rc == RC_OK)
		rc = index_exact(&query, wanted, hits, k, &found);
	free(query.terms);
	free(wanted);
	return rc == RC_OK ? (long)found : -1;
}
