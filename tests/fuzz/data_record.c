/* Stored records: any bytes are refused or decode to a record that meets the
 * checks and encodes again to one that decodes the same. */
#include <stdlib.h>
#include <string.h>

#include "store/observation.h"

#define FUZZ_ARENA_BYTES ((size_t)8 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
	if (!condition)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct observation first, second;
	struct arena arena;
	struct buf once, twice;

	arena_init(&arena, FUZZ_ARENA_BYTES);
	buf_init(&once, OBS_RECORD_BYTES_MAX);
	buf_init(&twice, OBS_RECORD_BYTES_MAX);
	if (observation_decode(data, size, &arena, &first, NULL) == RC_OK) {
		must(observation_check(&first, NULL) == RC_OK);
		must(observation_encode(&first, &once, NULL) == RC_OK);
		must(observation_decode(once.bytes, once.len, &arena, &second, NULL) == RC_OK);
		must(observation_encode(&second, &twice, NULL) == RC_OK);
		must(once.len == twice.len && memcmp(once.bytes, twice.bytes, once.len) == 0);
	}
	buf_fini(&once);
	buf_fini(&twice);
	arena_fini(&arena);
	return 0;
}
