/*
 * The operator's side of models elsewhere: the file that the handlers write, keys that
 * rest sealed, labels of moments, and the dry run.
 */
#include "gateway_fixture.h"

#include "gateway/catalogue.h"
#include "gateway/cloud_labels.h"
#include "gateway/cloud_place.h"
#include "gateway/station_state.h"
#include "night/label.h"
#include "night/night.h"
#include "os/file.h"
#include "store/store.h"

#define AT_NS INT64_C(1795228200000000000)

#define FAR "{\"upstream\":{\"name\":\"far\",\"url\":\"https://far.example/v1\",\"model\":\"m\"}"

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

static bool says(const char *text)
{
	return strstr(buf_text(&fx.response.body), text) != NULL;
}

static void add_far(const char *url, const char *key)
{
	char body[512];

	(void)snprintf(body, sizeof(body),
	    "{\"upstream\":{\"name\":\"far\",\"url\":\"%s\",\"model\":\"m\",\"size\":\"large\"}%s}",
	    url, key);
	if (fixture_control(&fx, "POST", "/control/cloud", body) != 200)
		fail_msg("%s", buf_text(&fx.response.body));
}

static void test_upstreams_are_added_shown_and_removed(void **state)
{
	(void)state;
	assert_int_equal(fixture_control(&fx, "GET", "/control/cloud", NULL), 200);
	assert_true(says("\"state\":{},\"policy\":{"));
	add_far("https://far.example/v1", ",\"key\":\"sk-CANARY-KEY\"");
	assert_int_equal(fixture_control(&fx, "GET", "/control/cloud", NULL), 200);
	assert_true(says("\"far\":{\"key\":\"set\",\"down\":false,\"day\":{\"tokens_in\":0"));
	assert_false(says("CANARY"));
	assert_int_equal(fixture_call(&fx, "GET", "/v1/models/cloud%2Ffar", NULL), 200);
	assert_true(says("{\"id\":\"cloud/far\",\"object\":\"model\""));
	assert_int_equal(fixture_call(&fx, "GET", "/v1/models/cloud/near", NULL), 404);
	assert_int_equal(
	    fixture_control(&fx, "POST", "/control/cloud/route", "{\"to\":\"far\"}"), 200);
	assert_int_equal(fixture_control(&fx, "POST", "/control/cloud/route",
			     "{\"to\":\"medium\",\"when\":\"away\"}"),
	    200);
	assert_int_equal(fixture_control(&fx, "DELETE", "/control/cloud?name=far", NULL), 200);
	assert_int_equal(fixture_control(&fx, "GET", "/control/cloud", NULL), 200);
	assert_false(says("far.example"));
	assert_true(says("{ \"to\": \"medium\", \"when\": \"away\", \"tokens\": 0 }"));
	assert_int_equal(
	    fixture_control(&fx, "POST", "/control/cloud/route", "{\"to\":null}"), 200);
	assert_int_equal(fixture_control(&fx, "DELETE", "/control/cloud?name=far", NULL), 404);
	/* The key went along: another one of that name and address has none. */
	add_far("https://far.example/v1", "");
	assert_int_equal(fixture_control(&fx, "GET", "/control/cloud", NULL), 200);
	assert_true(says("\"far\":{\"key\":\"none\""));
}

