/*
 * Embedder: the thread that has an encoder embed what the index holds.
 *
 * Documents in the order of the log, a batch at a time: texts read, embedded,
 * packed, committed, then put beside the index.  The store's state (how far, by
 * which encoder) decides what is next, so it may be stopped anywhere; forgetting
 * moves it back, and then documents that have their vector are passed over.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/utf8.h"
#include "base/wipe.h"
#include "recall/recall_inner.h"
#include "store/store_follow.h"
#include "store/store_forget.h"
#include "store/store_vector.h"

#define BATCH_DOCS ((size_t)64)
#define BATCH_DOCS_BUSY ((size_t)4)
#define LOOK_DOCS ((size_t)4096)      /* documents passed over under one lock */
#define KEEP_SEQS UINT64_C(4096)      /* passed over, at which the store is told */
#define TEXT_BYTES_MAX ((size_t)2000) /* of one; encoders read some 500 tokens */
#define TEXT_BYTES_MIN ((size_t)125)  /* a text that does not fit at this length has none */
#define EMBED_TIMEOUT_NS (60 * NS_PER_S)
#define QUESTION_TIMEOUT_NS (300 * NS_PER_MS)
#define AWAY_PAUSE_NS (250 * NS_PER_MS) /* until an encoder is looked for again */
#define IDLE_PAUSE_NS (500 * NS_PER_MS) /* until more of the log is looked for */
#define BUSY_PAUSE_NS (250 * NS_PER_MS)

struct work {
	struct recall *recall;
	bool loaded, has_state;
	struct store_vector_state state; /* the store's, as far as we know */
	uint64_t upto;                   /* nothing is to be done up to here */
	/* One batch: */
	struct store_vector_state to;
	uint64_t seqs[BATCH_DOCS];
	size_t seqs_len;
	struct store_vector_row rows[BATCH_DOCS]; /* their bytes in `packed` */
	char *texts[BATCH_DOCS];                  /* [n], of rows */
	size_t n;
	struct arena arena;
};

/* ---- what is in the store -------------------------------------------------------------- */

struct load {
	struct recall *recall;
	struct vector_index *vectors;
	uint64_t bad;
	enum rc rc;
};

/* The place of `seq` among the documents; false: it has none, or is dead. */
static bool find_doc(const struct index *index, uint64_t seq, uint32_t *doc)
{
	return index_find_doc(index, seq, doc) && index_units(index, *doc) != 0;
}

static bool load_row(void *ctx, uint64_t seq, const uint8_t *bytes, size_t len)
{
	struct load *load = ctx;
	uint32_t doc;

	/* The index thread alone makes documents; it moves none while it appends. */
	pthread_rwlock_rdlock(&load->recall->lock);
	bool there = find_doc(load->recall->index, seq, &doc);
	pthread_rwlock_unlock(&load->recall->lock);
	if (there)
		load->rc = vector_index_put(load->vectors, doc, bytes, len);
	if (load->rc == RC_CORRUPT) {
		load->bad++;
		load->rc = RC_OK;
	}
	return load->rc == RC_OK && !recall_is_stopping(load->recall);
}

/* From now on searches use `vectors`, made by the encoder of `state`; false if the index
 * has been made anew since `*remakes` (NULL: there is none yet that could not). */
static bool publish(struct recall *recall, struct vector_index *vectors,
    const struct store_vector_state *state, const unsigned *remakes)
{
	pthread_rwlock_wrlock(&recall->lock);
	bool fits = remakes == NULL || recall->remakes == *remakes;
	struct vector_index *old = recall->vectors;
	if (fits)
		recall->vectors = vectors;
	pthread_rwlock_unlock(&recall->lock);
	if (!fits)
		return false;
	vector_index_free(old);
	pthread_mutex_lock(&recall->mutex);
	recall->has_vectors = true;
	memcpy(recall->encoder_hash, state->encoder, RECALL_ENCODER_BYTES);
	recall->length = state->length;
	pthread_mutex_unlock(&recall->mutex);
	return true;
}

/* The state; and the rows, the first time and when some of them were taken away: only what
 * the store has counts as done. */
static enum rc load(struct work *work)
{
	struct load load = { .recall = work->recall };
	struct store *store = work->recall->store;
	struct store_vector_state state = { .done = 0 };
	uint64_t unread = 0;

