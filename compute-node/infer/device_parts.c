/* Parts of a pass that only some families have, put into a backend's queue. */
#include "infer/device_impl.h"

#define GELU_VALUES 65536u

bool device_measures(const struct worker *w)
{
	return !device_runs(w->pass->device);
}

void device_take(struct worker *w, struct acts *out)
{
	device_shape(w, w->pass->x, w->pass->model->n_embd, 1, out);
}

void device_shape(struct worker *w, const float *from, size_t n, size_t times, struct acts *out)
{
	struct device *d = w->pass->device;
	const struct backend_acts forms = device_forms(d, out, n);

	if (device_runs(d))
		d->api->forms(d->backend, from, (uint32_t)n, (uint32_t)times, &forms);
}

void device_rows_of(struct worker *w, const struct gguf_tensor *tensor, float scale, float *out)
{
	struct device *d = w->pass->device;
	const struct backend_matrix m = device_matrix(w, tensor);

	if (device_runs(d))
		d->api->embed(d->backend, &m, scale, out);
}

void device_copy(struct worker *w, const struct backend_copy *copies, size_t n)
{
	struct device *d = w->pass->device;

	for (size_t at = 0; device_runs(d) && at < n; at += BACKEND_COPIES)
		d->api->copy(d->backend, copies + at,
		    (uint32_t)(n - at < BACKEND_COPIES ? n - at : BACKEND_COPIES));
}

void device_norms(struct worker *w, const struct backend_norms *norms, struct acts *out)
{
	struct device *d = w->pass->device;
	struct backend_norms n = *norms;
	size_t width = (size_t)n.items * n.n;

	n.weight = device_vector(w, n.weight, (size_t)n.weights * n.n, sizeof(*n.weight));
	n.eps = n.eps != 0 ? n.eps : w->pass->model->norm_eps;
	if (out != NULL)
		n.out = device_forms(d, out, width);
	if (device_runs(d))
		d->api->norms(d->backend, &n);
}

void device_blend(struct worker *w, const struct backend_blend *m)
{
	struct device *d = w->pass->device;

	if (device_runs(d))
		d->api->blend(d->backend, m);
}

void device_activate(struct worker *w, enum backend_activation kind, const float *gate, float *up,
    size_t n, struct acts *out)
{
	struct device *d = w->pass->device;
	const struct backend_acts forms = device_forms(d, out, n);
	const float *gelu = kind == BACKEND_GELU_GATED
				? device_vector(w, w->pass->model->gelu, GELU_VALUES, sizeof(*gelu))
				: NULL;

	if (device_runs(d))
		d->api->activate(d->backend, kind, gelu, gate, up, (uint32_t)n, &forms);
}

void device_stacked(
    struct worker *w, const struct gguf_tensor *stack, const struct acts *in, float *out)
{
	struct device *d = w->pass->device;
	const struct backend_matrix m = device_matrix(w, stack);
	const struct backend_acts forms = device_forms(d, in, (size_t)stack->dims[0]);

	if (device_runs(d))
		d->api->stacked(d->backend, &m, (uint32_t)stack->dims[2], &forms, out);
}

static struct backend_recurrent describe(struct worker *w, uint32_t il)
{
	const struct pass *p = w->pass;
	const struct recurrent *r = &p->model->recurrent;
	const struct mixer *mix = p->model->layers[il].mixer;
	const size_t n_conv = (size_t)r->n_channel * (r->n_conv + 1);

	return (struct backend_recurrent){
		.in = p->recur.in,
		.n_conv = r->n_conv,
		.n_channel = r->n_channel,
		.n_head = r->n_head,
		.head_dim = r->head_dim,
		.n_group = r->n_group,
		.n_state = r->n_state,
		.conv = device_vector(w, mix->conv, n_conv, sizeof(float)),
		.conv_bias = device_vector(w, mix->conv_bias, r->n_channel, sizeof(float)),
		.delta = mix->d == NULL,
		.tiled = r->tiled,
		.a = device_vector(w, mix->a, r->n_head, sizeof(float)),
		.dt = device_vector(w, mix->dt, r->n_head, sizeof(float)),
		.d = device_vector(w, mix->d, r->n_head, sizeof(float)),
		.alpha = p->recur.alpha,
		.beta = p->recur.beta,
		.rates = p->recur.rates,
		.z = mix->d != NULL ? p->recur.z : NULL,
		.eps = p->model->norm_eps,
		.out = p->recur.out.f32,
	};
}

/* Where the state lies; nothing while measuring. */
static void find_state(const struct worker *w, uint32_t il, struct backend_recurrent *r)
{
	const struct state *s = w->pass->state;
	uint32_t layer = w->pass->model->layers[il].mixer->index;

	r->state = state_conv(s, layer, 0);
	r->state_seq = s->n_conv + s->n_heads;
}

void device_convolve(struct worker *w, uint32_t il)
{
	struct device *d = w->pass->device;
	struct backend_recurrent r = describe(w, il);

	if (!device_runs(d))
		return;
	find_state(w, il, &r);
	d->api->convolve(d->backend, &r);
}

/* The delta rule's heads are normed each by itself and gated then, Mamba-2's are gated
 * before they are normed in groups. */
void device_recur(struct worker *w, uint32_t il)
{
	struct pass *p = w->pass;
	struct device *d = p->device;
	const struct recurrent *s = &p->model->recurrent;
	const struct mixer *mix = p->model->layers[il].mixer;
	struct backend_recurrent r = describe(w, il);
	const uint32_t inner = s->n_head * s->head_dim, items = r.delta ? s->n_head : s->n_group;
	const struct backend_norms norms = { .x = p->recur.out.f32,
		.x_row = inner,
		.x_item = inner / items,
		.items = items,
		.n = inner / items,
		.weight = mix->norm,
		.weights = r.delta ? 1 : s->n_group,
		.gate = r.delta ? p->recur.z : NULL,
		.to = p->recur.out.f32 };

	if (device_runs(d)) {
		find_state(w, il, &r);
		d->api->recur(d->backend, &r);
	}
	device_norms(w, &norms, &p->recur.out);
}
