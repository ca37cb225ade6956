/* Remote body: messages with their parts joined, and what the client asked for. */
#include "answer/remote_body.h"

#include <inttypes.h>
#include <string.h>

static void put_text(struct buf *out, const char *name, const char *text)
{
	buf_printf(out, ",\"%s\":", name);
	buf_json_string(out, text, strlen(text));
}

static void put_parts(const struct wire_part *parts, size_t len, struct buf *out)
{
	struct buf joined;

	buf_init(&joined, out->max);
	for (size_t i = 0; i < len; i++)
		buf_append(&joined, parts[i].data, parts[i].data_len);
	buf_json_string(out, buf_text(&joined), joined.len);
	/* What is missing here would be answered as if it had not been said. */
	if (buf_rc(&joined) != RC_OK)
		out->rc = joined.rc;
	buf_fini(&joined);
}

static void put_message(const struct wire_chat_message *message, struct buf *out)
{
	bool calls = message->tool_calls_json[0] != '\0';

	buf_puts(out, "{\"role\":");
	buf_json_string(out, message->role, strlen(message->role));
	buf_puts(out, ",\"content\":");
	if (calls && message->parts_len == 1 && message->parts[0].data_len == 0)
		buf_puts(out, "null");
	else
		put_parts(message->parts, message->parts_len, out);
	if (message->name[0] != '\0')
		put_text(out, "name", message->name);
	if (message->tool_call_id[0] != '\0')
		put_text(out, "tool_call_id", message->tool_call_id);
	if (calls) {
		buf_puts(out, ",\"tool_calls\":");
		buf_puts(out, message->tool_calls_json);
	}
	buf_putc(out, '}');
}

void remote_body_put(const struct remote_body *body, struct buf *out)
{
	const struct chat_request *request = body->request;
	const struct wire_generate *prompt = body->prompt;

	buf_puts(out, "{\"model\":");
	buf_json_string(out, body->model, strlen(body->model));
	buf_puts(out, ",\"stream\":true,\"stream_options\":{\"include_usage\":true},");
	buf_puts(out, request->forward);
	if (request->seeded)
		buf_printf(
		    out, "\"seed\":%" PRId64 ",", (int64_t)(request->sampling.seed + body->choice));
	if (!request->forward_limit && body->max_tokens > 0)
		buf_printf(out, "\"max_tokens\":%" PRIu32 ",", body->max_tokens);
	if (request->kind == CHAT_KIND_COMPLETION) {
		buf_puts(out, "\"prompt\":");
		put_parts(prompt->raw, prompt->raw_len, out);
		buf_putc(out, '}');
		return;
	}
	buf_puts(out, "\"messages\":[");
	for (size_t i = 0; i < prompt->messages_len; i++) {
		if (i > 0)
			buf_putc(out, ',');
		put_message(&prompt->messages[i], out);
	}
	buf_puts(out, "]}");
}
