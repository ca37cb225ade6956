/*
 * SentencePiece with byte fallback (Kudo and Richardson 2018; the "BPE by
 * score" form that Llama 2 uses): start from code points, again and again join
 * the neighbours whose joined text is the token of the highest score, leftmost
 * first; what is no token in the end becomes its bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "base/wipe.h"
#include "tokenize/tokenizer_impl.h"

#define SPACE "\xe2\x96\x81" /* U+2581 stands for a blank */
#define SPACE_BYTES 3
#define NOBODY UINT32_MAX

/* A piece of text; pieces that were joined to their left have len 0. */
struct symbol {
	uint32_t prev, next; /* NOBODY at the ends */
	uint32_t at, len;    /* in the escaped text */
};

/* Two neighbours that would join to a token. */
struct pair {
	float score;
	uint32_t left, right;
	uint32_t len; /* of both when found: stale if it differs now */
};

struct work {
	const struct tokenizer *tokenizer;
	char *text;
	size_t len;
	struct symbol *symbols;
	size_t symbols_len;
	struct pair *heap; /* the best on top */
	size_t heap_len;
};

struct spm {
	int32_t bytes[256]; /* ids of <0x00> … <0xFF>, or TOKEN_NONE */
};

static bool before(const struct pair *a, const struct pair *b)
{
	if (a->score > b->score || a->score < b->score)
		return a->score > b->score;
	return a->left < b->left;
}

