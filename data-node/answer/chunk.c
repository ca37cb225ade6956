/* Chunk: the bytes clients read, in OpenAI's shapes. */
#include "answer/chunk.h"

#include <inttypes.h>
#include <string.h>

#include "base/timestamp.h"

static void put_text(struct buf *out, const char *text)
{
	buf_json_string(out, text, strlen(text));
}

static const char *object_word(const struct chunk_head *head, bool whole)
{
	if (head->kind == CHAT_KIND_COMPLETION)
		return "text_completion";
	return whole ? "chat.completion" : "chat.completion.chunk";
}

static void put_head(struct buf *out, const struct chunk_head *head, bool whole)
{
	buf_puts(out, "{\"id\":");
	put_text(out, head->id);
	buf_printf(out,
	    ",\"object\":\"%s\",\"created\":%" PRId64 ",\"model\":", object_word(head, whole),
	    head->created_s);
	put_text(out, head->model);
	buf_puts(out, ",\"system_fingerprint\":");
	if (head->fingerprint[0] == '\0')
		buf_puts(out, "null");
	else
		put_text(out, head->fingerprint);
	buf_puts(out, ",\"choices\":[");
}

static const char *finish_word(const struct chunk_end *end)
{
	if (end->finish == WIRE_FINISH_LENGTH)
		return "length";
	return end->calls > 0 ? "tool_calls" : "stop";
}

static void begin(struct buf *out, const struct chunk_head *head)
{
	buf_puts(out, "data: ");
	put_head(out, head, false);
}

/* Close choices and the chunk; the usage of all but the last is null. */
static void end_choices(struct buf *out, const struct chunk_head *head)
{
	buf_puts(out, head->include_usage ? "],\"usage\":null" : "]");
}

static void begin_choice(struct buf *out, const struct chunk_head *head)
{
	buf_printf(out, "{\"index\":%u,", head->index);
}

static void put_source(struct buf *out, const struct pack_item *item, bool first)
{
	char start[TIMESTAMP_TEXT_BYTES];

	timestamp_format(item->obs->place.t0_ns, start);
	buf_puts(out, first ? "{\"id\":" : ",{\"id\":");
	put_text(out, item->id);
	buf_printf(out, ",\"start\":\"%s\",\"layer\":\"%s\",\"quote\":", start,
	    layer_word(item->obs->layer));
	put_text(out, item->quote);
	buf_putc(out, '}');
}

/* What was kept of the facts, then the moments. */
static void put_sources(struct buf *out, const struct pack *pack)
{
	bool first = true;

	for (size_t i = 0; i < pack->facts_len; i++) {
		if (!pack->facts[i].kept)
			continue;
		put_source(out, &pack->facts[i].item, first);
		first = false;
	}
	for (size_t i = 0; i < pack->len; i++) {
		put_source(out, &pack->items[i], first);
		first = false;
	}
}

void chunk_put_hearth(struct buf *out, const struct chunk_end *end)
{
	if (end->mode == NULL && end->route == NULL)
		return;
	buf_puts(out, ",\"hearth\":{");
	if (end->mode != NULL) {
		buf_printf(out, "\"mode\":\"%s\",\"sources\":[", end->mode);
		if (end->pack != NULL)
			put_sources(out, end->pack);
		buf_putc(out, ']');
	}
	if (end->route != NULL)
		buf_printf(out, "%s\"route\":%s", end->mode != NULL ? "," : "", end->route);
	buf_putc(out, '}');
}

static void put_usage(struct buf *out, const struct chunk_end *end)
{
	buf_printf(out,
	    ",\"usage\":{\"prompt_tokens\":%" PRIu32 ",\"completion_tokens\":%" PRIu32
	    ",\"total_tokens\":%" PRIu64,
	    end->prompt_tokens, end->completion_tokens,
	    (uint64_t)end->prompt_tokens + end->completion_tokens);
	if (end->cached_tokens > 0)
		buf_printf(out, ",\"prompt_tokens_details\":{\"cached_tokens\":%" PRIu32 "}",
		    end->cached_tokens);
	buf_putc(out, '}');
}

void chunk_role(struct buf *out, const struct chunk_head *head)
{
	if (head->kind == CHAT_KIND_COMPLETION)
		return;
	begin(out, head);
	begin_choice(out, head);
	buf_puts(out, "\"delta\":{\"role\":\"assistant\",\"content\":\"\"},"
		      "\"logprobs\":null,\"finish_reason\":null}");
	end_choices(out, head);
	buf_puts(out, "}\n\n");
}

static void put_logprobs(struct buf *out, const struct chunk_head *head, const struct buf *logprobs)
{
	uint64_t from_0 = 0;

	buf_puts(out, ",\"logprobs\":");
	if (logprobs == NULL || logprobs->len == 0) {
		buf_puts(out, "null");
		return;
	}
	if (head->kind == CHAT_KIND_COMPLETION) {
		chunk_put_token_logprobs(
		    out, logprobs, head->characters != NULL ? head->characters : &from_0);
		return;
	}
	buf_puts(out, "{\"content\":[");
	buf_append(out, buf_text(logprobs), logprobs->len);
	buf_puts(out, "],\"refusal\":null}");
}

