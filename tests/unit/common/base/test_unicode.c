/* Unicode properties on characters of every kind that the code tells apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/unicode.h"

static void test_categories_are_those_of_the_standard(void **state)
{
	static const struct {
		uint32_t cp;
		enum unicode_category category;
	} cases[] = {
		{ 'A', UNICODE_LU },
		{ 'z', UNICODE_LL },
		{ 0x01C5, UNICODE_LT },
		{ 0x02B0, UNICODE_LM },
		{ 0x4E2D, UNICODE_LO },
		{ 0xAC00, UNICODE_LO },
		{ 0x9FFF, UNICODE_LO },
		{ 0x0301, UNICODE_MN },
		{ 0x0903, UNICODE_MC },
		{ 0x20DD, UNICODE_ME },
		{ '7', UNICODE_ND },
		{ 0x0663, UNICODE_ND },
		{ 0x2160, UNICODE_NL },
		{ 0x00BD, UNICODE_NO },
		{ '_', UNICODE_PC },
		{ '-', UNICODE_PD },
		{ '(', UNICODE_PS },
		{ ')', UNICODE_PE },
		{ 0x00AB, UNICODE_PI },
		{ 0x00BB, UNICODE_PF },
		{ '!', UNICODE_PO },
		{ '+', UNICODE_SM },
		{ 0x20AC, UNICODE_SC },
		{ '^', UNICODE_SK },
		{ 0x1F600, UNICODE_SO },
		{ ' ', UNICODE_ZS },
		{ 0x2028, UNICODE_ZL },
		{ 0x2029, UNICODE_ZP },
		{ '\n', UNICODE_CC },
		{ 0x200D, UNICODE_CF },
		{ 0xE000, UNICODE_CO },
		{ 0xD800, UNICODE_CS },
		{ 0x0378, UNICODE_CN },
		{ 0x10FFFF, UNICODE_CN },
		{ 0x110000, UNICODE_CN },
		{ UINT32_MAX, UNICODE_CN },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(unicode_category(cases[i].cp), cases[i].category);
}

static void test_classes_agree_with_categories_everywhere(void **state)
{
	(void)state;
	for (uint32_t cp = 0; cp < 0x20000; cp++) {
		enum unicode_category c = unicode_category(cp);
		assert_int_equal(unicode_is_letter(cp), c >= UNICODE_LU && c <= UNICODE_LO);
		assert_int_equal(unicode_is_mark(cp), c >= UNICODE_MN && c <= UNICODE_ME);
		assert_int_equal(unicode_is_number(cp), c >= UNICODE_ND && c <= UNICODE_NO);
		assert_int_equal(unicode_is_punctuation(cp), c >= UNICODE_PC && c <= UNICODE_PO);
		assert_int_equal(unicode_is_symbol(cp), c >= UNICODE_SM && c <= UNICODE_SO);
	}
	assert_true(unicode_is_space(0x3000) && unicode_is_space(0x85) && unicode_is_space(0xA0));
	assert_false(unicode_is_space(0x200B) || unicode_is_space(0x1C));
	assert_true(unicode_is_ideograph(0x4E2D));
	assert_false(unicode_is_ideograph(0x3042)); /* hiragana has no ideographs */
}

static void test_lower_case_is_simple_and_of_one_character(void **state)
{
	(void)state;
	assert_int_equal(unicode_lower('Q'), 'q');
	assert_int_equal(unicode_lower('['), '[');
	assert_int_equal(unicode_lower(0xC4), 0xE4);     /* Ä */
	assert_int_equal(unicode_lower(0x0100), 0x0101); /* every other one */
	assert_int_equal(unicode_lower(0x0101), 0x0101);
	assert_int_equal(unicode_lower(0x0416), 0x0436);
	assert_int_equal(unicode_lower(0x1E9E), 0xDF);
	assert_int_equal(unicode_lower(0x10400), 0x10428);
	assert_int_equal(unicode_lower(0x4E2D), 0x4E2D);
}

static void check_base(uint32_t cp, size_t n, uint32_t a, uint32_t b, uint32_t c)
{
	const uint32_t expected[UNICODE_BASE_MAX] = { a, b, c };
	uint32_t out[UNICODE_BASE_MAX];

	assert_int_equal(unicode_base(cp, out), n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(out[i], expected[i]);
}

static void test_base_letters_lose_their_marks(void **state)
{
	(void)state;
	check_base('e', 1, 'e', 0, 0);
	check_base(0xE9, 1, 'e', 0, 0);
	check_base(0x1EAD, 1, 'a', 0, 0); /* two marks, nested decompositions */
	check_base(0x0301, 0, 0, 0, 0);
	check_base(0x0344, 0, 0, 0, 0); /* a mark made of marks */
	check_base(0x212B, 1, 'A', 0, 0);
	check_base(0xAC01, 3, 0x1100, 0x1161, 0x11A8);
	check_base(0xAC00, 2, 0x1100, 0x1161, 0);
	check_base(0x0903, 1, 0x0903, 0, 0); /* a spacing mark stays */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_categories_are_those_of_the_standard),
		cmocka_unit_test(test_classes_agree_with_categories_everywhere),
		cmocka_unit_test(test_lower_case_is_simple_and_of_one_character),
		cmocka_unit_test(test_base_letters_lose_their_marks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
