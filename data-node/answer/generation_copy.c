/* Deep copy of a Generate body into an arena. */
#include "answer/generation_state.h"

/* NULL for no memory only: an absent string becomes "". */
static const char *text(struct arena *arena, const char *from)
{
	return arena_strdup(arena, from == NULL ? "" : from);
}

static enum rc copy_parts(
    struct arena *arena, const struct wire_part *from, size_t len, const struct wire_part **out)
{
	struct wire_part *parts = arena_array(arena, len, sizeof(*parts));

	if (parts == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < len; i++) {
		parts[i] = from[i];
		parts[i].data = (const uint8_t *)arena_copy(arena, from[i].data, from[i].data_len);
		parts[i].media_type = text(arena, from[i].media_type);
		if (parts[i].data == NULL || parts[i].media_type == NULL)
			return RC_NOMEM;
	}
	*out = parts;
	return RC_OK;
}

static enum rc copy_messages(struct arena *arena, const struct wire_chat_message *from, size_t len,
    const struct wire_chat_message **out)
{
	struct wire_chat_message *messages = arena_array(arena, len, sizeof(*messages));

	if (messages == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < len; i++) {
		messages[i].role = text(arena, from[i].role);
		messages[i].name = text(arena, from[i].name);
		messages[i].tool_call_id = text(arena, from[i].tool_call_id);
		messages[i].tool_calls_json = text(arena, from[i].tool_calls_json);
		if (messages[i].role == NULL || messages[i].name == NULL ||
		    messages[i].tool_call_id == NULL || messages[i].tool_calls_json == NULL)
			return RC_NOMEM;
		enum rc rc =
		    copy_parts(arena, from[i].parts, from[i].parts_len, &messages[i].parts);
		if (rc != RC_OK)
			return rc;
		messages[i].parts_len = from[i].parts_len;
	}
	*out = messages;
	return RC_OK;
}

static enum rc copy_ids(struct arena *arena, const uint32_t *from, size_t len, const uint32_t **out)
{
	uint32_t *ids = arena_array(arena, len, sizeof(*ids));

	if (ids == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < len; i++)
		ids[i] = from[i];
	*out = ids;
	return RC_OK;
}

enum rc generation_copy(
    struct arena *arena, const struct wire_generate *from, struct wire_generate *out)
{
	*out = *from;
	out->model = text(arena, from->model);
	out->now_zone = text(arena, from->now_zone);
	out->tools_json = text(arena, from->tools_json);
	out->constraint.schema = text(arena, from->constraint.schema);
	const char **stop = arena_array(arena, from->stop_len, sizeof(*stop));
	if (out->model == NULL || out->now_zone == NULL || out->tools_json == NULL ||
	    out->constraint.schema == NULL || stop == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < from->stop_len; i++) {
		stop[i] = text(arena, from->stop[i]);
		if (stop[i] == NULL)
			return RC_NOMEM;
	}
	out->stop = stop;
	enum rc rc = copy_messages(arena, from->messages, from->messages_len, &out->messages);
	if (rc == RC_OK)
		rc = copy_parts(arena, from->raw, from->raw_len, &out->raw);
	if (rc == RC_OK)
		rc = copy_ids(arena, from->prompt_ids, from->prompt_ids_len, &out->prompt_ids);
	if (rc == RC_OK)
		rc = copy_ids(
		    arena, from->generated_ids, from->generated_ids_len, &out->generated_ids);
	return rc;
}
