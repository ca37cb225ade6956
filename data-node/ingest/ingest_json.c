/* Ingest JSON: spans, depth, canonical text; on top of jansson. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/ingest_internal.h"

#define NUMBER_BYTES 40

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

size_t ingest_json_blank(const char *text, size_t len)
{
	size_t n = 0;

	while (n < len && is_blank(text[n]))
		n++;
	return n;
}

/* Bytes of the string that starts at the quote text[0]; 0 if it is open. */
static size_t string_span(const char *text, size_t len)
{
	for (size_t i = 1; i < len; i++) {
		if (text[i] == '\\')
			i++;
		else if (text[i] == '"')
			return i + 1;
	}
	return 0;
}

size_t ingest_json_span(const char *text, size_t len)
{
	size_t depth = 0, i = 0;

	while (i < len) {
		char c = text[i];
		if (c == '"') {
			size_t n = string_span(text + i, len - i);
			if (n == 0)
				return 0;
			i += n;
			if (depth == 0)
				return i;
			continue;
		}
		if (depth == 0 && i > 0 && (c == ',' || c == ']' || c == '}' || is_blank(c)))
			return i; /* a bare word or number ends here */
		i++;
		if (c == '{' || c == '[') {
			depth++;
		} else if (c == '}' || c == ']') {
			if (depth <= 1)
				return depth == 1 ? i : 0;
			depth--;
		}
	}
	return depth == 0 ? i : 0;
}

bool ingest_json_too_deep(const char *text, size_t len)
{
	size_t depth = 0;

	for (size_t i = 0; i < len; i++) {
		if (text[i] == '"') {
			size_t n = string_span(text + i, len - i);
			if (n == 0)
				return false;
			i += n - 1;
		} else if (text[i] == '{' || text[i] == '[') {
			if (++depth > INGEST_JSON_DEPTH_MAX)
				return true;
		} else if ((text[i] == '}' || text[i] == ']') && depth > 0) {
			depth--;
		}
	}
	return false;
}

enum rc ingest_json_parse(const char *text, size_t len, json_t **out, char *error, size_t error_cap)
{
	json_error_t e;
	enum rc rc = ingest_memory_load(text, len, out, &e);

	if (rc != RC_INVALID)
		return rc;
	const char *what = "is not valid JSON";
	switch (json_error_code(&e)) {
	case json_error_invalid_utf8:
		what = "is not valid UTF-8";
		break;
	case json_error_null_character:
	case json_error_null_byte_in_key:
		what = "holds a NUL character";
		break;
	case json_error_duplicate_key:
		what = "has a member twice";
		break;
	case json_error_numeric_overflow:
		what = "has a number that is too large";
		break;
	default:
		break;
	}
	(void)snprintf(error, error_cap, "%s (at byte %d)", what, e.position);
	return RC_INVALID;
}

static void put_real(double value, struct buf *out)
{
	char text[NUMBER_BYTES];

	for (int digits = 15; digits <= 17; digits++) {
		(void)snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	buf_puts(out, text);
	if (strpbrk(text, ".e") == NULL)
		buf_puts(out, ".0");
}

void ingest_json_number(double value, struct buf *out)
{
	if (value > -1e15 && value < 1e15 && value == (double)(int64_t)value &&
	    (value != 0 || !signbit(value)))
		buf_printf(out, "%" PRId64, (int64_t)value);
	else
		put_real(value, out);
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void put_object(const json_t *object, struct buf *out)
{
	size_t n = json_object_size(object), i = 0;
	const char **keys = calloc(n + 1, sizeof(*keys));
	union {
		const json_t *in;
		json_t *out;
	} borrowed = { .in = object };

	if (keys == NULL) {
		out->rc = RC_NOMEM;
		return;
	}
	for (void *it = json_object_iter(borrowed.out); it != NULL && i < n;
	     it = json_object_iter_next(borrowed.out, it))
		keys[i++] = json_object_iter_key(it);
	qsort(keys, i, sizeof(*keys), compare_keys);
	buf_putc(out, '{');
	for (size_t k = 0; k < i; k++) {
		if (k > 0)
			buf_putc(out, ',');
		buf_json_string(out, keys[k], strlen(keys[k]));
		buf_putc(out, ':');
		ingest_json_canonical(json_object_get(object, keys[k]), out);
	}
	buf_putc(out, '}');
	free(keys);
}

void ingest_json_canonical(const json_t *value, struct buf *out)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		put_object(value, out);
		break;
	case JSON_ARRAY:
		buf_putc(out, '[');
		for (size_t i = 0; i < json_array_size(value); i++) {
			if (i > 0)
				buf_putc(out, ',');
			ingest_json_canonical(json_array_get(value, i), out);
		}
		buf_putc(out, ']');
		break;
	case JSON_STRING:
		buf_json_string(out, json_string_value(value), json_string_length(value));
		break;
	case JSON_INTEGER:
		buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		break;
	case JSON_REAL:
		put_real(json_real_value(value), out);
		break;
	case JSON_TRUE:
		buf_puts(out, "true");
		break;
	case JSON_FALSE:
		buf_puts(out, "false");
		break;
	case JSON_NULL:
		buf_puts(out, "null");
		break;
	}
}
