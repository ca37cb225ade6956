/*
 * The index against a naive scorer: every score from the formulas over every
 * document and stretch, on random corpora; ranges, dead documents, memory,
 * rebuilds.  And larger ones, of several blocks, against a scorer of all postings,
 * to the last bit.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "recall/index.h"
#include "recall_plain.h"

#define DOCS 300
#define WORDS 60
#define NS INT64_C(1000000000)

struct corpus {
	struct index *index;
	uint32_t units[DOCS][WORDS]; /* the naive index: a table */
	int64_t t0_ns[DOCS], t1_ns[DOCS];
	bool dead[DOCS];
	size_t follows[DOCS]; /* the document before it in its stretch, or itself */
	size_t first[DOCS];   /* of its stretch */
	size_t len;
};

static void word_of(size_t number, char out[16])
{
	(void)snprintf(out, 16, "w%zu", number);
}

/* Some document before `end` goes on where `doc` stands. */
static bool is_followed(const struct corpus *corpus, size_t doc, size_t end)
{
	for (size_t i = doc + 1; i < end; i++) {
		if (corpus->follows[i] == doc)
			return true;
	}
	return false;
}

static void fill(struct corpus *corpus, uint64_t *seed, size_t len)
{
	char word[16];

	memset(corpus, 0, sizeof *corpus);
	assert_int_equal(index_new(&corpus->index), RC_OK);
	corpus->len = len;
	for (size_t doc = 0; doc < len; doc++) {
		corpus->t0_ns[doc] = (int64_t)(random_next(seed) % 50) * NS;
		corpus->t1_ns[doc] = corpus->t0_ns[doc] + (int64_t)(random_next(seed) % 3) * NS;
		index_begin(corpus->index, 10 + 2 * doc, corpus->t0_ns[doc], corpus->t1_ns[doc]);
		for (size_t n = random_next(seed) % 20; n > 0; n--) {
			/* Low numbers are frequent, as in any language. */
			size_t number =
			    random_next(seed) % WORDS * (random_next(seed) % WORDS) / WORDS;
			uint32_t units = 1 + (uint32_t)(random_next(seed) % 4);
			word_of(number, word);
			index_add(corpus->index, word, strlen(word), units);
			corpus->units[doc][number] += units;
		}
		corpus->follows[doc] = corpus->first[doc] = doc;
		for (size_t back = 1; back <= 3 && back <= doc; back++) {
			if (random_next(seed) % 4 != 0 || is_followed(corpus, doc - back, doc))
				continue;
			corpus->follows[doc] = doc - back;
			corpus->first[doc] = corpus->first[doc - back];
			index_follow(corpus->index, (uint32_t)(doc - back));
			break;
		}
		assert_int_equal(index_end(corpus->index), RC_OK);
	}
	for (size_t n = random_next(seed) % 10; n > 0 && len > 0; n--) {
		size_t doc = random_next(seed) % len;
		corpus->dead[doc] = true;
		index_kill(corpus->index, 10 + 2 * doc);
	}
}

static double length_of(const struct corpus *corpus, size_t doc)
{
	double length = 0;

	for (size_t w = 0; w < WORDS; w++)
		length += corpus->units[doc][w] / 4.0;
	return length == 0 ? 0.25 : length;
}

static double bm25(double tf, double relative)
{
	return tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * relative));
}

static double idf(double all, double with)
{
	return log(1 + (all - with + 0.5) / (with + 0.5));
}

struct question {
	size_t words[4], len, telling;
	double weights[4];
};

/* What the words of the document itself give. */
static double own_score(const struct corpus *corpus, size_t doc, const struct question *question)
{
	double total = 0, score = 0;
	bool tells = question->telling == 0;

	if (corpus->dead[doc])
		return 0;
	for (size_t i = 0; i < corpus->len; i++)
		total += length_of(corpus, i);
	for (size_t i = 0; i < question->len; i++) {
		double with = 0, tf = corpus->units[doc][question->words[i]] / 4.0;
		for (size_t k = 0; k < corpus->len; k++)
			with += corpus->units[k][question->words[i]] > 0;
		score += question->weights[i] * idf((double)corpus->len, with) *
			 bm25(tf, length_of(corpus, doc) / (total / (double)corpus->len));
		tells = tells || (i < question->telling && tf > 0);
	}
	return tells ? score : 0;
}

/* Occurrences of `word` in the live documents of a stretch, and its length; `*ever`: in
 * any of its documents. */
