/* Routes and handlers on a real station: shapes, limits, paging, refusals. */
#include "gateway_fixture.h"

#include "align/builder.h"
#include "base/timestamp.h"
#include "store/store_digest.h"
#include "store/store_episode.h"

static struct fixture fx;

static int setup(void **state)
{
	(void)state;
	fixture_init(&fx, STATION_RECALL | STATION_SLICES);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fixture_fini(&fx);
	return 0;
}

static const json_t *item(const char *list, size_t i)
{
	return json_array_get(json_object_get(fx.json, list), i);
}

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text != NULL ? text : "";
}

/* `n` notes, a second apart. */
static void post_notes(int n)
{
	struct buf body;

	buf_init(&body, (size_t)32 << 20);
	for (int i = 0; i < n; i++)
		buf_printf(&body,
		    "{\"source\":\"pen\",\"id\":\"n%d\",\"layer\":\"text\",\"kind\":\"note\","
		    "\"start\":%lld,\"text\":\"note number %d\"}\n",
		    i, (1763577000LL + i) * 1000000000LL, i);
	assert_int_equal(fixture_call(&fx, "POST", "/api/v1/events", buf_text(&body)), 200);
	assert_int_equal(fixture_number(&fx, "accepted"), n);
	buf_fini(&body);
}

static void test_good_events_are_kept_and_bad_ones_named(void **state)
{
	static const char body[] =
	    "{\"source\":\"a\",\"layer\":\"text\",\"kind\":\"note\",\"start\":1,\"text\":\"x\"}\n"
	    "no json\n"
	    "{\"source\":\"a\",\"layer\":\"soul\",\"kind\":\"note\",\"start\":1}\n"
	    "{\"source\":\"a\",\"layer\":\"text\",\"kind\":\"note\",\"start\":1,\"text\":\"x\"}\n";

	(void)state;
	assert_int_equal(fixture_call(&fx, "POST", "/api/v1/events", body), 200);
	assert_int_equal(fixture_number(&fx, "accepted"), 1);
	assert_int_equal(fixture_number(&fx, "duplicate"), 1);
	assert_int_equal(fixture_number(&fx, "cursor"), 1);
	assert_int_equal(json_array_size(json_object_get(fx.json, "rejected")), 2);
	assert_int_equal(json_integer_value(json_object_get(item("rejected", 0), "index")), 1);
	assert_string_equal(text_of(item("rejected", 1), "field"), "layer");
	assert_true(text_of(item("rejected", 1), "error")[0] != 0);
}

static void test_a_body_that_is_no_json_is_a_typed_error(void **state)
{
	(void)state;
	assert_int_equal(fixture_call(&fx, "POST", "/api/v1/events", "hello there"), 400);
	assert_string_equal(fixture_error(&fx, "type"), "invalid_request_error");
	/* Never the content itself. */
	assert_null(strstr(buf_text(&fx.response.body), "hello"));
}

static void test_a_limited_device_may_only_send_its_layers(void **state)
{
	struct api_request limited = { .method = "POST",
		.peer = API_PEER_TOKEN,
		.device = 3,
		.layers = LAYER_MASK(LAYER_HOME) };
	static const char body[] =
	    "{\"source\":\"a\",\"layer\":\"home\",\"kind\":\"light\",\"start\":1}\n"
	    "{\"source\":\"a\",\"layer\":\"text\",\"kind\":\"note\",\"start\":1,\"text\":\"x\"}\n";

	(void)state;
	assert_int_equal(fixture_send(&fx, &limited, "/api/v1/events", body), 200);
	assert_int_equal(fixture_number(&fx, "accepted"), 1);
	assert_string_equal(text_of(item("rejected", 0), "field"), "layer");
	static const char *const closed[] = { "/api/v1/events", "/api/v1/slices",
		"/api/v1/search?q=x", "/v1/models" };
	limited.method = "GET";
	for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]); i++)
		assert_int_equal(fixture_send(&fx, &limited, closed[i], NULL), 403);
	limited.method = "POST";
	assert_int_equal(fixture_send(&fx, &limited, "/v1/chat/completions", "{}"), 403);
}

