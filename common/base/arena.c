/* Arena: chunked bump allocator with a hard cap, wiped at the end. */
#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/wipe.h"

#define ARENA_CHUNK_BYTES ((size_t)16 << 10)

struct arena_chunk {
	struct arena_chunk *next;
	size_t len; /* bytes of data[] */
	size_t used;
	alignas(max_align_t) unsigned char data[];
};

void arena_init(struct arena *arena, size_t cap_bytes)
{
	arena->chunks = arena->lent = NULL;
	arena->used_bytes = 0;
	arena->cap_bytes = cap_bytes;
}

void arena_init_over(struct arena *arena, void *storage, size_t len, size_t cap_bytes)
{
	arena_init(arena, cap_bytes);
	arena->chunks = arena->lent = storage;
	arena->lent->len = len - sizeof(struct arena_chunk);
}

static struct arena_chunk *chunk_new(struct arena *arena, size_t need)
{
	size_t room = arena->cap_bytes - arena->used_bytes;
	size_t head = sizeof(struct arena_chunk);

	if (room < head || room - head < need)
		return NULL;
	size_t len = need < ARENA_CHUNK_BYTES ? ARENA_CHUNK_BYTES : need;
	if (len > room - head)
		len = need; /* the last chunk may be a small one */
	struct arena_chunk *chunk = calloc(1, head + len);
	if (chunk == NULL)
		return NULL;
	chunk->len = len;
	arena->used_bytes += head + len;
	/* A big allocation must not hide the room left in the current chunk. */
	if (arena->chunks != NULL && len == need && need >= ARENA_CHUNK_BYTES) {
		chunk->next = arena->chunks->next;
		arena->chunks->next = chunk;
	} else {
		chunk->next = arena->chunks;
		arena->chunks = chunk;
	}
	return chunk;
}

void *arena_alloc(struct arena *arena, size_t len)
{
	const size_t align = alignof(max_align_t);

	if (len == 0)
		len = 1;
	if (len > SIZE_MAX - align)
		return NULL;
	len = (len + align - 1) / align * align;
	struct arena_chunk *chunk = arena->chunks;
	if (chunk == NULL || chunk->len - chunk->used < len) {
		chunk = chunk_new(arena, len);
		if (chunk == NULL)
			return NULL;
	}
	void *out = chunk->data + chunk->used;
	chunk->used += len;
	return out;
}

void *arena_array(struct arena *arena, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes))
		return NULL;
	return arena_alloc(arena, bytes);
}

char *arena_copy(struct arena *arena, const void *bytes, size_t len)
{
	if (len == SIZE_MAX)
		return NULL;
	char *out = arena_alloc(arena, len + 1);
	if (out != NULL && len > 0)
		memcpy(out, bytes, len);
	return out;
}

char *arena_strdup(struct arena *arena, const char *text)
{
	return text == NULL ? NULL : arena_copy(arena, text, strlen(text));
}

char *arena_printf(struct arena *arena, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (len < 0)
		return NULL;
	char *out = arena_alloc(arena, (size_t)len + 1);
	if (out == NULL)
		return NULL;
	va_start(ap, fmt);
	(void)vsnprintf(out, (size_t)len + 1, fmt, ap);
	va_end(ap);
	return out;
}

void arena_reset(struct arena *arena)
{
	while (arena->chunks != NULL) {
		struct arena_chunk *chunk = arena->chunks;
		arena->chunks = chunk->next;
		wipe(chunk->data, chunk->used);
		if (chunk != arena->lent)
			free(chunk);
	}
	arena->used_bytes = 0;
}

void arena_fini(struct arena *arena)
{
	arena_reset(arena);
	arena->cap_bytes = 0;
}