/* By their own token, not a device's; changing is the operator's. */
static void test_the_owner_reads_what_may_leave_and_what_left(void **state)
{
	struct api_request device = { .method = "GET", .peer = API_PEER_TOKEN, .device = 7 };

	(void)state;
	add_far("https://far.example/v1", ",\"key\":\"sk-CANARY-KEY\"");
	assert_int_equal(fixture_control(&fx, "POST", "/control/verify", "{}"), 200);
	assert_int_equal(
	    fixture_control(&fx, "POST", "/control/devices", "{\"name\":\"phone\"}"), 200);
	const struct catalogue_audit asked = { .at_ns = AT_NS,
		.device = fixture_number(&fx, "id"),
		.action = "cloud-ask",
		.object = "far reason=rule" };
	PASS(catalogue_audit_add(station_catalogue(fx.station), &asked, &pass_why));
	assert_int_equal(fixture_call(&fx, "GET", "/api/v1/cloud", NULL), 200);
	assert_true(says("\"far\":{\"key\":\"set\",\"down\":false"));
	assert_true(says("\"leave\":"));
	assert_false(says("CANARY"));
	assert_int_equal(fixture_call(&fx, "GET", "/api/v1/audit", NULL), 200);
	assert_true(says("\"device-add\""));
	assert_int_equal(fixture_call(&fx, "GET", "/api/v1/audit?of=cloud", NULL), 200);
	assert_false(says("\"device-add\""));
	const json_t *lines = json_object_get(fx.json, "audit");
	assert_int_equal(json_array_size(lines), 2);
	assert_string_equal(
	    json_string_value(json_object_get(json_array_get(lines, 0), "who")), "phone");
	assert_string_equal(
	    json_string_value(json_object_get(json_array_get(lines, 1), "who")), "operator");
	assert_int_equal(fixture_call(&fx, "GET", "/api/v1/audit?of=all", NULL), 400);
	assert_int_equal(fixture_call(&fx, "POST", "/api/v1/cloud", FAR "}"), 405);
	assert_int_equal(fixture_send(&fx, &device, "/api/v1/cloud", NULL), 403);
	assert_int_equal(fixture_send(&fx, &device, "/api/v1/audit", NULL), 403);
}

static void test_what_would_be_no_policy_is_refused_and_changes_nothing(void **state)
{
	static const char *const rows[][3] = {
		{ "/control/cloud",
		    "{\"upstream\":{\"name\":\"a\",\"url\":\"http://a.example/v1\","
		    "\"model\":\"m\"}}",
		    "TLS" },
		{ "/control/cloud", "{\"upstream\":{\"nam\":\"a\"}}", "nam" },
		{ "/control/cloud", "{\"upstream\":7}", "upstream" },
		{ "/control/cloud", "[]", "JSON object" },
		{ "/control/cloud", FAR ",\"key\":\"two words\"}", "one word" },
		{ "/control/cloud", FAR ",\"key\":7}", "key" },
		{ "/control/cloud/leave", "{\"allow\":[\"text\"]}", "home or outside" },
		{ "/control/cloud/leave", "{\"deny\":\"source:diary\"}", "array" },
		{ "/control/cloud/leave", "{\"trust\":\"home\",\"allow\":{\"text\":1}}", "array" },
		{ "/control/cloud/leave", "{\"trust\":\"home\",\"denies\":[\"text\"]}",
		    "one word" },
		{ "/control/cloud/leave", "{\"trust\":7,\"deny\":[\"text\"]}", "home or outside" },
		{ "/control/cloud/leave", "{\"deny\":[\"source:a\\u0007\"]}", "not_sources" },
		{ "/control/cloud/leave", "{\"trust\":\"abroad\",\"deny\":[\"text\"]}",
		    "home or outside" },
		{ "/control/cloud/leave", "{\"trust\":\"home\",\"allow\":[\"texts\"]}", "texts" },
		{ "/control/cloud/leave", "{\"trust\":\"home\",\"allow\":[\"label:\"]}", "label" },
		{ "/control/cloud/route", "{\"to\":\"far\"}", "rule 1" },
		{ "/control/cloud/route", "{\"to\":\"large\",\"when\":\"never\"}", "when" },
		{ "/control/cloud/route", "{\"when\":\"always\"}", "null" },
		{ "/control/cloud/route", "{\"to\":7}", "null" },
		{ "/control/cloud/route", "{\"to\":\"large\",\"when\":\"long\",\"tokens\":\"9\"}",
		    "whole" },
		{ "/control/cloud/route", "{\"to\":\"large\",\"tokens\":2000000000}",
		    "hearth.tokens" },
		{ "/control/cloud/route", "{\"to\":\"large\",\"tokens\":-1}", "hearth.tokens" },
		{ "/control/cloud/explain", "{\"question\":\"a\"}", "model" },
		{ "/control/cloud/explain", "{\"question\":\"a\",\"model\":\"tiny\"}", "route" },
	};
	char path[300];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(fixture_control(&fx, "POST", rows[i][0], rows[i][1]), 400);
		if (!says(rows[i][2]))
			fail_msg("%s: %s", rows[i][1], buf_text(&fx.response.body));
	}
	(void)snprintf(path, sizeof(path), "%s/cloud.json", fx.dir);
	assert_false(file_exists(path));
}

