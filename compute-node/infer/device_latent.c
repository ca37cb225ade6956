/*
 * Attention through a latent vector on a device (model/arch_deepseek2.c): heads are put
 * behind each other, each with all rows, for what is multiplied by a matrix of its own.
 */
#include "infer/device_impl.h"

void device_latent_norms(struct worker *w, const struct latent *lat)
{
	struct latents *at = &w->pass->latents;
	const struct latent_sizes *s = &w->pass->model->latent;

	device_norms(w,
	    &(struct backend_norms){ .x = at->kv,
		.x_row = s->n_rank + w->pass->model->rope.n_rot,
		.items = 1,
		.n = s->n_rank,
		.weight = lat->kv_norm,
		.weights = 1,
		.to = at->rank.f32 },
	    &at->rank);
	if (lat->q_a != NULL)
		device_norms(w,
		    &(struct backend_norms){ .x = at->q_rank.f32,
			.x_row = s->n_q_rank,
			.items = 1,
			.n = s->n_q_rank,
			.weight = lat->q_norm,
			.weights = 1,
			.to = at->q_rank.f32 },
		    &at->q_rank);
}

/* `n` numbers of each head, from rows of heads `step` apart to heads behind each other,
 * each with all rows. */
static struct backend_copy to_heads(
    const struct worker *w, const float *from, size_t step, size_t n, float *to)
{
	const size_t n_head = w->pass->model->n_head;

	return (struct backend_copy){ .from = from,
		.from_row = n_head * step,
		.from_item = step,
		.to = to,
		.to_row = n,
		.to_item = w->pass->n_rows * n,
		.items = (uint32_t)n_head,
		.n = (uint32_t)n };
}

/* And back. */
static struct backend_copy from_heads(
    const struct worker *w, const float *from, size_t n, float *to, size_t step)
{
	const size_t n_head = w->pass->model->n_head;

	return (struct backend_copy){ .from = from,
		.from_row = n,
		.from_item = w->pass->n_rows * n,
		.to = to,
		.to_row = n_head * step,
		.to_item = step,
		.items = (uint32_t)n_head,
		.n = (uint32_t)n };
}

static void absorb_on_device(struct worker *w, const struct layer *l)
{
	struct pass *p = w->pass;
	struct latents *at = &p->latents;
	const struct latent_sizes *s = &p->model->latent;
	const size_t n_rot = p->model->rope.n_rot, n_key = n_rot + s->n_rank;
	const size_t n_q = n_rot + s->n_nope, n_head = l->n_head;

	if (!device_measures(w)) {
		const struct backend_copy parts[] = {
			to_heads(w, at->q, n_q, s->n_nope, at->by_head.f32),
			{ .from = at->q + s->n_nope,
			    .from_row = n_head * n_q,
			    .from_item = n_q,
			    .to = p->q,
			    .to_row = n_head * n_key,
			    .to_item = n_key,
			    .items = (uint32_t)n_head,
			    .n = (uint32_t)n_rot },
			{ .from = at->kv + s->n_rank,
			    .from_row = n_key,
			    .to = p->k,
			    .to_row = n_key,
			    .items = 1,
			    .n = (uint32_t)n_rot },
			{ .from = at->rank.f32,
			    .from_row = s->n_rank,
			    .to = p->k + n_rot,
			    .to_row = n_key,
			    .items = 1,
			    .n = s->n_rank },
		};

		device_copy(w, parts, 4);
	}
	device_shape(w, at->by_head.f32, s->n_nope, n_head, &at->by_head);
	device_stacked(w, l->latent->k_b, &at->by_head, at->stacked);
	if (!device_measures(w)) {
		const struct backend_copy back =
		    from_heads(w, at->stacked, s->n_rank, p->q + n_rot, n_key);

		device_copy(w, &back, 1);
	}
}

static void release_on_device(struct worker *w, const struct layer *l)
{
	struct pass *p = w->pass;
	struct latents *at = &p->latents;
	const struct latent_sizes *s = &p->model->latent;
	const struct backend_copy out =
	    to_heads(w, p->mixed.f32, s->n_rank, s->n_rank, at->by_head.f32);
	const struct backend_copy back =
	    from_heads(w, at->stacked, s->n_value, at->values.f32, s->n_value);

	device_copy(w, &out, 1);
	device_shape(w, at->by_head.f32, s->n_rank, l->n_head, &at->by_head);
	device_stacked(w, l->latent->v_b, &at->by_head, at->stacked);
	device_copy(w, &back, 1);
	device_shape(w, at->values.f32, (size_t)l->n_head * s->n_value, 1, &at->values);
}

static void unfold_on_device(struct worker *w, const struct layer *l)
{
	struct pass *p = w->pass;
	const struct latents *at = &p->latents;
	const struct latent_sizes *s = &p->model->latent;
	const size_t n_rot = p->model->rope.n_rot, n_key = n_rot + s->n_nope;
	const size_t n_kv = s->n_nope + s->n_value, n_head = l->n_head;
	const struct backend_copy heads = { .from_row = n_head * n_key,
		.from_item = n_key,
		.to_row = n_head * n_key,
		.to_item = n_key,
		.items = (uint32_t)n_head };
	struct backend_copy parts[] = { heads, heads, heads, heads, heads };

	if (device_measures(w))
		return;
	parts[0].from = at->q + s->n_nope;
	parts[0].to = p->q;
	parts[1].from = at->q;
	parts[1].to = p->q + n_rot;
	parts[2].from = at->kv + s->n_rank; /* one for all heads */
	parts[2].from_row = s->n_rank + n_rot;
	parts[2].from_item = 0;
	parts[2].to = p->k;
	parts[3].from = at->heads_kv;
	parts[3].to = p->k + n_rot;
	parts[4].from = at->heads_kv + s->n_nope;
	parts[4].to = p->v;
	parts[3].from_row = parts[4].from_row = n_head * n_kv;
	parts[3].from_item = parts[4].from_item = n_kv;
	parts[4].to_row = n_head * s->n_value;
	parts[4].to_item = s->n_value;
	parts[0].n = parts[2].n = (uint32_t)n_rot;
	parts[1].n = parts[3].n = s->n_nope;
	parts[4].n = s->n_value;
	device_copy(w, parts, 5);
}

void device_latent_attention(struct worker *w, uint32_t il)
{
	const struct layer *l = &w->pass->model->layers[il];

	if (w->pass->model->latent.absorbed) {
		absorb_on_device(w, l);
		device_attend(w, il);
		release_on_device(w, l);
	} else {
		unfold_on_device(w, l);
		device_attention(w, il);
	}
}
