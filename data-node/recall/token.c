/* Tokens: one pass over a text, from code points to words and pairs. */
#include "recall/token.h"

#include <string.h>

#include "base/utf8.h"
#include "recall/fold.h"

struct scan {
	token_fn *visit;
	void *ctx;
	bool done;
	char word[TOKEN_BYTES_MAX + UTF8_BYTES_MAX];
	size_t word_len; /* 0: no word begun */
	size_t word_begin;
	uint32_t dense; /* last letter of a run without spaces, 0 = none */
	size_t dense_begin;
	bool dense_paired;
};

static void hand_out(struct scan *scan, struct token token)
{
	if (!scan->done && token.len > 0)
		scan->done = !scan->visit(scan->ctx, &token);
}

static void end_word(struct scan *scan, size_t end)
{
	char stem[sizeof scan->word];
	size_t len = scan->word_len;

	scan->word_len = 0;
	if (len == 0)
		return;
	memcpy(stem, scan->word, len);
	size_t stem_len = token_stem(stem, len);
	struct token token = { .text = stem,
		.len = stem_len,
		.stop = token_is_stop(scan->word, len),
		.begin = scan->word_begin,
		.end = end };
	hand_out(scan, token);
	if (stem_len != len || memcmp(stem, scan->word, len) != 0) {
		token.text = scan->word;
		token.len = len;
		token.exact = true;
		hand_out(scan, token);
	}
}

static void end_dense(struct scan *scan, size_t end)
{
	uint8_t text[UTF8_BYTES_MAX];

	if (scan->dense != 0 && !scan->dense_paired) {
		size_t len = utf8_encode(scan->dense, text);
		hand_out(scan, (struct token){ .text = (const char *)text,
				   .len = len,
				   .begin = scan->dense_begin,
				   .end = end });
	}
	scan->dense = 0;
}

static void add_dense(struct scan *scan, uint32_t cp, size_t begin, size_t end)
{
	uint8_t text[2 * UTF8_BYTES_MAX];

	scan->dense_paired = scan->dense != 0;
	if (scan->dense != 0) {
		size_t len = utf8_encode(scan->dense, text);
		len += utf8_encode(cp, text + len);
		hand_out(scan, (struct token){ .text = (const char *)text,
				   .len = len,
				   .begin = scan->dense_begin,
				   .end = end });
	}
	scan->dense = cp;
	scan->dense_begin = begin;
}

static void add_letter(struct scan *scan, uint32_t cp, size_t begin)
{
	if (scan->word_len == 0)
		scan->word_begin = begin;
	if (scan->word_len + UTF8_BYTES_MAX <= TOKEN_BYTES_MAX)
		scan->word_len += utf8_encode(cp, (uint8_t *)scan->word + scan->word_len);
}

/* An apostrophe inside a word joins it ("don't"), but ends it before "s". */
static bool joins(const uint8_t *text, size_t len, size_t at, size_t n, uint32_t cp)
{
	if (cp != '\'' && cp != 0x2019)
		return false;
	const uint8_t *next = text + at + n;
	size_t left = len - at - n;
	bool letter = left > 0 && ((next[0] | 0x20) >= 'a' && (next[0] | 0x20) <= 'z');
	bool genitive = letter && (next[0] | 0x20) == 's' &&
			(left == 1 || !((next[1] | 0x20) >= 'a' && (next[1] | 0x20) <= 'z'));
	return letter && !genitive;
}

/* The "s" of a genitive is no word. */
static bool is_genitive_s(const uint8_t *text, size_t at)
{
	return at > 0 && (text[at] | 0x20) == 's' &&
	       (text[at - 1] == '\'' || (at >= 3 && memcmp(text + at - 3, "\xE2\x80\x99", 3) == 0));
}

static void take(struct scan *scan, uint32_t cp, size_t begin, size_t end)
{
	switch (fold_classify(cp)) {
	case FOLD_WORD:
		end_dense(scan, begin);
		add_letter(scan, cp, begin);
		break;
	case FOLD_DENSE:
		end_word(scan, begin);
		add_dense(scan, cp, begin, end);
		break;
	case FOLD_BREAK:
		end_word(scan, begin);
		end_dense(scan, begin);
		break;
	}
}

void token_scan(const char *text, size_t len, token_fn *visit, void *ctx)
{
	struct scan scan = { .visit = visit, .ctx = ctx };
	const uint8_t *bytes = (const uint8_t *)text;

	for (size_t at = 0; at < len && !scan.done;) {
		uint32_t cp, folded[FOLD_OUT_MAX];
		size_t n = utf8_decode(bytes + at, len - at, &cp);
		if (n == 0) {
			take(&scan, ' ', at, at + 1);
			at++;
			continue;
		}
		bool skip = scan.word_len > 0 ? joins(bytes, len, at, n, cp)
					      : n == 1 && is_genitive_s(bytes, at);
		size_t folded_len = skip ? 0 : fold_letter(cp, folded);
		for (size_t i = 0; i < folded_len; i++)
			take(&scan, folded[i], at, at + n);
		at += n;
	}
	end_word(&scan, len);
	end_dense(&scan, len);
}
