/*
 * Unicode character properties: general category, simple lower case, and the
 * canonical decomposition without its marks.
 *
 * Pure functions over tables made from UnicodeData.txt (unicode_table.awk);
 * no locale.
 */
#ifndef BASE_UNICODE_H
#define BASE_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* General categories (Unicode 15, chapter 4.5), with the two-letter names. */
enum unicode_category {
	UNICODE_CN, /* not assigned; also surrogates and what is past U+10FFFF */
	UNICODE_LU,
	UNICODE_LL,
	UNICODE_LT,
	UNICODE_LM,
	UNICODE_LO,
	UNICODE_MN,
	UNICODE_MC,
	UNICODE_ME,
	UNICODE_ND,
	UNICODE_NL,
	UNICODE_NO,
	UNICODE_PC,
	UNICODE_PD,
	UNICODE_PS,
	UNICODE_PE,
	UNICODE_PI,
	UNICODE_PF,
	UNICODE_PO,
	UNICODE_SM,
	UNICODE_SC,
	UNICODE_SK,
	UNICODE_SO,
	UNICODE_ZS,
	UNICODE_ZL,
	UNICODE_ZP,
	UNICODE_CC,
	UNICODE_CF,
	UNICODE_CO,
	UNICODE_CS,
};

enum unicode_category unicode_category(uint32_t cp);

bool unicode_is_letter(uint32_t cp);      /* \p{L} */
bool unicode_is_mark(uint32_t cp);        /* \p{M} */
bool unicode_is_number(uint32_t cp);      /* \p{N} */
bool unicode_is_punctuation(uint32_t cp); /* \p{P} */
bool unicode_is_symbol(uint32_t cp);      /* \p{S} */
bool unicode_is_space(uint32_t cp);       /* \s: White_Space */

/* Chinese, Japanese and Korean ideographs, as BERT's tokenizer counts them. */
bool unicode_is_ideograph(uint32_t cp);

/* Simple lower-case mapping; `cp` itself if there is none. */
uint32_t unicode_lower(uint32_t cp);

#define UNICODE_BASE_MAX 3

/*
 * NFD of `cp` with nonspacing marks (Mn) dropped: 0 to 3 code points into
 * `out`, their number returned.  "é" → "e"; a mark alone → nothing.
 */
size_t unicode_base(uint32_t cp, uint32_t out[UNICODE_BASE_MAX]);

#endif
