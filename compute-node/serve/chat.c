/* Chat: messages as variables of the model's own template. */
#include "serve/chat.h"

#include <stdlib.h>
#include <string.h>

#include "template/template.h"
#include "tokenize/tokenizer.h"

struct chat {
	struct template *template;
	bool knows_developer; /* the template speaks of the role "developer" */
	char bos[TOKEN_BYTES_MAX + 1];
	char eos[TOKEN_BYTES_MAX + 1];
	size_t bos_len, eos_len;
};

static size_t special_text(const struct tokenizer *tokenizer, int32_t id, char *out)
{
	return id == TOKEN_NONE ? 0 : tokenizer_piece(tokenizer, id, true, out, TOKEN_BYTES_MAX);
}

enum rc chat_open(const struct model *model, struct chat **out, struct errmsg *why)
{
	const char *source = model_info(model)->chat_template;
	const struct tokenizer *tokenizer = model_tokenizer(model);

	if (source == NULL || tokenizer == NULL)
		return RC_NOTFOUND;
	struct chat *chat = calloc(1, sizeof(*chat));
	if (chat == NULL)
		return RC_NOMEM;
	enum rc rc = template_compile(source, strlen(source), &chat->template, why);
	if (rc != RC_OK) {
		free(chat);
		return rc;
	}
	chat->knows_developer = strstr(source, "developer") != NULL;
	chat->bos_len = special_text(tokenizer, tokenizer_bos(tokenizer), chat->bos);
	chat->eos_len = special_text(tokenizer, tokenizer_eos(tokenizer), chat->eos);
	*out = chat;
	return RC_OK;
}

void chat_free(struct chat *chat)
{
	if (chat == NULL)
		return;
	template_free(chat->template);
	free(chat);
}

static enum rc set(struct arena *arena, struct value map, const char *key, struct value value)
{
	return value_set_name(arena, map, key, value);
}

static enum rc set_text(struct arena *arena, struct value map, const char *key, const char *text)
{
	return set(arena, map, key, value_text(arena, text, strlen(text), false));
}

static enum rc message_content(const struct wire_chat_message *message, size_t index,
    struct arena *arena, struct value *out, struct errmsg *why)
{
	struct text_builder builder;

	text_builder_init(&builder, arena, WIRE_MESSAGE_BYTES_MAX);
	for (size_t i = 0; i < message->parts_len; i++) {
		const struct wire_part *part = &message->parts[i];
		if (part->kind != WIRE_PART_TEXT)
			return errmsg_rc(why, RC_UNSUPPORTED,
			    "messages[%zu].parts[%zu].kind: this model reads text only", index, i);
		text_builder_bytes(
		    &builder, (const char *)part->data, part->data_len, part->trusted);
	}
	*out = value_of_text(text_builder_text(&builder));
	return value_ok(*out) ? RC_OK : RC_NOMEM;
}

