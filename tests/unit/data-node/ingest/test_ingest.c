/* Ingest: bodies of events into a store, errors by index and field, and back. */
#include "../store/store_fixture.h"

#include "base/hex.h"
#include "ingest/ingest.h"
#include "store/store_blob.h"

#define EVENT(id, rest)                                                                            \
	"{\"source\":\"phone\",\"id\":\"" id "\",\"layer\":\"text\",\"kind\":\"note\","            \
	"\"start\":\"2026-11-19T18:30:00.123Z\"" rest "}"

static struct ingest_report ingest(
    struct fixture *f, struct arena *arena, const char *body, enum rc want)
{
	struct ingest_context ctx = { .store = f->store, .recv_utc_ns = T0_NS };
	struct ingest_report report = { 0 };
	struct errmsg why = ERRMSG_INIT;
	enum rc rc = ingest_body(&ctx, body, strlen(body), arena, &report, &why);

	if (rc != want)
		fail_msg("%s: %s, %s", body, rc_word(rc), why.text);
	return report;
}

static void test_bodies_are_told_apart_by_content(void **state)
{
	(void)state;
	static const struct {
		const char *body;
		unsigned accepted, rejected;
		enum rc rc;
	} cases[] = {
		{ "", 0, 0, RC_OK },
		{ " \n\r\n ", 0, 0, RC_OK },
		{ "[]", 0, 0, RC_OK },
		{ EVENT("1", ""), 1, 0, RC_OK },
		{ "\xEF\xBB\xBF" EVENT("2", "") "\n", 1, 0, RC_OK },
		{ "{\n\"source\":\"p\",\n\"layer\":\"home\",\"kind\":\"light\",\n\"start\":1}\n", 1,
		    0, RC_OK },
		{ EVENT("3", "") "\r\n\r\n" EVENT("4", "") "\n", 2, 0, RC_OK },
		{ " [ " EVENT("5", "") " , " EVENT("6", "") " ] ", 2, 0, RC_OK },
		{ EVENT("7", "") "\nnonsense\n" EVENT("8", ""), 2, 1, RC_OK },
		{ "[" EVENT("9", "") ",{\"a\":}," EVENT("10", "") ",7]", 2, 2, RC_OK },
		{ "nonsense", 0, 0, RC_INVALID },
		{ "{\"source\":", 0, 0, RC_INVALID },
		{ "[" EVENT("11", ""), 0, 0, RC_INVALID },
		{ "[" EVENT("12", "") ",", 0, 0, RC_INVALID },
		{ "[" EVENT("13", "") "] x", 0, 0, RC_INVALID },
		{ "[" EVENT("14", "") " " EVENT("15", "") "]", 0, 0, RC_INVALID },
	};
	struct fixture f = { 0 };

	fixture_init(&f);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arena arena;
		arena_init(&arena, 1 << 20);
		struct ingest_report r = ingest(&f, &arena, cases[i].body, cases[i].rc);
		assert_int_equal(r.accepted, cases[i].accepted);
		assert_int_equal(r.rejected, cases[i].rejected);
		assert_int_equal(r.errors_len, cases[i].rejected);
		arena_fini(&arena);
	}
	fixture_fini(&f);
}