static void heap_push(struct work *w, struct pair pair)
{
	size_t i = w->heap_len++;

	for (; i > 0 && before(&pair, &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
		w->heap[i] = w->heap[(i - 1) / 2];
	w->heap[i] = pair;
}

static struct pair heap_pop(struct work *w)
{
	struct pair top = w->heap[0], last = w->heap[--w->heap_len];
	size_t i = 0;

	for (size_t child; (child = 2 * i + 1) < w->heap_len; i = child) {
		if (child + 1 < w->heap_len && before(&w->heap[child + 1], &w->heap[child]))
			child++;
		if (!before(&w->heap[child], &last))
			break;
		w->heap[i] = w->heap[child];
	}
	w->heap[i] = last;
	return top;
}

static void consider(struct work *w, uint32_t left, uint32_t right)
{
	const struct symbol *a, *b;
	int32_t id;

	if (left == NOBODY || right == NOBODY)
		return;
	a = &w->symbols[left];
	b = &w->symbols[right];
	id = tokenizer_find(w->tokenizer, w->text + a->at, a->len + b->len);
	if (id == TOKEN_NONE)
		return;
	heap_push(w, (struct pair){ .score = w->tokenizer->tokens[id].score,
			 .left = left,
			 .right = right,
			 .len = a->len + b->len });
}

static void join_all(struct work *w)
{
	while (w->heap_len > 0) {
		struct pair pair = heap_pop(w);
		struct symbol *a = &w->symbols[pair.left], *b = &w->symbols[pair.right];

		if (a->len == 0 || b->len == 0 || a->len + b->len != pair.len)
			continue;
		a->len += b->len;
		b->len = 0;
		a->next = b->next;
		if (b->next != NOBODY)
			w->symbols[b->next].prev = pair.left;
		consider(w, a->prev, pair.left);
		consider(w, pair.left, a->next);
	}
}

static enum rc emit(const struct work *w, const struct symbol *s, struct tokens *out)
{
	const struct spm *spm = w->tokenizer->own;
	int32_t id = tokenizer_find(w->tokenizer, w->text + s->at, s->len);
	enum rc rc = RC_OK;

	if (id != TOKEN_NONE)
		return tokens_push(out, id);
	for (uint32_t i = 0; rc == RC_OK && i < s->len; i++) {
		id = spm->bytes[(uint8_t)w->text[s->at + i]];
		rc = tokens_push(out, id != TOKEN_NONE ? id : w->tokenizer->unknown);
	}
	return rc;
}

static void split(struct work *w)
{
	for (size_t at = 0; at < w->len;) {
		uint32_t cp, i = (uint32_t)w->symbols_len;
		size_t len = utf8_decode((const uint8_t *)w->text + at, w->len - at, &cp);

		len = len != 0 ? len : 1;
		w->symbols[i] = (struct symbol){ .prev = i == 0 ? NOBODY : i - 1,
			.next = at + len < w->len ? i + 1 : NOBODY,
			.at = (uint32_t)at,
			.len = (uint32_t)len };
		w->symbols_len++;
		at += len;
	}
}

/* Blanks become SPACE; one more stands first if `prefix`. */
static void escape(struct work *w, const char *text, size_t len, bool prefix)
{
	if (prefix) {
		memcpy(w->text, SPACE, SPACE_BYTES);
		w->len = SPACE_BYTES;
	}
	for (size_t i = 0; i < len; i++) {
		if (text[i] != ' ') {
			w->text[w->len++] = text[i];
			continue;
		}
		memcpy(w->text + w->len, SPACE, SPACE_BYTES);
		w->len += SPACE_BYTES;
	}
}

static enum rc spm_encode(const struct tokenizer *t, const char *text, size_t len, bool first,
    struct tokens *out, struct errmsg *why)
{
	size_t cap = (len + 1) * SPACE_BYTES;
	struct work w = { .tokenizer = t };
	enum rc rc = RC_OK;

	if (len == 0)
		return RC_OK;
	w.text = malloc(cap);
	/* A join makes at most two pairs and there are fewer joins than symbols. */
	w.symbols = malloc((len + 1) * sizeof(*w.symbols));
	w.heap = malloc((len + 1) * 3 * sizeof(*w.heap));
	if (w.text == NULL || w.symbols == NULL || w.heap == NULL) {
		rc = errmsg_rc(why, RC_NOMEM, "no memory to tokenize %zu bytes", len);
		goto out;
	}
	escape(&w, text, len, first && t->add_space_prefix);
	split(&w);
	for (size_t i = 1; i < w.symbols_len; i++)
		consider(&w, (uint32_t)i - 1, (uint32_t)i);
	join_all(&w);
	for (uint32_t i = 0; rc == RC_OK && i != NOBODY; i = w.symbols[i].next)
		rc = emit(&w, &w.symbols[i], out);
out:
	if (w.text != NULL)
		wipe(w.text, cap);
	free(w.text);
	free(w.symbols);
	free(w.heap);
	return rc;
}

/* The byte of "<0x41>", or -1. */
static int byte_of(struct gguf_string_view text)
{
	int value = 0;

	if (text.len != 6 || memcmp(text.text, "<0x", 3) != 0 || text.text[5] != '>')
		return -1;
	for (int i = 3; i < 5; i++) {
		char c = text.text[i];
		int digit = c >= '0' && c <= '9'   ? c - '0'
			    : c >= 'A' && c <= 'F' ? c - 'A' + 10
			    : c >= 'a' && c <= 'f' ? c - 'a' + 10
						   : -1;

		if (digit < 0)
			return -1;
		value = value * 16 + digit;
	}
	return value;
}

static size_t spm_piece(const struct tokenizer *t, const struct token *token, char *out, size_t cap)
{
	size_t len = 0;
	int byte = token->type == TOKEN_BYTE ? byte_of(token->text) : -1;

	(void)t;
	if (byte >= 0) {
		uint8_t one = (uint8_t)byte;

		return tokenizer_give(&one, 1, out, cap);
	}
	for (size_t i = 0; i < token->text.len; len++) {
		bool space = token->text.len - i >= SPACE_BYTES &&
			     memcmp(token->text.text + i, SPACE, SPACE_BYTES) == 0;

		if (len < cap)
			out[len] = space ? ' ' : token->text.text[i];
		i += space ? SPACE_BYTES : 1;
	}
	return len;
}

static enum rc spm_load(struct tokenizer *t, const struct gguf *gguf, struct errmsg *why)
{
	struct spm *spm = malloc(sizeof(*spm));

	(void)gguf;
	(void)why;
	if (spm == NULL)
		return RC_NOMEM;
	t->own = spm;
	for (size_t i = 0; i < 256; i++)
		spm->bytes[i] = TOKEN_NONE;
	for (size_t id = 0; id < t->n; id++) {
		int byte = t->tokens[id].type == TOKEN_BYTE ? byte_of(t->tokens[id].text) : -1;

		if (byte >= 0 && spm->bytes[byte] == TOKEN_NONE)
			spm->bytes[byte] = (int32_t)id;
	}
	return RC_OK;
}

static void spm_unload(struct tokenizer *t)
{
	free(t->own);
}

const struct tokenizer_kind tokenizer_spm = {
	.model = "llama",
	.load = spm_load,
	.unload = spm_unload,
	.encode = spm_encode,
	.piece = spm_piece,
};
