/* Values of the chat-template interpreter: construction, comparison, texts. */
#include "template/value.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct value value_undefined(const char *hint)
{
	return (struct value){ .kind = VALUE_UNDEFINED, .u.hint = hint };
}

struct value value_none(void)
{
	return (struct value){ .kind = VALUE_NONE };
}

struct value value_bool(bool boolean)
{
	return (struct value){ .kind = VALUE_BOOL, .u.boolean = boolean };
}

struct value value_int(int64_t integer)
{
	return (struct value){ .kind = VALUE_INT, .u.integer = integer };
}

struct value value_real(double real)
{
	return (struct value){ .kind = VALUE_REAL, .u.real = real };
}

struct value value_of_text(const struct text *text)
{
	return (struct value){ .kind = VALUE_TEXT, .u.text = text };
}

struct value value_text(struct arena *arena, const char *bytes, size_t len, bool trusted)
{
	return value_of_text(text_new(arena, bytes, len, trusted));
}

struct value value_list(struct arena *arena)
{
	return (struct value){ .kind = VALUE_LIST,
		.u.list = arena_alloc(arena, sizeof(struct value_list)) };
}

struct value value_map(struct arena *arena)
{
	return (struct value){ .kind = VALUE_MAP,
		.u.map = arena_alloc(arena, sizeof(struct value_map)) };
}

bool value_ok(struct value value)
{
	switch (value.kind) {
	case VALUE_TEXT:
		return value.u.text != NULL;
	case VALUE_LIST:
		return value.u.list != NULL;
	case VALUE_MAP:
	case VALUE_NAMESPACE:
		return value.u.map != NULL;
	default:
		return true;
	}
}

/* Room for one more; the old array stays in the arena until the render ends. */
static void *grow(struct arena *arena, void *items, size_t len, size_t *cap, size_t size)
{
	if (len < *cap)
		return items;
	size_t wanted = *cap == 0 ? 4 : *cap * 2;
	void *bigger = arena_array(arena, wanted, size);
	if (bigger == NULL)
		return NULL;
	if (len > 0)
		memcpy(bigger, items, len * size);
	*cap = wanted;
	return bigger;
}

enum rc value_push(struct arena *arena, struct value list, struct value item)
{
	struct value_list *l = list.u.list;

	if (!value_ok(list) || !value_ok(item))
		return RC_NOMEM;
	struct value *items = grow(arena, l->items, l->len, &l->cap, sizeof(*items));
	if (items == NULL)
		return RC_NOMEM;
	l->items = items;
	l->items[l->len++] = item;
	return RC_OK;
}

static struct value_pair *find_pair(const struct value_map *map, const char *key, size_t len)
{
	for (size_t i = 0; i < map->len; i++) {
		const struct text *k = map->pairs[i].key;
		if (k->len == len && memcmp(k->bytes, key, len) == 0)
			return &map->pairs[i];
	}
	return NULL;
}

enum rc value_set(struct arena *arena, struct value map, const struct text *key, struct value value)
{
	struct value_map *m = map.u.map;

	if (!value_ok(map) || key == NULL || !value_ok(value))
		return RC_NOMEM;
	struct value_pair *old = find_pair(m, key->bytes, key->len);
	if (old != NULL) {
		old->value = value;
		return RC_OK;
	}
	struct value_pair *pairs = grow(arena, m->pairs, m->len, &m->cap, sizeof(*pairs));
	if (pairs == NULL)
		return RC_NOMEM;
	m->pairs = pairs;
	m->pairs[m->len++] = (struct value_pair){ key, value };
	return RC_OK;
}

enum rc value_set_name(struct arena *arena, struct value map, const char *key, struct value value)
{
	return value_set(arena, map, text_new(arena, key, strlen(key), true), value);
}

const struct value *value_get(struct value map, const char *key, size_t len)
{
	struct value_pair *pair = find_pair(map.u.map, key, len);

	return pair != NULL ? &pair->value : NULL;
}

