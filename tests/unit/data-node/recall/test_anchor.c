/* Anchors: what a question says it is before, after, since; and which range that is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "recall/anchor.h"

static const struct row {
	enum language language;
	const char *question, *what;
	enum anchor_side side;
	int64_t distance_days;
} table[] = {
	{ LANGUAGE_EN, "what did I eat before the dentist?", "the dentist", ANCHOR_BEFORE, 0 },
	{ LANGUAGE_EN, "After the trip to Lisbon, who called", "the trip to Lisbon", ANCHOR_AFTER,
	    0 },
	{ LANGUAGE_EN, "where was I two days after Noor's birthday", "Noor's birthday",
	    ANCHOR_AFTER, 2 },
	{ LANGUAGE_EN, "the day before the exam", "the exam", ANCHOR_BEFORE, 1 },
	{ LANGUAGE_EN, "what has changed since the move", "the move", ANCHOR_SINCE, 0 },
	{ LANGUAGE_EN, "who spoke during the board meeting?", "the board meeting", ANCHOR_DURING,
	    0 },
	{ LANGUAGE_DE, "Wo war ich vor dem Zahnarzt?", "dem Zahnarzt", ANCHOR_BEFORE, 0 },
	{ LANGUAGE_DE, "zwei Wochen nach dem Umzug", "dem Umzug", ANCHOR_AFTER, 14 },
	{ LANGUAGE_DE, "Wer rief während der Feier an", "der Feier an", ANCHOR_DURING, 0 },
	{ LANGUAGE_ES, "¿qué comí antes del dentista?", "dentista", ANCHOR_BEFORE, 0 },
	{ LANGUAGE_ES, "tres días después de la boda", "la boda", ANCHOR_AFTER, 3 },
	{ LANGUAGE_FR, "où étais-je avant le dentiste ?", "le dentiste ", ANCHOR_BEFORE, 0 },
	{ LANGUAGE_FR, "deux jours après le mariage", "le mariage", ANCHOR_AFTER, 2 },
};

static void check_bytes(const char *question, size_t begin, size_t end, const char *want)
{
	if (end - begin != strlen(want) || memcmp(question + begin, want, end - begin) != 0)
		fail_msg("%s: \"%.*s\", not \"%s\"", question, (int)(end - begin), question + begin,
		    want);
}

static void test_questions_name_what_they_are_about(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		const struct row *row = &table[i];
		struct anchor anchor;
		anchor_parse(row->question, strlen(row->question), &row->language, 1, &anchor);
		if (!anchor.found)
			fail_msg("nothing found in: %s", row->question);
		check_bytes(row->question, anchor.what_begin, anchor.what_end, row->what);
		assert_int_equal(anchor.side, row->side);
		assert_int_equal(anchor.distance_ns, row->distance_days * NS_PER_DAY);
	}
}

static void test_other_questions_name_nothing(void **state)
{
	static const char *const questions[] = { "", "who is Mia", "what comes after", "before?" };
	struct anchor anchor;

	(void)state;
	for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
		anchor_parse(questions[i], strlen(questions[i]), NULL, 0, &anchor);
		assert_false(anchor.found);
	}
}

static void test_ranges_lie_where_they_should(void **state)
{
	const int64_t t0 = 1000 * NS_PER_DAY, t1 = t0 + NS_PER_HOUR, now = 2000 * NS_PER_DAY;
	struct anchor anchor = { .found = true, .side = ANCHOR_BEFORE };
	int64_t from, to;

	(void)state;
	anchor_range(&anchor, t0, t1, now, &from, &to);
	assert_true(from == t0 - ANCHOR_NEAR_NS && to == t0);
	anchor.side = ANCHOR_AFTER;
	anchor_range(&anchor, t0, t1, now, &from, &to);
	assert_true(from == t1 + 1 && to == t1 + ANCHOR_NEAR_NS);
	anchor.distance_ns = 2 * NS_PER_DAY;
	anchor.margin_ns = NS_PER_DAY / 2;
	anchor_range(&anchor, t0, t1, now, &from, &to);
	assert_true(from == t1 + NS_PER_DAY * 3 / 2 && to == t1 + NS_PER_DAY * 5 / 2);
	anchor.side = ANCHOR_SINCE;
	anchor_range(&anchor, t0, t1, now, &from, &to);
	assert_true(from == t1 + 1 && to == now);
	anchor.side = ANCHOR_DURING;
	anchor_range(&anchor, t0, t1, now, &from, &to);
	assert_true(from == t0 && to == t0 + 3 * NS_PER_HOUR);
	/* At the edge of what times can be it stays a range. */
	anchor.side = ANCHOR_AFTER;
	anchor_range(&anchor, INT64_MAX - 5, INT64_MAX - 5, now, &from, &to);
	assert_true(from < to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_questions_name_what_they_are_about),
		cmocka_unit_test(test_other_questions_name_nothing),
		cmocka_unit_test(test_ranges_lie_where_they_should),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
