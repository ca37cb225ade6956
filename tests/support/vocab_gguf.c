/* A GGUF in memory that holds a vocabulary and nothing else. */
#include "vocab_gguf.h"

#include <string.h>

enum { TYPE_I32 = 5, TYPE_STRING = 8, TYPE_ARRAY = 9 };

static void put(struct buf *out, uint64_t value, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		buf_putc(out, (char)(value >> (8 * i)));
}

static void put_text(struct buf *out, const char *text)
{
	put(out, strlen(text), 8);
	buf_puts(out, text);
}

static void put_key(struct buf *out, const char *name, uint32_t type)
{
	put_text(out, name);
	put(out, type, 4);
}

static void put_texts(struct buf *out, const char *name, const char *const *texts, size_t n)
{
	put_key(out, name, TYPE_ARRAY);
	put(out, TYPE_STRING, 4);
	put(out, n, 8);
	for (size_t i = 0; i < n; i++)
		put_text(out, texts[i]);
}

void vocab_gguf_write(const struct vocab_gguf *vocab, struct buf *out)
{
	unsigned pairs =
	    3u + (vocab->pre != NULL) + (vocab->types != NULL) + (vocab->merges != NULL);

	buf_puts(out, "GGUF");
	put(out, 3, 4);
	put(out, 0, 8);
	put(out, pairs, 8);
	put_key(out, "general.architecture", TYPE_STRING);
	put_text(out, "llama");
	put_key(out, "tokenizer.ggml.model", TYPE_STRING);
	put_text(out, vocab->model);
	if (vocab->pre != NULL) {
		put_key(out, "tokenizer.ggml.pre", TYPE_STRING);
		put_text(out, vocab->pre);
	}
	put_texts(out, "tokenizer.ggml.tokens", vocab->tokens, vocab->tokens_len);
	if (vocab->types != NULL) {
		put_key(out, "tokenizer.ggml.token_type", TYPE_ARRAY);
		put(out, TYPE_I32, 4);
		put(out, vocab->tokens_len, 8);
		for (size_t i = 0; i < vocab->tokens_len; i++)
			put(out, (uint32_t)vocab->types[i], 4);
	}
	if (vocab->merges != NULL)
		put_texts(out, "tokenizer.ggml.merges", vocab->merges, vocab->merges_len);
}
