/* Sizes of recurrent layers. */
#include "model/mixer.h"

#include "model/bind.h"

enum rc mixer_add(struct model *m, uint32_t il)
{
	struct layer *l = &m->layers[il];

	l->n_head = l->n_head_kv = 0;
	l->mixer = arena_array(&m->arena, 1, sizeof(*l->mixer));
	if (l->mixer == NULL)
		return RC_NOMEM;
	l->mixer->index = m->recurrent.n_layer++;
	return RC_OK;
}

enum rc mixer_bind_sizes(struct model *m, struct errmsg *why)
{
	struct recurrent *r = &m->recurrent;
	uint32_t inner = 0, kernel = 0;
	enum rc rc = bind_u32(m, "ssm.conv_kernel", RECURRENT_CONV_MAX + 1, &kernel, why);

	if (rc == RC_OK)
		rc = bind_u32(m, "ssm.inner_size", MODEL_EMBD_MAX, &inner, why);
	if (rc == RC_OK)
		rc = bind_u32(m, "ssm.state_size", MODEL_STATE_MAX, &r->n_state, why);
	if (rc == RC_OK)
		rc = bind_u32(m, "ssm.time_step_rank", MODEL_HEADS_MAX, &r->n_head, why);
	if (rc == RC_OK)
		rc = bind_u32(m, "ssm.group_count", MODEL_HEADS_MAX, &r->n_group, why);
	if (rc != RC_OK)
		return rc;
	if (kernel < 2)
		return errmsg_rc(
		    why, RC_INVALID, "GGUF: key %s.ssm.conv_kernel: %u", m->arch->name, kernel);
	if (r->n_head % r->n_group != 0)
		return errmsg_rc(why, RC_INVALID,
		    "GGUF: key %s.ssm.group_count: %u does not divide %u heads", m->arch->name,
		    r->n_group, r->n_head);
	if (inner % r->n_head != 0)
		return errmsg_rc(why, RC_INVALID,
		    "GGUF: key %s.ssm.inner_size: %u is not a multiple of %u heads", m->arch->name,
		    inner, r->n_head);
	r->n_conv = kernel - 1;
	r->head_dim = inner / r->n_head;
	r->n_channel = 2 * r->n_group * r->n_state + inner;
	return RC_OK;
}
