/* Search: query terms, ranking inside a range, and what happened in one. */
#include "recall/search.h"

#include <stdlib.h>
#include <string.h>

struct gather {
	struct search *search;
	struct arena *arena;
	size_t skip_begin, skip_end;
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
	if (is_known(search, text, len))
		return true;
	char *copy = arena_copy(gather->arena, text, len);
	if (copy == NULL) {
		gather->no_memory = true;
		return false;
	}
	double weight = token->stop ? SEARCH_STOP_WEIGHT : 1;
	if (token->exact)
		weight *= SEARCH_EXACT_WEIGHT;
	if (token->other)
		weight *= SEARCH_OTHER_WEIGHT;
	search->terms[search->terms_len++] =
	    (struct index_query_term){ .text = copy, .len = len, .weight = weight };
	return search->terms_len < SEARCH_TERMS_MAX;
}

static void put_telling_first(struct search *search)
{
	size_t telling = 0;

	for (size_t i = 0; i < search->terms_len; i++) {
		struct index_query_term term = search->terms[i];
		if (term.weight < SEARCH_EXACT_WEIGHT)
			continue;
		memmove(&search->terms[telling + 1], &search->terms[telling],
		    (i - telling) * sizeof term);
		search->terms[telling++] = term;
	}
	search->telling_len = telling;
}

enum rc search_prepare(struct search *search, const enum language *languages, size_t languages_len,
    const char *text, size_t len, size_t skip_begin, size_t skip_end, struct arena *arena)
{
	struct token_rules rules = { .languages_len = languages_len };
	struct gather gather = {
		.search = search, .arena = arena, .skip_begin = skip_begin, .skip_end = skip_end
	};

	search->terms = arena_array(arena, SEARCH_TERMS_MAX, sizeof *search->terms);
	search->room = arena_array(arena, search->k, sizeof *search->room);
	search->hits = arena_array(arena, search->k, sizeof *search->hits);
	if (search->terms == NULL || search->room == NULL || search->hits == NULL)
		return RC_NOMEM;
	if (languages_len > 0)
		memcpy(rules.languages, languages, languages_len * sizeof *languages);
	if (stemmer_new(&rules.stemmer) != RC_OK)
		return RC_NOMEM;
	token_scan(&rules, text, len, add_term, &gather);
	bool failed = gather.no_memory || stemmer_failed(rules.stemmer);
	stemmer_free(rules.stemmer);
	put_telling_first(search);
	return failed ? RC_NOMEM : RC_OK;
}

/* ---- what happened ------------------------------------------------------------------------------
 */

struct moment {
	const struct index_doc *doc;
	uint32_t units;
	size_t part; /* of the range, 0 to wanted - 1 */
	bool chosen;
};

/* More words first; ties by time. */
static int by_words(const void *a, const void *b)
{
	const struct moment *x = a, *y = b;

	if (x->units != y->units)
		return x->units > y->units ? -1 : 1;
	if (x->doc->t0_ns != y->doc->t0_ns)
		return x->doc->t0_ns < y->doc->t0_ns ? -1 : 1;
	return x->doc->seq < y->doc->seq ? -1 : 1;
}

static int by_time(const void *a, const void *b)
{
	const struct moment *x = a, *y = b;

	if (x->chosen != y->chosen)
		return x->chosen ? -1 : 1;
	if (x->doc->t0_ns != y->doc->t0_ns)
		return x->doc->t0_ns < y->doc->t0_ns ? -1 : 1;
	return x->doc->seq < y->doc->seq ? -1 : 1;
}

/* Part of the range in which the moment begins; before it counts as the first. */
static size_t part_of(const struct search *search, size_t wanted, int64_t t0_ns)
{
	int64_t from_ns = search->range.from_ns;
	double span = (double)search->range.to_ns - (double)from_ns;
	double share = t0_ns <= from_ns ? 0 : ((double)t0_ns - (double)from_ns) / span;
	size_t part = (size_t)(share * (double)wanted);

	return part < wanted ? part : wanted - 1;
}

