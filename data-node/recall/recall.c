/* Recall: its life, and the thread that follows the log. */
#include "recall/recall_inner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "recall/index_segment.h"
#include "store/store_forget.h"

#define FOLLOW_WAIT_NS (200 * NS_PER_MS)
#define FOLLOW_RECORDS_MAX ((size_t)4096) /* between looks at `stopping` */
#define RETRY_WAIT_NS (500 * NS_PER_MS)

/* ---- following the log ------------------------------------------------------------------------
 */

bool recall_is_stopping(struct recall *recall)
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

static struct timespec deadline(int64_t wait_ns)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	int64_t ns = until.tv_nsec + wait_ns % NS_PER_S;
	until.tv_sec += wait_ns / NS_PER_S + ns / NS_PER_S;
	until.tv_nsec = ns % NS_PER_S;
	return until;
}

bool recall_wait(struct recall *recall, uint64_t cursor, int64_t wait_ns)
{
	struct timespec until = deadline(wait_ns);
	int waited = 0;

	pthread_mutex_lock(&recall->mutex);
	while (recall->cursor < cursor && !recall->stopping && waited != ETIMEDOUT)
		waited = pthread_cond_timedwait(&recall->moved, &recall->mutex, &until);
	bool there = recall->cursor >= cursor;
	pthread_mutex_unlock(&recall->mutex);
	return there;
}

/* ---- forgetting
 * -------------------------------------------------------------------------------------- */

/* What came of `seq` may be worth keeping. */
static void keep(struct snapshot *snapshot, struct index *index, const struct document_talks *talks,
    uint64_t seq)
{
	enum rc rc = snapshot_step(snapshot, index, talks, seq);

	if (rc != RC_OK)
		log_warn(
		    "RECALL-SNAPSHOT-OFF", "seq=%llu rc=%s", (unsigned long long)seq, rc_word(rc));
}

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
	struct snapshot snapshot;
	struct index *index;
	struct document_talks *talks;
	struct vector_index *vectors;
	uint64_t upto;
	enum rc rc;
};

static bool remake_visit(void *ctx, const struct observation *obs)
{
	struct remake *remake = ctx;
	bool added;

	if (obs->seq > remake->upto || recall_is_stopping(remake->recall))
		return false;
	remake->rc = document_take(remake->index, remake->talks, obs, &added);
	if (remake->rc == RC_OK)
		keep(&remake->snapshot, remake->index, remake->talks, obs->seq);
	return remake->rc == RC_OK;
}

/* The vectors of documents that both indexes have, by the places of `to`. */
static enum rc move_vectors(
    const struct recall *recall, const struct index *to, struct vector_index **out)
{
	const struct index_doc *docs = index_docs(to), *old = index_docs(recall->index);
	size_t old_len = index_docs_len(recall->index), at = 0;

	*out = NULL;
	if (recall->vectors == NULL)
		return RC_OK;
	enum rc rc = vector_index_new(vector_index_length(recall->vectors), out);
	for (size_t i = 0; i < index_docs_len(to) && rc == RC_OK; i++) {
		while (at < old_len && old[at].seq < docs[i].seq)
			at++;
		if (at < old_len && old[at].seq == docs[i].seq)
			rc = vector_index_copy(*out, (uint32_t)i, recall->vectors, (uint32_t)at);
	}
	return rc;
}

/* `remake` takes the place of what is in force, and gets it. */
static enum rc change_over(struct recall *recall, struct remake *remake)
{
	struct index *index = recall->index;
	struct document_talks *talks = recall->talks;

	pthread_rwlock_wrlock(&recall->lock);
	enum rc rc = move_vectors(recall, remake->index, &remake->vectors);
	if (rc == RC_OK) {
		struct vector_index *vectors = recall->vectors;
		recall->index = remake->index;
		recall->talks = remake->talks;
		recall->vectors = remake->vectors;
		recall->snapshot = remake->snapshot;
		recall->remakes++;
		remake->index = index;
		remake->talks = talks;
		remake->vectors = vectors;
	}
	pthread_rwlock_unlock(&recall->lock);
	return rc;
}

