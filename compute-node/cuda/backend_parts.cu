/* The backend's slots for what only some families need (cuda/parts.h). */
#include "cuda/parts.h"

static void slot_forms(struct backend *b, const float *from, uint32_t n, uint32_t times,
    const struct backend_acts *out)
{
	const struct cuda_pass *p = backend_pass(b);

	backend_note(b, "forms", cuda_forms(p, from, n, p->n_rows * times, out));
}

static void slot_copy(struct backend *b, const struct backend_copy *copies, uint32_t n)
{
	backend_note(b, "copy", cuda_copy(backend_pass(b), copies, n));
}

static void slot_norms(struct backend *b, const struct backend_norms *n)
{
	backend_note(b, "norms", cuda_norms(backend_pass(b), n));
}

static void slot_blend(struct backend *b, const struct backend_blend *m)
{
	backend_note(b, "blend", cuda_blend(backend_pass(b), m));
}

static void slot_activate(struct backend *b, enum backend_activation kind, const float *gelu,
    const float *gate, float *up, uint32_t n, const struct backend_acts *out)
{
	backend_note(b, "activation",
	    cuda_activate_rows(backend_pass(b), kind, gelu, gate, up, n, out));
}

static void slot_stacked(struct backend *b, const struct backend_matrix *m, uint32_t n,
    const struct backend_acts *in, float *out)
{
	backend_note(b, "stack of matrices", cuda_stacked(backend_pass(b), m, n, in, out));
}

static void slot_positions(struct backend *b, const struct backend_matrix *m, float *x)
{
	backend_note(b, "positions", cuda_positions(backend_pass(b), m, x));
}

static void slot_layer_norm(struct backend *b, const struct backend_layer_norm *n)
{
	backend_note(b, "layer norm", cuda_layer_norm(backend_pass(b), n));
}

static void slot_texts(struct backend *b, const struct backend_texts *t)
{
	backend_note(b, "texts", cuda_texts(backend_pass(b), t));
}

static void slot_convolve(struct backend *b, const struct backend_recurrent *r)
{
	backend_note(b, "convolution", cuda_convolve(backend_pass(b), r));
}

static void slot_recur(struct backend *b, const struct backend_recurrent *r)
{
	backend_note(b, "recurrent heads", cuda_recur(backend_pass(b), r));
}

void backend_parts(struct backend_api *api)
{
	api->forms = slot_forms;
	api->copy = slot_copy;
	api->norms = slot_norms;
	api->blend = slot_blend;
	api->activate = slot_activate;
	api->stacked = slot_stacked;
	api->positions = slot_positions;
	api->layer_norm = slot_layer_norm;
	api->texts = slot_texts;
	api->convolve = slot_convolve;
	api->recur = slot_recur;
}
