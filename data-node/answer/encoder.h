/*
 * Encoder: recall's texts embedded by a compute node of the pool.
 *
 * Which model: the one that the owner named, or else the first that embeds and
 * does not chat.  Once vectors are made by one, another takes its place only after
 * that one has not been seen for ENCODER_AWAY_NS: its node may be back soon, and
 * all texts would be embedded again.  Thread-safe.
 */
#ifndef ANSWER_ENCODER_H
#define ANSWER_ENCODER_H

#include "answer/pool.h"
#include "recall/recall.h"

#define ENCODER_AWAY_NS (INT64_C(600) * 1000000000)

struct encoder;

/* `pool` and `model` (NULL: as said above) are borrowed until encoder_free(). */
enum rc encoder_new(struct pool *pool, const char *model, struct encoder **out) RC_CHECK;
void encoder_free(struct encoder *encoder);

/* Whatever is being embedded is given up, and all that comes: before recall_close(). */
void encoder_stop(struct encoder *encoder);

/* For recall_set_encoder(); lives as long as `encoder`. */
struct recall_encoder encoder_for_recall(struct encoder *encoder);

/* What stands before a text for the model of that name and architecture, as its
 * makers trained it: "" for most.  Pure. */
const char *encoder_prefix(const char *model, const char *architecture, bool question);

#endif
