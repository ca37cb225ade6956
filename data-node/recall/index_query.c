/* Index queries: BM25 scores by one pass over postings, then the best k. */
#include "recall/index_inner.h"

#include <math.h>
#include <stdlib.h>

static uint32_t get_varint(const uint8_t **p)
{
	uint32_t value = 0;

	for (int shift = 0;; shift += 7) {
		uint8_t byte = *(*p)++;
		value |= (uint32_t)(byte & 0x7F) << shift;
		if (byte < 0x80)
			return value;
	}
}

/* `beside`: only where something is scored already. */
static void add_scores(const struct index *index, const struct index_term *term, double weight,
    double mean_units, bool beside, double *scores)
{
	double docs = (double)index->docs_len, with = (double)term->docs;
	double idf = log(1 + (docs - with + 0.5) / (with + 0.5));
	const uint8_t *p = term->bytes, *end = term->bytes + term->len;
	uint32_t doc = 0;

	while (p < end) {
		doc += get_varint(&p);
		double often = (double)get_varint(&p) / INDEX_UNITS;
		if (beside && scores[doc] == 0)
			continue;
		double length = (double)index->docs[doc].units / mean_units;
		scores[doc] += weight * idf * often * (INDEX_K1 + 1) /
			       (often + INDEX_K1 * (1 - INDEX_B + INDEX_B * length));
	}
}

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

/* True if hit `a` ranks behind `b`. */
static bool is_behind(
    const struct index *index, const struct index_hit *a, const struct index_hit *b)
{
	const struct index_doc *x = &index->docs[a->doc], *y = &index->docs[b->doc];

	if (a->score != b->score)
		return a->score < b->score;
	if (x->t0_ns != y->t0_ns)
		return x->t0_ns > y->t0_ns;
	return x->seq > y->seq;
}

/* Heap with the weakest hit on top. */
static void sift_down(const struct index *index, struct index_hit *hits, size_t len, size_t i)
{
	for (;;) {
		size_t child = 2 * i + 1;
		if (child >= len)
			return;
		if (child + 1 < len && is_behind(index, &hits[child + 1], &hits[child]))
			child++;
		if (!is_behind(index, &hits[child], &hits[i]))
			return;
		struct index_hit swap = hits[i];
		hits[i] = hits[child];
		hits[child] = swap;
		i = child;
	}
}

static void sift_up(const struct index *index, struct index_hit *hits, size_t i)
{
	while (i > 0 && is_behind(index, &hits[i], &hits[(i - 1) / 2])) {
		struct index_hit swap = hits[i];
		hits[i] = hits[(i - 1) / 2];
		hits[(i - 1) / 2] = swap;
		i = (i - 1) / 2;
	}
}

static size_t best_of(const struct index *index, const double *scores,
    const struct index_range *range, struct index_hit *hits, size_t k)
{
	size_t len = 0;

	for (size_t doc = 0; doc < index->docs_len; doc++) {
		if (scores[doc] <= 0 || index->docs[doc].units == 0)
			continue;
		if (len == k && scores[doc] < hits[0].score)
			continue;
		if (!index_in_range(&index->docs[doc], range))
			continue;
		struct index_hit hit = { .doc = (uint32_t)doc, .score = scores[doc] };
		if (len < k) {
			hits[len] = hit;
			sift_up(index, hits, len++);
		} else if (is_behind(index, &hits[0], &hit)) {
			hits[0] = hit;
			sift_down(index, hits, len, 0);
		}
	}
	for (size_t left = len; left > 1;) { /* weakest to the end */
		struct index_hit swap = hits[0];
		hits[0] = hits[--left];
		hits[left] = swap;
		sift_down(index, hits, left, 0);
	}
	return len;
}

long index_query(const struct index *index, const struct index_query_term *terms, size_t terms_len,
    size_t telling_len, const struct index_range *range, struct index_hit *hits, size_t k)
{
	if (index->docs_len == 0 || k == 0)
		return 0;
	double *scores = calloc(index->docs_len, sizeof *scores);
	if (scores == NULL)
		return -1;
	double mean_units = (double)index->units_total / (double)index->docs_len;
	for (size_t i = 0; i < terms_len; i++) {
		uint32_t number = index_find(index, terms[i].text, terms[i].len);
		if (number != UINT32_MAX)
			add_scores(index, &index->terms[number], terms[i].weight, mean_units,
			    telling_len > 0 && i >= telling_len, scores);
	}
	size_t len = best_of(index, scores, range, hits, k);
	free(scores);
	return (long)len;
}
