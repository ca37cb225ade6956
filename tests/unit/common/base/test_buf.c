/* Buffer: hard maximum, sticky errors, JSON strings, consuming. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/random.h"
#include "base/utf8.h"

static void test_buf_collects_what_is_appended(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 1000);
	assert_string_equal(buf_text(&buf), "");
	buf_puts(&buf, "one");
	buf_putc(&buf, ' ');
	buf_append(&buf, "two\0three", 9);
	buf_printf(&buf, " %d", 4);
	assert_int_equal(buf_rc(&buf), RC_OK);
	assert_int_equal(buf.len, 15);
	assert_memory_equal(buf.bytes, "one two\0three 4", 16);
	buf_fini(&buf);
	assert_null(buf.bytes);
}

static void test_buf_stops_at_its_maximum_and_the_error_sticks(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 10);
	buf_puts(&buf, "12345678");
	buf_puts(&buf, "90a");
	assert_int_equal(buf_rc(&buf), RC_LIMIT);
	assert_int_equal(buf.len, 8);
	buf_putc(&buf, 'x'); /* would fit, but one append is missing already */
	assert_string_equal(buf_text(&buf), "12345678");
	buf_reset(&buf);
	assert_int_equal(buf_rc(&buf), RC_OK);
	buf_puts(&buf, "0123456789");
	assert_int_equal(buf_rc(&buf), RC_OK);
	buf_printf(&buf, "%s", "y");
	assert_int_equal(buf_rc(&buf), RC_LIMIT);
	buf_fini(&buf);
}

static void test_buf_equals_a_plain_array_on_random_operations(void **state)
{
	enum { MAX = 5000 };
	static char want[MAX];
	char piece[300];
	struct buf buf;
	size_t len = 0;
	uint64_t seed = 7;

	(void)state;
	buf_init(&buf, MAX);
	for (int i = 0; i < 5000; i++) {
		size_t n = random_next(&seed) % sizeof(piece);
		if (random_next(&seed) % 3 == 0 || len + n > MAX) {
			n = len == 0 ? 0 : random_next(&seed) % (len + 1);
			buf_consume(&buf, n);
			memmove(want, want + n, len - n);
			len -= n;
		} else {
			for (size_t k = 0; k < n; k++)
				piece[k] = (char)random_next(&seed);
			buf_append(&buf, piece, n);
			memcpy(want + len, piece, n);
			len += n;
		}
		assert_int_equal(buf_rc(&buf), RC_OK);
		assert_int_equal(buf.len, len);
		if (len > 0)
			assert_memory_equal(buf.bytes, want, len);
	}
	buf_fini(&buf);
}

static void test_buf_take_hands_the_memory_over(void **state)
{
	struct buf buf;
	size_t len;

	(void)state;
	buf_init(&buf, 100);
	buf_puts(&buf, "mine");
	uint8_t *bytes = buf_take(&buf, &len);
	assert_int_equal(len, 4);
	assert_string_equal((char *)bytes, "mine");
	assert_int_equal(buf.len, 0);
	buf_puts(&buf, "next");
	assert_string_equal(buf_text(&buf), "next");
	free(bytes);
	buf_fini(&buf);
}

static void test_buf_json_string_escapes_what_json_asks_for(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "", "\"\"" },
		{ "plain", "\"plain\"" },
		{ "a\"b\\c", "\"a\\\"b\\\\c\"" },
		{ "line\nend\r\t", "\"line\\nend\\u000d\\u0009\"" },
		{ "\x01\x1f\x7f", "\"\\u0001\\u001f\x7f\"" },
		{ "Zür\xC3\xBC", "\"Zür\xC3\xBC\"" },
		{ "\xF0\x9F\x8D\x9D", "\"\xF0\x9F\x8D\x9D\"" },
		{ "cut\xF0\x9F", "\"cut\xEF\xBF\xBD\xEF\xBF\xBD\"" },
		{ "\xED\xA0\x80", "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"" },
		{ "\xC0\xAF", "\"\xEF\xBF\xBD\xEF\xBF\xBD\"" },
	};
	struct buf buf;

	(void)state;
	buf_init(&buf, 1000);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		buf_reset(&buf);
		buf_json_string(&buf, rows[i].in, strlen(rows[i].in));
		assert_string_equal(buf_text(&buf), rows[i].out);
	}
	buf_fini(&buf);
}

static void test_buf_json_string_is_valid_utf8_for_any_bytes(void **state)
{
	char text[64];
	struct buf buf;
	uint64_t seed = 3;

	(void)state;
	buf_init(&buf, 10000);
	for (int i = 0; i < 20000; i++) {
		size_t len = random_next(&seed) % sizeof(text);
		for (size_t k = 0; k < len; k++)
			text[k] = (char)random_next(&seed);
		buf_reset(&buf);
		buf_json_string(&buf, text, len);
		assert_int_equal(buf_rc(&buf), RC_OK);
		assert_true(utf8_valid(buf.bytes, buf.len));
		for (size_t k = 0; k < buf.len; k++)
			assert_true(buf.bytes[k] >= 0x20);
	}
	buf_fini(&buf);
}

static void test_buf_reserved_or_over_storage_does_not_move(void **state)
{
	char storage[8];
	struct buf buf;

	(void)state;
	buf_init(&buf, 1000);
	buf_reserve(&buf, 600);
	const uint8_t *bytes = buf.bytes;
	for (int i = 0; i < 600; i++)
		buf_putc(&buf, 'x');
	assert_int_equal(buf_rc(&buf), RC_OK);
	assert_ptr_equal(buf.bytes, bytes);
	buf_reserve(&buf, 10);
	assert_int_equal(buf.len, 600);
	buf_fini(&buf);
	buf_init_over(&buf, storage, sizeof(storage));
	assert_string_equal(buf_text(&buf), "");
	buf_puts(&buf, "seven b");
	assert_int_equal(buf_rc(&buf), RC_OK);
	assert_string_equal(storage, "seven b");
	buf_putc(&buf, 'y');
	assert_int_equal(buf_rc(&buf), RC_LIMIT);
	assert_string_equal(storage, "seven b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buf_collects_what_is_appended),
		cmocka_unit_test(test_buf_reserved_or_over_storage_does_not_move),
		cmocka_unit_test(test_buf_stops_at_its_maximum_and_the_error_sticks),
		cmocka_unit_test(test_buf_equals_a_plain_array_on_random_operations),
		cmocka_unit_test(test_buf_take_hands_the_memory_over),
		cmocka_unit_test(test_buf_json_string_escapes_what_json_asks_for),
		cmocka_unit_test(test_buf_json_string_is_valid_utf8_for_any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
