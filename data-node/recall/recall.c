/*
 * Recall: the thread that follows the log, and searches beside it.
 *
 * The index belongs to `lock`: the index thread writes under it record by
 * record, searches read.  Progress (cursor, failure) belongs to `mutex`.
 */
#include "recall/recall.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "recall/anchor.h"
#include "recall/document.h"
#include "recall/language.h"
#include "recall/search.h"
#include "store/store_forget.h"

#define FOLLOW_WAIT_NS (200 * NS_PER_MS)
#define FOLLOW_RECORDS_MAX ((size_t)4096) /* between looks at `stopping` */
#define RETRY_WAIT_NS (500 * NS_PER_MS)

struct recall {
	struct store *store;
	pthread_t thread;
	pthread_rwlock_t lock;
	struct index *index;
	struct document_talks *talks;
	struct language_model *model;
	uint64_t opened_seq; /* the log's end when it was opened */
	bool stale;          /* index thread: words of forgotten texts are still in the index */
	pthread_mutex_t mutex;
	pthread_cond_t moved;
	uint64_t cursor;
	bool stopping;
};

/* ---- following the log ------------------------------------------------------------------------
 */

static bool is_stopping(struct recall *recall)
{
	pthread_mutex_lock(&recall->mutex);
	bool stopping = recall->stopping;
	pthread_mutex_unlock(&recall->mutex);
	return stopping;
}

static void set_cursor(struct recall *recall, uint64_t cursor)
{
	pthread_mutex_lock(&recall->mutex);
	if (cursor > recall->cursor)
		recall->cursor = cursor;
	pthread_cond_broadcast(&recall->moved);
	pthread_mutex_unlock(&recall->mutex);
}

/* ---- forgetting
 * -------------------------------------------------------------------------------------- */

/* The documents that lie in the range of `forget`, as seqs [*len]; the caller's to free. */
static enum rc docs_in_range(
    struct recall *recall, const struct observation *forget, uint64_t **out, size_t *len)
{
	const struct index_range range = { .set = true,
		.from_ns = forget->dev_t0_ns,
		.to_ns = forget->dev_t1_ns + (forget->dev_t1_ns == OBS_TIME_MAX_NS) };

	size_t docs_len = index_docs_len(recall->index);
	uint64_t *seqs = calloc(docs_len + 1, sizeof *seqs);
	if (seqs == NULL)
		return RC_NOMEM;
	*len = 0;
	for (size_t i = 0; i < docs_len; i++) {
		const struct index_doc *doc = &index_docs(recall->index)[i];
		if (index_units(recall->index, i) != 0 && index_in_range(doc, &range))
			seqs[(*len)++] = doc->seq;
	}
	*out = seqs;
	return RC_OK;
}

/*
 * What `forget` says leaves every result now; its words leave memory when the
 * index is made anew, for they stand in the documents beside it too.
 */
static enum rc forget_documents(struct recall *recall, const struct observation *forget)
{
	uint64_t *seqs = NULL;
	struct arena arena;
	size_t len = 0;

	enum rc rc = docs_in_range(recall, forget, &seqs, &len);
	arena_init(&arena, OBS_RECORD_BYTES_MAX * 8);
	for (size_t i = 0; i < len && rc == RC_OK; i++) {
		struct observation obs;
		arena_reset(&arena);
		rc = store_get_seq(recall->store, seqs[i], &arena, &obs, NULL);
		if (rc == RC_CORRUPT || rc == RC_NOTFOUND)
			rc = RC_OK; /* it is shown to nobody */
		else if (rc == RC_OK && (obs.tombstone || store_forget_matches(forget, &obs))) {
			pthread_rwlock_wrlock(&recall->lock);
			index_kill(recall->index, seqs[i]);
			pthread_rwlock_unlock(&recall->lock);
		}
	}
	arena_fini(&arena);
	free(seqs);
	recall->stale = true;
	return rc;
}

struct remake {
	struct recall *recall;
	struct index *index;
	struct document_talks *talks;
	uint64_t upto;
	enum rc rc;
};

static bool remake_visit(void *ctx, const struct observation *obs)
{
	struct remake *remake = ctx;
	bool added;

	if (obs->seq > remake->upto || is_stopping(remake->recall))
		return false;
	remake->rc = document_take(remake->index, remake->talks, obs, &added);
	return remake->rc == RC_OK;
}