static void test_words_of_what_may_leave_are_kept_by_trust(void **state)
{
	struct cloud_policy policy;

	(void)state;
	assert_int_equal(
	    fixture_control(&fx, "POST", "/control/cloud/leave",
		"{\"trust\":\"home\",\"allow\":[\"text\",\"home\",\"question\",\"facts\","
		"\"source:watch\",\"label:scene=work\"]}"),
	    200);
	assert_int_equal(fixture_control(&fx, "POST", "/control/cloud/leave",
			     "{\"deny\":[\"home\",\"label:scene=work\",\"source:diary\"]}"),
	    200);
	PASS(cloud_place_policy(station_cloud(fx.station), &fx.arena, &policy, &pass_why));
	const struct cloud_leave *home = &policy.leave[CLOUD_HOME];
	assert_true(home->question && home->facts && !home->conversation);
	assert_int_equal(home->layers, LAYER_MASK(LAYER_TEXT));
	assert_int_equal(home->sources.len, 1);
	assert_int_equal(home->labels.len, 0);
	assert_string_equal(home->not_labels.words[0], "scene=work");
	assert_string_equal(home->not_sources.words[0], "diary");
	/* What is denied without a trust is denied to both. */
	assert_string_equal(policy.leave[CLOUD_OUTSIDE].not_sources.words[0], "diary");
	assert_false(policy.leave[CLOUD_OUTSIDE].question);
	assert_int_equal(policy.leave[CLOUD_OUTSIDE].layers, 0);
	assert_int_equal(fixture_control(&fx, "GET", "/control/audit", NULL), 200);
	assert_true(says("\"action\":\"cloud-deny\",\"object\":\"all\""));
	assert_true(says("\"action\":\"cloud-allow\",\"object\":\"home\""));
}

static void test_a_key_rests_sealed_and_bound_to_its_address(void **state)
{
	struct cloud_upstream far = { .name = "far", .url = "https://far.example/v1" };
	struct cloud_place *place = station_cloud(fx.station);
	char key[CLOUD_KEY_TEXT_BYTES];
	struct buf bytes;

	(void)state;
	add_far(far.url, ",\"key\":\"sk-CANARY-KEY\"");
	PASS(cloud_place_key(place, &far, key, &pass_why));
	assert_string_equal(key, "sk-CANARY-KEY");
	buf_init(&bytes, STATION_STATE_BYTES_MAX);
	PASS(catalogue_copy(station_catalogue(fx.station), false, &bytes, &pass_why));
	assert_null(memmem(bytes.bytes, bytes.len, "CANARY", 6));
	buf_fini(&bytes);
	/* An edit of the file cannot have it sent elsewhere. */
	far.url = "https://evil.example/v1";
	assert_int_equal(cloud_place_key(place, &far, key, NULL), RC_DENIED);
	assert_string_equal(key, "");
	add_far(far.url, "");
	assert_int_equal(fixture_control(&fx, "GET", "/control/cloud", NULL), 200);
	assert_true(says("\"far\":{\"key\":\"unusable\""));
	assert_int_equal(cloud_place_set_key(place, &far, "two words", NULL), RC_INVALID);
	assert_int_equal(cloud_place_set_key(place, &far, "line\nX-Evil: 1", NULL), RC_INVALID);
}

static void test_a_backup_has_the_policy_and_a_followers_state_has_not(void **state)
{
	struct station_state_view view;
	struct buf bytes;

	(void)state;
	add_far("https://far.example/v1", "");
	buf_init(&bytes, STATION_STATE_BYTES_MAX);
	PASS(station_state(fx.station, false, &bytes, &pass_why));
	PASS(station_state_parse(bytes.bytes, bytes.len, &view, &pass_why));
	assert_non_null(memmem(view.cloud, view.cloud_len, "far.example", 11));
	buf_reset(&bytes);
	PASS(station_state(fx.station, true, &bytes, &pass_why));
	PASS(station_state_parse(bytes.bytes, bytes.len, &view, &pass_why));
	assert_int_equal(view.cloud_len, 0);
	buf_fini(&bytes);
}

