/* Lexer of chat templates. */
#include "template/lexer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

#define NUMBER_BYTES_MAX 64

struct lexer {
	const char *source;
	size_t len, at;
	unsigned line;
	struct arena *arena;
	struct token *tokens;
	size_t n, cap;
	bool strip_next;   /* the last tag ended with `-` */
	bool trim_newline; /* the last tag was a block or a comment: trim_blocks */
	struct errmsg *why;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

static enum rc push(struct lexer *lx, struct token token)
{
	if (lx->n == TEMPLATE_TOKENS_MAX)
		return errmsg_rc(
		    lx->why, RC_LIMIT, "template: more than %zu tokens", TEMPLATE_TOKENS_MAX);
	if (lx->n == lx->cap) {
		size_t cap = lx->cap == 0 ? 256 : lx->cap * 2;
		struct token *tokens = arena_array(lx->arena, cap, sizeof(*tokens));
		if (tokens == NULL)
			return RC_NOMEM;
		if (lx->n > 0)
			memcpy(tokens, lx->tokens, lx->n * sizeof(*tokens));
		lx->tokens = tokens;
		lx->cap = cap;
	}
	token.line = lx->line;
	lx->tokens[lx->n++] = token;
	return RC_OK;
}

static enum rc push_text(struct lexer *lx, enum token_kind kind, const char *bytes, size_t len)
{
	const struct text *text = text_new(lx->arena, bytes, len, true);

	return text == NULL ? RC_NOMEM : push(lx, (struct token){ .kind = kind, .text = text });
}

static void advance(struct lexer *lx, size_t n)
{
	for (size_t i = 0; i < n; i++)
		lx->line += lx->source[lx->at + i] == '\n';
	lx->at += n;
}

static bool looking_at(const struct lexer *lx, const char *word)
{
	size_t n = strlen(word);

	return lx->len - lx->at >= n && memcmp(lx->source + lx->at, word, n) == 0;
}

static enum rc fail(struct lexer *lx, const char *what)
{
	return errmsg_rc(lx->why, RC_INVALID, "template line %u: %s", lx->line, what);
}

/* Offset of the next tag opening at or behind `from`, or len. */
static size_t next_tag(const struct lexer *lx, size_t from)
{
	for (size_t i = from; i + 1 < lx->len; i++) {
		if (lx->source[i] == '{' && strchr("{%#", lx->source[i + 1]) != NULL)
			return i;
	}
	return lx->len;
}

/* Text up to the next tag, with what trim and strip rules take away. */
static enum rc lex_data(struct lexer *lx)
{
	size_t tag = next_tag(lx, lx->at);
	size_t from = lx->at;
	size_t to = tag;

	if (lx->strip_next) {
		while (from < to && is_blank(lx->source[from]))
			from++;
	} else if (lx->trim_newline && from < to && lx->source[from] == '\n') {
		from++;
	}
	if (tag < lx->len) {
		char mark = tag + 2 < lx->len ? lx->source[tag + 2] : '\0';
		if (mark == '-') {
			while (to > from && is_blank(lx->source[to - 1]))
				to--;
		} else if (mark != '+' && lx->source[tag + 1] != '{') {
			size_t line = to;
			while (line > from &&
			       (lx->source[line - 1] == ' ' || lx->source[line - 1] == '\t'))
				line--;
			/* only when the tag is the first thing on its line */
			if (line == 0 || lx->source[line - 1] == '\n')
				to = line;
		}
	}
	enum rc rc = RC_OK;
	if (to > from)
		rc = push_text(lx, TOKEN_DATA, lx->source + from, to - from);
	advance(lx, tag - lx->at);
	return rc;
}

static enum rc lex_comment(struct lexer *lx)
{
	const char *end = memmem(lx->source + lx->at + 2, lx->len - lx->at - 2, "#}", 2);