static double stretch_holds(const struct corpus *corpus, size_t first, size_t word, double *length,
    size_t *docs, bool *ever)
{
	double tf = 0;

	*length = 0;
	*docs = 0;
	*ever = false;
	for (size_t i = 0; i < corpus->len; i++) {
		if (corpus->first[i] != first)
			continue;
		*length += length_of(corpus, i);
		++*docs;
		*ever = *ever || corpus->units[i][word] > 0;
		if (!corpus->dead[i])
			tf += corpus->units[i][word] / 4.0;
	}
	return tf;
}

static double stretch_score(
    const struct corpus *corpus, size_t first, const struct question *question)
{
	double score = 0, doc_total = 0;

	for (size_t i = 0; i < corpus->len; i++)
		doc_total += length_of(corpus, i);
	for (size_t i = 0; i < question->len; i++) {
		double with = 0, all = 0, shared = 0, shared_total = 0, length, tf;
		size_t docs;
		bool ever;
		if (question->telling > 0 && i >= question->telling)
			break;
		for (size_t k = 0; k < corpus->len; k++) {
			if (corpus->first[k] != k)
				continue;
			(void)stretch_holds(corpus, k, question->words[i], &length, &docs, &ever);
			all++;
			with += ever;
			shared += docs > 1;
			shared_total += docs > 1 ? length : 0;
		}
		tf = stretch_holds(corpus, first, question->words[i], &length, &docs, &ever);
		double mean = docs > 1 ? shared_total / shared : doc_total / (double)corpus->len;
		score += question->weights[i] * idf(all, with) * bm25(tf, length / mean);
	}
	return score;
}

static double naive_score(const struct corpus *corpus, size_t doc, const struct question *question)
{
	double own = own_score(corpus, doc, question);

	if (corpus->dead[doc])
		return 0;
	for (size_t i = 0; i < corpus->len; i++) {
		if (corpus->follows[i] == doc && i != doc)
			own += INDEX_NEXT_WEIGHT * own_score(corpus, i, question);
	}
	if (own == 0)
		return 0;
	return own + INDEX_STRETCH_WEIGHT * stretch_score(corpus, corpus->first[doc], question);
}

static bool naive_in_range(const struct corpus *corpus, size_t doc, const struct index_range *range)
{
	if (!range->set)
		return true;
	return corpus->t0_ns[doc] < range->to_ns &&
	       (corpus->t0_ns[doc] >= range->from_ns || corpus->t1_ns[doc] > range->from_ns);
}

static void check_query(const struct corpus *corpus, uint64_t *seed)
{
	struct index_query_term terms[4];
	struct index_hit hits[DOCS];
	char texts[4][16];
	struct question question = { .len = 1 + random_next(seed) % 4 };
	double naive[DOCS];
	size_t k = 1 + random_next(seed) % 30, matching = 0;
	struct index_range range = { .set = random_next(seed) % 2 == 0,
		.from_ns = (int64_t)(random_next(seed) % 40) * NS,
		.lift = random_next(seed) % 2 == 0 ? 0 : 3 };

	question.telling = random_next(seed) % (question.len + 1);
	range.to_ns = range.from_ns + (int64_t)(1 + random_next(seed) % 20) * NS;
	for (size_t i = 0; i < question.len; i++) {
		question.words[i] = (random_next(seed) % 15 + i * 15); /* distinct */
		question.weights[i] = i < question.telling ? 1 : 0.1;
		word_of(question.words[i], texts[i]);
		terms[i] =
		    (struct index_query_term){ texts[i], strlen(texts[i]), question.weights[i] };
	}
	for (size_t doc = 0; doc < corpus->len; doc++) {
		bool inside = naive_in_range(corpus, doc, &range);
		naive[doc] = !inside && range.lift == 0 ? 0 : naive_score(corpus, doc, &question);
		if (inside && range.set && range.lift > 0)
			naive[doc] *= range.lift;
		matching += naive[doc] > 0;
	}
	long found =
	    index_query(corpus->index, terms, question.len, question.telling, &range, hits, k);
	assert_int_equal(found, matching < k ? matching : k);
	for (long i = 0; i < found; i++) {
		assert_true(fabs(naive[hits[i].doc] - hits[i].score) < 1e-9);
		if (i == 0)
			continue;
		assert_true(hits[i - 1].score >= hits[i].score);
		if (hits[i - 1].score == hits[i].score)
			assert_true(corpus->t0_ns[hits[i - 1].doc] < corpus->t0_ns[hits[i].doc] ||
				    (corpus->t0_ns[hits[i - 1].doc] == corpus->t0_ns[hits[i].doc] &&
					hits[i - 1].doc < hits[i].doc));
	}
	size_t better = 0;
	for (size_t doc = 0; doc < corpus->len && found > 0; doc++)
		better += naive[doc] > hits[found - 1].score + 1e-9;
	assert_true(found == 0 || better < (size_t)found);
}

