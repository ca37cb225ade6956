/* Bodies of POST /api/v1/time: refused with a reason, or within their limits. */
#include <stdlib.h>
#include <string.h>

#include "gateway/time_body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
	if (!condition)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct errmsg why = ERRMSG_INIT;
	struct time_body body;
	struct observation obs;
	const char *field;
	struct arena arena;

	arena_init(&arena, (size_t)1 << 20);
	enum rc rc = time_body_parse((const char *)data, size, &arena, &body, &field, &why);
	if (rc == RC_OK) {
		must(body.ping.clock[0] != '\0' && strlen(body.ping.clock) <= OBS_CLOCK_BYTES_MAX);
		must(strlen(body.ping.boot) <= OBS_CLOCK_BYTES_MAX);
		if (body.closes &&
		    store_clock_ping_make(&body.ping, body.ping.t3_ns, 0, &arena, &obs) == RC_OK)
			must(observation_check(&obs, NULL) == RC_OK);
	} else {
		must(rc == RC_INVALID && why.text[0] != '\0');
	}
	arena_fini(&arena);
	return 0;
}
