/* Schema compiler: blanks, strings, names, values that are spelled out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "grammar/schema_impl.h"

#define LITERAL_BYTES_MAX SCHEMA_BYTES_MAX
#define CONTROL_MAX 0x1Fu
#define CODE_POINT_MAX 0x10FFFFu
#define QUOTE_BYTE '\xFD' /* in literals that are not escaped: where a quote stands */

static void put_byte(struct compiler *c, uint16_t from, char byte, uint16_t to)
{
	builder_bytes(c->builder, from, (uint8_t)byte, (uint8_t)byte, to);
}

/* ---- what is shared ---- */

static void put_hex(struct compiler *c, uint16_t from, uint16_t to)
{
	builder_bytes(c->builder, from, '0', '9', to);
	builder_bytes(c->builder, from, 'a', 'f', to);
	builder_bytes(c->builder, from, 'A', 'F', to);
}

static uint16_t hex_digits(struct compiler *c, unsigned n, uint16_t to)
{
	for (unsigned i = 0; i < n; i++) {
		uint16_t from = builder_state(c->builder);

		put_hex(c, from, to);
		to = from;
	}
	return to;
}

/* Behind \u: any code point but U+0000; above U+FFFF as a pair of surrogates. */
static void put_unicode_escape(struct compiler *c, uint16_t from, uint16_t to)
{
	uint16_t two = hex_digits(c, 2, to), three = hex_digits(c, 3, to);
	uint16_t d = builder_state(c->builder), high = builder_state(c->builder);
	uint16_t slash = builder_state(c->builder), u = builder_state(c->builder);
	uint16_t low = builder_state(c->builder), low_d = builder_state(c->builder);
	uint16_t zero[3] = { builder_state(c->builder), builder_state(c->builder),
		builder_state(c->builder) };

	builder_bytes(c->builder, from, '1', '9', three);
	builder_bytes(c->builder, from, 'a', 'c', three);
	builder_bytes(c->builder, from, 'A', 'C', three);
	builder_bytes(c->builder, from, 'e', 'f', three);
	builder_bytes(c->builder, from, 'E', 'F', three);
	put_byte(c, from, 'd', d);
	put_byte(c, from, 'D', d);
	builder_bytes(c->builder, d, '0', '7', two);
	builder_bytes(c->builder, d, '8', '9', high);
	builder_bytes(c->builder, d, 'a', 'b', high);
	builder_bytes(c->builder, d, 'A', 'B', high);
	put_hex(c, high, slash);
	put_hex(c, slash, u); /* the pair's first half is whole */
	uint16_t second = builder_state(c->builder);
	put_byte(c, u, '\\', second);
	put_byte(c, second, 'u', low);
	put_byte(c, low, 'd', low_d);
	put_byte(c, low, 'D', low_d);
	builder_bytes(c->builder, low_d, 'c', 'f', two);
	builder_bytes(c->builder, low_d, 'C', 'F', two);
	put_byte(c, from, '0', zero[0]);
	for (int i = 0; i < 3; i++) {
		uint16_t rest = i == 2 ? to : hex_digits(c, (unsigned)(2 - i), to);

		builder_bytes(c->builder, zero[i], '1', '9', rest);
		builder_bytes(c->builder, zero[i], 'a', 'f', rest);
		builder_bytes(c->builder, zero[i], 'A', 'F', rest);
		if (i < 2)
			put_byte(c, zero[i], '0', zero[i + 1]);
	}
}

static void put_character(struct compiler *c, uint16_t from, uint16_t to)
{
	if (!schema_escapes(c)) {
		schema_put_plain(c, from, 0, CODE_POINT_MAX, to);
		return;
	}
	uint16_t escape = builder_state(c->builder), u = builder_state(c->builder);

	builder_code_points(c->builder, from, CONTROL_MAX + 1, '"' - 1, to);
	builder_code_points(c->builder, from, '"' + 1, '\\' - 1, to);
	builder_code_points(c->builder, from, '\\' + 1, CODE_POINT_MAX, to);
	put_byte(c, from, '\\', escape);
	for (const char *at = "\"\\/bfnrt"; *at != '\0'; at++)
		put_byte(c, escape, *at, to);
	put_byte(c, escape, 'u', u);
	put_unicode_escape(c, u, to);
}

