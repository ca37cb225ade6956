/* UTF-8 against a twin that knows only the table of RFC 3629 §4. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "base/utf8.h"

/* The ABNF of RFC 3629, row by row: the byte ranges of each sequence. */
static const struct {
	size_t n;
	uint8_t lo[4], hi[4];
} table[] = {
	{ 1, { 0x00 }, { 0x7F } },
	{ 2, { 0xC2, 0x80 }, { 0xDF, 0xBF } },
	{ 3, { 0xE0, 0xA0, 0x80 }, { 0xE0, 0xBF, 0xBF } },
	{ 3, { 0xE1, 0x80, 0x80 }, { 0xEC, 0xBF, 0xBF } },
	{ 3, { 0xED, 0x80, 0x80 }, { 0xED, 0x9F, 0xBF } },
	{ 3, { 0xEE, 0x80, 0x80 }, { 0xEF, 0xBF, 0xBF } },
	{ 4, { 0xF0, 0x90, 0x80, 0x80 }, { 0xF0, 0xBF, 0xBF, 0xBF } },
	{ 4, { 0xF1, 0x80, 0x80, 0x80 }, { 0xF3, 0xBF, 0xBF, 0xBF } },
	{ 4, { 0xF4, 0x80, 0x80, 0x80 }, { 0xF4, 0x8F, 0xBF, 0xBF } },
};
#define ROWS (sizeof(table) / sizeof(table[0]))

/* Bytes of the sequence at `p` that fit `row`, at most `len`. */
static size_t matches(size_t row, const uint8_t *p, size_t len)
{
	size_t i = 0;

	while (i < table[row].n && i < len && p[i] >= table[row].lo[i] && p[i] <= table[row].hi[i])
		i++;
	return i;
}

static size_t naive_length(const uint8_t *p, size_t len)
{
	for (size_t row = 0; row < ROWS; row++) {
		if (matches(row, p, len) == table[row].n)
			return table[row].n;
	}
	return 0;
}

/* How many bytes at the end are a proper prefix of some sequence. */
static size_t naive_pending(const uint8_t *p, size_t len)
{
	for (size_t back = 3; back > 0; back--) {
		if (back > len)
			continue;
		for (size_t row = 0; row < ROWS; row++) {
			if (table[row].n > back && matches(row, p + len - back, back) == back)
				return back;
		}
	}
	return 0;
}

static void check(const uint8_t *p, size_t len)
{
	uint32_t cp = 0xABCDEF;
	size_t want = naive_length(p, len);

	assert_int_equal(utf8_decode(p, len, &cp), want);
	if (want == 0) {
		assert_int_equal(cp, 0xABCDEF);
	} else {
		uint8_t again[UTF8_BYTES_MAX];
		assert_int_equal(utf8_encode(cp, again), want);
		assert_memory_equal(again, p, want);
	}
	assert_int_equal(utf8_pending(p, len), naive_pending(p, len));
}

static void test_utf8_agrees_with_the_table_on_every_three_bytes(void **state)
{
	(void)state;
	for (uint32_t word = 0; word < 1u << 24; word++) {
		uint8_t p[3] = { (uint8_t)(word >> 16), (uint8_t)(word >> 8), (uint8_t)word };
		if (p[0] < 0x80 && word % 251 != 0)
			continue; /* one ASCII lead is like another */
		check(p, 3);
		if (p[2] == 0) {
			check(p, 2);
			check(p, 1);
		}
	}
}

static void test_utf8_agrees_with_the_table_on_four_random_bytes(void **state)
{
	uint64_t seed = 11;

	(void)state;
	for (int i = 0; i < 2000000; i++) {
		uint64_t r = random_next(&seed);
		uint8_t p[4] = { (uint8_t)(0xEF + r % 8), (uint8_t)(r >> 8), (uint8_t)(r >> 16),
			(uint8_t)(r >> 24) };
		if (r >> 63)
			p[2] = (uint8_t)(0x80 | (p[2] & 0x3F));
		if (r >> 62 & 1)
			p[3] = (uint8_t)(0x80 | (p[3] & 0x3F));
		check(p, 4);
	}
}

static void test_utf8_every_scalar_value_comes_back(void **state)
{
	(void)state;
	for (uint32_t cp = 0; cp <= 0x110010; cp++) {
		uint8_t out[UTF8_BYTES_MAX];
		uint32_t back = 0;
		size_t n = utf8_encode(cp, out);
		if (cp > 0x10FFFF || (cp >= 0xD800 && cp <= 0xDFFF)) {
			assert_int_equal(n, 0);
			continue;
		}
		assert_int_equal(utf8_decode(out, n, &back), n);
		assert_int_equal(back, cp);
		for (size_t cut = 1; cut < n; cut++)
			assert_int_equal(utf8_pending(out, cut), cut);
		assert_int_equal(utf8_pending(out, n), 0);
	}
}

static void test_utf8_valid_needs_every_byte(void **state)
{
	(void)state;
	assert_true(utf8_valid("", 0));
	assert_true(utf8_valid("Gr\xC3\xBC\xC3\x9F Gott \xF0\x9F\x8D\x9C", 16));
	assert_false(utf8_valid("a\xC3", 2));
	assert_false(utf8_valid("a\x80z", 3));
	assert_false(utf8_valid("\xF5\x80\x80\x80", 4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_utf8_agrees_with_the_table_on_every_three_bytes),
		cmocka_unit_test(test_utf8_agrees_with_the_table_on_four_random_bytes),
		cmocka_unit_test(test_utf8_every_scalar_value_comes_back),
		cmocka_unit_test(test_utf8_valid_needs_every_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