static void test_ranking_equals_the_naive_scorers(void **state)
{
	static struct corpus corpus;
	uint64_t seed = 17;

	(void)state;
	for (int round = 0; round < 24; round++) {
		fill(&corpus, &seed, 1 + random_next(&seed) % DOCS);
		for (int query = 0; query < 10; query++)
			check_query(&corpus, &seed);
		index_free(corpus.index);
	}
}

/* ---- larger ones ------------------------------------------------------------------------ */

#define MANY 9000 /* several blocks of documents */
#define MANY_WORDS 4000
#define MANY_TERMS 12

/* Words of a few letters, the first ones in most documents, the last ones in a handful. */
static size_t draw_word(uint64_t *seed)
{
	double u = (double)(random_next(seed) >> 11) / 9007199254740992.0;

	return (size_t)(MANY_WORDS * u * u * u * u);
}

/* Talks that go on for a while, several at a time (`talks` 0: each document by itself),
 * times that mostly rise, some documents moved or dead. */
static struct index *grow(uint64_t *seed, size_t len, size_t talks)
{
	uint32_t last[8] = { 0 };
	struct index *index;
	char word[16];

	assert_int_equal(index_new(&index), RC_OK);
	for (uint32_t doc = 0; doc < len; doc++) {
		int64_t t0_ns = ((int64_t)doc * 60 + (int64_t)(random_next(seed) % 7200)) * NS;
		index_begin(index, 3 + 2 * (uint64_t)doc, t0_ns,
		    t0_ns + (int64_t)(random_next(seed) % 100) * NS);
		for (size_t n = random_next(seed) % 16; n > 0; n--) {
			word_of(draw_word(seed), word);
			index_add(index, word, strlen(word),
			    1 + (uint32_t)(random_next(seed) % 300 / 100));
		}
		size_t talk = talks == 0 ? 0 : random_next(seed) % talks;
		if (talks > 0 && last[talk] > 0 && random_next(seed) % 20 != 0)
			index_follow(index, last[talk] - 1);
		last[talk] = doc + 1;
		assert_int_equal(index_end(index), RC_OK);
	}
	for (size_t n = random_next(seed) % 3 * len / 50; n > 0; n--)
		index_kill(index, 3 + 2 * (random_next(seed) % len));
	for (size_t n = random_next(seed) % 20; n > 0; n--) {
		int64_t t0_ns = (int64_t)(random_next(seed) % (len * 60)) * NS;
		index_move(index, (uint32_t)(random_next(seed) % len), t0_ns, t0_ns + NS);
	}
	return index;
}

struct draw {
	struct index_query_term terms[MANY_TERMS];
	char texts[MANY_TERMS][16];
	size_t len, telling;
	struct index_range range;
	size_t k;
};

static void draw(uint64_t *seed, size_t len, struct draw *out)
{
	static const double lifts[] = { 0, 1, 1.5, 3 };
	static const size_t ks[] = { 1, 10, 64, 300, MANY };

	*out = (struct draw){ .len = 1 + random_next(seed) % MANY_TERMS,
		.k = ks[random_next(seed) % 5] };
	out->telling = random_next(seed) % 3 == 0 ? 0 : 1 + random_next(seed) % out->len;
	for (size_t i = 0; i < out->len; i++) {
		word_of(draw_word(seed), out->texts[i]);
		out->terms[i] = (struct index_query_term){ out->texts[i], strlen(out->texts[i]),
			i < out->telling || out->telling == 0 ? 1 - (double)(i % 3) * 0.25 : 0.1 };
	}
	out->range.set = random_next(seed) % 2 == 0;
	out->range.lift = lifts[random_next(seed) % 4];
	out->range.from_ns = (int64_t)(random_next(seed) % (len * 60)) * NS;
	out->range.to_ns =
	    out->range.from_ns +
	    (int64_t)(1 + random_next(seed) % (random_next(seed) % 2 ? 600 : len * 60)) * NS;
}

