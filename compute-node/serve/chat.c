/* Messages as template variables, and the render. */
#include "serve/chat.h"

#include <stdio.h>
#include <string.h>

#define TOKEN_TEXT_BYTES_MAX 256

enum rc chat_check_part(
    const struct wire_part *part, const char *field, size_t index, struct errmsg *why)
{
	if (part->kind != WIRE_PART_TEXT)
		return errmsg_rc(
		    why, RC_UNSUPPORTED, "%s[%zu].kind: this model reads text only", field, index);
	return RC_OK;
}

static enum rc set(struct arena *arena, struct value map, const char *key, struct value value)
{
	return value_ok(value) ? value_set_name(arena, map, key, value) : RC_NOMEM;
}

/* An optional text: left out where it is empty, as templates ask `is defined`. */
static enum rc set_text(struct arena *arena, struct value map, const char *key, const char *text)
{
	if (text[0] == '\0')
		return RC_OK;
	return set(arena, map, key, value_text(arena, text, strlen(text), false));
}

static enum rc content_of(const struct wire_chat_message *message, const char *field,
    struct arena *arena, struct value *out, struct errmsg *why)
{
	struct text_builder builder;

	text_builder_init(&builder, arena, WIRE_MESSAGE_BYTES_MAX);
	for (size_t i = 0; i < message->parts_len; i++) {
		const struct wire_part *part = &message->parts[i];
		enum rc rc = chat_check_part(part, field, i, why);

		if (rc != RC_OK)
			return rc;
		text_builder_bytes(
		    &builder, (const char *)part->data, part->data_len, part->trusted);
	}
	const struct text *text = text_builder_text(&builder);
	if (text == NULL)
		return RC_NOMEM;
	*out = value_of_text(text);
	return RC_OK;
}

/* Clients send a call's arguments as JSON in a string; templates know maps. */
static enum rc open_arguments(struct value call, struct arena *arena)
{
	if (call.kind != VALUE_MAP)
		return RC_OK;
	const struct value *function = value_get(call, "function", strlen("function"));
	if (function == NULL || function->kind != VALUE_MAP)
		return RC_OK;
	const struct value *arguments = value_get(*function, "arguments", strlen("arguments"));
	struct value parsed;
	if (arguments == NULL || arguments->kind != VALUE_TEXT ||
	    template_parse_json(
		arguments->u.text->bytes, arguments->u.text->len, arena, &parsed, NULL) != RC_OK ||
	    parsed.kind != VALUE_MAP)
		return RC_OK;
	return value_set_name(arena, *function, "arguments", parsed);
}

static enum rc tool_calls_of(
    const char *json, const char *field, struct arena *arena, struct value *out, struct errmsg *why)
{
	struct errmsg cause = ERRMSG_INIT;
	enum rc rc = template_parse_json(json, strlen(json), arena, out, &cause);

	if (rc == RC_NOMEM)
		return rc;
	if (rc != RC_OK || out->kind != VALUE_LIST)
		return errmsg_rc(why, RC_INVALID, "%s: not a JSON array", field);
	for (size_t i = 0; i < out->u.list->len && rc == RC_OK; i++)
		rc = open_arguments(out->u.list->items[i], arena);
	return rc;
}

static enum rc message_of(const struct wire_chat_message *message, size_t index,
    struct arena *arena, struct value *out, struct errmsg *why)
{
	struct value content = value_none(), calls;
	char field[64];

	*out = value_map(arena);
	if (!value_ok(*out))
		return RC_NOMEM;
	(void)snprintf(field, sizeof(field), "messages[%zu].parts", index);
	enum rc rc = content_of(message, field, arena, &content, why);
	/* Roles steer the template; its own comparison decides what they mean. */
	if (rc == RC_OK)
		rc = set(arena, *out, "role",
		    value_text(arena, message->role, strlen(message->role), false));
	if (rc == RC_OK)
		rc = set(arena, *out, "content", content);
	if (rc == RC_OK)
		rc = set_text(arena, *out, "name", message->name);
	if (rc == RC_OK)
		rc = set_text(arena, *out, "tool_call_id", message->tool_call_id);
	if (rc != RC_OK || message->tool_calls_json[0] == '\0')
		return rc;
	(void)snprintf(field, sizeof(field), "messages[%zu].tool_calls_json", index);
	rc = tool_calls_of(message->tool_calls_json, field, arena, &calls, why);
	return rc == RC_OK ? set(arena, *out, "tool_calls", calls) : rc;
}

