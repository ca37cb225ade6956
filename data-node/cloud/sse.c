/* Server-sent events: lines, "data:" fields, a blank line ends an event. */
#include "cloud/sse.h"

#include <string.h>

static const char byte_order_mark[] = "\xEF\xBB\xBF";

void sse_init(struct sse *sse, size_t bytes_max, sse_event_fn *on_event, void *ctx)
{
	*sse = (struct sse){ .on_event = on_event, .ctx = ctx };
	buf_init(&sse->line, bytes_max);
	buf_init(&sse->data, bytes_max);
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

	if (!sse->begun && strncmp(line, byte_order_mark, 3) == 0)
		line += 3;
	sse->begun = true;
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
	ok = ok && buf_rc(&sse->data) == RC_OK && buf_rc(&sse->line) == RC_OK;
	buf_reset(&sse->line);
	return ok;
}

static size_t line_len(const char *bytes, size_t len)
{
	size_t n = 0;

	while (n < len && bytes[n] != '\n' && bytes[n] != '\r' && bytes[n] != 0)
		n++;
	return n;
}

bool sse_push(struct sse *sse, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		bool second = sse->returned && bytes[i] == '\n';

		sse->returned = false;
		if (second)
			continue;
		size_t n = line_len(bytes + i, len - i);
		buf_append(&sse->line, bytes + i, n);
		i += n;
		if (i == len)
			break;
		if (bytes[i] == 0)
			return false;
		sse->returned = bytes[i] == '\r';
		if (!take_line(sse))
			return false;
	}
	return buf_rc(&sse->line) == RC_OK;
}
