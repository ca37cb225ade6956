/* Prompts: rendering by the plain fallback, trust, tokenising. */
#include "serve/prompt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "serve/chat.h"
#include "template/template.h"

#define FIELD_BYTES 64
#define NAME_BYTES_MAX 64

/* Text on its way to the tokenizer, with the trust of each byte. */
struct render {
	struct buf text, trust;
};

static void render_bytes(struct render *r, const void *bytes, size_t len, bool trusted)
{
	buf_append(&r->text, bytes, len);
	for (size_t i = 0; i < len; i++)
		buf_putc(&r->trust, (char)trusted);
}

/* Words of the plain template: no special token may grow out of them. */
static void render_words(struct render *r, const char *words)
{
	render_bytes(r, words, strlen(words), false);
}

static void render_part(struct render *r, const struct wire_part *part)
{
	render_bytes(r, part->data, part->data_len, part->trusted);
}

static enum rc check_part(const struct wire_part *part, const char *field, struct errmsg *why)
{
	if (part->kind != WIRE_PART_TEXT)
		return errmsg_rc(why, RC_UNSUPPORTED, "%s.kind: this model reads text only", field);
	return RC_OK;
}

static const char *role_word(const char *role)
{
	static const char *const words[][2] = { { "system", "System" }, { "developer", "System" },
		{ "user", "User" }, { "assistant", "Assistant" }, { "tool", "Tool" } };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(role, words[i][0]) == 0)
			return words[i][1];
	}
	return NULL;
}

static enum rc render_message(
    struct render *r, const struct wire_chat_message *message, size_t index, struct errmsg *why)
{
	const char *word = role_word(message->role);
	char field[FIELD_BYTES];

	if (word == NULL)
		return errmsg_rc(why, RC_INVALID, "messages[%zu].role: not a known role", index);
	if (message->tool_calls_json[0] != '\0')
		return errmsg_rc(why, RC_UNSUPPORTED,
		    "messages[%zu].tool_calls_json: the plain template has no tools", index);
	render_words(r, word);
	if (message->name[0] != '\0') {
		size_t len = strlen(message->name);

		if (len > NAME_BYTES_MAX)
			return errmsg_rc(why, RC_LIMIT, "messages[%zu].name: over %d bytes", index,
			    NAME_BYTES_MAX);
		/* A name is the sender's, so it is a part that nobody vouches for. */
		const struct wire_part name = { .data = (const uint8_t *)message->name,
			.data_len = len };

		render_words(r, " (");
		render_part(r, &name);
		render_words(r, ")");
	}
	render_words(r, ": ");
	for (size_t i = 0; i < message->parts_len; i++) {
		(void)snprintf(field, sizeof(field), "messages[%zu].parts[%zu]", index, i);
		enum rc rc = check_part(&message->parts[i], field, why);
		if (rc != RC_OK)
			return rc;
		render_part(r, &message->parts[i]);
	}
	return RC_OK;
}

/* The last message may be the start of the answer: then nothing stands behind. */
static enum rc render_plain(
    struct render *r, const struct wire_generate *generate, struct errmsg *why)
{
	if (generate->tools_json[0] != '\0')
		return errmsg_rc(
		    why, RC_UNSUPPORTED, "tools_json: the plain template has no tools");
	for (size_t i = 0; i < generate->messages_len; i++) {
		enum rc rc = render_message(r, &generate->messages[i], i, why);

		if (rc != RC_OK)
			return rc;
		if (i + 1 < generate->messages_len || generate->add_generation_prompt)
			render_words(r, "\n\n");
	}
	if (generate->add_generation_prompt)
		render_words(r, "Assistant:");
	return RC_OK;
}

static enum rc render_raw(
    struct render *r, const struct wire_generate *generate, struct errmsg *why)
{
	char field[FIELD_BYTES];

	for (size_t i = 0; i < generate->raw_len; i++) {
		(void)snprintf(field, sizeof(field), "raw[%zu]", i);
		enum rc rc = check_part(&generate->raw[i], field, why);
		if (rc != RC_OK)
			return rc;
		render_part(r, &generate->raw[i]);
	}
	return RC_OK;
}

