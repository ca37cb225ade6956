/*
 * Arena: many small allocations with one life and one hard cap.
 *
 * One arena per request, one per lease.  Memory comes in chunks from malloc,
 * is zeroed on return, aligned for any type, and is wiped when the arena is
 * reset or ended.  An arena belongs to one thread at a time.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks; /* newest first */
	struct arena_chunk *lent;   /* the caller's own memory, used first; NULL: none */
	size_t used_bytes;          /* taken from malloc so far */
	size_t cap_bytes;           /* hard maximum of used_bytes */
};

/* Nothing is allocated yet; `cap_bytes` bounds what ever will be. */
void arena_init(struct arena *arena, size_t cap_bytes);

/* The same; what fits comes out of the zeroed `storage` [len], aligned for any type,
 * which stays the caller's and does not count.  Only for an arena that is not reset. */
void arena_init_over(struct arena *arena, void *storage, size_t len, size_t cap_bytes);

/* `len` zeroed bytes, or NULL when the cap or malloc says no.  len 0 is 1. */
void *arena_alloc(struct arena *arena, size_t len);

/* `n * size` zeroed bytes, NULL also when the product overflows. */
void *arena_array(struct arena *arena, size_t n, size_t size);

/* Copy of `len` bytes with a NUL behind them; NULL on no memory. */
char *arena_copy(struct arena *arena, const void *bytes, size_t len);

/* Copy of a string; NULL on no memory; NULL for NULL. */
char *arena_strdup(struct arena *arena, const char *text);

/* printf into the arena; NULL on no memory. */
char *arena_printf(struct arena *arena, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Wipe and give back everything; the cap stays. */
void arena_reset(struct arena *arena);

/* The same; the arena must be initialised again before use. */
void arena_fini(struct arena *arena);

#endif
