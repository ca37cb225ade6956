/* Line: blanks folded, whole characters only. */
#include "night/line.h"

#include <stdint.h>
#include <string.h>

#include "base/unicode.h"
#include "base/utf8.h"

static bool is_blank(uint32_t cp)
{
	enum unicode_category category = unicode_category(cp);

	return unicode_is_space(cp) || category == UNICODE_CC || category == UNICODE_CF ||
	       category == UNICODE_CO || category == UNICODE_CN;
}

const char *line_cut(const char *text, size_t len, size_t max, struct arena *arena, bool *cut)
{
	char *out = arena_alloc(arena, (len < max ? len : max) + 1);
	size_t n = 0, step;

	if (out == NULL)
		return NULL;
	for (size_t i = 0; i < len; i += step) {
		uint32_t cp = ' ';
		step = utf8_decode((const uint8_t *)text + i, len - i, &cp);
		bool blank = step == 0 || is_blank(cp);
		step = step == 0 ? 1 : step;
		if (blank && (n == 0 || out[n - 1] == ' '))
			continue;
		size_t size = blank ? 1 : step;
		if (n + size > max) {
			*cut = true;
			break;
		}
		memcpy(out + n, blank ? " " : text + i, size);
		n += size;
	}
	if (n > 0 && out[n - 1] == ' ')
		n--;
	out[n] = '\0';
	return out;
}

const char *line_make(const char *text, size_t len, size_t max, struct arena *arena)
{
	bool cut = false;

	return line_cut(text, len, max, arena, &cut);
}

/* Signs between sentences; a dot inside a word or a number is none. */
static bool parts(const char *text, const char *at)
{
	return strchr(".!?;", *at) != NULL && at > text && (at[1] == ' ' || at[1] == '\0');
}

static bool is_within_word(char a, char b)
{
	return a != ' ' && b != ' ' && strchr(".,;:!?()\"'", a) == NULL &&
	       strchr(".,;:!?()\"'", b) == NULL && !((unsigned char)a & 0x80) &&
	       !((unsigned char)b & 0x80);
}

static bool splits_word(const char *text, const char *begin, const char *end)
{
	return (begin > text && is_within_word(begin[-1], *begin)) ||
	       (*end != '\0' && is_within_word(end[-1], *end));
}

const char *line_sentences(const char *text, bool cut, const char *part, size_t *len)
{
	size_t part_len = strlen(part);
	const char *begin = part_len == 0 ? NULL : strstr(text, part);

	while (begin != NULL && splits_word(text, begin, begin + part_len))
		begin = strstr(begin + 1, part);
	if (begin == NULL)
		return NULL;
	const char *end = begin + part_len;
	while (begin > text && !parts(text, begin - 1))
		begin--;
	while (*end != '\0' && !parts(text, end - 1) && !parts(text, end))
		end++;
	end += *end != '\0' && parts(text, end);
	if (cut && *end == '\0')
		return NULL;
	*len = (size_t)(end - begin);
	return begin;
}

size_t line_mark_len(const char *const marks[], size_t n, const char *p)
{
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(marks[i]);

		if (strncmp(p, marks[i], len) == 0)
			return len;
	}
	return 0;
}

size_t line_chars(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += ((unsigned char)*text & 0xC0) != 0x80;
	return n;
}
