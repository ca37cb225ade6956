/* Folding tables: letters to their plain form, and which letters make words. */
#include "recall/fold.h"

#include <stdbool.h>

#define LATIN_FIRST 0xC0u
#define LATIN_LAST 0x17Fu

/* U+00C0 to U+017F; '*' stands for two letters or none, see pairs[]. */
static const char latin[] = "aaaaaa*ceeeeiiii"
			    "dnooooo*ouuuuy**"
			    "aaaaaa*ceeeeiiii"
			    "dnooooo*ouuuuy*y"
			    "aaaaaaccccccccdd"
			    "ddeeeeeeeeeegggg"
			    "gggghhhhiiiiiiii"
			    "ii**jjkkklllllll"
			    "lllnnnnnnnnnoooo"
			    "oo**rrrrrrssssss"
			    "ssttttttuuuuuuuu"
			    "uuuuwwyyyzzzzzzs";

static const struct {
	uint16_t cp;
	char letters[3];
} pairs[] = {
	{ 0xC6, "ae" },
	{ 0xDE, "th" },
	{ 0xDF, "ss" },
	{ 0xE6, "ae" },
	{ 0xFE, "th" },
	{ 0x132, "ij" },
	{ 0x133, "ij" },
	{ 0x152, "oe" },
	{ 0x153, "oe" },
};

/* Ranges of single letters behind the table, by their last code point. */
static const struct {
	uint16_t last;
	char letter; /* 0: no Latin letter here */
} ranges[] = {
	{ 0x19F, 0 },
	{ 0x1A1, 'o' },
	{ 0x1AE, 0 },
	{ 0x1B0, 'u' },
	{ 0x217, 0 },
	{ 0x219, 's' },
	{ 0x21B, 't' },
	{ 0x1DFF, 0 },
	{ 0x1E01, 'a' },
	{ 0x1E07, 'b' },
	{ 0x1E09, 'c' },
	{ 0x1E13, 'd' },
	{ 0x1E1D, 'e' },
	{ 0x1E1F, 'f' },
	{ 0x1E21, 'g' },
	{ 0x1E2B, 'h' },
	{ 0x1E2F, 'i' },
	{ 0x1E35, 'k' },
	{ 0x1E3D, 'l' },
	{ 0x1E43, 'm' },
	{ 0x1E4B, 'n' },
	{ 0x1E53, 'o' },
	{ 0x1E57, 'p' },
	{ 0x1E5F, 'r' },
	{ 0x1E69, 's' },
	{ 0x1E71, 't' },
	{ 0x1E7B, 'u' },
	{ 0x1E7F, 'v' },
	{ 0x1E89, 'w' },
	{ 0x1E8D, 'x' },
	{ 0x1E8F, 'y' },
	{ 0x1E95, 'z' },
	{ 0x1E96, 'h' },
	{ 0x1E97, 't' },
	{ 0x1E98, 'w' },
	{ 0x1E99, 'y' },
	{ 0x1E9A, 'a' },
	{ 0x1E9F, 's' },
	{ 0x1EB7, 'a' },
	{ 0x1EC7, 'e' },
	{ 0x1ECB, 'i' },
	{ 0x1EE3, 'o' },
	{ 0x1EF1, 'u' },
	{ 0x1EF9, 'y' },
};

static const struct {
	uint16_t from, to;
} greek[] = {
	{ 0x386, 0x3B1 },
	{ 0x388, 0x3B5 },
	{ 0x389, 0x3B7 },
	{ 0x38A, 0x3B9 },
	{ 0x38C, 0x3BF },
	{ 0x38E, 0x3C5 },
	{ 0x38F, 0x3C9 },
	{ 0x3AC, 0x3B1 },
	{ 0x3AD, 0x3B5 },
	{ 0x3AE, 0x3B7 },
	{ 0x3AF, 0x3B9 },
	{ 0x3C2, 0x3C3 },
	{ 0x3CC, 0x3BF },
	{ 0x3CD, 0x3C5 },
	{ 0x3CE, 0x3C9 },
};

