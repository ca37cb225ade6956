/*
 * Time words of other languages, in the grammar's words and order.
 *
 * Split: words are folded runs of letters or of digits; scripts without spaces
 * are looked up from each place on, the longest entry counts.  Translate: the
 * longest phrase of the lexicon at each word; what stands in none is "".  Then a
 * few rules put in order what other languages put elsewhere.
 */
#include <stdio.h>
#include <string.h>

#include "base/timestamp.h"
#include "base/utf8.h"
#include "recall/fold.h"
#include "recall/timewords_inner.h"

#define PHRASE_WORDS_MAX 3
#define AGO_REACH 4 /* words of a distance: "a couple of weeks" */

static const char units[] = " minute minutes hour hours day days week weeks month months year "
			    "years weekend ";
static const char seasons[] = " spring summer autumn winter ";

/* ---- words ------------------------------------------------------------------------------- */

static void set_text(struct timewords_word *word, const char *text, size_t len)
{
	word->text[0] = '\0';
	word->number = -1;
	word->digits = 0;
	if (len >= TIMEWORDS_WORD_BYTES)
		return;
	memcpy(word->text, text, len);
	word->text[len] = '\0';
	if (len == 0 || len > 6 || strspn(word->text, "0123456789") != len)
		return;
	word->number = 0;
	word->digits = len;
	for (size_t i = 0; i < len; i++)
		word->number = word->number * 10 + (word->text[i] - '0');
}

static bool is_break(const struct timewords_word *word)
{
	return word->text[0] == '\0' && word->number < 0;
}

/* One break between words is as good as many. */
static void add_word(struct timewords_text *text, const struct timewords_word *word)
{
	if (text->len == TIMEWORDS_WORDS_MAX ||
	    (is_break(word) && text->len > 0 && is_break(&text->words[text->len - 1])))
		return;
	text->words[text->len++] = *word;
}

/* The words of an English phrase, all of them for the bytes of `of`. */
static void add_phrase(
    struct timewords_text *text, const char *english, const struct timewords_word *of)
{
	while (*english != '\0') {
		size_t len = strcspn(english, " ");
		struct timewords_word word = *of;
		set_text(&word, english, len);
		add_word(text, &word);
		english += len + (english[len] == ' ');
	}
}

static void add_break(struct timewords_text *text, size_t begin, size_t end)
{
	struct timewords_word word = { .begin = begin, .end = end, .number = -1 };

	add_word(text, &word);
}

/* Bytes of the longest entry at `at`, 0 if none. */
static size_t find_dense(const char *query, size_t len, size_t at, const char **english)
{
	size_t rows_len, best = 0;
	const struct timewords_phrase *rows = timewords_dense(&rows_len);

	for (size_t i = 0; i < rows_len; i++) {
		size_t n = strlen(rows[i].words);
		if (n > best && n <= len - at && memcmp(query + at, rows[i].words, n) == 0) {
			best = n;
			*english = rows[i].english;
		}
	}
	return best;
}

static bool is_digit(uint32_t cp)
{
	return cp >= '0' && cp <= '9';
}

/* A run of letters, or of digits. */
static size_t split_word(
    const char *query, size_t len, size_t at, bool digits, struct timewords_text *text)
{
	struct timewords_word word = { .begin = at, .number = -1 };
	char folded[TIMEWORDS_WORD_BYTES + UTF8_BYTES_MAX * FOLD_OUT_MAX];
	size_t folded_len = 0;

	while (at < len) {
		uint32_t cp, letters[FOLD_OUT_MAX];
		size_t n = utf8_decode((const uint8_t *)query + at, len - at, &cp);
		if (n == 0 || is_digit(cp) != digits)
			break;
		size_t letters_len = fold_letter(cp, letters);
		if (letters_len > 0 && fold_classify(letters[0]) != FOLD_WORD)
			break;
		for (size_t i = 0; i < letters_len && folded_len < TIMEWORDS_WORD_BYTES; i++)
			folded_len += utf8_encode(letters[i], (uint8_t *)folded + folded_len);
		at += n;
	}
	word.end = at;
	word.after = at < len ? query[at] : '\0';
	set_text(&word, folded, folded_len);
	add_word(text, &word);
	return at;
}

