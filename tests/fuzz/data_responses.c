/* Fuzz target: any bytes as the body of /v1/responses. */
#include <stddef.h>
#include <stdint.h>

#include "answer/responses.h"

#define FUZZ_ARENA_BYTES ((size_t)16 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct responses *answer = NULL;
	struct chat_request request;
	struct chat_fault fault;
	struct arena arena;

	arena_init(&arena, FUZZ_ARENA_BYTES);
	if (responses_parse((const char *)data, size, &arena, &request, &answer, &fault) == RC_OK) {
		const struct chunk_head head = { .id = "", .model = "m", .fingerprint = "" };
		const struct chunk_end end = { .finish = WIRE_FINISH_STOP };
		struct buf out;

		buf_init(&out, FUZZ_ARENA_BYTES);
		responses_begin(answer, &out, &head);
		responses_end(answer, &out, &end);
		buf_fini(&out);
	}
	responses_fini(answer);
	arena_fini(&arena);
	return 0;
}