static void test_spending_is_summed_by_day_and_put_right(void **state)
{
	const struct spend some = { .in = 100, .out = 50, .micros = 7 };
	const struct spend less = { .in = -40, .out = -60, .micros = -7 };
	struct catalogue *c = station_catalogue(fx.station);
	struct spend sum;

	(void)state;
	PASS(catalogue_spend_add(c, "far", 20261130, &some, &pass_why));
	PASS(catalogue_spend_add(c, "far", 20261201, &some, &pass_why));
	PASS(catalogue_spend_add(c, "far", 20261201, &less, &pass_why));
	PASS(catalogue_spend_add(c, "near", 20261201, &some, &pass_why));
	PASS(catalogue_spend_sum(c, "far", 20261201, 20261299, &sum, &pass_why));
	assert_int_equal(sum.in, 60);
	assert_int_equal(sum.out, 0);
	assert_int_equal(sum.micros, 0);
	PASS(catalogue_spend_sum(c, "far", 20261100, 20261201, &sum, &pass_why));
	assert_int_equal(sum.in, 160);
	/* Days of two years ago go. */
	PASS(catalogue_spend_add(c, "far", 20281201, &some, &pass_why));
	PASS(catalogue_spend_sum(c, "far", 0, 20281231, &sum, &pass_why));
	assert_int_equal(sum.in, 160);
	PASS(catalogue_spend_add(c, "far", 20281202, &some, &pass_why));
	PASS(catalogue_spend_sum(c, "far", 0, 20281231, &sum, &pass_why));
	assert_int_equal(sum.in, 200);
}

/* ---- labels ---- */

static uint64_t append(const char *id, int64_t t0_ns, int64_t t1_ns, uint8_t obs_id[OBS_ID_BYTES])
{
	struct observation obs = { .source = "phone",
		.client_id = id,
		.layer = LAYER_TEXT,
		.kind = "note",
		.shape = SHAPE_INSTANT,
		.clock_id = "",
		.boot_epoch = "",
		.dev_t0_ns = t0_ns,
		.dev_t1_ns = t1_ns,
		.recv_utc_ns = t1_ns,
		.zone = "",
		.origin = ORIGIN_DEVICE,
		.text = "a note",
		.data_json = "" };

	store_obs_id(station_store(fx.station), &obs, obs_id);
	PASS(store_append(station_store(fx.station), &obs, 1, NULL, NULL, &pass_why));
	return store_cursor(station_store(fx.station));
}

static void say(const char *rule, const char *key, int64_t t0_ns, int64_t t1_ns,
    const uint8_t about[OBS_ID_BYTES], const char *value)
{
	struct observation obs;
	struct label label = { .rule = rule,
		.version = 1,
		.key = key,
		.layer = LAYER_TEXT,
		.t0_ns = t0_ns,
		.t1_ns = t1_ns,
		.about_len = 1,
		.value_json = value,
		.confidence = 1 };
	uint8_t ids[1][OBS_ID_BYTES];

	memcpy(ids[0], about, OBS_ID_BYTES);
	label.about = (const uint8_t(*)[OBS_ID_BYTES])ids;
	PASS(label_encode(&label, &fx.arena, &obs));
	PASS(store_append(station_store(fx.station), &obs, 1, NULL, NULL, &pass_why));
}

static bool has_label(const struct route_moment *moment, const char *word)
{
	for (size_t i = 0; i < moment->labels_len; i++) {
		if (strcmp(moment->labels[i], word) == 0)
			return true;
	}
	return false;
}

static void look(const uint8_t obs_id[OBS_ID_BYTES], struct route_moment *out)
{
	struct observation obs;

	*out = (struct route_moment){ 0 };
	PASS(store_get_id(station_store(fx.station), obs_id, &fx.arena, &obs, &pass_why));
	PASS(cloud_labels(station_store(fx.station), &obs, &fx.arena, out, &pass_why));
}

