/*
 * Memory that kernels under test read and write: aligned to 256 bytes, on the host for the
 * emulator, and on a device what `new` hands out there (tests/support/cuda_device.cpp).
 */
#ifndef SUPPORT_DEVICE_MEMORY_H
#define SUPPORT_DEVICE_MEMORY_H

#include <stddef.h>
#include <stdlib.h>

#include <new>

/* At least `bytes` of it; ends the program where there is none. */
static inline void *device_memory(size_t bytes)
{
#ifdef CUDA_EMULATED
	void *at = aligned_alloc(256, (bytes + 255) / 256 * 256);

	if (at == NULL)
		abort();
	return at;
#else
	return ::operator new(bytes);
#endif
}

static inline void device_memory_free(void *at)
{
#ifdef CUDA_EMULATED
	free(at);
#else
	::operator delete(at);
#endif
}

#endif
