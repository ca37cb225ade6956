/*
 * Any bytes as text: encoding never fails, and decoding gives the bytes back
 * (the vocabulary reaches every byte).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gguf_build.h"
#include "model/gguf.h"
#include "tokenize/tokenizer.h"

#define N_WORDS 10
#define N (259 + N_WORDS)
#define TEXT_MAX 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tokenizer *tokenizer;

static void load(void)
{
	static const char *const words[N_WORDS] = { "\xe2\x96\x81", "a", "b", "ab", "ba", "aab",
		("\xe2\x96\x81"
		 "a"),
		"\xc3\xa4", "[TOOL]", "<|mark|>" };
	static const char *texts[N] = { "<unk>", "<s>", "</s>" };
	static char byte_texts[256][8];
	static float scores[N];
	static int32_t types[N] = { 2, 3, 3 };
	struct gguf_build b;
	static uint8_t *bytes;
	static struct gguf *g;
	size_t len;

	for (int i = 0; i < 256; i++) {
		(void)snprintf(byte_texts[i], sizeof(byte_texts[i]), "<0x%02X>", i);
		texts[3 + i] = byte_texts[i];
		types[3 + i] = 6;
	}
	for (int i = 0; i < N_WORDS; i++) {
		texts[259 + i] = words[i];
		scores[259 + i] = (float)-i;
		types[259 + i] = i == 8 ? 4 : i == 9 ? 3 : 1;
	}
	gguf_build_init(&b, 1);
	gguf_build_string(&b, "tokenizer.ggml.model", "llama");
	gguf_build_strings(&b, "tokenizer.ggml.tokens", texts, N);
	gguf_build_f32s(&b, "tokenizer.ggml.scores", scores, N);
	gguf_build_i32s(&b, "tokenizer.ggml.token_type", types, N);
	bytes = gguf_build_finish(&b, &len);
	gguf_build_fini(&b);
	/* Kept as long as the process. */
	if (gguf_parse(bytes, len, &g, NULL) != RC_OK ||
	    tokenizer_load(g, &tokenizer, NULL) != RC_OK)
		abort();
}

static void round_trip(const char *text, size_t len, unsigned flags)
{
	static char back[TEXT_MAX + 64];
	struct tokens ids = { 0 };
	size_t n = 0;

	if (tokenizer_encode(tokenizer, text, len, flags, &ids, NULL) != RC_OK)
		abort();
	for (size_t i = 0; i < ids.len && n < sizeof(back); i++) {
		size_t piece =
		    tokenizer_piece(tokenizer, ids.ids[i], true, back + n, sizeof(back) - n);

		if (n == 0 && i == 0 && (flags & TOKENIZE_FIRST) != 0 && piece > 0) {
			memmove(back, back + 1, piece - 1); /* the blank put in front */
			piece--;
		}
		n += piece;
	}
	if (n != len || memcmp(back, text, len) != 0)
		abort();
	tokens_free(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (tokenizer == NULL)
		load();
	/* U+2581 in a text means a blank to SentencePiece: no way back. */
	if (size == 0 || size > TEXT_MAX || memmem(data, size, "\xe2\x96\x81", 3) != NULL)
		return 0;
	round_trip((const char *)data, size, 0);
	/* A whole token in front takes no blank: leave those texts out. */
	if (memchr(data, '[', size) == NULL)
		round_trip((const char *)data, size, TOKENIZE_FIRST);
	return 0;
}
