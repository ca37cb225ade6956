/* Anonymous mappings that are not dumped. */
#include "os/pages.h"

#include <stdatomic.h>
#include <sys/mman.h>

#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif

static atomic_size_t taken;

void *pages_take(size_t len)
{
	void *map = mmap(NULL, len > 0 ? len : 1, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (map == MAP_FAILED)
		return NULL;
#ifdef MADV_DONTDUMP
	(void)madvise(map, len > 0 ? len : 1, MADV_DONTDUMP);
#endif
	(void)atomic_fetch_add(&taken, len);
	return map;
}

void pages_give(void *pages, size_t len)
{
	if (pages == NULL)
		return;
	(void)munmap(pages, len > 0 ? len : 1);
	(void)atomic_fetch_sub(&taken, len);
}

size_t pages_taken(void)
{
	return atomic_load(&taken);
}
