/*
 * Fuzz target: the JSON body of /v1/chat/completions and /v1/completions.
 * Whatever comes in, what is accepted obeys the limits it promises.
 */
#include <stdlib.h>
#include <string.h>

#include "answer/chat_request.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void require(int holds)
{
	if (!holds)
		abort();
}

static void check(const struct chat_request *request)
{
	require(request->stop_len <= WIRE_STOPS_MAX);
	for (size_t i = 0; i < request->stop_len; i++)
		require(strlen(request->stop[i]) <= WIRE_STOP_BYTES_MAX);
	require(request->messages_len <= CHAT_MESSAGES_MAX);
	for (size_t i = 0; i < request->messages_len; i++) {
		const struct wire_part *part = &request->messages[i].parts[0];
		require(!part->trusted && utf8_valid(part->data, part->data_len));
	}
	require(request->sampling.temperature >= 0 && request->sampling.temperature <= 2);
	require(request->max_tokens <= WIRE_IDS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	for (int kind = CHAT_KIND_CHAT; kind <= CHAT_KIND_COMPLETION; kind++) {
		struct chat_request request;
		struct chat_fault fault;
		struct arena arena;

		arena_init(&arena, (size_t)64 << 20);
		enum rc rc = chat_request_parse(
		    (enum chat_kind)kind, (const char *)bytes, len, &arena, &request, &fault);
		if (rc == RC_OK)
			check(&request);
		else if (rc == RC_INVALID)
			require(fault.status == 400 || fault.status == 413);
		arena_fini(&arena);
	}
	return 0;
}
