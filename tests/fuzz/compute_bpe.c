/*
 * Fuzz target: any bytes through byte-level BPE under each pre-tokenizer and
 * through WordPiece; byte-level must give the same bytes back.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "model/gguf.h"
#include "tokenize/tokenizer.h"
#include "vocab_gguf.h"

#define VOCAB_BYTES_MAX ((size_t)1 << 20)
#define LETTERS 256
#define JOINED 4

static const char *const pres[] = { "gpt-2", "llama-bpe", "qwen2", "qwen35", "gpt-4o", "tekken",
	"deepseek-llm", "deepseek-v3" };
#define PRES (sizeof(pres) / sizeof(pres[0]))

static struct tokenizer *byte_level[PRES];
static struct tokenizer *wordpiece;

static struct tokenizer *load(const struct vocab_gguf *vocab)
{
	struct errmsg why = ERRMSG_INIT;
	struct tokenizer *tokenizer = NULL;
	/* kept, and reachable, to the end: the tokenizer borrows their strings */
	static struct gguf *ggufs[PRES + 1];
	static struct buf files[PRES + 1];
	static size_t n;

	buf_init(&files[n], VOCAB_BYTES_MAX);
	vocab_gguf_write(vocab, &files[n]);
	if (buf_rc(&files[n]) != RC_OK ||
	    gguf_parse(files[n].bytes, files[n].len, &ggufs[n], &why) != RC_OK ||
	    tokenizer_load(ggufs[n], &tokenizer, &why) != RC_OK) {
		(void)fprintf(stderr, "%s\n", why.text);
		abort();
	}
	n++;
	return tokenizer;
}

static void setup(void)
{
	static char letters[LETTERS][UTF8_BYTES_MAX + 1];
	static const char *tokens[LETTERS + JOINED] = { NULL };
	static const char *const merges[JOINED] = { "a b", "\xC4\xA0 a", "ab ab",
		"\xC3\xA3 \xC2\xA9" };
	static const char *const joined[JOINED] = { "ab", "\xC4\xA0\x61", "abab",
		"\xC3\xA3\xC2\xA9" };
	static const char *const words[] = { "[UNK]", "\xE2\x96\x81\x61", "b", "ab" };
	uint32_t next = 256;

	for (uint32_t byte = 0; byte < LETTERS; byte++) {
		bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) ||
				 byte >= 0xAE;
		(void)utf8_encode(printable ? byte : next++, (uint8_t *)letters[byte]);
		tokens[byte] = letters[byte];
	}
	for (size_t i = 0; i < JOINED; i++)
		tokens[LETTERS + i] = joined[i];
	for (size_t i = 0; i < PRES; i++)
		byte_level[i] = load(&(struct vocab_gguf){ .model = "gpt2",
		    .pre = pres[i],
		    .tokens = tokens,
		    .tokens_len = LETTERS + JOINED,
		    .merges = merges,
		    .merges_len = JOINED });
	wordpiece = load(&(struct vocab_gguf){ .model = "bert", .tokens = words, .tokens_len = 4 });
}

static void check(const struct tokenizer *tokenizer, const char *text, size_t len, bool back)
{
	struct tokens ids = { 0 };
	char piece[64];
	size_t at = 0;

	if (tokenizer_encode(tokenizer, text, len, TOKENIZE_FIRST, &ids, NULL) != RC_OK)
		abort();
	for (size_t i = 0; back && i < ids.len; i++) {
		size_t n = tokenizer_piece(tokenizer, ids.ids[i], true, piece, sizeof(piece));
		if (n > len - at || memcmp(piece, text + at, n) != 0)
			abort();
		at += n;
	}
	if (back && at != len)
		abort();
	tokens_free(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (wordpiece == NULL)
		setup();
	for (size_t i = 0; i < PRES; i++)
		check(byte_level[i], (const char *)data, size, true);
	check(wordpiece, (const char *)data, size, false);
	return 0;
}
