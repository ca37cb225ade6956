/*
 * Speed: how fast the models of one compute node answer, as seen from here.
 *
 * Measured over the first tokens of an answer, SPEED_TOKENS_MAX at most: those a
 * node may send before anybody has read one, so that a slow reader does not make
 * a node look slow.  The caller guards it.
 */
#ifndef ANSWER_SPEED_H
#define ANSWER_SPEED_H

#include <stdint.h>

#include "wire/message.h"

#define SPEED_TOKENS_MIN 8u
#define SPEED_TOKENS_MAX 32u

struct speeds {
	struct {
		uint8_t content_hash[WIRE_HASH_BYTES];
		double tokens_per_second; /* 0: free */
	} models[WIRE_MODELS_MAX];
};

/* One answer while it comes in; all zero at first. */
struct speed_run {
	int64_t first_ns; /* monotonic, of the first message with tokens */
	uint32_t tokens;  /* in those after it */
	int64_t took_ns;  /* up to the last one counted */
	bool counted;
};

/* `tokens` more came at `now_ns`; `over`: and none will follow. */
void speed_take(struct speeds *speeds, const uint8_t content_hash[WIRE_HASH_BYTES],
    struct speed_run *run, size_t tokens, bool over, int64_t now_ns);

/* Tokens a second of one answer; 0: not measured yet. */
double speed_of(const struct speeds *speeds, const uint8_t content_hash[WIRE_HASH_BYTES]);

#endif
