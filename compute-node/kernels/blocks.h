/*
 * Block formats: what the bytes of a quantised block mean.
 *
 * Every format here is a list of small integers with a scale for each 32 of
 * them: weight i = quants[i] * scales[i / 32].  These functions are the
 * specification of the formats; fast kernels unpack on their own.
 */
#ifndef KERNELS_BLOCKS_H
#define KERNELS_BLOCKS_H

#include <stdint.h>

#include "model/type.h"

#define BLOCK_WEIGHTS_MAX 256
#define BLOCK_SCALES_MAX (BLOCK_WEIGHTS_MAX / 32)

/* `quants` [weights of a block], `scales` [the same / 32]. */
typedef void block_fn(const uint8_t *block, int8_t *quants, float *scales);

/* NULL for a type that is no such format. */
block_fn *block_of(enum tensor_type type);

#endif
