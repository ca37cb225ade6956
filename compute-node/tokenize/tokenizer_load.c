/*
 * Loading a tokenizer: the vocabulary from a GGUF, which of its texts are
 * matched whole, and which tokens end an answer.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tokenize/tokenizer_impl.h"

#define ENDS_MAX 32
/* Whole tokens are tried one by one at each place they could start. */
#define WHOLE_MAX 65536u

static const struct tokenizer_kind *const kinds[] = {
	&tokenizer_spm,
	&tokenizer_bpe,
	&tokenizer_bpe_raw,
	&tokenizer_wpm,
};

/* Keys and texts of tokens after which nothing follows. */
static const char *const end_keys[] = { "tokenizer.ggml.eos_token_id",
	"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id" };
static const char *const end_texts[] = { "<|eot_id|>", "<|eom_id|>", "<|im_end|>", "<|end|>",
	"<end_of_turn>", "<turn|>", "<|endoftext|>", "<|end_of_text|>", "<EOT>", "_<EOT>",
	"<|return|>", "<|call|>", "<|tool_response>", "<｜end▁of▁sentence｜>" };

static enum rc find_kind(struct tokenizer *t, const struct gguf *g, struct errmsg *why)
{
	struct gguf_string_view model = { "", 0 };
	enum rc rc = gguf_get_string(g, "tokenizer.ggml.model", &model, why);

	if (rc != RC_OK)
		return rc;
	if (gguf_view_is(model, "no_vocab") || gguf_view_is(model, "none"))
		return RC_NOTFOUND;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (gguf_view_is(model, kinds[i]->model)) {
			t->kind = kinds[i];
			return RC_OK;
		}
	}
	return errmsg_rc(why, RC_UNSUPPORTED,
	    "GGUF: key tokenizer.ggml.model: unknown model '%.*s'", (int)model.len, model.text);
}

static enum rc wrong_length(const char *key, uint64_t n, uint64_t expected, struct errmsg *why)
{
	return errmsg_rc(why, RC_INVALID, "GGUF: key %s: %" PRIu64 " items for %" PRIu64 " tokens",
	    key, n, expected);
}

static enum rc load_texts(struct tokenizer *t, const struct gguf *g, struct errmsg *why)
{
	const char *key = "tokenizer.ggml.tokens";
	const struct gguf_pair *texts = NULL;
	const uint8_t *cursor = NULL;
	enum rc rc = gguf_get_array(g, key, GGUF_STRING, &texts, why);

	if (rc == RC_NOTFOUND)
		return errmsg_rc(why, RC_INVALID, "GGUF: key %s is missing", key);
	if (rc != RC_OK)
		return rc;
	if (texts->n == 0 || texts->n > TOKENIZER_VOCAB_MAX)
		return errmsg_rc(why, RC_LIMIT, "GGUF: key %s: %" PRIu64 " tokens (1 to %u)", key,
		    texts->n, TOKENIZER_VOCAB_MAX);
	t->n = (size_t)texts->n;
	t->bytes += t->n * sizeof(*t->tokens);
	t->tokens = calloc(t->n, sizeof(*t->tokens));
	if (t->tokens == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < t->n; i++) {
		(void)gguf_next_string(texts, &cursor, &t->tokens[i].text);
		if (t->tokens[i].text.len > TOKEN_BYTES_MAX)
			return errmsg_rc(why, RC_LIMIT,
			    "GGUF: key %s: token %zu of %zu bytes (limit %u)", key, i,
			    t->tokens[i].text.len, TOKEN_BYTES_MAX);
		t->tokens[i].type = TOKEN_NORMAL;
	}
	return RC_OK;
}

static enum rc load_scores(struct tokenizer *t, const struct gguf *g, struct errmsg *why)
{
	const char *key = "tokenizer.ggml.scores";
	const struct gguf_pair *scores = NULL;
	enum rc rc = gguf_get_array(g, key, GGUF_F32, &scores, why);

	if (rc == RC_NOTFOUND)
		return RC_OK;
	if (rc != RC_OK)
		return rc;
	if (scores->n != t->n)
		return wrong_length(key, scores->n, t->n, why);
	for (size_t i = 0; i < t->n; i++) {
		double score = 0;

		(void)gguf_item_f64(scores, i, &score);
		t->tokens[i].score = (float)score;
	}
	return RC_OK;
}

