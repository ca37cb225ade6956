/* Checked access to a model's keys and tensors. */
#include "model/bind.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kernels/exact.h"
#include "kernels/kernels.h"
#include "model/factor.h"

#define UNSET_U32 UINT32_MAX

static void full_key(const struct model *m, const char *key, char out[GGUF_KEY_BYTES_MAX])
{
	(void)snprintf(out, GGUF_KEY_BYTES_MAX, "%s.%s", m->arch->name, key);
}

static void full_name(int layer, const char *name, char out[GGUF_NAME_BYTES_MAX + 1])
{
	if (layer == BIND_GLOBAL)
		(void)snprintf(out, GGUF_NAME_BYTES_MAX + 1, "%s", name);
	else
		(void)snprintf(out, GGUF_NAME_BYTES_MAX + 1, "blk.%d.%s", layer, name);
}

/* `*out` is left alone when the value means "unset". */
static enum rc take_u32(const struct gguf_pair *pair, uint64_t i, const char *key, uint32_t max,
    uint32_t *out, struct errmsg *why)
{
	int64_t value = 0;

	if (!gguf_item_i64(pair, i, &value))
		return errmsg_rc(why, RC_INVALID, "GGUF: key %s: expected a number%s", key,
		    pair->type == GGUF_ARRAY ? " for each layer" : "");
	if (value == 0 || value == -1 || value == UNSET_U32)
		return RC_OK;
	if (value < 0 || value > max)
		return errmsg_rc(why, RC_LIMIT, "GGUF: key %s: %" PRId64 " (limit %" PRIu32 ")",
		    key, value, max);
	*out = (uint32_t)value;
	return RC_OK;
}

enum rc bind_u32_layer(struct model *m, const char *key, uint32_t layer, uint32_t max,
    uint32_t fallback, uint32_t *out, struct errmsg *why)
{
	char name[GGUF_KEY_BYTES_MAX];
	const struct gguf_pair *pair;

	full_key(m, key, name);
	pair = gguf_find(m->gguf, name);
	*out = fallback;
	if (pair == NULL)
		return RC_OK;
	return take_u32(pair, pair->type == GGUF_ARRAY ? layer : 0, name, max, out, why);
}

enum rc bind_u32_or(struct model *m, const char *key, uint32_t max, uint32_t fallback,
    uint32_t *out, struct errmsg *why)
{
	char name[GGUF_KEY_BYTES_MAX];
	const struct gguf_pair *pair;

	full_key(m, key, name);
	pair = gguf_find(m->gguf, name);
	*out = fallback;
	if (pair == NULL)
		return RC_OK;
	if (pair->type == GGUF_ARRAY)
		return errmsg_rc(why, RC_INVALID, "GGUF: key %s: expected a number", name);
	return take_u32(pair, 0, name, max, out, why);
}

enum rc bind_u32(struct model *m, const char *key, uint32_t max, uint32_t *out, struct errmsg *why)
{
	uint32_t value = 0;
	enum rc rc = bind_u32_or(m, key, max, 0, &value, why);

	if (rc != RC_OK)
		return rc;
	if (value == 0)
		return errmsg_rc(why, RC_INVALID, "GGUF: key %s.%s is missing", m->arch->name, key);
	*out = value;
	return RC_OK;
}

enum rc bind_f32_or(
    struct model *m, const char *key, float fallback, float *out, struct errmsg *why)
{
	char name[GGUF_KEY_BYTES_MAX];
	float value = 0;
	enum rc rc;

	full_key(m, key, name);
	rc = gguf_get_f32(m->gguf, name, &value, why);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return rc;
	*out = value != 0 ? value : fallback;
	return RC_OK;
}

enum rc bind_bool_or(struct model *m, const char *key, bool fallback, bool *out, struct errmsg *why)
{
	char name[GGUF_KEY_BYTES_MAX];
	enum rc rc;

	full_key(m, key, name);
	*out = fallback;
	rc = gguf_get_bool(m->gguf, name, out, why);
	return rc == RC_NOTFOUND ? RC_OK : rc;
}