static void test_events_come_back_as_sent_in_order_of_time(void **state)
{
	(void)state;
	post_notes(3);
	assert_int_equal(fixture_call(&fx, "GET", "/api/v1/events", NULL), 200);
	assert_int_equal(json_array_size(json_object_get(fx.json, "events")), 3);
	assert_true(json_is_null(json_object_get(fx.json, "next")));
	assert_string_equal(text_of(item("events", 1), "id"), "n1");
	assert_string_equal(text_of(item("events", 1), "text"), "note number 1");
	assert_int_equal(strlen(text_of(item("events", 1), "obs_id")), 32);
}

static void test_an_event_without_an_id_is_shown_as_it_was_sent(void **state)
{
	(void)state;
	assert_int_equal(
	    fixture_call(&fx, "POST", "/api/v1/events",
		"[{\"source\":\"a\",\"layer\":\"text\",\"kind\":\"note\",\"start\":5}]"),
	    200);
	assert_int_equal(fixture_call(&fx, "GET", "/api/v1/events", NULL), 200);
	assert_null(json_object_get(item("events", 0), "id"));
	assert_int_equal(strlen(text_of(item("events", 0), "obs_id")), 32);
}

static void test_pages_by_cursor_give_every_event_once(void **state)
{
	char target[256], next[64] = "";
	int seen = 0, pages = 0;

	(void)state;
	post_notes(25);
	do {
		(void)snprintf(target, sizeof(target), "/api/v1/events?limit=7&cursor=%s", next);
		assert_int_equal(fixture_call(&fx, "GET", target, NULL), 200);
		size_t n = json_array_size(json_object_get(fx.json, "events"));
		for (size_t i = 0; i < n; i++) {
			char want[16];
			(void)snprintf(want, sizeof(want), "n%d", seen++);
			assert_string_equal(text_of(item("events", i), "id"), want);
		}
		(void)snprintf(next, sizeof(next), "%s", text_of(fx.json, "next"));
		pages++;
	} while (next[0] != 0 && pages < 10);
	assert_int_equal(seen, 25);
	assert_int_equal(pages, 4);
}

static void test_a_full_last_page_has_no_next(void **state)
{
	(void)state;
	post_notes(10);
	assert_int_equal(fixture_call(&fx, "GET", "/api/v1/events?limit=10", NULL), 200);
	assert_int_equal(json_array_size(json_object_get(fx.json, "events")), 10);
	assert_true(json_is_null(json_object_get(fx.json, "next")));
}

static void test_events_are_filtered(void **state)
{
	(void)state;
	post_notes(10);
	assert_int_equal(
	    fixture_call(&fx, "POST", "/api/v1/events?source=lamp",
		"{\"layer\":\"home\",\"kind\":\"light\",\"start\":\"2025-11-19T18:30:03Z\"}"),
	    200);
	assert_int_equal(fixture_number(&fx, "accepted"), 1);
	assert_int_equal(
	    fixture_call(&fx, "GET",
		"/api/v1/events?from=2025-11-19T18:30:02Z&to=1763577005000000000", NULL),
	    200);
	assert_int_equal(json_array_size(json_object_get(fx.json, "events")), 4);
	assert_int_equal(fixture_call(&fx, "GET", "/api/v1/events?layer=home", NULL), 200);
	assert_int_equal(json_array_size(json_object_get(fx.json, "events")), 1);
	assert_string_equal(text_of(item("events", 0), "source"), "lamp");
	assert_int_equal(fixture_call(&fx, "GET", "/api/v1/events?source=pen", NULL), 200);
	assert_int_equal(json_array_size(json_object_get(fx.json, "events")), 10);
	assert_int_equal(fixture_call(&fx, "GET", "/api/v1/events?source=none", NULL), 200);
	assert_int_equal(json_array_size(json_object_get(fx.json, "events")), 0);
}

