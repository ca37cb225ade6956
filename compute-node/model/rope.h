/*
 * Rotary position embedding: the frequencies of a model, with linear, YaRN
 * and per-frequency scaling worked out at load.
 * Su et al. 2021 (RoPE); Peng et al. 2023 (YaRN).
 */
#ifndef MODEL_ROPE_H
#define MODEL_ROPE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/errmsg.h"

struct model;

struct rope {
	uint32_t n_rot;      /* dimensions rotated; even */
	bool halves;         /* pairs (i, i + n_rot/2) instead of (2i, 2i+1) */
	const double *freqs; /* [n_rot / 2] radians a position */
	double magnitude;    /* factor on cos and sin */
};

/* Read rope.* keys and the tensor rope_freqs.weight; head_dim_k is known. */
enum rc rope_bind(struct model *model, bool halves, struct rope *out, struct errmsg *why) RC_CHECK;

/* `out` [n_rot / 2][cos, sin] of one position. */
void rope_table(const struct rope *rope, uint32_t pos, float *out);

#endif
