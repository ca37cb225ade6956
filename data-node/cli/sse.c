/* Server-sent events: lines, "data:" fields, a blank line ends an event. */
#include "cli/sse.h"

#include <string.h>

void sse_init(struct sse *sse, sse_event_fn *on_event, void *ctx)
{
	memset(sse, 0, sizeof(*sse));
	buf_init(&sse->line, SSE_EVENT_BYTES_MAX);
	buf_init(&sse->data, SSE_EVENT_BYTES_MAX);
	sse->on_event = on_event;
	sse->ctx = ctx;
}

void sse_fini(struct sse *sse)
{
	buf_fini(&sse->line);
	buf_fini(&sse->data);
}

/* One whole line without its end. */
static bool take_line(struct sse *sse)
{
	const char *line = buf_text(&sse->line);
	bool ok = true;

	if (line[0] == 0) {
		if (sse->has_data)
			ok = sse->on_event(sse->ctx, buf_text(&sse->data));
		sse->has_data = false;
		buf_reset(&sse->data);
	} else if (strncmp(line, "data:", 5) == 0) {
		if (sse->has_data)
			buf_putc(&sse->data, '\n');
		buf_puts(&sse->data, line + 5 + (line[5] == ' '));
		sse->has_data = true;
	}
	buf_reset(&sse->line);
	return ok && buf_rc(&sse->data) == RC_OK;
}

bool sse_push(struct sse *sse, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] == '\n') {
			if (!take_line(sse))
				return false;
		} else if (bytes[i] != '\r') {
			buf_putc(&sse->line, bytes[i]);
		}
	}
	return buf_rc(&sse->line) == RC_OK;
}
