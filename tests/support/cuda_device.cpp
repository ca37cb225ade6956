/*
 * Memory of tests of kernels on a device: `new` hands out pinned memory of the host, which
 * kernels reach as it stands, from one piece that is taken when it is first asked for.
 * Where there is no device the program ends, and counts as skipped.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <new>

#include <cuda_runtime.h>

#define PIECE_BYTES ((size_t)1 << 30)
#define CLASS_FIRST 8 /* 256 bytes; each class is twice the one before */
#define CLASSES 31
#define SKIPPED 77

struct unused {
	struct unused *next;
};

static uint8_t *piece;
static size_t piece_used;
static struct unused *lists[CLASSES];
static bool starting;

static void start()
{
	cudaError_t rc;

	starting = true; /* what the runtime takes for itself is malloc's */
	(void)setenv("CUDA_LAUNCH_BLOCKING", "1", 1);
	rc = cudaHostAlloc((void **)&piece, PIECE_BYTES, cudaHostAllocDefault);
	if (rc == cudaErrorNoDevice || rc == cudaErrorInsufficientDriver) {
		(void)fprintf(stderr, "skipped: %s\n", cudaGetErrorString(rc));
		_Exit(SKIPPED);
	}
	if (rc != cudaSuccess) {
		(void)fprintf(stderr, "pinned memory: %s\n", cudaGetErrorString(rc));
		_Exit(1);
	}
	starting = false;
}

static int class_of(size_t bytes)
{
	int c = CLASS_FIRST;

	while (c < CLASSES && (size_t)1 << c < bytes + (1u << CLASS_FIRST))
		c++;
	return c;
}

/* The class stands in front, and leaves what follows aligned to 256 bytes. */
void *operator new(size_t bytes)
{
	int c = class_of(bytes);
	uint8_t *at;

	if (piece == NULL && !starting)
		start();
	if (starting)
		return malloc(bytes);
	if (c == CLASSES)
		throw std::bad_alloc();
	if (lists[c] != NULL) {
		at = (uint8_t *)lists[c];
		lists[c] = lists[c]->next;
	} else {
		at = piece + piece_used;
		if (PIECE_BYTES - piece_used < (size_t)1 << c)
			throw std::bad_alloc();
		piece_used += (size_t)1 << c;
	}
	*(int *)at = c;
	return at + (1u << CLASS_FIRST);
}

void operator delete(void *memory) noexcept
{
	uint8_t *at = (uint8_t *)memory;
	struct unused *one = (struct unused *)(at - (1u << CLASS_FIRST));
	int c;

	if (memory == NULL)
		return;
	if (at < piece || at >= piece + PIECE_BYTES) {
		free(memory);
		return;
	}
	c = *(int *)one;
	one->next = lists[c];
	lists[c] = one;
}

void operator delete(void *memory, size_t) noexcept
{
	operator delete(memory);
}