static void check_many(const struct index *index, uint64_t *seed)
{
	static struct index_hit hits[MANY], plain[MANY];
	uint32_t docs[INDEX_SUPPORT_DOCS_MAX];
	struct draw d;

	draw(seed, index_docs_len(index), &d);
	long found = index_query(index, d.terms, d.len, d.telling, &d.range, hits, d.k);
	assert_int_equal(
	    found, recall_plain_query(index, d.terms, d.len, d.telling, &d.range, plain, d.k));
	for (long i = 0; i < found; i++) {
		assert_int_equal(hits[i].doc, plain[i].doc);
		assert_true(hits[i].score == plain[i].score);
	}
	size_t n = (size_t)found < INDEX_SUPPORT_DOCS_MAX ? (size_t)found : INDEX_SUPPORT_DOCS_MAX;
	for (size_t i = 0; i < n; i++)
		docs[i] = hits[i].doc;
	assert_true(index_support(index, d.terms, d.len, docs, n, NULL) ==
		    recall_plain_support(index, d.terms, d.len, docs, n));
}

static void test_blocks_and_bounds_leave_nothing_out(void **state)
{
	const char *more = getenv("HEARTH_INDEXES");
	uint64_t seed = 41;

	(void)state;
	for (size_t round = 0; round < (more == NULL ? 4 : strtoul(more, NULL, 10)); round++) {
		size_t len = round % 3 == 0 ? MANY : 1 + random_next(&seed) % MANY;
		struct index *index = grow(&seed, len, round % 2 == 0 ? 1 + round % 7 : 0);
		for (int query = 0; query < 30; query++)
			check_many(index, &seed);
		index_free(index);
	}
}

/* Nothing else in its block has the word, nor has it itself. */
static void test_what_comes_before_a_rare_word_is_found_across_blocks(void **state)
{
	const struct index_query_term term = { "rare", 4, 1 };
	const struct index_range any = { .set = false };
	struct index_hit hits[8];
	struct index *index;

	(void)state;
	assert_int_equal(index_new(&index), RC_OK);
	for (uint32_t doc = 0; doc < MANY; doc++) {
		index_begin(index, doc + 1, doc, doc);
		index_add(index, "filler", 6, 4);
		if (doc == 2048 || doc == 8192)
			index_add(index, "rare", 4, 4);
		if (doc > 0)
			index_follow(index, doc - 1);
		assert_int_equal(index_end(index), RC_OK);
	}
	assert_int_equal(index_query(index, &term, 1, 0, &any, hits, 8), 4);
	assert_int_equal(hits[0].doc, 2048);
	assert_int_equal(hits[1].doc, 8192);
	assert_int_equal(hits[2].doc, 2047);
	assert_int_equal(hits[3].doc, 8191);
	index_free(index);
}

/* What the next one says of a dead document is no score that others have to reach. */
static void test_a_dead_document_before_the_best_keeps_none_out(void **state)
{
	const struct index_query_term term = { "rare", 4, 1 };
	const struct index_range any = { .set = false };
	struct index_hit hits[2];
	struct index *index;

	(void)state;
	assert_int_equal(index_new(&index), RC_OK);
	for (uint32_t doc = 0; doc < 40; doc++) { /* short ones but for the first */
		index_begin(index, doc + 1, doc, doc);
		index_add(index, "filler", 6, doc == 0 ? 400 : 4);
		if (doc == 0 || doc == 39)
			index_add(index, "rare", 4, 4);
		if (doc == 39)
			index_follow(index, 38);
		assert_int_equal(index_end(index), RC_OK);
	}
	index_kill(index, 39); /* by its number, which counts from 1: the one before the last */
	assert_int_equal(index_query(index, &term, 1, 0, &any, hits, 2), 2);
	assert_int_equal(hits[0].doc, 39);
	assert_int_equal(hits[1].doc, 0);
	index_free(index);
}

static void test_documents_in_a_range_are_found_one_after_the_other(void **state)
{
	uint64_t seed = 43;

	(void)state;
	struct index *index = grow(&seed, 5000, 3);
	for (int round = 0; round < 100; round++) {
		struct draw d;
		draw(&seed, 5000, &d);
		size_t next = index_next_in_range(index, 0, &d.range);
		for (size_t doc = 0; doc < index_docs_len(index); doc++) {
			bool inside = index_in_range(&index_docs(index)[doc], &d.range);
			assert_int_equal(inside, doc == next);
			if (inside)
				next = index_next_in_range(index, doc + 1, &d.range);
		}
		assert_int_equal(next, index_docs_len(index));
	}
	index_free(index);
}

