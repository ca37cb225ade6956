/* Weights, cache and memory of a model on a device. */
#include "infer/device.h"

#include <stdlib.h>
#include <string.h>

#include "infer/device_impl.h"
#include "model/decoder.h"

#define TABLE_FIRST 256u
#define VECTOR_ALIGN ((uint64_t)256)
#define WIDTH_STEP 4u     /* rows are written in groups of so many */
#define STATE_MAX 256u    /* rows of a recurrent head's matrix */
#define TEXT_DIM_MAX 256u /* of a head of an encoder */
#define PAD 64u           /* of halves, as CUDA_F16_PAD */

static void fail(struct device *d, enum rc rc)
{
	if (d->failed == RC_OK)
		d->failed = rc;
}

static uint64_t round_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

/* ---- what a walk meets ---- */

static enum rc grow(void **items, size_t *cap, size_t size)
{
	size_t more = *cap > 0 ? *cap * 2 : TABLE_FIRST;
	void *bigger = realloc(*items, more * size);

	if (bigger == NULL)
		return RC_NOMEM;
	*items = bigger;
	*cap = more;
	return RC_OK;
}

static enum rc check_type(struct device *d, const struct gguf_tensor *t)
{
	if (d->api->computes(t->type) && t->dims[0] <= UINT32_MAX)
		return RC_OK;
	return errmsg_rc(&d->why, RC_UNSUPPORTED, "backend %s: tensor %.*s: no kernels for type %s",
	    d->api->name, (int)t->name.len, t->name.text, type_info(t->type)->name);
}

static bool is_block_type(enum tensor_type type)
{
	return type != TYPE_F32 && type != TYPE_F16 && type != TYPE_BF16;
}

static enum rc place(struct device *d, struct device_matrix *m)
{
	uint64_t bytes = d->api->matrix_bytes(m->tensor->type, m->tensor->dims[0], m->rows);
	void *at = NULL;
	enum rc rc = d->api->take(d->backend, bytes, &at, &d->why);

	if (rc == RC_OK)
		rc = d->api->place(d->backend, m->tensor->type, m->tensor->dims[0], m->rows,
		    m->host, at, &m->on_device, &d->why);
	return rc;
}

static enum rc meet_matrix(struct device *d, const struct gguf_tensor *t, uint64_t rows)
{
	struct device_matrix m = { .host = t->data, .rows = rows, .tensor = t };
	uint64_t weights = round_up(t->dims[0], PAD) * rows;
	enum rc rc = check_type(d, t);

	if (rc == RC_OK && d->matrices_len == d->matrices_cap)
		rc = grow((void **)&d->matrices, &d->matrices_cap, sizeof(*d->matrices));
	if (rc == RC_OK && d->walk == WALK_PLACE)
		rc = place(d, &m);
	if (rc != RC_OK)
		return rc;
	d->matrices[d->matrices_len++] = m;
	d->weights_bytes += d->api->matrix_bytes(t->type, t->dims[0], rows);
	d->quantised = d->quantised || is_block_type(t->type);
	d->floats = d->floats || !is_block_type(t->type);
	d->f32 = d->f32 || t->type == TYPE_F32;
	if (t != d->model->output && t != d->model->token_embd && t != d->model->per_layer_embd &&
	    weights > d->matrix_weights)
		d->matrix_weights = weights;
	return RC_OK;
}

static uint64_t rows_of(const struct gguf_tensor *t)
{
	return t->dims[1] * t->dims[2] * t->dims[3];
}

static struct device_matrix *find_matrix(struct device *d, const struct gguf_tensor *t)
{
	for (size_t i = 0; i < d->matrices_len; i++) {
		if (d->matrices[i].host == t->data && d->matrices[i].rows == rows_of(t))
			return &d->matrices[i];
	}
	return NULL;
}

struct backend_matrix device_matrix(struct worker *w, const struct gguf_tensor *t)
{
	struct device *d = w->pass->device;
	struct device_matrix *m = find_matrix(d, t);
	struct backend_matrix out = { .type = t->type };

