/* JSON text (RFC 8259) to values of the chat-template interpreter. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "template/template.h"

struct json {
	const char *at, *end;
	struct arena *arena;
	int depth;
};

static enum rc parse_value(struct json *j, struct value *out);

static void skip_blanks(struct json *j)
{
	while (
	    j->at < j->end && (*j->at == ' ' || *j->at == '\t' || *j->at == '\n' || *j->at == '\r'))
		j->at++;
}

static bool take(struct json *j, char c)
{
	skip_blanks(j);
	if (j->at == j->end || *j->at != c)
		return false;
	j->at++;
	return true;
}

static bool take_word(struct json *j, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(j->end - j->at) < n || memcmp(j->at, word, n) != 0)
		return false;
	j->at += n;
	return true;
}

static enum rc hex4(struct json *j, uint32_t *out)
{
	*out = 0;
	if (j->end - j->at < 4)
		return RC_INVALID;
	for (int i = 0; i < 4; i++) {
		char c = *j->at++;
		uint32_t d = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
			     : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
			     : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
						    : 16;
		if (d == 16)
			return RC_INVALID;
		*out = *out << 4 | d;
	}
	return RC_OK;
}

/* Behind \u: one code point, of a surrogate pair if it begins one. */
static enum rc unicode_escape(struct json *j, struct text_builder *out)
{
	uint8_t bytes[UTF8_BYTES_MAX];
	uint32_t cp;
	uint32_t low;

	enum rc rc = hex4(j, &cp);
	if (rc != RC_OK)
		return rc;
	if (cp >= 0xD800 && cp <= 0xDBFF) {
		if (!take_word(j, "\\u") || hex4(j, &low) != RC_OK || low < 0xDC00 || low > 0xDFFF)
			return RC_INVALID;
		cp = 0x10000 + ((cp - 0xD800) << 10) + (low - 0xDC00);
	}
	size_t n = utf8_encode(cp, bytes);
	text_builder_bytes(out, (const char *)bytes, n, false);
	return n > 0 ? RC_OK : RC_INVALID;
}

static enum rc parse_text(struct json *j, const struct text **out)
{
	static const char names[] = "\"\\/bfnrt";
	static const char values[] = "\"\\/\b\f\n\r\t";
	struct text_builder builder;

	text_builder_init(&builder, j->arena, (size_t)(j->end - j->at));
	while (j->at < j->end && *j->at != '"') {
		if ((unsigned char)*j->at < 0x20)
			return RC_INVALID;
		if (*j->at != '\\') {
			text_builder_bytes(&builder, j->at++, 1, false);
			continue;
		}
		if (++j->at == j->end)
			return RC_INVALID;
		char c = *j->at++;
		const char *named = c != '\0' ? strchr(names, c) : NULL;
		if (named != NULL)
			text_builder_bytes(&builder, &values[named - names], 1, false);
		else if (c != 'u' || unicode_escape(j, &builder) != RC_OK)
			return RC_INVALID;
	}
	if (j->at++ == j->end)
		return RC_INVALID;
	/* a builder that got nothing gives an empty text */
	*out = text_builder_text(&builder);
	return *out != NULL ? RC_OK : RC_NOMEM;
}

static enum rc parse_number(struct json *j, struct value *out)
{
	char digits[64];
	size_t n = 0;
	char *end;
	bool real = false;

	while (j->at < j->end && n < sizeof(digits) - 1 &&
	       strchr("+-0123456789.eE", *j->at) != NULL && *j->at != '\0') {
		real = real || strchr(".eE", *j->at) != NULL;
		digits[n++] = *j->at++;
	}
	digits[n] = '\0';
	if (n == 0 || digits[0] == '+' || digits[0] == '.')
		return RC_INVALID;
	errno = 0;
	*out = real ? value_real(strtod(digits, &end)) : value_int(strtoll(digits, &end, 10));
	if (errno != 0 && !real) { /* too large for an integer */
		errno = 0;
		*out = value_real(strtod(digits, &end));
	}
	return *end == '\0' && errno == 0 ? RC_OK : RC_INVALID;
}

static enum rc parse_list(struct json *j, struct value *out)
{
	*out = value_list(j->arena);
	if (take(j, ']'))
		return value_ok(*out) ? RC_OK : RC_NOMEM;
	do {
		struct value item;
		enum rc rc = parse_value(j, &item);
		if (rc == RC_OK)
			rc = value_push(j->arena, *out, item);
		if (rc != RC_OK)
			return rc;
	} while (take(j, ','));
	return take(j, ']') ? RC_OK : RC_INVALID;
}

static enum rc parse_map(struct json *j, struct value *out)
{
	*out = value_map(j->arena);
	if (take(j, '}'))
		return value_ok(*out) ? RC_OK : RC_NOMEM;
	do {
		const struct text *key;
		struct value value;
		if (!take(j, '"'))
			return RC_INVALID;
		enum rc rc = parse_text(j, &key);
		if (rc == RC_OK && !take(j, ':'))
			rc = RC_INVALID;
		if (rc == RC_OK)
			rc = parse_value(j, &value);
		if (rc == RC_OK)
			rc = value_set(j->arena, *out, key, value);
		if (rc != RC_OK)
			return rc;
	} while (take(j, ','));
	return take(j, '}') ? RC_OK : RC_INVALID;
}

static enum rc parse_value(struct json *j, struct value *out)
{
	enum rc rc;

	if (++j->depth > VALUE_DEPTH_MAX)
		return RC_LIMIT;
	skip_blanks(j);
	if (take(j, '{')) {
		rc = parse_map(j, out);
	} else if (take(j, '[')) {
		rc = parse_list(j, out);
	} else if (take(j, '"')) {
		const struct text *text;
		rc = parse_text(j, &text);
		if (rc == RC_OK)
			*out = value_of_text(text);
	} else if (take_word(j, "true") || take_word(j, "false")) {
		*out = value_bool(j->at[-2] == 'u');
		rc = RC_OK;
	} else if (take_word(j, "null")) {
		*out = value_none();
		rc = RC_OK;
	} else {
		rc = parse_number(j, out);
	}
	j->depth--;
	return rc;
}

enum rc template_parse_json(
    const char *json, size_t len, struct arena *arena, struct value *out, struct errmsg *why)
{
	struct json j = { .at = json, .end = json + len, .arena = arena };

	if (!utf8_valid(json, len))
		return errmsg_rc(why, RC_INVALID, "JSON is not UTF-8");
	enum rc rc = parse_value(&j, out);
	skip_blanks(&j);
	if (rc == RC_OK && j.at != j.end)
		rc = RC_INVALID;
	if (rc == RC_INVALID)
		return errmsg_rc(why, rc, "malformed JSON at byte %zu", (size_t)(j.at - json));
	return rc;
}