static void put_text(struct compiler *c, uint16_t from, uint16_t to)
{
	uint16_t inside = builder_state(c->builder), end = builder_state(c->builder);

	schema_put_spelling(c, c->notation->quote, from, inside);
	if (schema_escapes(c)) {
		builder_call(c->builder, inside, schema_shared(c, SHARED_CHARACTER), inside);
		builder_empty(c->builder, inside, end);
	} else {
		schema_put_free(c, c->notation->never, inside, end);
	}
	schema_put_spelling(c, c->notation->quote, end, to);
}

static void put_any_name(struct compiler *c, uint16_t from, uint16_t to)
{
	uint16_t open = builder_state(c->builder), word = builder_state(c->builder);

	if (schema_escapes(c)) {
		builder_call(c->builder, from, schema_shared(c, SHARED_TEXT), to);
		return;
	}
	schema_put_spelling(c, c->notation->name, from, open);
	schema_put_letter(c, open, 0, CODE_POINT_MAX, word);
	schema_put_letter(c, word, 0, CODE_POINT_MAX, word);
	builder_empty(c->builder, word, to);
}

static void put_indent(struct compiler *c, uint16_t from, uint16_t to)
{
	uint16_t at = builder_state(c->builder);

	builder_empty(c->builder, from, to);
	put_byte(c, from, ' ', to);
	put_byte(c, from, '\n', at);
	for (int i = 0; i < SCHEMA_INDENT_MAX; i++) {
		uint16_t next = builder_state(c->builder);

		builder_empty(c->builder, at, to);
		put_byte(c, at, ' ', next);
		put_byte(c, at, '\t', next);
		at = next;
	}
	builder_empty(c->builder, at, to);
}

static void put_any_array(struct compiler *c, uint16_t from, uint16_t to)
{
	uint16_t first = builder_state(c->builder), again = builder_state(c->builder);
	uint16_t done = builder_state(c->builder), next = builder_state(c->builder);

	schema_put_spelling(c, "[" BLANKS, from, first);
	put_byte(c, first, ']', to);
	builder_empty(c->builder, first, again);
	builder_call(c->builder, again, schema_shared(c, SHARED_ANY), done);
	schema_put_blanks(c, done, next);
	put_byte(c, next, ']', to);
	schema_put_spelling(c, "," BLANKS, next, again);
}

/* Of anything; where texts have a notation of their own all values are some. */
static void put_any_object(struct compiler *c, uint16_t from, uint16_t to)
{
	const struct notation *n = c->notation;
	uint16_t first = builder_state(c->builder), again = builder_state(c->builder);
	uint16_t named = builder_state(c->builder), value = builder_state(c->builder);
	uint16_t done = builder_state(c->builder), next = builder_state(c->builder);

	schema_put_spelling(c, n->open, from, first);
	schema_put_spelling(c, n->close, first, to);
	builder_empty(c->builder, first, again);
	builder_call(c->builder, again, schema_shared(c, SHARED_NAME), named);
	schema_put_spelling(c, n->named, named, value);
	if (n->text != NULL) {
		c->notation = n->text;
		builder_call(c->builder, value, schema_shared(c, SHARED_TEXT), done);
		c->notation = n;
	} else {
		builder_call(c->builder, value, schema_shared(c, SHARED_ANY), done);
	}
	schema_put_spelling(c, n->behind, done, next);
	schema_put_spelling(c, n->close, next, to);
	schema_put_spelling(c, n->comma, next, again);
}

static void put_any(struct compiler *c, uint16_t from, uint16_t to)
{
	builder_text(c->builder, from, "null", 4, to);
	if (c->notation->texts) {
		builder_call(c->builder, from, schema_shared(c, SHARED_TEXT), to);
		return;
	}
	builder_text(c->builder, from, "true", 4, to);
	builder_text(c->builder, from, "false", 5, to);
	builder_call(c->builder, from, schema_shared(c, SHARED_NUMBER), to);
	builder_call(c->builder, from, schema_shared(c, SHARED_TEXT), to);
	put_any_array(c, from, to);
	put_any_object(c, from, to);
}