static size_t text_bytes(const struct wire_part *parts, size_t len)
{
	size_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += parts[i].data_len;
	return sum;
}

static enum rc check_text_bytes(
    const struct wire_generate *generate, uint32_t n_ctx, uint64_t *needed, struct errmsg *why)
{
	size_t sum = text_bytes(generate->raw, generate->raw_len);

	for (size_t i = 0; i < generate->messages_len; i++)
		sum += text_bytes(generate->messages[i].parts, generate->messages[i].parts_len);
	if (sum / PROMPT_TOKEN_BYTES_MAX < n_ctx)
		return RC_OK;
	*needed = sum / PROMPT_TOKEN_BYTES_MAX + 1;
	return errmsg_rc(
	    why, RC_CONTEXT, "the prompt's %zu bytes cannot fit %u tokens", sum, (unsigned)n_ctx);
}

enum rc prompt_push(struct tokens *out, const uint32_t *ids, size_t len, struct errmsg *why)
{
	if (len > WIRE_IDS_MAX || out->len > WIRE_IDS_MAX - len)
		return errmsg_rc(why, RC_LIMIT, "more than %zu token ids", WIRE_IDS_MAX);
	if (out->len + len > out->cap) {
		struct tokens grown = { .len = out->len, .cap = (out->len + len) * 2 };

		grown.ids = malloc(grown.cap * sizeof(grown.ids[0]));
		if (grown.ids == NULL)
			return errmsg_rc(why, RC_NOMEM, "no memory for %zu token ids", grown.cap);
		if (out->len != 0)
			memcpy(grown.ids, out->ids, out->len * sizeof(grown.ids[0]));
		tokens_free(out); /* wipes the old place */
		*out = grown;
	}
	for (size_t i = 0; i < len; i++)
		out->ids[out->len++] = (int32_t)ids[i];
	return RC_OK;
}

static enum rc push_bos(const struct tokenizer *tokenizer, struct tokens *out, struct errmsg *why)
{
	int32_t bos = tokenizer_bos(tokenizer);
	const uint32_t id = (uint32_t)bos;

	return bos == TOKEN_NONE ? RC_OK : prompt_push(out, &id, 1, why);
}

enum rc prompt_check_ids(
    const char *field, const uint32_t *ids, size_t len, uint32_t n_vocab, struct errmsg *why)
{
	for (size_t i = 0; i < len; i++) {
		if (ids[i] >= n_vocab)
			return errmsg_rc(why, RC_INVALID, "%s[%zu]: not an id of this model's %u",
			    field, i, (unsigned)n_vocab);
	}
	return RC_OK;
}

static enum rc check_sources(const struct wire_generate *generate, struct errmsg *why)
{
	int sources = (generate->messages_len != 0) + (generate->raw_len != 0) +
		      (generate->prompt_ids_len != 0);

	if (sources != 1)
		return errmsg_rc(why, RC_INVALID,
		    "exactly one of messages, raw and prompt_ids makes the prompt");
	return RC_OK;
}

/* The plain and raw renderings. */
static enum rc build_text(const struct tokenizer *tokenizer, const struct wire_generate *generate,
    struct tokens *out, struct errmsg *why)
{
	struct render render;
	enum rc rc = tokenizer_add_bos(tokenizer) ? push_bos(tokenizer, out, why) : RC_OK;

	buf_init(&render.text, 2 * WIRE_MESSAGE_BYTES_MAX);
	buf_init(&render.trust, 2 * WIRE_MESSAGE_BYTES_MAX);
	if (rc == RC_OK)
		rc = generate->messages_len != 0 ? render_plain(&render, generate, why)
						 : render_raw(&render, generate, why);
	if (rc == RC_OK && (buf_rc(&render.text) != RC_OK || buf_rc(&render.trust) != RC_OK))
		rc = errmsg_rc(why, RC_LIMIT, "the prompt's text is too long");
	if (rc == RC_OK && render.text.len != 0)
		rc = tokenizer_encode_mixed(tokenizer, buf_text(&render.text), render.trust.bytes,
		    render.text.len, TOKENIZE_FIRST, out, why);
	buf_fini(&render.text);
	buf_fini(&render.trust);
	return rc;
}

