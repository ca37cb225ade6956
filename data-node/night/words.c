/* Words: a set of hashes of the forms that tokens have. */
#include "night/words.h"

#include <stdlib.h>
#include <string.h>

#include "align/lookup.h"
#include "recall/token.h"

#define HASH_FACTOR UINT64_C(0x9E3779B97F4A7C15)

struct words {
	struct language_model *model;
	struct stemmer *stemmer;
	struct token_rules rules;
	struct lookup forms;
};

enum rc words_new(struct words **out)
{
	struct words *words = calloc(1, sizeof *words);

	if (words == NULL)
		return RC_NOMEM;
	enum rc rc = language_new(&words->model);
	if (rc == RC_OK)
		rc = stemmer_new(&words->stemmer);
	if (rc != RC_OK) {
		words_free(words);
		return rc;
	}
	words->rules = (struct token_rules){ .stemmer = words->stemmer };
	*out = words;
	return RC_OK;
}

void words_free(struct words *words)
{
	if (words == NULL)
		return;
	lookup_fini(&words->forms);
	stemmer_free(words->stemmer);
	language_free(words->model);
	free(words);
}

void words_begin(struct words *words, const char *text)
{
	struct language_guess guess = language_detect(words->model, text, strlen(text));

	lookup_fini(&words->forms);
	words->forms = (struct lookup){ .slots = NULL };
	words->rules.languages_len = 0;
	if (guess.language != LANGUAGE_UNKNOWN && guess.language != LANGUAGE_EN)
		words->rules.languages[words->rules.languages_len++] = guess.language;
	words->rules.languages[words->rules.languages_len++] = LANGUAGE_EN;
}

static uint64_t hash_of(const char *text, size_t len)
{
	uint64_t hash = len + 1;

	for (size_t i = 0; i < len; i++) {
		hash = (hash ^ (uint8_t)text[i]) * HASH_FACTOR;
		hash ^= hash >> 32;
	}
	return hash == 0 ? 1 : hash;
}

/* ---- taking in ---------------------------------------------------------------------- */

struct adding {
	struct words *words;
	enum rc rc;
};

static void put(struct adding *adding, const char *text, size_t len)
{
	uint64_t hash = hash_of(text, len);

	if (adding->rc == RC_OK && lookup_find(&adding->words->forms, hash) == NULL)
		adding->rc = lookup_put(&adding->words->forms, hash, adding->words);
}

static bool add_token(void *ctx, const struct token *token)
{
	struct adding *adding = ctx;

	put(adding, token->text, token->len);
	put(adding, token->word, token->word_len);
	return adding->rc == RC_OK;
}

enum rc words_add(struct words *words, const char *text)
{
	struct adding adding = { .words = words, .rc = RC_OK };

	token_scan(&words->rules, text, strlen(text), add_token, &adding);
	if (stemmer_failed(words->stemmer))
		return RC_NOMEM;
	return adding.rc;
}

/* ---- walking -------------------------------------------------------------------------- */

/* Tokens of one word come one after the other. */
struct walking {
	const struct words *words;
	word_fn *visit;
	void *ctx;
	struct word at;
	char folded[TOKEN_BYTES_MAX];
	bool any, stopped;
};

static void hand_out(struct walking *walking)
{
	if (!walking->any || walking->stopped)
		return;
	walking->at.folded = walking->folded;
	walking->stopped = !walking->visit(walking->ctx, &walking->at);
}

static bool knows(const struct words *words, const char *text, size_t len)
{
	return lookup_find(&words->forms, hash_of(text, len)) != NULL;
}

/* "lives" is read as the plural of "life": the bare ending counts as well. */
static bool knows_without_s(const struct words *words, const char *text, size_t len)
{
	return len > 3 && text[len - 1] == 's' && knows(words, text, len - 1);
}

static bool is_stop(const struct walking *walking)
{
	const struct token_rules *rules = &walking->words->rules;
	bool stop = false;

	for (size_t i = 0; i < rules->languages_len && !stop; i++)
		stop = stem_is_stop(rules->languages[i], walking->folded, walking->at.folded_len);
	return stop;
}

static bool walk_token(void *ctx, const struct token *token)
{
	struct walking *walking = ctx;

	if (!walking->any || token->begin != walking->at.begin || token->end != walking->at.end) {
		hand_out(walking);
		size_t len =
		    token->word_len < TOKEN_BYTES_MAX ? token->word_len : TOKEN_BYTES_MAX - 1;
		memcpy(walking->folded, token->word, len);
		walking->folded[len] = '\0';
		walking->at =
		    (struct word){ .folded_len = len, .begin = token->begin, .end = token->end };
		walking->any = true;
	}
	walking->at.known = walking->at.known || knows(walking->words, token->text, token->len) ||
			    knows(walking->words, token->word, token->word_len) ||
			    knows_without_s(walking->words, token->word, token->word_len);
	walking->at.stop = walking->at.stop || token->stop || is_stop(walking);
	return !walking->stopped;
}

enum rc words_walk(struct words *words, const char *text, word_fn *visit, void *ctx)
{
	struct walking walking = { .words = words, .visit = visit, .ctx = ctx };

	token_scan(&words->rules, text, strlen(text), walk_token, &walking);
	hand_out(&walking);
	return stemmer_failed(words->stemmer) ? RC_NOMEM : RC_OK;
}

/* ---- lists ---------------------------------------------------------------------------- */

bool words_listed(const char *list, const struct word *word)
{
	char key[TOKEN_BYTES_MAX + 3];

	if (word->folded_len == 0 || word->folded_len > TOKEN_BYTES_MAX)
		return false;
	key[0] = ' ';
	memcpy(key + 1, word->folded, word->folded_len);
	memcpy(key + 1 + word->folded_len, " ", 2);
	return strstr(list, key) != NULL;
}

struct folding {
	char *out;
	size_t size, len;
};

static bool fold_word(void *ctx, const struct word *word)
{
	struct folding *folding = ctx;

	if (folding->len + word->folded_len + 2 > folding->size)
		return false;
	memcpy(folding->out + folding->len, word->folded, word->folded_len);
	folding->len += word->folded_len;
	folding->out[folding->len++] = ' ';
	folding->out[folding->len] = '\0';
	return true;
}

enum rc words_fold(struct words *words, const char *text, char *out, size_t size)
{
	struct folding folding = { .out = out, .size = size, .len = 1 };

	(void)memcpy(out, " ", 2);
	return words_walk(words, text, fold_word, &folding);
}
