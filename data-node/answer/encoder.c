/* Encoder: which model embeds, and one call to it. */
#include "answer/encoder.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "answer/vectors.h"
#include "base/clock.h"

#define LIST_BYTES ((size_t)1 << 20)
#define AWAY_NS NS_PER_S /* to wait for a node in mid-work; recall comes again */

struct encoder {
	struct pool *pool;
	const char *model;
	atomic_bool stopped;
	pthread_mutex_t lock;
	int64_t missed_ns; /* since then the former model is not there; 0: it is */
	/* What `which` told last: */
	uint8_t hash[WIRE_HASH_BYTES];
	char name[POOL_MODEL_NAME_BYTES_MAX], architecture[64];
};

_Static_assert(RECALL_ENCODER_BYTES == WIRE_HASH_BYTES, "one hash");

enum rc encoder_new(struct pool *pool, const char *model, struct encoder **out)
{
	struct encoder *encoder = calloc(1, sizeof *encoder);

	if (encoder == NULL)
		return RC_NOMEM;
	if (pthread_mutex_init(&encoder->lock, NULL) != 0) {
		free(encoder);
		return RC_NOMEM;
	}
	encoder->pool = pool;
	encoder->model = model;
	*out = encoder;
	return RC_OK;
}

void encoder_free(struct encoder *encoder)
{
	if (encoder == NULL)
		return;
	(void)pthread_mutex_destroy(&encoder->lock);
	free(encoder);
}

void encoder_stop(struct encoder *encoder)
{
	if (encoder != NULL)
		atomic_store(&encoder->stopped, true);
}

static bool is_stopped(void *ctx)
{
	struct encoder *encoder = ctx;

	return atomic_load(&encoder->stopped);
}

/* ---- which ----------------------------------------------------------------------------- */

static bool will_do(const struct encoder *encoder, const struct pool_model *model)
{
	if (!model->embed)
		return false;
	return encoder->model != NULL ? strcmp(encoder->model, model->name) == 0 : !model->chat;
}

struct choice {
	const struct pool_model *former, *other; /* on a node that takes requests */
};

static struct choice choose(
    const struct encoder *encoder, const struct pool_node *nodes, size_t len, const uint8_t *former)
{
	struct choice choice = { .former = NULL };

	for (size_t i = 0; i < len; i++) {
		for (size_t k = 0; k < nodes[i].models_len && nodes[i].takes; k++) {
			const struct pool_model *model = &nodes[i].models[k];
			if (!will_do(encoder, model))
				continue;
			bool same = former != NULL &&
				    memcmp(model->content_hash, former, WIRE_HASH_BYTES) == 0;
			if (same && choice.former == NULL)
				choice.former = model;
			else if (!same && choice.other == NULL)
				choice.other = model;
		}
	}
	return choice;
}

/* Under the lock: the model to take, NULL: none now. */
static const struct pool_model *decide(
    struct encoder *encoder, const struct choice *choice, bool has_former, int64_t now_ns)
{
	if (choice->former != NULL || !has_former) {
		encoder->missed_ns = 0;
		return choice->former != NULL ? choice->former : choice->other;
	}
	if (encoder->missed_ns == 0)
		encoder->missed_ns = now_ns;
	return now_ns - encoder->missed_ns >= ENCODER_AWAY_NS ? choice->other : NULL;
}

static enum rc which(void *ctx, const uint8_t *former, uint8_t hash[RECALL_ENCODER_BYTES])
{
	struct encoder *encoder = ctx;
	struct pool_node *nodes = NULL;
	size_t len = 0;
	struct arena arena;

	arena_init(&arena, LIST_BYTES);
	enum rc rc = pool_list(encoder->pool, &arena, &nodes, &len);
	if (rc == RC_OK) {
		struct choice choice = choose(encoder, nodes, len, former);
		(void)pthread_mutex_lock(&encoder->lock);
		const struct pool_model *model =
		    decide(encoder, &choice, former != NULL, clock_mono_ns());
		if (model != NULL) {
			memcpy(hash, model->content_hash, WIRE_HASH_BYTES);
			memcpy(encoder->hash, hash, WIRE_HASH_BYTES);
			(void)snprintf(encoder->name, sizeof encoder->name, "%s", model->name);
			(void)snprintf(encoder->architecture, sizeof encoder->architecture, "%s",
			    model->architecture);
		} else {
			rc = RC_UNAVAILABLE;
		}
		(void)pthread_mutex_unlock(&encoder->lock);
	}
	arena_fini(&arena);
	return rc;
}