bool value_truthy(struct value value)
{
	switch (value.kind) {
	case VALUE_UNDEFINED:
	case VALUE_NONE:
		return false;
	case VALUE_BOOL:
		return value.u.boolean;
	case VALUE_INT:
		return value.u.integer != 0;
	case VALUE_REAL:
		return value.u.real != 0;
	case VALUE_TEXT:
		return value.u.text->len > 0;
	case VALUE_LIST:
		return value.u.list->len > 0;
	case VALUE_MAP:
		return value.u.map->len > 0;
	default:
		return true;
	}
}

static bool is_number(struct value value)
{
	return value.kind == VALUE_BOOL || value.kind == VALUE_INT || value.kind == VALUE_REAL;
}

static double as_real(struct value value)
{
	return value.kind == VALUE_REAL   ? value.u.real
	       : value.kind == VALUE_BOOL ? (double)value.u.boolean
					  : (double)value.u.integer;
}

static bool maps_equal(const struct value_map *a, const struct value_map *b, int depth);

static bool equal(struct value a, struct value b, int depth)
{
	if (depth > VALUE_DEPTH_MAX)
		return false;
	if (is_number(a) && is_number(b)) {
		if (a.kind == VALUE_INT && b.kind == VALUE_INT)
			return a.u.integer == b.u.integer;
		double x = as_real(a);
		double y = as_real(b);
		return !(x < y) && !(x > y) && !isnan(x) && !isnan(y);
	}
	if (a.kind != b.kind)
		return false;
	switch (a.kind) {
	case VALUE_TEXT:
		return a.u.text->len == b.u.text->len &&
		       memcmp(a.u.text->bytes, b.u.text->bytes, a.u.text->len) == 0;
	case VALUE_LIST:
		if (a.u.list->len != b.u.list->len)
			return false;
		for (size_t i = 0; i < a.u.list->len; i++) {
			if (!equal(a.u.list->items[i], b.u.list->items[i], depth + 1))
				return false;
		}
		return true;
	case VALUE_MAP:
		return maps_equal(a.u.map, b.u.map, depth + 1);
	case VALUE_NAMESPACE:
		return a.u.map == b.u.map;
	case VALUE_MACRO:
		return a.u.macro == b.u.macro;
	case VALUE_BUILTIN:
		return a.u.builtin == b.u.builtin;
	default:
		return true; /* none, undefined */
	}
}

static bool maps_equal(const struct value_map *a, const struct value_map *b, int depth)
{
	if (a->len != b->len)
		return false;
	for (size_t i = 0; i < a->len; i++) {
		const struct value_pair *other =
		    find_pair(b, a->pairs[i].key->bytes, a->pairs[i].key->len);
		if (other == NULL || !equal(a->pairs[i].value, other->value, depth))
			return false;
	}
	return true;
}

bool value_equal(struct value a, struct value b)
{
	return equal(a, b, 0);
}

enum rc value_compare(struct value a, struct value b, int *out)
{
	if (is_number(a) && is_number(b)) {
		double x = as_real(a);
		double y = as_real(b);
		*out = (x > y) - (x < y);
		return RC_OK;
	}
	if (a.kind != VALUE_TEXT || b.kind != VALUE_TEXT)
		return RC_INVALID;
	size_t n = a.u.text->len < b.u.text->len ? a.u.text->len : b.u.text->len;
	int order = memcmp(a.u.text->bytes, b.u.text->bytes, n);
	*out =
	    order != 0 ? order : (a.u.text->len > b.u.text->len) - (a.u.text->len < b.u.text->len);
	return RC_OK;
}

const char *value_kind_word(enum value_kind kind)
{
	static const char *const words[] = { "undefined", "none", "boolean", "integer", "number",
		"string", "list", "mapping", "namespace", "macro", "function" };

	return words[kind];
}

/* ---- texts ---- */

bool text_trusted(const struct text *text, size_t at)
{
	return text->trust != NULL ? text->trust[at] != 0 : text->uniform;
}

