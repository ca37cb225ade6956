/* Values as text: Python's str() and repr(), and JSON. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "template/value.h"

#define STR_BYTES_MAX ((size_t)16 << 20)
#define NUMBER_BYTES 64

/* The shortest decimal that reads back as the same number, Python's way. */
static void format_real(double real, char out[NUMBER_BYTES])
{
	if (isnan(real) || isinf(real)) {
		(void)snprintf(out, NUMBER_BYTES, "%s",
		    isnan(real) ? "nan"
		    : real > 0  ? "inf"
				: "-inf");
		return;
	}
	int precision = 1;
	for (; precision < 17; precision++) {
		(void)snprintf(out, NUMBER_BYTES, "%.*e", precision - 1, real);
		double back = strtod(out, NULL);
		if (!(back < real) && !(back > real))
			break;
	}
	(void)snprintf(out, NUMBER_BYTES, "%.*e", precision - 1, real);
	long exponent = strtol(strchr(out, 'e') + 1, NULL, 10);
	if (exponent >= -4 && exponent < 16) {
		int decimals = precision - 1 - (int)exponent;
		(void)snprintf(out, NUMBER_BYTES, "%.*f", decimals > 0 ? decimals : 1, real);
	}
}

static void add_word(struct text_builder *out, const char *word)
{
	text_builder_bytes(out, word, strlen(word), true);
}

static void add_number(struct text_builder *out, struct value value)
{
	char number[NUMBER_BYTES];

	if (value.kind == VALUE_INT)
		(void)snprintf(number, sizeof(number), "%" PRId64, value.u.integer);
	else
		format_real(value.u.real, number);
	/* Digits cannot forge a special token; whoever sent them is not trusted. */
	text_builder_bytes(out, number, strlen(number), false);
}

static void repr_text(struct text_builder *out, const struct text *text)
{
	bool single = memchr(text->bytes, '\'', text->len) != NULL;
	bool twice = memchr(text->bytes, '"', text->len) != NULL;
	char quote = single && !twice ? '"' : '\'';

	text_builder_bytes(out, &quote, 1, true);
	for (size_t i = 0; i < text->len; i++) {
		char c = text->bytes[i];
		char escaped[8];
		if (c == '\n' || c == '\t' || c == '\r' || c == '\\' || c == quote) {
			(void)snprintf(escaped, sizeof(escaped), "\\%c",
			    c == '\n'   ? 'n'
			    : c == '\t' ? 't'
			    : c == '\r' ? 'r'
					: c);
		} else if ((unsigned char)c < 0x20 || c == 0x7F) {
			(void)snprintf(escaped, sizeof(escaped), "\\x%02x", (unsigned)c);
		} else {
			text_builder_bytes(out, &c, 1, text_trusted(text, i));
			continue;
		}
		text_builder_bytes(out, escaped, strlen(escaped), false);
	}
	text_builder_bytes(out, &quote, 1, true);
}

static void repr(struct text_builder *out, struct value value, int depth)
{
	if (depth > VALUE_DEPTH_MAX) {
		out->rc = RC_LIMIT;
		return;
	}
	switch (value.kind) {
	case VALUE_UNDEFINED:
		add_word(out, depth == 0 ? "" : "Undefined");
		break;
	case VALUE_NONE:
		add_word(out, "None");
		break;
	case VALUE_BOOL:
		add_word(out, value.u.boolean ? "True" : "False");
		break;
	case VALUE_INT:
	case VALUE_REAL:
		add_number(out, value);
		break;
	case VALUE_TEXT:
		if (depth == 0)
			text_builder_add(out, value.u.text);
		else
			repr_text(out, value.u.text);
		break;
	case VALUE_LIST:
		add_word(out, "[");
		for (size_t i = 0; i < value.u.list->len; i++) {
			add_word(out, i > 0 ? ", " : "");
			repr(out, value.u.list->items[i], depth + 1);
		}
		add_word(out, "]");
		break;
	case VALUE_MAP:
	case VALUE_NAMESPACE:
		add_word(out, "{");
		for (size_t i = 0; i < value.u.map->len; i++) {
			add_word(out, i > 0 ? ", " : "");
			repr_text(out, value.u.map->pairs[i].key);
			add_word(out, ": ");
			repr(out, value.u.map->pairs[i].value, depth + 1);
		}
		add_word(out, "}");
		break;
	default:
		add_word(out, "<function>");
	}
}

const struct text *value_str(struct arena *arena, struct value value)
{
	struct text_builder out;

	if (value.kind == VALUE_TEXT)
		return value.u.text;
	text_builder_init(&out, arena, STR_BYTES_MAX);
	repr(&out, value, 0);
	return text_builder_text(&out);
}

