/* Checking an adapter against its base, and finding what changes a matrix. */
#include "model/adapter.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "kernels/kernels.h"
#include "model/model_impl.h"

#define SUFFIX_A ".lora_a"
#define SUFFIX_B ".lora_b"
#define SUFFIX_LEN (sizeof(SUFFIX_A) - 1)
#define KEY_BASE "hearth.base_hash"
/* Where a file's counts stand, before anything is taken for them. */
#define COUNTS_AT 8
#define CHECK_NUMBERS 256u /* looked at together */

/* Tensors of the base that may be changed: matrices that are multiplied. */
static size_t count_matrices(const struct model *m)
{
	size_t n = 0;

	for (size_t i = 0; i < gguf_tensors_len(m->gguf); i++)
		n += m->multiplied != NULL && m->multiplied[i];
	return n;
}

size_t adapter_table_bytes(const struct model *m)
{
	size_t bytes = sizeof(struct adapter) + count_matrices(m) * sizeof(struct adapter_target);

	return (bytes + ADAPTER_ALIGN - 1) / ADAPTER_ALIGN * ADAPTER_ALIGN;
}

/* Fewer than any GGUF may have: tables are made for them while it is checked. */
static enum rc check_counts(const uint8_t *bytes, size_t len, struct errmsg *why)
{
	uint64_t counts[2] = { 0 };

	if (len >= COUNTS_AT + sizeof(counts))
		memcpy(counts, bytes + COUNTS_AT, sizeof(counts));
	if (counts[0] > ADAPTER_TENSORS_MAX || counts[1] > ADAPTER_KEYS_MAX)
		return errmsg_rc(why, RC_LIMIT,
		    "adapter: %" PRIu64 " tensors (limit %u), %" PRIu64 " keys (limit %u)",
		    counts[0], ADAPTER_TENSORS_MAX, counts[1], ADAPTER_KEYS_MAX);
	return RC_OK;
}

static enum rc check_word(
    const struct gguf *g, const char *key, const char *expected, enum rc other, struct errmsg *why)
{
	struct gguf_string_view view = { NULL, 0 };
	enum rc rc = gguf_get_string(g, key, &view, why);

	if (rc == RC_NOTFOUND)
		return errmsg_rc(why, RC_INVALID, "adapter: key %s is missing", key);
	if (rc == RC_OK && !gguf_view_is(view, expected))
		return errmsg_rc(why, other, "adapter: key %s: not %s", key, expected);
	return rc;
}

static enum rc check_base(const struct model *m, const struct gguf *g, struct errmsg *why)
{
	struct gguf_string_view view = { NULL, 0 };
	char own[2 * MODEL_HASH_BYTES + 1];
	enum rc rc = gguf_get_string(g, KEY_BASE, &view, why);

	if (rc == RC_NOTFOUND)
		return RC_OK;
	hex_encode(m->info.content_hash, MODEL_HASH_BYTES, own);
	if (rc == RC_OK && !gguf_view_is(view, own))
		return errmsg_rc(why, RC_INVALID, "adapter: key %s: of another model", KEY_BASE);
	return rc;
}

static enum rc check_keys(
    const struct model *m, const struct gguf *g, float *alpha, struct errmsg *why)
{
	enum rc rc = check_word(g, "general.type", "adapter", RC_INVALID, why);

	if (rc == RC_OK)
		rc = check_word(g, "adapter.type", "lora", RC_UNSUPPORTED, why);
	if (rc == RC_OK)
		rc = check_word(g, "general.architecture", m->info.architecture, RC_INVALID, why);
	if (rc == RC_OK)
		rc = check_base(m, g, why);
	if (rc == RC_OK)
		rc = gguf_get_f32(g, "adapter.lora.alpha", alpha, why);
	if (rc == RC_NOTFOUND)
		return errmsg_rc(why, RC_INVALID, "adapter: key adapter.lora.alpha is missing");
	return rc;
}

static bool ends_in(struct gguf_string_view name, const char *suffix)
{
	return name.len > SUFFIX_LEN &&
	       memcmp(name.text + name.len - SUFFIX_LEN, suffix, SUFFIX_LEN) == 0;
}