static enum rc load_types(struct tokenizer *t, const struct gguf *g, struct errmsg *why)
{
	const char *key = "tokenizer.ggml.token_type";
	const struct gguf_pair *types = NULL;
	enum rc rc = gguf_get_array(g, key, GGUF_I32, &types, why);

	if (rc == RC_NOTFOUND)
		return RC_OK;
	if (rc != RC_OK)
		return rc;
	if (types->n != t->n)
		return wrong_length(key, types->n, t->n, why);
	for (size_t i = 0; i < t->n; i++) {
		int64_t type = 0;

		(void)gguf_item_i64(types, i, &type);
		t->tokens[i].type =
		    type >= TOKEN_NORMAL && type <= TOKEN_BYTE ? (uint8_t)type : TOKEN_NORMAL;
	}
	return RC_OK;
}

/* An id that some key names; TOKEN_NONE if it is absent or unset. */
static enum rc load_id(const struct tokenizer *t, const struct gguf *g, const char *key,
    int32_t *out, struct errmsg *why)
{
	const struct gguf_pair *pair = gguf_find(g, key);
	int64_t id = 0;

	*out = TOKEN_NONE;
	if (pair == NULL)
		return RC_OK;
	if (pair->type == GGUF_ARRAY || !gguf_item_i64(pair, 0, &id))
		return errmsg_rc(why, RC_INVALID, "GGUF: key %s: expected a token id", key);
	if (id == -1 || id == UINT32_MAX)
		return RC_OK;
	if (id < 0 || (uint64_t)id >= t->n)
		return errmsg_rc(why, RC_INVALID,
		    "GGUF: key %s: id %" PRId64 " in a vocabulary of %zu", key, id, t->n);
	*out = (int32_t)id;
	return RC_OK;
}

static enum rc load_flags(struct tokenizer *t, const struct gguf *g, struct errmsg *why)
{
	bool spm = t->kind == &tokenizer_spm;
	const struct {
		const char *key;
		bool fallback, *out;
	} flags[] = {
		{ "tokenizer.ggml.add_bos_token", spm, &t->add_bos },
		{ "tokenizer.ggml.add_eos_token", false, &t->add_eos },
		{ "tokenizer.ggml.add_space_prefix", spm, &t->add_space_prefix },
	};
	enum rc rc = load_id(t, g, "tokenizer.ggml.bos_token_id", &t->bos, why);

	if (rc == RC_OK)
		rc = load_id(t, g, "tokenizer.ggml.eos_token_id", &t->eos, why);
	if (rc == RC_OK)
		rc = load_id(t, g, "tokenizer.ggml.unknown_token_id", &t->unknown, why);
	for (size_t i = 0; rc == RC_OK && i < sizeof(flags) / sizeof(flags[0]); i++) {
		*flags[i].out = flags[i].fallback;
		rc = gguf_get_bool(g, flags[i].key, flags[i].out, why);
		rc = rc == RC_NOTFOUND ? RC_OK : rc;
	}
	if (t->unknown == TOKEN_NONE)
		t->unknown = 0;
	return rc;
}

/* In harmony <|end|> ends a message, and the answer goes on with another one. */
static bool ends_message(const struct tokenizer *t, int32_t id)
{
	return id == tokenizer_find(t, "<|end|>", strlen("<|end|>")) &&
	       tokenizer_find(t, "<|return|>", strlen("<|return|>")) != TOKEN_NONE &&
	       tokenizer_find(t, "<|call|>", strlen("<|call|>")) != TOKEN_NONE;
}

static void add_end(struct tokenizer *t, int32_t id)
{
	if (id == TOKEN_NONE || ends_message(t, id) || t->ends_len == ENDS_MAX ||
	    tokenizer_is_end(t, id))
		return;
	t->ends[t->ends_len++] = id;
}

static enum rc load_ends(struct tokenizer *t, const struct gguf *g, struct errmsg *why)
{
	enum rc rc = RC_OK;