/* ---- JSON ---- */

struct json_writer {
	struct text_builder *out;
	int indent;
	bool sort_keys;
};

static void json_text(struct text_builder *out, const struct text *text)
{
	add_word(out, "\"");
	for (size_t i = 0; i < text->len; i++) {
		char c = text->bytes[i];
		static const char plain[] = "\"\\\n\r\t\b\f";
		static const char names[] = "\"\\nrtbf";
		const char *named = c != '\0' ? strchr(plain, c) : NULL;
		char escaped[8];
		if (named != NULL) {
			(void)snprintf(escaped, sizeof(escaped), "\\%c", names[named - plain]);
		} else if ((unsigned char)c < 0x20) {
			(void)snprintf(escaped, sizeof(escaped), "\\u%04x", (unsigned)c);
		} else {
			text_builder_bytes(out, &c, 1, text_trusted(text, i));
			continue;
		}
		text_builder_bytes(out, escaped, strlen(escaped), false);
	}
	add_word(out, "\"");
}

static void json_break(struct json_writer *w, int depth)
{
	if (w->indent < 0)
		return;
	add_word(w->out, "\n");
	for (int i = 0; i < depth * w->indent; i++)
		add_word(w->out, " ");
}

static int by_key(const void *a, const void *b)
{
	const struct value_pair *x = a;
	const struct value_pair *y = b;
	int order = 0;
	enum rc rc = value_compare(value_of_text(x->key), value_of_text(y->key), &order);

	return rc == RC_OK ? order : 0;
}

static enum rc json_value(struct json_writer *w, struct value value, int depth);

static enum rc json_map(struct json_writer *w, const struct value_map *map, int depth)
{
	const struct value_pair *pairs = map->pairs;

	if (map->len == 0) {
		add_word(w->out, "{}");
		return RC_OK;
	}
	if (w->sort_keys) {
		struct value_pair *sorted = arena_array(w->out->arena, map->len, sizeof(*sorted));
		if (sorted == NULL)
			return RC_NOMEM;
		memcpy(sorted, pairs, map->len * sizeof(*sorted));
		qsort(sorted, map->len, sizeof(*sorted), by_key);
		pairs = sorted;
	}
	add_word(w->out, "{");
	for (size_t i = 0; i < map->len; i++) {
		if (i > 0)
			add_word(w->out, w->indent < 0 ? ", " : ",");
		json_break(w, depth + 1);
		json_text(w->out, pairs[i].key);
		add_word(w->out, ": ");
		enum rc rc = json_value(w, pairs[i].value, depth + 1);
		if (rc != RC_OK)
			return rc;
	}
	json_break(w, depth);
	add_word(w->out, "}");
	return RC_OK;
}

static enum rc json_list(struct json_writer *w, const struct value_list *list, int depth)
{
	if (list->len == 0) {
		add_word(w->out, "[]");
		return RC_OK;
	}
	add_word(w->out, "[");
	for (size_t i = 0; i < list->len; i++) {
		if (i > 0)
			add_word(w->out, w->indent < 0 ? ", " : ",");
		json_break(w, depth + 1);
		enum rc rc = json_value(w, list->items[i], depth + 1);
		if (rc != RC_OK)
			return rc;
	}
	json_break(w, depth);
	add_word(w->out, "]");
	return RC_OK;
}

static enum rc json_value(struct json_writer *w, struct value value, int depth)
{
	if (depth > VALUE_DEPTH_MAX)
		return RC_LIMIT;
	switch (value.kind) {
	case VALUE_NONE:
		add_word(w->out, "null");
		return RC_OK;
	case VALUE_BOOL:
		add_word(w->out, value.u.boolean ? "true" : "false");
		return RC_OK;
	case VALUE_INT:
	case VALUE_REAL:
		add_number(w->out, value);
		return RC_OK;
	case VALUE_TEXT:
		json_text(w->out, value.u.text);
		return RC_OK;
	case VALUE_LIST:
		return json_list(w, value.u.list, depth);
	case VALUE_MAP:
	case VALUE_NAMESPACE:
		return json_map(w, value.u.map, depth);
	default:
		return RC_INVALID;
	}
}

enum rc value_to_json(struct text_builder *out, struct value value, int indent, bool sort_keys)
{
	struct json_writer w = { out, indent, sort_keys };

	enum rc rc = json_value(&w, value, 0);
	return rc != RC_OK ? rc : out->rc;
}
