/*
 * What passes on the CPU left in an engine's scratch: bytes that are not zero, but for
 * those that weights are unpacked to.
 */
#ifndef SUPPORT_ENGINE_SCRATCH_H
#define SUPPORT_ENGINE_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "infer/engine_impl.h"

static inline bool engine_scratch_is_strip(const struct engine *e, const uint8_t *at)
{
	/* A worker's strips stand in front of its tile. */
	for (uint32_t i = 0; i < e->config.n_threads; i++) {
		const struct worker *w = &e->workers[i];

		if (w->strip.quants != NULL && at >= w->strip.quants && at < (uint8_t *)w->tile)
			return true;
	}
	return false;
}

static inline size_t engine_scratch_left(const struct engine *e)
{
	const uint64_t *words = (const uint64_t *)(const void *)e->scratch;
	size_t left = 0;

	for (size_t i = 0; i < e->scratch_bytes / sizeof(words[0]); i++) {
		const uint8_t *at = (const uint8_t *)&words[i];

		if (words[i] == 0 || engine_scratch_is_strip(e, at))
			continue;
		for (size_t k = 0; k < sizeof(words[0]); k++)
			left += at[k] != 0;
	}
	return left;
}

#endif