static void test_bad_parameters_are_named(void **state)
{
	static const struct {
		const char *target, *param;
	} bad[] = {
		{ "/api/v1/events?limit=0", "limit" },
		{ "/api/v1/events?limit=10001", "limit" },
		{ "/api/v1/events?limit=-1", "limit" },
		{ "/api/v1/events?limit=ten", "limit" },
		{ "/api/v1/events?from=yesterday", "from" },
		{ "/api/v1/events?to=2026-02-30T00:00:00Z", "to" },
		{ "/api/v1/events?from=2&to=1", "to" },
		{ "/api/v1/events?layer=soul", "layer" },
		{ "/api/v1/events?layer=text,", "layer" },
		{ "/api/v1/events?cursor=zz", "cursor" },
		{ "/api/v1/slices?step=7s", "step" },
		{ "/api/v1/slices?step=500ms", "step" },
		{ "/api/v1/slices?step=-1", "step" },
		{ "/api/v1/slices?step=2d", "step" },
		{ "/api/v1/slices?facets=aura", "facets" },
		{ "/api/v1/slices?as_of=-1", "as_of" },
		{ "/api/v1/slices?from=0&to=1763577000000000000&step=1s", "step" },
		{ "/api/v1/slices?day=2026-04-31", "day" },
		{ "/api/v1/slices?day=2026-04-30&from=1", "day" },
		{ "/api/v1/slices?day=2026-04-30&zone=Middle/Earth", "zone" },
		{ "/api/v1/episodes?day=today", "day" },
		{ "/api/v1/episodes?from=2&to=1", "to" },
		{ "/api/v1/slices/manifest?step=7s", "step" },
		{ "/api/v1/search", "q" },
		{ "/api/v1/search?q=x&k=0", "k" },
		{ "/api/v1/search?q=x&k=1001", "k" },
		{ "/api/v1/search?q=x&from=2&to=1", "to" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int status = fixture_call(&fx, "GET", bad[i].target, NULL);
		if (status != 400 || strcmp(fixture_error(&fx, "param"), bad[i].param) != 0)
			fail_msg("%s gave %d, param %s", bad[i].target, status,
			    fixture_error(&fx, "param"));
	}
}

static void test_slices_have_the_contracts_shape(void **state)
{
	(void)state;
	post_notes(2);
	assert_int_equal(fixture_call(&fx, "GET",
			     "/api/v1/slices?from=2025-11-19T18:30:00Z&to=2025-11-19T18:31:00Z"
			     "&step=60s&facets=language",
			     NULL),
	    200);
	assert_true(json_is_integer(json_object_get(fx.json, "clock_map")));
	assert_true(json_is_integer(json_object_get(fx.json, "policy")));
	const json_t *slice = item("slices", 0);
	assert_string_equal(text_of(slice, "start"), "2025-11-19T18:30:00.000000000Z");
	assert_string_equal(text_of(slice, "end"), "2025-11-19T18:31:00.000000000Z");
	const json_t *cell = json_object_get(json_object_get(slice, "cells"), "language");
	assert_string_equal(text_of(cell, "mode"), "observed");
	assert_int_equal(json_array_size(json_object_get(cell, "values")), 2);
	assert_int_equal(json_object_size(json_object_get(slice, "cells")), 1);
}

static void test_a_local_day_says_where_it_lies(void **state)
{
	(void)state;
	assert_int_equal(
	    fixture_call(&fx, "GET",
		"/api/v1/slices?day=2026-10-25&zone=Europe/Berlin&step=1h&facets=text", NULL),
	    400);
	assert_int_equal(fixture_call(&fx, "GET",
			     "/api/v1/slices?day=2026-10-25&zone=Europe/Berlin&step=1h", NULL),
	    200);
	const json_t *day = json_object_get(fx.json, "day");
	assert_string_equal(text_of(day, "date"), "2026-10-25");
	assert_string_equal(text_of(day, "from"), "2026-10-24T22:00:00.000000000Z");
	assert_string_equal(text_of(day, "zone"), "Europe/Berlin");
	assert_int_equal(json_integer_value(json_object_get(day, "hours")), 25);
}

static void test_a_manifest_pins_what_it_was_made_from(void **state)
{
	static const char target[] =
	    "/api/v1/slices/manifest?from=2025-11-19T18:00:00Z&to=2025-11-19T19:00:00Z";
	char hash[80];

	(void)state;
	post_notes(3);
	assert_int_equal(fixture_call(&fx, "GET", target, NULL), 200);
	assert_int_equal(json_integer_value(json_object_get(fx.json, "cursor")), 3);
	assert_int_equal(json_integer_value(json_object_get(fx.json, "step_s")), 60);
	assert_true(json_integer_value(json_object_get(fx.json, "slices")) >= 1);
	assert_int_equal(strlen(text_of(fx.json, "policy_hash")), 32);
	(void)snprintf(hash, sizeof hash, "%s", text_of(fx.json, "hash"));
	assert_int_equal(strlen(hash), 64);
	assert_int_equal(fixture_call(&fx, "GET", target, NULL), 200);
	assert_string_equal(text_of(fx.json, "hash"), hash);
}

static void test_episodes_have_the_contracts_shape(void **state)
{
	(void)state;
	post_notes(3);
	assert_int_equal(
	    fixture_call(&fx, "GET",
		"/api/v1/episodes?from=2025-11-19T00:00:00Z&to=2025-11-20T00:00:00Z", NULL),
	    200);
	assert_int_equal(json_array_size(json_object_get(fx.json, "episodes")), 1);
	const json_t *episode = item("episodes", 0);
	/* A second of ε puts the first note into the minute before as well. */
	assert_string_equal(text_of(episode, "start"), "2025-11-19T18:29:00.000000000Z");
	assert_true(json_is_integer(json_object_get(episode, "version")));
	assert_true(json_is_array(json_object_get(episode, "people")));
	assert_true(json_is_integer(json_object_get(fx.json, "policy")));
}

/* More sub-ranges than one: the whole must equal what one build gives. */
static void test_a_long_range_of_slices_is_one_document(void **state)
{
	char previous[64] = "";

	(void)state;
	post_notes(200);
	assert_int_equal(fixture_call(&fx, "GET",
			     "/api/v1/slices?from=2025-11-19T12:30:00Z&to=2025-11-19T23:59:59Z"
			     "&step=1s&facets=language",
			     NULL),
	    200);
	size_t n = json_array_size(json_object_get(fx.json, "slices"));
	assert_true(n >= 200 && n <= 204); /* each note ± 1 s */
	for (size_t i = 0; i < n; i++) {
		const char *start = text_of(item("slices", i), "start");
		assert_true(strcmp(previous, start) < 0);
		(void)snprintf(previous, sizeof(previous), "%s", start);
	}
}

static void test_an_empty_range_gives_an_empty_list(void **state)
{
	(void)state;
	assert_int_equal(fixture_call(&fx, "GET", "/api/v1/slices?from=0&to=0", NULL), 200);
	assert_int_equal(json_array_size(json_object_get(fx.json, "slices")), 0);
	assert_int_equal(fixture_call(&fx, "GET", "/api/v1/events?from=0&to=0", NULL), 200);
	assert_int_equal(fixture_call(&fx, "GET", "/api/v1/slices", NULL), 200);
}

static void test_what_was_acknowledged_is_found(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		char body[256], target[64];
		(void)snprintf(body, sizeof(body),
		    "{\"source\":\"pen\",\"id\":\"x%d\",\"layer\":\"text\",\"kind\":\"note\","
		    "\"start\":%d,\"text\":\"word%dq\"}",
		    i, i + 1, i);
		assert_int_equal(fixture_call(&fx, "POST", "/api/v1/events", body), 200);
		(void)snprintf(target, sizeof(target), "/api/v1/search?q=word%dq", i);
		assert_int_equal(fixture_call(&fx, "GET", target, NULL), 200);
		(void)snprintf(body, sizeof(body), "x%d", i);
		assert_string_equal(text_of(item("results", 0), "id"), body);
		assert_string_equal(text_of(item("results", 0), "layer"), "text");
		assert_string_equal(text_of(item("results", 0), "source"), "pen");
		assert_true(json_is_number(json_object_get(item("results", 0), "score")));
	}
}

