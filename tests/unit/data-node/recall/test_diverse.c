/*
 * Candidates so that each says something new: repeats go behind, what is said again
 * at another time less far, what is merely near not at all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "recall/diverse.h"

#define HOUR_NS INT64_C(3600000000000)
#define MANY 300

struct bench {
	struct index *index;
	struct arena arena;
};

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof *b);

	assert_non_null(b);
	assert_int_equal(index_new(&b->index), RC_OK);
	arena_init(&b->arena, (size_t)4 << 20);
	/* "the" is everywhere, nothing else is known. */
	for (uint64_t seq = 1; seq <= 100; seq++) {
		index_begin(b->index, seq, 0, 0);
		index_add(b->index, "the", 3, INDEX_UNITS);
		assert_int_equal(index_end(b->index), RC_OK);
	}
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	index_free(b->index);
	arena_fini(&b->arena);
	free(b);
	return 0;
}

static void rank(struct bench *b, struct diverse_item *items, size_t n)
{
	assert_int_equal(diverse_rank(b->index, items, n, &b->arena), RC_OK);
	for (size_t i = 1; i < n; i++)
		assert_true(items[i].score <= items[i - 1].score);
}

/* The same message as phone, watch and laptop show it, and other things, all of less
 * relevance. */
static void test_what_several_sources_show_counts_once(void **state)
{
	struct diverse_item items[] = {
		{ .text = "Mia: the train leaves at nine from platform four", .score = 9 },
		{ .text = "Mia: the train leaves at nine from platform four", .score = 8.9 },
		{ .text = "Mia: The train leaves at nine, from platform four!", .score = 8.8 },
		{ .text = "Mia: the train leaves at nine from platform four", .score = 8.7 },
		{ .text = "tickets to Lindau are in the drawer", .score = 3 },
		{ .text = "platform four is closed for repairs", .score = 2 },
		{ .text = "nothing of it", .score = 1 },
	};
	static const size_t places[] = { 0, 4, 5, 6, 1, 2, 3 };

	rank(*state, items, 7);
	for (size_t i = 0; i < 7; i++)
		assert_int_equal(items[i].place, places[i]);
}

static void test_a_screen_with_little_changed_gives_way_to_something_else(void **state)
{
	struct diverse_item items[] = {
		{ .text = "budget sheet rent food travel insurance total 1410", .score = 10 },
		{ .text = "budget sheet rent food travel insurance total 1420", .score = 9 },
		{ .text = "insurance letter: the premium rises in May", .score = 7 },
	};

	rank(*state, items, 3);
	assert_int_equal(items[0].place, 0);
	assert_int_equal(items[1].place, 2);
	assert_int_equal(items[2].place, 1);
}

static void test_the_same_words_on_another_day_are_another_moment(void **state)
{
	struct diverse_item items[] = {
		{ .text = "took the blue pills after breakfast", .score = 10 },
		{ .text = "took the blue pills after breakfast",
		    .t0_ns = 24 * HOUR_NS,
		    .score = 9 },
		{ .text = "the pharmacy is closed on Sundays", .score = 2 },
	};

	rank(*state, items, 3);
	assert_int_equal(items[1].place, 1);
	items[1].t0_ns = HOUR_NS / 2;
	rank(*state, items, 3);
	assert_int_equal(items[2].place, 1);
}

static void test_words_that_say_little_make_nothing_alike(void **state)
{
	struct diverse_item items[] = {
		{ .text = "the the dog", .score = 10 },
		{ .text = "the the cat", .score = 9 },
		{ .text = "an owl", .score = 8.9 },
		{ .text = "", .score = 8.8 },
		{ .text = "", .score = 8.7 },
	};

	rank(*state, items, 5);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(items[i].place, i);
}

static void test_many_of_them_and_none(void **state)
{
	static struct diverse_item items[MANY];
	bool seen[MANY] = { false };

	for (size_t i = 0; i < MANY; i++)
		items[i] = (struct diverse_item){ .text = i % 3 == 0 ? "one thing" : "another one",
			.score = (double)(MANY - i) };
	rank(*state, items, MANY);
	for (size_t i = 0; i < MANY; i++) {
		assert_false(seen[items[i].place]);
		seen[items[i].place] = true;
		assert_true(i < DIVERSE_ITEMS_MAX || items[i].place == i);
	}
	rank(*state, items, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_what_several_sources_show_counts_once, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_a_screen_with_little_changed_gives_way_to_something_else, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_the_same_words_on_another_day_are_another_moment, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_words_that_say_little_make_nothing_alike, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_of_them_and_none, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
