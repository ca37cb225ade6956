/* /api/v1/time: exchanges of stamps, and what forged ones get. */
#include "gateway_fixture.h"

#include "base/timestamp.h"
#include "store/store.h"

static struct fixture fx;

static int setup(void **state)
{
	(void)state;
	fixture_init(&fx, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fixture_fini(&fx);
	return 0;
}

static int64_t member(const char *name)
{
	return json_integer_value(json_object_get(fx.json, name));
}

static int64_t time_of(const char *name)
{
	const char *text = json_string_value(json_object_get(fx.json, name));
	int64_t ns = 0;
	int32_t offset_s;

	assert_non_null(text);
	assert_int_equal(timestamp_parse(text, &ns, &offset_s), RC_OK);
	return ns;
}

static const char *text_of(const char *name)
{
	return json_string_value(json_object_get(fx.json, name));
}

#define DEV_NS INT64_C(1000000000123)

/* Opens an exchange and writes the body that closes it. */
static void open_exchange(int64_t t1_ns, int64_t away_ns, char out[512])
{
	char body[128];

	(void)snprintf(
	    body, sizeof body, "{\"clock\":\"watch\",\"boot\":3,\"t1\":%lld}", (long long)t1_ns);
	assert_int_equal(fixture_call(&fx, "POST", "/api/v1/time", body), 200);
	assert_true(time_of("t3") >= time_of("t2"));
	assert_true(llabs(time_of("t2") - clock_utc_ns()) < 60 * NS_PER_S);
	(void)snprintf(out, 512,
	    "{\"clock\":\"watch\",\"boot\":\"3\",\"t1\":%lld,\"t2\":\"%s\",\"t3\":\"%s\","
	    "\"t4\":%lld,\"stamp\":\"%s\"}",
	    (long long)t1_ns, text_of("t2"), text_of("t3"),
	    (long long)(t1_ns + time_of("t3") - time_of("t2") + away_ns), text_of("stamp"));
}

static void test_an_exchange_places_what_the_device_sent(void **state)
{
	char body[512];

	(void)state;
	assert_int_equal(fixture_call(&fx, "POST", "/api/v1/events",
			     "{\"source\":\"w\",\"layer\":\"behaviour\",\"kind\":\"steps\","
			     "\"start\":990000000001,\"clock\":\"watch\",\"boot\":3}"),
	    200);
	assert_int_equal(fixture_call(&fx, "GET", "/api/v1/status", NULL), 200);
	const json_t *clock = json_array_get(json_object_get(fx.json, "clocks"), 0);
	assert_string_equal(json_string_value(json_object_get(clock, "name")), "watch");
	assert_int_equal(json_integer_value(json_object_get(clock, "limbo")), 1);
	assert_true(json_is_null(json_object_get(clock, "error_s")));

	open_exchange(DEV_NS, 4 * NS_PER_MS, body);
	assert_int_equal(fixture_call(&fx, "POST", "/api/v1/time", body), 200);
	assert_true(json_is_true(json_object_get(fx.json, "accepted")));
	assert_int_equal(member("cursor"), 2);
	double error_s = json_real_value(json_object_get(fx.json, "error_s"));
	assert_true(error_s > 0.0019 && error_s < 0.0021);
	/* The same report again is no news. */
	assert_int_equal(fixture_call(&fx, "POST", "/api/v1/time", body), 200);
	assert_true(json_is_false(json_object_get(fx.json, "accepted")));

	assert_int_equal(fixture_call(&fx, "GET", "/api/v1/status", NULL), 200);
	clock = json_array_get(json_object_get(fx.json, "clocks"), 0);
	assert_int_equal(json_integer_value(json_object_get(clock, "limbo")), 0);
	assert_true(json_number_value(json_object_get(clock, "error_s")) < 60);
	assert_true(json_is_string(json_object_get(clock, "last_sync")));
}

static void test_hub_times_of_the_devices_own_are_refused(void **state)
{
	char body[512];

	(void)state;
	open_exchange(DEV_NS, NS_PER_MS, body);
	char *digit = strstr(body, "\"t2\":") + 9;
	*digit = *digit == '1' ? '2' : '1';
	assert_int_equal(fixture_call(&fx, "POST", "/api/v1/time", body), 400);
	assert_string_equal(fixture_error(&fx, "param"), "stamp");
	/* Another clock's stamp is worth nothing either. */
	open_exchange(DEV_NS, NS_PER_MS, body);
	memcpy(strstr(body, "watch"), "match", 5);
	assert_int_equal(fixture_call(&fx, "POST", "/api/v1/time", body), 400);
	/* Nor does anything come back before it was sent. */
	open_exchange(DEV_NS, -NS_PER_S, body);
	assert_int_equal(fixture_call(&fx, "POST", "/api/v1/time", body), 400);
	assert_string_equal(fixture_error(&fx, "param"), "t4");
	assert_int_equal(store_cursor(station_store(fx.station)), 0);
}

static void test_nobody_sends_a_ping_as_an_event(void **state)
{
	(void)state;
	assert_int_equal(
	    fixture_call(&fx, "POST", "/api/v1/events",
		"{\"source\":\"w\",\"layer\":\"behaviour\",\"kind\":\"clock_ping\","
		"\"start\":1,\"end\":2,\"clock\":\"watch\",\"data\":{\"t2\":1,\"t3\":1}}"),
	    200);
	const json_t *rejected = json_array_get(json_object_get(fx.json, "rejected"), 0);
	assert_string_equal(json_string_value(json_object_get(rejected, "field")), "kind");
}

static void test_bad_bodies_name_what_is_wrong(void **state)
{
	static const char *const bodies[][2] = {
		{ "{\"boot\":\"1\",\"t1\":1}", "clock" },
		{ "{\"clock\":\"\",\"t1\":1}", "clock" },
		{ "{\"clock\":\"a\\u0001\",\"t1\":1}", "clock" },
		{ "{\"clock\":\"a\",\"boot\":{},\"t1\":1}", "boot" },
		{ "{\"clock\":\"a\"}", "t1" },
		{ "{\"clock\":\"a\",\"t1\":1.5}", "t1" },
		{ "{\"clock\":\"a\",\"t1\":\"yesterday\"}", "t1" },
		{ "{\"clock\":\"a\",\"t1\":9223372036854775807}", "t1" },
		{ "{\"clock\":\"a\",\"t1\":1,\"stamp\":\"00\"}", "t2" },
		{ "{\"clock\":\"a\",\"t1\":1,\"t2\":1,\"t3\":1,\"t4\":1,\"stamp\":\"xyz\"}",
		    "stamp" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
		assert_int_equal(fixture_call(&fx, "POST", "/api/v1/time", bodies[i][0]), 400);
		assert_string_equal(fixture_error(&fx, "param"), bodies[i][1]);
	}
	assert_int_equal(fixture_call(&fx, "POST", "/api/v1/time", "[]"), 400);
	assert_int_equal(fixture_call(&fx, "POST", "/api/v1/time", "{"), 400);
	assert_int_equal(fixture_call(&fx, "GET", "/api/v1/time", NULL), 200);
	assert_true(llabs(time_of("now") - clock_utc_ns()) < 60 * NS_PER_S);
}

static void test_a_registered_error_goes_into_the_record(void **state)
{
	static const char event[] = "{\"source\":\"cam\",\"layer\":\"visual\",\"kind\":\"photo\","
				    "\"start\":1763577000000000000}";
	struct api_request device = {
		.method = "POST", .peer = API_PEER_TOKEN, .device = 3, .error_ns = 3 * NS_PER_S
	};
	struct observation obs;
	struct arena arena;

	(void)state;
	assert_int_equal(fixture_send(&fx, &device, "/api/v1/events", event), 200);
	arena_init(&arena, 1 << 20);
	assert_int_equal(store_get_seq(station_store(fx.station), 1, &arena, &obs, NULL), RC_OK);
	assert_true(obs.place.early_ns == 3 * NS_PER_S && !obs.place.defaulted);
	arena_fini(&arena);
}

static void test_a_device_is_registered_with_an_error(void **state)
{
	(void)state;
	assert_int_equal(
	    fixture_control(&fx, "POST", "/control/devices", "{\"name\":\"cam\",\"error_s\":2.5}"),
	    200);
	assert_int_equal(fixture_control(&fx, "GET", "/control/devices", NULL), 200);
	const json_t *list = json_object_get(fx.json, "devices");
	const json_t *device = json_array_get(list, json_array_size(list) - 1);
	assert_true(json_number_value(json_object_get(device, "error_s")) == 2.5);
	assert_int_equal(
	    fixture_control(&fx, "POST", "/control/devices", "{\"name\":\"cam2\",\"error_s\":0}"),
	    400);
	assert_string_equal(fixture_error(&fx, "param"), "error_s");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_an_exchange_places_what_the_device_sent, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_hub_times_of_the_devices_own_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_nobody_sends_a_ping_as_an_event, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_bad_bodies_name_what_is_wrong, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_a_registered_error_goes_into_the_record, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_a_device_is_registered_with_an_error, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