static void test_unknown_paths_and_methods_are_typed(void **state)
{
	struct api_request none = { .method = "GET", .peer = API_PEER_NONE };

	(void)state;
	assert_int_equal(fixture_call(&fx, "GET", "/api/v1/nothing", NULL), 404);
	assert_string_equal(fixture_error(&fx, "code"), "not_found");
	assert_int_equal(fixture_call(&fx, "PUT", "/api/v1/events", NULL), 405);
	assert_string_equal(fx.response.headers[0].name, "Allow");
	assert_string_equal(fx.response.headers[0].value, "POST, GET");
	/* Control routes are not there for tokens. */
	assert_int_equal(fixture_call(&fx, "GET", "/control/devices", NULL), 404);
	assert_int_equal(fixture_call(&fx, "POST", "/control/devices", "{}"), 404);
	/* Without a token even an unknown path tells nothing. */
	assert_int_equal(fixture_send(&fx, &none, "/api/v1/nothing", NULL), 401);
	assert_int_equal(fixture_send(&fx, &none, "/control/devices", NULL), 401);
	assert_int_equal(fixture_send(&fx, &none, "/api/v1/status", NULL), 401);
	assert_int_equal(fixture_send(&fx, &none, "/metrics", NULL), 401);
	assert_int_equal(fixture_send(&fx, &none, "/healthz", NULL), 200);
	assert_int_equal(fixture_send(&fx, &none, "/", NULL), 200);
}

