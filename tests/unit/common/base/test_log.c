/* Log: the shape of a line, levels, one event one line, the length limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"

static int64_t fixed_utc_ns(void *ctx)
{
	(void)ctx;
	return INT64_C(1795113000123456789);
}

static const struct clock_source fixed = { fixed_utc_ns, fixed_utc_ns, NULL };

/* What `say` writes to standard error. */
static size_t captured(void (*say)(void), char *out, size_t cap)
{
	int ends[2];
	int saved = dup(STDERR_FILENO);

	assert_true(saved >= 0);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	clock_replace(&fixed);
	say();
	clock_replace(NULL);
	assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	(void)close(saved);
	(void)close(ends[1]);
	size_t len = 0;
	ssize_t n;
	while (len < cap - 1 && (n = read(ends[0], out + len, cap - 1 - len)) > 0)
		len += (size_t)n;
	(void)close(ends[0]);
	out[len] = '\0';
	return len;
}

static void say_one(void)
{
	log_info("ALIGN-GAP", "source=%s gap_ms=%d", "phone", 1200);
}

static void test_log_line_has_time_level_id_and_pairs(void **state)
{
	char out[4096];

	(void)state;
	(void)captured(say_one, out, sizeof(out));
	assert_string_equal(
	    out, "2026-11-19T18:30:00.123Z info ALIGN-GAP source=phone gap_ms=1200\n");
}

static void say_all_levels(void)
{
	log_error("A-ERROR", "n=1");
	log_warn("A-WARN", "n=2");
	log_info("A-INFO", "n=3");
	log_debug("A-DEBUG", "n=4");
}

static void test_log_drops_lines_above_its_level(void **state)
{
	char out[4096];

	(void)state;
	log_set_level(LOG_LEVEL_WARN);
	(void)captured(say_all_levels, out, sizeof(out));
	log_set_level(LOG_LEVEL_INFO);
	assert_non_null(strstr(out, " error A-ERROR n=1\n"));
	assert_non_null(strstr(out, " warn A-WARN n=2\n"));
	assert_null(strstr(out, "A-INFO"));
	(void)captured(say_all_levels, out, sizeof(out));
	assert_non_null(strstr(out, " info A-INFO n=3\n"));
	assert_null(strstr(out, "A-DEBUG"));
}

static void say_broken(void)
{
	log_info("NET-PEER", "why=%s", "two\nlines\tand\x1b[31m");
}

static void test_log_event_stays_on_one_line(void **state)
{
	char out[4096];

	(void)state;
	(void)captured(say_broken, out, sizeof(out));
	assert_non_null(strstr(out, "NET-PEER why=two?lines?and?[31m\n"));
	assert_ptr_equal(strchr(out, '\n'), out + strlen(out) - 1);
}

static void say_long(void)
{
	char text[5000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_info("NET-LONG", "why=%s", text);
}

static void test_log_line_is_cut_at_its_limit_and_still_ends(void **state)
{
	char out[8192];

	(void)state;
	size_t len = captured(say_long, out, sizeof(out));
	assert_in_range(len, 900, 1024);
	assert_int_equal(out[len - 1], '\n');
}

static void test_log_level_words_are_known(void **state)
{
	(void)state;
	assert_int_equal(log_level_parse("error"), LOG_LEVEL_ERROR);
	assert_int_equal(log_level_parse("debug"), LOG_LEVEL_DEBUG);
	assert_int_equal(log_level_parse("DEBUG"), -1);
	assert_int_equal(log_level_parse(""), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_log_line_has_time_level_id_and_pairs),
		cmocka_unit_test(test_log_drops_lines_above_its_level),
		cmocka_unit_test(test_log_event_stays_on_one_line),
		cmocka_unit_test(test_log_line_is_cut_at_its_limit_and_still_ends),
		cmocka_unit_test(test_log_level_words_are_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