	if (end == NULL)
		return fail(lx, "comment without end");
	size_t stop = (size_t)(end - lx->source);
	lx->strip_next = stop > lx->at + 2 && lx->source[stop - 1] == '-';
	lx->trim_newline = true;
	advance(lx, stop + 2 - lx->at);
	return RC_OK;
}

static bool is_name_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static enum rc lex_number(struct lexer *lx)
{
	char digits[NUMBER_BYTES_MAX];
	size_t n = 0;
	size_t i = lx->at;
	bool real = false;

	while (i < lx->len && n < sizeof(digits) - 1) {
		char c = lx->source[i];
		bool sign = (c == '+' || c == '-') && i > lx->at &&
			    (lx->source[i - 1] == 'e' || lx->source[i - 1] == 'E');
		bool dot = c == '.' && i + 1 < lx->len && is_digit(lx->source[i + 1]) && !real;
		bool exponent = (c == 'e' || c == 'E') && i + 1 < lx->len &&
				(is_digit(lx->source[i + 1]) || lx->source[i + 1] == '-' ||
				    lx->source[i + 1] == '+');
		if (!is_digit(c) && c != '_' && !dot && !exponent && !sign)
			break;
		real = real || dot || exponent;
		if (c != '_')
			digits[n++] = c;
		i++;
	}
	digits[n] = '\0';
	struct token token = { .kind = real ? TOKEN_REAL : TOKEN_INT };
	errno = 0;
	if (real)
		token.real = strtod(digits, NULL);
	else
		token.integer = strtoll(digits, NULL, 10);
	if (errno != 0)
		return fail(lx, "number out of range");
	lx->at = i;
	return push(lx, token);
}

/* \xHH and \uHHHH; returns the digits taken, 0 if they are no such escape. */
static size_t unescape_hex(const char *at, size_t len, size_t digits, uint32_t *cp)
{
	*cp = 0;
	if (len < digits)
		return 0;
	for (size_t i = 0; i < digits; i++) {
		char c = at[i];
		uint32_t d = is_digit(c)            ? (uint32_t)(c - '0')
			     : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
			     : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
						    : 99;
		if (d == 99)
			return 0;
		*cp = *cp * 16 + d;
	}
	return digits;
}

/* One escape at `at` (behind the backslash); returns the source bytes used. */
static size_t unescape(struct text_builder *out, const char *at, size_t len)
{
	static const char names[] = "ntrfvab0\\'\"";
	static const char values[] = "\n\t\r\f\v\a\b\0\\'\"";
	uint8_t utf8[UTF8_BYTES_MAX];
	uint32_t cp;

	size_t digits = at[0] == 'x' ? 2 : at[0] == 'u' ? 4 : at[0] == 'U' ? 8 : 0;
	if (digits > 0 && unescape_hex(at + 1, len - 1, digits, &cp) > 0) {
		size_t n = utf8_encode(cp, utf8);
		text_builder_bytes(out, (const char *)utf8, n, true);
		return 1 + digits;
	}
	if (at[0] == '\n')
		return 1;
	for (size_t i = 0; i < sizeof(names) - 1; i++) {
		if (names[i] == at[0]) {
			text_builder_bytes(out, values + i, 1, true);
			return 1;
		}
	}
	text_builder_bytes(out, "\\", 1, true); /* unknown escapes stay as they are */
	return 0;
}

static enum rc lex_string(struct lexer *lx)
{
	char quote = lx->source[lx->at];
	struct text_builder out;
	size_t i = lx->at + 1;

	text_builder_init(&out, lx->arena, lx->len);
	while (i < lx->len && lx->source[i] != quote) {
		if (lx->source[i] == '\\' && i + 1 < lx->len) {
			i++;
			i += unescape(&out, lx->source + i, lx->len - i);
			continue;
		}
		text_builder_bytes(&out, lx->source + i, 1, true);
		i++;
	}
	if (i >= lx->len)
		return fail(lx, "string without end");
	const struct text *text = text_builder_text(&out);
	if (text == NULL)
		return RC_NOMEM;
	enum rc rc = push(lx, (struct token){ .kind = TOKEN_TEXT, .text = text });
	advance(lx, i + 1 - lx->at);
	return rc;
}

static enum rc lex_sign(struct lexer *lx)
{
	static const char *const signs[] = { "**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/",
		"%", "~", "<", ">", "=", ".", ",", ":", "|", "(", ")", "[", "]", "{", "}" };

	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
		if (looking_at(lx, signs[i])) {
			enum rc rc = push_text(lx, TOKEN_SIGN, signs[i], strlen(signs[i]));
			lx->at += strlen(signs[i]);
			return rc;
		}
	}
	return fail(lx, "unexpected character");
}

/* True if a tag end stands here outside of any bracket. */
static bool at_tag_end(const struct lexer *lx, const char *end, int depth, bool *strip)
{
	char minus[4] = { '-', end[0], end[1], '\0' };
	char plus[4] = { '+', end[0], end[1], '\0' };

	*strip = looking_at(lx, minus);
	return depth == 0 && (*strip || looking_at(lx, plus) || looking_at(lx, end));
}

