/* Scanners that the pre-tokenizers are made of. */
#include "tokenize/pretoken_scan.h"

#include <string.h>

#include "base/unicode.h"
#include "base/utf8.h"

#define REPLACEMENT 0xFFFDu

size_t scan_peek(const struct span *span, size_t at, uint32_t *cp)
{
	if (at >= span->len)
		return 0;
	size_t n = utf8_decode((const uint8_t *)span->bytes + at, span->len - at, cp);
	if (n != 0)
		return n;
	*cp = REPLACEMENT;
	return 1;
}

size_t scan_run(const struct span *span, size_t at, scan_class_fn *in, size_t max)
{
	size_t from = at;
	uint32_t cp;

	for (size_t i = 0; max == 0 || i < max; i++) {
		size_t n = scan_peek(span, at, &cp);
		if (n == 0 || !in(cp))
			break;
		at += n;
	}
	return at - from;
}

size_t scan_breaks(const struct span *span, size_t at, const char *also)
{
	size_t from = at;

	while (at < span->len &&
	       (span->bytes[at] == '\r' || span->bytes[at] == '\n' ||
		   (span->bytes[at] != '\0' && strchr(also, span->bytes[at]) != NULL)))
		at++;
	return at - from;
}

size_t scan_contraction(const struct span *span, size_t at, bool any_case)
{
	static const char *const tails[] = { "s", "t", "re", "ve", "m", "ll", "d" };
	size_t left = span->len - at;

	if (left < 2 || span->bytes[at] != '\'')
		return 0;
	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		size_t n = strlen(tails[i]);
		bool same = left > n;
		for (size_t k = 0; same && k < n; k++) {
			char c = span->bytes[at + 1 + k];
			c = any_case && c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
			same = c == tails[i][k];
		}
		if (same)
			return n + 1;
	}
	return 0;
}

size_t scan_newlines(const struct span *span, size_t at)
{
	size_t run = scan_run(span, at, unicode_is_space, 0);

	while (run > 0 && span->bytes[at + run - 1] != '\n' && span->bytes[at + run - 1] != '\r')
		run--; /* bytes of longer blanks are never \r or \n */
	return run;
}

size_t scan_blanks(const struct span *span, size_t at)
{
	size_t run = scan_run(span, at, unicode_is_space, 0);
	size_t last = run;

	if (run == 0 || at + run == span->len)
		return run;
	/* what is no blank follows: leave it one blank, if there are two */
	do
		last--;
	while (last > 0 && ((uint8_t)span->bytes[at + last] & 0xC0) == 0x80);
	return last > 0 ? last : run;
}

bool scan_is_letter(uint32_t cp)
{
	return unicode_is_letter(cp);
}

bool scan_is_letter_or_mark(uint32_t cp)
{
	return unicode_is_letter(cp) || unicode_is_mark(cp);
}

bool scan_is_number(uint32_t cp)
{
	return unicode_is_number(cp);
}

bool scan_is_break(uint32_t cp)
{
	return cp == '\r' || cp == '\n';
}
