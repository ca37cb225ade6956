/* Recall: a question against the index and the vectors, and what was found. */
#include "base/errmsg.h"
#include "recall/anchor.h"
#include "recall/diverse.h"
#include "recall/recall_inner.h"
#include "recall/search.h"

/* From places in the index to observations; what has gone since, or cannot be
 * read any more, is left out. */
static enum rc fetch(struct recall *recall, const struct search_hit *found, size_t len,
    struct arena *arena, struct recall_result *out, struct errmsg *why)
{
	struct recall_hit *hits = arena_array(arena, len, sizeof *hits);

	if (hits == NULL)
		return errmsg_rc(why, RC_NOMEM, "the results do not fit the request's memory");
	out->hits = hits;
	for (size_t i = 0; i < len; i++) {
		struct recall_hit *hit = &hits[out->hits_len];
		enum rc rc = store_get_seq(recall->store, found[i].seq, arena, &hit->obs, why);
		if (rc == RC_NOTFOUND || rc == RC_CORRUPT || (rc == RC_OK && hit->obs.tombstone)) {
			if (why != NULL)
				errmsg_reset(why);
			continue;
		}
		if (rc != RC_OK)
			return rc;
		hit->score = found[i].score;
		out->hits_len++;
	}
	return RC_OK;
}

/* What says the same as better hits, further behind. */
static enum rc vary(struct recall *recall, struct arena *arena, struct recall_result *result)
{
	size_t n = result->hits_len;
	struct diverse_item *items = arena_array(arena, n + 1, sizeof *items);
	struct recall_hit *hits = arena_array(arena, n + 1, sizeof *hits);

	if (items == NULL || hits == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct observation *obs = &result->hits[i].obs;
		items[i] = (struct diverse_item){ .text = obs->text[0] != '\0' ? obs->text
									       : obs->data_json,
			.t0_ns = obs->place.t0_ns,
			.score = result->hits[i].score };
	}
	pthread_rwlock_rdlock(&recall->lock);
	enum rc rc = diverse_rank(recall->index, items, n, arena);
	pthread_rwlock_unlock(&recall->lock);
	for (size_t i = 0; i < n && rc == RC_OK; i++)
		hits[i] = (struct recall_hit){ result->hits[items[i].place].obs, items[i].score };
	if (rc == RC_OK)
		result->hits = hits;
	return rc;
}

enum rc recall_when(const struct index *index, const char *text, size_t len,
    const enum language *languages, size_t languages_len, int64_t now_utc_ns, int32_t offset_s,
    struct arena *arena, struct timewords *when)
{
	struct anchor anchor;
	int64_t t0_ns, t1_ns;

	timewords_parse(text, len, languages, languages_len, now_utc_ns, offset_s, when);
	if (when->found)
		return RC_OK;
	anchor_parse(text, len, languages, languages_len, &anchor);
	if (!anchor.found)
		return RC_OK;
	enum rc rc = search_anchor(index, languages, languages_len, text, anchor.what_begin,
	    anchor.what_end, arena, &t0_ns, &t1_ns);
	if (rc != RC_OK)
		return rc == RC_NOTFOUND ? RC_OK : rc;
	/* Its words stay in the question: what is asked for may stand beside it. */
	*when = (struct timewords){ .found = true };
	anchor_range(&anchor, t0_ns, t1_ns, now_utc_ns, &when->from_ns, &when->to_ns);
	return RC_OK;
}

/* The caller's range, or the one that the question names. */
static enum rc set_range(struct recall *recall, const struct recall_query *query,
    const enum language *languages, size_t languages_len, struct arena *arena,
    struct search *search, struct timewords *when)
{
	enum rc rc = RC_OK;

	if (query->has_range) {
		search->range = (struct index_range){
			.set = true, .from_ns = query->from_ns, .to_ns = query->to_ns
		};
	} else if (query->read_timewords) {
		rc = recall_when(recall->index, query->text, query->text_len, languages,
		    languages_len, query->now_utc_ns, query->offset_s, arena, when);
		search->range = (struct index_range){
			.set = when->found, .from_ns = when->from_ns, .to_ns = when->to_ns
		};
		search->range_is_hint = when->found;
	}
	return rc;
}

/* What is near the question by meaning, in the range. */
static enum rc look_near(
    struct recall *recall, const uint8_t *row, struct arena *arena, struct search *search)
{
	struct index_hit *near = arena_array(arena, SEARCH_NEAR_LEN, sizeof *near);

	if (near == NULL)
		return RC_NOMEM;
	search->near = near;
	search->near_len = vector_index_nearest(
	    recall->vectors, row, recall->index, &search->range, near, SEARCH_NEAR_LEN);
	return RC_OK;
}

enum rc recall_search(struct recall *recall, const struct recall_query *query, struct arena *arena,
    struct recall_result *out, struct errmsg *why)
{
	struct search search = { .k = query->k };
	enum language languages[LANGUAGE_COUNT];
	uint8_t *row = NULL;
	uint32_t row_length = 0;

	*out = (struct recall_result){ .hits = NULL };
	if (query->text_len > RECALL_QUERY_BYTES_MAX)
		return errmsg_rc(
		    why, RC_LIMIT, "the query is longer than %zu bytes", RECALL_QUERY_BYTES_MAX);
	if (query->k == 0 || query->k > RECALL_K_MAX)
		return errmsg_rc(why, RC_INVALID, "k: 1 to %zu", RECALL_K_MAX);
	out->behind = !recall_wait(
	    recall, query->need_cursor, query->wait_ns > 0 ? query->wait_ns : RECALL_WAIT_NS);
	enum rc rc =
	    recall_embed_question(recall, query->text, query->text_len, arena, &row, &row_length);
	if (rc != RC_OK)
		return errmsg_rc(why, rc, "no memory for the search");
	pthread_rwlock_rdlock(&recall->lock);
	size_t languages_len =
	    document_languages(recall->talks, query->text, query->text_len, languages);
	rc = set_range(recall, query, languages, languages_len, arena, &search, &out->when);
	if (rc == RC_OK)
		rc = search_prepare(&search, languages, languages_len, query->text, query->text_len,
		    out->when.begin, out->when.end, arena);
	if (rc == RC_OK && row != NULL && recall->vectors != NULL &&
	    vector_index_length(recall->vectors) == row_length)
		rc = look_near(recall, row, arena, &search);
	if (rc == RC_OK)
		rc = search_run(recall->index, &search);
	out->vectors = search.near_len > 0;
	pthread_rwlock_unlock(&recall->lock);
	if (rc != RC_OK)
		return errmsg_rc(why, rc, "no memory for the search");
	out->support = search.support;
	rc = fetch(recall, search.hits, search.hits_len, arena, out, why);
	if (rc == RC_OK && query->varied && vary(recall, arena, out) != RC_OK)
		rc = errmsg_rc(why, RC_NOMEM, "no memory for the search");
	return rc;
}
