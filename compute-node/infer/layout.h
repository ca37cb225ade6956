/*
 * Layout: one piece of memory parted into arrays.  It is walked twice, first with
 * base NULL to measure, then to hand the places out.
 */
#ifndef INFER_LAYOUT_H
#define INFER_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAYOUT_ALIGN ((size_t)64)

struct layout {
	uint8_t *base;
	size_t used;
	bool overflow;
};

/* Place of `n` items of `size` bytes; NULL while measuring. */
static inline void *layout_array(struct layout *at, size_t n, size_t size)
{
	size_t len, first = at->used;

	if (__builtin_mul_overflow(n, size, &len) || len > SIZE_MAX - LAYOUT_ALIGN ||
	    __builtin_add_overflow(
		at->used, (len + LAYOUT_ALIGN - 1) / LAYOUT_ALIGN * LAYOUT_ALIGN, &at->used))
		at->overflow = true;
	return at->base != NULL ? at->base + first : NULL;
}

#endif
