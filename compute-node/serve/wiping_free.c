/* free() and realloc() that leave zeros behind. */
#include "serve/wiping_free.h"

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/wipe.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WIPING 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define WIPING 0
#endif
#endif
#if !defined(WIPING) && defined(__GLIBC__)
#define WIPING 1
#elif !defined(WIPING)
#define WIPING 0
#endif

#if WIPING

/* glibc's own entry points, under the names it exports for interposers. */
extern void __libc_free(void *block);
extern void *__libc_malloc(size_t len);

void free(void *block)
{
	int kept = errno;

	if (block == NULL)
		return;
	wipe(block, malloc_usable_size(block));
	__libc_free(block);
	errno = kept;
}

void *realloc(void *block, size_t len)
{
	if (block == NULL)
		return __libc_malloc(len);
	if (len == 0) {
		free(block);
		return NULL;
	}
	size_t have = malloc_usable_size(block);
	/* Shrinking stays in place while that wastes less than half. */
	if (len <= have && len >= have / 2) {
		wipe((uint8_t *)block + len, have - len);
		return block;
	}
	void *moved = __libc_malloc(len);
	if (moved == NULL)
		return NULL;
	memcpy(moved, block, len < have ? len : have);
	free(block);
	return moved;
}

bool wiping_free_active(void)
{
	/* What a library's call would reach: the first `free` in search order. */
	void *found = dlsym(RTLD_DEFAULT, "free");
	void (*own)(void *) = free;

	return found != NULL && memcmp(&found, &own, sizeof(found)) == 0;
}

#else

bool wiping_free_active(void)
{
	return false;
}

#endif
