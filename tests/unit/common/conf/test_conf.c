/* Options: precedence, every type's borders, messages that name the place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/random.h"
#include "conf/conf.h"

struct values {
	const char *listen;
	struct conf_list models;
	bool verbose, quiet;
	int64_t threads;
	double temp;
	uint64_t budget;
	int64_t timeout_ns;
	int64_t from_ns;
};

static const struct conf_option options[] = {
	{ "listen", 0, CONF_STRING, offsetof(struct values, listen), "HOST:PORT", "127.0.0.1:1", 0,
	    0, false, "where" },
	{ "model", 'm', CONF_LIST, offsetof(struct values, models), "FILE", NULL, 0, 0, false,
	    "which" },
	{ "verbose", 'v', CONF_BOOL, offsetof(struct values, verbose), NULL, "false", 0, 0, false,
	    "more" },
	{ "quiet", 0, CONF_BOOL, offsetof(struct values, quiet), NULL, "true", 0, 0, false,
	    "less" },
	{ "threads", 't', CONF_INT, offsetof(struct values, threads), "N", "4", 1, 64, false,
	    "how many" },
	{ "temp", 0, CONF_REAL, offsetof(struct values, temp), "T", "0.5", 0, 2, false, "heat" },
	{ "budget", 0, CONF_BYTES, offsetof(struct values, budget), "BYTES", "1G", 0, 0, false,
	    "memory" },
	{ "timeout", 0, CONF_DURATION, offsetof(struct values, timeout_ns), "SECONDS", "120", 0, 0,
	    false, "patience" },
	{ "from", 0, CONF_TIME, offsetof(struct values, from_ns), "T", NULL, 0, 0, true, "since" },
	{ .name = NULL },
};
static const struct conf_command command = { "try", "FILE...", 1, 3, "tries things", "At length.",
	options };

static struct arena arena;
static struct values values;
static struct conf_argv rest;
static struct errmsg why;

static int setup(void **state)
{
	(void)state;
	arena_init(&arena, (size_t)1 << 20);
	memset(&values, 0, sizeof(values));
	errmsg_reset(&why);
	return conf_defaults(&command, &values, &arena, &why) == RC_OK ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	arena_fini(&arena);
	return 0;
}

/* Words up to a NULL. */
static enum rc argv_of(const char *first, ...)
{
	char *argv[32];
	int argc = 0;
	va_list ap;

	va_start(ap, first);
	for (const char *word = first; word != NULL; word = va_arg(ap, const char *))
		argv[argc++] = arena_strdup(&arena, word);
	va_end(ap);
	errmsg_reset(&why);
	return conf_parse_argv(&command, argc, argv, &values, &rest, &arena, &why);
}

static enum rc text_of(const char *text)
{
	errmsg_reset(&why);
	return conf_parse_text(&command, "my.conf", text, strlen(text), &values, &arena, &why);
}

static void test_conf_defaults_are_those_of_the_table(void **state)
{
	(void)state;
	assert_string_equal(values.listen, "127.0.0.1:1");
	assert_int_equal(values.models.n, 0);
	assert_false(values.verbose);
	assert_true(values.quiet);
	assert_int_equal(values.threads, 4);
	assert_true(values.temp == 0.5);
	assert_int_equal(values.budget, (uint64_t)1 << 30);
	assert_int_equal(values.timeout_ns, INT64_C(120000000000));
}

static void test_conf_flag_wins_over_file_over_default(void **state)
{
	(void)state;
	assert_int_equal(text_of("threads = 8\ntemp=1.5\nmodel = a\nmodel = b\n"), RC_OK);
	assert_int_equal(values.threads, 8);
	assert_int_equal(values.models.n, 2);
	assert_int_equal(argv_of("--threads", "2", "--model", "c", "x", NULL), RC_OK);
	assert_int_equal(values.threads, 2);
	assert_true(values.temp == 1.5);
	assert_int_equal(values.models.n, 1); /* a list given by flags replaces the file's */
	assert_string_equal(values.models.items[0], "c");
	assert_string_equal(values.listen, "127.0.0.1:1");
}