/* ---- prefixes ----------------------------------------------------------------------------- */

static const struct prefix {
	const char *model, *architecture; /* part of the name, or the architecture */
	const char *text, *question;
} prefixes[] = {
	{ NULL, "nomic-bert", "search_document: ", "search_query: " },
	{ "e5", NULL, "passage: ", "query: " },
	{ "bge-small-en", NULL, "", "Represent this sentence for searching relevant passages: " },
	{ "bge-base-en", NULL, "", "Represent this sentence for searching relevant passages: " },
	{ "bge-large-en", NULL, "", "Represent this sentence for searching relevant passages: " },
	{ "arctic-embed", NULL, "", "Represent this sentence for searching relevant passages: " },
};

/* `part` as a word of the name: "e5-small", "multilingual-e5", not "made5". */
static bool names(const char *name, const char *part)
{
	size_t len = strlen(part);

	for (const char *p = name; *p != '\0'; p++) {
		bool begins = p == name || strchr("-_/. ", p[-1]) != NULL;
		if (begins && strncasecmp(p, part, len) == 0 &&
		    (p[len] == '\0' || strchr("-_/. ", p[len]) != NULL))
			return true;
	}
	return false;
}

const char *encoder_prefix(const char *model, const char *architecture, bool question)
{
	for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
		const struct prefix *p = &prefixes[i];
		if ((p->model != NULL && names(model, p->model)) ||
		    (p->architecture != NULL && strcmp(architecture, p->architecture) == 0))
			return question ? p->question : p->text;
	}
	return "";
}

/* ---- embed --------------------------------------------------------------------------------- */

/* `prefix` before each of texts [n], in `arena`. */
static const char **with_prefix(
    const char *prefix, const char *const *texts, size_t n, struct arena *arena)
{
	const char **out = arena_array(arena, n, sizeof *out);
	size_t prefix_len = strlen(prefix);

	for (size_t i = 0; i < n && out != NULL; i++) {
		size_t len = strlen(texts[i]);
		char *text = arena_alloc(arena, prefix_len + len + 1);
		if (text == NULL)
			return NULL;
		memcpy(text, prefix, prefix_len);
		memcpy(text + prefix_len, texts[i], len + 1);
		out[i] = text;
	}
	return out;
}

static enum rc embed(void *ctx, const uint8_t hash[RECALL_ENCODER_BYTES], const char *const *texts,
    size_t n, bool question, int64_t timeout_ns, float **values, uint32_t *length)
{
	struct encoder *encoder = ctx;
	char name[POOL_MODEL_NAME_BYTES_MAX];
	struct vectors vectors;
	struct arena arena;

	(void)pthread_mutex_lock(&encoder->lock);
	bool known = memcmp(encoder->hash, hash, WIRE_HASH_BYTES) == 0;
	(void)snprintf(name, sizeof name, "%s", encoder->name);
	const char *prefix = encoder_prefix(encoder->name, encoder->architecture, question);
	(void)pthread_mutex_unlock(&encoder->lock);
	if (!known)
		return RC_UNAVAILABLE;
	arena_init(&arena, VECTORS_BATCH_BYTES_MAX);
	const char **prefixed = with_prefix(prefix, texts, n, &arena);
	struct vectors_want want = { .model = name,
		.content_hash = hash,
		.texts = prefixed,
		.n = n,
		.timeout_ns = timeout_ns,
		.away_ns = question ? 1 : AWAY_NS,
		.gone = is_stopped,
		.ctx = encoder };
	enum rc rc = RC_NOMEM;
	if (prefixed != NULL) {
		rc = vectors_get(encoder->pool, &want, &vectors, NULL);
		if (rc == RC_OK) {
			*values = vectors.values;
			*length = vectors.length;
		} else {
			vectors_fini(&vectors);
		}
	}
	arena_fini(&arena);
	return rc;
}

static bool is_busy(void *ctx)
{
	struct encoder *encoder = ctx;
	struct pool_node *nodes = NULL;
	size_t len = 0;
	struct arena arena;
	bool busy = false;

	arena_init(&arena, LIST_BYTES);
	if (pool_list(encoder->pool, &arena, &nodes, &len) == RC_OK) {
		for (size_t i = 0; i < len; i++)
			busy = busy || nodes[i].running > 0;
	}
	arena_fini(&arena);
	return busy;
}

struct recall_encoder encoder_for_recall(struct encoder *encoder)
{
	return (struct recall_encoder){
		.ctx = encoder, .which = which, .embed = embed, .busy = is_busy
	};
}
