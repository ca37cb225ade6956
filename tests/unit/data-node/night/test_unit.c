/* Units: words, endings and Home Assistant's attributes; raw numbers stay raw. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "base/random.h"
#include "night/unit.h"

static struct reading readings[UNIT_READINGS_MAX];

static size_t read_data(const char *kind, const char *data)
{
	struct observation obs = { .kind = kind, .data_json = data };

	return unit_read(&obs, readings);
}

static void check(const char *data, enum quantity quantity, double want)
{
	size_t n = read_data("temperature", data);

	if (n != 1)
		fail_msg("%s: %zu readings", data, n);
	assert_int_equal(readings[0].unit->quantity, quantity);
	if (fabs(readings[0].value - want) > 1e-6 * (fabs(want) + 1))
		fail_msg("%s: %.9g, not %.9g", data, readings[0].value, want);
}

static void test_units_beside_the_value(void **state)
{
	(void)state;
	check("{\"unit\":\"°F\",\"value\":71.6}", QUANTITY_TEMPERATURE, 22);
	check("{\"unit\":\"F\",\"value\":-40}", QUANTITY_TEMPERATURE, -40);
	check("{\"unit\":\"K\",\"value\":273.15}", QUANTITY_TEMPERATURE, 0);
	check("{\"unit\":\"km/h\",\"value\":36}", QUANTITY_SPEED, 10);
	check("{\"unit\":\"mph\",\"value\":100}", QUANTITY_SPEED, 44.704);
	check("{\"unit\":\"kn\",\"value\":10}", QUANTITY_SPEED, 5.14444444);
	check("{\"unit\":\"mi\",\"value\":26.2}", QUANTITY_LENGTH, 42164.8128);
	check("{\"unit\":\"inHg\",\"value\":29.92}", QUANTITY_PRESSURE, 1013.207589);
	check("{\"unit\":\"psi\",\"value\":14.5037738}", QUANTITY_PRESSURE, 1000);
	check("{\"unit\":\"kcal\",\"value\":860.421}", QUANTITY_ENERGY, 1000.000406);
	check("{\"unit\":\"lb\",\"value\":165}", QUANTITY_MASS, 74.84274105);
}

static void test_home_assistant_states(void **state)
{
	(void)state;
	check("{\"attributes\":{\"device_class\":\"temperature\",\"unit_of_measurement\":\"°F\"},"
	      "\"entity_id\":\"sensor.hall\",\"state\":\"68.0\"}",
	    QUANTITY_TEMPERATURE, 20);
	check("{\"entity_id\":\"sensor.meter\",\"state\":\"12.5\",\"unit_of_measurement\":\"kWh\"}",
	    QUANTITY_ENERGY, 12500);
	assert_int_equal(read_data("sensor", "{\"state\":\"unavailable\",\"unit\":\"°F\"}"), 0);
	assert_int_equal(read_data("sensor", "{\"state\":\"on\",\"unit\":\"W\"}"), 0);
	assert_int_equal(read_data("sensor", "{\"state\":\"1e999\",\"unit\":\"W\"}"), 0);
	assert_int_equal(read_data("sensor", "{\"state\":\"0x10\",\"unit\":\"W\"}"), 0);
	assert_int_equal(read_data("sensor", "{\"state\":\"12 34\",\"unit\":\"W\"}"), 0);
}

static void test_endings_of_names(void **state)
{
	(void)state;
	assert_int_equal(read_data("weather", "{\"rain_mm\":2,\"temp_f\":50,\"wind_kmh\":18}"), 3);
	assert_true(fabs(readings[0].value - 0.002) < 1e-12);
	assert_true(fabs(readings[1].value - 10) < 1e-9);
	assert_true(fabs(readings[2].value - 5) < 1e-9);
	assert_int_equal(
	    read_data("workout", "{\"distance_m\":4600,\"kcal\":121,\"sport\":\"x\"}"), 2);
	assert_true(unit_is_normal(readings[0].unit));
	assert_false(unit_is_normal(readings[1].unit));
	assert_int_equal(read_data("location", "{\"acc\":5,\"lat\":52,\"lon\":13,\"vel\":72}"), 1);
	assert_true(fabs(readings[0].value - 20) < 1e-9);
}

static void test_numbers_without_a_unit_are_no_readings(void **state)
{
	static const char *const others[] = { "", "{}", "{\"value\":20}", "{\"vitamin_c\":3}",
		"{\"deep_min\":83}", "{\"c\":1,\"f\":2,\"m\":3,\"w\":4}", "{\"vel\":50}",
		"{\"value\":20,\"unit\":\"furlong\"}", "{\"value\":20,\"unit\":\"f\"}",
		"{\"value\":20,\"unit\":3}", "[1,2]", "{\"room_c\":1}", "{\"unit\":\"W\"}",
		"{\"value\":[1],\"unit\":\"W\"}",
		"{\"attributes\":{\"attributes\":{\"unit\":\"W\"}},\"value\":1}" };

	(void)state;
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		if (read_data("note", others[i]) != 0)
			fail_msg("%s has a reading", others[i]);
	}
}

/* What the units say of each other: 1 km/h is 1 km in an hour, and so on. */
static void test_units_agree_with_each_other(void **state)
{
	static const struct {
		const char *a, *b;
		double ratio; /* of a to b */
	} pairs[] = { { "km", "m", 1000 }, { "mi", "ft", 5280 }, { "ft", "in", 12 },
		{ "yd", "ft", 3 }, { "nmi", "m", 1852 }, { "lb", "oz", 16 }, { "st", "lb", 14 },
		{ "kg", "g", 1000 }, { "kWh", "kJ", 3600 }, { "kcal", "cal", 1000 },
		{ "bar", "kPa", 100 }, { "kPa", "Pa", 1000 }, { "m/s", "km/h", 3.6 },
		{ "kn", "km/h", 1.852 }, { "mph", "ft/s", 5280.0 / 3600 }, { "kW", "W", 1000 } };

	(void)state;
	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		const struct unit *a = unit_find(pairs[i].a, strlen(pairs[i].a));
		const struct unit *b = unit_find(pairs[i].b, strlen(pairs[i].b));
		assert_non_null(a);
		assert_non_null(b);
		assert_int_equal(a->quantity, b->quantity);
		if (fabs(a->factor / b->factor - pairs[i].ratio) > 1e-9 * pairs[i].ratio)
			fail_msg("%s / %s", pairs[i].a, pairs[i].b);
	}
	for (int q = 0; q < QUANTITY_COUNT; q++) {
		const char *word = quantity_unit((enum quantity)q);
		const struct unit *unit = unit_find(word, strlen(word));
		assert_non_null(unit);
		assert_true(unit_is_normal(unit));
	}
}

static void test_broken_data_is_survived(void **state)
{
	static const char text[] = "{\"attributes\":{\"unit_of_measurement\":\"°F\"},\"state\":"
				   "\"68.0\",\"temp_c\":4.5,\"unit\":\"W\",\"value\":1e3}";
	uint64_t seed = 3;
	char copy[sizeof text];

	(void)state;
	for (int round = 0; round < 20000; round++) {
		memcpy(copy, text, sizeof text);
		for (int k = 0; k < 3; k++)
			copy[random_next(&seed) % (sizeof text - 1)] = (char)random_next(&seed);
		size_t n = read_data("sensor", copy);
		assert_true(n <= UNIT_READINGS_MAX);
		for (size_t i = 0; i < n; i++)
			assert_true(isfinite(readings[i].value));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_units_beside_the_value),
		cmocka_unit_test(test_home_assistant_states),
		cmocka_unit_test(test_endings_of_names),
		cmocka_unit_test(test_numbers_without_a_unit_are_no_readings),
		cmocka_unit_test(test_units_agree_with_each_other),
		cmocka_unit_test(test_broken_data_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
