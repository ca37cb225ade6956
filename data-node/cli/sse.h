/*
 * SSE: server-sent events out of a byte stream, in pieces of any size.
 */
#ifndef CLI_SSE_H
#define CLI_SSE_H

#include <stdbool.h>

#include "base/buf.h"

#define SSE_EVENT_BYTES_MAX ((size_t)8 << 20)

/* One event's data, NUL-terminated; false stops. */
typedef bool sse_event_fn(void *ctx, const char *data);

struct sse {
	struct buf line, data;
	bool has_data;
	sse_event_fn *on_event;
	void *ctx;
};

void sse_init(struct sse *sse, sse_event_fn *on_event, void *ctx);
void sse_fini(struct sse *sse);

/* False if the callback stopped or an event is too large. */
bool sse_push(struct sse *sse, const char *bytes, size_t len);

#endif
