/*
 * Random bytes, behind one seam: the kernel's generator, or a seeded stream
 * for tests that must repeat.
 */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Fill `out`; any thread.  Aborts if the kernel gives none: there is no safe
 * way on without random keys. */
void random_bytes(void *out, size_t len);

/* A random 64-bit number. */
uint64_t random_u64(void);

/*
 * From here on a fixed stream derived from `seed` (not secure, thread-safe,
 * repeatable only from one thread).  Tests only.
 */
void random_seed(uint64_t seed);

/* splitmix64 step: small repeatable streams for tests and generators. */
uint64_t random_next(uint64_t *state);

#endif
