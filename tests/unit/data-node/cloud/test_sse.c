/* Server-sent events: lines and events out of pieces of any size, and what is no stream. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cloud/sse.h"

#define BYTES_MAX ((size_t)1 << 20)

struct seen {
	int n, stop_at;
	char all[512];
};

static bool on_event(void *ctx, const char *data)
{
	struct seen *s = ctx;
	size_t len = strlen(s->all);

	(void)snprintf(s->all + len, sizeof(s->all) - len, "[%s]", data);
	return ++s->n != s->stop_at;
}

static void check(const char *bytes, size_t len, const char *want)
{
	for (size_t step = 1; step <= len; step++) {
		struct seen s = { 0 };
		struct sse sse;
		sse_init(&sse, BYTES_MAX, on_event, &s);
		for (size_t i = 0; i < len; i += step)
			assert_true(sse_push(&sse, bytes + i, len - i < step ? len - i : step));
		assert_string_equal(s.all, want);
		sse_fini(&sse);
	}
}

static void test_events_come_out_of_pieces_of_any_size(void **state)
{
	static const char bytes[] = ": comment\r\n\r\ndata: one\n\ndata:two\ndata: three\n\n"
				    "event: x\nid: 4\n\ndata: \n\ndata: [DONE]\n\ndata: cut off";

	(void)state;
	check(bytes, sizeof(bytes) - 1, "[one][two\nthree][][[DONE]]");
}

static void test_lines_end_in_all_three_ways(void **state)
{
	static const char bytes[] = "\xEF\xBB\xBF"
				    "data: a\r\rdata: b\r\n\r\ndata: c\n\n\rdata: d\n\r";

	(void)state;
	check(bytes, sizeof(bytes) - 1, "[a][b][c][d]");
}

static void test_a_stream_stops_when_the_callback_says_so(void **state)
{
	struct seen s = { .stop_at = 1 };
	struct sse sse;

	(void)state;
	sse_init(&sse, BYTES_MAX, on_event, &s);
	assert_false(sse_push(&sse, "data: a\n\ndata: b\n\n", 18));
	assert_string_equal(s.all, "[a]");
	sse_fini(&sse);
}

static void test_endless_lines_and_events_are_refused(void **state)
{
	static const char line[] = "data: 0123456789012345678901234567890123456789\n";
	struct seen s = { 0 };
	char block[65536];
	struct sse sse;
	bool ok = true;

	(void)state;
	memset(block, 'x', sizeof(block));
	sse_init(&sse, BYTES_MAX, on_event, &s);
	for (size_t i = 0; ok && i <= BYTES_MAX / sizeof(block); i++)
		ok = sse_push(&sse, block, sizeof(block));
	assert_false(ok);
	sse_fini(&sse);
	sse_init(&sse, BYTES_MAX, on_event, &s);
	ok = true;
	for (size_t i = 0; ok && i <= BYTES_MAX / 32; i++)
		ok = sse_push(&sse, line, sizeof(line) - 1);
	assert_false(ok);
	assert_int_equal(s.n, 0);
	sse_fini(&sse);
}

static void test_a_stream_with_a_nul_is_refused(void **state)
{
	struct seen s = { 0 };
	struct sse sse;

	(void)state;
	sse_init(&sse, BYTES_MAX, on_event, &s);
	assert_false(sse_push(&sse, "data: a\0b\n\n", 11));
	assert_int_equal(s.n, 0);
	sse_fini(&sse);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events_come_out_of_pieces_of_any_size),
		cmocka_unit_test(test_lines_end_in_all_three_ways),
		cmocka_unit_test(test_a_stream_stops_when_the_callback_says_so),
		cmocka_unit_test(test_endless_lines_and_events_are_refused),
		cmocka_unit_test(test_a_stream_with_a_nul_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
