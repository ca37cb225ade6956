/* Series: every bit comes back, few bytes for what sensors send, no damage is
 * taken for samples of another size. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "store/series.h"

#define ARENA_BYTES ((size_t)8 << 20)
#define FRAMES_MAX 16000
#define CHANNELS_MAX 6
#define MS 1000000

static double values[FRAMES_MAX * CHANNELS_MAX];
static int64_t times[FRAMES_MAX];
static uint64_t seed = 7;

static uint64_t any(uint64_t below)
{
	return random_next(&seed) % below;
}

/* About normal, standard deviation 1. */
static double noise(void)
{
	double sum = 0;

	for (int i = 0; i < 12; i++)
		sum += (double)(random_next(&seed) >> 11) / 9007199254740992.0;
	return sum - 6;
}

static double double_of(uint64_t bits)
{
	double value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* Encode, decode, compare every bit; bytes of the code. */
static size_t round_trip(size_t frames, size_t channels, const int64_t *offsets)
{
	struct series in = { values, offsets, frames, channels }, back = { 0 };
	struct errmsg why = ERRMSG_INIT;
	struct arena arena;
	struct buf code;

	arena_init(&arena, ARENA_BYTES);
	buf_init(&code, SERIES_BYTES_MAX);
	assert_int_equal(series_encode(&in, &code, &why), RC_OK);
	assert_int_equal(series_decode(code.bytes, code.len, &arena, &back, &why), RC_OK);
	assert_int_equal(back.frames, frames);
	assert_int_equal(back.channels, channels);
	assert_memory_equal(back.values, values, frames * channels * sizeof(*values));
	assert_true((back.times_ns != NULL) == (offsets != NULL));
	if (offsets != NULL)
		assert_memory_equal(back.times_ns, offsets, frames * sizeof(*offsets));
	size_t bytes = code.len;
	buf_fini(&code);
	arena_fini(&arena);
	return bytes;
}

static double bits_a_value(size_t frames, size_t channels, const int64_t *offsets)
{
	return 8.0 * (double)round_trip(frames, channels, offsets) / (double)(frames * channels);
}

static void fill(const double *from, size_t n)
{
	memcpy(values, from, n * sizeof(*values));
}

static void test_special_values_keep_their_bits(void **state)
{
	(void)state;
	const double special[] = { 0.0, -0.0, INFINITY, -INFINITY, double_of(1), -double_of(1),
		double_of(0x000FFFFFFFFFFFFF), double_of(0x0010000000000000),
		double_of(0x7FEFFFFFFFFFFFFF), double_of(0x7FF8000000000000),
		double_of(0xFFF8000000000001), double_of(0x7FF0000000000001), 1.0, -1.0, 0.1, -0.1,
		9007199254740992.0, 9007199254740993.0, -9007199254740992.0, 1e300, 1e-300,
		4503599627370497.5 };
	const size_t n = sizeof(special) / sizeof(special[0]);

	fill(special, n);
	(void)round_trip(n, 1, NULL);
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < n; j++) {
			values[0] = special[i];
			values[1] = special[j];
			(void)round_trip(2, 1, NULL);
			(void)round_trip(1, 2, NULL);
		}
	}
	for (size_t i = 0; i < 100; i++) /* the least power of two as a scale */
		values[i] = (double)any(1000) * double_of(1);
	(void)round_trip(100, 1, NULL);
}

static void test_minus_zero_among_decimals_stays_cheap(void **state)
{
	(void)state;
	for (size_t i = 0; i < 1000; i++)
		values[i] = (double)((int64_t)any(41) - 20) / 100.0;
	double without = bits_a_value(1000, 1, NULL);
	for (size_t i = 0; i < 1000; i += 7)
		values[i] = -0.0;
	assert_true(signbit(values[0]));
	assert_true(bits_a_value(1000, 1, NULL) < without + 0.5);
}

static void test_random_series_come_back(void **state)
{
	(void)state;
	for (int round = 0; round < 600; round++) {
		size_t frames = 1 + any(round % 20 == 0 ? FRAMES_MAX : 200);
		size_t channels = 1 + any(CHANNELS_MAX), n = frames * channels;
		double scale = pow(10, (double)any(12) - 3);
		uint64_t width = 1 + any(53), kind = any(7);
		double level = noise() * scale;
		for (size_t i = 0; i < n; i++) {
			double walk = level += noise() * scale / 100;
			int64_t k = (int64_t)(random_next(&seed) >> (64 - width));
			values[i] = kind == 0   ? (double)k
				    : kind == 1 ? (double)(k - 1000) / 1e7
				    : kind == 2 ? ldexp((double)k, -14)
				    : kind == 3 ? walk
				    : kind == 4 ? (double)(float)walk
				    : kind == 5 ? double_of(random_next(&seed))
						: (any(9) == 0 ? -0.0 : (double)(k * 3) / 1e3);
		}
		int64_t at = (int64_t)any(1000);
		for (size_t i = 0; i < frames; i++) {
			times[i] = at;
			at += (int64_t)any(UINT64_C(1) << any(39));
		}
		if (round % 50 == 0) /* out of order */
			times[any(frames)] = SERIES_OFFSET_NS_MAX;
		(void)round_trip(frames, channels, any(2) == 0 ? times : NULL);
	}
}

static void test_regular_times_cost_next_to_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3000; i++) {
		values[i] = 1;
		times[i] = (int64_t)i * 10 * MS;
	}
	assert_true(bits_a_value(3000, 1, times) < 0.8);
}

