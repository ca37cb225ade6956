/*
 * SSE: server-sent events out of a byte stream, in pieces of any size.
 *
 * Lines end in LF, CR or both; of an event only its data counts.  A stream with a NUL
 * in it is refused, as no event of text has one.
 */
#ifndef CLOUD_SSE_H
#define CLOUD_SSE_H

#include <stdbool.h>

#include "base/buf.h"

/* One event's data, NUL-terminated; false stops. */
typedef bool sse_event_fn(void *ctx, const char *data);

struct sse {
	struct buf line, data;
	bool has_data, begun, returned; /* returned: an LF now belongs to the CR before it */
	sse_event_fn *on_event;
	void *ctx;
};

/* `bytes_max`: of one line, and of one event. */
void sse_init(struct sse *sse, size_t bytes_max, sse_event_fn *on_event, void *ctx);
void sse_fini(struct sse *sse);

/* False if the callback stopped, an event is too large or the bytes are no text; then
 * nothing more may be pushed. */
bool sse_push(struct sse *sse, const char *bytes, size_t len);

#endif