static void test_the_page_is_locked_down(void **state)
{
	struct api_request none = { .method = "GET", .peer = API_PEER_NONE };
	const char *policy = NULL;

	(void)state;
	assert_int_equal(fixture_send(&fx, &none, "/", NULL), 200);
	for (size_t i = 0; i < fx.response.headers_len; i++) {
		if (strcmp(fx.response.headers[i].name, "Content-Security-Policy") == 0)
			policy = fx.response.headers[i].value;
	}
	assert_non_null(policy);
	assert_non_null(strstr(policy, "default-src 'none'"));
	assert_null(strstr(policy, "unsafe"));
	const char *page = buf_text(&fx.response.body);
	assert_non_null(strstr(page, "<!doctype html>"));
	assert_null(strstr(page, "http://"));
	assert_null(strstr(page, "https://"));
	static const char *const markup[] = { "innerHTML", "outerHTML", "insertAdjacentHTML",
		"document.write", "eval(", "sessionStorage", "indexedDB" };
	static const char *const modules[] = { "app", "memory", "memory-edit", "elsewhere", "ask" };
	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
		char path[64];
		(void)snprintf(path, sizeof(path), "/web/%s.js", modules[i]);
		assert_int_equal(fixture_send(&fx, &none, path, NULL), 200);
		assert_string_equal(fx.response.content_type, "text/javascript; charset=utf-8");
		for (size_t j = 0; j < sizeof(markup) / sizeof(markup[0]); j++)
			assert_null(strstr(buf_text(&fx.response.body), markup[j]));
	}
	assert_int_equal(fixture_send(&fx, &none, "/web/style.css", NULL), 200);
	assert_int_equal(fixture_send(&fx, &none, "/web/none.js", NULL), 404);
}

static void test_status_and_metrics_hold_numbers_only(void **state)
{
	(void)state;
	post_notes(3);
	assert_int_equal(fixture_call(&fx, "GET", "/api/v1/status", NULL), 200);
	const json_t *store = json_object_get(fx.json, "store");
	assert_int_equal(json_integer_value(json_object_get(store, "records")), 3);
	assert_string_equal(text_of(store, "first"), "2025-11-19T18:30:00.000000000Z");
	assert_true(json_is_array(json_object_get(fx.json, "compute")));
	assert_null(strstr(buf_text(&fx.response.body), "number"));
	assert_int_equal(fixture_call(&fx, "GET", "/metrics", NULL), 200);
	assert_non_null(strstr(buf_text(&fx.response.body), "hearth_store_records 3\n"));
	assert_null(strstr(buf_text(&fx.response.body), "pen"));
}

