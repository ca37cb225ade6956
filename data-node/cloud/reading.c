/* Reading: chunks into pieces. */
#include "cloud/reading.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"

static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */

void reading_init(struct reading *reading)
{
	memset(reading, 0, sizeof(*reading));
	buf_init(&reading->text, READING_BYTES_MAX);
	buf_init(&reading->reasoning, READING_BYTES_MAX);
	buf_init(&reading->logprobs, READING_BYTES_MAX);
	buf_init(&reading->given, READING_BYTES_MAX);
	buf_init(&reading->error, READING_BYTES_MAX);
}

void reading_fini(struct reading *reading)
{
	buf_fini(&reading->text);
	buf_fini(&reading->reasoning);
	buf_fini(&reading->logprobs);
	buf_fini(&reading->given);
	buf_fini(&reading->error);
	for (size_t i = 0; i < reading->calls_len; i++) {
		buf_fini(&reading->calls[i].id);
		buf_fini(&reading->calls[i].name);
		buf_fini(&reading->calls[i].arguments);
	}
}

/* ---- chunks in ---- */

static void put_error(const json_t *root, struct buf *out)
{
	const json_t *error = json_object_get(root, "error");
	const char *message = json_string_value(json_object_get(error, "message"));

	if (message == NULL)
		message = json_string_value(error);
	buf_puts(out, message != NULL ? message : "");
}

void reading_error(const char *body, size_t len, struct buf *out)
{
	json_t *root = json_loadb(body, len, JSON_DISABLE_EOF_CHECK, NULL);

	put_error(root, out);
	json_decref(root);
}

/* Models do say NUL now and then, which no text here holds. */
static void put_text(struct buf *to, const char *text, size_t len)
{
	while (len > 0) {
		size_t n = strnlen(text, len);
		buf_append(to, text, n);
		if (n < len)
			buf_puts(to, replacement);
		n += n < len;
		text += n;
		len -= n;
	}
}

static enum rc add(struct reading *reading, struct buf *to, const json_t *value)
{
	size_t len = json_string_length(value);

	if (len == 0)
		return RC_OK;
	reading->bytes += len;
	if (reading->bytes > READING_BYTES_MAX)
		return RC_LIMIT;
	put_text(to, json_string_value(value), len);
	return buf_rc(to);
}

static enum rc add_call(struct reading *reading, const json_t *fragment)
{
	const json_t *function = json_object_get(fragment, "function");
	const json_t *number = json_object_get(fragment, "index");
	int64_t index = json_is_integer(number) ? json_integer_value(number) : 0;

	if (index < 0 || (size_t)index > reading->calls_len || (size_t)index >= READING_CALLS_MAX)
		return RC_CORRUPT;
	struct reading_call *call = &reading->calls[index];
	if ((size_t)index == reading->calls_len) {
		buf_init(&call->id, READING_NAME_BYTES_MAX);
		buf_init(&call->name, READING_NAME_BYTES_MAX);
		buf_init(&call->arguments, READING_BYTES_MAX);
		reading->calls_len++;
	}
	enum rc rc =
	    call->id.len > 0 ? RC_OK : add(reading, &call->id, json_object_get(fragment, "id"));
	if (rc == RC_OK && call->name.len == 0)
		rc = add(reading, &call->name, json_object_get(function, "name"));
	if (rc == RC_OK)
		rc = add(reading, &call->arguments, json_object_get(function, "arguments"));
	return rc;
}

static enum rc add_logprob(struct reading *reading, const json_t *item)
{
	size_t len = json_is_object(item) ? json_dumpb(item, NULL, 0, JSON_COMPACT) : 0;
	struct buf *out = &reading->logprobs;

	if (len == 0)
		return RC_CORRUPT;
	reading->bytes += len;
	if (reading->bytes > READING_BYTES_MAX)
		return RC_LIMIT;
	char *text = malloc(len);
	if (text == NULL)
		return RC_NOMEM;
	(void)json_dumpb(item, text, len, JSON_COMPACT);
	if (out->len > 0)
		buf_putc(out, ',');
	buf_append(out, text, len);
	free(text);
	return buf_rc(out);
}

/* {"a":-1,…} of completions as the objects that chats have. */
static json_t *top_of(const json_t *by_token)
{
	json_t *out = json_array(), *logprob;
	const char *token;

	json_object_foreach((json_t *)by_token, token, logprob)
	{
		(void)json_array_append_new(
		    out, json_pack("{s:s, s:O}", "token", token, "logprob", logprob));
	}
	return out;
}

static enum rc add_logprobs(struct reading *reading, const json_t *choice)
{
	const json_t *logprobs = json_object_get(choice, "logprobs");
	const json_t *list = json_object_get(logprobs, "content");
	const json_t *tokens = json_object_get(logprobs, "tokens");
	const json_t *numbers = json_object_get(logprobs, "token_logprobs");
	const json_t *tops = json_object_get(logprobs, "top_logprobs");
	enum rc rc = RC_OK;