static void test_units_and_slopes_are_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3000; i++) /* a ramp in steps of 5 at 1/4 */
		values[i] = 1000.25 + 5.0 * (double)i / 4;
	assert_true(bits_a_value(3000, 1, NULL) < 0.5);
	for (size_t i = 0; i < 3000; i++) /* 4 different multiples of 0.125 */
		values[i] = 20 + 0.125 * (double)any(4);
	assert_true(bits_a_value(3000, 1, NULL) < 3.4);
}

static void test_sensors_need_few_bytes(void **state)
{
	double axis[3] = { 0, 0, 8192 };

	(void)state;
	for (size_t i = 0; i < 6000; i++) {
		for (size_t c = 0; c < 3; c++)
			values[3 * i + c] = floor(axis[c] + 12 * noise());
	}
	assert_true(bits_a_value(6000, 3, NULL) < 7.5);
	for (size_t i = 0; i < 3 * 6000; i++) /* the same in g: a binary scale */
		values[i] /= 8192;
	assert_true(bits_a_value(6000, 3, NULL) < 7.5);
	for (size_t i = 0; i < 6000; i++)
		values[i] = floor(70 + 8 * sin((double)i / 300) + 0.5 * noise());
	assert_true(bits_a_value(6000, 1, NULL) < 3.0);
	int64_t lat = 525200066, lon = 134049540, at = 0;
	for (size_t i = 0; i < 6000; i++) {
		lat += (int64_t)(120 + 20 * noise());
		lon += (int64_t)(80 + 20 * noise());
		values[2 * i] = (double)lat / 1e7;
		values[2 * i + 1] = (double)lon / 1e7;
		times[i] = at;
		at += 1000 * MS + (int64_t)(3 * noise()) * MS;
	}
	assert_true(bits_a_value(6000, 2, times) < 11);
	for (size_t i = 0; i < 6000; i++) /* single precision as a double */
		values[i] = (double)(float)(9.81 + 0.05 * noise());
	assert_true(bits_a_value(6000, 1, NULL) < 25);
}

static void test_impossible_series_are_refused(void **state)
{
	(void)state;
	struct errmsg why = ERRMSG_INIT;
	struct buf code;
	int64_t bad[2] = { 0, SERIES_OFFSET_NS_MAX + 1 };
	struct series none = { values, NULL, 0, 1 }, wide = { values, NULL, 1, 65 },
		      late = { values, bad, 2, 1 }, large = { values, NULL, 50001, 2 };

	buf_init(&code, SERIES_BYTES_MAX);
	assert_int_equal(series_encode(&none, &code, &why), RC_LIMIT);
	assert_int_equal(series_encode(&wide, &code, &why), RC_LIMIT);
	assert_int_equal(series_encode(&large, &code, &why), RC_LIMIT);
	assert_int_equal(series_encode(&late, &code, &why), RC_INVALID);
	assert_int_equal(code.len, 0);
	buf_fini(&code);
}

/* Whatever the bytes are: refused, or as many values as they say. */
static void damage(const struct buf *code)
{
	struct arena arena;
	struct series back;

	arena_init(&arena, ARENA_BYTES);
	for (int round = 0; round < 400; round++) {
		uint8_t *copy = malloc(code->len);
		size_t len = code->len;
		assert_non_null(copy);
		memcpy(copy, code->bytes, len);
		if (round % 4 == 0)
			len = any(len);
		for (uint64_t flips = 1 + any(3); len > 0 && flips > 0; flips--)
			copy[any(round % 2 == 0 ? len
				 : len < 40     ? len
						: 40)] ^= (uint8_t)(1u << any(8));
		arena_reset(&arena);
		enum rc rc = series_decode(copy, len, &arena, &back, NULL);
		assert_true(rc == RC_OK || rc == RC_CORRUPT);
		assert_true(rc != RC_OK || back.frames * back.channels <= SERIES_VALUES_MAX);
		free(copy);
	}
	arena_fini(&arena);
}

static void test_damage_is_refused_or_decodes_within_the_limits(void **state)
{
	(void)state;
	const size_t sizes[] = { 1, 31, 33, 5000 };

	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		for (int kind = 0; kind < 2; kind++) {
			struct buf code;
			for (size_t i = 0; i < sizes[s]; i++) {
				values[i] = kind == 0 ? floor(20 * noise()) : noise();
				times[i] = (int64_t)i * MS;
			}
			struct series in = { values, times, sizes[s], 1 };
			buf_init(&code, SERIES_BYTES_MAX);
			assert_int_equal(series_encode(&in, &code, NULL), RC_OK);
			damage(&code);
			buf_fini(&code);
		}
	}
}

static void test_a_small_arena_is_no_memory(void **state)
{
	(void)state;
	struct series in = { values, NULL, 5000, 1 }, back;
	struct arena arena;
	struct buf code;

	for (size_t i = 0; i < 5000; i++)
		values[i] = (double)i;
	buf_init(&code, SERIES_BYTES_MAX);
	arena_init(&arena, 8192);
	assert_int_equal(series_encode(&in, &code, NULL), RC_OK);
	assert_int_equal(series_decode(code.bytes, code.len, &arena, &back, NULL), RC_NOMEM);
	arena_fini(&arena);
	buf_fini(&code);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_special_values_keep_their_bits),
		cmocka_unit_test(test_minus_zero_among_decimals_stays_cheap),
		cmocka_unit_test(test_random_series_come_back),
		cmocka_unit_test(test_regular_times_cost_next_to_nothing),
		cmocka_unit_test(test_units_and_slopes_are_found),
		cmocka_unit_test(test_sensors_need_few_bytes),
		cmocka_unit_test(test_impossible_series_are_refused),
		cmocka_unit_test(test_damage_is_refused_or_decodes_within_the_limits),
		cmocka_unit_test(test_a_small_arena_is_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