/* The index of the log up to `upto` as it is now; the old one serves meanwhile. */
static bool remake_index(struct recall *recall, uint64_t upto)
{
	struct remake remake = { .recall = recall, .upto = upto };

	enum rc rc = index_new(&remake.index);
	if (rc == RC_OK)
		rc = document_talks_new(recall->model, &remake.talks);
	if (rc == RC_OK)
		rc = store_scan_log(recall->store, 0, 0, remake_visit, &remake, NULL);
	if ((rc == RC_OK || rc == RC_CORRUPT) && remake.rc == RC_OK && !is_stopping(recall)) {
		struct index *index = recall->index;
		struct document_talks *talks = recall->talks;
		pthread_rwlock_wrlock(&recall->lock);
		recall->index = remake.index;
		recall->talks = remake.talks;
		pthread_rwlock_unlock(&recall->lock);
		remake.index = index;
		remake.talks = talks;
		recall->stale = false;
	}
	index_free(remake.index);
	document_talks_free(remake.talks);
	return !recall->stale;
}

/* ---- the records of the log
 * -------------------------------------------------------------------------- */

struct follow {
	struct recall *recall;
	uint64_t done; /* newest seq that is in the index */
	size_t seen;
	enum rc rc;
};

static bool take_record(void *ctx, const struct observation *obs)
{
	struct follow *follow = ctx;
	struct recall *recall = follow->recall;
	bool added;

	/* What was forgotten before the index was opened is a tombstone by now. */
	if (obs->forget_layers != 0 && obs->seq > recall->opened_seq) {
		follow->rc = forget_documents(recall, obs);
	} else {
		pthread_rwlock_wrlock(&recall->lock);
		follow->rc = document_take(recall->index, recall->talks, obs, &added);
		pthread_rwlock_unlock(&recall->lock);
	}
	if (follow->rc != RC_OK)
		return false;
	follow->done = obs->seq;
	follow->seen++;
	return true;
}

/* One piece of the log up to `newest`; false if it must be tried again after a
 * pause.  A record that cannot be read is reported and passed over: it must not
 * keep the ones behind it from being found. */
static bool follow_log(struct recall *recall, uint64_t newest, uint64_t *done)
{
	struct follow follow = { .recall = recall, .done = *done, .rc = RC_OK };
	struct errmsg why = ERRMSG_INIT;

	enum rc rc =
	    store_scan_log(recall->store, *done, FOLLOW_RECORDS_MAX, take_record, &follow, &why);
	bool read_on = follow.rc == RC_OK && (rc == RC_OK || rc == RC_CORRUPT);
	if (read_on && follow.seen < FOLLOW_RECORDS_MAX && follow.done < newest)
		follow.done = newest; /* the last ones were unreadable */
	*done = follow.done;
	set_cursor(recall, *done);
	if (rc != RC_OK || follow.rc != RC_OK)
		log_warn("RECALL-FOLLOW", "after_seq=%llu rc=%s", (unsigned long long)*done,
		    rc_word(rc != RC_OK ? rc : follow.rc));
	return read_on;
}

static void pause_follow(struct recall *recall, int64_t wait_ns)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += wait_ns / NS_PER_S;
	until.tv_nsec += wait_ns % NS_PER_S;
	if (until.tv_nsec >= NS_PER_S) {
		until.tv_sec++;
		until.tv_nsec -= NS_PER_S;
	}
	pthread_mutex_lock(&recall->mutex);
	while (!recall->stopping &&
	       pthread_cond_timedwait(&recall->moved, &recall->mutex, &until) != ETIMEDOUT)
		;
	pthread_mutex_unlock(&recall->mutex);
}

static void *follow_main(void *arg)
{
	struct recall *recall = arg;
	uint64_t done = 0;

	while (!is_stopping(recall)) {
		uint64_t newest = store_wait(recall->store, done, FOLLOW_WAIT_NS);
		if (newest > done && !follow_log(recall, newest, &done))
			pause_follow(recall, RETRY_WAIT_NS);
		else if (recall->stale && !store_forgetting(recall->store) &&
			 !remake_index(recall, done))
			pause_follow(recall, RETRY_WAIT_NS);
	}
	return NULL;
}

/* ---- life
 * ---------------------------------------------------------------------------------------- */

static void init_locks(struct recall *recall)
{
	pthread_rwlockattr_t lock_attr;
	pthread_condattr_t cond_attr;

	/* Searches in a row must not keep the index from catching up. */
	pthread_rwlockattr_init(&lock_attr);
	pthread_rwlockattr_setkind_np(&lock_attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&recall->lock, &lock_attr);
	pthread_rwlockattr_destroy(&lock_attr);
	pthread_condattr_init(&cond_attr);
	pthread_condattr_setclock(&cond_attr, CLOCK_MONOTONIC);
	pthread_cond_init(&recall->moved, &cond_attr);
	pthread_condattr_destroy(&cond_attr);
	pthread_mutex_init(&recall->mutex, NULL);
}

