/* Search: query terms, ranking inside a range, and what happened in one. */
#include "recall/search.h"

#include <stdlib.h>
#include <string.h>

#include "recall/asked.h"
#include "recall/best.h"
#include "recall/moments.h"
#include "recall/recall.h"

struct gather {
	struct search *search;
	struct arena *arena;
	const struct token_rules *rules;
	size_t skip_begin, skip_end;
	double kind_weight;
	bool no_memory;
};

/* ---- the question ---------------------------------------------------------------------------- */

static bool is_known(const struct search *search, const char *text, size_t len)
{
	for (size_t i = 0; i < search->terms_len; i++) {
		if (search->terms[i].len == len && memcmp(search->terms[i].text, text, len) == 0)
			return true;
	}
	return false;
}

/* A copy of `text` as a term, unless it is one already. */
static bool put_term(struct gather *gather, const char *text, size_t len, double weight)
{
	struct search *search = gather->search;

	if (search->terms_len == SEARCH_TERMS_MAX || is_known(search, text, len))
		return true;
	char *copy = arena_copy(gather->arena, text, len);
	if (copy == NULL) {
		gather->no_memory = true;
		return false;
	}
	search->terms[search->terms_len++] =
	    (struct index_query_term){ .text = copy, .len = len, .weight = weight };
	return true;
}

static enum language language_of(const struct gather *gather)
{
	const struct token_rules *rules = gather->rules;

	return rules->languages_len == 0 ? LANGUAGE_EN : rules->languages[0];
}

/* The kinds of moments that the word asks for, as far as the index has them:
 * kinds are indexed by their English stems. */
static bool put_kinds(struct gather *gather, const char *kinds)
{
	struct search *search = gather->search;

	while (kinds != NULL && *kinds != '\0') {
		char stem[STEM_BYTES_MAX];
		size_t len = strcspn(kinds, " ");
		size_t stem_len = stem_word(gather->rules->stemmer, LANGUAGE_EN, kinds, len, stem);
		char *copy = arena_copy(gather->arena, stem, stem_len);
		if (copy == NULL || !put_term(gather, stem, stem_len, gather->kind_weight)) {
			gather->no_memory = true;
			return false;
		}
		if (search->kinds_len < SEARCH_KINDS_MAX)
			search->kinds[search->kinds_len++] =
			    (struct index_query_term){ .text = copy, .len = stem_len };
		kinds += len + (kinds[len] == ' ');
	}
	return true;
}

/* The word tells something that a moment which answers has to hold.  With a time, words
 * that ask for kinds do not; nor do those of scripts in which it is not known what asks. */
static bool tells(const struct gather *gather, const struct token *token, const char *kinds)
{
	const struct token_rules *rules = gather->rules;
	bool latin = token->word_len == 0 || (uint8_t)token->word[0] < 0xE0;

	if (token->stop || asked_only(language_of(gather), token->word, token->word_len))
		return false;
	/* A short question may be taken for another language of the person's. */
	for (size_t i = 1; i < rules->languages_len; i++) {
		if (stem_is_stop(rules->languages[i], token->word, token->word_len) ||
		    asked_only(rules->languages[i], token->word, token->word_len))
			return false;
	}
	return !gather->search->range.set || (kinds == NULL && latin);
}

static bool add_term(void *ctx, const struct token *token)
{
	struct gather *gather = ctx;
	struct search *search = gather->search;
	char text[TOKEN_BYTES_MAX + 8];
	size_t len = 0;

	if (token->begin < gather->skip_end && token->end > gather->skip_begin)
		return true;
	if (token->exact)
		text[len++] = '=';
	memcpy(text + len, token->text, token->len);
	len += token->len;
	double weight = token->stop ? SEARCH_STOP_WEIGHT : 1;
	if (token->exact)
		weight *= SEARCH_EXACT_WEIGHT;
	if (token->other)
		weight *= SEARCH_OTHER_WEIGHT;
	size_t before = search->terms_len;
	if (!put_term(gather, text, len, weight))
		return false;
	if (token->exact || token->other)
		return search->terms_len < SEARCH_TERMS_MAX;
	const char *kinds = asked_kinds(language_of(gather), token->word, token->word_len);
	if (search->terms_len > before && tells(gather, token, kinds))
		search->told[search->told_len++] = search->terms[before];
	return put_kinds(gather, kinds) && search->terms_len < SEARCH_TERMS_MAX;
}

