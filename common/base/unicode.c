/* Unicode character properties. */
#include "base/unicode.h"

#include "base/unicode_table.h"

#define HANGUL_FIRST 0xAC00u
#define HANGUL_LAST 0xD7A3u

enum unicode_category unicode_category(uint32_t cp)
{
	size_t low = 0;
	size_t high = unicode_changes_len;

	if (cp > 0x10FFFF)
		return UNICODE_CN;
	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;
		if (unicode_changes[mid] >> 5 <= cp)
			low = mid;
		else
			high = mid;
	}
	return (enum unicode_category)(unicode_changes[low] & 31);
}

static bool within(uint32_t cp, enum unicode_category first, enum unicode_category last)
{
	enum unicode_category category = unicode_category(cp);

	return category >= first && category <= last;
}

bool unicode_is_letter(uint32_t cp)
{
	if (cp < 0x80)
		return (cp >= 'a' && cp <= 'z') || (cp >= 'A' && cp <= 'Z');
	return within(cp, UNICODE_LU, UNICODE_LO);
}

bool unicode_is_mark(uint32_t cp)
{
	return cp >= 0x300 && within(cp, UNICODE_MN, UNICODE_ME);
}

bool unicode_is_number(uint32_t cp)
{
	if (cp < 0x80)
		return cp >= '0' && cp <= '9';
	return within(cp, UNICODE_ND, UNICODE_NO);
}

bool unicode_is_punctuation(uint32_t cp)
{
	return within(cp, UNICODE_PC, UNICODE_PO);
}

bool unicode_is_symbol(uint32_t cp)
{
	return within(cp, UNICODE_SM, UNICODE_SO);
}

bool unicode_is_space(uint32_t cp)
{
	if (cp < 0x80)
		return cp == ' ' || (cp >= '\t' && cp <= '\r');
	return cp == 0x85 || within(cp, UNICODE_ZS, UNICODE_ZP);
}

bool unicode_is_ideograph(uint32_t cp)
{
	return (cp >= 0x4E00 && cp <= 0x9FFF) || (cp >= 0x3400 && cp <= 0x4DBF) ||
	       (cp >= 0x20000 && cp <= 0x2A6DF) || (cp >= 0x2A700 && cp <= 0x2B73F) ||
	       (cp >= 0x2B740 && cp <= 0x2B81F) || (cp >= 0x2B820 && cp <= 0x2CEAF) ||
	       (cp >= 0xF900 && cp <= 0xFAFF) || (cp >= 0x2F800 && cp <= 0x2FA1F);
}

uint32_t unicode_lower(uint32_t cp)
{
	size_t low = 0;
	size_t high = unicode_lowers_len;

	if (cp < 0x80)
		return cp >= 'A' && cp <= 'Z' ? cp + 32 : cp;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct unicode_lower_run *run = &unicode_lowers[mid];
		if (cp < run->first)
			high = mid;
		else if (cp > run->last)
			low = mid + 1;
		else if ((cp - run->first) % run->step == 0)
			return (uint32_t)((int32_t)cp + run->distance);
		else
			return cp;
	}
	return cp;
}

/* Hangul syllables decompose by arithmetic (Unicode, chapter 3.12). */
static size_t hangul_base(uint32_t cp, uint32_t out[UNICODE_BASE_MAX])
{
	uint32_t index = cp - HANGUL_FIRST;
	uint32_t tail = index % 28;

	out[0] = 0x1100 + index / (21 * 28);
	out[1] = 0x1161 + index / 28 % 21;
	out[2] = 0x11A7 + tail;
	return tail != 0 ? 3 : 2;
}

size_t unicode_base(uint32_t cp, uint32_t out[UNICODE_BASE_MAX])
{
	size_t low = 0;
	size_t high = unicode_bases_len;

	out[0] = cp;
	if (cp < 0xC0)
		return 1;
	if (cp >= HANGUL_FIRST && cp <= HANGUL_LAST)
		return hangul_base(cp, out);
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct unicode_base_row *row = &unicode_bases[mid];
		if (cp == row->cp) {
			size_t n = 0;
			for (; n < UNICODE_BASE_MAX && row->base[n] != 0; n++)
				out[n] = row->base[n];
			return n;
		}
		if (cp < row->cp)
			high = mid;
		else
			low = mid + 1;
	}
	return unicode_category(cp) == UNICODE_MN ? 0 : 1;
}
