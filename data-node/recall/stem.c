/* Stems: irregular forms, participles, then libstemmer; folded at the end. */
#include "recall/stem.h"

#include <libstemmer.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "base/wipe.h"
#include "recall/fold.h"

#define CYRILLIC_FIRST 0x400u
#define CYRILLIC_LAST 0x52Fu
#define ROOT_LEN_MIN 3 /* of a German participle */

#define CACHE_LEN ((size_t)2048) /* most words of a text came a moment ago */

/* A word that was looked at. */
struct seen {
	uint8_t language, len, stem_len; /* len 0: free */
	char word[STEM_WORD_BYTES_MAX];
	char stem[STEM_BYTES_MAX];
};

struct stemmer {
	struct sb_stemmer *made[LANGUAGE_COUNT]; /* when first needed */
	bool failed;
	struct seen cache[CACHE_LEN];
};

static const char *const algorithms[LANGUAGE_COUNT] = {
	[LANGUAGE_EN] = "english",
	[LANGUAGE_DE] = "german",
	[LANGUAGE_ES] = "spanish",
	[LANGUAGE_FR] = "french",
	[LANGUAGE_IT] = "italian",
	[LANGUAGE_PT] = "portuguese",
	[LANGUAGE_NL] = "dutch",
	[LANGUAGE_RU] = "russian",
};

enum rc stemmer_new(struct stemmer **out)
{
	*out = calloc(1, sizeof **out);
	return *out == NULL ? RC_NOMEM : RC_OK;
}

void stemmer_free(struct stemmer *stemmer)
{
	if (stemmer == NULL)
		return;
	for (size_t i = 0; i < LANGUAGE_COUNT; i++)
		sb_stemmer_delete(stemmer->made[i]);
	wipe(stemmer->cache, sizeof stemmer->cache);
	free(stemmer);
}

bool stemmer_failed(struct stemmer *stemmer)
{
	bool failed = stemmer->failed;

	stemmer->failed = false;
	return failed;
}

/* The language whose endings `word` has, LANGUAGE_UNKNOWN: none of ours. */
static enum language language_of(enum language language, const char *word, size_t len)
{
	uint32_t cp;

	if (utf8_decode((const uint8_t *)word, len, &cp) == 0)
		return LANGUAGE_UNKNOWN;
	if (cp >= CYRILLIC_FIRST && cp <= CYRILLIC_LAST)
		return LANGUAGE_RU;
	if (cp > STEM_LATIN_LAST || (cp >= '0' && cp <= '9'))
		return LANGUAGE_UNKNOWN;
	bool latin = algorithms[language] != NULL && language != LANGUAGE_RU;
	return latin ? language : LANGUAGE_EN;
}

static bool ends(const char *word, size_t len, const char *ending)
{
	size_t n = strlen(ending);

	return len >= n && memcmp(word + len - n, ending, n) == 0;
}

/*
 * German participles to infinitives, in place: "gekauft", "eingekauft" and
 * "telefoniert" end like no form of "kaufen", "einkaufen", "telefonieren".
 */
static size_t without_participle(char *word, size_t len)
{
	static const char *const leads[] = { "", "ab", "an", "auf", "aus", "bei", "ein", "fest",
		"her", "hin", "los", "mit", "nach", "vor", "weg", "zu" };

	if (ends(word, len, "iert")) {
		memcpy(word + len - 1, "en", 2);
		return len + 1;
	}
	for (size_t i = 0; i < sizeof leads / sizeof leads[0]; i++) {
		size_t lead = strlen(leads[i]);
		if (len < lead + 2 + ROOT_LEN_MIN + 1 || memcmp(word, leads[i], lead) != 0 ||
		    memcmp(word + lead, "ge", 2) != 0 || word[len - 1] != 't')
			continue;
		memmove(word + lead, word + lead + 2, len - lead - 3);
		memcpy(word + len - 3, "en", 2);
		return len - 1;
	}
	return len;
}

static size_t fold(const char *word, size_t len, char out[STEM_BYTES_MAX])
{
	size_t out_len = 0;

	for (size_t at = 0; at < len;) {
		uint32_t cp, folded[FOLD_OUT_MAX];
		size_t n = utf8_decode((const uint8_t *)word + at, len - at, &cp);
		if (n == 0)
			break;
		size_t folded_len = fold_letter(cp, folded);
		for (size_t i = 0; i < folded_len && out_len + UTF8_BYTES_MAX <= STEM_BYTES_MAX;
		     i++)
			out_len += utf8_encode(folded[i], (uint8_t *)out + out_len);
		at += n;
	}
	return out_len;
}

static struct sb_stemmer *algorithm(struct stemmer *stemmer, enum language language)
{
	if (stemmer->made[language] == NULL) {
		stemmer->made[language] = sb_stemmer_new(algorithms[language], NULL);
		stemmer->failed = stemmer->failed || stemmer->made[language] == NULL;
	}
	return stemmer->made[language];
}

static size_t make_stem(struct stemmer *stemmer, enum language language, const char *word,
    size_t len, char out[STEM_BYTES_MAX])
{
	char form[STEM_BYTES_MAX + 1];

	if (language == LANGUAGE_EN)
		len = fold(word, len, form); /* its accents are ornaments */
	else
		memcpy(form, word, len);
	form[len] = '\0';
	const char *base = stem_irregular(language, form);
	if (base != NULL && strcmp(base, form) == 0)
		return fold(form, len, out);
	if (base != NULL) {
		len = strlen(base);
		memcpy(form, base, len);
	} else if (language == LANGUAGE_DE) {
		len = without_participle(form, len);
	}
	struct sb_stemmer *of = algorithm(stemmer, language);
	const sb_symbol *stem =
	    of == NULL ? NULL : sb_stemmer_stem(of, (const sb_symbol *)form, (int)len);
	if (stem == NULL) {
		stemmer->failed = true;
		return fold(word, len, out);
	}
	size_t stem_len = (size_t)sb_stemmer_length(of);
	return stem_len == 0 || stem_len > STEM_BYTES_MAX ? fold(form, len, out)
							  : fold((const char *)stem, stem_len, out);
}

static struct seen *cached(
    struct stemmer *stemmer, enum language language, const char *word, size_t len)
{
	uint64_t hash = (uint64_t)language;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)word[i]) * UINT64_C(0x9E3779B97F4A7C15);
	return &stemmer->cache[(hash >> 40) % CACHE_LEN];
}

size_t stem_word(struct stemmer *stemmer, enum language language, const char *word, size_t len,
    char out[STEM_BYTES_MAX])
{
	language = language_of(language, word, len);
	if (language == LANGUAGE_UNKNOWN || len > STEM_WORD_BYTES_MAX)
		return fold(word, len, out);
	struct seen *seen = cached(stemmer, language, word, len);
	if (seen->len != len || seen->language != language || memcmp(seen->word, word, len) != 0) {
		seen->language = (uint8_t)language;
		seen->len = (uint8_t)len;
		memcpy(seen->word, word, len);
		seen->stem_len = (uint8_t)make_stem(stemmer, language, word, len, seen->stem);
		if (stemmer->failed)
			seen->len = 0; /* no stem to keep */
	}
	memcpy(out, seen->stem, seen->stem_len);
	return seen->stem_len;
}
