/* The blocks of a pass, put into a backend's queue. */
#include "infer/device_impl.h"

/* BACKEND_… and ACT_… are the same numbers; so are those of the caches. */
_Static_assert((int)BACKEND_CLAMPED_GATED == (int)ACT_CLAMPED_GATED &&
		   (int)BACKEND_RELU_SQUARED == (int)ACT_RELU_SQUARED &&
		   (int)BACKEND_GELU_GATED == (int)ACT_GELU_GATED,
    "activations of the two headers");
_Static_assert((int)BACKEND_F32 == (int)CACHE_F32 && (int)BACKEND_Q8_0 == (int)CACHE_Q8_0,
    "caches of the two headers");

#define GELU_VALUES 65536u
#define BLOCK_WEIGHTS 32u

struct backend_acts device_forms(const struct device *d, const struct acts *a, size_t width)
{
	bool answer = d->class_ == BACKEND_ANSWER, whole = width % BLOCK_WEIGHTS == 0;
	struct backend_acts out = { .f32 = NULL };

	if (answer ? d->floats : d->f32)
		out.f32 = a->f32;
	if (answer && d->quantised && whole) {
		out.q8 = a->q8.quants;
		out.q8_scales = a->q8_scales;
	}
	if (!answer && (d->quantised || d->floats)) {
		out.f16 = a->f16;
		out.f16_scales = a->f16_scales;
	}
	return out;
}

static const float *floats(struct worker *w, const float *host, size_t n)
{
	return device_vector(w, host, n, sizeof(*host));
}

void device_embed(struct worker *w)
{
	struct pass *p = w->pass;
	struct device *d = p->device;
	const struct model *m = p->model;
	const struct rope *rope = &m->rope, *local = &m->rope_local;
	bool first = p->layers.first == 0; /* else the rows stand in x */
	const struct backend_matrix embd =
	    first ? device_matrix(w, m->token_embd) : (struct backend_matrix){ .k = 0 };
	bool far = p->rope_long;
	const double *freqs =
	    device_vector(w, far ? rope->freqs_long : rope->freqs, rope->n_rot / 2, sizeof(double));
	const double *freqs_local =
	    device_vector(w, local->freqs, local->n_rot / 2, sizeof(double));

	if (!device_runs(d))
		return;
	if (first)
		d->api->embed(d->backend, &embd, m->embd_scale, p->x);
	if (rope->n_rot > 0)
		d->api->rotations(d->backend, freqs, rope->n_rot, rope->magnitude, p->rope);
	if (local->n_rot > 0)
		d->api->rotations(
		    d->backend, freqs_local, local->n_rot, local->magnitude, p->rope_local);
}

void device_norm(struct worker *w, const float *weight, struct acts *out)
{
	struct pass *p = w->pass;
	struct device *d = p->device;
	const struct model *m = p->model;
	const float *on_device = floats(w, weight, m->n_embd);
	const struct backend_acts forms = device_forms(d, out, m->n_embd);

	if (device_runs(d))
		d->api->norm(d->backend, p->x, on_device, m->n_embd, m->norm_eps, false, &forms);
}

void device_norm_add(struct worker *w, const float *weight, float *from)
{
	struct pass *p = w->pass;
	struct device *d = p->device;
	const struct model *m = p->model;
	const float *on_device = floats(w, weight, m->n_embd);

	if (device_runs(d))
		d->api->norm_add(d->backend, from, on_device, m->n_embd, m->norm_eps, p->x);
}

static struct backend_product product_of(struct worker *w, const struct product *product)
{
	struct backend_matrix m = device_matrix(w, product->weight);
	uint64_t rows = product->n_rows != 0 ? product->n_rows : product->weight->dims[1];

	for (int i = 0; i < BACKEND_PLANES; i++) {
		if (m.planes[i] != NULL) /* while it is measured there are none */
			m.planes[i] += product->first * m.strides[i];
	}
	if (m.factors != NULL)
		m.factors += product->first / m.height;
	m.rows = rows;
	return (struct backend_product){ .matrix = m,
		.rows = rows,
		.bias = floats(w, product->bias, (size_t)rows),
		.out = product->out,
		.out_stride = product->out_stride != 0 ? product->out_stride : rows,
		.add = product->add };
}

#define PRODUCTS_MAX 8u

/* Of `n` products those that multiply the same rows as the first. */
static size_t together(const struct product *products, size_t n)
{
	size_t i = 1;

	while (i < n && i < PRODUCTS_MAX && products[i].in == products[0].in)
		i++;
	return i;
}

void device_matmul(
    struct worker *w, const struct product *products, size_t n, const struct acts *in)
{
	struct device *d = w->pass->device;
	struct backend_product all[PRODUCTS_MAX];