#define HEAD "{\"source\":\"s\",\"layer\":\"text\",\"kind\":\"note\",\"start\":1"
static const struct {
	const char *event, *field;
} bad_events[] = {
	{ "{\"layer\":\"text\",\"kind\":\"note\",\"start\":1}", "source" },
	{ "{\"source\":\"\",\"layer\":\"text\",\"kind\":\"note\",\"start\":1}", "source" },
	{ "{\"source\":7,\"layer\":\"text\",\"kind\":\"note\",\"start\":1}", "source" },
	{ "{\"source\":\"hearth-night\",\"layer\":\"text\",\"kind\":\"label\",\"start\":1}",
	    "source" },
	{ "{\"source\":\"hearth-memory\",\"layer\":\"text\",\"kind\":\"fact\",\"start\":1}",
	    "source" },
	{ "{\"source\":\"s\",\"kind\":\"note\",\"start\":1}", "layer" },
	{ "{\"source\":\"s\",\"layer\":\"smell\",\"kind\":\"note\",\"start\":1}", "layer" },
	{ "{\"source\":\"s\",\"layer\":\"text\",\"start\":1}", "kind" },
	{ "{\"source\":\"s\",\"layer\":\"text\",\"kind\":\"note\"}", "start" },
	{ "{\"source\":\"s\",\"layer\":\"text\",\"kind\":\"note\",\"start\":1.5}", "start" },
	{ "{\"source\":\"s\",\"layer\":\"text\",\"kind\":\"note\",\"start\":\"1\"}", "start" },
	{ "{\"source\":\"s\",\"layer\":\"text\",\"kind\":\"note\","
	  "\"start\":\"2026-04-31T00:00:00Z\"}",
	    "start" },
	{ "{\"source\":\"s\",\"layer\":\"text\",\"kind\":\"note\","
	  "\"start\":\"2026-04-30T00:00:00\"}",
	    "start" },
	{ "{\"source\":\"s\",\"layer\":\"text\",\"kind\":\"note\","
	  "\"start\":\"1899-12-31T23:59:59Z\"}",
	    "start" },
	{ "{\"source\":\"s\",\"layer\":\"text\",\"kind\":\"note\","
	  "\"start\":\"9999-01-01T00:00:00Z\"}",
	    "start" },
	{ HEAD ",\"end\":0}", "end" },
	{ HEAD ",\"end\":true}", "end" },
	{ HEAD ",\"shape\":\"interval\"}", "end" },
	{ HEAD ",\"end\":5,\"shape\":\"instant\"}", "end" },
	{ HEAD ",\"shape\":\"round\"}", "shape" },
	{ HEAD ",\"shape\":\"block\"}", "values" },
	{ HEAD ",\"shape\":\"block\",\"values\":[1]}", "rate" },
	{ HEAD ",\"rate\":0,\"values\":[1]}", "rate" },
	{ HEAD ",\"rate\":1}", "rate" },
	{ HEAD ",\"rate\":1e-300,\"values\":[1]}", "rate" },
	{ HEAD ",\"rate\":1,\"values\":[]}", "values" },
	{ HEAD ",\"rate\":1,\"values\":[1,\"2\"]}", "values" },
	{ HEAD ",\"rate\":1,\"values\":[1e999]}", "" },
	{ HEAD ",\"rate\":1,\"values\":[NaN]}", "" },
	{ HEAD ",\"rate\":1,\"values\":[1,2,3],\"channels\":2}", "channels" },
	{ HEAD ",\"rate\":1,\"values\":[1],\"channels\":65}", "channels" },
	{ HEAD ",\"rate\":1,\"values\":[1],\"channels\":0}", "channels" },
	{ HEAD ",\"channels\":2}", "channels" },
	{ HEAD ",\"rate\":1,\"values\":[1],\"channels\":[]}", "channels" },
	{ HEAD ",\"rate\":1,\"values\":[1,2],\"channels\":[\"x\",\"x\"]}", "channels" },
	{ HEAD ",\"rate\":1,\"values\":[1,2],\"channels\":[\"x\",1]}", "channels" },
	{ HEAD ",\"rate\":1,\"values\":[1],\"channels\":[\"\"]}", "channels" },
	{ HEAD ",\"rate\":1,\"values\":[1],\"channels\":[\"a\\\"b\"]}", "channels" },
	{ HEAD ",\"rate\":1,\"values\":[1,2,3],\"channels\":[\"x\",\"y\"]}", "channels" },
	{ HEAD ",\"times\":[1]}", "times" },
	{ HEAD ",\"values\":[1,2],\"times\":[1]}", "times" },
	{ HEAD ",\"values\":[1,2],\"times\":[2,1]}", "times" },
	{ HEAD ",\"values\":[1,2],\"times\":[0,1.5]}", "times" },
	{ HEAD ",\"values\":[1],\"times\":[-1]}", "times" },
	{ HEAD ",\"values\":[1],\"times\":[9007199254740993]}", "times" },
	{ HEAD ",\"values\":[1],\"times\":[]}", "times" },
	{ HEAD ",\"pulse\":-1}", "pulse" },
	{ HEAD ",\"gap\":1}", "gap" },
	{ HEAD ",\"seq\":-1}", "seq" },
	{ HEAD ",\"id\":{}}", "id" },
	{ HEAD ",\"data\":[1]}", "data" },
	{ HEAD ",\"text\":5}", "text" },
	{ HEAD ",\"tz\":\"a b\"}", "tz" },
	{ HEAD ",\"text\":\"\xff\"}", "" },
	{ HEAD ",\"text\":\"\\u0000\"}", "" },
	{ HEAD ",\"start\":2}", "" },
	{ HEAD ",\"data\":{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]"
	       "]]]]]]]]]]]}}",
	    "" },
	{ "\"text\"", "" },
	{ "null", "" },
};