const struct text *text_new(struct arena *arena, const char *bytes, size_t len, bool trusted)
{
	struct text *text = arena_alloc(arena, sizeof(*text));

	if (text == NULL)
		return NULL;
	text->bytes = arena_copy(arena, bytes, len);
	text->len = len;
	text->uniform = trusted;
	return text->bytes != NULL ? text : NULL;
}

const struct text *text_slice(struct arena *arena, const struct text *text, size_t from, size_t len)
{
	struct text *out = arena_alloc(arena, sizeof(*out));

	if (out == NULL)
		return NULL;
	out->bytes = arena_copy(arena, text->bytes + from, len);
	out->len = len;
	out->trust = text->trust != NULL ? text->trust + from : NULL;
	out->uniform = text->uniform;
	return out->bytes != NULL ? out : NULL;
}

const struct text *text_concat(struct arena *arena, const struct text *a, const struct text *b)
{
	struct text_builder builder;

	if (a->len == 0)
		return b;
	if (b->len == 0)
		return a;
	text_builder_init(&builder, arena, SIZE_MAX / 4);
	text_builder_add(&builder, a);
	text_builder_add(&builder, b);
	return text_builder_text(&builder);
}

bool text_is(const struct text *text, const char *word)
{
	return strlen(word) == text->len && memcmp(text->bytes, word, text->len) == 0;
}

size_t text_find(const struct text *text, const struct text *needle, size_t from)
{
	if (from > text->len || needle->len > text->len - from)
		return SIZE_MAX;
	if (needle->len == 0)
		return from;
	const char *at = memmem(text->bytes + from, text->len - from, needle->bytes, needle->len);
	return at != NULL ? (size_t)(at - text->bytes) : SIZE_MAX;
}

void text_builder_init(struct text_builder *builder, struct arena *arena, size_t max)
{
	*builder = (struct text_builder){ .arena = arena, .max = max, .rc = RC_OK };
}

/* Room for `len` more bytes and the NUL. */
static bool reserve(struct text_builder *b, size_t len)
{
	if (b->rc != RC_OK)
		return false;
	if (len > b->max - b->len) {
		b->rc = RC_LIMIT;
		return false;
	}
	size_t need = b->len + len + 1;
	if (need <= b->cap)
		return true;
	size_t cap = need + need / 2;
	char *bytes = arena_alloc(b->arena, cap);
	uint8_t *trust = arena_alloc(b->arena, cap);
	if (bytes == NULL || trust == NULL) {
		b->rc = RC_NOMEM;
		return false;
	}
	if (b->len > 0) {
		memcpy(bytes, b->bytes, b->len);
		memcpy(trust, b->trust, b->len);
	}
	b->bytes = bytes;
	b->trust = trust;
	b->cap = cap;
	return true;
}

void text_builder_bytes(struct text_builder *builder, const char *bytes, size_t len, bool trusted)
{
	if (len == 0 || !reserve(builder, len))
		return;
	memcpy(builder->bytes + builder->len, bytes, len);
	memset(builder->trust + builder->len, trusted, len);
	builder->len += len;
}

void text_builder_add(struct text_builder *builder, const struct text *text)
{
	size_t at = builder->len;

	if (text == NULL) {
		builder->rc = RC_NOMEM;
		return;
	}
	text_builder_bytes(builder, text->bytes, text->len, text->uniform);
	if (builder->rc == RC_OK && text->trust != NULL && text->len > 0)
		memcpy(builder->trust + at, text->trust, text->len);
}

const struct text *text_builder_text(struct text_builder *builder)
{
	if (builder->rc != RC_OK || !reserve(builder, 0))
		return NULL;
	struct text *text = arena_alloc(builder->arena, sizeof(*text));
	if (text == NULL)
		return NULL;
	builder->bytes[builder->len] = '\0';
	text->bytes = builder->bytes;
	text->trust = builder->trust;
	text->len = builder->len;
	return text;
}