/* Arguments travel as JSON text; templates want the object. */
static enum rc unfold_arguments(struct arena *arena, struct value calls)
{
	for (size_t i = 0; calls.kind == VALUE_LIST && i < calls.u.list->len; i++) {
		struct value call = calls.u.list->items[i];
		const struct value *function =
		    call.kind == VALUE_MAP ? value_get(call, "function", strlen("function")) : NULL;
		const struct value *arguments =
		    function != NULL && function->kind == VALUE_MAP
			? value_get(*function, "arguments", strlen("arguments"))
			: NULL;
		struct value object;
		if (arguments == NULL || arguments->kind != VALUE_TEXT ||
		    template_parse_json(arguments->u.text->bytes, arguments->u.text->len, arena,
			&object, NULL) != RC_OK ||
		    object.kind != VALUE_MAP)
			continue; /* what is no object stays the text it is */
		enum rc rc = set(arena, *function, "arguments", object);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

static enum rc message_calls(const struct wire_chat_message *message, size_t index,
    struct arena *arena, struct value map, struct errmsg *why)
{
	struct value calls;

	if (message->tool_calls_json[0] == '\0')
		return RC_OK;
	enum rc rc = template_parse_json(
	    message->tool_calls_json, strlen(message->tool_calls_json), arena, &calls, NULL);
	if (rc != RC_OK || calls.kind != VALUE_LIST)
		return errmsg_rc(
		    why, RC_INVALID, "messages[%zu].tool_calls_json: not a JSON array", index);
	rc = unfold_arguments(arena, calls);
	return rc == RC_OK ? set(arena, map, "tool_calls", calls) : rc;
}

static bool known_role(const char *role)
{
	static const char *const roles[] = { "system", "developer", "user", "assistant", "tool" };

	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		if (strcmp(role, roles[i]) == 0)
			return true;
	}
	return false;
}

static enum rc add_message(const struct chat *chat, const struct wire_chat_message *message,
    size_t index, struct arena *arena, struct value list, struct errmsg *why)
{
	struct value map = value_map(arena);
	struct value content;
	const char *role = message->role;

	if (!known_role(role))
		return errmsg_rc(why, RC_INVALID, "messages[%zu].role: not a known role", index);
	if (strcmp(role, "developer") == 0 && !chat->knows_developer)
		role = "system";
	enum rc rc = value_ok(map) ? RC_OK : RC_NOMEM;
	if (rc == RC_OK)
		rc = set_text(arena, map, "role", role);
	if (rc == RC_OK)
		rc = message_content(message, index, arena, &content, why);
	if (rc == RC_OK)
		rc = set(arena, map, "content", content);
	if (rc == RC_OK && message->name[0] != '\0')
		rc = set_text(arena, map, "name", message->name);
	if (rc == RC_OK && message->tool_call_id[0] != '\0')
		rc = set_text(arena, map, "tool_call_id", message->tool_call_id);
	if (rc == RC_OK)
		rc = message_calls(message, index, arena, map, why);
	return rc == RC_OK ? value_push(arena, list, map) : rc;
}

static enum rc add_tools(const struct wire_generate *generate, struct arena *arena,
    struct value variables, struct errmsg *why)
{
	struct value tools;

	if (generate->tools_json[0] == '\0')
		return RC_OK;
	enum rc rc = template_parse_json(
	    generate->tools_json, strlen(generate->tools_json), arena, &tools, NULL);
	if (rc != RC_OK || tools.kind != VALUE_LIST)
		return errmsg_rc(why, RC_INVALID, "tools_json: not a JSON array");
	return set(arena, variables, "tools", tools);
}

enum rc chat_render(const struct chat *chat, const struct wire_generate *generate,
    struct arena *arena, const struct text **out, struct errmsg *why)
{
	const struct template_clock clock = { .now_utc_ns = generate->now_utc_ns };
	struct value variables = value_map(arena);
	struct value messages = value_list(arena);
	bool refused = false;
	enum rc rc = value_ok(variables) && value_ok(messages) ? RC_OK : RC_NOMEM;

	for (size_t i = 0; rc == RC_OK && i < generate->messages_len; i++)
		rc = add_message(chat, &generate->messages[i], i, arena, messages, why);
	if (rc == RC_OK)
		rc = set(arena, variables, "messages", messages);
	if (rc == RC_OK)
		rc = add_tools(generate, arena, variables, why);
	if (rc == RC_OK)
		rc = set(arena, variables, "add_generation_prompt",
		    value_bool(generate->add_generation_prompt));
	if (rc == RC_OK)
		rc = set(arena, variables, "bos_token",
		    value_text(arena, chat->bos, chat->bos_len, true));
	if (rc == RC_OK)
		rc = set(arena, variables, "eos_token",
		    value_text(arena, chat->eos, chat->eos_len, true));
	return rc == RC_OK
		   ? template_render(chat->template, variables, &clock, arena, out, &refused, why)
		   : rc;
}