uint16_t schema_shared(struct compiler *c, enum shared which)
{
	static void (*const puts[SHARED_N])(struct compiler * c, uint16_t from, uint16_t to) = {
		[SHARED_BLANKS] = put_indent,
		[SHARED_CHARACTER] = put_character,
		[SHARED_BEHIND_ANGLE] = schema_put_behind_angle,
		[SHARED_TEXT] = put_text,
		[SHARED_NAME] = put_any_name,
		[SHARED_INTEGER] = schema_put_integer_any,
		[SHARED_NUMBER] = schema_put_number_any,
		[SHARED_ANY] = put_any,
		[SHARED_ANY_OBJECT] = put_any_object,
	};

	uint16_t *start = &c->shared[c->notation->id][which];

	if (*start == 0) {
		uint16_t end;

		*start = builder_state(c->builder);
		end = builder_state(c->builder);
		builder_final(c->builder, end);
		puts[which](c, *start, end);
	}
	return *start;
}

void schema_put_blanks(struct compiler *c, uint16_t from, uint16_t to)
{
	builder_call(c->builder, from, schema_shared(c, SHARED_BLANKS), to);
}

/* ---- strings ---- */

static const char *format_pattern(const struct value *format)
{
#define DATE "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
#define TIME                                                                                       \
	"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][" \
	"0-9])"
#define HEX "[0-9a-fA-F]"
	static const char *const formats[][2] = { { "date", "^" DATE "$" },
		{ "time", "^" TIME "$" }, { "date-time", "^" DATE "T" TIME "$" },
		{ "uuid", "^" HEX "{8}-" HEX "{4}-" HEX "{4}-" HEX "{4}-" HEX "{12}$" } };

	for (size_t i = 0; format != NULL && format->kind == VALUE_TEXT &&
			   i < sizeof(formats) / sizeof(formats[0]);
	     i++) {
		if (text_is(format->u.text, formats[i][0]))
			return formats[i][1];
	}
	return NULL;
}

/* Behind so many characters: any of them, or, where texts are not escaped, a < */
struct counted {
	uint16_t any, angle;
};

static struct counted counted_new(struct compiler *c)
{
	struct counted at = { .any = builder_state(c->builder) };

	if (!schema_escapes(c))
		at.angle = builder_state(c->builder);
	return at;
}

static void put_one(struct compiler *c, struct counted from, struct counted to)
{
	builder_call(c->builder, from.any, schema_shared(c, SHARED_CHARACTER), to.any);
	if (schema_escapes(c))
		return;
	put_byte(c, from.any, '<', to.angle);
	put_byte(c, from.angle, '<', to.angle);
	builder_call(c->builder, from.angle, schema_shared(c, SHARED_BEHIND_ANGLE), to.any);
}

/* At least `least` characters, at most `most` (< 0: no end). */
static void put_counted(struct compiler *c, long least, long most, uint16_t from, uint16_t to)
{
	struct counted at = counted_new(c);
	long n = most >= 0 ? most : least;

	builder_empty(c->builder, from, at.any);
	for (long i = 0; i <= n; i++) {
		if (i >= least)
			builder_empty(c->builder, at.any, to);
		if (i >= least && !schema_escapes(c))
			builder_empty(c->builder, at.angle, to);
		if (i == n)
			break;
		struct counted next = counted_new(c);
		put_one(c, at, next);
		at = next;
	}
	if (most < 0)
		put_one(c, at, at);
}

enum rc schema_put_string(struct compiler *c, struct value schema, uint16_t from, uint16_t to)
{
	const struct value *pattern = schema_get(schema, "pattern");
	long least = 0, most = -1;
	enum rc rc = schema_get_count(c, schema, "minLength", &least);