void chunk_text(struct buf *out, const struct chunk_head *head, const char *text, size_t len,
    const struct buf *logprobs)
{
	begin(out, head);
	begin_choice(out, head);
	buf_puts(out, head->kind == CHAT_KIND_CHAT ? "\"delta\":{\"content\":" : "\"text\":");
	buf_json_string(out, text, len);
	buf_puts(out, head->kind == CHAT_KIND_CHAT ? "}" : "");
	put_logprobs(out, head, logprobs);
	buf_puts(out, ",\"finish_reason\":null}");
	end_choices(out, head);
	buf_puts(out, "}\n\n");
}

void chunk_reasoning(struct buf *out, const struct chunk_head *head, const char *text, size_t len)
{
	begin(out, head);
	begin_choice(out, head);
	buf_puts(out, "\"delta\":{\"reasoning_content\":");
	buf_json_string(out, text, len);
	buf_puts(out, "},\"logprobs\":null,\"finish_reason\":null}");
	end_choices(out, head);
	buf_puts(out, "}\n\n");
}

void chunk_put_call(
    struct buf *out, int index, const char *id, const char *name, const char *arguments)
{
	buf_putc(out, '{');
	if (index >= 0)
		buf_printf(out, "\"index\":%d,", index);
	buf_puts(out, "\"id\":");
	put_text(out, id);
	buf_puts(out, ",\"type\":\"function\",\"function\":{\"name\":");
	put_text(out, name);
	buf_puts(out, ",\"arguments\":");
	put_text(out, arguments);
	buf_puts(out, "}}");
}

void chunk_call(struct buf *out, const struct chunk_head *head, unsigned index, const char *id,
    const char *name, const char *arguments)
{
	begin(out, head);
	begin_choice(out, head);
	buf_puts(out, "\"delta\":{\"tool_calls\":[");
	chunk_put_call(out, (int)index, id, name, arguments);
	buf_puts(out, "]},\"logprobs\":null,\"finish_reason\":null}");
	end_choices(out, head);
	buf_puts(out, "}\n\n");
}

void chunk_finish(struct buf *out, const struct chunk_head *head, const struct chunk_end *end,
    const struct buf *logprobs)
{
	begin(out, head);
	begin_choice(out, head);
	buf_puts(out, head->kind == CHAT_KIND_CHAT ? "\"delta\":{}" : "\"text\":\"\"");
	put_logprobs(out, head, logprobs);
	buf_printf(out, ",\"finish_reason\":\"%s\"}", finish_word(end));
	end_choices(out, head);
	chunk_put_hearth(out, end);
	buf_puts(out, "}\n\n");
}

void chunk_usage(struct buf *out, const struct chunk_head *head, const struct chunk_end *end)
{
	if (!head->include_usage)
		return;
	begin(out, head);
	buf_putc(out, ']');
	put_usage(out, end);
	chunk_put_hearth(out, end);
	buf_puts(out, "}\n\n");
}

void chunk_done(struct buf *out)
{
	buf_puts(out, "data: [DONE]\n\n");
}

void chunk_comment(struct buf *out, const char *words)
{
	buf_printf(out, ": %s\n\n", words);
}

void chunk_error(struct buf *out, const char *type, const char *code, const char *message)
{
	buf_puts(out, "data: {\"error\":{\"message\":");
	put_text(out, message);
	buf_printf(out, ",\"type\":\"%s\",\"param\":null,\"code\":\"%s\"}}\n\n", type, code);
}

static void put_message(
    struct buf *out, const struct chunk_end *end, const struct chunk_answer *answer)
{
	buf_puts(out, "\"message\":{\"role\":\"assistant\",\"content\":");
	if (end->calls > 0 && answer->text->len == 0)
		buf_puts(out, "null");
	else
		buf_json_string(out, buf_text(answer->text), answer->text->len);
	if (answer->reasoning->len > 0) {
		buf_puts(out, ",\"reasoning_content\":");
		buf_json_string(out, buf_text(answer->reasoning), answer->reasoning->len);
	}
	if (end->calls > 0) {
		buf_puts(out, ",\"tool_calls\":[");
		buf_append(out, buf_text(answer->calls), answer->calls->len);
		buf_putc(out, ']');
	}
	buf_puts(out, ",\"refusal\":null}");
}

struct chunk_end chunk_sum(const struct chunk_end *ends, size_t n)
{
	struct chunk_end sum = ends[0];

	for (size_t i = 1; i < n; i++)
		sum.completion_tokens += ends[i].completion_tokens;
	return sum;
}

void chunk_body(struct buf *out, const struct chunk_head *head, const struct chunk_end *ends,
    const struct chunk_answer *answers, size_t n)
{
	const struct chunk_end sum = chunk_sum(ends, n);

	put_head(out, head, true);
	for (size_t i = 0; i < n; i++) {
		const struct chunk_answer *answer = &answers[i];

		buf_printf(out, "%s{\"index\":%zu,", i > 0 ? "," : "", i);
		if (head->kind == CHAT_KIND_CHAT) {
			put_message(out, &ends[i], answer);
		} else {
			buf_puts(out, "\"text\":");
			buf_json_string(out, buf_text(answer->text), answer->text->len);
		}
		put_logprobs(out, head, answer->logprobs);
		buf_printf(out, ",\"finish_reason\":\"%s\"}", finish_word(&ends[i]));
	}
	buf_putc(out, ']');
	put_usage(out, &sum);
	chunk_put_hearth(out, &sum);
	buf_puts(out, "}\n");
}
