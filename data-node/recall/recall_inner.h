/*
 * Inside of recall: what its threads share.
 *
 * Index, conversations and vectors belong to `lock`: the index thread and the
 * embedder write under it, searches read.  Progress (cursor, stopping, the
 * encoder of the vectors) belongs to `mutex`.
 */
#ifndef RECALL_RECALL_INNER_H
#define RECALL_RECALL_INNER_H

#include <pthread.h>

#include "recall/document.h"
#include "recall/language.h"
#include "recall/recall.h"
#include "recall/snapshot.h"
#include "recall/vector_index.h"

struct recall {
	struct store *store;
	pthread_t thread;
	pthread_rwlock_t lock;
	struct index *index;
	struct document_talks *talks;
	struct vector_index *vectors; /* NULL: there are none */
	unsigned remakes;             /* under `lock`: so often documents changed their places */
	struct language_model *model;
	uint64_t opened_seq;      /* the log's end when it was opened */
	struct snapshot snapshot; /* index thread */
	bool stale; /* index thread: words of forgotten texts are still in the index */

	pthread_mutex_t mutex;
	pthread_cond_t moved; /* the cursor, or stopping */
	uint64_t cursor;
	bool stopping;

	struct recall_encoder encoder; /* embed == NULL: none was given */
	pthread_t embedder;
	bool has_vectors; /* of this encoder, `length` values each: */
	uint8_t encoder_hash[RECALL_ENCODER_BYTES];
	uint32_t length;
};

/* ---- recall.c -------------------------------------------------------------------------- */
bool recall_is_stopping(struct recall *recall);
/* Until something moves or `wait_ns` passed. */
void recall_pause(struct recall *recall, int64_t wait_ns);
/* True if the index got to `cursor` within `wait_ns`. */
bool recall_wait(struct recall *recall, uint64_t cursor, int64_t wait_ns);

/* ---- embedder.c -------------------------------------------------------------------------- */
void *recall_embed_main(void *recall);
/* The row of a question's words, into `arena`; *row is NULL where vectors are of no use
 * now: no encoder, none made yet, no answer in time. */
enum rc recall_embed_question(struct recall *recall, const char *text, size_t len,
    struct arena *arena, uint8_t **row, uint32_t *length) RC_CHECK;

#endif