static size_t gather_moments(
    const struct index *index, const struct search *search, size_t wanted, struct moment *moments)
{
	const struct index_doc *docs = index_docs(index);
	size_t len = 0;

	for (size_t i = 0; i < index_docs_len(index); i++) {
		if (index_units(index, i) == 0 || !index_in_range(&docs[i], &search->range))
			continue;
		if (moments != NULL)
			moments[len] = (struct moment){ .doc = &docs[i],
				.units = index_units(index, i),
				.part = part_of(search, wanted, docs[i].t0_ns) };
		len++;
	}
	return len;
}

/* The wordiest of each part, then the wordiest of the rest, until enough. */
static void choose(struct moment *moments, size_t len, size_t wanted, bool *taken)
{
	size_t chosen = 0;

	qsort(moments, len, sizeof *moments, by_words);
	for (size_t i = 0; i < len && chosen < wanted; i++) {
		if (!taken[moments[i].part]) {
			taken[moments[i].part] = moments[i].chosen = true;
			chosen++;
		}
	}
	for (size_t i = 0; i < len && chosen < wanted; i++) {
		if (!moments[i].chosen) {
			moments[i].chosen = true;
			chosen++;
		}
	}
}

static bool is_hit(const struct search *search, size_t len, uint64_t seq)
{
	for (size_t i = 0; i < len; i++) {
		if (search->hits[i].seq == seq)
			return true;
	}
	return false;
}

/* What happened in the range, behind the hits so far. */
static enum rc add_moments(const struct index *index, struct search *search, double score)
{
	size_t before = search->hits_len, wanted = search->k - before;
	size_t len = wanted == 0 ? 0 : gather_moments(index, search, wanted, NULL);

	if (len == 0)
		return RC_OK;
	struct moment *moments = calloc(len, sizeof *moments);
	bool *taken = calloc(wanted, sizeof *taken);
	if (moments == NULL || taken == NULL) {
		free(moments);
		free(taken);
		return RC_NOMEM;
	}
	(void)gather_moments(index, search, wanted, moments);
	choose(moments, len, wanted, taken);
	qsort(moments, len, sizeof *moments, by_time);
	for (size_t i = 0; i < len && moments[i].chosen; i++) {
		if (!is_hit(search, before, moments[i].doc->seq))
			search->hits[search->hits_len++] =
			    (struct search_hit){ .seq = moments[i].doc->seq, .score = score };
	}
	free(moments);
	free(taken);
	return RC_OK;
}

/* ---- ranking
 * -------------------------------------------------------------------------------------- */

static enum rc rank(
    const struct index *index, struct search *search, const struct index_range *range, size_t k)
{
	long found = index_query(
	    index, search->terms, search->terms_len, search->telling_len, range, search->room, k);

	if (found < 0)
		return RC_NOMEM;
	for (long i = 0; i < found; i++)
		search->hits[i] =
		    (struct search_hit){ .seq = index_docs(index)[search->room[i].doc].seq,
			    .score = search->room[i].score };
	search->hits_len = (size_t)found;
	return RC_OK;
}

static bool has_inside(const struct index *index, const struct search *search)
{
	for (size_t i = 0; i < search->hits_len; i++) {
		if (index_in_range(&index_docs(index)[search->room[i].doc], &search->range))
			return true;
	}
	return false;
}

enum rc search_run(const struct index *index, struct search *search)
{
	struct index_range range = search->range;

	search->hits_len = 0;
	if (search->telling_len == 0 && search->range.set)
		return add_moments(index, search, 1);
	range.lift = search->range_is_hint ? SEARCH_HINT_LIFT : 0;
	enum rc rc = rank(index, search, &range, search->k);
	if (rc != RC_OK || !search->range_is_hint || has_inside(index, search))
		return rc;
	size_t inside = gather_moments(index, search, search->k, NULL);
	size_t half = search->k / 2;
	size_t left = search->k - (inside < half ? inside : half);
	if (search->hits_len > left)
		search->hits_len = left;
	return add_moments(index, search, 0);
}