	if (m == NULL && d->failed == RC_OK) {
		enum rc rc = d->walk == WALK_RUN
				 ? errmsg_rc(&d->why, RC_BUG, "a matrix that was not placed")
				 : meet_matrix(d, t, rows_of(t));

		if (rc != RC_OK)
			fail(d, rc);
		m = rc == RC_OK ? &d->matrices[d->matrices_len - 1] : NULL;
	}
	if (m == NULL)
		return out;
	out = m->on_device;
	if (t->factors != NULL) {
		out.factors = device_vector(w, t->factors, (size_t)t->dims[2], sizeof(float));
		out.height = t->dims[1];
	}
	return out;
}

static enum rc meet_vector(struct device *d, const void *host, uint64_t bytes)
{
	struct device_vector v = { .host = host, .bytes = bytes };
	enum rc rc = RC_OK;

	if (d->vectors_len == d->vectors_cap)
		rc = grow((void **)&d->vectors, &d->vectors_cap, sizeof(*d->vectors));
	if (rc == RC_OK && d->walk == WALK_PLACE)
		rc = d->api->take(d->backend, bytes, &v.on_device, &d->why);
	if (rc == RC_OK && d->walk == WALK_PLACE)
		rc = d->api->upload(d->backend, v.on_device, host, bytes, &d->why);
	if (rc != RC_OK)
		return rc;
	d->vectors[d->vectors_len++] = v;
	d->weights_bytes += round_up(bytes, VECTOR_ALIGN);
	return RC_OK;
}

const void *device_vector(struct worker *w, const void *host, size_t n, size_t size)
{
	struct device *d = w->pass->device;
	enum rc rc;

	if (host == NULL)
		return NULL;
	for (size_t i = 0; i < d->vectors_len; i++) {
		if (d->vectors[i].host == host && d->vectors[i].bytes >= n * size)
			return d->vectors[i].on_device;
	}
	if (d->failed != RC_OK)
		return NULL;
	rc = d->walk == WALK_RUN ? errmsg_rc(&d->why, RC_BUG, "a vector that was not placed")
				 : meet_vector(d, host, n * size);
	if (rc == RC_OK)
		return d->vectors[d->vectors_len - 1].on_device;
	fail(d, rc);
	return NULL;
}

/* ---- memory of passes ---- */

static struct backend_sizes sizes_of(const struct device *d, const struct engine_config *config)
{
	const struct model *m = d->model;
	const struct pass_layers layers = pass_layers_of(m, config);

	return (struct backend_sizes){
		.n_rows = config->n_ubatch,
		.n_wanted =
		    config->n_seq > BACKEND_ANSWER_ROWS ? config->n_seq : BACKEND_ANSWER_ROWS,
		.n_ctx = config->n_ctx,
		.n_vocab = m->n_vocab,
		.n_head = m->n_head,
		.dv = m->head_dim_v,
		.matrix_weights = d->matrix_weights,
		.n_expert = m->moe.n_expert,
		.n_used = m->moe.n_used,
		.n_expert_in = m->moe.n_latent > 0 ? m->moe.n_latent : m->n_embd,
		.n_expert_ff = m->moe.n_ff,
		.n_stack = m->latent.absorbed ? m->n_head : 0,
		.n_layer = layers.end - layers.first,
		.n_answers = m->encoder == NULL ? config->n_seq : 0,
	};
}

/* ---- what can be computed there ---- */

/* Where the CPU computes the first layers. */
static enum rc check_shared(
    const struct device *d, const struct engine_config *config, struct errmsg *why)
{
	const struct model *m = d->model;

	if (config->n_host_layers == 0)
		return RC_OK;
	if (m->arch->forward != decoder_forward || m->recurrent.n_layer > 0 ||
	    config->n_host_layers >= m->n_layer)
		return errmsg_rc(why, RC_UNSUPPORTED,
		    "backend %s: %u of %u layers of %s cannot be left to the CPU", d->api->name,
		    config->n_host_layers, m->n_layer, m->arch->name);
	for (uint32_t il = config->n_host_layers; il < m->n_layer; il++) {
		if (m->layers[il].kv_back > il - config->n_host_layers)
			return errmsg_rc(why, RC_UNSUPPORTED,
			    "backend %s: layer %u reads the KV of one that the CPU computes",
			    d->api->name, il);
	}
	return RC_OK;
}