/* Terms of at least `weight` to the front of those from `begin` on; their end. */
static size_t put_first(struct search *search, size_t begin, double weight)
{
	size_t end = begin;

	for (size_t i = begin; i < search->terms_len; i++) {
		struct index_query_term term = search->terms[i];
		if (term.weight < weight)
			continue;
		memmove(&search->terms[end + 1], &search->terms[end], (i - end) * sizeof term);
		search->terms[end++] = term;
	}
	return end;
}

enum rc search_prepare(struct search *search, const enum language *languages, size_t languages_len,
    const char *text, size_t len, size_t skip_begin, size_t skip_end, struct arena *arena)
{
	struct token_rules rules = { .languages_len = languages_len };
	struct gather gather = {
		.search = search, .arena = arena, .skip_begin = skip_begin, .skip_end = skip_end
	};

	search->rank_k = search->k < SEARCH_NEAR_LEN ? SEARCH_NEAR_LEN : search->k;
	search->terms = arena_array(arena, SEARCH_TERMS_MAX, sizeof *search->terms);
	search->told = arena_array(arena, SEARCH_TERMS_MAX, sizeof *search->told);
	search->kinds = arena_array(arena, SEARCH_KINDS_MAX, sizeof *search->kinds);
	search->room = arena_array(arena, search->rank_k + SEARCH_NEAR_LEN, sizeof *search->room);
	search->hits = arena_array(arena, search->k, sizeof *search->hits);
	search->merged = arena_array(arena, search->k, sizeof *search->merged);
	search->moments = arena_array(arena, search->k, sizeof *search->moments);
	if (search->terms == NULL || search->told == NULL || search->kinds == NULL ||
	    search->room == NULL || search->hits == NULL || search->merged == NULL ||
	    search->moments == NULL)
		return RC_NOMEM;
	if (languages_len > 0)
		memcpy(rules.languages, languages, languages_len * sizeof *languages);
	if (stemmer_new(&rules.stemmer) != RC_OK)
		return RC_NOMEM;
	gather.rules = &rules;
	search->compounds = language_of(&gather) == LANGUAGE_DE;
	/* With a time a kind alone answers ("where was I on Friday"); without one it
	 * only adds to what other words find. */
	gather.kind_weight = search->range.set ? SEARCH_KIND_WEIGHT : SEARCH_STOP_WEIGHT;
	token_scan(&rules, text, len, add_term, &gather);
	bool failed = gather.no_memory || stemmer_failed(rules.stemmer);
	stemmer_free(rules.stemmer);
	search->stems_len = put_first(search, 0, 1);
	search->telling_len = put_first(search, search->stems_len, SEARCH_EXACT_WEIGHT);
	return failed ? RC_NOMEM : RC_OK;
}

/* ---- ranking ----------------------------------------------------------------------------------
 */

/* The best by words into `room`. */
static enum rc rank(
    const struct index *index, struct search *search, const struct index_range *range, size_t k)
{
	long found = index_query(
	    index, search->terms, search->terms_len, search->telling_len, range, search->room, k);

	if (found < 0)
		return RC_NOMEM;
	search->room_len = (size_t)found;
	return RC_OK;
}

static int by_doc(const void *a, const void *b)
{
	const struct index_hit *x = a, *y = b;

	return x->doc < y->doc ? -1 : x->doc > y->doc;
}

