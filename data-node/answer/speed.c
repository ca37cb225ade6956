/* First tokens of answers, smoothed over answers. */
#include "answer/speed.h"

#include <string.h>

#include "base/clock.h"

#define SMOOTHING 0.3

static void put(struct speeds *speeds, const uint8_t *content_hash, double tokens_per_second)
{
	for (size_t i = 0; i < WIRE_MODELS_MAX; i++) {
		double *value = &speeds->models[i].tokens_per_second;

		if (*value <= 0) {
			memcpy(speeds->models[i].content_hash, content_hash, WIRE_HASH_BYTES);
			*value = tokens_per_second;
			return;
		}
		if (memcmp(speeds->models[i].content_hash, content_hash, WIRE_HASH_BYTES) == 0) {
			*value += SMOOTHING * (tokens_per_second - *value);
			return;
		}
	}
	/* More models than a node may have came and went: begin anew. */
	*speeds = (struct speeds){ .models = { { .tokens_per_second = 0 } } };
	put(speeds, content_hash, tokens_per_second);
}

void speed_take(struct speeds *speeds, const uint8_t content_hash[WIRE_HASH_BYTES],
    struct speed_run *run, size_t tokens, bool over, int64_t now_ns)
{
	if (run->counted)
		return;
	if (tokens > 0 && run->first_ns == 0) {
		run->first_ns = now_ns; /* how long they took cannot be seen */
	} else if (tokens > 0) {
		run->tokens += (uint32_t)tokens;
		run->took_ns = now_ns - run->first_ns;
	}
	if (run->tokens < SPEED_TOKENS_MAX && !over)
		return;
	run->counted = true;
	if (run->tokens >= SPEED_TOKENS_MIN && run->took_ns > 0)
		put(speeds, content_hash,
		    (double)run->tokens * (double)NS_PER_S / (double)run->took_ns);
}

double speed_of(const struct speeds *speeds, const uint8_t content_hash[WIRE_HASH_BYTES])
{
	for (size_t i = 0; i < WIRE_MODELS_MAX && speeds->models[i].tokens_per_second > 0; i++) {
		if (memcmp(speeds->models[i].content_hash, content_hash, WIRE_HASH_BYTES) == 0)
			return speeds->models[i].tokens_per_second;
	}
	return 0;
}