void timewords_split(const char *query, size_t len, struct timewords_text *text)
{
	size_t at = 0;

	text->len = 0;
	while (at < len && text->len < TIMEWORDS_WORDS_MAX) {
		uint32_t cp, letters[FOLD_OUT_MAX];
		const char *english = "";
		size_t n = utf8_decode((const uint8_t *)query + at, len - at, &cp);
		size_t letters_len = n == 0 ? 0 : fold_letter(cp, letters);
		enum fold_class class = letters_len == 0 ? FOLD_BREAK : fold_classify(letters[0]);
		if (class == FOLD_WORD) {
			at = split_word(query, len, at, is_digit(cp), text);
		} else if (class == FOLD_DENSE) {
			size_t match = find_dense(query, len, at, &english);
			const struct timewords_word of = {
				.begin = at, .end = at + match, .english = true
			};
			if (match > 0)
				add_phrase(text, english, &of);
			else
				add_break(text, at, at + n);
			at += match > 0 ? match : n;
		} else {
			at += n == 0 ? 1 : n;
		}
	}
}

/* ---- translation --------------------------------------------------------------------------- */

/* Words of the phrase at `at`, 0 if none. */
static size_t find_phrase(const struct timewords_text *text, size_t at,
    const struct timewords_phrase *rows, size_t rows_len, const char **english)
{
	for (size_t n = rows_len > 0 ? PHRASE_WORDS_MAX : 0; n > 0; n--) {
		char words[PHRASE_WORDS_MAX * (TIMEWORDS_WORD_BYTES + 1)] = "";
		size_t len = 0;
		if (at + n > text->len)
			continue;
		for (size_t i = 0; i < n; i++)
			len += (size_t)snprintf(words + len, sizeof words - len, "%s%s",
			    i > 0 ? " " : "", text->words[at + i].text);
		for (size_t i = 0; i < rows_len; i++) {
			if (strcmp(rows[i].words, words) == 0) {
				*english = rows[i].english;
				return n;
			}
		}
	}
	return 0;
}

/* "freitagabend" is a weekday and a part of it. */
static bool add_compound(struct timewords_text *out, const struct timewords_word *word)
{
	static const struct timewords_phrase days[] = { { "montag", "monday" },
		{ "dienstag", "tuesday" }, { "mittwoch", "wednesday" },
		{ "donnerstag", "thursday" }, { "freitag", "friday" }, { "samstag", "saturday" },
		{ "sonntag", "sunday" } };
	static const struct timewords_phrase parts[] = { { "morgen", "morning" },
		{ "fruh", "morning" }, { "vormittag", "morning" }, { "mittag", "lunchtime" },
		{ "nachmittag", "afternoon" }, { "abend", "evening" }, { "nacht", "night" } };

	for (size_t i = 0; i < sizeof days / sizeof days[0]; i++) {
		size_t len = strlen(days[i].words);
		if (strncmp(word->text, days[i].words, len) != 0)
			continue;
		for (size_t k = 0; k < sizeof parts / sizeof parts[0]; k++) {
			if (strcmp(word->text + len, parts[k].words) != 0)
				continue;
			add_phrase(out, days[i].english, word);
			add_phrase(out, parts[k].english, word);
			return true;
		}
	}
	return false;
}

static void translate_words(
    const struct timewords_text *text, enum language language, struct timewords_text *out)
{
	size_t rows_len;
	const struct timewords_phrase *rows = timewords_phrases(language, &rows_len);

	out->len = 0;
	for (size_t at = 0; at < text->len;) {
		const struct timewords_word *word = &text->words[at];
		const char *english = "";
		size_t n = find_phrase(text, at, rows, rows_len, &english);
		if (n > 0) {
			struct timewords_word of = text->words[at + n - 1];
			of.begin = word->begin;
			add_phrase(out, english, &of);
		} else if (language == LANGUAGE_EN || word->english || word->number >= 0) {
			add_word(out, word);
		} else if (language != LANGUAGE_DE || !add_compound(out, word)) {
			add_break(out, word->begin, word->end);
		}
		at += n > 0 ? n : 1;
	}
}