static void test_conf_flags_have_every_usual_spelling(void **state)
{
	(void)state;
	assert_int_equal(argv_of("--threads=3", "-m", "a", "-mb", "--verbose", "--no-quiet", "one",
			     "--", "--two", NULL),
	    RC_OK);
	assert_int_equal(values.threads, 3);
	assert_int_equal(values.models.n, 2);
	assert_string_equal(values.models.items[1], "b");
	assert_true(values.verbose);
	assert_false(values.quiet);
	assert_int_equal(rest.args_len, 2);
	assert_string_equal(rest.args[0], "one");
	assert_string_equal(rest.args[1], "--two");
	assert_int_equal(argv_of("-v", "-t7", "--budget=512M", "--timeout", "500ms", "--from",
			     "1970-01-01T00:00:01Z", "-", NULL),
	    RC_OK);
	assert_int_equal(values.threads, 7);
	assert_int_equal(values.budget, 512 << 20);
	assert_int_equal(values.timeout_ns, 500000000);
	assert_int_equal(values.from_ns, 1000000000);
	assert_string_equal(rest.args[0], "-");
}

static void test_conf_help_needs_no_argument(void **state)
{
	(void)state;
	assert_int_equal(argv_of("--help", NULL), RC_OK);
	assert_true(rest.help);
	assert_int_equal(argv_of("-h", NULL), RC_OK);
	assert_true(rest.help);
	assert_int_equal(argv_of("file", NULL), RC_OK);
	assert_false(rest.help);
}

static void assert_usage(const char *says, enum rc rc)
{
	assert_int_equal(rc, RC_INVALID);
	assert_non_null(strstr(why.text, says));
}

static void test_conf_usage_errors_name_the_option(void **state)
{
	(void)state;
	assert_usage("--nonsense", argv_of("--nonsense", "x", NULL));
	assert_usage("-q", argv_of("-q", "x", NULL));
	assert_usage("missing FILE", argv_of("-v", NULL));
	assert_usage("too many", argv_of("1", "2", "3", "4", NULL));
	assert_usage("--threads", argv_of("x", "--threads", NULL));
	assert_usage("from 1 to 64", argv_of("x", "--threads", "65", NULL));
	assert_usage("from 1 to 64", argv_of("x", "--threads", "0", NULL));
	assert_usage("whole number", argv_of("x", "--threads", "2.5", NULL));
	assert_usage("whole number", argv_of("x", "--threads", "", NULL));
	assert_usage("number", argv_of("x", "--temp", "nan", NULL));
	assert_usage("number", argv_of("x", "--temp", "hot", NULL));
	assert_usage("true or false", argv_of("x", "--verbose=maybe", NULL));
	assert_usage("size", argv_of("x", "--budget", "5X", NULL));
	assert_usage("size", argv_of("x", "--budget", "-1", NULL));
	assert_usage("size", argv_of("x", "--budget", "99999999T", NULL));
	assert_usage("duration", argv_of("x", "--timeout", "1y", NULL));
	assert_usage("time", argv_of("x", "--from", "2026-04-31T00:00:00Z", NULL));
	assert_usage("--no-threads", argv_of("x", "--no-threads", NULL));
}

static void test_conf_list_has_an_end(void **state)
{
	(void)state;
	for (int i = 0; i < CONF_LIST_MAX; i++)
		assert_int_equal(text_of("verbose = true\n"), RC_OK);
	char *text = arena_alloc(&arena, 100 * (size_t)CONF_LIST_MAX);
	assert_non_null(text);
	for (int i = 0; i <= CONF_LIST_MAX; i++)
		(void)snprintf(text + strlen(text), 32, "model = %d\n", i);
	assert_int_equal(text_of(text), RC_CONFIG);
	assert_non_null(strstr(why.text, "model"));
}

static void test_conf_file_errors_name_the_line(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{ "threads = 1\n\n# fine\nbogus = 2\n", "my.conf:4: " },
		{ "threads = 1\nthreads = 2\n", "my.conf:2: threads: given twice" },
		{ "threads\n", "my.conf:1: expected" },
		{ "threads = many\n", "my.conf:1: threads: must be a whole number" },
		{ "threads = 1\r\nbudget = 5Q", "my.conf:2: budget" },
		{ "from = 5\n", "my.conf:1: no option `from`" }, /* a flag only */
		{ "= 5\n", "my.conf:1: " },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(text_of(rows[i].text), RC_CONFIG);
		assert_non_null(strstr(why.text, rows[i].says));
	}
	assert_int_equal(
	    conf_parse_text(&command, "my.conf", "temp = 1\n\0", 10, &values, &arena, NULL),
	    RC_CONFIG);
}