static void recall_free(struct recall *recall)
{
	pthread_rwlock_destroy(&recall->lock);
	pthread_cond_destroy(&recall->moved);
	pthread_mutex_destroy(&recall->mutex);
	index_free(recall->index);
	document_talks_free(recall->talks);
	language_free(recall->model);
	free(recall);
}

enum rc recall_open(struct store *store, struct recall **out, struct errmsg *why)
{
	struct recall *recall = calloc(1, sizeof *recall);

	if (recall == NULL)
		return errmsg_rc(why, RC_NOMEM, "no memory for the index");
	recall->store = store;
	recall->opened_seq = store_cursor(store);
	init_locks(recall);
	enum rc rc = index_new(&recall->index);
	if (rc == RC_OK)
		rc = language_new(&recall->model);
	if (rc == RC_OK)
		rc = document_talks_new(recall->model, &recall->talks);
	if (rc != RC_OK) {
		recall_free(recall);
		return errmsg_rc(why, rc, "no memory for the index");
	}
	if (pthread_create(&recall->thread, NULL, follow_main, recall) != 0) {
		recall_free(recall);
		return errmsg_rc(why, RC_NOMEM, "cannot start the index thread");
	}
	*out = recall;
	return RC_OK;
}

void recall_close(struct recall *recall)
{
	if (recall == NULL)
		return;
	pthread_mutex_lock(&recall->mutex);
	recall->stopping = true;
	pthread_cond_broadcast(&recall->moved);
	pthread_mutex_unlock(&recall->mutex);
	pthread_join(recall->thread, NULL);
	recall_free(recall);
}

uint64_t recall_cursor(const struct recall *recall)
{
	struct recall *mutable = (struct recall *)recall; /* the mutex is its own */

	pthread_mutex_lock(&mutable->mutex);
	uint64_t cursor = recall->cursor;
	pthread_mutex_unlock(&mutable->mutex);
	return cursor;
}

void recall_get_stats(struct recall *recall, struct recall_stats *out)
{
	struct index_stats stats;

	pthread_rwlock_rdlock(&recall->lock);
	index_get_stats(recall->index, &stats);
	uint64_t checksum = index_checksum(recall->index);
	pthread_rwlock_unlock(&recall->lock);
	*out = (struct recall_stats){ .items = stats.docs - stats.dead,
		.terms = stats.terms,
		.bytes = stats.bytes,
		.checksum = checksum };
}

/* ---- searching
 * -------------------------------------------------------------------------------------- */

/* True if the index got to `cursor` in time. */
static bool wait_for(struct recall *recall, uint64_t cursor, int64_t wait_ns)
{
	struct timespec until;
	int waited = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	int64_t ns = until.tv_nsec + wait_ns % NS_PER_S;
	until.tv_sec += wait_ns / NS_PER_S + ns / NS_PER_S;
	until.tv_nsec = ns % NS_PER_S;
	pthread_mutex_lock(&recall->mutex);
	while (recall->cursor < cursor && !recall->stopping && waited != ETIMEDOUT)
		waited = pthread_cond_timedwait(&recall->moved, &recall->mutex, &until);
	bool there = recall->cursor >= cursor;
	pthread_mutex_unlock(&recall->mutex);
	return there;
}

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

enum rc recall_search(struct recall *recall, const struct recall_query *query, struct arena *arena,
    struct recall_result *out, struct errmsg *why)
{
	struct search search = { .k = query->k };
	enum language languages[LANGUAGE_COUNT];

	*out = (struct recall_result){ .hits = NULL };
	if (query->text_len > RECALL_QUERY_BYTES_MAX)
		return errmsg_rc(
		    why, RC_LIMIT, "the query is longer than %zu bytes", RECALL_QUERY_BYTES_MAX);
	if (query->k == 0 || query->k > RECALL_K_MAX)
		return errmsg_rc(why, RC_INVALID, "k: 1 to %zu", RECALL_K_MAX);
	out->behind = !wait_for(
	    recall, query->need_cursor, query->wait_ns > 0 ? query->wait_ns : RECALL_WAIT_NS);
	pthread_rwlock_rdlock(&recall->lock);
	size_t languages_len =
	    document_languages(recall->talks, query->text, query->text_len, languages);
	enum rc rc = set_range(recall, query, languages, languages_len, arena, &search, &out->when);
	if (rc == RC_OK)
		rc = search_prepare(&search, languages, languages_len, query->text, query->text_len,
		    out->when.begin, out->when.end, arena);
	if (rc == RC_OK)
		rc = search_run(recall->index, &search);
	pthread_rwlock_unlock(&recall->lock);
	if (rc != RC_OK)
		return errmsg_rc(why, rc, "no memory for the search");
	out->support = search.support;
	return fetch(recall, search.hits, search.hits_len, arena, out, why);
}