/* ---- order ---------------------------------------------------------------------------------- */

static void drop(struct timewords_text *text, size_t at)
{
	memmove(
	    &text->words[at], &text->words[at + 1], (text->len - at - 1) * sizeof text->words[0]);
	text->len--;
}

/* Word `from` before word `to`; the ones between make room. */
static void move(struct timewords_text *text, size_t from, size_t to)
{
	struct timewords_word word = text->words[from];

	if (from < to) {
		to--;
		memmove(&text->words[from], &text->words[from + 1], (to - from) * sizeof word);
	} else {
		memmove(&text->words[to + 1], &text->words[to], (from - to) * sizeof word);
	}
	text->words[to] = word;
}

/* A copy of `at`'s bytes that says `english`, before word `to`; false: no room. */
static bool insert(struct timewords_text *text, size_t to, size_t at, const char *english)
{
	struct timewords_word word = text->words[at];

	if (text->len == TIMEWORDS_WORDS_MAX)
		return false;
	set_text(&word, english, strlen(english));
	text->words[text->len++] = word;
	move(text, text->len - 1, to);
	return true;
}

static void become(struct timewords_text *text, size_t at, const char *english)
{
	set_text(&text->words[at], english, strlen(english));
}

static bool is_month(const struct timewords_text *text, size_t at)
{
	bool sure;

	return timewords_month(text, at, &sure) >= 0;
}

static bool is_unit(const struct timewords_text *text, size_t at)
{
	bool sure;

	return timewords_in(text, at, units) || timewords_in(text, at, seasons) ||
	       timewords_weekday(text, at, &sure) >= 0 || is_month(text, at);
}

/* "19" and "#clock": o'clock, or with "30" behind it 19:30. */
static void join_clock(struct timewords_text *text, size_t at)
{
	const struct timewords_word *next = &text->words[at + 1];

	if (at + 1 < text->len && next->digits == 2 && next->begin == text->words[at].end) {
		text->words[at - 1].after = ':';
		text->words[at - 1].end = next->begin - 1;
		drop(text, at);
		return;
	}
	become(text, at, "clock");
	(void)insert(text, at, at, "o");
}

/* "3" and "#mon": March; the others of the lexicon's "#" words likewise. */
static void join_number(struct timewords_text *text, size_t at)
{
	int64_t number = at > 0 ? text->words[at - 1].number : -1;
	bool ago = timewords_is(text, at + 1, "ago");

	if (number < 0) {
		become(text, at, "");
	} else if (timewords_is(text, at, "#mon") && number >= 1 && number <= 12) {
		become(text, at, timewords_month_name((int)number - 1));
		text->words[at].begin = text->words[at - 1].begin;
		drop(text, at - 1);
	} else if (timewords_is(text, at, "#clock")) {
		join_clock(text, at);
	} else if (ago) {
		become(text, at, timewords_is(text, at, "#day") ? "days" : "years");
	} else if (timewords_is(text, at, "#day") && !(at > 1 && is_month(text, at - 2))) {
		become(text, at, "th");
		(void)insert(text, at - 1, at - 1, "the");
	} else {
		text->words[at - 1].end = text->words[at].end;
		text->words[at - 1].english = true;
		drop(text, at); /* the number says it */
	}
}

/* "ago< a couple of weeks": the mark goes behind the unit. */
static void settle_ago(struct timewords_text *text, size_t at)
{
	for (size_t n = 1; n <= AGO_REACH && at + n < text->len; n++) {
		if (!timewords_in(text, at + n, units))
			continue;
		become(text, at, "ago");
		move(text, at, at + n + 1);
		return;
	}
	become(text, at, "");
}

/* "week last>", "3 last> days", "last> week". */
static void settle_last(struct timewords_text *text, size_t at)
{
	become(text, at, "last");
	if (at > 0 && (is_unit(text, at - 1) || timewords_number(text, at - 1) > 1))
		move(text, at, at - 1);
}

/* First of the time words in a row that end before `at`. */
static size_t run_begin(const struct timewords_text *text, size_t at)
{
	while (at > 0 && !is_break(&text->words[at - 1]))
		at--;
	return at;
}