static void test_conf_file_lines_may_hold_blanks_and_comments(void **state)
{
	(void)state;
	assert_int_equal(text_of("\t listen  =  [::1]:8420   # where\r\n  # nothing\n\n"
				 "model = /a b/c#d.gguf\nverbose=yes"),
	    RC_OK);
	assert_string_equal(values.listen, "[::1]:8420");
	assert_string_equal(values.models.items[0], "/a b/c#d.gguf");
	assert_true(values.verbose);
}

static void test_conf_reads_a_file_and_says_when_there_is_none(void **state)
{
	char path[] = "/tmp/hearth-test-conf.XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "threads = 9\n", 12), 12);
	(void)close(fd);
	assert_int_equal(conf_parse_file(&command, path, &values, &arena, &why), RC_OK);
	assert_int_equal(values.threads, 9);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(conf_parse_file(&command, path, &values, &arena, &why), RC_NOTFOUND);
	assert_non_null(strstr(why.text, path));
}

static void test_conf_sizes_and_durations_are_exact(void **state)
{
	uint64_t bytes;
	int64_t ns;

	(void)state;
	assert_int_equal(conf_bytes("0", &bytes), RC_OK);
	assert_int_equal(bytes, 0);
	assert_int_equal(conf_bytes("1.5K", &bytes), RC_OK);
	assert_int_equal(bytes, 1536);
	assert_int_equal(conf_bytes("2TiB", &bytes), RC_OK);
	assert_int_equal(bytes, (uint64_t)2 << 40);
	assert_int_equal(conf_bytes("1 G", &bytes), RC_INVALID);
	assert_int_equal(conf_duration("90", &ns), RC_OK);
	assert_int_equal(ns, INT64_C(90000000000));
	assert_int_equal(conf_duration("0.5s", &ns), RC_OK);
	assert_int_equal(ns, 500000000);
	assert_int_equal(conf_duration("2h", &ns), RC_OK);
	assert_int_equal(ns, INT64_C(7200000000000));
	assert_int_equal(conf_duration("", &ns), RC_INVALID);
	assert_int_equal(conf_duration("-1s", &ns), RC_INVALID);
	assert_int_equal(conf_duration("1e300s", &ns), RC_INVALID);
}

static char *printed(void (*print)(const struct conf_command *, const char *, FILE *))
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	print(&command, "prog", out);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void test_conf_help_and_sample_show_every_option(void **state)
{
	char *help = printed(conf_print_help);
	char *sample = printed(conf_print_sample);

	(void)state;
	assert_non_null(strstr(help, "usage: prog try [options] FILE..."));
	assert_non_null(strstr(help, "At length."));
	for (const struct conf_option *o = options; o->name != NULL; o++) {
		assert_non_null(strstr(help, o->name));
		assert_true((strstr(sample, o->name) != NULL) == !o->flag_only);
	}
	/* The sample is a file that can be read, and changes nothing. */
	assert_int_equal(text_of(sample), RC_OK);
	assert_int_equal(values.threads, 4);
	free(help);
	free(sample);
}

static void test_conf_survives_any_text(void **state)
{
	static const char *const words[] = { "threads", "model", "=", " ", "\n", "#", "5", "temp",
		"\t", "x", "=", "\n", "\xFF", "-", "listen", "1e9", "\"", "\r" };
	char text[400];
	uint64_t seed = 9;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		size_t len = 0;
		while (len < 300 && random_next(&seed) % 40 != 0) {
			const char *word =
			    words[random_next(&seed) % (sizeof(words) / sizeof(words[0]))];
			memcpy(text + len, word, strlen(word));
			len += strlen(word);
		}
		arena_reset(&arena);
		memset(&values, 0, sizeof(values));
		errmsg_reset(&why);
		enum rc rc = conf_parse_text(&command, "f", text, len, &values, &arena, &why);
		assert_true(rc == RC_OK || rc == RC_CONFIG);
		assert_true((rc == RC_OK) == (why.text[0] == '\0'));
	}
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_conf_defaults_are_those_of_the_table),
		CASE(test_conf_flag_wins_over_file_over_default),
		CASE(test_conf_flags_have_every_usual_spelling),
		CASE(test_conf_help_needs_no_argument),
		CASE(test_conf_usage_errors_name_the_option),
		CASE(test_conf_list_has_an_end),
		CASE(test_conf_file_errors_name_the_line),
		CASE(test_conf_file_lines_may_hold_blanks_and_comments),
		CASE(test_conf_reads_a_file_and_says_when_there_is_none),
		CASE(test_conf_sizes_and_durations_are_exact),
		CASE(test_conf_help_and_sample_show_every_option),
		CASE(test_conf_survives_any_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