static enum rc check_layer(const struct device *d, uint32_t il, struct errmsg *why)
{
	const struct layer *l = &d->model->layers[il];
	const struct experts *e = l->experts;

	if (l->head_dim_k % WIDTH_STEP != 0 || l->head_dim_v % WIDTH_STEP != 0 ||
	    l->n_ff % WIDTH_STEP != 0 || (e != NULL && e->n_ff % WIDTH_STEP != 0))
		return errmsg_rc(why, RC_UNSUPPORTED,
		    "backend %s: layer %u is %u, %u and %u wide, which are no multiples of %u",
		    d->api->name, il, l->head_dim_k, l->head_dim_v, l->n_ff, WIDTH_STEP);
	return RC_OK;
}

/* A head's matrix stands in registers. */
static enum rc check_recurrent(const struct device *d, struct errmsg *why)
{
	const struct recurrent *r = &d->model->recurrent;
	uint32_t n = r->n_state;

	if (r->n_layer == 0 ||
	    (r->head_dim % WIDTH_STEP == 0 && n % WIDTH_STEP == 0 && n <= STATE_MAX))
		return RC_OK;
	return errmsg_rc(why, RC_UNSUPPORTED,
	    "backend %s: no kernels for recurrent heads of %s that are %u by %u", d->api->name,
	    d->model->arch->name, n, r->head_dim);
}

static enum rc check(const struct device *d, struct errmsg *why)
{
	const struct model *m = d->model;
	const struct latent_sizes *s = &m->latent;
	const uint32_t widths[] = { m->n_embd, m->n_per_layer, m->moe.n_latent, m->moe.n_ff_shared,
		s->n_rank, s->n_q_rank, s->n_nope, s->n_value };
	enum rc rc = check_recurrent(d, why);

	if (m->encoder != NULL && m->head_dim_k > TEXT_DIM_MAX)
		return errmsg_rc(why, RC_UNSUPPORTED,
		    "backend %s: no kernels for texts in %s, whose heads are %u wide", d->api->name,
		    m->arch->name, m->head_dim_k);
	for (size_t i = 0; rc == RC_OK && i < sizeof(widths) / sizeof(widths[0]); i++) {
		if (widths[i] % WIDTH_STEP != 0)
			rc = errmsg_rc(why, RC_UNSUPPORTED,
			    "backend %s: rows of %u in %s, which is no multiple of %u",
			    d->api->name, widths[i], m->arch->name, WIDTH_STEP);
	}
	for (uint32_t il = 0; rc == RC_OK && il < m->n_layer; il++)
		rc = check_layer(d, il, why);
	return rc;
}

/* Let the architecture name all that it uses. */
static enum rc walk(struct device *d, struct pass *p, struct errmsg *why)
{
	struct worker worker = { .pass = p };

	d->failed = RC_OK;
	errmsg_reset(&d->why);
	d->matrices_len = d->vectors_len = 0;
	d->weights_bytes = d->matrix_weights = 0;
	p->device = d;
	p->model = d->model;
	p->n_rows = 1;
	d->model->arch->forward(&worker);
	if (d->failed != RC_OK)
		errmsg_set(why, "%s", errmsg_text(&d->why, d->failed));
	return d->failed;
}

static void release(struct device *d)
{
	if (d->backend != NULL)
		d->api->close(d->backend);
	if (d->rows != NULL)
		free(d->rows);
	free(d->matrices);
	free(d->vectors);
	free(d);
}

static enum rc open_device(const struct model *m, const struct engine_config *config,
    struct device **out, struct errmsg *why)
{
	struct device *d = calloc(1, sizeof(*d));
	enum rc rc;