static enum rc find(struct model *m, int layer, const char *name, uint64_t n_stack, uint64_t n_rows,
    uint64_t n, const struct gguf_tensor **out, struct errmsg *why)
{
	char full[GGUF_NAME_BYTES_MAX + 1];
	const struct gguf_tensor *t;

	full_name(layer, name, full);
	t = gguf_find_tensor(m->gguf, full);
	if (t == NULL)
		return errmsg_rc(why, RC_INVALID, "GGUF: tensor %s is missing", full);
	if (t->dims[0] != n || t->dims[1] != n_rows || t->dims[2] != n_stack || t->dims[3] != 1)
		return errmsg_rc(why, RC_INVALID,
		    "GGUF: tensor %s is [%" PRIu64 ", %" PRIu64 ", %" PRIu64 ", %" PRIu64
		    "], expected [%" PRIu64 ", %" PRIu64 "]%s",
		    full, t->dims[0], t->dims[1], t->dims[2], t->dims[3], n, n_rows,
		    n_stack > 1 ? " for each expert or head" : "");
	*out = t;
	return RC_OK;
}

enum rc bind_factors(struct model *m, int layer, const char *name,
    const struct gguf_tensor **matrix, struct errmsg *why)
{
	char full[GGUF_NAME_BYTES_MAX + 1];

	full_name(layer, name, full);
	return factor_bind(m, full, matrix, why);
}

/* Of NAME.weight, from NAME.scale. */
static enum rc take_factors(struct model *m, int layer, const char *name,
    const struct gguf_tensor **matrix, struct errmsg *why)
{
	static const char suffix[] = ".weight";
	const size_t len = strlen(name), stem = len - (sizeof(suffix) - 1);
	char scale[GGUF_NAME_BYTES_MAX + 1 - sizeof("blk.1234567890.")];

	if (m->moe.beside && strcmp(name, "ffn_gate_inp.weight") == 0)
		return RC_OK; /* there it is of what the router reads */
	if (len < sizeof(suffix) || strcmp(name + stem, suffix) != 0)
		return RC_OK;
	(void)snprintf(scale, sizeof(scale), "%.*s.scale", (int)stem, name);
	return bind_factors(m, layer, scale, matrix, why);
}

/* Remember that the file's tensor is multiplied with: it may be adapted. */
static enum rc note_matrix(struct model *m, const struct gguf_tensor *t)
{
	if (m->multiplied == NULL)
		m->multiplied =
		    arena_array(&m->arena, gguf_tensors_len(m->gguf), sizeof(*m->multiplied));
	if (m->multiplied == NULL)
		return RC_NOMEM;
	m->multiplied[t - gguf_tensor_at(m->gguf, 0)] = true;
	return RC_OK;
}

enum rc bind_stack(struct model *m, int layer, const char *name, uint64_t n_stack, uint64_t n_rows,
    uint64_t n, const struct gguf_tensor **out, struct errmsg *why)
{
	const struct gguf_tensor *t = NULL;
	enum kernel_form form;
	enum rc rc = find(m, layer, name, n_stack, n_rows, n, &t, why);

	if (rc != RC_OK)
		return rc;
	form = kernels_form(t->type);
	if (form == FORM_NONE)
		return errmsg_rc(why, RC_UNSUPPORTED, "GGUF: tensor %.*s: type %s is not supported",
		    (int)t->name.len, t->name.text, type_info(t->type)->name);
	m->forms |= 1u << form;
	m->row_max = n > m->row_max ? n : m->row_max;
	rc = note_matrix(m, t);
	if (rc == RC_OK)
		rc = take_factors(m, layer, name, &t, why);
	if (rc == RC_OK)
		*out = t;
	return rc;
}

enum rc bind_slice(struct model *m, const struct gguf_tensor *matrix, uint64_t first,
    uint64_t n_rows, const struct gguf_tensor **out, struct errmsg *why)
{
	size_t row_bytes = type_row_bytes(matrix->type, (size_t)matrix->dims[0]);
	struct gguf_tensor *slice;

	if (first + n_rows > matrix->dims[1])
		return errmsg_rc(why, RC_BUG, "GGUF: tensor %.*s: rows out of range",
		    (int)matrix->name.len, matrix->name.text);
	slice = arena_array(&m->arena, 1, sizeof(*slice));
	if (slice == NULL)
		return RC_NOMEM;
	*slice = *matrix;
	slice->dims[1] = n_rows;
	slice->data = matrix->data + first * row_bytes;
	slice->n_bytes = n_rows * row_bytes;
	*out = slice;
	return RC_OK;
}

