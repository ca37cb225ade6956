/*
 * English, lightly: plurals, -ing, -ed, a final e; and the words that say
 * little.  Few rules that rarely join different words; the exact form is kept
 * beside the stem anyway.
 */
#include <stdlib.h>
#include <string.h>

#include "recall/token.h"

#define STEM_LEN_MIN 4 /* shorter words stay */
#define REST_LEN_MIN 3 /* of a word without its ending */

static bool ends(const char *word, size_t len, const char *ending)
{
	size_t n = strlen(ending);

	return len >= n && memcmp(word + len - n, ending, n) == 0;
}

static bool is_vowel(char c)
{
	return c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u' || c == 'y';
}

static bool has_vowel(const char *word, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (is_vowel(word[i]))
			return true;
	}
	return false;
}

static bool is_plain(const char *word, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (word[i] < 'a' || word[i] > 'z')
			return false;
	}
	return true;
}

/* Words that end like a plural or a verb form and are none. */
static bool is_whole(const char *word, size_t len)
{
	static const char *const whole[] = { "anything", "ceiling", "during", "evening",
		"everything", "morning", "nothing", "pudding", "something", "wedding", "hundred",
		"indeed", "news", "spring", "string", "sibling", "darling" };

	for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
		if (strlen(whole[i]) == len && memcmp(whole[i], word, len) == 0)
			return true;
	}
	return false;
}

static size_t without_plural(char *word, size_t len)
{
	if (ends(word, len, "ies") && len > 4) {
		word[len - 3] = 'y';
		return len - 2;
	}
	if (ends(word, len, "sses") || ends(word, len, "xes") || ends(word, len, "ches") ||
	    ends(word, len, "shes") || ends(word, len, "zzes") || ends(word, len, "oes"))
		return len - 2;
	if (ends(word, len, "s") && !ends(word, len, "ss") && !ends(word, len, "us") &&
	    !ends(word, len, "is"))
		return len - 1;
	return len;
}

static size_t without_verb_ending(char *word, size_t len)
{
	size_t rest = len;

	if (ends(word, len, "ied") && len > 4) {
		word[len - 3] = 'y';
		return len - 2;
	}
	if (ends(word, len, "ing"))
		rest = len - 3;
	else if (ends(word, len, "ed") && !ends(word, len, "eed"))
		rest = len - 2;
	if (rest == len || rest < REST_LEN_MIN || !has_vowel(word, rest))
		return len;
	char last = word[rest - 1];
	if (rest > REST_LEN_MIN && last == word[rest - 2] && !is_vowel(last) && last != 'l' &&
	    last != 's' && last != 'z')
		rest--;
	return rest;
}

size_t token_stem(char *word, size_t len)
{
	if (len < STEM_LEN_MIN || !is_plain(word, len) || is_whole(word, len))
		return len;
	len = without_plural(word, len);
	if (len >= STEM_LEN_MIN)
		len = without_verb_ending(word, len);
	if (len >= STEM_LEN_MIN && word[len - 1] == 'e')
		len--;
	return len;
}

/* Sorted. */
static const char *const stops[] = { "a", "about", "after", "again", "all", "also", "am", "an",
	"and", "any", "are", "as", "at", "be", "because", "been", "before", "being", "but", "by",
	"can", "could", "did", "didnt", "do", "does", "doing", "dont", "during", "each", "for",
	"from", "get", "go", "got", "had", "happen", "happened", "happening", "has", "have",
	"having", "he", "her", "here", "him", "his", "how", "i", "if", "im", "in", "into", "is",
	"it", "its", "ive", "just", "like", "me", "more", "most", "my", "no", "not", "of", "on",
	"or", "our", "out", "over", "please", "said", "say", "she", "should", "so", "some", "tell",
	"than", "that", "the", "their", "them", "then", "there", "these", "they", "this", "those",
	"to", "too", "up", "us", "very", "was", "we", "were", "what", "whats", "when", "where",
	"which", "while", "who", "whom", "why", "will", "with", "would", "you", "your" };

static int by_text(const void *key, const void *entry)
{
	return strcmp(key, *(const char *const *)entry);
}

bool token_is_stop(const char *word, size_t len)
{
	char text[TOKEN_BYTES_MAX + 1];

	if (len > TOKEN_BYTES_MAX)
		return false;
	memcpy(text, word, len);
	text[len] = '\0';
	return bsearch(text, stops, sizeof stops / sizeof stops[0], sizeof stops[0], by_text) !=
	       NULL;
}