/* Joined and best first, on the scale of the best by words. */
static void add_near(const struct index *index, struct search *search)
{
	struct index_hit *room = search->room;
	size_t words_len = search->room_len, kept = 0;
	double best = words_len > 0 ? room[0].score : 1;
	double last = search->near_len > 0 ? search->near[search->near_len - 1].score : 0;
	double spread = search->near_len > 0 ? search->near[0].score - last : 0;

	if (search->near_len == 0)
		return;
	for (size_t i = 0; i < search->near_len; i++) {
		double near = spread > 0 ? (search->near[i].score - last) / spread : 1;
		room[words_len + i] = (struct index_hit){ .doc = search->near[i].doc,
			.score = best * SEARCH_NEAR_WEIGHT * near };
	}
	qsort(room, words_len + search->near_len, sizeof *room, by_doc);
	for (size_t i = 0; i < words_len + search->near_len; i++) {
		if (kept > 0 && room[kept - 1].doc == room[i].doc)
			room[kept - 1].score += room[i].score;
		else
			room[kept++] = room[i];
	}
	struct best sorted = { .index = index, .hits = room, .k = kept };
	for (size_t i = 0; i < kept; i++)
		best_offer(&sorted, room[i]);
	best_sort(&sorted);
	search->room_len = kept;
}

/* What of `room` is shown. */
static void show(const struct index *index, struct search *search)
{
	search->hits_len = search->room_len < search->k ? search->room_len : search->k;
	for (size_t i = 0; i < search->hits_len; i++)
		search->hits[i] =
		    (struct search_hit){ .seq = index_docs(index)[search->room[i].doc].seq,
			    .score = search->room[i].score };
}

/* Of the best by words; before anything else comes among them. */
static void judge(const struct index *index, struct search *search)
{
	const struct index_related related = { RECALL_SUPPORT_MIN, search->compounds };
	uint32_t docs[INDEX_SUPPORT_DOCS_MAX];
	size_t len = 0;

	while (len < search->room_len && len < INDEX_SUPPORT_DOCS_MAX) {
		docs[len] = search->room[len].doc;
		len++;
	}
	search->support =
	    search->told_len > 0 || search->range.set
		? index_support(index, search->told, search->told_len, docs, len, &related)
		: index_support(index, search->terms, search->stems_len, docs, len, &related);
}

static int64_t later(int64_t t_ns, int64_t by_ns)
{
	int64_t ns;

	if (__builtin_add_overflow(t_ns, by_ns, &ns))
		return by_ns < 0 ? INT64_MIN : INT64_MAX;
	return ns;
}

/* A time is named: what is asked for has to be in it, or told of nearly whole. */
static void judge_time(const struct index *index, struct search *search)
{
	struct index_range near = search->range;
	bool there = search->kinds_len == 0;

	if (index_next_in_range(index, 0, &search->range) == index_docs_len(index)) {
		search->support *= search->told_len > 0 ? SEARCH_EMPTY_SUPPORT : 0;
		return;
	}
	near.from_ns = later(near.from_ns, -SEARCH_KIND_MARGIN_NS);
	near.to_ns = later(near.to_ns, SEARCH_KIND_MARGIN_NS);
	for (size_t i = 0; i < search->kinds_len && !there; i++)
		there =
		    index_has_in_range(index, search->kinds[i].text, search->kinds[i].len, &near);
	if (!there && search->told_len == 0)
		search->support = 0;
}

static bool has_inside(const struct index *index, const struct search *search)
{
	for (size_t i = 0; i < search->hits_len; i++) {
		if (index_in_range(&index_docs(index)[search->room[i].doc], &search->range))
			return true;
	}
	return false;
}

static bool is_among(const struct search_hit *hits, size_t len, uint64_t seq)
{
	for (size_t i = 0; i < len; i++) {
		if (hits[i].seq == seq)
			return true;
	}
	return false;
}

/* ---- what happened ------------------------------------------------------------------------------
 */

/* What the `i`-th of so many moments counts, the most telling one being 1. */
static double fade(long i, long found)
{
	return found == 0 ? 0 : 1 - SEARCH_MOMENT_FADE * (double)i / (double)found;
}

/* What happened in the range and nothing else, by time; the more telling a moment
 * is, the higher its score. */
static enum rc tell_range(const struct index *index, struct search *search)
{
	long found = moments_choose(index, &search->range, search->k, search->moments);

