/*
 * Hash: FNV-1a of 64 bits, for tables in memory and for telling versions apart.  It is
 * quick and the same everywhere; who chooses the bytes can make two collide.
 *
 * reference: Fowler, Noll, Vo; RFC 9923
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_START UINT64_C(0xCBF29CE484222325)

/* `hash`: HASH_START, or that of what came before. */
static inline uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ p[i]) * UINT64_C(0x100000001B3);
	return hash;
}

#endif