	enum rc rc = store_vector_state(store, &state, NULL);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return rc;
	bool moved = work->has_state != (rc == RC_OK) || state.done != work->state.done;
	work->has_state = rc == RC_OK;
	work->state = state;
	if (moved) {
		work->upto = state.done;
		work->loaded = false;
	}
	if (work->loaded || !work->has_state) {
		work->loaded = true;
		return RC_OK;
	}
	pthread_rwlock_rdlock(&work->recall->lock);
	unsigned remakes = work->recall->remakes;
	pthread_rwlock_unlock(&work->recall->lock);
	rc = vector_index_new(work->state.length, &load.vectors);
	if (rc == RC_OK)
		rc = store_vector_scan(store, load_row, &load, &unread, NULL);
	if (rc == RC_OK)
		rc = load.rc;
	if (rc != RC_OK) {
		vector_index_free(load.vectors);
		return rc;
	}
	if (unread + load.bad > 0)
		log_warn(
		    "RECALL-VECTORS", "unreadable=%llu", (unsigned long long)(unread + load.bad));
	work->loaded = publish(work->recall, load.vectors, &work->state, &remakes);
	if (!work->loaded) /* by places that are no longer */
		vector_index_free(load.vectors);
	return work->loaded ? RC_OK : RC_AGAIN;
}

/* ---- a batch ------------------------------------------------------------------------------ */

static bool is_same_encoder(
    const struct store_vector_state *state, const uint8_t hash[RECALL_ENCODER_BYTES])
{
	return memcmp(state->encoder, hash, RECALL_ENCODER_BYTES) == 0;
}

/* The next documents behind `upto` that have no vector; `upto` moves over the others. */
static void choose(struct work *work, size_t most, bool anew)
{
	struct recall *recall = work->recall;
	uint32_t doc;

	work->seqs_len = 0;
	pthread_rwlock_rdlock(&recall->lock);
	size_t docs_len = index_docs_len(recall->index), looked = 0;
	(void)find_doc(recall->index, work->upto + 1, &doc);
	for (; doc < docs_len && looked < LOOK_DOCS && work->seqs_len < most; doc++, looked++) {
		work->upto = index_docs(recall->index)[doc].seq;
		bool has =
		    !anew && recall->vectors != NULL && vector_index_has(recall->vectors, doc);
		if (index_units(recall->index, doc) != 0 && !has)
			work->seqs[work->seqs_len++] = work->upto;
	}
	pthread_rwlock_unlock(&recall->lock);
}

/* The first `most` bytes of `text`, or fewer: whole characters. */
static size_t cut(const char *text, size_t len, size_t most)
{
	return len <= most ? len : most - utf8_pending(text, most);
}

/* The texts of the chosen documents.  What cannot be read is passed over. */
static enum rc read_texts(struct work *work)
{
	arena_reset(&work->arena);
	work->n = 0;
	for (size_t i = 0; i < work->seqs_len; i++) {
		struct observation obs;
		enum rc rc =
		    store_get_seq(work->recall->store, work->seqs[i], &work->arena, &obs, NULL);
		if (rc == RC_NOTFOUND || rc == RC_CORRUPT || (rc == RC_OK && obs.tombstone))
			continue;
		if (rc != RC_OK)
			return rc;
		size_t len = cut(obs.text, strlen(obs.text), TEXT_BYTES_MAX);
		if (len == 0)
			continue;
		char *text = arena_copy(&work->arena, obs.text, len);
		if (text == NULL)
			return RC_NOMEM;
		work->texts[work->n] = text;
		work->rows[work->n++] = (struct store_vector_row){
			.seq = obs.seq, .dev_t0_ns = obs.dev_t0_ns, .layer = obs.layer
		};
	}
	return RC_OK;
}

static enum rc embed(struct work *work, char *const *texts, size_t n, float **values)
{
	const struct recall_encoder *encoder = &work->recall->encoder;
	uint32_t length = 0;

	enum rc rc = encoder->embed(encoder->ctx, work->to.encoder, (const char *const *)texts, n,
	    false, EMBED_TIMEOUT_NS, values, &length);
	if (rc == RC_OK && (length == 0 || length > VECTOR_LENGTH_MAX ||
			       (work->to.length != 0 && work->to.length != length)))
		rc = RC_IO;
	if (rc == RC_OK)
		work->to.length = length;
	return rc;
}

