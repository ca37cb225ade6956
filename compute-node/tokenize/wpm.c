/*
 * WordPiece (Schuster and Nakajima 2012, as BERT uses it): text in lower case
 * without accents is cut into words, punctuation and ideographs; each word is
 * taken apart by the longest token that begins it, or is unknown as a whole.
 * GGUF spells the token that begins a word with U+2581 in front.
 */
#include <stdlib.h>
#include <string.h>

#include "base/unicode.h"
#include "base/utf8.h"
#include "base/wipe.h"
#include "tokenize/tokenizer_impl.h"

#define WORD_START "\xe2\x96\x81" /* U+2581 */
#define WORD_START_BYTES 3
#define REPLACEMENT 0xFFFDu

struct work {
	const struct tokenizer *tokenizer;
	struct tokens *out;
	char *word; /* begins with WORD_START */
	size_t len;
	size_t cap;
};

static enum rc emit_word(struct work *w)
{
	size_t before = w->out->len;
	size_t at = 0;
	enum rc rc = RC_OK;

	if (w->len == WORD_START_BYTES)
		return RC_OK;
	while (rc == RC_OK && at < w->len) {
		size_t end = w->len;
		int32_t id = TOKEN_NONE;
		for (; end > at; end--) {
			id = tokenizer_find(w->tokenizer, w->word + at, end - at);
			if (id != TOKEN_NONE)
				break;
		}
		if (id == TOKEN_NONE) {
			w->out->len = before;
			rc = tokens_push(w->out, w->tokenizer->unknown);
			break;
		}
		rc = tokens_push(w->out, id);
		at = end;
	}
	w->len = WORD_START_BYTES;
	return rc;
}

static void append(struct work *w, uint32_t cp)
{
	uint8_t bytes[UTF8_BYTES_MAX];
	size_t n = utf8_encode(cp, bytes);

	if (w->len + n <= w->cap) {
		memcpy(w->word + w->len, bytes, n);
		w->len += n;
	}
}

static bool stands_alone(uint32_t cp)
{
	return unicode_is_punctuation(cp) || unicode_is_ideograph(cp) ||
	       (cp < 0x80 && unicode_is_symbol(cp));
}

static enum rc add_letter(struct work *w, uint32_t cp)
{
	enum unicode_category category = unicode_category(cp);
	enum rc rc = RC_OK;

	if (unicode_is_space(cp))
		return emit_word(w);
	if (cp == 0 || cp == REPLACEMENT || category == UNICODE_CC || category == UNICODE_CF)
		return RC_OK;
	if (!stands_alone(cp)) {
		append(w, unicode_lower(cp));
		return RC_OK;
	}
	rc = emit_word(w);
	append(w, cp);
	return rc == RC_OK ? emit_word(w) : rc;
}

static enum rc wpm_encode(const struct tokenizer *t, const char *text, size_t len, bool first,
    struct tokens *out, struct errmsg *why)
{
	/* a decomposition has at most three times the bytes (Hangul) */
	struct work w = { .tokenizer = t, .out = out, .cap = 3 * len + WORD_START_BYTES };
	enum rc rc = RC_OK;

	(void)first;
	w.word = malloc(w.cap);
	if (w.word == NULL)
		return errmsg_rc(why, RC_NOMEM, "no memory to tokenize %zu bytes", len);
	memcpy(w.word, WORD_START, WORD_START_BYTES);
	w.len = WORD_START_BYTES;
	for (size_t at = 0; rc == RC_OK && at < len;) {
		uint32_t cp = REPLACEMENT;
		uint32_t base[UNICODE_BASE_MAX];
		size_t n = utf8_decode((const uint8_t *)text + at, len - at, &cp);
		at += n == 0 ? 1 : n;
		size_t parts = unicode_base(cp, base);
		for (size_t i = 0; rc == RC_OK && i < parts; i++)
			rc = add_letter(&w, base[i]);
	}
	if (rc == RC_OK)
		rc = emit_word(&w);
	wipe(w.word, w.cap);
	free(w.word);
	return rc;
}

/* Words come back with a blank before each but what continues one. */
static size_t wpm_piece(const struct tokenizer *t, const struct token *token, char *out, size_t cap)
{
	(void)t;
	if (token->text.len > WORD_START_BYTES &&
	    memcmp(token->text.text, WORD_START, WORD_START_BYTES) == 0) {
		size_t len = token->text.len - WORD_START_BYTES;
		if (cap > 0)
			out[0] = ' ';
		if (cap > 1)
			(void)tokenizer_give(
			    token->text.text + WORD_START_BYTES, len, out + 1, cap - 1);
		return len + 1;
	}
	return tokenizer_give(token->text.text, token->text.len, out, cap);
}

/* The id that `key` names, else the token `text`. */
static enum rc load_mark(const struct tokenizer *t, const struct gguf *gguf, const char *key,
    const char *text, int32_t *out, struct errmsg *why)
{
	uint32_t id = 0;
	enum rc rc = gguf_get_u32(gguf, key, &id, why);

	if (rc == RC_NOTFOUND) {
		*out = tokenizer_find(t, text, strlen(text));
		return RC_OK;
	}
	if (rc == RC_OK && id >= t->n)
		return errmsg_rc(
		    why, RC_INVALID, "GGUF: key %s: id %u in a vocabulary of %zu", key, id, t->n);
	*out = (int32_t)id;
	return rc;
}

/* [CLS] … [SEP] stand around a text unless the file says otherwise. */
static enum rc wpm_load(struct tokenizer *t, const struct gguf *gguf, struct errmsg *why)
{
	enum rc rc = RC_OK;

	if (t->bos == TOKEN_NONE)
		rc = load_mark(t, gguf, "tokenizer.ggml.cls_token_id", "[CLS]", &t->bos, why);
	/* the key is spelled so in every file */
	if (rc == RC_OK && t->eos == TOKEN_NONE)
		rc = load_mark(t, gguf, "tokenizer.ggml.seperator_token_id", "[SEP]", &t->eos, why);
	if (gguf_find(gguf, "tokenizer.ggml.add_bos_token") == NULL)
		t->add_bos = t->bos != TOKEN_NONE;
	if (gguf_find(gguf, "tokenizer.ggml.add_eos_token") == NULL)
		t->add_eos = t->eos != TOKEN_NONE;
	return rc;
}

static void wpm_unload(struct tokenizer *t)
{
	(void)t;
}

const struct tokenizer_kind tokenizer_wpm = {
	.model = "bert",
	.load = wpm_load,
	.unload = wpm_unload,
	.encode = wpm_encode,
	.piece = wpm_piece,
};
