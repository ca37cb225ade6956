/* Peek: members and strings of a JSON text, by one walk over its bytes. */
#include "align/peek.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "align/decimal.h"
#include "base/utf8.h"

static const char *skip_space(const char *p)
{
	while (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')
		p++;
	return p;
}

/* Behind the closing quote of the string that starts at `p`; NULL if none. */
static const char *skip_string(const char *p)
{
	for (p++; *p != '"'; p++) {
		if (*p == '\\')
			p++;
		if (*p == '\0')
			return NULL;
	}
	return p + 1;
}

static const char *skip_value(const char *p)
{
	size_t depth = 0;

	do {
		if (*p == '"') {
			p = skip_string(p);
			if (p == NULL)
				return NULL;
			continue;
		}
		if (*p == '{' || *p == '[') {
			depth++;
		} else if (*p == '}' || *p == ']') {
			if (depth == 0)
				return p;
			if (--depth == 0)
				return p + 1;
		} else if (*p == '\0' || (depth == 0 && *p == ',')) {
			return depth == 0 ? p : NULL;
		}
		p++;
	} while (depth > 0 || (*p != ',' && *p != '}' && *p != ']' && *p != '\0'));
	return p;
}

void peek_open(struct peek *peek, const char *json)
{
	*peek = (struct peek){ .at = NULL };
	if (json == NULL)
		return;
	json = skip_space(json);
	if (*json == '{')
		peek->at = json + 1;
}

bool peek_next(struct peek *peek)
{
	const char *p = peek->at;

	peek->at = NULL;
	if (p == NULL)
		return false;
	p = skip_space(p);
	if (*p == ',')
		p = skip_space(p + 1);
	if (*p != '"')
		return false;
	const char *end = skip_string(p);
	if (end == NULL)
		return false;
	peek->key = p + 1;
	peek->key_len = (size_t)(end - p) - 2;
	p = skip_space(end);
	if (*p != ':')
		return false;
	p = skip_space(p + 1);
	end = skip_value(p);
	if (end == NULL || end == p)
		return false;
	peek->value = p;
	peek->at = end;
	while (end > p && (end[-1] == ' ' || end[-1] == '\n' || end[-1] == '\t' || end[-1] == '\r'))
		end--;
	peek->value_len = (size_t)(end - p);
	return true;
}

bool peek_is(const struct peek *peek, const char *key)
{
	size_t len = strlen(key);

	return peek->key_len == len && memcmp(peek->key, key, len) == 0;
}

bool peek_number(const struct peek *peek, double *out)
{
	char text[40];
	char *end;

	if (peek->value_len == 0 || peek->value_len >= sizeof text)
		return false;
	if (decimal_read(peek->value, peek->value_len, out))
		return true;
	if (peek->value[0] != '-' && (peek->value[0] < '0' || peek->value[0] > '9'))
		return false;
	memcpy(text, peek->value, peek->value_len);
	text[peek->value_len] = '\0';
	double number = strtod(text, &end);
	if (*end != '\0' || !isfinite(number))
		return false;
	*out = number;
	return true;
}

bool peek_string(const struct peek *peek, const char **text, size_t *len)
{
	if (peek->value_len < 2 || peek->value[0] != '"')
		return false;
	*text = peek->value + 1;
	*len = peek->value_len - 2;
	return true;
}

static bool value_is(const struct peek *peek, const char *word)
{
	size_t len = strlen(word);

	return peek->value_len == len && memcmp(peek->value, word, len) == 0;
}

bool peek_true(const struct peek *peek)
{
	return value_is(peek, "true");
}

bool peek_false(const struct peek *peek)
{
	return value_is(peek, "false");
}

bool peek_empty(const struct peek *peek)
{
	return value_is(peek, "\"\"") || value_is(peek, "[]") || value_is(peek, "{}") ||
	       value_is(peek, "null") || value_is(peek, "false");
}

/* ---- strings at any depth --------------------------------------------------- */

/* Four hex digits at `p`; -1 if they are not. */
static int32_t hex4(const char *p)
{
	int32_t value = 0;

	for (int i = 0; i < 4; i++) {
		char c = p[i];
		int digit = c >= '0' && c <= '9'   ? c - '0'
			    : c >= 'a' && c <= 'f' ? c - 'a' + 10
			    : c >= 'A' && c <= 'F' ? c - 'A' + 10
						   : -1;
		if (digit < 0)
			return -1;
		value = value << 4 | digit;
	}
	return value;
}

/* The escape behind the backslash at `p` as UTF-8; moves `p` behind it. */
static size_t unescape(const char **p, uint8_t out[UTF8_BYTES_MAX])
{
	char c = (*p)[1];

	if (c != 'u') {
		*p += 2;
		out[0] = (uint8_t)(c == '"' || c == '\\' || c == '/' ? c : ' ');
		return 1;
	}
	int32_t high = hex4(*p + 2);
	if (high < 0) {
		*p += 2;
		return 0;
	}
	*p += 6;
	uint32_t cp = (uint32_t)high;
	if (cp >= 0xD800 && cp < 0xDC00 && (*p)[0] == '\\' && (*p)[1] == 'u') {
		int32_t low = hex4(*p + 2);
		if (low >= 0xDC00 && low < 0xE000) {
			cp = 0x10000 + ((cp - 0xD800) << 10) + ((uint32_t)low - 0xDC00);
			*p += 6;
		}
	}
	return utf8_encode(cp, out);
}

/* Decode [begin, end) into `out`; whole characters only. */
static size_t decode(const char *begin, const char *end, char *out, size_t max)
{
	size_t len = 0;

	while (begin < end) {
		uint8_t bytes[UTF8_BYTES_MAX] = { 0 };
		size_t n;
		if (*begin == '\\') {
			n = unescape(&begin, bytes);
		} else {
			uint32_t cp;
			n = utf8_decode((const uint8_t *)begin, (size_t)(end - begin), &cp);
			if (n == 0) {
				begin++;
				continue;
			}
			memcpy(bytes, begin, n);
			begin += n;
		}
		if (len + n > max)
			break;
		memcpy(out + len, bytes, n);
		len += n;
	}
	return len;
}

void peek_strings(const char *json, size_t bytes_max, peek_string_fn *visit, void *ctx)
{
	char text[PEEK_STRING_BYTES_MAX];

	if (json == NULL)
		return;
	for (const char *p = json; *p != '\0' && bytes_max > 0;) {
		if (*p != '"') {
			p++;
			continue;
		}
		const char *end = skip_string(p);
		if (end == NULL)
			return;
		if (*skip_space(end) != ':') {
			size_t max = bytes_max < sizeof text ? bytes_max : sizeof text;
			size_t len = decode(p + 1, end - 1, text, max);
			if (len > 0)
				visit(ctx, text, len);
			bytes_max -= len == 0 ? 1 : len;
		}
		p = end;
	}
}
