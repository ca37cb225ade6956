/* Random bytes, behind one seam. */
#include "base/random.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GETENTROPY_BYTES_MAX ((size_t)256)

static atomic_bool seeded;
static _Atomic uint64_t seeded_state;

uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);

	z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
	return z ^ z >> 31;
}

void random_seed(uint64_t seed)
{
	atomic_store(&seeded_state, seed);
	atomic_store(&seeded, true);
}

static void seeded_bytes(uint8_t *out, size_t len)
{
	while (len > 0) {
		uint64_t state = atomic_fetch_add(&seeded_state, UINT64_C(0x9E3779B97F4A7C15));
		uint64_t word = random_next(&state);
		size_t n = len < sizeof(word) ? len : sizeof(word);
		memcpy(out, &word, n);
		out += n;
		len -= n;
	}
}

void random_bytes(void *out, size_t len)
{
	uint8_t *p = out;

	if (atomic_load(&seeded)) {
		seeded_bytes(p, len);
		return;
	}
	while (len > 0) {
		size_t n = len < GETENTROPY_BYTES_MAX ? len : GETENTROPY_BYTES_MAX;
		if (getentropy(p, n) != 0)
			abort();
		p += n;
		len -= n;
	}
}

uint64_t random_u64(void)
{
	uint64_t word;

	random_bytes(&word, sizeof(word));
	return word;
}
