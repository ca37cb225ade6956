/*
 * Rotary position embedding: the frequencies of a model, with linear, YaRN
 * and per-frequency scaling worked out at load.
 * Su et al. 2021 (RoPE); Peng et al. 2023 (YaRN); Ding et al. 2024 (LongRoPE).
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
	/* For contexts of more than n_ctx_short positions; NULL: the same. */
	const double *freqs_long;
	uint32_t n_ctx_short;
};

/* Read rope.* keys and the tensors rope_freqs, rope_factors_short and
 * rope_factors_long; head_dim_k is known. */
enum rc rope_bind(struct model *model, bool halves, struct rope *out, struct errmsg *why) RC_CHECK;

/* The rotation of layers with a window, where it differs: its base
 * (rope.freq_base_swa, or `base`) and its dimensions alone, nothing scaled. */
enum rc rope_bind_local(struct model *model, bool halves, uint32_t head_dim, float base,
    struct rope *out, struct errmsg *why) RC_CHECK;

/* `out` [n_rot / 2][cos, sin] of one position; `far`: by freqs_long. */
void rope_table(const struct rope *rope, bool far, uint32_t pos, float *out);

#endif