/* "X from> Y to>", "X since>", and "from<" in front. */
static void settle_ends(struct timewords_text *text, size_t at)
{
	bool behind = !timewords_is(text, at, "from<"), ends = false;
	size_t begin = behind ? run_begin(text, at) : at;

	for (size_t i = at + 1; i < text->len && !ends; i++)
		ends = timewords_in(text, i, behind ? " to> " : " to ");
	if (!behind) {
		become(text, at, ends ? "from" : "since");
	} else if (timewords_is(text, at, "to>")) {
		become(text, at, "");
	} else if (timewords_is(text, at, "from>") && ends) {
		become(text, at, "to");
		(void)insert(text, begin, at, "from");
	} else {
		become(text, at, "since");
		move(text, at, begin);
	}
}

/* "tomorrow" is "morning" behind a day in languages that have one word for both. */
static void settle_morning(struct timewords_text *text, size_t at)
{
	bool sure;

	if (at > 0 && (timewords_in(text, at - 1, " yesterday today this ") ||
			  timewords_weekday(text, at - 1, &sure) >= 0))
		become(text, at, "morning");
}

/* "last year [in] March", "March [of] last year": the year's own number. */
static void settle_year(struct timewords_text *text, size_t at)
{
	int year, month, day;
	char number[16];

	civil_of_days(text->today, &year, &month, &day);
	(void)snprintf(number, sizeof number, "%d", year - timewords_is(text, at, "last"));
	size_t behind = at + 2 + (timewords_in(text, at + 2, " in of the ") ? 1 : 0);
	size_t before = at > 1 && timewords_in(text, at - 1, " of in the ") ? at - 2 : at - 1;
	if (behind < text->len && (is_month(text, behind) || timewords_in(text, behind, seasons))) {
		become(text, at, number);
		move(text, at, behind + 1);
		drop(text, at); /* "year", which is there now */
	} else if (at > 0 && (is_month(text, before) || timewords_in(text, before, seasons))) {
		become(text, at, number);
		drop(text, at + 1);
		if (before + 1 < at)
			drop(text, before + 1);
	}
}

/* "2026 March 5": the year goes to the end. */
static void settle_date(struct timewords_text *text, size_t at)
{
	if (timewords_year(text, at) == 0 || !is_month(text, at + 1))
		return;
	int64_t day = at + 2 < text->len ? text->words[at + 2].number : -1;
	bool has_day = day >= 1 && day <= 31 && text->words[at + 2].digits <= 2;
	move(text, at, at + (has_day ? 3 : 2));
}

/* Small words that English has no place for: "3 October [of] 2025", "since [on]
 * Monday". */
static bool is_idle(const struct timewords_text *text, size_t at)
{
	if (at == 0)
		return false;
	if (timewords_is(text, at, "on"))
		return timewords_in(text, at - 1, " since from between to and ");
	return timewords_is(text, at, "of") && is_month(text, at - 1) &&
	       timewords_year(text, at + 1) > 0;
}

static void settle(struct timewords_text *text, size_t at)
{
	if (text->words[at].text[0] == '#')
		join_number(text, at);
	else if (timewords_is(text, at, "ago<"))
		settle_ago(text, at);
	else if (timewords_is(text, at, "last>"))
		settle_last(text, at);
	else if (timewords_in(text, at, " from< from> since> to> "))
		settle_ends(text, at);
	else if (timewords_is(text, at, "tomorrow"))
		settle_morning(text, at);
}

void timewords_translate(
    const struct timewords_text *text, enum language language, struct timewords_text *out)
{
	out->now_ns = text->now_ns;
	out->today = text->today;
	translate_words(text, language, out);
	for (size_t at = 0; at < out->len; at++) {
		while (at < out->len && is_idle(out, at))
			drop(out, at);
		if (at < out->len)
			settle(out, at);
	}
	for (size_t at = 0; at < out->len; at++) {
		if (timewords_in(out, at, " last this ") && timewords_is(out, at + 1, "year"))
			settle_year(out, at);
		else
			settle_date(out, at);
	}
}
