/*
 * Mixture of experts: a router chooses a few networks for each row.
 *
 * The rows of a ubatch are sorted by expert, so that each expert's matrices are
 * read once and multiplied with all its rows.  The results of a row are added
 * in the order of its choices, whatever else is in the ubatch; equal scores go
 * to the lower number.
 */
#ifndef INFER_EXPERTS_H
#define INFER_EXPERTS_H

#include "infer/pass.h"
#include "model/model_impl.h"

/* x += experts(normed), with the shared experts where the layer has some. */
void experts_forward(struct worker *worker, uint32_t layer);

/* A row's choice: in, its scores; out, experts and weights. */
struct choice {
	float *scores;    /* [n_expert] what the router gives; overwritten */
	float *keys;      /* [n_expert] scratch */
	uint8_t *taken;   /* [n_expert] scratch */
	uint32_t *chosen; /* [n_used] best first */
	float *weights;   /* [n_used] */
};

/* `bias` (may be NULL) counts for the choice, not for the weights. */
void experts_choose(const struct kernels *kernels, const struct moe *moe, const float *bias,
    const struct choice *choice);

#endif
