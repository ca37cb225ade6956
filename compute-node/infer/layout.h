/*
 * Layout: one piece of memory parted into arrays.  It is walked first with base NULL to
 * measure, then to hand the places out, and, to zero what stands there, as often as one
 * likes: the arrays then are those of the walk before.
 */
#ifndef INFER_LAYOUT_H
#define INFER_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/wipe.h"

#define LAYOUT_ALIGN ((size_t)64)

struct layout {
	uint8_t *base;
	size_t used;
	bool overflow;
	bool wipes;     /* zero what is handed out */
	size_t n_rows;  /* of arrays by rows so many */
	size_t n_steps; /* and of those by steps of attention */
};

/* Place of `rows` rows of `n` items of `size` bytes; NULL while measuring. */
static inline void *layout_rows(struct layout *at, size_t rows, size_t n, size_t size)
{
	size_t row, len, first = at->used;

	if (__builtin_mul_overflow(n, size, &row) || __builtin_mul_overflow(rows, row, &len) ||
	    len > SIZE_MAX - LAYOUT_ALIGN ||
	    __builtin_add_overflow(
		at->used, (len + LAYOUT_ALIGN - 1) / LAYOUT_ALIGN * LAYOUT_ALIGN, &at->used))
		at->overflow = true;
	else if (at->wipes)
		wipe(at->base + first, (rows < at->n_rows ? rows : at->n_rows) * row);
	return at->base != NULL ? at->base + first : NULL;
}

/* Place of `n` items; wiped whole. */
static inline void *layout_array(struct layout *at, size_t n, size_t size)
{
	return layout_rows(at, 1, n, size);
}

/* The same for what no row's numbers ever stand in; not wiped. */
static inline void *layout_weights(struct layout *at, size_t n, size_t size)
{
	bool wipes = at->wipes;
	void *place;

	at->wipes = false;
	place = layout_array(at, n, size);
	at->wipes = wipes;
	return place;
}

#endif
