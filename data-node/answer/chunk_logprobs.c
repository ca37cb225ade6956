/* Chunk: log-probabilities in the older shape, that of completions. */
#include <inttypes.h>
#include <jansson.h>

#include "answer/chunk.h"

static const json_t *token_of(const json_t *entry)
{
	return json_object_get(entry, "token");
}

/* A token may hold NUL. */
static void put_token(struct buf *out, const json_t *entry)
{
	const char *text = json_string_value(token_of(entry));

	buf_json_string(out, text != NULL ? text : "", json_string_length(token_of(entry)));
}

static uint64_t characters_of(const json_t *entry)
{
	const char *text = json_string_value(token_of(entry));
	uint64_t n = 0;

	for (size_t i = 0; i < json_string_length(token_of(entry)); i++)
		n += ((unsigned char)text[i] & 0xC0) != 0x80;
	return n;
}

static void put_number(struct buf *out, const json_t *entry)
{
	buf_printf(out, "%.8g", json_number_value(json_object_get(entry, "logprob")));
}

static bool stands_before(const json_t *list, size_t i, const json_t *entry)
{
	for (size_t j = 0; j < i; j++) {
		if (json_equal(token_of(json_array_get(list, j)), token_of(entry)))
			return true;
	}
	return false;
}

/* The likeliest, and the token itself where it is none of them; two that read the same
 * are one member. */
static void put_top(struct buf *out, const json_t *entry)
{
	const json_t *top = json_object_get(entry, "top_logprobs");
	size_t n = json_array_size(top);
	bool any = false;

	buf_putc(out, '{');
	for (size_t i = 0; i <= n; i++) {
		const json_t *one = i < n ? json_array_get(top, i) : entry;
		if (stands_before(top, i, one))
			continue;
		buf_puts(out, any ? "," : "");
		put_token(out, one);
		buf_putc(out, ':');
		put_number(out, one);
		any = true;
	}
	buf_putc(out, '}');
}

static json_t *entries_of(const struct buf *logprobs)
{
	json_t *list = NULL;
	struct buf text;

	buf_init(&text, logprobs->len + 2);
	buf_putc(&text, '[');
	buf_append(&text, logprobs->bytes, logprobs->len);
	buf_putc(&text, ']');
	if (buf_rc(&text) == RC_OK)
		list = json_loadb(buf_text(&text), text.len, JSON_ALLOW_NUL, NULL);
	buf_fini(&text);
	return list;
}

void chunk_put_token_logprobs(struct buf *out, const struct buf *logprobs, uint64_t *characters)
{
	json_t *list = entries_of(logprobs);
	size_t n = json_array_size(list);

	if (list == NULL)
		out->rc = RC_NOMEM; /* they are our own */
	buf_puts(out, "{\"tokens\":[");
	for (size_t i = 0; i < n; i++) {
		buf_puts(out, i > 0 ? "," : "");
		put_token(out, json_array_get(list, i));
	}
	buf_puts(out, "],\"token_logprobs\":[");
	for (size_t i = 0; i < n; i++) {
		buf_puts(out, i > 0 ? "," : "");
		put_number(out, json_array_get(list, i));
	}
	buf_puts(out, "],\"top_logprobs\":[");
	for (size_t i = 0; i < n; i++) {
		buf_puts(out, i > 0 ? "," : "");
		put_top(out, json_array_get(list, i));
	}
	buf_puts(out, "],\"text_offset\":[");
	for (size_t i = 0; i < n; i++) {
		buf_printf(out, "%s%" PRIu64, i > 0 ? "," : "", *characters);
		*characters += characters_of(json_array_get(list, i));
	}
	buf_puts(out, "]}");
	json_decref(list);
}
