/*
 * Mixers: sizes of recurrent layers, from the ssm.* keys.
 */
#ifndef MODEL_MIXER_H
#define MODEL_MIXER_H

#include "model/model_impl.h"

/* Make this layer recurrent: it gets a mixer and has no KV. */
enum rc mixer_add(struct model *model, uint32_t layer) RC_CHECK;

/* Read the sizes that all recurrent layers have.  What is convolved is for each
 * group two vectors of n_state, and d_inner. */
enum rc mixer_bind_sizes(struct model *model, struct errmsg *why) RC_CHECK;

#endif