static void test_bad_events_are_named_by_index_and_field_and_the_good_kept(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct buf body;
	struct arena arena;
	size_t n = sizeof(bad_events) / sizeof(bad_events[0]);

	fixture_init(&f);
	buf_init(&body, 1 << 20);
	arena_init(&arena, 1 << 20);
	for (size_t i = 0; i < n; i++)
		buf_printf(&body, "%s\n" EVENT("%zu", "") "\n", bad_events[i].event, i);
	struct ingest_report r = ingest(&f, &arena, buf_text(&body), RC_OK);
	assert_int_equal(r.accepted, n);
	assert_int_equal(r.rejected, n);
	for (size_t i = 0; i < n; i++) {
		if (strcmp(r.errors[i].field, bad_events[i].field) != 0 ||
		    r.errors[i].text[0] == '\0')
			fail_msg("%s: field '%s': %s", bad_events[i].event, r.errors[i].field,
			    r.errors[i].text);
		assert_int_equal(r.errors[i].index, 2 * i);
	}
	arena_fini(&arena);
	buf_fini(&body);
	fixture_fini(&f);
}

static bool export_visit(void *ctx, const struct observation *obs)
{
	struct buf *out = ctx;

	buf_reset(out);
	assert_int_equal(ingest_event_json(obs, out), RC_OK);
	return true;
}