enum rc bind_matrix(struct model *m, int layer, const char *name, uint64_t n_rows, uint64_t n,
    const struct gguf_tensor **out, struct errmsg *why)
{
	return bind_stack(m, layer, name, 1, n_rows, n, out, why);
}

enum rc bind_vectors(struct model *m, int layer, const char *name, uint64_t n_rows, uint64_t n,
    const float **out, struct errmsg *why)
{
	const struct gguf_tensor *t = NULL;
	enum rc rc = find(m, layer, name, 1, n_rows, n, &t, why);

	if (rc != RC_OK)
		return rc;
	if (t->type != TYPE_F32)
		return errmsg_rc(why, RC_INVALID, "GGUF: tensor %.*s: type %s, expected F32",
		    (int)t->name.len, t->name.text, type_info(t->type)->name);
	if ((uintptr_t)t->data % sizeof(float) != 0)
		return errmsg_rc(why, RC_INVALID, "GGUF: tensor %.*s: not aligned",
		    (int)t->name.len, t->name.text);
	*out = (const float *)(const void *)t->data;
	return RC_OK;
}

enum rc bind_vector(
    struct model *m, int layer, const char *name, uint64_t n, const float **out, struct errmsg *why)
{
	return bind_vectors(m, layer, name, 1, n, out, why);
}

enum rc bind_vector_or_null(
    struct model *m, int layer, const char *name, uint64_t n, const float **out, struct errmsg *why)
{
	*out = NULL;
	return bind_has(m, layer, name) ? bind_vector(m, layer, name, n, out, why) : RC_OK;
}

bool bind_has(const struct model *m, int layer, const char *name)
{
	char full[GGUF_NAME_BYTES_MAX + 1];

	full_name(layer, name, full);
	return gguf_find_tensor(m->gguf, full) != NULL;
}

static enum rc check_sizes(
    const struct model *m, uint32_t il, const struct layer *l, struct errmsg *why)
{
	if (l->n_head == 0 && !m->one_kind)
		return errmsg_rc(
		    why, RC_INVALID, "GGUF: key %s.attention.head_count is missing", m->arch->name);
	if (l->n_ff == 0 && !m->one_kind && (m->moe.n_expert == 0 || il < m->moe.n_dense))
		return errmsg_rc(
		    why, RC_INVALID, "GGUF: key %s.feed_forward_length is missing", m->arch->name);
	if (l->n_head_kv > 0 && (l->n_head == 0 || l->n_head % l->n_head_kv != 0))
		return errmsg_rc(why, RC_INVALID,
		    "GGUF: key %s.attention.head_count_kv: %u does not divide %u heads",
		    m->arch->name, l->n_head_kv, l->n_head);
	return RC_OK;
}

static enum rc layer_sizes(struct model *m, uint32_t il, struct errmsg *why)
{
	struct layer *l = &m->layers[il];
	enum rc rc =
	    bind_u32_layer(m, "attention.head_count", il, MODEL_HEADS_MAX, 0, &l->n_head, why);

	if (rc == RC_OK)
		rc = bind_u32_layer(m, "attention.head_count_kv", il, MODEL_HEADS_MAX,
		    m->one_kind ? 0 : l->n_head, &l->n_head_kv, why);
	if (rc == RC_OK)
		rc = bind_u32_layer(m, "feed_forward_length", il, MODEL_FF_MAX, 0, &l->n_ff, why);
	if (rc == RC_OK)
		rc = check_sizes(m, il, l, why);
	if (rc != RC_OK)
		return rc;
	m->n_head = l->n_head > m->n_head ? l->n_head : m->n_head;
	m->n_head_kv = l->n_head_kv > m->n_head_kv ? l->n_head_kv : m->n_head_kv;
	m->n_ff = l->n_ff > m->n_ff ? l->n_ff : m->n_ff;
	return RC_OK;
}

enum rc bind_layer_sizes(struct model *m, struct errmsg *why)
{
	enum rc rc = RC_OK;

	m->layers = arena_array(&m->arena, m->n_layer, sizeof(*m->layers));
	if (m->layers == NULL)
		return RC_NOMEM;
	for (uint32_t il = 0; rc == RC_OK && il < m->n_layer; il++)
		rc = layer_sizes(m, il, why);
	return rc;
}

