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

const char *line_make(const char *text, size_t len, size_t max, struct arena *arena)
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
		if (n + size > max)
			break;
		memcpy(out + n, blank ? " " : text + i, size);
		n += size;
	}
	if (n > 0 && out[n - 1] == ' ')
		n--;
	out[n] = '\0';
	return out;
}

bool line_holds(const char *text, const char *part)
{
	return part[0] != '\0' && strstr(text, part) != NULL;
}

size_t line_chars(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += ((unsigned char)*text & 0xC0) != 0x80;
	return n;
}