	t->bytes += ENDS_MAX * sizeof(*t->ends);
	t->ends = calloc(ENDS_MAX, sizeof(*t->ends));
	if (t->ends == NULL)
		return RC_NOMEM;
	for (size_t i = 0; rc == RC_OK && i < sizeof(end_keys) / sizeof(end_keys[0]); i++) {
		int32_t id = TOKEN_NONE;

		rc = load_id(t, g, end_keys[i], &id, why);
		add_end(t, id);
	}
	for (size_t i = 0; i < sizeof(end_texts) / sizeof(end_texts[0]); i++) {
		int32_t id = tokenizer_find(t, end_texts[i], strlen(end_texts[i]));

		if (id != TOKEN_NONE && (t->tokens[id].type == TOKEN_CONTROL ||
					    t->tokens[id].type == TOKEN_USER_DEFINED))
			add_end(t, id);
	}
	return rc;
}

/* User-defined texts that are markup all the same: <|…|>, <｜…｜>. */
static bool looks_special(struct gguf_string_view text)
{
	static const char wide[] = "<\xef\xbd\x9c";

	if (text.len >= 4 && memcmp(text.text, "<|", 2) == 0 && text.text[text.len - 1] == '>')
		return true;
	return text.len >= 4 && memcmp(text.text, wide, sizeof(wide) - 1) == 0;
}

/* Longest first, then by id: shell sort, since qsort takes no context. */
static void sort_whole(struct tokenizer *t)
{
	for (size_t gap = t->whole_len / 2; gap > 0; gap /= 2) {
		for (size_t i = gap; i < t->whole_len; i++) {
			int32_t id = t->whole[i];
			size_t at = i, len = t->tokens[id].text.len;

			for (; at >= gap; at -= gap) {
				int32_t other = t->whole[at - gap];
				size_t other_len = t->tokens[other].text.len;

				if (other_len > len || (other_len == len && other < id))
					break;
				t->whole[at] = other;
			}
			t->whole[at] = id;
		}
	}
}

static enum rc load_whole(struct tokenizer *t, struct errmsg *why)
{
	for (size_t id = 0; id < t->n; id++) {
		struct token *token = &t->tokens[id];

		if (token->type != TOKEN_CONTROL && token->type != TOKEN_USER_DEFINED)
			continue;
		token->special = token->type == TOKEN_CONTROL || tokenizer_is_end(t, (int32_t)id) ||
				 looks_special(token->text);
		t->whole_len += token->text.len > 0;
	}
	if (t->whole_len > WHOLE_MAX)
		return errmsg_rc(
		    why, RC_LIMIT, "GGUF: %zu special tokens (limit %u)", t->whole_len, WHOLE_MAX);
	t->bytes += (t->whole_len + 1) * sizeof(*t->whole);
	t->whole = calloc(t->whole_len + 1, sizeof(*t->whole));
	if (t->whole == NULL)
		return RC_NOMEM;
	t->whole_len = 0;
	for (size_t id = 0; id < t->n; id++) {
		const struct token *token = &t->tokens[id];

		if ((token->type != TOKEN_CONTROL && token->type != TOKEN_USER_DEFINED) ||
		    token->text.len == 0)
			continue;
		t->whole[t->whole_len++] = (int32_t)id;
		t->whole_starts[(uint8_t)token->text.text[0]] = true;
	}
	sort_whole(t);
	return RC_OK;
}

enum rc tokenizer_load(const struct gguf *g, struct tokenizer **out, struct errmsg *why)
{
	struct tokenizer *t = calloc(1, sizeof(*t));
	enum rc rc;

	if (t == NULL)
		return RC_NOMEM;
	rc = find_kind(t, g, why);
	if (rc == RC_OK)
		rc = load_texts(t, g, why);
	if (rc == RC_OK)
		rc = load_scores(t, g, why);
	if (rc == RC_OK)
		rc = load_types(t, g, why);
	if (rc == RC_OK)
		rc = load_flags(t, g, why);
	if (rc == RC_OK)
		rc = tokenizer_index(t);
	if (rc == RC_OK)
		rc = load_ends(t, g, why);
	if (rc == RC_OK)
		rc = load_whole(t, why);
	if (rc == RC_OK)
		rc = t->kind->load(t, g, why);
	if (rc != RC_OK) {
		tokenizer_free(t);
		return rc;
	}
	*out = t;
	return RC_OK;
}