/* `values` [n] as rows from `at` on; one that says nothing gets none. */
static enum rc pack(struct work *work, size_t at, const float *values, size_t n)
{
	uint32_t length = work->to.length;

	for (size_t i = 0; i < n; i++) {
		uint8_t *row = arena_alloc(&work->arena, VECTOR_ROW_BYTES(length));
		if (row == NULL)
			return RC_NOMEM;
		if (vector_pack(values + i * length, length, row) != RC_OK)
			continue;
		work->rows[at + i].bytes = row;
		work->rows[at + i].len = VECTOR_ROW_BYTES(length);
	}
	return RC_OK;
}

static bool is_of_the_text(enum rc rc)
{
	return rc == RC_CONTEXT || rc == RC_INVALID || rc == RC_LIMIT;
}

/* One text alone, shorter and shorter: the same whatever it stood beside. */
static enum rc embed_alone(struct work *work, size_t at)
{
	char *text = work->texts[at];
	float *values = NULL;

	for (size_t len = strlen(text); len > 0; len = cut(text, len, len / 2)) {
		text[len] = '\0';
		enum rc rc = embed(work, &text, 1, &values);
		if (rc == RC_OK)
			rc = pack(work, at, values, 1);
		free(values);
		values = NULL;
		if (!is_of_the_text(rc) || len <= TEXT_BYTES_MIN)
			return is_of_the_text(rc) ? RC_OK : rc;
	}
	return RC_OK;
}

static enum rc embed_texts(struct work *work)
{
	float *values = NULL;

	if (work->n == 0)
		return RC_OK;
	enum rc rc = embed(work, work->texts, work->n, &values);
	if (rc == RC_OK)
		rc = pack(work, 0, values, work->n);
	free(values);
	if (!is_of_the_text(rc))
		return rc;
	rc = RC_OK;
	for (size_t i = 0; i < work->n && rc == RC_OK && !recall_is_stopping(work->recall); i++)
		rc = embed_alone(work, i);
	return rc;
}

/* Beside the index, in the place of those of another encoder if they begin `anew`. */
static enum rc place(struct work *work, size_t len, bool anew)
{
	struct recall *recall = work->recall;
	struct vector_index *vectors;
	enum rc rc = RC_OK;
	uint32_t doc;

	if (anew) {
		rc = vector_index_new(work->to.length, &vectors);
		if (rc == RC_OK)
			(void)publish(recall, vectors, &work->to, NULL);
	}
	if (rc != RC_OK)
		return rc;
	pthread_rwlock_wrlock(&recall->lock);
	for (size_t i = 0; i < len && rc == RC_OK; i++) {
		if (find_doc(recall->index, work->rows[i].seq, &doc))
			rc = vector_index_put(
			    recall->vectors, doc, work->rows[i].bytes, work->rows[i].len);
	}
	pthread_rwlock_unlock(&recall->lock);
	return rc;
}

/* Into the store, then beside the index. */
static enum rc keep(struct work *work, bool anew)
{
	size_t len = 0;
	bool stale;

	for (size_t i = 0; i < work->n; i++) {
		if (work->rows[i].len > 0)
			work->rows[len++] = work->rows[i];
	}
	/* Where there was nothing to embed `upto` knows so, and now and then the store. */
	if (len == 0 && (anew || work->upto - work->state.done < KEEP_SEQS))
		return RC_OK;
	work->to.done = work->upto;
	enum rc rc = store_vector_put(work->recall->store, work->has_state ? &work->state : NULL,
	    &work->to, work->rows, len, &stale, NULL);
	if (rc != RC_OK || stale)
		return rc != RC_OK ? rc : load(work);
	work->state = work->to;
	work->has_state = true;
	return place(work, len, anew);
}

/* One batch by the encoder `hash`.  RC_AGAIN: there was nothing to do. */
static enum rc step(struct work *work, const uint8_t hash[RECALL_ENCODER_BYTES])
{
	const struct recall_encoder *encoder = &work->recall->encoder;
	bool busy = encoder->busy != NULL && encoder->busy(encoder->ctx);
	bool anew = !work->has_state || !is_same_encoder(&work->state, hash);
	uint64_t before = work->upto;

