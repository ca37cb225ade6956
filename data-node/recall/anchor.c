/* Anchors: words of side and distance, and what stands behind them. */
#include "recall/anchor.h"

#include <string.h>

#include "recall/timewords_inner.h"
#include "store/observation.h"

#define SECOND_NS INT64_C(1000000000)
#define DAY_NS (INT64_C(86400) * SECOND_NS)
#define DISTANCE_MAX 99                         /* units */
#define TALK_NS (INT64_C(3) * 3600 * SECOND_NS) /* "during": so long from its begin */

static const struct {
	enum language language;
	const char *words;
	enum anchor_side side;
} sides[] = {
	{ LANGUAGE_EN, "before", ANCHOR_BEFORE },
	{ LANGUAGE_EN, "after", ANCHOR_AFTER },
	{ LANGUAGE_EN, "since", ANCHOR_SINCE },
	{ LANGUAGE_EN, "until", ANCHOR_UNTIL },
	{ LANGUAGE_EN, "during", ANCHOR_DURING },
	{ LANGUAGE_DE, "vor", ANCHOR_BEFORE },
	{ LANGUAGE_DE, "nach", ANCHOR_AFTER },
	{ LANGUAGE_DE, "seit", ANCHOR_SINCE },
	{ LANGUAGE_DE, "wahrend", ANCHOR_DURING },
	{ LANGUAGE_ES, "antes de", ANCHOR_BEFORE },
	{ LANGUAGE_ES, "antes del", ANCHOR_BEFORE },
	{ LANGUAGE_ES, "despues de", ANCHOR_AFTER },
	{ LANGUAGE_ES, "despues del", ANCHOR_AFTER },
	{ LANGUAGE_ES, "durante", ANCHOR_DURING },
	{ LANGUAGE_FR, "avant", ANCHOR_BEFORE },
	{ LANGUAGE_FR, "apres", ANCHOR_AFTER },
	{ LANGUAGE_FR, "depuis", ANCHOR_SINCE },
	{ LANGUAGE_FR, "pendant", ANCHOR_DURING },
};

/* Words taken by the row's phrase at `at`, 0: it is not there. */
static size_t match(const struct timewords_text *text, size_t at, const char *words)
{
	size_t n = 0;

	while (*words != '\0') {
		size_t len = strcspn(words, " ");
		if (at + n >= text->len || strlen(text->words[at + n].text) != len ||
		    memcmp(text->words[at + n].text, words, len) != 0)
			return 0;
		words += len + (words[len] == ' ');
		n++;
	}
	return n;
}

/* "two weeks", "the day", "drei Tage" in front of word `at`. */
static void read_distance(
    const struct timewords_text *text, enum language language, size_t at, struct anchor *anchor)
{
	static const struct {
		const char *words;
		int64_t ns;
	} units[] = { { " hour hours ", 3600 * SECOND_NS }, { " day days ", DAY_NS },
		{ " week weeks ", 7 * DAY_NS }, { " month months ", 30 * DAY_NS },
		{ " year years ", 365 * DAY_NS } };
	struct timewords_text two = { .len = 2 }, english = { .len = 0 };

	if (at < 2)
		return;
	two.words[0] = text->words[at - 2];
	two.words[1] = text->words[at - 1];
	timewords_translate(&two, language, &english);
	for (size_t i = 0; i < sizeof units / sizeof units[0] && english.len > 0; i++) {
		if (!timewords_in(&english, english.len - 1, units[i].words))
			continue;
		int64_t number = english.len > 1 ? timewords_number(&english, 0) : -1;
		anchor->distance_ns =
		    (number > 0 && number <= DISTANCE_MAX ? number : 1) * units[i].ns;
		anchor->margin_ns = units[i].ns / 2;
	}
}

static bool is_end(char c)
{
	return c == '?' || c == '!' || c == ',' || c == ';' || c == '.' || c == '\n';
}

static bool read_at(const char *question, size_t len, const struct timewords_text *text,
    enum language language, size_t at, struct anchor *out)
{
	for (size_t i = 0; i < sizeof sides / sizeof sides[0]; i++) {
		size_t n = sides[i].language == language ? match(text, at, sides[i].words) : 0;
		if (n == 0 || at + n >= text->len)
			continue;
		size_t begin = text->words[at + n].begin, end = begin;
		while (end < len && !is_end(question[end]))
			end++;
		*out = (struct anchor){ .found = end > begin,
			.side = sides[i].side,
			.what_begin = begin,
			.what_end = end };
		read_distance(text, language, at, out);
		return out->found;
	}
	return false;
}

void anchor_parse(const char *question, size_t len, const enum language *languages,
    size_t languages_len, struct anchor *out)
{
	struct timewords_text text;

	*out = (struct anchor){ .found = false };
	timewords_split(question, len, &text);
	for (size_t i = 0; i <= languages_len; i++) {
		enum language language = i < languages_len ? languages[i] : LANGUAGE_EN;
		for (size_t at = 0; at < text.len; at++) {
			if (read_at(question, len, &text, language, at, out))
				return;
		}
	}
}

static int64_t clamp(int64_t base_ns, int64_t step_ns)
{
	int64_t ns;

	if (__builtin_add_overflow(base_ns, step_ns, &ns))
		ns = step_ns > 0 ? OBS_TIME_MAX_NS : OBS_TIME_MIN_NS;
	return ns < OBS_TIME_MIN_NS ? OBS_TIME_MIN_NS : ns > OBS_TIME_MAX_NS ? OBS_TIME_MAX_NS : ns;
}

void anchor_range(const struct anchor *anchor, int64_t t0_ns, int64_t t1_ns, int64_t now_ns,
    int64_t *from_ns, int64_t *to_ns)
{
	int64_t d = anchor->distance_ns, m = anchor->margin_ns;

	*from_ns = t0_ns;
	*to_ns = now_ns;
	switch (anchor->side) {
	case ANCHOR_BEFORE:
		*from_ns = d > 0 ? clamp(t0_ns, -d - m) : clamp(t0_ns, -ANCHOR_NEAR_NS);
		*to_ns = d > 0 ? clamp(t0_ns, -d + m) : t0_ns;
		break;
	case ANCHOR_AFTER:
		*from_ns = d > 0 ? clamp(t1_ns, d - m) : clamp(t1_ns, 1);
		*to_ns = d > 0 ? clamp(t1_ns, d + m) : clamp(t1_ns, ANCHOR_NEAR_NS);
		break;
	case ANCHOR_SINCE:
		*from_ns = clamp(t1_ns, 1);
		break;
	case ANCHOR_UNTIL:
		*from_ns = OBS_TIME_MIN_NS;
		*to_ns = t0_ns;
		break;
	case ANCHOR_DURING:
		*to_ns = t1_ns - t0_ns > TALK_NS ? t1_ns : clamp(t0_ns, TALK_NS);
		break;
	}
	if (*to_ns <= *from_ns) {
		*from_ns = *from_ns < OBS_TIME_MAX_NS ? *from_ns : OBS_TIME_MAX_NS - 1;
		*to_ns = *from_ns + 1;
	}
}
