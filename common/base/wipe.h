/*
 * Wipe secrets: a memset that the compiler may not remove.
 */
#ifndef BASE_WIPE_H
#define BASE_WIPE_H

#include <stddef.h>

/* Zero `len` bytes at `bytes` (NULL with len 0 is fine). */
void wipe(void *bytes, size_t len);

/* True if both are equal; time depends on `len` alone. */
int wipe_equal(const void *a, const void *b, size_t len);

#endif
