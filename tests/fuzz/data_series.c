/* Series: any bytes are refused or decode to samples that come back through
 * the encoder with the same bits. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "store/series.h"

#define FUZZ_ARENA_BYTES ((size_t)8 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
	if (!condition)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct series first, second;
	struct arena arena;
	struct buf code;

	arena_init(&arena, FUZZ_ARENA_BYTES);
	buf_init(&code, SERIES_BYTES_MAX);
	if (series_decode(data, size, &arena, &first, NULL) == RC_OK) {
		size_t n = first.frames * first.channels;
		must(n > 0 && n <= SERIES_VALUES_MAX);
		must(series_encode(&first, &code, NULL) == RC_OK);
		must(series_decode(code.bytes, code.len, &arena, &second, NULL) == RC_OK);
		must(second.frames == first.frames && second.channels == first.channels);
		must(memcmp(first.values, second.values, n * sizeof(*first.values)) == 0);
		must((first.times_ns == NULL) == (second.times_ns == NULL));
		must(first.times_ns == NULL || memcmp(first.times_ns, second.times_ns,
						   first.frames * sizeof(*first.times_ns)) == 0);
	}
	buf_fini(&code);
	arena_fini(&arena);
	return 0;
}
