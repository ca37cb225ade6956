/* The plain twin of index queries. */
#include "recall_plain.h"

#include <math.h>
#include <stdlib.h>

#include "recall/best.h"
#include "recall/index_inner.h"

struct sums {
	const struct index *index;
	double mean_units;        /* of a document */
	double shared_mean_units; /* of a stretch of several documents */
	double *docs;             /* [docs_len] */
	double *stretches;        /* [stretches_len] */
	double *often;            /* [stretches_len]: of one term; zeros between terms */
	bool *touched;            /* [stretches_len]: by one term, in dead documents too */
};

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

static double bm25(double often, double length)
{
	return often * (INDEX_K1 + 1) / (often + INDEX_K1 * (1 - INDEX_B + INDEX_B * length));
}

static double idf(double all, double with)
{
	return log(1 + (all - with + 0.5) / (with + 0.5));
}

static void end_term(struct sums *sums, double weight)
{
	size_t len = sums->index->stretches_len, touched = 0;

	for (size_t i = 0; i < len; i++)
		touched += sums->touched[i];
	weight *= idf((double)len, (double)touched);
	for (size_t i = 0; i < len; i++) {
		const struct index_stretch *stretch = &sums->index->stretches[i];
		double mean = stretch->docs > 1 ? sums->shared_mean_units : sums->mean_units;
		sums->stretches[i] += weight * bm25(sums->often[i], (double)stretch->units / mean);
		sums->often[i] = 0;
		sums->touched[i] = false;
	}
}

/* `beside`: only where something is scored already. */
static void add_term(struct sums *sums, const struct index_term *term, double weight, bool beside)
{
	const struct index *index = sums->index;
	double doc_weight = weight * idf((double)index->docs_len, (double)term->docs);
	const uint8_t *p = term->bytes, *end = term->bytes + term->len;
	uint32_t doc = 0;

	while (p < end) {
		doc += get_varint(&p);
		double often = (double)get_varint(&p) / INDEX_UNITS;
		const struct index_turn *turn = &index->turns[doc];
		sums->touched[turn->stretch] = true;
		if (turn->units == 0 || (beside && sums->docs[doc] == 0))
			continue;
		sums->docs[doc] += doc_weight * bm25(often, (double)turn->units / sums->mean_units);
		if (!beside)
			sums->often[turn->stretch] += often;
	}
	end_term(sums, weight);
}

/* What the next document says of each.  That one comes later here: its own score
 * is still what its words gave it. */
static void add_next(const struct sums *sums)
{
	const struct index_turn *turns = sums->index->turns;

	for (size_t doc = 0; doc < sums->index->docs_len; doc++) {
		if (sums->docs[doc] > 0 && turns[doc].back > 0)
			sums->docs[doc - turns[doc].back] += INDEX_NEXT_WEIGHT * sums->docs[doc];
	}
}

static size_t best_of(
    const struct sums *sums, const struct index_range *range, struct index_hit *hits, size_t k)
{
	const struct index *index = sums->index;
	double lift = range->set && range->lift > 0 ? range->lift : 1;
	struct best best = { .index = index, .hits = hits, .k = k };

	for (size_t doc = 0; doc < index->docs_len; doc++) {
		const struct index_turn *turn = &index->turns[doc];
		if (sums->docs[doc] <= 0 || turn->units == 0)
			continue;
		struct index_hit hit = { .doc = (uint32_t)doc,
			.score = sums->docs[doc] +
				 INDEX_STRETCH_WEIGHT * sums->stretches[turn->stretch] };
		if (best_is_beaten(&best, hit.score * lift))
			continue;
		bool inside = index_in_range(&index->docs[doc], range);
		if (!inside && range->lift == 0)
			continue;
		if (inside)
			hit.score *= lift;
		best_offer(&best, hit);
	}
	best_sort(&best);
	return best.len;
}

static void sums_fini(struct sums *sums)
{
	free(sums->docs);
	free(sums->stretches);
	free(sums->often);
	free(sums->touched);
}

static bool sums_init(struct sums *sums, const struct index *index)
{
	size_t shared = index->shared_len > 0 ? index->shared_len : 1;

	*sums = (struct sums){ .index = index,
		.mean_units = (double)index->units_total / (double)index->docs_len,
		.shared_mean_units = (double)index->shared_units / (double)shared,
		.docs = calloc(index->docs_len, sizeof *sums->docs),
		.stretches = calloc(index->stretches_len, sizeof *sums->stretches),
		.often = calloc(index->stretches_len, sizeof *sums->often),
		.touched = calloc(index->stretches_len, sizeof *sums->touched) };
	return sums->docs != NULL && sums->stretches != NULL && sums->often != NULL &&
	       sums->touched != NULL;
}

long recall_plain_query(const struct index *index, const struct index_query_term *terms,
    size_t terms_len, size_t telling_len, const struct index_range *range, struct index_hit *hits,
    size_t k)
{
	struct sums sums;
	long found = -1;

	if (index->docs_len == 0 || k == 0)
		return 0;
	if (sums_init(&sums, index)) {
		for (size_t i = 0; i < terms_len; i++) {
			uint32_t number = index_find(index, terms[i].text, terms[i].len);
			if (number != UINT32_MAX)
				add_term(&sums, &index->terms[number], terms[i].weight,
				    telling_len > 0 && i >= telling_len);
		}
		add_next(&sums);
		found = (long)best_of(&sums, range, hits, k);
	}
	sums_fini(&sums);
	return found;
}

/* Marks of the documents that have the term themselves or are followed by one
 * that has, a bit for each of `docs`. */
static uint32_t marks_of(
    const struct index *index, const struct index_term *term, const uint32_t *docs, size_t docs_len)
{
	const uint8_t *p = term->bytes, *end = term->bytes + term->len;
	uint32_t at = 0, marks = 0;

	while (p < end) {
		at += get_varint(&p);
		(void)get_varint(&p);
		uint32_t back = index->turns[at].back;
		for (size_t i = 0; i < docs_len; i++) {
			if (at == docs[i] || (back > 0 && at - back == docs[i]))
				marks |= UINT32_C(1) << i;
		}
	}
	return marks;
}

double recall_plain_support(const struct index *index, const struct index_query_term *terms,
    size_t terms_len, const uint32_t *docs, size_t docs_len)
{
	double asked = 0, found[INDEX_SUPPORT_DOCS_MAX] = { 0 }, most = 0;

	for (size_t i = 0; i < terms_len; i++) {
		uint32_t number = index_find(index, terms[i].text, terms[i].len);
		double with = number == UINT32_MAX ? 0 : (double)index->terms[number].docs;
		double rare = idf((double)index->docs_len, with);
		uint32_t marks = number == UINT32_MAX
				     ? 0
				     : marks_of(index, &index->terms[number], docs, docs_len);
		asked += rare * rare;
		for (size_t k = 0; k < docs_len; k++)
			found[k] += marks >> k & 1 ? rare * rare : 0;
	}
	for (size_t k = 0; k < docs_len; k++)
		most = found[k] > most ? found[k] : most;
	return asked == 0 ? 1 : most / asked;
}
