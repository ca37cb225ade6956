/*
 * Search: a question's words against the index, without threads or store.
 *
 * Relevance first.  A range that the caller gave is strict.  A range read from the
 * question's words is a hint, for people also tell later what happened then: hits
 * inside count SEARCH_HINT_LIFT times, and what happened in the range (moments.h)
 * stands among them, in at most half of k.  A question of nothing but time words
 * and words that say little gives what happened in the range alone, by time.
 *
 * What is near by meaning (vector_index.h) counts as well: by how much nearer it is
 * than the last of SEARCH_NEAR_LEN, for encoders differ in what their cosines say.
 */
#ifndef RECALL_SEARCH_H
#define RECALL_SEARCH_H

#include "base/arena.h"
#include "recall/index.h"
#include "recall/token.h"

#define SEARCH_TERMS_MAX ((size_t)1024) /* of one question; later ones are ignored */
#define SEARCH_STOP_WEIGHT 0.1
#define SEARCH_EXACT_WEIGHT 0.3
#define SEARCH_OTHER_WEIGHT 0.5 /* of a stem in another language than the question's */
#define SEARCH_KIND_WEIGHT 0.5  /* of a kind that a word asks for (asked.h) */
#define SEARCH_HINT_LIFT 3.0
#define SEARCH_NEAR_LEN ((size_t)300) /* of the nearest by meaning that count */
#define SEARCH_NEAR_WEIGHT 0.45       /* of the nearest, beside the best by words: 1 */
#define SEARCH_MOMENT_SHARE 0.35      /* of the best hit's score: the most telling moment's */
#define SEARCH_MOMENT_FADE 0.5        /* from the most telling moment to the least */
#define SEARCH_EMPTY_SUPPORT 0.5      /* of the support, where nothing lies in the time named */
#define SEARCH_KINDS_MAX ((size_t)32)
#define SEARCH_KIND_MARGIN_NS INT64_C(43200000000000) /* a night is told of in the morning */

struct search_hit {
	uint64_t seq;
	double score;
};

struct search {
	size_t k;
	struct index_range range;
	bool range_is_hint;
	const struct index_hit *near; /* [near_len ≤ SEARCH_NEAR_LEN], best first, in the range */
	size_t near_len;
	struct index_query_term *terms; /* [terms_len], from search_prepare */
	size_t terms_len;
	size_t stems_len;        /* terms that are stems of telling words */
	size_t telling_len;      /* these and their exact forms and kinds */
	struct search_hit *hits; /* [hits_len], best first */
	size_t hits_len;
	/* What has to stand in the moments for them to answer: words that tell something,
	 * [told_len ≤ stems_len], and, beside a time, kinds of moments, [kinds_len]. */
	struct index_query_term *told, *kinds;
	size_t told_len, kinds_len;
	bool compounds; /* its language makes such */
	double support; /* see recall.h */
	/* Of the ranking: [room_len], of rank_k places and those of the nearest. */
	struct index_hit *room;
	size_t room_len, rank_k;
	struct search_hit *merged; /* [k] */
	uint32_t *moments;         /* [k] */
};

/* Read `text` (for `search`, whose k and range are set) without the bytes [skip_begin, skip_end),
 * in `languages` as document_languages() gives them; all of it lives in `arena`.  RC_NOMEM. */
enum rc search_prepare(struct search *search, const enum language *languages, size_t languages_len,
    const char *text, size_t len, size_t skip_begin, size_t skip_end, struct arena *arena) RC_CHECK;

/*
 * When what bytes [what_begin, what_end) of `text` name happened: the time of the
 * moment that holds most of it, the latest of equals.  RC_NOTFOUND: none holds
 * enough (RECALL_SUPPORT_MIN); RC_NOMEM.
 */
enum rc search_anchor(const struct index *index, const enum language *languages,
    size_t languages_len, const char *text, size_t what_begin, size_t what_end, struct arena *arena,
    int64_t *t0_ns, int64_t *t1_ns) RC_CHECK;

/* Fill hits; `near` may be set before.  RC_NOMEM. */
enum rc search_run(const struct index *index, struct search *search) RC_CHECK;

#endif
