/* Error texts, result codes and hexadecimal: the small change of every call. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/errmsg.h"
#include "base/hex.h"

static void test_errmsg_the_deepest_cause_wins(void **state)
{
	struct errmsg why = ERRMSG_INIT;

	(void)state;
	assert_string_equal(errmsg_text(&why, RC_LIMIT), rc_text(RC_LIMIT));
	assert_int_equal(errmsg_rc(&why, RC_INVALID, "field %s", "start"), RC_INVALID);
	assert_int_equal(errmsg_rc(&why, RC_IO, "outer"), RC_IO);
	errmsg_set(&why, "outermost");
	assert_string_equal(errmsg_text(&why, RC_IO), "field start");
	errmsg_reset(&why);
	errmsg_set(&why, "again");
	assert_string_equal(why.text, "again");
}

static void test_errmsg_may_be_null(void **state)
{
	(void)state;
	errmsg_reset(NULL);
	errmsg_set(NULL, "nobody");
	assert_int_equal(errmsg_rc(NULL, RC_BUSY, "nobody"), RC_BUSY);
	assert_string_equal(errmsg_text(NULL, RC_BUSY), rc_text(RC_BUSY));
}

static void test_errmsg_cuts_long_texts(void **state)
{
	struct errmsg why = ERRMSG_INIT;
	char text[2 * ERRMSG_BYTES];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	errmsg_set(&why, "%s", text);
	assert_int_equal(strlen(why.text), ERRMSG_BYTES - 1);
	errmsg_reset(&why);
	errno = EIO;
	assert_int_equal(errmsg_errno(&why, "%s", text), RC_IO);
	assert_int_equal(strlen(why.text), ERRMSG_BYTES - 1);
}

static void test_errmsg_errno_picks_the_result_code(void **state)
{
	static const struct {
		int err;
		enum rc rc;
	} rows[] = { { ENOSPC, RC_FULL }, { EDQUOT, RC_FULL }, { ENOMEM, RC_NOMEM },
		{ ENOENT, RC_NOTFOUND }, { EACCES, RC_DENIED }, { EIO, RC_IO } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct errmsg why = ERRMSG_INIT;
		errno = rows[i].err;
		assert_int_equal(errmsg_errno(&why, "cannot open %s", "f"), rows[i].rc);
		assert_non_null(strstr(why.text, "cannot open f: "));
		assert_non_null(strstr(why.text, strerror(rows[i].err)));
	}
}

static void test_rc_words_are_distinct_and_out_of_range_is_unknown(void **state)
{
	(void)state;
	for (int a = 0; a <= RC_BUG; a++) {
		assert_true(strlen(rc_word((enum rc)a)) > 0);
		assert_true(strlen(rc_text((enum rc)a)) > 0);
		for (int b = 0; b < a; b++)
			assert_string_not_equal(rc_word((enum rc)a), rc_word((enum rc)b));
	}
	assert_string_equal(rc_word((enum rc)999), "unknown");
}

static void test_rc_exit_codes_are_those_of_the_contract(void **state)
{
	(void)state;
	assert_int_equal(rc_exit_code(RC_OK), 0);
	assert_int_equal(rc_exit_code(RC_INVALID), 1);
	assert_int_equal(rc_exit_code(RC_CONFIG), 3);
	assert_int_equal(rc_exit_code(RC_CORRUPT), 4);
	assert_int_equal(rc_exit_code(RC_BUDGET), 5);
	assert_int_equal(EXIT_USAGE, 2);
	assert_int_equal(EXIT_SKIPPED, 77);
}

static void test_hex_goes_both_ways_and_is_strict(void **state)
{
	uint8_t bytes[3] = { 0 };
	char text[7];

	(void)state;
	hex_encode((const uint8_t *)"\x00\xAB\x7F", 3, text);
	assert_string_equal(text, "00ab7f");
	assert_int_equal(hex_decode("00aB7F", bytes, 3), RC_OK);
	assert_memory_equal(bytes, "\x00\xAB\x7F", 3);
	assert_int_equal(hex_decode("00ab7", bytes, 3), RC_INVALID);
	assert_int_equal(hex_decode("00ab7f0", bytes, 3), RC_INVALID);
	assert_int_equal(hex_decode("00ab7g", bytes, 3), RC_INVALID);
	assert_int_equal(hex_decode("0x0ab7", bytes, 3), RC_INVALID);
	assert_int_equal(hex_decode("", bytes, 0), RC_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errmsg_the_deepest_cause_wins),
		cmocka_unit_test(test_errmsg_may_be_null),
		cmocka_unit_test(test_errmsg_cuts_long_texts),
		cmocka_unit_test(test_errmsg_errno_picks_the_result_code),
		cmocka_unit_test(test_rc_words_are_distinct_and_out_of_range_is_unknown),
		cmocka_unit_test(test_rc_exit_codes_are_those_of_the_contract),
		cmocka_unit_test(test_hex_goes_both_ways_and_is_strict),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