static size_t fold_latin(uint32_t cp, uint32_t out[FOLD_OUT_MAX])
{
	char letter = latin[cp - LATIN_FIRST];

	if (letter != '*') {
		out[0] = (uint32_t)letter;
		return 1;
	}
	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		if (pairs[i].cp == cp) {
			out[0] = (uint32_t)pairs[i].letters[0];
			out[1] = (uint32_t)pairs[i].letters[1];
			return 2;
		}
	}
	out[0] = cp; /* × and ÷ */
	return 1;
}

static uint32_t fold_greek(uint32_t cp)
{
	for (size_t i = 0; i < sizeof greek / sizeof greek[0]; i++) {
		if (greek[i].from == cp)
			return greek[i].to;
	}
	return cp >= 0x391 && cp <= 0x3AB ? cp + 32 : cp;
}

static uint32_t fold_range(uint32_t cp)
{
	for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
		if (cp <= ranges[i].last)
			return ranges[i].letter == 0 ? cp : (uint32_t)ranges[i].letter;
	}
	return cp;
}

static bool is_dropped(uint32_t cp)
{
	return (cp >= 0x300 && cp <= 0x36F) || cp == 0xAD || (cp >= 0x200B && cp <= 0x200D) ||
	       cp == 0xFEFF || (cp >= 0xFE00 && cp <= 0xFE0F);
}

size_t fold_letter(uint32_t cp, uint32_t out[FOLD_OUT_MAX])
{
	if (cp >= 0xFF01 && cp <= 0xFF5E)
		cp -= 0xFEE0;
	if (cp < 0x80) {
		out[0] = cp >= 'A' && cp <= 'Z' ? cp + 32 : cp;
		return 1;
	}
	if (is_dropped(cp))
		return 0;
	if (cp >= LATIN_FIRST && cp <= LATIN_LAST)
		return fold_latin(cp, out);
	if (cp >= 0x386 && cp <= 0x3CE)
		cp = fold_greek(cp);
	else if (cp >= 0x400 && cp <= 0x40F)
		cp += 80;
	else if (cp >= 0x410 && cp <= 0x42F)
		cp += 32;
	else if (cp >= 0x531 && cp <= 0x556)
		cp += 48;
	else if (cp > LATIN_LAST && cp <= 0x1EF9)
		cp = fold_range(cp);
	out[0] = cp;
	return 1;
}

static bool is_within(uint32_t cp, uint32_t first, uint32_t last)
{
	return cp >= first && cp <= last;
}

static bool is_dense(uint32_t cp)
{
	return is_within(cp, 0x4E00, 0x9FFF) || is_within(cp, 0x3041, 0x30FA) ||
	       is_within(cp, 0x30FC, 0x30FF) || is_within(cp, 0xAC00, 0xD7A3) ||
	       is_within(cp, 0x3400, 0x4DBF) || is_within(cp, 0x3005, 0x3007) ||
	       is_within(cp, 0x3105, 0x312F) || is_within(cp, 0xF900, 0xFAFF) ||
	       is_within(cp, 0x20000, 0x323AF) || is_within(cp, 0xE01, 0xE3A) ||
	       is_within(cp, 0xE40, 0xE4E) || is_within(cp, 0xE80, 0xEFF) ||
	       is_within(cp, 0x1000, 0x109F) || is_within(cp, 0x1780, 0x17FF);
}

enum fold_class fold_classify(uint32_t cp)
{
	if (cp < 0x80)
		return (cp >= 'a' && cp <= 'z') || (cp >= '0' && cp <= '9') ? FOLD_WORD
									    : FOLD_BREAK;
	if (cp < 0xC0)
		return cp == 0xAA || cp == 0xB5 || cp == 0xBA ? FOLD_WORD : FOLD_BREAK;
	if (is_dense(cp))
		return FOLD_DENSE;
	if (cp == 0xD7 || cp == 0xF7 || is_within(cp, 0x2000, 0x2BFF) ||
	    is_within(cp, 0x2E00, 0x2E7F) || is_within(cp, 0x3000, 0x3040) || cp == 0x30FB ||
	    is_within(cp, 0xE000, 0xF8FF) || is_within(cp, 0xFE10, 0xFE6F) ||
	    is_within(cp, 0xFF00, 0xFFFF) || is_within(cp, 0x1F000, 0x1FAFF) || cp >= 0xE0000)
		return FOLD_BREAK;
	return FOLD_WORD;
}