static const struct {
	const char *sent, *back; /* back: without obs_id; NULL = as sent */
} given_back[] = {
	{ "{\"source\":\"p\",\"id\":\"a\",\"layer\":\"environment\",\"kind\":\"location\","
	  "\"start\":\"2026-11-19T19:30:00.123+01:00\",\"tz\":\"Europe/Berlin\","
	  "\"text\":\"caf\\u00e9 \\\"x\\\"\",\"data\":{\"lon\":13.404954,\"lat\":52.5,"
	  "\"n\":[1,2.0,-0.1,1e300,true,null]},\"clock\":\"p\",\"boot\":\"3\",\"seq\":7,"
	  "\"pulse\":2.5,\"gap\":true}",
	    "{\"source\":\"p\",\"id\":\"a\",\"layer\":\"environment\",\"kind\":"
	    "\"location\","
	    "\"start\":\"2026-11-19T18:30:00.123000000Z\",\"tz\":\"Europe/Berlin\","
	    "\"text\":\"caf\xc3\xa9 \\\"x\\\"\",\"data\":{\"lat\":52.5,\"lon\":13.404954,"
	    "\"n\":[1,2.0,-0.1,1e+300,true,null]},\"clock\":\"p\",\"boot\":\"3\",\"seq\":7,"
	    "\"pulse\":2.5,\"gap\":true" },
	{ "{\"source\":\"p\",\"id\":17,\"layer\":\"home\",\"kind\":\"light\",\"start\":5,"
	  "\"shape\":\"state\",\"end\":null,\"gap\":false,\"text\":\"\",\"room\":{\"b\":1}"
	  "}",
	    "{\"source\":\"p\",\"layer\":\"home\",\"kind\":\"light\","
	    "\"start\":\"1970-01-01T00:00:00.000000005Z\",\"end\":null,\"gap\":false,"
	    "\"id\":17,"
	    "\"room\":{\"b\":1},\"shape\":\"state\",\"text\":\"\"" },
	{ "{\"source\":\"p\",\"id\":\"b\",\"layer\":\"behaviour\",\"kind\":\"heart_rate\","
	  "\"start\":0,\"rate\":0.5,\"values\":[60,61.25,-3]}",
	    "{\"source\":\"p\",\"id\":\"b\",\"layer\":\"behaviour\",\"kind\":\"heart_"
	    "rate\","
	    "\"start\":\"1970-01-01T00:00:00.000000000Z\",\"rate\":0.5,"
	    "\"values\":[60,61.25,-3]" },
	{ "{\"source\":\"p\",\"id\":\"c\",\"layer\":\"environment\",\"kind\":\"location\","
	  "\"start\":0,\"channels\":2,\"times\":[0,990000000],"
	  "\"values\":[52.5200066,13.404954,52.5200071,-0.0]}",
	    "{\"source\":\"p\",\"id\":\"c\",\"layer\":\"environment\",\"kind\":"
	    "\"location\",\"start\":\"1970-01-01T00:00:00.000000000Z\",\"channels\":2,"
	    "\"times\":[0,990000000],\"values\":[52.5200066,13.404954,52.5200071,-0.0]" },
	{ "{\"source\":\"p\",\"id\":\"e\",\"layer\":\"behaviour\",\"kind\":"
	  "\"acceleration\","
	  "\"start\":0,\"rate\":1,\"channels\":[\"x\",\"y\"],\"values\":[1,2]}",
	    "{\"source\":\"p\",\"id\":\"e\",\"layer\":\"behaviour\",\"kind\":"
	    "\"acceleration\","
	    "\"start\":\"1970-01-01T00:00:00.000000000Z\",\"rate\":1,\"values\":[1,2],"
	    "\"channels\":[\"x\",\"y\"]" },
	{ "{\"source\":\"p\",\"id\":\"d\",\"layer\":\"behaviour\",\"kind\":\"heart_rate\","
	  "\"start\":0,\"shape\":\"block\",\"channels\":1,\"rate\":1,\"times\":[3],"
	  "\"values\":[61]}",
	    "{\"source\":\"p\",\"id\":\"d\",\"layer\":\"behaviour\",\"kind\":\"heart_"
	    "rate\",\"start\":\"1970-01-01T00:00:00.000000000Z\",\"rate\":1,\"times\":[3],"
	    "\"values\":[61],\"channels\":1,\"shape\":\"block\"" },
};

static void test_an_event_is_given_back_as_it_was_sent(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct buf out;

	fixture_init(&f);
	buf_init(&out, 1 << 20);
	for (size_t i = 0; i < sizeof(given_back) / sizeof(given_back[0]); i++) {
		struct arena arena;
		arena_init(&arena, 1 << 20);
		assert_int_equal(ingest(&f, &arena, given_back[i].sent, RC_OK).accepted, 1);
		PASS(store_scan_log(f.store, i, 1, export_visit, &out, &pass_why));
		assert_non_null(strstr(buf_text(&out), ",\"obs_id\":\""));
		size_t n = strlen(given_back[i].back);
		if (strncmp(buf_text(&out), given_back[i].back, n) != 0)
			fail_msg("%s\n%s", buf_text(&out), given_back[i].back);
		/* Sent again as it was read, it is the same event. */
		struct ingest_report r = ingest(&f, &arena, buf_text(&out), RC_OK);
		assert_int_equal(r.accepted, 0);
		assert_int_equal(r.duplicate, 1);
		arena_fini(&arena);
	}
	buf_fini(&out);
	fixture_fini(&f);
}

#define BLOB_EVENT "{\"source\":\"p\",\"layer\":\"visual\",\"kind\":\"photo\",\"start\":1,\"blob\":"

/* The id of a blob of one byte that is there now, as text. */
static void blob_make(struct fixture *f, char byte, char text[2 * BLOB_ID_BYTES + 1])
{
	struct blob_writer *w = NULL;
	uint8_t id[BLOB_ID_BYTES];

	PASS(blob_write_open(store_blobs(f->store), &w, &pass_why));
	PASS(blob_write(w, &byte, 1, &pass_why));
	PASS(blob_write_finish(w, id, &pass_why));
	blob_write_close(w);
	hex_encode(id, sizeof(id), text);
}