static void test_verify_finds_nothing_wrong_with_a_good_store(void **state)
{
	(void)state;
	post_notes(50);
	assert_int_equal(fixture_control(&fx, "POST", "/control/verify", "{}"), 200);
	assert_int_equal(fixture_number(&fx, "faults"), 0);
	assert_int_equal(fixture_number(&fx, "records"), 50);
}

/* A digest and an episode of what never was; the store's own pass cannot tell. */
static void test_verify_names_what_the_aligner_keeps_of_nothing(void **state)
{
	struct store *store = station_store(fx.station);
	int64_t start_ns = INT64_C(1763568000) * NS_PER_S; /* 16:00 that day */
	/* Format, flags, first and last seq; a value, its track, lane, seq and times. */
	const uint8_t fold[24] = { 1, 0, 1, 1, 1, [20] = 1, 1, 0 };
	struct store_digest_row digest = { 0, start_ns - start_ns % STORE_DIGEST_LEAF_NS, fold,
		23 };
	struct store_episode_row episode = { start_ns, start_ns - 30 * NS_PER_MIN,
		start_ns + 5 * NS_PER_HOUR, (const uint8_t *)"\x01\x00", 2 };
	uint64_t touches;
	bool stale;

	(void)state;
	post_notes(50);
	assert_true(builder_wait(station_builder(fx.station), store_cursor(store), 30 * NS_PER_S));
	PASS(store_digest_begin(store, LAYER_HOME, start_ns, &touches, &pass_why));
	PASS(store_digest_put(store, LAYER_HOME, &digest, 1, touches, &stale, &pass_why));
	PASS(store_episode_put(store, &episode, 1, &pass_why));
	assert_int_equal(fixture_control(&fx, "POST", "/control/verify", "{}"), 200);
	assert_int_equal(fixture_number(&fx, "faults"), 2);
	const char *body = buf_text(&fx.response.body);
	assert_non_null(strstr(body, "digest: level 0 from 2025-11-19T15:00:00.000000000Z"));
	assert_non_null(strstr(body, "episode: the row of 2025-11-19T16:00:00.000000000Z"));
}

static void test_models_are_listed_without_a_pool(void **state)
{
	(void)state;
	assert_int_equal(fixture_call(&fx, "GET", "/v1/models", NULL), 200);
	assert_string_equal(text_of(item("data", 0), "id"), "hearth");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_good_events_are_kept_and_bad_ones_named),
		TEST(test_a_body_that_is_no_json_is_a_typed_error),
		TEST(test_a_limited_device_may_only_send_its_layers),
		TEST(test_events_come_back_as_sent_in_order_of_time),
		TEST(test_an_event_without_an_id_is_shown_as_it_was_sent),
		TEST(test_pages_by_cursor_give_every_event_once),
		TEST(test_a_full_last_page_has_no_next),
		TEST(test_events_are_filtered),
		TEST(test_bad_parameters_are_named),
		TEST(test_slices_have_the_contracts_shape),
		TEST(test_a_local_day_says_where_it_lies),
		TEST(test_a_manifest_pins_what_it_was_made_from),
		TEST(test_episodes_have_the_contracts_shape),
		TEST(test_a_long_range_of_slices_is_one_document),
		TEST(test_an_empty_range_gives_an_empty_list),
		TEST(test_what_was_acknowledged_is_found),
		TEST(test_unknown_paths_and_methods_are_typed),
		TEST(test_the_page_is_locked_down),
		TEST(test_status_and_metrics_hold_numbers_only),
		TEST(test_verify_finds_nothing_wrong_with_a_good_store),
		TEST(test_verify_names_what_the_aligner_keeps_of_nothing),
		TEST(test_models_are_listed_without_a_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