	if (found < 0)
		return RC_NOMEM;
	for (long i = 0; i < found; i++)
		search->room[i] =
		    (struct index_hit){ .doc = search->moments[i], .score = fade(i, found) };
	qsort(search->room, (size_t)found, sizeof *search->room, by_doc);
	for (long i = 0; i < found; i++)
		search->hits[i] = (struct search_hit){ index_docs(index)[search->room[i].doc].seq,
			search->room[i].score };
	search->hits_len = (size_t)found;
	search->support = found > 0 ? 1 : 0;
	return RC_OK;
}

/*
 * What happened in the range among the hits: a question may name a thing by no
 * word of it ("what did I eat on Friday").  The most telling moment counts as
 * much as SEARCH_MOMENT_SHARE of the best hit, the others less and less.
 */
static enum rc add_moments(const struct index *index, struct search *search, size_t wanted)
{
	struct search_hit *merged = search->merged;
	size_t len = 0, hit = 0, moment = 0;
	double best = search->hits_len > 0 ? search->hits[0].score : 1;

	long found = moments_choose(index, &search->range, wanted, search->moments);
	if (found < 0)
		return RC_NOMEM;
	while (len < search->k && (hit < search->hits_len || moment < (size_t)found)) {
		double score = best * SEARCH_MOMENT_SHARE * fade((long)moment, found);
		bool take_hit = hit < search->hits_len &&
				(moment == (size_t)found || search->hits[hit].score >= score);
		struct search_hit next =
		    take_hit
			? search->hits[hit++]
			: (struct search_hit){ index_docs(index)[search->moments[moment++]].seq,
				  score };
		if (!is_among(merged, len, next.seq))
			merged[len++] = next;
	}
	memcpy(search->hits, merged, len * sizeof *merged);
	search->hits_len = len;
	return RC_OK;
}

enum rc search_run(const struct index *index, struct search *search)
{
	struct index_range range = search->range;

	search->hits_len = 0;
	if (search->telling_len == 0 && search->range.set)
		return tell_range(index, search);
	range.lift = search->range_is_hint ? SEARCH_HINT_LIFT : 0;
	enum rc rc = rank(index, search, &range, search->near_len > 0 ? search->rank_k : search->k);
	if (rc != RC_OK)
		return rc;
	judge(index, search);
	add_near(index, search);
	show(index, search);
	if (!search->range_is_hint)
		return RC_OK;
	judge_time(index, search);
	/* Nothing inside matches: half of the answer is what happened then. */
	if (!has_inside(index, search) && search->hits_len > search->k - search->k / 2)
		search->hits_len = search->k - search->k / 2;
	return add_moments(index, search, search->k / 2);
}

/* ---- anchors -----------------------------------------------------------------------------------
 */

#define ANCHOR_HITS 8
#define ANCHOR_EQUAL 0.95 /* of the best score: as good */

enum rc search_anchor(const struct index *index, const enum language *languages,
    size_t languages_len, const char *text, size_t what_begin, size_t what_end, struct arena *arena,
    int64_t *t0_ns, int64_t *t1_ns)
{
	struct search search = { .k = ANCHOR_HITS };
	const struct index_range any = { .set = false };
	const struct index_doc *found = NULL;

	enum rc rc = search_prepare(&search, languages, languages_len, text + what_begin,
	    what_end - what_begin, 0, 0, arena);
	if (rc == RC_OK && search.stems_len == 0)
		rc = RC_NOTFOUND;
	if (rc == RC_OK)
		rc = rank(index, &search, &any, search.k);
	if (rc != RC_OK)
		return rc;
	for (size_t i = 0; i < search.room_len; i++) {
		const struct index_doc *doc = &index_docs(index)[search.room[i].doc];
		bool equal = search.room[i].score >= ANCHOR_EQUAL * search.room[0].score;
		if (equal &&
		    index_support(index, search.terms, search.stems_len, &search.room[i].doc, 1,
			NULL) >= RECALL_SUPPORT_MIN &&
		    (found == NULL || doc->t0_ns > found->t0_ns))
			found = doc;
	}
	if (found == NULL)
		return RC_NOTFOUND;
	*t0_ns = found->t0_ns;
	*t1_ns = found->t0_ns + (int64_t)found->span_s * INT64_C(1000000000);
	return RC_OK;
}