static void test_events_refer_to_blobs_that_are_there(void **state)
{
	(void)state;
	static const char *const bad[] = { "7", "\"ab\"", "[]", "[1]", "{}",
		"\"00000000000000000000000000000000000000000000000000000000000000ab\"" };
	char a[2 * BLOB_ID_BYTES + 1], b[2 * BLOB_ID_BYTES + 1], forms[3][300];
	struct fixture f = { 0 };
	struct ingest_report r;
	struct arena arena;
	struct buf out;

	fixture_init(&f);
	arena_init(&arena, 1 << 24);
	buf_init(&out, 1 << 20);
	blob_make(&f, 'a', a);
	blob_make(&f, 'b', b);
	(void)snprintf(forms[0], sizeof(forms[0]), "\"%s\"", a);
	(void)snprintf(forms[1], sizeof(forms[1]), "[\"%s\"]", a);
	(void)snprintf(forms[2], sizeof(forms[2]), "[\"%s\",\"%s\"]", b, a);
	for (size_t i = 0; i < 3; i++) {
		char *event = arena_printf(&arena, BLOB_EVENT "%s,\"id\":\"%zu\"}", forms[i], i);
		assert_int_equal(ingest(&f, &arena, event, RC_OK).accepted, 1);
		PASS(store_scan_log(f.store, i, 1, export_visit, &out, &pass_why));
		assert_non_null(
		    strstr(buf_text(&out), arena_printf(&arena, "\"blob\":%s,", forms[i])));
		assert_int_equal(ingest(&f, &arena, buf_text(&out), RC_OK).duplicate, 1);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		r = ingest(&f, &arena, arena_printf(&arena, BLOB_EVENT "%s}", bad[i]), RC_OK);
		assert_int_equal(r.rejected, 1);
		assert_string_equal(r.errors[0].field, "blob");
	}
	buf_fini(&out);
	arena_fini(&arena);
	fixture_fini(&f);
}

#define BLOCK_EVENT "{\"source\":\"s\",\"layer\":\"text\",\"kind\":\"k\",\"start\":1,\"rate\":1,"

/* A key with an escape in it is left to the parser. */
static void read_both(const char *array)
{
	static const char *const keys[] = { "values", "v\\u0061lues" };
	const struct ingest_context ctx = { 0 };
	struct observation obs[2] = { 0 };
	struct ingest_error error[2];
	struct arena arena;
	enum rc rc[2];

	arena_init(&arena, (size_t)16 << 20);
	for (int i = 0; i < 2; i++) {
		char *event = arena_printf(&arena, BLOCK_EVENT " \"%s\" : %s}", keys[i], array);
		assert_non_null(event);
		rc[i] = ingest_event(&ctx, event, strlen(event), &arena, &obs[i], &error[i]);
	}
	if (rc[0] != rc[1] || strcmp(error[0].field, error[1].field) != 0)
		fail_msg("%s: %s and %s", array, rc_word(rc[0]), rc_word(rc[1]));
	assert_int_equal(obs[0].values_len, obs[1].values_len);
	if (rc[0] == RC_OK &&
	    memcmp(obs[0].values, obs[1].values, obs[0].values_len * sizeof(double)) != 0)
		fail_msg("%s: other numbers", array);
	arena_fini(&arena);
}

