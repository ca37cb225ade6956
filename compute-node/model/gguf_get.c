/* GGUF lookup: sorted indexes, typed getters, walks over arrays. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/gguf_impl.h"

static int compare_views(struct gguf_string_view a, struct gguf_string_view b)
{
	int order = memcmp(a.text, b.text, a.len < b.len ? a.len : b.len);

	if (order != 0)
		return order;
	return (a.len > b.len) - (a.len < b.len);
}

static int compare_pairs(const void *a, const void *b)
{
	const struct gguf_pair *const *pa = a, *const *pb = b;

	return compare_views((*pa)->key, (*pb)->key);
}

static int compare_tensors(const void *a, const void *b)
{
	const struct gguf_tensor *const *ta = a, *const *tb = b;

	return compare_views((*ta)->name, (*tb)->name);
}

enum rc gguf_index_pairs(struct gguf *g, struct errmsg *why)
{
	g->pair_order = calloc(g->pairs_len + 1, sizeof(const struct gguf_pair *));
	if (g->pair_order == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < g->pairs_len; i++)
		g->pair_order[i] = &g->pairs[i];
	qsort(g->pair_order, g->pairs_len, sizeof(const struct gguf_pair *), compare_pairs);
	for (size_t i = 1; i < g->pairs_len; i++) {
		if (compare_pairs(&g->pair_order[i - 1], &g->pair_order[i]) == 0)
			return errmsg_rc(why, RC_INVALID, "GGUF: key %.*s stands twice",
			    (int)g->pair_order[i]->key.len, g->pair_order[i]->key.text);
	}
	return RC_OK;
}

enum rc gguf_index_tensors(struct gguf *g, struct errmsg *why)
{
	g->tensor_order = calloc(g->tensors_len + 1, sizeof(const struct gguf_tensor *));
	if (g->tensor_order == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < g->tensors_len; i++)
		g->tensor_order[i] = &g->tensors[i];
	qsort(g->tensor_order, g->tensors_len, sizeof(const struct gguf_tensor *), compare_tensors);
	for (size_t i = 1; i < g->tensors_len; i++) {
		if (compare_tensors(&g->tensor_order[i - 1], &g->tensor_order[i]) == 0)
			return errmsg_rc(why, RC_INVALID, "GGUF: tensor %.*s stands twice",
			    (int)g->tensor_order[i]->name.len, g->tensor_order[i]->name.text);
	}
	return RC_OK;
}

uint32_t gguf_version(const struct gguf *g)
{
	return g->version;
}

uint64_t gguf_file_bytes(const struct gguf *g)
{
	uint64_t n = g->len;

	for (size_t i = 0; i < g->parts_len; i++)
		n += g->parts[i]->len;
	return n;
}

size_t gguf_parts_len(const struct gguf *g)
{
	return 1 + g->parts_len;
}

struct gguf_string_view gguf_header(const struct gguf *g, size_t part)
{
	if (part > 0)
		g = g->parts[part - 1];
	return (struct gguf_string_view){ (const char *)g->bytes, g->header_len };
}

size_t gguf_pairs_len(const struct gguf *g)
{
	return g->pairs_len;
}

const struct gguf_pair *gguf_pair_at(const struct gguf *g, size_t i)
{
	return &g->pairs[i];
}

size_t gguf_tensors_len(const struct gguf *g)
{
	return g->tensors_len;
}

const struct gguf_tensor *gguf_tensor_at(const struct gguf *g, size_t i)
{
	return &g->tensors[i];
}

const struct gguf_pair *gguf_find(const struct gguf *g, const char *key)
{
	const struct gguf_pair wanted = { .key = { key, strlen(key) } }, *at = &wanted;
	const struct gguf_pair *const *found = bsearch(
	    &at, g->pair_order, g->pairs_len, sizeof(const struct gguf_pair *), compare_pairs);

	return found != NULL ? *found : NULL;
}

const struct gguf_tensor *gguf_find_tensor(const struct gguf *g, const char *name)
{
	const struct gguf_tensor wanted = { .name = { name, strlen(name) } }, *at = &wanted;
	const struct gguf_tensor *const *found = bsearch(&at, g->tensor_order, g->tensors_len,
	    sizeof(const struct gguf_tensor *), compare_tensors);

	return found != NULL ? *found : NULL;
}

/* Item `i` of packed, unaligned items. */
#define READER(name, T)                                                                            \
	static T name(const uint8_t *bytes, uint64_t i)                                            \
	{                                                                                          \
		T item;                                                                            \
		memcpy(&item, bytes + i * sizeof(T), sizeof(T));                                   \
		return item;                                                                       \
	}
READER(read_i8, int8_t)
READER(read_u16, uint16_t)
READER(read_i16, int16_t)
READER(read_u32, uint32_t)
READER(read_i32, int32_t)
READER(read_u64, uint64_t)
READER(read_i64, int64_t)
READER(read_f32, float)
READER(read_f64, double)

static enum gguf_value_type item_type(const struct gguf_pair *pair)
{
	return pair->type == GGUF_ARRAY ? pair->item_type : pair->type;
}

