/*
 * Support: how much of what a question asks for stands in one of a few documents.
 *
 * Where that is little, words count as well that are made of an asked one or it of
 * them: "teacher" of "teach", "Zahnarzttermin" of "Zahnarzt".
 */
#include <string.h>

#include "recall/posting.h"

#define RELATED_BYTES_MIN ((size_t)5) /* shorter words begin others by chance */
#define RELATED_MAX 64                /* words that count for one */
#define RELATED_TERMS_MAX 32          /* asked ones whose relatives are looked for */

struct support {
	const struct index *index;
	const uint32_t *docs; /* [docs_len] */
	size_t docs_len;
	uint32_t nexts[INDEX_SUPPORT_DOCS_MAX];
	bool compounds;
};

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

/* Marks of the documents that have the term, a bit for each. */
static uint32_t marks_of(const struct support *support, const struct index_term *term)
{
	uint32_t marks = 0;

	for (size_t k = 0; k < support->docs_len; k++) {
		if (term->docs > 0 &&
		    (has_term(term, support->docs[k]) || has_term(term, support->nexts[k])))
			marks |= UINT32_C(1) << k;
	}
	return marks;
}

/* One word begins with the other, or, of compounds, ends with it. */
static bool is_related(const char *a, size_t a_len, const char *b, size_t b_len, bool compounds)
{
	size_t len = a_len < b_len ? a_len : b_len;

	if (len < RELATED_BYTES_MIN)
		return false;
	return memcmp(a, b, len) == 0 ||
	       (compounds && memcmp(a + a_len - len, b + b_len - len, len) == 0);
}

static uint32_t related_marks(const struct support *support, const char *text, size_t len)
{
	const struct index *index = support->index;
	uint32_t marks = 0;
	size_t n = 0;

	for (size_t i = 0; i < index->terms_len && n < RELATED_MAX; i++) {
		const struct index_term *term = &index->terms[i];
		if (!is_related(text, len, index->texts + term->text_at, term->text_len,
			support->compounds))
			continue;
		marks |= marks_of(support, term);
		n++;
	}
	return marks;
}

/* The share of the terms that the document with most of them has. */
static double share_of(const struct support *support, const struct index_query_term *terms,
    size_t terms_len, bool related)
{
	const struct index *index = support->index;
	double asked = 0, found[INDEX_SUPPORT_DOCS_MAX] = { 0 }, most = 0;

	for (size_t i = 0; i < terms_len; i++) {
		uint32_t number = index_find(index, terms[i].text, terms[i].len);
		double rare = index_rarity(index, terms[i].text, terms[i].len);
		uint32_t marks =
		    number == UINT32_MAX ? 0 : marks_of(support, &index->terms[number]);
		if (related && i < RELATED_TERMS_MAX)
			marks |= related_marks(support, terms[i].text, terms[i].len);
		asked += rare * rare;
		for (size_t k = 0; k < support->docs_len; k++)
			found[k] += marks >> k & 1 ? rare * rare : 0;
	}
	for (size_t k = 0; k < support->docs_len; k++)
		most = found[k] > most ? found[k] : most;
	return asked == 0 ? 1 : most / asked;
}

double index_support(const struct index *index, const struct index_query_term *terms,
    size_t terms_len, const uint32_t *docs, size_t docs_len, const struct index_related *related)
{
	struct support support = { .index = index, .docs = docs, .docs_len = docs_len };

	for (size_t k = 0; k < docs_len; k++)
		support.nexts[k] = next_of(index, docs[k]);
	double share = share_of(&support, terms, terms_len, false);
	if (related == NULL || share >= related->below)
		return share;
	support.compounds = related->compounds;
	return share_of(&support, terms, terms_len, true);
}
