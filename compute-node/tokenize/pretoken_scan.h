/*
 * Scanners that the pre-tokenizers are made of.  For tokenize/pretoken*.c only.
 *
 * Each gives the bytes of the match that begins at `at`, 0 if there is none.
 */
#ifndef TOKENIZE_PRETOKEN_SCAN_H
#define TOKENIZE_PRETOKEN_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span {
	const char *bytes;
	size_t len;
};

typedef bool scan_class_fn(uint32_t cp);

/* Code point at `at` (U+FFFD for a broken byte) and its bytes, 0 at the end. */
size_t scan_peek(const struct span *span, size_t at, uint32_t *cp);

/* Bytes of the run of `in` at `at`, at most `max` code points (0: any). */
size_t scan_run(const struct span *span, size_t at, scan_class_fn *in, size_t max);

/* A line break, or one of `also`: [\r\n…]*  */
size_t scan_breaks(const struct span *span, size_t at, const char *also);

/* 's 't 're 've 'm 'll 'd; in any case of letters if `any_case`. */
size_t scan_contraction(const struct span *span, size_t at, bool any_case);

/* \s*[\r\n]+ */
size_t scan_newlines(const struct span *span, size_t at);

/* \s+(?!\S)|\s+ */
size_t scan_blanks(const struct span *span, size_t at);

bool scan_is_letter(uint32_t cp);
bool scan_is_letter_or_mark(uint32_t cp);
bool scan_is_number(uint32_t cp);
bool scan_is_break(uint32_t cp);

#endif