	for (size_t some; n > 0; products += some, n -= some) {
		const struct acts *rows = products->in != NULL ? products->in : in;
		const struct backend_acts forms =
		    device_forms(d, rows, (size_t)products->weight->dims[0]);

		some = together(products, n);
		for (size_t i = 0; i < some; i++)
			all[i] = product_of(w, &products[i]);
		if (device_runs(d))
			d->api->matmul(d->backend, all, (uint32_t)some, &forms);
	}
}

static void gated(struct worker *w, const struct gguf_tensor *gate, const struct gguf_tensor *up,
    enum activation kind, const struct acts *in, float *gate_out, float *up_out, struct acts *out)
{
	struct device *d = w->pass->device;
	const struct model *m = w->pass->model;
	const struct backend_matrix g = device_matrix(w, gate), u = device_matrix(w, up);
	const float *gelu = kind == ACT_GELU_GATED ? floats(w, m->gelu, GELU_VALUES) : NULL;
	const struct backend_acts forms_in = device_forms(d, in, m->n_embd);
	const struct backend_acts forms_out = device_forms(d, out, (size_t)gate->dims[1]);

	if (device_runs(d))
		d->api->gated(d->backend, &g, &u, (enum backend_activation)kind, gelu, &forms_in,
		    gate_out, up_out, &forms_out);
}

void device_norm_gated(struct worker *w, const float *norm, const struct gguf_tensor *gate,
    const struct gguf_tensor *up)
{
	struct pass *p = w->pass;

	device_norm(w, norm, &p->normed);
	gated(w, gate, up, p->model->gelu != NULL ? ACT_GELU_GATED : ACT_SILU_GATED, &p->normed,
	    p->gate, p->up, &p->hidden);
}

void device_logits(struct worker *w)
{
	struct pass *p = w->pass;
	struct device *d = p->device;
	const struct model *m = p->model;
	const float *norm = floats(w, m->output_norm, m->n_embd);
	const struct backend_product output =
	    product_of(w, &(struct product){ .weight = m->output });
	enum backend_class class_ = d->class_;
	struct backend_acts forms;

	if (!device_runs(d))
		return;
	d->class_ = BACKEND_ANSWER; /* logits of all rows are multiplied as an answer's */
	forms = device_forms(d, &p->normed, m->n_embd);
	d->class_ = class_;
	d->api->norm(d->backend, p->x, norm, m->n_embd, m->norm_eps, true, &forms);
	d->api->logits(d->backend, &output, m->logit_softcap, &forms);
	if (p->embeddings == NULL)
		return;
	forms = (struct backend_acts){ .f32 = p->normed.f32 };
	d->api->norm(d->backend, p->x, norm, m->n_embd, m->norm_eps, false, &forms);
}

/* Bytes from one place of a cache to another. */
static uint64_t apart(const uint8_t *from, const uint8_t *to)
{
	return (uint64_t)(to - from);
}

static void describe_cache(const struct pass *p, uint32_t il, struct backend_attention *a)
{
	const struct cache *c = p->cache;
	const struct layer *l = &p->model->layers[il];
	uint32_t at = il - l->kv_back;

	a->type = (enum backend_cache)c->type;
	a->keys = cache_keys(c, at, 0, 0);
	a->values = cache_values(c, at, 0, 0);
	a->keys_head = apart(a->keys, cache_keys(c, at, 0, 1));
	a->values_head = apart(a->values, cache_values(c, at, 0, 1));
	a->keys_seq = apart(a->keys, cache_keys(c, at, 1, 0));
	a->values_seq = apart(a->values, cache_values(c, at, 1, 0));
	a->cells = cache_cells(c, at);
}

static void attend(struct worker *w, uint32_t il, const struct backend_acts *out)
{
	struct pass *p = w->pass;
	struct device *d = p->device;
	const struct model *m = p->model;
	const struct layer *l = &m->layers[il];
	const struct rope *rope = l->rope == LAYER_ROPE_LOCAL ? &m->rope_local : &m->rope;
	struct backend_attention a = {
		.q = p->q,
		.k = p->k,
		.v = p->v,
		.q_norm = floats(w, l->q_norm, l->head_dim_k),
		.k_norm = floats(w, l->k_norm, l->head_dim_k),
		.norm_eps = m->norm_eps,
		.v_is_k = l->v == NULL,
		.v_in_k = l->v_in_k,
		.v_norm = l->v_norm,
		.store = l->kv_back == 0,
		.rotate = l->rope != LAYER_ROPE_NONE,
		.halves = rope->halves,
		.rope = l->rope == LAYER_ROPE_LOCAL ? p->rope_local : p->rope,
		.n_rot = rope->n_rot,
		.temp_scale = m->temp_scale,
		.temp_step = m->temp_step,
		.n_head = l->n_head,
		.n_head_kv = l->n_head_kv,
		.dk = l->head_dim_k,
		.dv = l->head_dim_v,
		.window = l->window,
		.scale = m->attn_scale,
		.softcap = m->attn_softcap,
		.sinks = floats(w, l->sinks, l->n_head),
		.out = *out,
	};

	if (!device_runs(d))
		return;
	describe_cache(p, il, &a);
	d->api->attention(d->backend, &a);
}

