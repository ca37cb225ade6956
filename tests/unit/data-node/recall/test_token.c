/* Tokens: folding, stems with their exact form, pairs, any bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "base/utf8.h"
#include "recall/token.h"

static char joined[4096];
static struct token_rules rules;

static int setup(void **state)
{
	(void)state;
	return stemmer_new(&rules.stemmer) == RC_OK ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	assert_false(stemmer_failed(rules.stemmer));
	stemmer_free(rules.stemmer);
	return 0;
}

static bool join(void *ctx, const struct token *token)
{
	const size_t *limit = ctx;
	size_t len = strlen(joined);

	(void)snprintf(joined + len, sizeof joined - len, "%s%s%.*s%s", len == 0 ? "" : " ",
	    token->exact   ? "="
	    : token->other ? "~"
			   : "",
	    (int)token->len, token->text, token->stop && !token->exact && !token->other ? "*" : "");
	return limit == NULL || strlen(joined) < *limit;
}

static void check(const char *text, const char *want)
{
	joined[0] = '\0';
	token_scan(&rules, text, strlen(text), join, NULL);
	if (strcmp(joined, want) != 0)
		fail_msg("\"%s\" gave \"%s\", not \"%s\"", text, joined, want);
}

/* Read in `language`, then in English too if `other`. */
static void check_in(enum language language, bool other, const char *text, const char *want)
{
	rules.languages[0] = language;
	rules.languages[1] = LANGUAGE_EN;
	rules.languages_len = other ? 2 : 1;
	check(text, want);
	rules.languages_len = 0;
}

static void test_words_are_folded_and_split(void **state)
{
	(void)state;
	check("", "");
	check("Hello, World! 42", "hello world 42");
	check("Café Müller Straße", "cafe muller strass =strasse");
	check("ÅNGSTRÖM œuvre Łódź İstanbul", "angstrom oeuvr =oeuvre lodz istanbul");
	check("Ｆｕｌｌ　ｗｉｄｔｈ", "full width");
	check("Привет МИР", "привет мир");
	check("Αθήνα ΣΟΦΟΣ", "αθηνα σοφοσ");
	check("e\xCC\x81t\xC3\xA9", "ete");
	check("Tiếng Việt", "tieng viet");
}

static void test_apostrophes_join_words_but_end_genitives(void **state)
{
	(void)state;
	check("don't Mia's o\xE2\x80\x99"
	      "clock",
	    "dont* mia oclock");
	check("dogs' bowl", "dog =dogs bowl");
}

static void test_english_words_keep_their_exact_form_beside_the_stem(void **state)
{
	(void)state;
	check("running runs ran", "run =running run =runs run =ran");
	check("parties cities boxes classes",
	    "parti =parties citi =cities box =boxes class =classes");
	check("baked baking bake", "bake =baked bake =baking bake");
	check("bought buying buy", "buy =bought buy =buying buy");
	check("evening morning during", "evening morn =morning dure* =during");
}

static void test_words_of_other_languages_have_their_own_stems(void **state)
{
	(void)state;
	check_in(LANGUAGE_DE, false, "gekauft kaufen eingekauft Häuser",
	    "kauf =gekauft kauf =kaufen einkauf =eingekauft haus =hauser");
	check_in(LANGUAGE_DE, false, "ging getroffen telefoniert wann",
	    "geh =ging treff =getroffen telefoni =telefoniert wann*");
	check_in(LANGUAGE_ES, false, "compré compramos canciones dónde",
	    "compr =compre compr =compramos cancion =canciones dond* =donde");
	check_in(LANGUAGE_FR, false, "mangé mangeons vu quand",
	    "mang =mange mangeon =mangeons voir =vu quand*");
	check_in(LANGUAGE_RU, false, "книги книга", "книг =книги книг =книга");
	/* A word of another script is read as what that script is. */
	check_in(LANGUAGE_EN, false, "книги running", "книг =книги run =running");
	check_in(LANGUAGE_ZH, false, "running 東京", "run =running 東京");
	check_in(
	    LANGUAGE_DE, true, "Meetings kaufen", "meeting =meetings ~meet kauf =kaufen ~kaufen");
}

static void test_scripts_without_spaces_give_pairs(void **state)
{
	(void)state;
	check("東京都", "東京 京都");
	check("猫", "猫");
	check("昨日は寿司 in 東京", "昨日 日は は寿 寿司 in* 東京");
	check("안녕하세요", "안녕 녕하 하세 세요");
}

static void test_stop_words_are_marked(void **state)
{
	(void)state;
	check("What did I eat", "what* did* i* eat");
}

static void test_a_visitor_can_stop_the_scan(void **state)
{
	size_t limit = 3;

	(void)state;
	joined[0] = '\0';
	token_scan(&rules, "one two three four", 18, join, &limit);
	assert_string_equal(joined, "one");
}

struct bounds {
	size_t len, last_end;
};

static bool check_bounds(void *ctx, const struct token *token)
{
	struct bounds *bounds = ctx;

	assert_true(token->len > 0 && token->len <= TOKEN_BYTES_MAX + 4);
	assert_true(utf8_valid(token->text, token->len));
	assert_true(token->begin < token->end && token->end <= bounds->len);
	return true;
}

static void test_any_bytes_give_valid_bounded_tokens(void **state)
{
	uint64_t seed = 11;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		char text[96];
		struct bounds bounds = { .len = random_next(&seed) % sizeof text };
		for (size_t i = 0; i < bounds.len; i++)
			text[i] =
			    (char)(random_next(&seed) % 3 == 0 ? random_next(&seed)
							       : 'a' + random_next(&seed) % 26);
		token_scan(&rules, text, bounds.len, check_bounds, &bounds);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words_are_folded_and_split),
		cmocka_unit_test(test_apostrophes_join_words_but_end_genitives),
		cmocka_unit_test(test_english_words_keep_their_exact_form_beside_the_stem),
		cmocka_unit_test(test_words_of_other_languages_have_their_own_stems),
		cmocka_unit_test(test_scripts_without_spaces_give_pairs),
		cmocka_unit_test(test_stop_words_are_marked),
		cmocka_unit_test(test_a_visitor_can_stop_the_scan),
		cmocka_unit_test(test_any_bytes_give_valid_bounded_tokens),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
