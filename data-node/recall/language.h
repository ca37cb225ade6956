/*
 * Language: which language a text is written in, or "unknown".
 *
 * Scripts decide where they can (Hangul, kana, Greek, Thai, …).  Latin and
 * Cyrillic texts are told apart by letters in threes and whole words, weighed
 * as a naive Bayes classifier does, with costs in whole sixteenths of a bit:
 * the same answer on every machine.  It learns from language_sample.c when it
 * is made.  Short messages are what it is for; where the evidence is thin it
 * says LANGUAGE_UNKNOWN and does not guess.
 */
#ifndef RECALL_LANGUAGE_H
#define RECALL_LANGUAGE_H

#include <stddef.h>

#include "base/rc.h"

#define LANGUAGE_BYTES_MAX ((size_t)4096) /* looked at, of one text */

enum language {
	LANGUAGE_UNKNOWN,
	LANGUAGE_EN,
	LANGUAGE_DE,
	LANGUAGE_ES,
	LANGUAGE_FR,
	LANGUAGE_IT,
	LANGUAGE_PT,
	LANGUAGE_NL,
	LANGUAGE_RU,
	LANGUAGE_ZH,
	LANGUAGE_JA,
	LANGUAGE_KO,
	LANGUAGE_EL,
	LANGUAGE_HE,
	LANGUAGE_AR,
	LANGUAGE_TH,
	LANGUAGE_COUNT,
};

struct language_guess {
	enum language language;
	double confidence; /* 0 to 1; 0 for LANGUAGE_UNKNOWN */
};

struct language_model;

/* Learn; some milliseconds.  RC_NOMEM. */
enum rc language_new(struct language_model **out) RC_CHECK;
void language_free(struct language_model *model);

/*
 * The language of `text` [len], UTF-8; invalid bytes, addresses of pages and
 * mail, names with an @ and digits are passed over.  Pure, O(len), any thread.
 */
struct language_guess language_detect(
    const struct language_model *model, const char *text, size_t len);

/* BCP 47: "en"; "und" for LANGUAGE_UNKNOWN. */
const char *language_code(enum language language);

#endif