/* From behind `{{` or `{%` to the end of the tag. */
static enum rc lex_tag(struct lexer *lx, bool block)
{
	const char *end = block ? "%}" : "}}";
	int depth = 0;
	bool strip;

	enum rc rc =
	    push(lx, (struct token){ .kind = block ? TOKEN_BLOCK_BEGIN : TOKEN_PRINT_BEGIN });
	while (rc == RC_OK && lx->at < lx->len) {
		char c = lx->source[lx->at];
		if (is_blank(c)) {
			advance(lx, 1);
		} else if (at_tag_end(lx, end, depth, &strip)) {
			lx->trim_newline = block && c != '+';
			lx->at += looking_at(lx, end) ? 2 : 3;
			lx->strip_next = strip;
			return push(lx,
			    (struct token){ .kind = block ? TOKEN_BLOCK_END : TOKEN_PRINT_END });
		} else if (is_name_start(c)) {
			size_t i = lx->at;
			while (i < lx->len &&
			       (is_name_start(lx->source[i]) || is_digit(lx->source[i])))
				i++;
			rc = push_text(lx, TOKEN_NAME, lx->source + lx->at, i - lx->at);
			lx->at = i;
		} else if (is_digit(c)) {
			rc = lex_number(lx);
		} else if (c == '\'' || c == '"') {
			rc = lex_string(lx);
		} else {
			depth += strchr("([{", c) != NULL ? 1 : strchr(")]}", c) != NULL ? -1 : 0;
			rc = lex_sign(lx);
		}
	}
	return rc != RC_OK ? rc : fail(lx, "tag without end");
}

/* {% raw %} … {% endraw %}: 1 if one was lexed, 0 if there is none here. */
static enum rc lex_raw(struct lexer *lx, bool *was_raw)
{
	size_t i = lx->at + 2;

	*was_raw = false;
	if (i < lx->len && (lx->source[i] == '-' || lx->source[i] == '+'))
		i++;
	while (i < lx->len && is_blank(lx->source[i]))
		i++;
	if (lx->len - i < 3 || memcmp(lx->source + i, "raw", 3) != 0)
		return RC_OK;
	const char *open_end = memmem(lx->source + i, lx->len - i, "%}", 2);
	if (open_end == NULL || (size_t)(open_end - lx->source) > i + 5)
		return RC_OK;
	size_t from = (size_t)(open_end - lx->source) + 2;
	for (size_t at = from; at + 2 < lx->len; at++) {
		if (memcmp(lx->source + at, "{%", 2) != 0)
			continue;
		size_t word = at + 2 + (lx->source[at + 2] == '-' || lx->source[at + 2] == '+');
		while (word < lx->len && is_blank(lx->source[word]))
			word++;
		if (lx->len - word < 6 || memcmp(lx->source + word, "endraw", 6) != 0)
			continue;
		const char *end = memmem(lx->source + word, lx->len - word, "%}", 2);
		if (end == NULL)
			break;
		*was_raw = true;
		enum rc rc = push_text(lx, TOKEN_DATA, lx->source + from, at - from);
		advance(lx, (size_t)(end - lx->source) + 2 - lx->at);
		lx->strip_next = end[-1] == '-';
		lx->trim_newline = true;
		return rc;
	}
	return fail(lx, "raw without endraw");
}

enum rc lexer_run(const char *source, size_t len, struct arena *arena, struct token **out,
    size_t *out_len, struct errmsg *why)
{
	struct lexer lx = { .source = source, .len = len, .line = 1, .arena = arena, .why = why };
	enum rc rc = RC_OK;

	if (lx.len > 0 && source[lx.len - 1] == '\n')
		lx.len--; /* one trailing newline of the file is dropped */
	while (rc == RC_OK && lx.at < lx.len) {
		bool raw = false;
		rc = lex_data(&lx);
		if (rc != RC_OK || lx.at >= lx.len)
			break;
		if (lx.source[lx.at + 1] == '#') {
			rc = lex_comment(&lx);
			continue;
		}
		bool block = lx.source[lx.at + 1] == '%';
		if (block)
			rc = lex_raw(&lx, &raw);
		if (rc != RC_OK || raw)
			continue;
		lx.at += 2;
		if (lx.at < lx.len && (lx.source[lx.at] == '-' || lx.source[lx.at] == '+'))
			lx.at++;
		rc = lex_tag(&lx, block);
	}
	if (rc == RC_OK)
		rc = push(&lx, (struct token){ .kind = TOKEN_END });
	*out = lx.tokens;
	*out_len = lx.n;
	return rc;
}
