/* Numbers as text and back, beside the C library. */
#include "align/decimal.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

#define TURNS 200000

static struct buf text;

static void same_fixed(double value, unsigned digits)
{
	char library[512];

	buf_reset(&text);
	decimal_put_fixed(&text, value, digits);
	(void)snprintf(library, sizeof library, "%.*f", (int)digits, value);
	assert_int_equal(text.len, strlen(library));
	assert_memory_equal(text.bytes, library, text.len);
}

static void same_short(double value)
{
	char library[64];

	buf_reset(&text);
	decimal_put_short(&text, value);
	(void)snprintf(library, sizeof library, "%.9g", value);
	assert_int_equal(text.len, strlen(library));
	assert_memory_equal(text.bytes, library, text.len);
}

static void same_both(double value)
{
	for (unsigned digits = 1; digits <= 9; digits++)
		same_fixed(value, digits);
	same_short(value);
	same_short(-value);
	same_fixed(-value, 7);
}

/* Of few digits, as people and devices write them, and of all. */
static double any(uint64_t *seed)
{
	uint64_t dice = random_next(seed);
	double value = (double)(int64_t)random_next(seed) / pow(10, (double)(dice % 24));

	if (dice >> 32 & 1)
		value = (double)(random_next(seed) % 2000000) / pow(10, (double)(dice % 9));
	return dice >> 33 & 1 ? value + 0.5 / pow(10, (double)(dice >> 40 & 7)) : value;
}

static void test_numbers_are_written_as_the_library_writes_them(void **state)
{
	static const double edges[] = { 0, 0.5, 1, 9.5, 0.05, 1e-4, 9.9999e-5, 99999999.95, 1e8,
		999999999.4, 999999999.5, 999999999.6, 1e9, 1e15, 1e300, DBL_MIN, DBL_MAX, 0.1, 0.3,
		2.5, 20.45, 52.5, 13.4, 0.99999999949, 0.9999999995, 0.99999999951, 0.000123456789,
		0.00099999999995, INFINITY };
	uint64_t seed = 20261127;

	(void)state;
	for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) {
		same_both(edges[i]);
		same_both(nextafter(edges[i], 0));
		same_both(nextafter(edges[i], INFINITY));
	}
	for (int i = 0; i < TURNS; i++) {
		double value = any(&seed);
		same_fixed(value, 7);
		same_fixed(value, 1);
		same_short(value);
	}
}

static void test_numbers_are_read_as_the_library_reads_them(void **state)
{
	static const char *const others[] = { "", "-", ".", "1.", ".5", "1e3", "1.2.3", "+1", " 1",
		"0x1", "nan", "1234567890123456", "0.1234567890123456" };
	uint64_t seed = 20261128;
	double value;

	(void)state;
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		assert_false(decimal_read(others[i], strlen(others[i]), &value));
	for (int i = 0; i < TURNS; i++) {
		char written[512];
		int len = snprintf(
		    written, sizeof written, "%.*f", (int)(random_next(&seed) % 12), any(&seed));
		if (!decimal_read(written, (size_t)len, &value))
			continue;
		double library = strtod(written, NULL);
		assert_memory_equal(&value, &library, sizeof value);
	}
	assert_true(decimal_read("-0", 2, &value) && signbit(value));
	assert_true(decimal_read("20.5}", 4, &value) && value == 20.5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_are_written_as_the_library_writes_them),
		cmocka_unit_test(test_numbers_are_read_as_the_library_reads_them),
	};

	buf_init(&text, 4096);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	buf_fini(&text);
	return failed;
}