/* The index of the log up to `upto` as it is now; the old one serves meanwhile. */
static bool remake_index(struct recall *recall, uint64_t upto)
{
	struct remake remake = { .recall = recall, .snapshot = recall->snapshot, .upto = upto };

	snapshot_begin(&remake.snapshot);
	enum rc rc = index_new(&remake.index);
	if (rc == RC_OK)
		rc = document_talks_new(recall->model, &remake.talks);
	if (rc == RC_OK)
		rc = store_scan_log(recall->store, 0, 0, remake_visit, &remake, NULL);
	if ((rc == RC_OK || rc == RC_CORRUPT) && remake.rc == RC_OK &&
	    !recall_is_stopping(recall) && change_over(recall, &remake) == RC_OK)
		recall->stale = false;
	index_free(remake.index);
	document_talks_free(remake.talks);
	vector_index_free(remake.vectors);
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
	if (!recall->stale)
		keep(&recall->snapshot, recall->index, recall->talks, obs->seq);
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

void recall_pause(struct recall *recall, int64_t wait_ns)
{
	struct timespec until = deadline(wait_ns);

	pthread_mutex_lock(&recall->mutex);
	while (!recall->stopping &&
	       pthread_cond_timedwait(&recall->moved, &recall->mutex, &until) != ETIMEDOUT)
		;
	pthread_mutex_unlock(&recall->mutex);
}

static bool is_gone(void *recall)
{
	return recall_is_stopping(recall);
}

/* The index as it was kept, if it can be used; else it begins empty. */
static void load_snapshot(struct recall *recall, uint64_t *done)
{
	struct document_talks *talks = NULL;
	struct errmsg why = ERRMSG_INIT;
	struct index *index = NULL;
	int64_t begin_ns = clock_mono_ns();

	enum rc rc = index_new(&index);
	if (rc == RC_OK)
		rc = document_talks_new(recall->model, &talks);
	if (rc == RC_OK)
		rc = snapshot_load(&recall->snapshot, index, talks, is_gone, recall, done, &why);
	if (rc == RC_OK) {
		struct index *empty = recall->index;
		struct document_talks *no_talks = recall->talks;
		pthread_rwlock_wrlock(&recall->lock);
		recall->index = index;
		recall->talks = talks;
		pthread_rwlock_unlock(&recall->lock);
		index = empty;
		talks = no_talks;
		set_cursor(recall, *done);
		log_info("RECALL-SNAPSHOT", "items=%zu ms=%lld", index_docs_len(recall->index),
		    (long long)((clock_mono_ns() - begin_ns) / NS_PER_MS));
	} else {
		if (rc != RC_NOTFOUND && rc != RC_CANCELLED)
			log_warn("RECALL-SNAPSHOT-UNUSED", "rc=%s", rc_word(rc));
		snapshot_begin(&recall->snapshot);
	}
	index_free(index);
	document_talks_free(talks);
}

static void *follow_main(void *arg)
{
	struct recall *recall = arg;
	uint64_t done = 0;

	load_snapshot(recall, &done);
	while (!recall_is_stopping(recall)) {
		uint64_t newest = store_wait(recall->store, done, FOLLOW_WAIT_NS);
		if (newest > done && !follow_log(recall, newest, &done))
			recall_pause(recall, RETRY_WAIT_NS);
		else if (recall->stale && !store_forgetting(recall->store) &&
			 !remake_index(recall, done))
			recall_pause(recall, RETRY_WAIT_NS);
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
	vector_index_free(recall->vectors);
	language_free(recall->model);
	free(recall);
}

enum rc recall_open_keeping(
    struct store *store, size_t documents, struct recall **out, struct errmsg *why)
{
	struct recall *recall = calloc(1, sizeof *recall);

	if (recall == NULL)
		return errmsg_rc(why, RC_NOMEM, "no memory for the index");
	recall->store = store;
	recall->opened_seq = store_cursor(store);
	/* What is being forgotten may still be read: once more when that is over. */
	recall->stale = store_forgetting(store);
	init_locks(recall);
	enum rc rc = index_new(&recall->index);
	if (rc == RC_OK)
		rc = language_new(&recall->model);
	if (rc == RC_OK)
		rc = document_talks_new(recall->model, &recall->talks);
	if (rc == RC_OK)
		rc = snapshot_init(&recall->snapshot, store, recall->model, documents);
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

enum rc recall_open(struct store *store, struct recall **out, struct errmsg *why)
{
	return recall_open_keeping(store, 0, out, why);
}

void recall_close(struct recall *recall)
{
	if (recall == NULL)
		return;
	pthread_mutex_lock(&recall->mutex);
	recall->stopping = true;
	pthread_cond_broadcast(&recall->moved);
	pthread_mutex_unlock(&recall->mutex);
	store_wake(recall->store);
	pthread_join(recall->thread, NULL);
	if (recall->encoder.embed != NULL)
		pthread_join(recall->embedder, NULL);
	recall_free(recall);
}

enum rc recall_set_encoder(
    struct recall *recall, const struct recall_encoder *encoder, struct errmsg *why)
{
	recall->encoder = *encoder;
	if (pthread_create(&recall->embedder, NULL, recall_embed_main, recall) == 0)
		return RC_OK;
	recall->encoder = (struct recall_encoder){ .embed = NULL };
	return errmsg_rc(why, RC_NOMEM, "cannot start the embedder's thread");
}

uint64_t recall_cursor(const struct recall *recall)
{
	struct recall *mutable = (struct recall *)recall; /* the mutex is its own */

	pthread_mutex_lock(&mutable->mutex);
	uint64_t cursor = recall->cursor;
	pthread_mutex_unlock(&mutable->mutex);
	return cursor;
}

size_t recall_vectors(struct recall *recall)
{
	struct vector_index_stats stats = { 0 };

	pthread_rwlock_rdlock(&recall->lock);
	if (recall->vectors != NULL)
		vector_index_get_stats(recall->vectors, &stats);
	pthread_rwlock_unlock(&recall->lock);
	return stats.vectors;
}

void recall_get_stats(struct recall *recall, struct recall_stats *out)
{
	struct vector_index_stats vectors = { 0 };
	struct index_stats stats;

	pthread_rwlock_rdlock(&recall->lock);
	index_get_stats(recall->index, &stats);
	if (recall->vectors != NULL)
		vector_index_get_stats(recall->vectors, &vectors);
	uint64_t checksum = index_checksum(recall->index);
	size_t kept = index_docs_len(recall->index) - index_unsaved(recall->index);
	pthread_rwlock_unlock(&recall->lock);
	*out = (struct recall_stats){ .items = stats.docs - stats.dead,
		.terms = stats.terms,
		.bytes = stats.bytes,
		.checksum = checksum,
		.vectors = vectors.vectors,
		.vector_bytes = vectors.bytes,
		.kept = kept };
}
