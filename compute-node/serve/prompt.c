/* Prompts: rendering, trust, tokenising. */
#include "serve/prompt.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "serve/chat.h"

#define FIELD_BYTES 64
#define NAME_BYTES_MAX 64

/* Text on its way to the tokenizer, and the trust of each byte. */
struct render {
	struct buf text, trust;
};

static void render_bytes(struct render *r, const void *bytes, size_t len, bool trusted)
{
	buf_append(&r->text, bytes, len);
	for (size_t i = 0; i < len; i++)
		buf_putc(&r->trust, trusted ? 1 : 0);
}

/* Words of the plain template hold no special token: they need no trust. */
static void render_words(struct render *r, const char *words)
{
	render_bytes(r, words, strlen(words), false);
}

static void render_part(struct render *r, const struct wire_part *part)
{
	render_bytes(r, part->data, part->data_len, part->trusted);
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
	(void)snprintf(field, sizeof(field), "messages[%zu].parts", index);
	for (size_t i = 0; i < message->parts_len; i++) {
		enum rc rc = chat_check_part(&message->parts[i], field, i, why);

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
	for (size_t i = 0; i < generate->raw_len; i++) {
		enum rc rc = chat_check_part(&generate->raw[i], "raw", i, why);

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
	enum rc rc = RC_OK;

	if (len > WIRE_IDS_MAX || out->len > WIRE_IDS_MAX - len)
		return errmsg_rc(why, RC_LIMIT, "more than %zu token ids", WIRE_IDS_MAX);
	for (size_t i = 0; i < len && rc == RC_OK; i++)
		rc = tokens_push(out, (int32_t)ids[i]);
	return rc == RC_OK ? rc : errmsg_rc(why, rc, "no memory for %zu token ids", len);
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

static enum rc render_chat(struct render *r, const struct prompt_model *model,
    const struct wire_generate *generate, struct errmsg *why)
{
	const struct text *text = NULL;
	struct arena arena;

	arena_init(&arena, TEMPLATE_ARENA_BYTES_MAX);
	enum rc rc = chat_render(model->template, model->tokenizer, generate, &arena, &text, why);
	for (size_t i = 0; rc == RC_OK && i < text->len; i++)
		render_bytes(r, text->bytes + i, 1, text_trusted(text, i));
	arena_fini(&arena);
	return rc;
}

/* Templates may write BOS themselves; it must stand there once. */
static void drop_second_bos(const struct tokenizer *tokenizer, struct tokens *out)
{
	int32_t bos = tokenizer_bos(tokenizer);

	if (bos != TOKEN_NONE && out->len > 1 && out->ids[0] == bos && out->ids[1] == bos) {
		memmove(out->ids, out->ids + 1, (out->len - 1) * sizeof(out->ids[0]));
		out->len--;
	}
}

static enum rc encode(const struct prompt_model *model, const struct render *r, struct tokens *out,
    struct errmsg *why)
{
	enum rc rc = buf_rc(&r->text) != RC_OK ? buf_rc(&r->text) : buf_rc(&r->trust);

	if (rc != RC_OK)
		return errmsg_rc(why, rc, "the prompt's text is too long");
	if (tokenizer_add_bos(model->tokenizer))
		rc = push_bos(model->tokenizer, out, why);
	if (rc == RC_OK && r->text.len != 0)
		rc = tokenizer_encode_mixed(model->tokenizer, buf_text(&r->text), r->trust.bytes,
		    r->text.len, true, out, why);
	return rc;
}

static enum rc build_text(const struct prompt_model *model, const struct wire_generate *generate,
    struct tokens *out, const char **template_name, struct errmsg *why)
{
	struct render render;
	enum rc rc;

	buf_init(&render.text, 2 * WIRE_MESSAGE_BYTES_MAX);
	buf_init(&render.trust, 2 * WIRE_MESSAGE_BYTES_MAX);
	if (generate->messages_len == 0) {
		*template_name = PROMPT_RAW;
		rc = render_raw(&render, generate, why);
	} else if (model->template == NULL) {
		*template_name = PROMPT_PLAIN;
		rc = render_plain(&render, generate, why);
	} else {
		*template_name = PROMPT_GGUF;
		rc = render_chat(&render, model, generate, why);
	}
	if (rc == RC_OK)
		rc = encode(model, &render, out, why);
	if (rc == RC_OK && model->template != NULL && generate->messages_len != 0)
		drop_second_bos(model->tokenizer, out);
	buf_fini(&render.text);
	buf_fini(&render.trust);
	return rc;
}

enum rc prompt_build(const struct prompt_model *model, const struct wire_generate *generate,
    struct tokens *out, const char **template_name, uint64_t *needed, struct errmsg *why)
{
	enum rc rc = check_sources(generate, why);

	if (rc != RC_OK)
		return rc;
	if (generate->prompt_ids_len != 0) {
		*template_name = PROMPT_RAW;
		rc = prompt_check_ids("prompt_ids", generate->prompt_ids, generate->prompt_ids_len,
		    model->n_vocab, why);
		if (rc == RC_OK)
			rc = prompt_push(out, generate->prompt_ids, generate->prompt_ids_len, why);
		return rc;
	}
	if (model->tokenizer == NULL)
		return errmsg_rc(
		    why, RC_UNSUPPORTED, "this model has no vocabulary: send prompt_ids");
	rc = check_text_bytes(generate, model->n_ctx, needed, why);
	if (rc == RC_OK)
		rc = build_text(model, generate, out, template_name, why);
	if (rc == RC_OK && out->len == 0)
		rc = errmsg_rc(why, RC_INVALID, "the prompt is empty");
	return rc;
}

enum rc prompt_tokenize(const struct tokenizer *tokenizer, const struct wire_part *parts,
    size_t parts_len, bool add_bos, struct tokens *out, uint32_t *counts, struct errmsg *why)
{
	enum rc rc = add_bos ? push_bos(tokenizer, out, why) : RC_OK;
	bool first = true;

	for (size_t i = 0; i < parts_len && rc == RC_OK; i++) {
		const struct wire_part *part = &parts[i];
		size_t before = out->len;
		unsigned flags =
		    (part->trusted ? TOKENIZE_SPECIAL : 0U) | (first ? TOKENIZE_FIRST : 0U);

		rc = chat_check_part(part, "parts", i, why);
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
