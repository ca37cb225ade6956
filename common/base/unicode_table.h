/*
 * Shapes of the tables in unicode_table.c; for unicode.c alone.
 */
#ifndef BASE_UNICODE_TABLE_H
#define BASE_UNICODE_TABLE_H

#include <stddef.h>
#include <stdint.h>

/* Sorted: code point × 32 + category, valid up to the next entry. */
extern const size_t unicode_changes_len;
extern const uint32_t unicode_changes[];

struct unicode_lower_run {
	uint32_t first, last;
	int32_t distance; /* lower case = cp + distance */
	uint32_t step;    /* 1: every code point, 2: every other one */
};
extern const size_t unicode_lowers_len;
extern const struct unicode_lower_run unicode_lowers[];

struct unicode_base_row {
	uint32_t cp;
	uint32_t base[3]; /* 0 ends it */
};
extern const size_t unicode_bases_len;
extern const struct unicode_base_row unicode_bases[];

#endif
