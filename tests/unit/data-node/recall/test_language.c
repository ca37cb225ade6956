/* Language: short messages in fifteen languages, and what must stay unknown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "language_cases.h"
#include "recall/language.h"

#define CASES (sizeof language_cases / sizeof language_cases[0])

static struct language_model *model;

static int setup(void **state)
{
	(void)state;
	return language_new(&model) == RC_OK ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	language_free(model);
	return 0;
}

static struct language_guess guess(const char *text)
{
	return language_detect(model, text, strlen(text));
}

static void check(const char *text, const char *want)
{
	const char *code = language_code(guess(text).language);

	if (strcmp(code, want) != 0)
		fail_msg("\"%s\" is \"%s\", not \"%s\"", text, code, want);
}

/* Never a wrong one, seldom none. */
static void test_short_messages_are_recognised(void **state)
{
	size_t texts = 0, right = 0, wrong = 0, refused = 0, none = 0;

	(void)state;
	for (size_t i = 0; i < CASES; i++) {
		const struct language_case *c = &language_cases[i];
		const char *code = language_code(guess(c->text).language);
		bool known = strcmp(c->code, "und") != 0;
		texts += known ? 1 : 0;
		if (strcmp(code, c->code) == 0) {
			right += known ? 1 : 0;
			refused += known ? 0 : 1;
			continue;
		}
		none += strcmp(code, "und") == 0 ? 1 : 0;
		wrong += strcmp(code, "und") != 0 ? 1 : 0;
		print_message("\"%s\" is \"%s\", not \"%s\"\n", c->text, code, c->code);
	}
	print_message("%zu of %zu texts recognised, %zu unknown; %zu of %zu others refused; "
		      "%zu wrong\n",
	    right, texts, none, refused, CASES - texts, wrong);
	assert_true(right * 100 >= texts * 95);
	assert_true(wrong * 100 <= CASES);
}

/* Typed in haste: no accents, no capitals, letters drawn out. */
static void test_careless_typing_is_recognised(void **state)
{
	(void)state;
	check("no se donde estas, manana hablamos", "es");
	check("nao sei o que voce quer", "pt");
	check("t'es ou? ca va pas du tout", "fr");
	check("weiss nicht ob das noch moeglich ist", "de");
	check("NO SORRY I CAN'T COME TODAY", "en");
	check("thaaaaanks sooooo much for the flowers!!!", "en");
	check("ma dove sei finitooo", "it");
}

static void test_addresses_and_names_say_nothing(void **state)
{
	(void)state;
	check("Schau mal https://example.org/this/is/the/one/that/you/want heute Abend", "de");
	check("@theodore_from_the_north", "und");
	check("see_you_there.jpg IMG_2031.JPG", "und");
}

static void test_mixed_scripts_go_to_the_larger_one(void **state)
{
	(void)state;
	check("Das Wort 東京 bedeutet einfach nur östliche Hauptstadt", "de");
	check("我买了一个新的 laptop", "zh");
	check("iPhone 케이스 어디서 샀어?", "ko");
	check("今日は meeting がある", "ja");
}

static void test_any_bytes_and_any_cut(void **state)
{
	uint64_t seed = 11;
	char text[600];

	(void)state;
	for (int round = 0; round < 3000; round++) {
		size_t len = random_next(&seed) % sizeof text;
		for (size_t i = 0; i < len; i++)
			text[i] = (char)random_next(&seed);
		struct language_guess g = language_detect(model, text, len);
		assert_true(g.confidence >= 0 && g.confidence <= 1);
		assert_true((g.language == LANGUAGE_UNKNOWN) == (g.confidence == 0));
	}
	const char *han = "我们可以改到星期四吗";
	for (size_t len = 0; len <= strlen(han); len++) {
		char *copy = malloc(len + 1); /* exact, so that a reader past it is caught */
		assert_non_null(copy);
		memcpy(copy, han, len);
		(void)language_detect(model, copy, len);
		free(copy);
	}
}

/* Random letters of no language: hardly ever taken for one. */
static void test_noise_is_unknown(void **state)
{
	uint64_t seed = 5;
	size_t taken = 0;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		char text[64];
		size_t len = 4 + random_next(&seed) % 40;
		for (size_t i = 0; i < len; i++) {
			uint64_t r = random_next(&seed) % 32;
			text[i] = r < 26 ? (char)('a' + r) : ' ';
		}
		if (language_detect(model, text, len).language != LANGUAGE_UNKNOWN)
			taken++;
	}
	print_message("%zu of 2000 noise texts taken for a language\n", taken);
	assert_true(taken <= 40);
}

static void test_two_models_agree(void **state)
{
	struct language_model *other = NULL;

	(void)state;
	assert_int_equal(language_new(&other), RC_OK);
	for (size_t i = 0; i < CASES; i++) {
		const char *text = language_cases[i].text;
		struct language_guess a = guess(text),
				      b = language_detect(other, text, strlen(text));
		assert_int_equal(a.language, b.language);
		assert_true(a.confidence >= b.confidence && a.confidence <= b.confidence);
	}
	language_free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_short_messages_are_recognised),
		cmocka_unit_test(test_careless_typing_is_recognised),
		cmocka_unit_test(test_addresses_and_names_say_nothing),
		cmocka_unit_test(test_mixed_scripts_go_to_the_larger_one),
		cmocka_unit_test(test_any_bytes_and_any_cut),
		cmocka_unit_test(test_noise_is_unknown),
		cmocka_unit_test(test_two_models_agree),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