	for (size_t i = 0; i < json_array_size(list) && rc == RC_OK; i++)
		rc = add_logprob(reading, json_array_get(list, i));
	for (size_t i = 0; i < json_array_size(tokens) && rc == RC_OK; i++) {
		json_t *item = json_pack("{s:O?, s:O?, s:o}", "token", json_array_get(tokens, i),
		    "logprob", json_array_get(numbers, i), "top_logprobs",
		    top_of(json_array_get(tops, i)));
		rc = add_logprob(reading, item);
		json_decref(item);
	}
	return rc;
}

static enum rc add_choice(struct reading *reading, const json_t *choice)
{
	const json_t *delta = json_object_get(choice, "delta");
	const json_t *thought = json_object_get(delta, "reasoning_content");
	const json_t *calls = json_object_get(delta, "tool_calls");
	const char *finish = json_string_value(json_object_get(choice, "finish_reason"));

	if (!json_is_string(thought))
		thought = json_object_get(delta, "reasoning");
	enum rc rc = add(reading, &reading->reasoning, thought);
	if (rc == RC_OK)
		rc = add(reading, &reading->text, json_object_get(delta, "content"));
	if (rc == RC_OK)
		rc = add(reading, &reading->text, json_object_get(choice, "text"));
	for (size_t i = 0; rc == RC_OK && i < json_array_size(calls); i++)
		rc = add_call(reading, json_array_get(calls, i));
	if (rc == RC_OK)
		rc = add_logprobs(reading, choice);
	if (finish != NULL) {
		reading->finished = true;
		reading->cut_short = strcmp(finish, "length") == 0;
	}
	return rc;
}

static uint32_t count_of(const json_t *usage, const char *name)
{
	json_int_t n = json_integer_value(json_object_get(usage, name));

	return n < 0 ? 0 : n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

static enum rc take_chunk(struct reading *reading, const json_t *root)
{
	const json_t *usage = json_object_get(root, "usage");
	const json_t *choices = json_object_get(root, "choices");
	enum rc rc = RC_OK;

	if (json_object_get(root, "error") != NULL &&
	    !json_is_null(json_object_get(root, "error"))) {
		put_error(root, &reading->error);
		return RC_CANCELLED;
	}
	if (!json_is_object(root) || !json_is_array(choices))
		return RC_CORRUPT;
	reading->begun = true;
	if (json_is_object(usage)) {
		reading->has_usage = true;
		reading->prompt_tokens = count_of(usage, "prompt_tokens");
		reading->completion_tokens = count_of(usage, "completion_tokens");
	}
	/* One choice was asked for; others would mix with it. */
	if (json_array_size(choices) > 0)
		rc = add_choice(reading, json_array_get(choices, 0));
	return rc;
}

enum rc reading_push(struct reading *reading, const char *data)
{
	if (strcmp(data, "[DONE]") == 0) {
		reading->done = true;
		return RC_OK;
	}
	json_t *root = json_loads(data, JSON_ALLOW_NUL, NULL);
	enum rc rc = root == NULL ? RC_CORRUPT : take_chunk(reading, root);
	json_decref(root);
	return rc;
}

/* ---- pieces out ---- */

static void give(struct reading *reading, struct buf *from, struct reading_piece *out)
{
	struct buf given = reading->given;

	buf_reset(&given);
	reading->given = *from;
	*from = given;
	out->text = buf_text(&reading->given);
	out->len = reading->given.len;
}

/* Clients parse the arguments; none at all are none, unless they were still to come. */
static bool is_whole(const struct reading *reading, struct reading_call *call)
{
	if (call->arguments.len == 0 && !reading->cut_short)
		buf_puts(&call->arguments, "{}");
	json_t *arguments = json_loadb(buf_text(&call->arguments), call->arguments.len,
	    JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
	bool whole = call->name.len > 0 && json_is_object(arguments);
	json_decref(arguments);
	return whole;
}

static bool next_call(struct reading *reading, struct reading_piece *out)
{
	while (reading->calls_seen < reading->calls_len) {
		struct reading_call *call = &reading->calls[reading->calls_seen++];
		if (!is_whole(reading, call))
			continue;
		if (call->id.len == 0)
			buf_printf(&call->id, "call_%016llx", (unsigned long long)random_u64());
		out->kind = READING_CALL;
		out->text = buf_text(&call->arguments);
		out->len = call->arguments.len;
		out->name = buf_text(&call->name);
		out->id = buf_text(&call->id);
		out->index = (unsigned)reading->calls_given++;
		return true;
	}
	return false;
}

bool reading_next(struct reading *reading, bool over, struct reading_piece *out)
{
	*out = (struct reading_piece){ .name = "", .id = "" };
	if (reading->reasoning.len > 0) {
		out->kind = READING_REASONING;
		give(reading, &reading->reasoning, out);
		return true;
	}
	if (reading->text.len > 0) {
		out->kind = READING_TEXT;
		give(reading, &reading->text, out);
		return true;
	}
	return over && next_call(reading, out);
}
