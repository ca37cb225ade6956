/*
 * Tokenizer front: parting text at whole tokens (special, user-defined), the
 * hand-over to the kind, and the questions callers ask.
 */
#include "tokenize/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/wipe.h"
#include "tokenize/tokenizer_impl.h"

void tokens_free(struct tokens *tokens)
{
	if (tokens->ids != NULL)
		wipe(tokens->ids, tokens->cap * sizeof(*tokens->ids));
	free(tokens->ids);
	*tokens = (struct tokens){ 0 };
}

enum rc tokens_push(struct tokens *tokens, int32_t id)
{
	if (tokens->len == tokens->cap) {
		size_t cap = tokens->cap == 0 ? 64 : tokens->cap * 2;
		int32_t *ids = malloc(cap * sizeof(*ids));

		if (ids == NULL)
			return RC_NOMEM;
		if (tokens->len > 0) {
			memcpy(ids, tokens->ids, tokens->len * sizeof(*ids));
			wipe(tokens->ids, tokens->cap * sizeof(*ids));
		}
		free(tokens->ids);
		tokens->ids = ids;
		tokens->cap = cap;
	}
	tokens->ids[tokens->len++] = id;
	return RC_OK;
}

/* The whole token that stands at `text`, the longest first; special ones only
 * within the first `trusted` bytes. */
static int32_t whole_at(const struct tokenizer *t, const char *text, size_t len, size_t trusted)
{
	if (!t->whole_starts[(uint8_t)text[0]])
		return TOKEN_NONE;
	for (size_t i = 0; i < t->whole_len; i++) {
		const struct token *token = &t->tokens[t->whole[i]];

		if (token->text.len <= (token->special ? trusted : len) &&
		    memcmp(token->text.text, text, token->text.len) == 0)
			return t->whole[i];
	}
	return TOKEN_NONE;
}

/* How far trust reaches from `at`, having reached `end` from an earlier place. */
static size_t trust_end(const uint8_t *trust, size_t len, size_t at, size_t end)
{
	if (end > at)
		return end;
	for (end = at; end < len && trust[end];)
		end++;
	return end;
}

/* `trust` NULL: all of it or nothing, as `trusted` says. */
static enum rc encode(const struct tokenizer *t, const char *text, const uint8_t *trust,
    bool trusted, size_t len, bool first, struct tokens *out, struct errmsg *why)
{
	size_t from = 0, at = 0, end = trusted ? len : 0;
	enum rc rc = RC_OK;

	if (len > TOKENIZER_TEXT_BYTES_MAX)
		return errmsg_rc(
		    why, RC_LIMIT, "text of %zu bytes (limit %u)", len, TOKENIZER_TEXT_BYTES_MAX);
	while (rc == RC_OK && at < len) {
		if (trust != NULL)
			end = trust_end(trust, len, at, end);
		int32_t id = whole_at(t, text + at, len - at, end > at ? end - at : 0);

		if (id == TOKEN_NONE) {
			at++;
			continue;
		}
		rc = t->kind->encode(t, text + from, at - from, first, out, why);
		if (rc == RC_OK)
			rc = tokens_push(out, id);
		at += t->tokens[id].text.len;
		from = at;
		first = t->tokens[id].special;
	}
	if (rc == RC_OK)
		rc = t->kind->encode(t, text + from, len - from, first, out, why);
	return rc;
}

enum rc tokenizer_encode(const struct tokenizer *t, const char *text, size_t len, unsigned flags,
    struct tokens *out, struct errmsg *why)
{
	return encode(t, text, NULL, (flags & TOKENIZE_SPECIAL) != 0, len,
	    (flags & TOKENIZE_FIRST) != 0, out, why);
}

enum rc tokenizer_encode_mixed(const struct tokenizer *t, const char *text, const uint8_t *trust,
    size_t len, bool first, struct tokens *out, struct errmsg *why)
{
	return encode(t, text, trust, false, len, first, out, why);
}

size_t tokenizer_give(const void *bytes, size_t len, char *out, size_t cap)
{
	if (len > 0 && cap > 0)
		memcpy(out, bytes, len < cap ? len : cap);
	return len;
}

size_t tokenizer_piece(const struct tokenizer *t, int32_t id, bool special, char *out, size_t cap)
{
	const struct token *token;

	if (id < 0 || (size_t)id >= t->n)
		return 0;
	token = &t->tokens[id];
	if (token->type == TOKEN_CONTROL || token->type == TOKEN_UNKNOWN || token->special)
		return special ? tokenizer_give(token->text.text, token->text.len, out, cap) : 0;
	if (token->type == TOKEN_USER_DEFINED)
		return tokenizer_give(token->text.text, token->text.len, out, cap);
	return t->kind->piece(t, token, out, cap);
}

static uint64_t hash(const char *text, size_t len)
{
	uint64_t h = hash_bytes(HASH_START, text, len);

	return h ^ h >> 32;
}

/* The bucket that holds this text, or the empty one where it belongs. */
static size_t bucket(const struct tokenizer *t, const char *text, size_t len)
{
	size_t i = hash(text, len) & (t->buckets_len - 1);

	for (; t->buckets[i] != 0; i = (i + 1) & (t->buckets_len - 1)) {
		const struct gguf_string_view *have = &t->tokens[t->buckets[i] - 1].text;

		if (have->len == len && memcmp(have->text, text, len) == 0)
			break;
	}
	return i;
}

int32_t tokenizer_find(const struct tokenizer *t, const char *text, size_t len)
{
	return (int32_t)t->buckets[bucket(t, text, len)] - 1;
}

enum rc tokenizer_index(struct tokenizer *t)
{
	t->buckets_len = 16;
	while (t->buckets_len < 2 * t->n)
		t->buckets_len *= 2;
	t->bytes += t->buckets_len * sizeof(*t->buckets);
	t->buckets = calloc(t->buckets_len, sizeof(*t->buckets));
	if (t->buckets == NULL)
		return RC_NOMEM;
	for (size_t id = 0; id < t->n; id++) {
		size_t i = bucket(t, t->tokens[id].text.text, t->tokens[id].text.len);

		if (t->buckets[i] == 0) /* the first of equal texts counts */
			t->buckets[i] = (uint32_t)id + 1;
	}
	return RC_OK;
}

void tokenizer_free(struct tokenizer *t)
{
	if (t == NULL)
		return;
	if (t->own != NULL)
		t->kind->unload(t);
	free(t->tokens);
	free(t->buckets);
	free(t->whole);
	free(t->ends);
	free(t);
}

size_t tokenizer_bytes(const struct tokenizer *t)
{
	return t->bytes;
}

size_t tokenizer_vocab_size(const struct tokenizer *t)
{
	return t->n;
}

bool tokenizer_add_bos(const struct tokenizer *t)
{
	return t->add_bos && t->bos != TOKEN_NONE;
}

bool tokenizer_add_eos(const struct tokenizer *t)
{
	return t->add_eos && t->eos != TOKEN_NONE;
}

int32_t tokenizer_bos(const struct tokenizer *t)
{
	return t->bos;
}

int32_t tokenizer_eos(const struct tokenizer *t)
{
	return t->eos;
}

const int32_t *tokenizer_ends(const struct tokenizer *t, size_t *len)
{
	*len = t->ends_len;
	return t->ends;
}

bool tokenizer_is_end(const struct tokenizer *t, int32_t id)
{
	for (size_t i = 0; i < t->ends_len; i++) {
		if (t->ends[i] == id)
			return true;
	}
	return false;
}

bool tokenizer_space_prefix(const struct tokenizer *t)
{
	return t->add_space_prefix;
}
