/* Words of facts and questions, as hashes of their stems. */
#include "memory/fact_words.h"

#include "recall/token.h"

struct words {
	uint32_t *out;
	size_t n;
};

static bool holds(const uint32_t *words, size_t n, uint32_t word)
{
	for (size_t i = 0; i < n; i++) {
		if (words[i] == word)
			return true;
	}
	return false;
}

static bool take(void *ctx, const struct token *token)
{
	struct words *words = ctx;
	uint32_t hash = UINT32_C(0x811C9DC5);

	if (token->stop || token->exact)
		return true;
	for (size_t i = 0; i < token->len; i++)
		hash = (hash ^ (uint8_t)token->text[i]) * UINT32_C(0x01000193);
	if (!holds(words->out, words->n, hash))
		words->out[words->n++] = hash;
	return words->n < FACT_WORDS_MAX;
}

size_t fact_words(
    struct stemmer *stemmer, const char *text, size_t len, uint32_t out[FACT_WORDS_MAX], size_t n)
{
	const struct token_rules rules = { .stemmer = stemmer };
	struct words words = { .out = out, .n = n };

	if (n < FACT_WORDS_MAX)
		token_scan(&rules, text, len, take, &words);
	return words.n;
}

unsigned fact_words_common(const uint32_t *a, size_t a_len, const uint32_t *b, size_t b_len)
{
	unsigned common = 0;

	for (size_t i = 0; i < a_len; i++)
		common += holds(b, b_len, a[i]);
	return common;
}
