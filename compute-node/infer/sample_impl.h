/*
 * Inside sampling: a row parted into blocks, and what its files share.
 *   sample.c         the choice: penalties, the greatest, the draw
 *   sample_filter.c  top-k, top-p, min-p: which candidates pass
 *   sample_weigh.c   approximate weights, block by block
 *   sample_short.c   the same choice from the best of a row
 */
#ifndef INFER_SAMPLE_IMPL_H
#define INFER_SAMPLE_IMPL_H

#include "infer/sample.h"
#include "kernels/exact.h"

/* Logits looked at together: a block whose greatest is too small is passed over. */
#define SAMPLE_BLOCK 64u
/* e^-60 of the greatest weight cannot change a sum in double. */
#define SAMPLE_NEGLIGIBLE (-60.0)
#define SAMPLE_TOP_MAX 3.4e38 /* nothing can be told apart above it */

struct sample_candidate {
	int32_t id;
	float logit;
};

/* A row without NaN. */
struct sample_view {
	const float *logits; /* [n] */
	size_t n, n_blocks;
	size_t n_finite; /* above -inf */
	float greatest;
	double top;                          /* the same */
	float *maxima;                       /* [n_blocks] */
	double *sums;                        /* [n_blocks] scratch */
	struct sample_candidate *candidates; /* [n] scratch */
};

/* All that passes the filters: what is not worse than `last`, and not less than `least`
 * below the greatest. */
struct sample_bounds {
	struct sample_candidate last;
	double least;
};

/* Better first: the higher logit, then the smaller id. */
static inline bool sample_better(const struct sample_candidate *a, const struct sample_candidate *b)
{
	if (a->logit > b->logit || a->logit < b->logit)
		return a->logit > b->logit;
	return a->id < b->id;
}

/* The exact weight of what lies `below` the greatest. */
static inline double sample_weight(double below)
{
	return below < SAMPLE_NEGLIGIBLE ? 0.0 : exact_exp(below);
}

/* Elements of block `b`. */
static inline size_t sample_block_len(const struct sample_view *v, size_t b)
{
	return b + 1 < v->n_blocks ? SAMPLE_BLOCK : v->n - b * SAMPLE_BLOCK;
}

static inline bool sample_repeats(const struct sample_params *p)
{
	return p->repeat_penalty > 0 && (p->repeat_penalty < 1 || p->repeat_penalty > 1);
}

/* What the penalties make of the logit of a token that the window holds `count` times:
 * the repeat and presence penalties take it once, the frequency penalty each time. */
static inline float sample_penalized(const struct sample_params *p, float logit, int32_t count)
{
	if (sample_repeats(p))
		logit = logit > 0 ? logit / p->repeat_penalty : logit * p->repeat_penalty;
	return logit - (p->presence_penalty + p->frequency_penalty * (float)count);
}

/* sample.c */
bool sample_penalizes(const struct sample_params *params);
/* The `id` of each token's place in `counts` [n_vocab]: how often the window holds it; only
 * those of the window are written. */
void sample_count(const struct sample_params *params, const struct sample_row *row,
    struct sample_candidate *counts);

/* sample_filter.c */
struct sample_bounds sample_filter(const struct sample_params *params, struct sample_view *view);

/* sample_weigh.c */
/* About e^((logit - top) / temperature) of each element of block `b` that is within
 * `bounds`, 0 of the others; returns their sum. */
double sample_weigh(const struct sample_view *view, size_t b, const struct sample_bounds *bounds,
    double temperature, double out[SAMPLE_BLOCK]);
/* Two sums of weights, one of approximate and one of exact ones or a share of it, are
 * on the same side of each other if they differ by more than this, times all weights. */
double sample_margin(const struct sample_view *view);

#endif