	if (rc == RC_OK)
		rc = schema_get_count(c, schema, "maxLength", &most);
	if (rc != RC_OK)
		return rc;
	bool counted = least > 0 || most >= 0;
	const char *known = counted ? NULL : format_pattern(schema_get(schema, "format"));
	if (pattern != NULL && pattern->kind != VALUE_TEXT)
		return schema_fail(c, RC_INVALID, "pattern must be a string");
	if (pattern != NULL && counted)
		return schema_fail(
		    c, RC_UNSUPPORTED, "pattern beside minLength or maxLength cannot be honoured");
	if (pattern == NULL && known == NULL && !counted) {
		builder_call(c->builder, from, schema_shared(c, SHARED_TEXT), to);
		return RC_OK;
	}
	uint16_t inside = builder_state(c->builder), end = builder_state(c->builder);
	schema_put_spelling(c, c->notation->quote, from, inside);
	schema_put_spelling(c, c->notation->quote, end, to);
	if (counted) {
		put_counted(c, least, most, inside, end);
		return RC_OK;
	}
	return pattern != NULL
		   ? pattern_put(c, pattern->u.text->bytes, pattern->u.text->len, inside, end)
		   : pattern_put(c, known, strlen(known), inside, end);
}

/* One that JSON does not take as it is. */
static void put_escaped(struct compiler *c, uint16_t from, uint32_t cp, uint16_t to)
{
	char text[8];
	const char *letters = "\"\"\\\\b\bf\fn\nr\rt\t";
	int len = snprintf(text, sizeof(text), "\\u%04x", (unsigned)cp);

	for (const char *at = letters; *at != '\0'; at += 2) {
		if ((uint32_t)at[1] == cp)
			len = snprintf(text, sizeof(text), "\\%c", at[0]);
	}
	builder_text(c->builder, from, text, (size_t)len, to);
}

void schema_put_range(struct compiler *c, uint16_t from, uint32_t lo, uint32_t hi, uint16_t to)
{
	static const uint32_t plain[][2] = { { CONTROL_MAX + 1, '"' - 1 }, { '"' + 1, '\\' - 1 },
		{ '\\' + 1, CODE_POINT_MAX } };

	if (!schema_escapes(c)) {
		schema_put_plain(c, from, lo, hi, to);
		return;
	}
	for (uint32_t cp = lo > 0 ? lo : 1; cp <= CONTROL_MAX && cp <= hi; cp++)
		put_escaped(c, from, cp, to);
	if (lo <= '"' && hi >= '"')
		put_escaped(c, from, '"', to);
	if (lo <= '\\' && hi >= '\\')
		put_escaped(c, from, '\\', to);
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		uint32_t first = lo > plain[i][0] ? lo : plain[i][0];
		uint32_t last = hi < plain[i][1] ? hi : plain[i][1];

		if (first <= last)
			builder_code_points(c->builder, from, first, last, to);
	}
}

/* ---- names ---- */

enum rc schema_put_name(struct compiler *c, const struct text *name, uint16_t from, uint16_t to)
{
	struct buf quoted;

	if (!schema_escapes(c))
		return schema_put_bare_name(c, name, from, to);
	buf_init(&quoted, LITERAL_BYTES_MAX * 6);
	buf_json_string(&quoted, name->bytes, name->len);
	enum rc rc = buf_rc(&quoted);
	if (rc == RC_OK)
		builder_text(c->builder, from, buf_text(&quoted), quoted.len, to);
	buf_fini(&quoted);
	return rc;
}

/* Names in the order of their bytes, a prefix they share once. */
struct names {
	const struct text **list; /* [n] */
	uint16_t free;            /* inside a name that is none of them any more */
	uint16_t to;
};

/* One that is not escaped is a word of letters. */
static void put_other_letter(
    struct compiler *c, uint16_t from, uint32_t lo, uint32_t hi, uint16_t to)
{
	if (schema_escapes(c))
		schema_put_range(c, from, lo, hi, to);
	else
		schema_put_letter(c, from, lo, hi, to);
}

static void put_name_end(struct compiler *c, uint16_t at, uint16_t to)
{
	if (schema_escapes(c))
		put_byte(c, at, '"', to);
	else
		builder_empty(c->builder, at, to);
}

static int compare_names(const void *a, const void *b)
{
	const struct text *ta = *(const struct text *const *)a,
			  *tb = *(const struct text *const *)b;
	size_t len = ta->len < tb->len ? ta->len : tb->len;
	int order = len == 0 ? 0 : memcmp(ta->bytes, tb->bytes, len);

	return order != 0 ? order : (ta->len > tb->len) - (ta->len < tb->len);
}