void device_attention(struct worker *w, uint32_t il)
{
	struct pass *p = w->pass;
	const struct layer *l = &p->model->layers[il];
	const struct backend_acts out =
	    device_forms(p->device, &p->mixed, (size_t)l->n_head * l->head_dim_v);

	attend(w, il, &out);
}

void device_attend(struct worker *w, uint32_t il)
{
	attend(w, il, &(struct backend_acts){ .f32 = w->pass->mixed.f32 });
}

/* Shared experts' last product is added to the stream, or first weighed by a gate. */
static void shared_experts(struct worker *w, const struct experts *e)
{
	struct pass *p = w->pass;
	struct routed *r = &p->routed;
	const enum activation kind = p->model->moe.activation;
	const struct product up = { .weight = e->shared_up, .out = r->shared_up };
	const struct product scale = { .weight = e->shared_scale, .out = r->shared_scale };
	const struct product down = { .weight = e->shared_down,
		.out = e->shared_scale != NULL ? r->shared : p->x,
		.add = e->shared_scale == NULL };

	if (e->shared_gate != NULL) {
		gated(w, e->shared_gate, e->shared_up, kind, &p->normed, r->shared_gate,
		    r->shared_up, &r->shared_hidden);
	} else {
		device_matmul(w, &up, 1, &p->normed);
		device_activate(w, (enum backend_activation)kind, NULL, r->shared_up,
		    e->n_ff_shared, &r->shared_hidden);
	}
	device_matmul(w, &down, 1, &r->shared_hidden);
	if (e->shared_scale == NULL)
		return;
	device_matmul(w, &scale, 1, &p->normed);
	device_blend(w, &(struct backend_blend){ .to = p->x,
			    .keep = 1.0f,
			    .from = r->shared,
			    .times = 1.0f,
			    .gate = r->shared_scale,
			    .n = p->model->n_embd });
}

/* The network of experts as the backend takes it. */
static struct backend_experts describe_experts(struct worker *w, const struct experts *e)
{
	struct pass *p = w->pass;
	const struct moe *moe = &p->model->moe;
	size_t n_expert = moe->n_expert, n = moe->n_latent > 0 ? moe->n_latent : p->model->n_embd;
	struct backend_experts x = {
		.scores = p->routed.scores,
		.n_expert = moe->n_expert,
		.n_used = moe->n_used,
		.n_group = moe->n_group,
		.n_group_used = moe->n_group_used,
		.gating = moe->gating,
		.norm = moe->norm,
		.scale = moe->scale,
		.choice_bias = floats(w, e->choice_bias, n_expert),
		.activation = (enum backend_activation)moe->activation,
		.gelu = moe->activation == ACT_GELU_GATED ? floats(w, p->model->gelu, GELU_VALUES)
							  : NULL,
		.n = (uint32_t)n,
		.n_ff = e->n_ff,
		.up = device_matrix(w, e->up),
		.down = device_matrix(w, e->down),
		.up_height = e->up->dims[1],
		.gated = e->gate != NULL,
		.gate_bias = floats(w, e->gate_bias, n_expert * e->n_ff),
		.up_bias = floats(w, e->up_bias, n_expert * e->n_ff),
		.down_bias = floats(w, e->down_bias, n_expert * n),
		.in =
		    device_forms(p->device, moe->n_latent > 0 ? &p->routed.latent : &p->normed, n),
		.x = moe->n_latent > 0 ? p->routed.latent_out : p->x,
	};

	if (e->gate != NULL)
		x.gate = device_matrix(w, e->gate);
	return x;
}

void device_experts(struct worker *w, uint32_t il)
{
	struct pass *p = w->pass;
	struct device *d = p->device;
	struct routed *r = &p->routed;
	const size_t n_latent = p->model->moe.n_latent;
	const struct experts *e = p->model->layers[il].experts;
	const struct product router = {
		.weight = e->router, .bias = e->router_bias, .out = r->scores
	};
	const struct product narrow = { .weight = e->latent_down, .out = r->latent.f32 };
	const struct product widen = { .weight = e->latent_up, .out = p->x, .add = true };
	const struct backend_experts x = describe_experts(w, e);

	device_matmul(w, &router, 1, e->router_norm != NULL ? &r->router_in : &p->normed);
	if (e->latent_down != NULL) {
		device_matmul(w, &narrow, 1, &p->normed);
		device_shape(w, r->latent.f32, n_latent, 1, &r->latent);
		device_blend(
		    w, &(struct backend_blend){ .to = r->latent_out, .n = (uint32_t)n_latent });
	}
	if (device_runs(d))
		d->api->experts(d->backend, &x);
	if (e->shared_up != NULL)
		shared_experts(w, e);
	if (e->latent_up != NULL) {
		device_shape(w, r->latent_out, n_latent, 1, &r->latent);
		device_matmul(w, &widen, 1, &r->latent);
	}
}