/* A pasted page asks for a thousand words: not each of them is compared with all. */
static void test_relatives_are_looked_for_of_the_first_words_asked(void **state)
{
	const struct index_related related = { .below = 1 };
	struct index_query_term terms[41];
	char words[40][16];
	struct index *index;
	uint32_t doc = 0;

	(void)state;
	assert_int_equal(index_new(&index), RC_OK);
	index_begin(index, 10, 0, 0);
	index_add(index, "teacher", strlen("teacher"), 4);
	assert_int_equal(index_end(index), RC_OK);
	for (size_t i = 0; i < 40; i++) {
		word_of(i, words[i]);
		terms[i + 1] = (struct index_query_term){ words[i], strlen(words[i]), 1 };
	}
	terms[0] = (struct index_query_term){ "teach", strlen("teach"), 1 };
	assert_true(index_support(index, terms, 41, &doc, 1, NULL) == 0);
	assert_true(index_support(index, terms, 41, &doc, 1, &related) > 0);
	terms[0] = terms[40]; /* and the other way round */
	terms[40] = (struct index_query_term){ "teach", strlen("teach"), 1 };
	assert_true(index_support(index, terms, 41, &doc, 1, &related) == 0);
	index_free(index);
}

static void test_an_empty_index_finds_nothing(void **state)
{
	struct index *index;
	struct index_hit hit;
	struct index_query_term term = { "x", 1, 1 };
	struct index_range range = { .set = false };

	(void)state;
	assert_int_equal(index_new(&index), RC_OK);
	assert_int_equal(index_query(index, &term, 1, 1, &range, &hit, 1), 0);
	index_kill(index, 5);
	/* A document without words leaves it without terms. */
	index_begin(index, 10, 0, 0);
	assert_int_equal(index_end(index), RC_OK);
	assert_int_equal(index_query(index, &term, 1, 1, &range, &hit, 1), 0);
	assert_false(index_has_in_range(index, "x", 1, &range));
	index_free(index);
}

static void test_equal_documents_give_equal_checksums(void **state)
{
	static struct corpus a, b;
	uint64_t seed_a = 5, seed_b = 5;

	(void)state;
	fill(&a, &seed_a, 200);
	fill(&b, &seed_b, 200);
	assert_int_equal(index_checksum(a.index), index_checksum(b.index));
	index_kill(b.index, 10);
	index_kill(b.index, 12);
	index_kill(b.index, 14);
	assert_true(index_checksum(a.index) != index_checksum(b.index));
	index_free(a.index);
	index_free(b.index);
}

static void test_memory_of_an_item_stays_small(void **state)
{
	struct index *index;
	struct index_stats stats;
	uint64_t seed = 23;
	char word[32];

	(void)state;
	assert_int_equal(index_new(&index), RC_OK);
	for (uint64_t doc = 1; doc <= 20000; doc++) {
		index_begin(index, doc, (int64_t)doc * NS, (int64_t)doc * NS);
		for (int i = 0; i < 40; i++) {
			uint64_t r = random_next(&seed) % 20000;
			(void)snprintf(
			    word, sizeof word, "word%llu", (unsigned long long)(r * r / 20000));
			index_add(index, word, strlen(word), 4);
		}
		assert_int_equal(index_end(index), RC_OK);
	}
	index_get_stats(index, &stats);
	assert_int_equal(stats.docs, 20000);
	assert_true(stats.bytes / stats.docs <= 1200); /* the bound of 1.2 KB an item */
	index_free(index);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranking_equals_the_naive_scorers),
		cmocka_unit_test(test_blocks_and_bounds_leave_nothing_out),
		cmocka_unit_test(test_what_comes_before_a_rare_word_is_found_across_blocks),
		cmocka_unit_test(test_a_dead_document_before_the_best_keeps_none_out),
		cmocka_unit_test(test_documents_in_a_range_are_found_one_after_the_other),
		cmocka_unit_test(test_relatives_are_looked_for_of_the_first_words_asked),
		cmocka_unit_test(test_an_empty_index_finds_nothing),
		cmocka_unit_test(test_equal_documents_give_equal_checksums),
		cmocka_unit_test(test_memory_of_an_item_stays_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
