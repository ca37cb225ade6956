/* Tokens: one pass over a text, from code points to words and pairs. */
#include "recall/token.h"

#include <string.h>

#include "base/unicode.h"
#include "base/utf8.h"
#include "recall/fold.h"

struct scan {
	const struct token_rules *rules;
	token_fn *visit;
	void *ctx;
	bool done;
	char word[STEM_WORD_BYTES_MAX];  /* folded */
	char lower[STEM_WORD_BYTES_MAX]; /* with its accents, for the stem */
	size_t word_len;                 /* 0: no word begun */
	size_t lower_len;
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

static enum language language(const struct scan *scan, size_t i)
{
	return scan->rules->languages_len == 0 ? LANGUAGE_EN : scan->rules->languages[i];
}

static bool is_same(const struct token *token, const char *text, size_t len)
{
	return token->len == len && memcmp(token->text, text, len) == 0;
}

/* The stems of the word in the other languages, without the ones that were. */
static void hand_out_others(struct scan *scan, const struct token *first)
{
	for (size_t i = 1; i < scan->rules->languages_len; i++) {
		char stem[STEM_BYTES_MAX];
		size_t len = stem_word(
		    scan->rules->stemmer, language(scan, i), scan->lower, scan->lower_len, stem);
		struct token token = *first;
		if (is_same(first, stem, len))
			continue;
		token.text = stem;
		token.len = len;
		token.other = true;
		hand_out(scan, token);
	}
}

static void end_word(struct scan *scan, size_t end)
{
	char stem[STEM_BYTES_MAX];
	size_t len = scan->word_len;

	if (len == 0)
		return;
	struct token token = { .text = stem,
		.len = stem_word(
		    scan->rules->stemmer, language(scan, 0), scan->lower, scan->lower_len, stem),
		.word = scan->word,
		.word_len = len,
		.stop = stem_is_stop(language(scan, 0), scan->word, len),
		.begin = scan->word_begin,
		.end = end };
	hand_out(scan, token);
	if (!is_same(&token, scan->word, len)) {
		struct token exact = token;
		exact.text = scan->word;
		exact.len = len;
		exact.exact = true;
		hand_out(scan, exact);
	}
	hand_out_others(scan, &token);
	scan->word_len = scan->lower_len = 0;
}

static void end_dense(struct scan *scan, size_t end)
{
	uint8_t text[UTF8_BYTES_MAX];

	if (scan->dense != 0 && !scan->dense_paired) {
		size_t len = utf8_encode(scan->dense, text);
		hand_out(scan, (struct token){ .text = (const char *)text,
				   .len = len,
				   .word = (const char *)text,
				   .word_len = len,
				   .begin = scan->dense_begin,
				   .end = end });
	}
	scan->dense = 0;
}

static void add_dense(struct scan *scan, uint32_t cp, size_t begin, size_t end)
{
	char text[2 * UTF8_BYTES_MAX];

	scan->dense_paired = scan->dense != 0;
	if (scan->dense != 0) {
		size_t len = utf8_encode(scan->dense, (uint8_t *)text);
		len += utf8_encode(cp, (uint8_t *)text + len);
		hand_out(scan, (struct token){ .text = text,
				   .len = len,
				   .word = text,
				   .word_len = len,
				   .stop = stem_is_stop(LANGUAGE_ZH, text, len) ||
					   stem_is_stop(LANGUAGE_KO, text, len),
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
	if (scan->word_len + UTF8_BYTES_MAX <= STEM_WORD_BYTES_MAX)
		scan->word_len += utf8_encode(cp, (uint8_t *)scan->word + scan->word_len);
}

/* The letter `cp`, folded to `folded`, as a stemmer wants it. */
static void add_lower(struct scan *scan, uint32_t cp, uint32_t folded)
{
	if (scan->word_len == 0 || scan->lower_len + UTF8_BYTES_MAX > STEM_WORD_BYTES_MAX)
		return;
	uint32_t lower = cp <= STEM_LATIN_LAST ? unicode_lower(cp) : folded;
	scan->lower_len += utf8_encode(lower, (uint8_t *)scan->lower + scan->lower_len);
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

void token_scan(
    const struct token_rules *rules, const char *text, size_t len, token_fn *visit, void *ctx)
{
	struct scan scan = { .rules = rules, .visit = visit, .ctx = ctx };
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
		if (folded_len > 0)
			add_lower(&scan, cp, folded[0]);
		at += n;
	}
	end_word(&scan, len);
	end_dense(&scan, len);
}
