/* Forgetting through the API: what it takes, what it answers, what is left. */
#include "gateway_fixture.h"

static struct fixture fx;

static int setup(void **state)
{
	(void)state;
	fixture_init(&fx, STATION_RECALL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fixture_fini(&fx);
	return 0;
}

#define EVENT(source, id, layer, day, text)                                                        \
	"{\"source\":\"" source "\",\"id\":\"" id "\",\"layer\":\"" layer                          \
	"\",\"kind\":\"note\",\"start\":\"2026-11-" day "T10:00:00Z\",\"text\":\"" text "\"}\n"

static void post_some(void)
{
	static const char body[] = EVENT("phone", "1", "text", "01", "lantern one")
	    EVENT("phone", "2", "text", "02", "lantern two")
		EVENT("watch", "3", "text", "02", "lantern three")
		    EVENT("watch", "4", "home", "02", "lantern four");

	assert_int_equal(fixture_call(&fx, "POST", "/api/v1/events", body), 200);
	assert_int_equal(fixture_number(&fx, "accepted"), 4);
}

static size_t count_of(const char *target, const char *list)
{
	assert_int_equal(fixture_call(&fx, "GET", target, NULL), 200);
	return json_array_size(json_object_get(fx.json, list));
}

static int forget(const char *body)
{
	return fixture_call(&fx, "POST", "/api/v1/forget", body);
}

static void test_a_range_of_a_layer_is_forgotten_counted_and_found_no_more(void **state)
{
	(void)state;
	post_some();
	assert_int_equal(count_of("/api/v1/search?q=lantern", "results"), 4);
	static const char range[] =
	    "{\"from\":\"2026-11-02T00:00:00Z\",\"to\":\"2026-11-03T00:00:00Z\",\"layer\":"
	    "\"text\"%s}";
	char body[256];
	(void)snprintf(body, sizeof(body), range, ",\"dry_run\":true");
	assert_int_equal(forget(body), 200);
	assert_int_equal(fixture_number(&fx, "forgotten"), 2);
	assert_true(json_is_true(json_object_get(fx.json, "dry_run")));
	assert_int_equal(count_of("/api/v1/events", "events"), 4);
	(void)snprintf(body, sizeof(body), range, "");
	assert_int_equal(forget(body), 200);
	assert_int_equal(fixture_number(&fx, "forgotten"), 2);
	assert_int_equal(fixture_number(&fx, "keys"), 1);
	assert_int_equal(count_of("/api/v1/search?q=lantern", "results"), 2);
	assert_int_equal(count_of("/api/v1/events", "events"), 2);
	/* The ledger knows that it was, and how much. */
	assert_int_equal(fixture_control(&fx, "GET", "/control/audit", NULL), 200);
	const json_t *line = json_array_get(json_object_get(fx.json, "audit"), 0);
	assert_string_equal(json_string_value(json_object_get(line, "action")), "forget");
	assert_int_equal(json_integer_value(json_object_get(line, "n")), 2);
	assert_null(strstr(buf_text(&fx.response.body), "lantern"));
	/* A phone that sends it all again brings nothing back. */
	static const char again[] = EVENT("phone", "2", "text", "02", "lantern two");
	assert_int_equal(fixture_call(&fx, "POST", "/api/v1/events", again), 200);
	assert_int_equal(fixture_number(&fx, "duplicate"), 1);
	assert_int_equal(count_of("/api/v1/events", "events"), 2);
}

static void test_a_source_alone_is_everything_from_it(void **state)
{
	(void)state;
	post_some();
	assert_int_equal(forget("{\"source\":\"watch\",\"from\":null}"), 200);
	assert_int_equal(fixture_number(&fx, "forgotten"), 2);
	assert_int_equal(fixture_number(&fx, "resealed"), 1);
	assert_int_equal(count_of("/api/v1/events", "events"), 2);
	assert_int_equal(count_of("/api/v1/events?source=watch", "events"), 0);
}

static void test_progress_is_lines_and_the_last_one_is_the_report(void **state)
{
	(void)state;
	post_some();
	assert_int_equal(forget("{\"layer\":\"home,text\",\"progress\":true}"), 200);
	const char *text = buf_text(&fx.response.body);
	assert_string_equal(fx.response.content_type, "application/x-ndjson");
	assert_non_null(strstr(text, "{\"forgotten\":4,"));
	assert_int_equal(text[strlen(text) - 1], '\n');
	assert_int_equal(count_of("/api/v1/events", "events"), 0);
}

static bool stopped(void *ctx)
{
	(void)ctx;
	return true;
}

static void test_a_client_that_goes_away_does_not_stop_it(void **state)
{
	struct api_request request = { .method = "POST",
		.peer = API_PEER_TOKEN,
		.body = "{\"source\":\"watch\",\"progress\":true}",
		.gone = stopped };

	(void)state;
	post_some();
	fixture_forget(&fx);
	PASS(target_parse("/api/v1/forget", &fx.arena, &request, &pass_why));
	request.body_len = strlen(request.body);
	api_handle(fx.station, &request, &fx.arena, &fx.response);
	assert_non_null(fx.response.pull);
	fixture_forget(&fx); /* nobody reads it */
	assert_int_equal(count_of("/api/v1/events", "events"), 2);
	assert_int_equal(forget("{\"source\":\"phone\"}"), 200);
}

static void test_what_cannot_be_meant_is_refused_by_name(void **state)
{
	static const struct {
		const char *body, *param;
	} bad[] = {
		{ "{}", "from" },
		{ "{\"dry_run\":true}", "from" },
		{ "{\"from\":null,\"source\":null}", "from" },
		{ "{\"from\":\"yesterday\"}", "from" },
		{ "{\"from\":1.5}", "from" },
		{ "{\"from\":10,\"to\":10}", "to" },
		{ "{\"from\":10,\"to\":9}", "to" },
		{ "{\"from\":-9000000000000000000}", "from" },
		{ "{\"to\":9000000000000000000}", "to" },
		{ "{\"layer\":\"soul\"}", "layer" },
		{ "{\"layer\":\"\"}", "layer" },
		{ "{\"layer\":\"text,\"}", "layer" },
		{ "{\"layer\":[\"text\"]}", "layer" },
		{ "{\"source\":\"\"}", "source" },
		{ "{\"source\":7}", "source" },
		{ "{\"source\":\"x\",\"form\":3}", "form" },
		{ "{\"source\":\"x\",\"dry_run\":1}", "dry_run" },
	};

	(void)state;
	post_some();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(forget(bad[i].body), 400);
		assert_string_equal(fixture_error(&fx, "param"), bad[i].param);
	}
	assert_int_equal(forget("no json"), 400);
	assert_int_equal(forget("{\"source\":\"x\",\"source\":\"y\"}"), 400);
	assert_int_equal(count_of("/api/v1/events", "events"), 4);
}

static void test_a_device_of_some_layers_may_not_forget(void **state)
{
	struct api_request request = { .method = "POST", .peer = API_PEER_TOKEN, .layers = 2 };

	(void)state;
	post_some();
	assert_int_equal(
	    fixture_send(&fx, &request, "/api/v1/forget", "{\"source\":\"watch\"}"), 403);
	assert_int_equal(count_of("/api/v1/events", "events"), 4);
}

#define WITH_STATION(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_STATION(test_a_range_of_a_layer_is_forgotten_counted_and_found_no_more),
		WITH_STATION(test_a_source_alone_is_everything_from_it),
		WITH_STATION(test_progress_is_lines_and_the_last_one_is_the_report),
		WITH_STATION(test_a_client_that_goes_away_does_not_stop_it),
		WITH_STATION(test_what_cannot_be_meant_is_refused_by_name),
		WITH_STATION(test_a_device_of_some_layers_may_not_forget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