/* The tensor of `g` that is called as `name` is, but for the end; `suffix` NULL: with
 * nothing instead. */
static const struct gguf_tensor *find_named(
    const struct gguf *g, struct gguf_string_view name, const char *suffix)
{
	char full[GGUF_NAME_BYTES_MAX + 1] = { 0 };
	size_t stem = name.len - SUFFIX_LEN;

	memcpy(full, name.text, stem);
	if (suffix != NULL)
		memcpy(full + stem, suffix, SUFFIX_LEN);
	return gguf_find_tensor(g, full);
}

/* What this model multiplies with it, and with nothing else of it. */
static bool is_multiplied(const struct model *m, const struct gguf_tensor *base)
{
	if (!m->multiplied[base - gguf_tensor_at(m->gguf, 0)])
		return false;
	return base->data != m->token_embd->data &&
	       (m->per_layer_embd == NULL || base->data != m->per_layer_embd->data);
}

static enum rc check_shape(const struct gguf_tensor *base, const struct gguf_tensor *a,
    const struct gguf_tensor *b, struct errmsg *why)
{
	const int len = (int)base->name.len;

	if (a->dims[0] != base->dims[0] || b->dims[1] != base->dims[1] ||
	    a->dims[1] != b->dims[0] || a->dims[2] != base->dims[2] ||
	    b->dims[2] != base->dims[2] || a->dims[3] != 1 || b->dims[3] != 1)
		return errmsg_rc(why, RC_INVALID,
		    "adapter: tensor %.*s: [%" PRIu64 ", %" PRIu64 "] and [%" PRIu64 ", %" PRIu64
		    "] do not fit a base of [%" PRIu64 ", %" PRIu64 ", %" PRIu64 "]",
		    len, base->name.text, a->dims[0], a->dims[1], b->dims[0], b->dims[1],
		    base->dims[0], base->dims[1], base->dims[2]);
	if (b->dims[0] > ADAPTER_RANK_MAX)
		return errmsg_rc(why, RC_LIMIT, "adapter: tensor %.*s: rank %" PRIu64 " (limit %u)",
		    len, base->name.text, b->dims[0], ADAPTER_RANK_MAX);
	return RC_OK;
}

/* Of a type that is multiplied as it stands, aligned, and finite throughout. */
static enum rc check_numbers(const struct gguf_tensor *t, struct errmsg *why)
{
	const int len = (int)t->name.len;
	const struct type_info *info = type_info(t->type);
	uint64_t n = t->dims[0] * t->dims[1] * t->dims[2];
	float numbers[CHECK_NUMBERS];

	if (kernels_form(t->type) != FORM_F32)
		return errmsg_rc(why, RC_UNSUPPORTED,
		    "adapter: tensor %.*s: type %s, expected F32, F16 or BF16", len, t->name.text,
		    info->name);
	if ((uintptr_t)t->data % info->block_bytes != 0)
		return errmsg_rc(
		    why, RC_INVALID, "adapter: tensor %.*s: not aligned", len, t->name.text);
	for (uint64_t at = 0; at < n; at += CHECK_NUMBERS) {
		size_t some = n - at < CHECK_NUMBERS ? (size_t)(n - at) : CHECK_NUMBERS;

		kernels_widen(t->type, t->data + at * info->block_bytes, some, numbers);
		for (size_t i = 0; i < some; i++) {
			if (!isfinite(numbers[i]))
				return errmsg_rc(why, RC_INVALID,
				    "adapter: tensor %.*s: number %" PRIu64 " is not finite", len,
				    t->name.text, at + i);
		}
	}
	return RC_OK;
}