static enum rc set_messages(struct value variables, const struct wire_generate *generate,
    struct arena *arena, struct errmsg *why)
{
	struct value list = value_list(arena), message;
	enum rc rc = value_ok(list) ? RC_OK : RC_NOMEM;

	for (size_t i = 0; i < generate->messages_len && rc == RC_OK; i++) {
		rc = message_of(&generate->messages[i], i, arena, &message, why);
		if (rc == RC_OK)
			rc = value_push(arena, list, message);
	}
	return rc == RC_OK ? set(arena, variables, "messages", list) : rc;
}

static enum rc set_token(struct value variables, const char *name,
    const struct tokenizer *tokenizer, int32_t id, struct arena *arena)
{
	char text[TOKEN_TEXT_BYTES_MAX];
	size_t len =
	    id == TOKEN_NONE ? 0 : tokenizer_piece(tokenizer, id, true, text, sizeof(text));

	if (len > sizeof(text))
		len = 0;
	return set(arena, variables, name, value_text(arena, text, len, true));
}

static enum rc set_tools(struct value variables, const struct wire_generate *generate,
    struct arena *arena, struct errmsg *why)
{
	struct value tools;
	struct errmsg cause = ERRMSG_INIT;

	if (generate->tools_json[0] == '\0')
		return RC_OK;
	enum rc rc = template_parse_json(
	    generate->tools_json, strlen(generate->tools_json), arena, &tools, &cause);
	if (rc == RC_OK && tools.kind == VALUE_LIST)
		return set(arena, variables, "tools", tools);
	return rc == RC_NOMEM ? rc : errmsg_rc(why, RC_INVALID, "tools_json: not a JSON array");
}

/* "+01:00" east of UTC; names of zones would need a table: they read as UTC. */
static int32_t offset_of(const char *zone)
{
	int hours = 0, minutes = 0;
	char sign = '\0', end = '\0';

	if (sscanf(zone, "%c%2d:%2d%c", &sign, &hours, &minutes, &end) != 3 ||
	    (sign != '+' && sign != '-') || hours < 0 || hours > CHAT_ZONE_HOURS_MAX ||
	    minutes < 0 || minutes > 59)
		return 0;
	int32_t offset = hours * 3600 + minutes * 60;
	return sign == '-' ? -offset : offset;
}

static enum rc set_variables(struct value variables, const struct tokenizer *tokenizer,
    const struct wire_generate *generate, struct arena *arena, struct errmsg *why)
{
	enum rc rc = set_messages(variables, generate, arena, why);

	if (rc == RC_OK)
		rc = set_tools(variables, generate, arena, why);
	if (rc == RC_OK)
		rc = set(arena, variables, "add_generation_prompt",
		    value_bool(generate->add_generation_prompt));
	if (rc == RC_OK)
		rc = set_token(variables, "bos_token", tokenizer, tokenizer_bos(tokenizer), arena);
	if (rc == RC_OK)
		rc = set_token(variables, "eos_token", tokenizer, tokenizer_eos(tokenizer), arena);
	return rc;
}

enum rc chat_render(const struct template *template, const struct tokenizer *tokenizer,
    const struct wire_generate *generate, struct arena *arena, const struct text **out,
    struct errmsg *why)
{
	const struct template_clock clock = { .now_utc_ns = generate->now_utc_ns,
		.offset_s = offset_of(generate->now_zone) };
	struct value variables = value_map(arena);
	bool refused = false;

	if (!value_ok(variables))
		return errmsg_rc(why, RC_NOMEM, "no memory for the chat");
	enum rc rc = set_variables(variables, tokenizer, generate, arena, why);
	if (rc == RC_NOMEM)
		return errmsg_rc(why, rc, "the chat is too large for its template");
	if (rc == RC_OK)
		rc = template_render(template, variables, &clock, arena, out, &refused, why);
	return rc;
}
