/* Memory of recurrent states. */
#include "infer/state.h"

#include "base/wipe.h"
#include "infer/device.h"
#include "model/model_impl.h"
#include "os/pages.h"

enum rc state_measure(const struct model *m, const struct engine_config *config, struct state *out,
    struct errmsg *why)
{
	const struct recurrent *r = &m->recurrent;
	size_t n;

	*out = (struct state){ .n_seq = config->n_seq,
		.n_layer = r->n_layer,
		.n_conv = (size_t)r->n_conv * r->n_channel,
		.n_heads = (size_t)r->n_head * r->n_state * r->head_dim };
	if (__builtin_mul_overflow(
		out->n_conv + out->n_heads, (size_t)out->n_seq * out->n_layer, &n) ||
	    __builtin_mul_overflow(n, sizeof(float), &out->bytes))
		return errmsg_rc(why, RC_LIMIT, "the recurrent state is larger than any memory");
	return RC_OK;
}

enum rc state_take(struct state *s, struct errmsg *why)
{
	if (s->bytes == 0)
		return RC_OK;
	s->floats = pages_take(s->bytes);
	return s->floats != NULL ? RC_OK
				 : errmsg_rc(why, RC_NOMEM,
				       "no memory for %zu bytes of recurrent state", s->bytes);
}

void state_fini(struct state *s)
{
	pages_give(s->floats, s->bytes);
	s->floats = NULL;
}

float *state_conv(const struct state *s, uint32_t layer, uint32_t seq)
{
	return s->floats + ((size_t)layer * s->n_seq + seq) * (s->n_conv + s->n_heads);
}

float *state_heads(const struct state *s, uint32_t layer, uint32_t seq)
{
	return state_conv(s, layer, seq) + s->n_conv;
}

void state_wipe(const struct state *s, uint32_t seq)
{
	size_t bytes = (s->n_conv + s->n_heads) * sizeof(float);

	for (uint32_t layer = 0; s->floats != NULL && layer < s->n_layer; layer++) {
		if (s->device != NULL)
			device_wipe(s->device, state_conv(s, layer, seq), bytes);
		else
			wipe(state_conv(s, layer, seq), bytes);
	}
}