	if (anew && !is_same_encoder(&work->to, hash))
		work->upto = before = 0;
	if (anew)
		work->to = (struct store_vector_state){ .length = 0 };
	else
		work->to = work->state;
	memcpy(work->to.encoder, hash, RECALL_ENCODER_BYTES);
	if (busy)
		recall_pause(work->recall, BUSY_PAUSE_NS);
	choose(work, busy ? BATCH_DOCS_BUSY : BATCH_DOCS, anew);
	if (work->upto == before)
		return RC_AGAIN;
	enum rc rc = read_texts(work);
	if (rc == RC_OK)
		rc = embed_texts(work);
	if (rc == RC_OK)
		rc = keep(work, anew);
	if (rc != RC_OK)
		work->upto = before;
	return rc;
}

/* ---- the thread ------------------------------------------------------------------------------ */

/* What is forgotten must not be embedded meanwhile, and a follower's store takes
 * nothing of its own. */
static bool has_to_wait(const struct recall *recall)
{
	return store_forgetting(recall->store) || store_following(recall->store);
}

void *recall_embed_main(void *arg)
{
	struct recall *recall = arg;
	struct work *work = calloc(1, sizeof *work);
	uint8_t hash[RECALL_ENCODER_BYTES];

	if (work == NULL) {
		log_warn("RECALL-VECTORS", "rc=%s", rc_word(RC_NOMEM));
		return NULL;
	}
	work->recall = recall;
	arena_init(&work->arena, BATCH_DOCS * (OBS_RECORD_BYTES_MAX * 2 + VECTOR_LENGTH_MAX + 64));
	/* Rows find their documents once those are there. */
	while (
	    !recall_is_stopping(recall) && !recall_wait(recall, recall->opened_seq, AWAY_PAUSE_NS))
		;
	while (!recall_is_stopping(recall)) {
		uint64_t seen = recall_cursor(recall);
		enum rc rc = has_to_wait(recall) ? RC_AGAIN : RC_OK;
		if (rc == RC_OK && !work->loaded)
			rc = load(work);
		if (rc == RC_OK)
			rc = recall->encoder.which(recall->encoder.ctx,
			    work->has_state ? work->state.encoder : NULL, hash);
		if (rc == RC_OK)
			rc = step(work, hash);
		if (rc == RC_AGAIN && work->loaded && !has_to_wait(recall))
			rc = load(work) == RC_OK ? RC_AGAIN : RC_IO; /* was it moved back? */
		if (rc == RC_AGAIN)
			(void)recall_wait(recall, seen + 1, IDLE_PAUSE_NS);
		else if (rc != RC_OK)
			recall_pause(recall, AWAY_PAUSE_NS);
	}
	arena_fini(&work->arena);
	free(work);
	return NULL;
}

/* ---- questions ----------------------------------------------------------------------------------
 */

enum rc recall_embed_question(struct recall *recall, const char *text, size_t len,
    struct arena *arena, uint8_t **row, uint32_t *length)
{
	const struct recall_encoder *encoder = &recall->encoder;
	uint8_t hash[RECALL_ENCODER_BYTES], now[RECALL_ENCODER_BYTES];
	float *values = NULL;
	uint32_t got = 0;

	*row = NULL;
	if (encoder->embed == NULL || len == 0)
		return RC_OK;
	pthread_mutex_lock(&recall->mutex);
	bool any = recall->has_vectors;
	memcpy(hash, recall->encoder_hash, sizeof hash);
	*length = recall->length;
	pthread_mutex_unlock(&recall->mutex);
	if (!any || encoder->which(encoder->ctx, hash, now) != RC_OK ||
	    memcmp(hash, now, sizeof hash) != 0)
		return RC_OK;
	char *copy = arena_copy(arena, text, cut(text, len, TEXT_BYTES_MAX));
	uint8_t *packed = arena_alloc(arena, VECTOR_ROW_BYTES(*length));
	if (copy == NULL || packed == NULL)
		return RC_NOMEM;
	const char *texts[] = { copy };
	enum rc rc =
	    encoder->embed(encoder->ctx, hash, texts, 1, true, QUESTION_TIMEOUT_NS, &values, &got);
	if (rc == RC_OK && got == *length && vector_pack(values, got, packed) == RC_OK)
		*row = packed;
	free(values);
	return RC_OK;
}
