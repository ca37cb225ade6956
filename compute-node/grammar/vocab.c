/* Vocab: token texts sorted, and stored as what differs from the one before. */
#include "grammar/vocab.h"

#include <stdlib.h>
#include <string.h>

#include "grammar/automaton.h"
#include "tokenize/tokenizer.h"

struct entry {
	int32_t id;
	uint8_t len;
	const uint8_t *text; /* [len] */
};

static int compare(const void *a, const void *b)
{
	const struct entry *ea = a, *eb = b;
	size_t len = ea->len < eb->len ? ea->len : eb->len;
	int order = memcmp(ea->text, eb->text, len);

	if (order != 0)
		return order;
	if (ea->len != eb->len)
		return ea->len < eb->len ? -1 : 1;
	return (ea->id > eb->id) - (ea->id < eb->id);
}

/* A token of one byte, or a few, may be of those that frame marks. */
static bool frames(const char *piece, size_t len)
{
	return memchr(piece, AUTOMATON_MARK_OPEN, len) != NULL ||
	       memchr(piece, AUTOMATON_MARK_CLOSE, len) != NULL;
}

size_t vocab_text(const struct tokenizer *tokenizer, int32_t id, uint8_t out[VOCAB_TOKEN_BYTES_MAX])
{
	char piece[VOCAB_TOKEN_BYTES_MAX + 1];
	size_t len = tokenizer_piece(tokenizer, id, false, piece, sizeof(piece));
	const bool mark = len == 0;

	if (tokenizer_is_end(tokenizer, id))
		return 0;
	if (mark)
		len = tokenizer_piece(tokenizer, id, true, piece, sizeof(piece));
	if (len == 0 || len + 2 * mark > VOCAB_TOKEN_BYTES_MAX || frames(piece, len))
		return 0;
	memcpy(out + mark, piece, len);
	if (mark) {
		out[0] = AUTOMATON_MARK_OPEN;
		out[len + 1] = AUTOMATON_MARK_CLOSE;
	}
	return len + 2 * mark;
}

/* Texts of all tokens that have one; returns how many, and their bytes in all. */
static size_t gather(const struct tokenizer *tokenizer, size_t n_vocab, struct entry *entries,
    uint8_t *texts, size_t *bytes)
{
	size_t n = 0, at = 0;

	for (size_t id = 0; id < n_vocab; id++) {
		uint8_t text[VOCAB_TOKEN_BYTES_MAX];
		size_t len = vocab_text(tokenizer, (int32_t)id, text);

		if (len == 0)
			continue;
		if (texts != NULL) {
			memcpy(texts + at, text, len);
			entries[n] = (struct entry){
				.id = (int32_t)id, .len = (uint8_t)len, .text = texts + at
			};
		}
		n++;
		at += len;
	}
	*bytes = at;
	return n;
}

static uint8_t common_of(const struct entry *a, const struct entry *b)
{
	uint8_t len = a->len < b->len ? a->len : b->len, i = 0;

	while (i < len && a->text[i] == b->text[i])
		i++;
	return i;
}

/* Bytes that may stand in texts as the automata write them. */
static bool text_byte(unsigned byte)
{
	return byte == '\t' || byte == '\n' || byte == '\r' || (byte >= 0x20 && byte < 0xC0) ||
	       (byte >= 0xC2 && byte <= 0xF4);
}

static void fill(struct vocab *vocab, const struct entry *entries)
{
	bool single[UINT8_MAX + 1] = { false };
	size_t at = 0;

	for (size_t i = 0; i < vocab->n; i++) {
		uint8_t common = i == 0 ? 0 : common_of(&entries[i - 1], &entries[i]);

		vocab->ids[i] = entries[i].id;
		vocab->common[i] = common;
		vocab->rest[i] = (uint8_t)(entries[i].len - common);
		memcpy(vocab->bytes + at, entries[i].text + common, vocab->rest[i]);
		at += vocab->rest[i];
		if (entries[i].len == 1)
			single[entries[i].text[0]] = true;
	}
	vocab->whole = true;
	for (unsigned byte = 0; byte <= UINT8_MAX; byte++)
		vocab->whole = vocab->whole && (!text_byte(byte) || single[byte]);
}

static bool take(struct vocab *vocab, size_t n, size_t bytes)
{
	vocab->ids = calloc(n + 1, sizeof(vocab->ids[0]));
	vocab->common = calloc(n + 1, 1);
	vocab->rest = calloc(n + 1, 1);
	vocab->bytes = calloc(bytes + 1, 1);
	vocab->taken_bytes = sizeof(*vocab) + n * (sizeof(vocab->ids[0]) + 2) + bytes;
	return vocab->ids != NULL && vocab->common != NULL && vocab->rest != NULL &&
	       vocab->bytes != NULL;
}

static size_t count(const struct tokenizer *tokenizer, size_t n_vocab)
{
	size_t n = tokenizer_vocab_size(tokenizer);

	return n < n_vocab ? n : n_vocab;
}

enum rc vocab_new(const struct tokenizer *tokenizer, size_t n_vocab, struct vocab **out)
{
	size_t n_tokens = count(tokenizer, n_vocab), bytes = 0;
	struct vocab *vocab = calloc(1, sizeof(*vocab));
	struct entry *entries = NULL;
	uint8_t *texts = NULL;
	enum rc rc = RC_NOMEM;

	if (vocab == NULL)
		return RC_NOMEM;
	vocab->tokenizer = tokenizer;
	vocab->n_vocab = n_vocab;
	vocab->ends = tokenizer_ends(tokenizer, &vocab->n_ends);
	vocab->n = gather(tokenizer, n_tokens, NULL, NULL, &bytes);
	entries = calloc(vocab->n + 1, sizeof(entries[0]));
	texts = malloc(bytes + 1);
	if (entries != NULL && texts != NULL && take(vocab, vocab->n, bytes)) {
		(void)gather(tokenizer, n_tokens, entries, texts, &bytes);
		qsort(entries, vocab->n, sizeof(entries[0]), compare);
		fill(vocab, entries);
		*out = vocab;
		rc = RC_OK;
	}
	free(entries);
	free(texts);
	if (rc != RC_OK)
		vocab_free(vocab);
	return rc;
}

void vocab_free(struct vocab *vocab)
{
	if (vocab == NULL)
		return;
	free(vocab->ids);
	free(vocab->common);
	free(vocab->rest);
	free(vocab->bytes);
	free(vocab);
}