bool gguf_item_i64(const struct gguf_pair *pair, uint64_t i, int64_t *out)
{
	uint64_t u;

	if (i >= pair->n)
		return false;
	switch (item_type(pair)) {
	case GGUF_U8:
		*out = pair->bytes[i];
		return true;
	case GGUF_I8:
		*out = read_i8(pair->bytes, i);
		return true;
	case GGUF_U16:
		*out = read_u16(pair->bytes, i);
		return true;
	case GGUF_I16:
		*out = read_i16(pair->bytes, i);
		return true;
	case GGUF_U32:
		*out = read_u32(pair->bytes, i);
		return true;
	case GGUF_I32:
		*out = read_i32(pair->bytes, i);
		return true;
	case GGUF_BOOL:
		*out = pair->bytes[i] != 0;
		return true;
	case GGUF_U64:
		u = read_u64(pair->bytes, i);
		*out = (int64_t)u;
		return u <= INT64_MAX;
	case GGUF_I64:
		*out = read_i64(pair->bytes, i);
		return true;
	case GGUF_F32:
	case GGUF_F64:
	case GGUF_STRING:
	case GGUF_ARRAY:
		break;
	}
	return false;
}

bool gguf_item_f64(const struct gguf_pair *pair, uint64_t i, double *out)
{
	int64_t integer = 0;

	if (i >= pair->n)
		return false;
	if (item_type(pair) == GGUF_F32) {
		*out = (double)read_f32(pair->bytes, i);
		return true;
	}
	if (item_type(pair) == GGUF_F64) {
		*out = read_f64(pair->bytes, i);
		return true;
	}
	if (!gguf_item_i64(pair, i, &integer))
		return false;
	*out = (double)integer;
	return true;
}

bool gguf_next_string(
    const struct gguf_pair *pair, const uint8_t **cursor, struct gguf_string_view *out)
{
	uint64_t len;

	if (item_type(pair) != GGUF_STRING)
		return false;
	if (*cursor == NULL)
		*cursor = pair->bytes;
	memcpy(&len, *cursor, sizeof(len));
	out->text = (const char *)*cursor + sizeof(len);
	out->len = (size_t)len;
	*cursor += sizeof(len) + len;
	return true;
}

static enum rc wrong(const struct gguf_pair *pair, const char *wanted, struct errmsg *why)
{
	return errmsg_rc(why, RC_INVALID, "GGUF: key %.*s: a %s, expected %s", (int)pair->key.len,
	    pair->key.text, gguf_value_type_name(pair->type), wanted);
}

enum rc gguf_get_u32(const struct gguf *g, const char *key, uint32_t *out, struct errmsg *why)
{
	const struct gguf_pair *pair = gguf_find(g, key);
	int64_t value = 0;

	if (pair == NULL)
		return RC_NOTFOUND;
	if (pair->type == GGUF_ARRAY || pair->type == GGUF_BOOL || !gguf_item_i64(pair, 0, &value))
		return wrong(pair, "a number", why);
	if (value < 0 || value > UINT32_MAX)
		return errmsg_rc(
		    why, RC_INVALID, "GGUF: key %s: %" PRId64 " is out of range", key, value);
	*out = (uint32_t)value;
	return RC_OK;
}

enum rc gguf_get_f32(const struct gguf *g, const char *key, float *out, struct errmsg *why)
{
	const struct gguf_pair *pair = gguf_find(g, key);
	double value = 0;

	if (pair == NULL)
		return RC_NOTFOUND;
	if (pair->type == GGUF_ARRAY || pair->type == GGUF_BOOL || !gguf_item_f64(pair, 0, &value))
		return wrong(pair, "a number", why);
	if (!isfinite(value) || fabs(value) > 3e38)
		return errmsg_rc(why, RC_INVALID, "GGUF: key %s: not a finite number", key);
	*out = (float)value;
	return RC_OK;
}

enum rc gguf_get_bool(const struct gguf *g, const char *key, bool *out, struct errmsg *why)
{
	const struct gguf_pair *pair = gguf_find(g, key);

	if (pair == NULL)
		return RC_NOTFOUND;
	if (pair->type != GGUF_BOOL)
		return wrong(pair, "a bool", why);
	*out = pair->bytes[0] != 0;
	return RC_OK;
}

enum rc gguf_get_string(
    const struct gguf *g, const char *key, struct gguf_string_view *out, struct errmsg *why)
{
	const struct gguf_pair *pair = gguf_find(g, key);
	const uint8_t *cursor = NULL;

	if (pair == NULL)
		return RC_NOTFOUND;
	if (pair->type != GGUF_STRING)
		return wrong(pair, "a string", why);
	(void)gguf_next_string(pair, &cursor, out);
	return RC_OK;
}

enum rc gguf_get_array(const struct gguf *g, const char *key, enum gguf_value_type item,
    const struct gguf_pair **out, struct errmsg *why)
{
	const struct gguf_pair *pair = gguf_find(g, key);

	if (pair == NULL)
		return RC_NOTFOUND;
	if (pair->type != GGUF_ARRAY || pair->item_type != item)
		return errmsg_rc(why, RC_INVALID, "GGUF: key %s: expected an array of %s", key,
		    gguf_value_type_name(item));
	*out = pair;
	return RC_OK;
}

bool gguf_view_is(struct gguf_string_view view, const char *text)
{
	return view.len == strlen(text) && memcmp(view.text, text, view.len) == 0;
}

const char *gguf_value_type_name(enum gguf_value_type type)
{
	static const char *const names[] = { "u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool",
		"string", "array", "u64", "i64", "f64" };

	return (unsigned)type < sizeof(names) / sizeof(names[0]) ? names[type] : "?";
}
