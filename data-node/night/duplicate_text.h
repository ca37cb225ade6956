/*
 * Duplicate text: what of a text is compared.
 */
#ifndef NIGHT_DUPLICATE_TEXT_H
#define NIGHT_DUPLICATE_TEXT_H

#include <stddef.h>
#include <stdint.h>

#define DUPLICATE_SHINGLES_MAX 192 /* kept of a text: those of the smallest hashes */
#define DUPLICATE_SHINGLE_LETTERS 4
#define DUPLICATE_BANDS 8
#define DUPLICATE_BAND_ROWS 2
#define DUPLICATE_HEAD_LETTERS 20               /* a cut-off text is found by its beginning */
#define DUPLICATE_TEXT_BYTES_MAX ((size_t)8192) /* looked at */

struct duplicate_text {
	uint64_t whole;   /* hash of all folded letters and digits in order */
	uint64_t head;    /* of the first DUPLICATE_HEAD_LETTERS of them */
	uint64_t numbers; /* of the digits alone; 0: none */
	size_t letters;   /* letters and digits */
	uint64_t bands[DUPLICATE_BANDS];
	size_t shingles_all; /* how many different ones, at most DUPLICATE_TEXT_BYTES_MAX */
	size_t shingles_len;
	uint32_t shingles[DUPLICATE_SHINGLES_MAX]; /* ascending */
};

/* Pure; O(len). */
void duplicate_text_read(const char *text, size_t len, struct duplicate_text *out);

/* Share of the shingles of both that both have; exact up to
 * DUPLICATE_SHINGLES_MAX of them, else estimated from those of the smallest
 * hashes. */
double duplicate_text_likeness(const struct duplicate_text *a, const struct duplicate_text *b);

/* Share of the shorter one's shingles that the longer one has. */
double duplicate_text_inside(const struct duplicate_text *a, const struct duplicate_text *b);

#endif