static void test_numbers_of_a_block_are_those_that_the_parser_reads(void **state)
{
	(void)state;
	static const char *const arrays[] = { "[0,-0,-0.0,0.0,1,-1,1.5,2e3,2E-3,2e+3,-1.25e-7]",
		"[ 1 ,\t2\r\n, 3 ]", "[0.1,0.30000000000000004,123456789.123456789]",
		"[9007199254740992,9007199254740991]", "[9007199254740993]",
		"[1e22,1e23,1e-22,1e-23]",
		"[5e-324,1e-400,2.2250738585072011e-308,1.7976931348623157e308]", "[1e309]", "[00]",
		"[01]", "[1.]", "[.5]", "[+1]", "[-]", "[1e]", "[1e+]", "[1,]", "[,1]", "[]",
		"[1 2]", "[0x10]", "[NaN]", "[null]", "[[1]]", "[\"1\"]", "[1", "[1]]", "{}", "1",
		"[12345678901234567890]", "[0.000000000000000000000000000000123]",
		"[179769313486231570000000000000000000000000000000.5]", "[1],\"values\":[2]",
		"[1],\"data\":{\"values\":[1,\"x\"]}" };
	uint64_t seed = 11;

	for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++)
		read_both(arrays[i]);
	for (int round = 0; round < 2000; round++) {
		char text[400];
		size_t len = 0;
		text[len++] = '[';
		for (uint64_t n = 1 + random_next(&seed) % 8; n > 0; n--) {
			uint64_t bits = random_next(&seed);
			double value;
			memcpy(&value, &bits, sizeof(value));
			if (round % 2 == 0)
				value = (double)(int64_t)bits / 1e12;
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%.*g%c",
			    (int)(1 + random_next(&seed) % 19), value, n == 1 ? ']' : ',');
		}
		read_both(text);
	}
}

static void test_shapes_and_origins_have_their_defaults(void **state)
{
	(void)state;
	static const struct {
		const char *layer, *kind, *rest;
		enum shape shape;
		enum origin origin;
		int64_t t1_ns;
	} cases[] = {
		{ "text", "note", "", SHAPE_INSTANT, ORIGIN_OWNER, 1000 },
		{ "text", "page", "", SHAPE_INSTANT, ORIGIN_UNTRUSTED, 1000 },
		{ "text", "bookmark", "", SHAPE_INSTANT, ORIGIN_UNTRUSTED, 1000 },
		{ "visual", "frame", "", SHAPE_INSTANT, ORIGIN_DEVICE, 1000 },
		{ "behaviour", "app", ",\"end\":3000", SHAPE_INTERVAL, ORIGIN_DEVICE, 3000 },
		{ "home", "door", "", SHAPE_STATE, ORIGIN_DEVICE, 1000 },
		{ "home", "sauna", "", SHAPE_INSTANT, ORIGIN_DEVICE, 1000 },
		{ "home", "door", ",\"end\":3000", SHAPE_INTERVAL, ORIGIN_DEVICE, 3000 },
		{ "environment", "noise", ",\"rate\":2,\"values\":[1,2,3]", SHAPE_BLOCK,
		    ORIGIN_DEVICE, 1500001000 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ingest_context ctx = { .source = "default" };
		struct ingest_error error;
		struct observation obs;
		struct arena arena;
		char json[512];
		int n = snprintf(json, sizeof(json),
		    "{\"layer\":\"%s\",\"kind\":\"%s\",\"start\":1000%s}", cases[i].layer,
		    cases[i].kind, cases[i].rest);
		arena_init(&arena, 1 << 20);
		assert_int_equal(ingest_event(&ctx, json, (size_t)n, &arena, &obs, &error), RC_OK);
		assert_string_equal(obs.source, "default");
		assert_int_equal(obs.shape, cases[i].shape);
		assert_int_equal(obs.origin, cases[i].origin);
		assert_int_equal(obs.dev_t1_ns, cases[i].t1_ns);
		arena_fini(&arena);
	}
}

static void test_a_sender_writes_only_its_layers(void **state)
{
	(void)state;
	struct ingest_context ctx = { .layers = LAYER_MASK(LAYER_HOME) };
	const char *json = EVENT("1", "");
	struct ingest_error error;
	struct observation obs;
	struct arena arena;

	arena_init(&arena, 1 << 20);
	assert_int_equal(ingest_event(&ctx, json, strlen(json), &arena, &obs, &error), RC_INVALID);
	assert_string_equal(error.field, "layer");
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bodies_are_told_apart_by_content),
		cmocka_unit_test(test_bad_events_are_named_by_index_and_field_and_the_good_kept),
		cmocka_unit_test(test_an_event_is_given_back_as_it_was_sent),
		cmocka_unit_test(test_events_refer_to_blobs_that_are_there),
		cmocka_unit_test(test_numbers_of_a_block_are_those_that_the_parser_reads),
		cmocka_unit_test(test_shapes_and_origins_have_their_defaults),
		cmocka_unit_test(test_a_sender_writes_only_its_layers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