/* Behind `depth` bytes that the names [first, last) share: what leads to none of them is
 * free, whatever may still become one goes down, and one that is whole cannot end here.
 * Nothing is escaped on the way, lest a name be spelled otherwise. */
static enum rc put_others(struct compiler *c, const struct names *names, size_t first, size_t last,
    size_t depth, uint16_t at)
{
	uint32_t next_free = CONTROL_MAX + 1;
	bool whole = names->list[first]->len == depth;
	enum rc rc = builder_rc(c->builder);

	if (!whole && (depth > 0 || schema_escapes(c)))
		put_name_end(c, at, names->to);
	for (size_t i = first + whole; rc == RC_OK && i < last;) {
		const struct text *name = names->list[i];
		uint32_t cp = 0;
		size_t len =
		    utf8_decode((const uint8_t *)name->bytes + depth, name->len - depth, &cp);
		size_t end = i + 1;

		if (len == 0)
			return RC_INVALID; /* texts of JSON are UTF-8 */
		while (end < last && names->list[end]->len >= depth + len &&
		       memcmp(names->list[end]->bytes + depth, name->bytes + depth, len) == 0)
			end++;
		if (cp > CONTROL_MAX && cp != '"' && cp != '\\') {
			uint16_t down = builder_state(c->builder);

			if (cp > next_free)
				put_other_letter(c, at, next_free, cp - 1, names->free);
			next_free = cp + 1;
			builder_code_points(c->builder, at, cp, cp, down);
			rc = put_others(c, names, i, end, depth + len, down);
		}
		i = end;
	}
	if (rc == RC_OK)
		put_other_letter(c, at, next_free, CODE_POINT_MAX, names->free);
	return rc;
}

enum rc schema_put_other_name(struct compiler *c, struct value names, uint16_t from, uint16_t to)
{
	size_t n = names.u.map->len;
	struct names known = { .to = to };

	if (n == 0) {
		builder_call(c->builder, from, schema_shared(c, SHARED_NAME), to);
		return RC_OK;
	}
	known.list = arena_array(&c->arena, n, sizeof(known.list[0]));
	if (known.list == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < n; i++) {
		known.list[i] = names.u.map->pairs[i].key;
		if (known.list[i]->len > SCHEMA_NAME_BYTES_MAX)
			return schema_fail(c, RC_LIMIT, "a property's name is over %d bytes",
			    SCHEMA_NAME_BYTES_MAX);
	}
	qsort(known.list, n, sizeof(known.list[0]), compare_names);
	uint16_t inside = builder_state(c->builder);
	known.free = builder_state(c->builder);
	if (schema_escapes(c)) {
		put_byte(c, from, '"', inside);
		builder_call(
		    c->builder, known.free, schema_shared(c, SHARED_CHARACTER), known.free);
	} else {
		schema_put_spelling(c, c->notation->name, from, inside);
		schema_put_letter(c, known.free, 0, CODE_POINT_MAX, known.free);
	}
	put_name_end(c, known.free, to);
	return put_others(c, &known, 0, n, 0, inside);
}

/* ---- literals ---- */

static void write_number(struct buf *out, double real)
{
	char text[40];

	for (int digits = 15; digits <= 17; digits++) {
		(void)snprintf(text, sizeof(text), "%.*g", digits, real);
		if (!(strtod(text, NULL) < real) && !(strtod(text, NULL) > real))
			break;
	}
	buf_puts(out, text);
}

static enum rc write_text(struct compiler *c, struct buf *out, const struct text *text)
{
	const bool quoted = c->notation->quote[0] != '\0';

	if (schema_escapes(c)) {
		buf_json_string(out, text->bytes, text->len);
		return RC_OK;
	}
	if (quoted)
		buf_putc(out, QUOTE_BYTE);
	buf_append(out, text->bytes, text->len);
	if (quoted)
		buf_putc(out, QUOTE_BYTE);
	return schema_check_plain(c, text);
}

static enum rc write_literal(struct compiler *c, struct buf *out, struct value value);

/* A name without quotes is a word, so it is written as it is. */
static enum rc write_pair(struct compiler *c, struct buf *out, const struct value_pair *pair)
{
	enum rc rc = RC_OK;