/* Templates write BOS themselves, most of them: it stands first once. */
static enum rc build_chat(const struct tokenizer *tokenizer, const struct chat *chat,
    const struct wire_generate *generate, struct tokens *out, struct errmsg *why)
{
	const struct text *text = NULL;
	struct tokens ids = { .len = 0 };
	struct arena arena;

	arena_init(&arena, TEMPLATE_ARENA_BYTES_MAX);
	enum rc rc = chat_render(chat, generate, &arena, &text, why);
	if (rc == RC_OK && text->len != 0)
		rc = tokenizer_encode_mixed(
		    tokenizer, text->bytes, text->trust, text->len, TOKENIZE_FIRST, &ids, why);
	if (rc == RC_OK && tokenizer_add_bos(tokenizer) &&
	    (ids.len == 0 || ids.ids[0] != tokenizer_bos(tokenizer)))
		rc = push_bos(tokenizer, out, why);
	if (rc == RC_OK && ids.len != 0) /* never negative */
		rc = prompt_push(out, (const uint32_t *)ids.ids, ids.len, why);
	tokens_free(&ids);
	arena_fini(&arena);
	return rc;
}

enum rc prompt_build(const struct tokenizer *tokenizer, const struct prompt_limits *limits,
    const struct wire_generate *generate, struct tokens *out, const char **template_name,
    uint64_t *needed, struct errmsg *why)
{
	enum rc rc = check_sources(generate, why);

	if (rc != RC_OK)
		return rc;
	if (generate->prompt_ids_len != 0) {
		*template_name = PROMPT_RAW;
		rc = prompt_check_ids("prompt_ids", generate->prompt_ids, generate->prompt_ids_len,
		    limits->n_vocab, why);
		if (rc == RC_OK)
			rc = prompt_push(out, generate->prompt_ids, generate->prompt_ids_len, why);
		return rc;
	}
	if (tokenizer == NULL)
		return errmsg_rc(
		    why, RC_UNSUPPORTED, "this model has no vocabulary: send prompt_ids");
	rc = check_text_bytes(generate, limits->n_ctx, needed, why);
	bool chat = generate->messages_len != 0 && limits->chat != NULL;
	*template_name = chat                          ? PROMPT_GGUF
			 : generate->messages_len != 0 ? PROMPT_PLAIN
						       : PROMPT_RAW;
	if (rc == RC_OK)
		rc = chat ? build_chat(tokenizer, limits->chat, generate, out, why)
			  : build_text(tokenizer, generate, out, why);
	if (rc == RC_OK && out->len == 0)
		rc = errmsg_rc(why, RC_INVALID, "the prompt is empty");
	return rc;
}

enum rc prompt_tokenize(const struct tokenizer *tokenizer, const struct wire_part *parts,
    size_t parts_len, bool add_bos, struct tokens *out, uint32_t *counts, struct errmsg *why)
{
	enum rc rc = add_bos ? push_bos(tokenizer, out, why) : RC_OK;
	char field[FIELD_BYTES];
	bool first = true;

	for (size_t i = 0; i < parts_len && rc == RC_OK; i++) {
		const struct wire_part *part = &parts[i];
		size_t before = out->len;
		unsigned flags =
		    (part->trusted ? TOKENIZE_SPECIAL : 0U) | (first ? TOKENIZE_FIRST : 0U);

		(void)snprintf(field, sizeof(field), "parts[%zu]", i);
		rc = check_part(part, field, why);
		if (rc == RC_OK && part->data_len != 0) {
			rc = tokenizer_encode(
			    tokenizer, (const char *)part->data, part->data_len, flags, out, why);
			first = false;
		}
		if (counts != NULL)
			counts[i] = (uint32_t)(out->len - before);
	}
	return rc;
}