enum rc bind_gelu(struct model *m)
{
	float *table = arena_array(&m->arena, EXACT_GELU_VALUES, sizeof(*table));

	if (table == NULL)
		return RC_NOMEM;
	exact_gelu_table(table);
	m->gelu = table;
	return RC_OK;
}

enum rc bind_windows(struct model *m, uint32_t window, uint32_t period, struct errmsg *why)
{
	const char *key = "attention.sliding_window_pattern";
	char name[GGUF_KEY_BYTES_MAX];
	const struct gguf_pair *pattern;
	bool flags;
	enum rc rc =
	    bind_u32_or(m, "attention.sliding_window", MODEL_CTX_MAX, window, &window, why);

	full_key(m, key, name);
	pattern = gguf_find(m->gguf, name);
	flags = pattern != NULL && pattern->type == GGUF_ARRAY;
	if (rc == RC_OK && !flags)
		rc = period > 0 ? bind_u32_or(m, key, MODEL_LAYERS_MAX, period, &period, why)
				: bind_u32(m, key, MODEL_LAYERS_MAX, &period, why);
	for (uint32_t il = 0; rc == RC_OK && il < m->n_layer; il++) {
		uint32_t local = !flags && il % period < period - 1;

		if (flags)
			rc = bind_u32_layer(m, key, il, 1, 0, &local, why);
		m->layers[il].window = local != 0 ? window : 0;
	}
	return rc;
}

/* A layer's place among those that keep as many positions. */
static void place_kv(struct model *m, struct layer *l)
{
	struct kv_sizes *kv = l->window > 0 ? &m->kv_window : &m->kv_full;

	l->keys_at = kv->keys;
	l->values_at = kv->values;
	kv->keys += (uint64_t)l->n_head_kv * l->head_dim_k;
	kv->values += l->v_in_k ? 0 : (uint64_t)l->n_head_kv * l->head_dim_v;
	m->window = l->window > m->window ? l->window : m->window;
}

enum rc bind_cache(struct model *m, struct errmsg *why)
{
	for (uint32_t il = 0; il < m->n_layer; il++) {
		struct layer *l = &m->layers[il], *from = l - l->kv_back;

		if (l->head_dim_k == 0)
			l->head_dim_k = m->head_dim_k;
		if (l->head_dim_v == 0)
			l->head_dim_v = m->head_dim_v;
		if (l->kv_back > il || l->head_dim_k > m->head_dim_k ||
		    l->head_dim_v > m->head_dim_v || l->window != from->window)
			return errmsg_rc(why, RC_BUG, "layer %u: sizes of its KV", il);
		if (l->kv_back == 0) {
			place_kv(m, l);
			continue;
		}
		l->keys_at = from->keys_at;
		l->values_at = from->values_at;
	}
	return RC_OK;
}

enum rc bind_embedding(struct model *m, struct errmsg *why)
{
	const struct gguf_tensor *embd = gguf_find_tensor(m->gguf, "token_embd.weight");
	const char *output = "output.weight";
	enum rc rc;

	if (embd == NULL)
		return errmsg_rc(why, RC_INVALID, "GGUF: tensor token_embd.weight is missing");
	if (embd->dims[1] > MODEL_VOCAB_MAX)
		return errmsg_rc(why, RC_LIMIT,
		    "GGUF: tensor token_embd.weight: %" PRIu64 " tokens (limit %u)", embd->dims[1],
		    MODEL_VOCAB_MAX);
	m->n_vocab = (uint32_t)embd->dims[1];
	rc = bind_matrix(
	    m, BIND_GLOBAL, "token_embd.weight", m->n_vocab, m->n_embd, &m->token_embd, why);
	if (rc == RC_OK)
		rc = bind_vector(
		    m, BIND_GLOBAL, "output_norm.weight", m->n_embd, &m->output_norm, why);
	if (rc == RC_OK && bind_has(m, BIND_GLOBAL, output))
		return bind_matrix(m, BIND_GLOBAL, output, m->n_vocab, m->n_embd, &m->output, why);
	m->output = m->token_embd; /* tied */
	if (rc == RC_OK && bind_has(m, BIND_GLOBAL, "output.scale"))
		return errmsg_rc(why, RC_INVALID,
		    "GGUF: tensor output.scale is there, but tensor output.weight is missing");
	return rc;
}
