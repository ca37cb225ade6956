/* Responses: the answer, as items and as the events that they grow by. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "answer/responses_state.h"
#include "base/random.h"

static void put_text(struct buf *out, const char *text)
{
	buf_json_string(out, text, strlen(text));
}

static void make_id(const char *prefix, char out[RESPONSES_ID_BYTES])
{
	(void)snprintf(out, RESPONSES_ID_BYTES, "%s_%016" PRIx64 "%08" PRIx64, prefix, random_u64(),
	    random_u64() >> 32);
}

/* ---- events ---- */

static void begin(struct responses *a, struct buf *out, const char *type)
{
	buf_printf(out, "event: %s\ndata: {\"type\":\"%s\",\"sequence_number\":%u", type, type,
	    a->sequence++);
}

static void end(struct buf *out)
{
	buf_puts(out, "}\n\n");
}

/* The fields that say where in the output an event belongs. */
static void put_place(struct responses *a, struct buf *out, bool content)
{
	buf_puts(out, ",\"item_id\":");
	put_text(out, a->item_id);
	buf_printf(out, ",\"output_index\":%u", a->items);
	if (content)
		buf_puts(out, ",\"content_index\":0");
}

static void put_usage(struct buf *out, const struct chunk_end *end_of)
{
	buf_printf(out,
	    "{\"input_tokens\":%" PRIu32 ",\"input_tokens_details\":{\"cached_tokens\":%" PRIu32
	    "},"
	    "\"output_tokens\":%" PRIu32 ",\"output_tokens_details\":{\"reasoning_tokens\":0},"
	    "\"total_tokens\":%" PRIu64 "}",
	    end_of->prompt_tokens, end_of->cached_tokens, end_of->completion_tokens,
	    (uint64_t)end_of->prompt_tokens + end_of->completion_tokens);
}

/* The response as a whole; `end_of` NULL: it is under way. */
static void put_response(
    struct responses *a, struct buf *out, const struct chunk_end *end_of, const char *status)
{
	bool cut = end_of != NULL && end_of->finish == WIRE_FINISH_LENGTH;

	buf_puts(out, "{\"id\":");
	put_text(out, a->id);
	buf_printf(out, ",\"object\":\"response\",\"created_at\":%" PRId64 ",\"status\":\"%s\"",
	    a->created_s, cut ? "incomplete" : status);
	buf_printf(out, ",\"error\":null,\"incomplete_details\":%s,\"instructions\":%s",
	    cut ? "{\"reason\":\"max_output_tokens\"}" : "null", a->instructions);
	buf_printf(out, ",\"max_output_tokens\":%s,\"model\":", a->max_output_tokens);
	put_text(out, a->model);
	buf_puts(out, ",\"output\":[");
	buf_append(out, buf_text(&a->done), a->done.len);
	buf_printf(out,
	    "],\"parallel_tool_calls\":%s,\"previous_response_id\":null,\"reasoning\":"
	    "{\"effort\":null,\"summary\":null},\"store\":%s,\"temperature\":%s,\"text\":",
	    a->parallel ? "true" : "false", a->store, a->temperature);
	buf_puts(out, a->text);
	buf_puts(out, ",\"tool_choice\":");
	buf_puts(out, a->tool_choice);
	buf_puts(out, ",\"tools\":");
	buf_puts(out, a->tools);
	buf_printf(out, ",\"top_p\":%s,\"truncation\":\"disabled\",\"usage\":", a->top_p);
	if (end_of == NULL)
		buf_puts(out, "null");
	else
		put_usage(out, end_of);
	buf_puts(out, ",\"metadata\":");
	buf_puts(out, a->metadata);
	if (end_of != NULL)
		chunk_put_hearth(out, end_of);
	buf_putc(out, '}');
}

/* ---- items ---- */

static void put_part(struct responses *a, struct buf *out, const struct buf *text)
{
	buf_printf(out, "{\"type\":\"%s\",\"text\":",
	    a->item == ITEM_MESSAGE ? "output_text" : "reasoning_text");
	buf_json_string(out, buf_text(text), text->len);
	buf_puts(out, a->item == ITEM_MESSAGE ? ",\"annotations\":[],\"logprobs\":[]}" : "}");
}

static void put_item(struct responses *a, struct buf *out, bool whole)
{
	buf_printf(out, "{\"id\":\"%s\",\"type\":\"%s\",\"status\":\"%s\"", a->item_id,
	    a->item == ITEM_MESSAGE ? "message" : "reasoning", whole ? "completed" : "in_progress");
	buf_puts(out, a->item == ITEM_MESSAGE ? ",\"role\":\"assistant\"" : ",\"summary\":[]");
	buf_puts(out, ",\"content\":[");
	if (whole)
		put_part(a, out, &a->current);
	buf_puts(out, "]}");
}

static void put_call(
    struct buf *out, const char *item_id, const struct generation_event *call, bool whole)
{
	buf_printf(out,
	    "{\"id\":\"%s\",\"type\":\"function_call\",\"status\":\"%s\",\"call_id\":", item_id,
	    whole ? "completed" : "in_progress");
	put_text(out, call->call_id);
	buf_puts(out, ",\"name\":");
	put_text(out, call->call_name);
	buf_puts(out, ",\"arguments\":");
	buf_json_string(out, call->text, whole ? call->text_len : 0);
	buf_putc(out, '}');
}

