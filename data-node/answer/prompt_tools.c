/* Tools in words: the system message, and turns that the template does not know. */
#include "answer/prompt_tools.h"

#include <jansson.h>
#include <string.h>

#include "answer/body.h"

static const char offer_words[] = "You may call functions. To call one, answer with nothing but "
				  "<tool_call>{\"name\": \"its name\", \"arguments\": {its "
				  "arguments}}</tool_call>, once for each "
				  "call; what it gave comes back to you. The functions, as JSON:\n";
static const char result_words[] = "What the function gave:\n";
static const char call_open[] = "\n<tool_call>", call_close[] = "</tool_call>";

/* The parts with some before and some behind them. */
static enum rc frame(struct wire_chat_message *message, const struct wire_part *before,
    size_t n_before, const struct wire_part *behind, size_t n_behind, struct arena *arena)
{
	struct wire_part *parts =
	    arena_array(arena, n_before + message->parts_len + n_behind, sizeof(parts[0]));

	if (parts == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < n_before; i++)
		parts[i] = before[i];
	for (size_t i = 0; i < message->parts_len; i++)
		parts[n_before + i] = message->parts[i];
	for (size_t i = 0; i < n_behind; i++)
		parts[n_before + message->parts_len + i] = behind[i];
	message->parts = parts;
	message->parts_len += n_before + n_behind;
	return RC_OK;
}

static enum rc fold(struct wire_chat_message *message, struct arena *arena)
{
	enum rc rc = RC_OK;

	if (message->tool_calls_json[0] != '\0') {
		const struct wire_part behind[] = { wire_part_text(call_open, true),
			wire_part_text(message->tool_calls_json, false),
			wire_part_text(call_close, true) };

		rc = frame(message, NULL, 0, behind, 3, arena);
		message->tool_calls_json = "";
	}
	if (rc == RC_OK && strcmp(message->role, "tool") == 0) {
		const struct wire_part before = wire_part_text(result_words, true);

		rc = frame(message, &before, 1, NULL, 0, arena);
		message->role = "user";
		message->tool_call_id = "";
		message->name = "";
	}
	return rc;
}

enum rc prompt_tools_fold(const struct wire_chat_message *messages, size_t len,
    const char *tools_json, struct arena *arena, const struct wire_chat_message **out,
    size_t *out_len)
{
	const bool offers = tools_json[0] != '\0';
	const bool joins = len > 0 && strcmp(messages[0].role, "system") == 0;
	struct wire_chat_message *list = arena_array(arena, len + 1, sizeof(list[0]));
	size_t n = 0;
	enum rc rc = list == NULL ? RC_NOMEM : RC_OK;

	if (rc == RC_OK && offers && !joins)
		list[n++] = (struct wire_chat_message){
			.role = "system", .name = "", .tool_call_id = "", .tool_calls_json = ""
		};
	for (size_t i = 0; rc == RC_OK && i < len; i++) {
		list[n] = messages[i];
		rc = fold(&list[n++], arena);
	}
	if (rc == RC_OK && offers) {
		const struct wire_part words[] = { wire_part_text(joins ? "\n" : "", true),
			wire_part_text(offer_words, true), wire_part_text(tools_json, false),
			wire_part_text("\n", true) };

		rc = frame(&list[0], NULL, 0, words, 4, arena);
	}
	*out = list;
	*out_len = n;
	return rc;
}

enum rc prompt_tools_describe(const char *tools_json, struct arena *arena, const char **out)
{
	json_t *tools = json_loads(tools_json, JSON_ALLOW_NUL, NULL);
	bool ok = tools != NULL;

	for (size_t i = 0; ok && i < json_array_size(tools); i++) {
		json_t *function = json_object_get(json_array_get(tools, i), "function");

		if (json_is_object(function) &&
		    !json_is_string(json_object_get(function, "description")))
			ok = json_object_set_new(function, "description", json_string("")) == 0;
	}
	*out = ok ? body_json(tools, arena) : NULL;
	json_decref(tools);
	return *out == NULL ? RC_NOMEM : RC_OK;
}
