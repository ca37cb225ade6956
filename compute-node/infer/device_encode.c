/* The blocks of encoders (infer/encode.h), put into a backend's queue. */
#include "infer/device_impl.h"
#include "model/encoder.h"

static const float *row_of(struct worker *w, const float *host)
{
	return device_vector(w, host, w->pass->model->n_embd, sizeof(*host));
}

/* normed = norm(a's sum). */
static void layer_norm(
    struct worker *w, const struct backend_layer_norm *sum, const struct encoder_norm *norm)
{
	struct pass *p = w->pass;
	struct device *d = p->device;
	struct backend_layer_norm a = *sum;

	a.weight = row_of(w, norm->weight);
	a.bias = row_of(w, norm->bias);
	a.n = p->model->n_embd;
	a.eps = p->model->norm_eps;
	a.to = p->normed.f32;
	a.out = device_forms(d, &p->normed, a.n);
	if (device_runs(d))
		d->api->layer_norm(d->backend, &a);
}

void device_encode_embed(struct worker *w)
{
	struct pass *p = w->pass;
	struct device *d = p->device;
	const struct model *m = p->model;
	const struct encoder *e = m->encoder;
	const struct backend_layer_norm sum = { .x = p->normed.f32,
		.more = e->positions != NULL ? p->x : NULL,
		.each = row_of(w, e->type) };
	const double *freqs =
	    device_vector(w, m->rope.freqs, m->rope.n_rot / 2, sizeof(*m->rope.freqs));

	device_rows_of(w, m->token_embd, 1.0f, p->normed.f32);
	if (e->positions != NULL) {
		const struct backend_matrix positions = device_matrix(w, e->positions);

		if (device_runs(d))
			d->api->positions(d->backend, &positions, p->x);
	} else if (device_runs(d)) {
		d->api->rotations(d->backend, freqs, m->rope.n_rot, m->rope.magnitude, p->rope);
	}
	layer_norm(w, &sum, &e->embd_norm);
}

void device_encode_add_norm(struct worker *w, const struct encoder_norm *norm)
{
	struct pass *p = w->pass;

	layer_norm(w, &(struct backend_layer_norm){ .x = p->x, .more = p->normed.f32 }, norm);
}

void device_encode_attend(struct worker *w)
{
	struct pass *p = w->pass;
	struct device *d = p->device;
	const struct model *m = p->model;
	const struct backend_texts a = { .q = p->q,
		.k = p->k,
		.v = p->v,
		.n_head = m->n_head,
		.dim = m->head_dim_k,
		.n_rot = m->encoder->positions == NULL ? m->rope.n_rot : 0,
		.halves = m->rope.halves,
		.rope = p->rope,
		.scale = m->attn_scale,
		.to = p->mixed.f32,
		.out = device_forms(d, &p->mixed, m->n_embd) };

	if (device_runs(d))
		d->api->texts(d->backend, &a);
}