static void next_item(struct responses *a)
{
	if (a->items++ > 0)
		buf_putc(&a->done, ',');
}

static void close_item(struct responses *a, struct buf *out)
{
	bool message = a->item == ITEM_MESSAGE;

	if (a->item == ITEM_NONE)
		return;
	begin(a, out, message ? "response.output_text.done" : "response.reasoning_text.done");
	put_place(a, out, true);
	buf_puts(out, ",\"text\":");
	buf_json_string(out, buf_text(&a->current), a->current.len);
	buf_puts(out, message ? ",\"logprobs\":[]" : "");
	end(out);
	begin(a, out, "response.content_part.done");
	put_place(a, out, true);
	buf_puts(out, ",\"part\":");
	put_part(a, out, &a->current);
	end(out);
	begin(a, out, "response.output_item.done");
	buf_printf(out, ",\"output_index\":%u,\"item\":", a->items);
	put_item(a, out, true);
	end(out);
	next_item(a);
	put_item(a, &a->done, true);
	a->item = ITEM_NONE;
	buf_reset(&a->current);
}

static void open_item(struct responses *a, struct buf *out, enum responses_item item)
{
	static const struct buf nothing = { .len = 0 };

	if (a->item == item)
		return;
	close_item(a, out);
	a->item = item;
	make_id(item == ITEM_MESSAGE ? "msg" : "rs", a->item_id);
	begin(a, out, "response.output_item.added");
	buf_printf(out, ",\"output_index\":%u,\"item\":", a->items);
	put_item(a, out, false);
	end(out);
	begin(a, out, "response.content_part.added");
	put_place(a, out, true);
	buf_puts(out, ",\"part\":");
	put_part(a, out, &nothing);
	end(out);
}

static void put_delta(
    struct responses *a, struct buf *out, enum responses_item item, const char *text, size_t len)
{
	open_item(a, out, item);
	buf_append(&a->current, text, len);
	begin(a, out,
	    item == ITEM_MESSAGE ? "response.output_text.delta" : "response.reasoning_text.delta");
	put_place(a, out, true);
	buf_puts(out, ",\"delta\":");
	buf_json_string(out, text, len);
	buf_puts(out, item == ITEM_MESSAGE ? ",\"logprobs\":[]" : "");
	end(out);
}

static void put_whole_call(
    struct responses *a, struct buf *out, const struct generation_event *call)
{
	close_item(a, out);
	make_id("fc", a->item_id);
	begin(a, out, "response.output_item.added");
	buf_printf(out, ",\"output_index\":%u,\"item\":", a->items);
	put_call(out, a->item_id, call, false);
	end(out);
	begin(a, out, "response.function_call_arguments.delta");
	put_place(a, out, false);
	buf_puts(out, ",\"delta\":");
	buf_json_string(out, call->text, call->text_len);
	end(out);
	begin(a, out, "response.function_call_arguments.done");
	put_place(a, out, false);
	buf_puts(out, ",\"name\":");
	put_text(out, call->call_name);
	buf_puts(out, ",\"arguments\":");
	buf_json_string(out, call->text, call->text_len);
	end(out);
	begin(a, out, "response.output_item.done");
	buf_printf(out, ",\"output_index\":%u,\"item\":", a->items);
	put_call(out, a->item_id, call, true);
	end(out);
	next_item(a);
	put_call(&a->done, a->item_id, call, true);
}

/* ---- the answer ---- */

void responses_begin(struct responses *a, struct buf *out, const struct chunk_head *head)
{
	make_id("resp", a->id);
	a->model = head->model;
	a->created_s = head->created_s;
	begin(a, out, "response.created");
	buf_puts(out, ",\"response\":");
	put_response(a, out, NULL, "in_progress");
	end(out);
	begin(a, out, "response.in_progress");
	buf_puts(out, ",\"response\":");
	put_response(a, out, NULL, "in_progress");
	end(out);
}

void responses_event(struct responses *a, struct buf *out, const struct generation_event *event)
{
	if (event->kind == GENERATION_TEXT)
		put_delta(a, out, ITEM_MESSAGE, event->text, event->text_len);
	else if (event->kind == GENERATION_REASONING)
		put_delta(a, out, ITEM_REASONING, event->text, event->text_len);
	else if (event->kind == GENERATION_CALL)
		put_whole_call(a, out, event);
}

void responses_end(struct responses *a, struct buf *out, const struct chunk_end *end_of)
{
	bool cut = end_of->finish == WIRE_FINISH_LENGTH;

	if (a->items == 0 && a->item == ITEM_NONE)
		open_item(a, out, ITEM_MESSAGE); /* it says nothing */
	close_item(a, out);
	begin(a, out, cut ? "response.incomplete" : "response.completed");
	buf_puts(out, ",\"response\":");
	put_response(a, out, end_of, "completed");
	end(out);
}

void responses_fail(struct responses *a, struct buf *out, const char *code, const char *message)
{
	begin(a, out, "error");
	buf_puts(out, ",\"code\":");
	put_text(out, code);
	buf_puts(out, ",\"message\":");
	put_text(out, message);
	buf_puts(out, ",\"param\":null");
	end(out);
}

enum rc responses_body(struct responses *a, struct buf *out, const struct chunk_end *end_of)
{
	put_response(a, out, end_of, "completed");
	buf_putc(out, '\n');
	return buf_rc(&a->done) != RC_OK ? buf_rc(&a->done) : buf_rc(&a->current);
}
