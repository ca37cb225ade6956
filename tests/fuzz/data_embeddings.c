/*
 * Fuzz target: the JSON body of /v1/embeddings.  Without a compute node every
 * body ends in an error that a client can read, and none in a crash.
 */
#include <stdlib.h>
#include <string.h>

#include "answer/embeddings.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void require(int holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	const struct host host = { .pool = NULL };
	struct api_request request = { .method = "POST", .path = "/v1/embeddings" };
	struct api_response response;
	struct arena arena;

	arena_init(&arena, (size_t)64 << 20);
	request.body = arena_copy(&arena, bytes, len);
	request.body_len = len;
	require(request.body != NULL);
	api_response_init(&response);
	answer_embeddings(&host, &request, &arena, &response);
	require(response.status == 400 || response.status == 413 || response.status == 503);
	require(memcmp(buf_text(&response.body), "{\"error\":", 9) == 0);
	api_response_fini(&response);
	arena_fini(&arena);
	return 0;
}
