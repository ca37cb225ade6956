/*
 * Inside of the time words: the words of a question, their translation, and
 * what the three parsers (days, ranges, times of day) share.
 *
 * All of it works in local time: nanoseconds since 1970 on the person's own
 * clock, days as numbers.  A parser looks at the words from one place on and
 * returns how many it took, 0 = none.
 */
#ifndef RECALL_TIMEWORDS_INNER_H
#define RECALL_TIMEWORDS_INNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recall/language.h"

#define TIMEWORDS_WORDS_MAX ((size_t)512) /* of a question; later ones are not read */
#define TIMEWORDS_WORD_BYTES 16

struct timewords_word {
	size_t begin, end;               /* bytes of the question */
	char text[TIMEWORDS_WORD_BYTES]; /* folded; "" if longer, or no time word */
	int64_t number;                  /* -1 unless it is 1 to 6 digits */
	size_t digits;
	char after;   /* the byte behind it, 0 at the end */
	bool english; /* translated when it was split */
};

struct timewords_text {
	struct timewords_word words[TIMEWORDS_WORDS_MAX];
	size_t len;
	int64_t now_ns; /* local */
	int64_t today;  /* day number of now */
};

struct timewords_span {
	int64_t from_ns, to_ns;
	bool is_day; /* one whole day: a time of day may narrow it */
};

/* Words of another language and what they are in English; timewords_lexicon.c
 * says more. */
struct timewords_phrase {
	const char *words, *english;
};
const struct timewords_phrase *timewords_phrases(enum language language, size_t *len);
const struct timewords_phrase *timewords_dense(size_t *len);

/* The words of a question; those of scripts without spaces are English already. */
void timewords_split(const char *query, size_t len, struct timewords_text *out);

/* Every word in English and its place there: what is no time word becomes "". */
void timewords_translate(
    const struct timewords_text *text, enum language language, struct timewords_text *out);

bool timewords_is(const struct timewords_text *text, size_t at, const char *word);
/* `word` is in the blank-separated `list`. */
bool timewords_in(const struct timewords_text *text, size_t at, const char *list);
int64_t timewords_number(const struct timewords_text *text, size_t at); /* -1; "two" is 2 */
bool timewords_touches(const struct timewords_text *text, size_t at);   /* no gap to the next */

void timewords_set_days(struct timewords_span *span, int64_t from_day, int64_t to_day);

/* 0 to 11 / 0 (Monday) to 6, -1 if none; `*sure` is false for words that mean
 * something else too ("may", "march", "sat"). */
int timewords_month(const struct timewords_text *text, size_t at, bool *sure);
const char *timewords_month_name(int month); /* of 0 to 11 */
int timewords_weekday(const struct timewords_text *text, size_t at, bool *sure);
/* A year written with four digits, or 0. */
int timewords_year(const struct timewords_text *text, size_t at);

/* "yesterday", "on Tuesday", "19 November", "3 days ago", … */
size_t timewords_day(const struct timewords_text *text, size_t at, struct timewords_span *out);
/* "last week", "in March", "two weeks ago", "last summer", … */
size_t timewords_range(const struct timewords_text *text, size_t at, struct timewords_span *out);
/* "morning", "in the evening": hours of a day, from and to (to may be > 24). */
size_t timewords_part(const struct timewords_text *text, size_t at, int *from_hour, int *to_hour);
/* "at noon", "around 12:30", "7pm": minute of the day; `loose` also takes a
 * bare hour ("at 7"), which is `bare` then. */
size_t timewords_clock(
    const struct timewords_text *text, size_t at, bool loose, int *minute, bool *bare);

#endif
