/*
 * Index queries: which terms count how much, the two passes that find the best k
 * documents, and how much of a question stands in some of them.
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

/* ---- queries ---------------------------------------------------------------------------- */

static void read_terms(
    struct query *query, const struct index_query_term *terms, size_t terms_len, size_t telling_len)
{
	const struct index *index = query->index;

	for (size_t i = 0; i < terms_len; i++) {
		uint32_t number = index_find(index, terms[i].text, terms[i].len);
		const struct index_term *term = &index->terms[number];
		if (number == UINT32_MAX)
			continue;
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

/* ---- support ------------------------------------------------------------------------------ */

static bool has_term(const struct index_term *term, uint32_t doc)
{
	struct posting posting = posting_open(term, posting_group_of(term, doc));

	while (posting_next(&posting) && posting.doc < doc)
		;
	return posting.doc == doc;
}

/* The document that follows `doc`, or `doc`. */
static uint32_t next_of(const struct index *index, uint32_t doc)
{
	uint32_t last = index->stretches[index->turns[doc].stretch].last;

	for (uint32_t at = doc + 1; at <= last; at++) {
		if (index->turns[at].back == at - doc)
			return at;
	}
	return doc;
}

double index_support(const struct index *index, const struct index_query_term *terms,
    size_t terms_len, const uint32_t *docs, size_t docs_len)
{
	double asked = 0, found[INDEX_SUPPORT_DOCS_MAX] = { 0 }, most = 0;
	uint32_t nexts[INDEX_SUPPORT_DOCS_MAX];

	for (size_t k = 0; k < docs_len; k++)
		nexts[k] = next_of(index, docs[k]);
	for (size_t i = 0; i < terms_len; i++) {
		uint32_t number = index_find(index, terms[i].text, terms[i].len);
		const struct index_term *term = &index->terms[number];
		double with = number == UINT32_MAX ? 0 : (double)term->docs;
		double rare = idf((double)index->docs_len, with);
		asked += rare * rare;
		for (size_t k = 0; k < docs_len && number != UINT32_MAX; k++) {
			if (has_term(term, docs[k]) || has_term(term, nexts[k]))
				found[k] += rare * rare;
		}
	}
	for (size_t k = 0; k < docs_len; k++)
		most = found[k] > most ? found[k] : most;
	return asked == 0 ? 1 : most / asked;
}