static enum rc take_target(const struct model *m, const struct gguf *g, const struct gguf_tensor *a,
    float alpha, struct adapter_target *out, struct errmsg *why)
{
	const int len = (int)a->name.len;
	const struct gguf_tensor *base = find_named(m->gguf, a->name, NULL);
	const struct gguf_tensor *b = find_named(g, a->name, SUFFIX_B);
	enum rc rc;

	if (base == NULL)
		return errmsg_rc(why, RC_INVALID, "adapter: tensor %.*s: the model has no such",
		    len, a->name.text);
	if (b == NULL)
		return errmsg_rc(why, RC_INVALID, "adapter: tensor %.*s stands without its %s", len,
		    a->name.text, SUFFIX_B);
	if (!is_multiplied(m, base))
		return errmsg_rc(why, RC_UNSUPPORTED,
		    "adapter: tensor %.*s: is none that this model multiplies with alone", len,
		    a->name.text);
	rc = check_shape(base, a, b, why);
	if (rc == RC_OK)
		rc = check_numbers(a, why);
	if (rc == RC_OK)
		rc = check_numbers(b, why);
	if (rc != RC_OK)
		return rc;
	*out = (struct adapter_target){ .base = base->data,
		.base_bytes = base->n_bytes,
		.row_bytes = type_row_bytes(base->type, (size_t)base->dims[0]),
		.n = base->dims[0],
		.n_rows = base->dims[1],
		.a = a->data,
		.b = b->data,
		.a_type = a->type,
		.b_type = b->type,
		.rank = (uint32_t)b->dims[0],
		.scale = alpha == 0 ? 1.0f : alpha / (float)b->dims[0] };
	return RC_OK;
}

static int compare(const void *a, const void *b)
{
	const struct adapter_target *left = a, *right = b;

	return (left->base > right->base) - (left->base < right->base);
}

/* As many as the table holds at most: names are unique, and so are their bases. */
static enum rc take_all(const struct model *m, const struct gguf *g, float alpha,
    struct adapter *adapter, struct errmsg *why)
{
	size_t n_b = 0;

	adapter->n = 0;
	for (size_t i = 0; i < gguf_tensors_len(g); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(g, i);
		enum rc rc = RC_OK;

		if (ends_in(t->name, SUFFIX_A)) {
			rc = take_target(m, g, t, alpha, &adapter->targets[adapter->n], why);
			adapter->n++;
		} else if (ends_in(t->name, SUFFIX_B)) {
			n_b++;
		} else {
			rc = errmsg_rc(why, RC_INVALID, "adapter: tensor %.*s is neither %s nor %s",
			    (int)t->name.len, t->name.text, SUFFIX_A, SUFFIX_B);
		}
		if (rc != RC_OK)
			return rc;
	}
	if (n_b != adapter->n)
		return errmsg_rc(
		    why, RC_INVALID, "adapter: a %s stands without its %s", SUFFIX_B, SUFFIX_A);
	if (adapter->n == 0)
		return errmsg_rc(why, RC_INVALID, "adapter: no tensors");
	qsort(adapter->targets, adapter->n, sizeof(adapter->targets[0]), compare);
	return RC_OK;
}

enum rc adapter_parse(const struct model *m, const uint8_t *bytes, size_t len, void *table,
    const struct adapter **out, struct errmsg *why)
{
	struct gguf *g = NULL;
	float alpha = 0;
	enum rc rc = RC_OK;

	if (m->encoder != NULL || m->multiplied == NULL)
		return errmsg_rc(why, RC_UNSUPPORTED, "adapter: this model takes none");
	rc = check_counts(bytes, len, why);
	if (rc == RC_OK)
		rc = gguf_parse(bytes, len, &g, why);
	if (rc == RC_OK)
		rc = check_keys(m, g, &alpha, why);
	if (rc == RC_OK)
		rc = take_all(m, g, alpha, table, why);
	if (rc == RC_OK)
		*out = table;
	gguf_close(g);
	return rc;
}

const struct adapter_target *adapter_find(const struct adapter *adapter, const uint8_t *weight)
{
	size_t low = 0, high = adapter->n; /* all before `low` start at or before it */

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (adapter->targets[middle].base <= weight)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || (size_t)(weight - adapter->targets[low - 1].base) >=
			    adapter->targets[low - 1].base_bytes)
		return NULL;
	return &adapter->targets[low - 1];
}
