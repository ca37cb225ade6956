/*
 * Language internals: the sample table and the scripts it is sorted by.
 */
#ifndef RECALL_LANGUAGE_INTERNAL_H
#define RECALL_LANGUAGE_INTERNAL_H

#include "recall/language.h"

/* Scripts that the detector tells apart. */
enum script {
	SCRIPT_NONE, /* no letter: digits, signs, emoji */
	SCRIPT_LATIN,
	SCRIPT_CYRILLIC,
	SCRIPT_GREEK,
	SCRIPT_HEBREW,
	SCRIPT_ARABIC,
	SCRIPT_THAI,
	SCRIPT_HANGUL,
	SCRIPT_KANA,
	SCRIPT_HAN,
	SCRIPT_OTHER,
	SCRIPT_COUNT,
};

struct language_sample {
	enum language language; /* LANGUAGE_UNKNOWN: known, but not reported */
	enum script script;
	const char *text; /* lower case */
};

#define LANGUAGE_SAMPLES 21
extern const struct language_sample language_samples[LANGUAGE_SAMPLES];

#endif
