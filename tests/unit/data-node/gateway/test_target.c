/* Request targets: decoding, limits and refusals; Host and Origin; times. */
#include "gateway_fixture.h"

#include "base/timestamp.h"
#include "gateway/guard.h"
#include "gateway/query.h"

static struct arena arena;

static int setup(void **state)
{
	(void)state;
	arena_init(&arena, (size_t)1 << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_fini(&arena);
	return 0;
}

static void test_path_and_parameters_are_decoded(void **state)
{
	struct api_request r = { 0 };

	(void)state;
	PASS(target_parse("/a%20b+c?x=1+2&y=%C3%A9&z&&w==", &arena, &r, &pass_why));
	assert_string_equal(r.path, "/a b+c");
	assert_int_equal(r.params_len, 4);
	assert_string_equal(api_param(&r, "x"), "1 2");
	assert_string_equal(api_param(&r, "y"), "é");
	assert_string_equal(api_param(&r, "z"), "");
	assert_string_equal(api_param(&r, "w"), "=");
	assert_null(api_param(&r, "v"));
}

static void test_broken_targets_are_refused(void **state)
{
	static const char *const bad[] = { "", "x", "http://h/x", "/%", "/%4", "/%zz", "/a%00b",
		"/?x=%00", "/?x=%ff", "/%c3", "/?x=1&x=2", "/?a=%e" };
	struct api_request r = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (target_parse(bad[i], &arena, &r, NULL) != RC_INVALID)
			fail_msg("target %zu was not refused", i);
	}
}

static void test_long_targets_are_refused(void **state)
{
	size_t len = TARGET_BYTES_MAX + 2;
	struct api_request r = { 0 };

	(void)state;
	char *text = malloc(len + 1);
	assert_non_null(text);
	memset(text, 'a', len);
	text[0] = '/';
	text[len] = 0;
	assert_int_equal(target_parse(text, &arena, &r, NULL), RC_LIMIT);
	text[TARGET_PATH_BYTES_MAX + 1] = 0;
	assert_int_equal(target_parse(text, &arena, &r, NULL), RC_LIMIT);
	text[TARGET_PATH_BYTES_MAX] = 0;
	assert_int_equal(target_parse(text, &arena, &r, NULL), RC_OK);
	memset(text, '&', 200);
	memcpy(text, "/?", 2);
	text[200] = 0;
	assert_int_equal(target_parse(text, &arena, &r, NULL), RC_LIMIT);
	free(text);
}

static void test_escaped_text_comes_back(void **state)
{
	struct api_request r = { 0 };
	char text[256];
	struct buf b;

	(void)state;
	for (int i = 1; i < 128; i++)
		text[i - 1] = (char)i;
	(void)snprintf(text + 127, sizeof(text) - 127, "é日\xF0\x9F\x94\xA5");
	buf_init(&b, 4096);
	buf_puts(&b, "/?q=");
	target_escape(&b, text);
	PASS(target_parse(buf_text(&b), &arena, &r, &pass_why));
	assert_string_equal(api_param(&r, "q"), text);
	buf_fini(&b);
}

static void test_only_our_hosts_pass(void **state)
{
	static const char *const good[] = { "localhost", "LocalHost:8420", "127.0.0.1",
		"127.0.0.1:1", "[::1]", "[::1]:8420", "home.example", "home.example:65535" };
	static const char *const bad[] = { "", "evil.com", "localhost.evil.com",
		"localhost:", "localhost:x", "localhost:99999", "127.0.0.1:8420:1", "[::1",
		"[::1]x", "[::2]", "127.0.0.2", "localhost@evil.com", " localhost" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		if (!guard_host(good[i], "home.example", false))
			fail_msg("%s was refused", good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (guard_host(bad[i], "home.example", false))
			fail_msg("%s passed", bad[i]);
	}
	assert_false(guard_host(NULL, NULL, true));
	assert_false(guard_host("home.example", NULL, false));
	assert_false(guard_host("home.example", NULL, true));
	assert_false(guard_host("192.168.1.4:8420", NULL, false));
	assert_true(guard_host("192.168.1.4:8420", NULL, true));
	assert_true(guard_host("[fd00::1]:8420", NULL, true));
	assert_false(guard_host("192.168.1.4.evil.example", NULL, true));
	assert_false(guard_host("[fd00::1", NULL, true));
	assert_false(guard_host("[]", NULL, true));
}

static void test_only_our_own_origin_passes(void **state)
{
	(void)state;
	assert_true(guard_origin(NULL, "localhost:8420"));
	assert_true(guard_origin("http://localhost:8420", "localhost:8420"));
	assert_true(guard_origin("https://LOCALHOST:8420", "localhost:8420"));
	assert_false(guard_origin("null", "localhost:8420"));
	assert_false(guard_origin("", "localhost:8420"));
	assert_false(guard_origin("http://localhost:3000", "localhost:8420"));
	assert_false(guard_origin("http://localhost:8420.evil.com", "localhost:8420"));
	assert_false(guard_origin("http://evil.com", "localhost:8420"));
	assert_false(guard_origin("chrome-extension://x", "localhost:8420"));
}

static void test_loopback_is_told_from_the_world(void **state)
{
	(void)state;
	assert_true(guard_loopback("127.0.0.1"));
	assert_true(guard_loopback("127.8.9.1"));
	assert_true(guard_loopback("::1"));
	assert_true(guard_loopback("localhost"));
	assert_false(guard_loopback("0.0.0.0"));
	assert_false(guard_loopback("::"));
	assert_false(guard_loopback("192.168.1.2"));
	assert_false(guard_loopback("example.com"));
}

static void test_times_are_read_in_both_forms(void **state)
{
	int64_t want = 0, got = 0;

	(void)state;
	assert_int_equal(timestamp_parse("2026-11-19T18:30:00.123+01:00", &want, NULL), RC_OK);
	assert_int_equal(query_parse_time("2026-11-19T18:30:00.123+01:00", &got), RC_OK);
	assert_int_equal(got, want);
	/* An unescaped plus arrives as a blank. */
	assert_int_equal(query_parse_time("2026-11-19T18:30:00.123 01:00", &got), RC_OK);
	assert_int_equal(got, want);
	assert_int_equal(query_parse_time("1763577000123000000", &got), RC_OK);
	assert_int_equal(got, INT64_C(1763577000123000000));
	assert_int_equal(query_parse_time("-1", &got), RC_OK);
	assert_int_equal(got, -1);
}

static void test_bad_times_are_refused(void **state)
{
	static const char *const bad[] = { "", "-", "yesterday", "2026-11-19",
		"2026-13-01T00:00:00Z", "99999999999999999999", "9223372036854775807", "1.5", "12x",
		"2026-11-19T18:30:00" };
	int64_t got = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (query_parse_time(bad[i], &got) != RC_INVALID)
			fail_msg("%s passed", bad[i]);
	}
	assert_int_equal(got, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_path_and_parameters_are_decoded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_broken_targets_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_targets_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_escaped_text_comes_back, setup, teardown),
		cmocka_unit_test(test_only_our_hosts_pass),
		cmocka_unit_test(test_only_our_own_origin_passes),
		cmocka_unit_test(test_loopback_is_told_from_the_world),
		cmocka_unit_test(test_times_are_read_in_both_forms),
		cmocka_unit_test(test_bad_times_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
