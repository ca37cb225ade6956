/* What the C library counts itself. */
#include "os/heap.h"

#include <features.h>

#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
#include <malloc.h>

size_t heap_used(void)
{
	const struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}
#else
size_t heap_used(void)
{
	return 0;
}
#endif