	if (schema_escapes(c) || !schema_is_word(pair->key))
		rc = write_text(c, out, pair->key);
	else
		buf_append(out, pair->key->bytes, pair->key->len);
	buf_putc(out, ':');
	return rc == RC_OK ? write_literal(c, out, pair->value) : rc;
}

/* Compact. */
static enum rc write_literal(struct compiler *c, struct buf *out, struct value value)
{
	enum rc rc = RC_OK;

	switch (value.kind) {
	case VALUE_BOOL:
		buf_puts(out, value.u.boolean ? "true" : "false");
		break;
	case VALUE_INT:
		buf_printf(out, "%lld", (long long)value.u.integer);
		break;
	case VALUE_REAL:
		write_number(out, value.u.real);
		break;
	case VALUE_TEXT:
		return write_text(c, out, value.u.text);
	case VALUE_LIST:
		buf_putc(out, '[');
		for (size_t i = 0; rc == RC_OK && i < value.u.list->len; i++) {
			if (i > 0)
				buf_putc(out, ',');
			rc = write_literal(c, out, value.u.list->items[i]);
		}
		buf_putc(out, ']');
		break;
	case VALUE_MAP:
		buf_putc(out, '{');
		for (size_t i = 0; rc == RC_OK && i < value.u.map->len; i++) {
			if (i > 0)
				buf_putc(out, ',');
			rc = write_pair(c, out, &value.u.map->pairs[i]);
		}
		buf_putc(out, '}');
		break;
	default:
		buf_puts(out, "null");
		break;
	}
	return rc;
}

/* Literals in the order of their bytes: a row of states for each, from where it leaves the
 * one before. */
static enum rc put_sorted(
    struct compiler *c, const struct text **texts, size_t n, uint16_t from, uint16_t to)
{
	size_t longest = 0;

	for (size_t i = 0; i < n; i++)
		longest = texts[i]->len > longest ? texts[i]->len : longest;
	uint16_t *path = arena_array(&c->arena, longest + 1, sizeof(path[0]));
	if (path == NULL)
		return RC_NOMEM;
	path[0] = from;
	for (size_t i = 0; i < n && builder_rc(c->builder) == RC_OK; i++) {
		const struct text *text = texts[i];
		size_t at = 0;

		if (i > 0 && compare_names(&texts[i - 1], &texts[i]) == 0)
			continue;
		while (i > 0 && at < text->len && at < texts[i - 1]->len &&
		       text->bytes[at] == texts[i - 1]->bytes[at])
			at++;
		for (; at < text->len; at++) {
			path[at + 1] = builder_state(c->builder);
			if (text->bytes[at] == QUOTE_BYTE)
				schema_put_spelling(c, c->notation->quote, path[at], path[at + 1]);
			else
				put_byte(c, path[at], text->bytes[at], path[at + 1]);
		}
		builder_empty(c->builder, path[text->len], to);
	}
	return RC_OK;
}

enum rc schema_put_literals(struct compiler *c, struct value values, uint16_t from, uint16_t to)
{
	size_t n = values.u.list->len;
	const struct text **texts = arena_array(&c->arena, n + 1, sizeof(texts[0]));
	enum rc rc = texts == NULL ? RC_NOMEM : RC_OK;

	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		const enum value_kind kind = values.u.list->items[i].kind;
		struct buf text;

		if (c->notation->texts && kind != VALUE_TEXT && kind != VALUE_NONE)
			return schema_fail(
			    c, RC_UNSUPPORTED, "calls of this model cannot hold this value");
		buf_init(&text, LITERAL_BYTES_MAX * 6);
		rc = write_literal(c, &text, values.u.list->items[i]);
		if (rc == RC_OK)
			rc = buf_rc(&text);
		if (rc == RC_OK)
			texts[i] = text_new(&c->arena, buf_text(&text), text.len, false);
		if (rc == RC_OK && texts[i] == NULL)
			rc = RC_NOMEM;
		buf_fini(&text);
	}
	if (rc != RC_OK)
		return rc;
	qsort(texts, n, sizeof(texts[0]), compare_names);
	return put_sorted(c, texts, n, from, to);
}
