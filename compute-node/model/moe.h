/*
 * Mixture of experts: keys and tensors (Shazeer et al. 2017; DeepSeek-AI 2024
 * for shared experts, groups and the bias of the choice).
 */
#ifndef MODEL_MOE_H
#define MODEL_MOE_H

#include "model/model_impl.h"

/* Read expert_* keys into model->moe; what the family sets there before stands
 * where the file says nothing; one that sets no gating has no experts.  Before the layers' sizes
 * are read. */
enum rc moe_bind(struct model *model, struct errmsg *why) RC_CHECK;

/* The experts of one layer whose sizes are known. */
enum rc moe_bind_layer(struct model *model, uint32_t layer, struct errmsg *why) RC_CHECK;

/* Does this layer have experts? */
bool moe_in_layer(const struct model *model, uint32_t layer);

#endif