static void test_a_moment_has_the_labels_of_what_it_lies_in(void **state)
{
	uint8_t a[OBS_ID_BYTES], b[OBS_ID_BYTES], c[OBS_ID_BYTES];
	const int64_t minute = 60 * NS_PER_S;
	struct route_moment moment;

	(void)state;
	(void)append("a", AT_NS, AT_NS, a);
	(void)append("b", AT_NS + 5 * minute, AT_NS + 5 * minute, b);
	(void)append("c", AT_NS + 50 * minute, AT_NS + 50 * minute, c);
	say("language", "a", AT_NS, AT_NS, a, "\"de\"");
	say("scene", "meeting", AT_NS, AT_NS + 10 * minute, a,
	    "{\"because\":\"calendar\",\"scene\":\"meeting\"}");
	look(a, &moment);
	assert_true(has_label(&moment, "language"));
	assert_true(has_label(&moment, "language=de"));
	assert_true(has_label(&moment, "scene=meeting"));
	look(b, &moment); /* nobody read it from this one, but it was then */
	assert_true(has_label(&moment, "scene=meeting"));
	assert_false(has_label(&moment, "language"));
	look(c, &moment);
	assert_int_equal(moment.labels_len, 0);
	/* No night has looked at any of them yet. */
	assert_true(moment.unlabelled);
	struct night_config night = { .store = station_store(fx.station) };
	struct night_report report;
	PASS(night_run(&night, &report, &pass_why));
	look(c, &moment);
	assert_false(moment.unlabelled);
}

/* ---- the dry run ---- */

static void test_a_dry_run_tells_the_way_and_leaves_no_trace(void **state)
{
	(void)state;
	static const char ask[] = "{\"question\":\"when was the note\",\"model\":\"hearth\"}";
	uint8_t id[OBS_ID_BYTES];
	(void)append("a", AT_NS, AT_NS, id);
	assert_int_equal(fixture_control(&fx, "POST", "/control/cloud/explain", ask), 200);
	assert_true(says("\"route\":{\"to\":\"local\",\"reason\":\"no-rule\""));
	add_far("https://far.example/v1", "");
	assert_int_equal(
	    fixture_control(&fx, "POST", "/control/cloud/route", "{\"to\":\"large\"}"), 200);
	assert_int_equal(fixture_control(&fx, "POST", "/control/cloud/explain", ask), 200);
	assert_true(says("\"reason\":\"question\""));
	assert_int_equal(fixture_control(&fx, "POST", "/control/cloud/leave",
			     "{\"trust\":\"outside\",\"allow\":[\"question\"]}"),
	    200);
	assert_int_equal(fixture_control(&fx, "POST", "/control/cloud/explain", ask), 200);
	assert_true(says("{\"found\":1,\"route\":{\"to\":\"cloud/far\",\"reason\":\"rule\""));
	assert_true(says("\"moments\":{\"sent\":0,\"kept\":{\"layer\":1}}"));
	assert_int_equal(fixture_control(&fx, "POST", "/control/cloud/leave",
			     "{\"trust\":\"outside\",\"allow\":[\"text\"]}"),
	    200);
	assert_int_equal(fixture_control(&fx, "POST", "/control/cloud/explain", ask), 200);
	assert_true(says("\"leaving\":{\"text\":1}"));
	assert_false(says("a note"));
	assert_int_equal(fixture_control(&fx, "GET", "/control/audit", NULL), 200);
	assert_false(says("cloud-ask"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_upstreams_are_added_shown_and_removed),
		TEST(test_the_owner_reads_what_may_leave_and_what_left),
		TEST(test_what_would_be_no_policy_is_refused_and_changes_nothing),
		TEST(test_words_of_what_may_leave_are_kept_by_trust),
		TEST(test_a_key_rests_sealed_and_bound_to_its_address),
		TEST(test_a_backup_has_the_policy_and_a_followers_state_has_not),
		TEST(test_spending_is_summed_by_day_and_put_right),
		TEST(test_a_moment_has_the_labels_of_what_it_lies_in),
		TEST(test_a_dry_run_tells_the_way_and_leaves_no_trace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