	if (d == NULL)
		return RC_NOMEM;
	d->api = config->backend;
	d->model = m;
	rc = check(d, why);
	if (rc == RC_OK)
		rc = check_shared(d, config, why);
	if (rc != RC_OK) {
		release(d);
		return rc;
	}
	*out = d;
	return RC_OK;
}

enum rc device_measure(const struct model *m, const struct engine_config *config,
    struct engine_plan *out, struct errmsg *why)
{
	struct layout at = { .base = NULL };
	struct pass pass = { .layers = pass_layers_of(m, config) };
	struct backend_sizes sizes;
	struct device *d = NULL;
	enum rc rc = open_device(m, config, &d, why);

	if (rc != RC_OK)
		return rc;
	d->walk = WALK_MEASURE;
	rc = walk(d, &pass, why);
	device_lay(&at, m, config->n_ubatch, &pass);
	sizes = sizes_of(d, config);
	out->weights_bytes = d->weights_bytes;
	out->scratch_bytes = at.used + d->api->work_bytes(&sizes);
	out->graph_bytes = d->api->graph_bytes(&sizes);
	if (rc == RC_OK && at.overflow)
		rc = errmsg_rc(why, RC_LIMIT, "scratch is larger than any memory");
	release(d);
	return rc;
}

static enum rc take_pass(struct device *d, const struct engine_config *config, struct pass *p,
    struct cache *cache, struct errmsg *why)
{
	struct layout at = { .base = NULL };
	struct backend_sizes sizes = sizes_of(d, config);
	struct state *state = p->state;
	void *memory = NULL;
	enum rc rc;

	device_lay(&at, d->model, config->n_ubatch, p);
	if (at.overflow)
		return errmsg_rc(why, RC_LIMIT, "scratch is larger than any memory");
	rc = d->api->take(d->backend, at.used, &memory, why);
	if (rc == RC_OK) {
		d->scratch = memory;
		d->scratch_bytes = at.used;
		at = (struct layout){ .base = memory };
		device_lay(&at, d->model, config->n_ubatch, p);
		rc = d->api->take(d->backend, cache->keys_bytes, &memory, why);
		cache->keys = memory;
		cache->device = d;
	}
	if (rc == RC_OK) {
		rc = d->api->take(d->backend, cache->values_bytes, &memory, why);
		cache->values = memory;
	}
	if (rc == RC_OK && state->bytes > 0) {
		rc = d->api->take(d->backend, state->bytes, &memory, why);
		state->floats = memory;
		state->device = d;
	}
	if (rc == RC_OK)
		rc = d->api->work(d->backend, &sizes, why);
	d->n_places = sizes.n_wanted;
	d->rows = calloc(config->n_ubatch, sizeof(*d->rows));
	return rc == RC_OK && d->rows == NULL ? RC_NOMEM : rc;
}

enum rc device_new(const struct model *m, const struct engine_config *config, struct pass *pass,
    struct cache *cache, struct device **out, struct errmsg *why)
{
	struct device *d = NULL;
	enum rc rc = open_device(m, config, &d, why);

	if (rc != RC_OK)
		return rc;
	rc = d->api->open(config->device, &d->backend, why);
	if (rc == RC_OK) {
		d->api->info(d->backend, &d->info);
		d->walk = WALK_MEASURE;
		rc = walk(d, pass, why);
	}
	if (rc == RC_OK) /* memory of passes first: the weights go where room is left */
		rc = take_pass(d, config, pass, cache, why);
	if (rc == RC_OK) {
		d->walk = WALK_PLACE;
		rc = walk(d, pass, why);
		d->walk = WALK_RUN;
	}
	if (rc == RC_OK && m->encoder == NULL)
		rc = device_rehearse(d, config, pass, why);
	if (rc != RC_OK) {
		release(d);
		pass->device = cache->device = NULL;
		cache->keys = cache->values = NULL;
		pass->state->floats = NULL;
		return rc;
	}
	*out = d;
	return RC_OK;
}

void device_free(struct device *d)
{
	if (d != NULL)
		release(d);
}

const char *device_numerics(const struct device *d)
{
	return d->info.numerics;
}
