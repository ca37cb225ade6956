/* Wipe secrets: zeroes that the compiler may not leave out. */
#include "base/wipe.h"

#include <string.h>

void wipe(void *bytes, size_t len)
{
	if (len == 0)
		return;
	memset(bytes, 0, len);
	/* The barrier makes the zeroes observable, so the store must happen. */
	__asm__ volatile("" : : "r"(bytes) : "memory");
}

int wipe_equal(const void *a, const void *b, size_t len)
{
	const volatile unsigned char *x = a;
	const volatile unsigned char *y = b;
	unsigned diff = 0;

	for (size_t i = 0; i < len; i++)
		diff |= (unsigned)(x[i] ^ y[i]);
	return diff == 0;
}
