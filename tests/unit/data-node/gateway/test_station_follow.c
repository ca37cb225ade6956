/* Two stations of one process: what goes along with the records, and what a node
 * that has taken over does from that moment on. */
#include "gateway_fixture.h"

#include <pthread.h>

#include "align/builder.h"
#include "align/policy.h"
#include "gateway/nightly.h"
#include "gateway/station_follow.h"
#include "memory/learn.h"
#include "os/file.h"
#include "store/store.h"
#include "store/store_digest.h"

#define WAIT_S 30
#define RANGE "from=2026-11-19T10:00:00Z&to=2026-11-19T11:00:00Z&step=60"
#define POLICY "{\"version\":7,\"facets\":{\"location\":{\"nearest_s\":5,\"blend\":\"none\"}}}"
#define PARTS (STATION_SLICES | STATION_NIGHT | STATION_FOLLOW)

static struct fixture first, second;
static char first_address[128];

static void open_first(const char *listen)
{
	struct station_config config = {
		.dir = first.dir, .parts = PARTS, .zone = "UTC", .follow_listen = listen
	};

	PASS(station_open(&config, &first.station, &pass_why));
	(void)snprintf(first_address, sizeof(first_address), "%s",
	    follow_serve_address(station_followed(first.station)));
}

/* Let in before it connects. */
static void let_in(void *ctx, const char *public_key)
{
	char body[128];

	(void)ctx;
	(void)snprintf(body, sizeof(body), "{\"key\":\"%s\"}", public_key);
	assert_int_equal(fixture_control(&first, "POST", "/control/followers", body), 200);
}

static void second_follows(void)
{
	char key[300];
	struct station_config config = { .dir = second.dir, .key_file = key };

	(void)snprintf(key, sizeof(key), "%s/key", first.dir);
	PASS(station_follow_begin(&config, first_address, station_public_key(first.station),
	    WAIT_S * NS_PER_S, let_in, NULL, &pass_why));
	fixture_open(&second, PARTS);
}

static int setup(void **state)
{
	(void)state;
	fixture_init(&first, 0);
	station_close(first.station);
	open_first("tcp://127.0.0.1:*");
	memset(&second, 0, sizeof(second));
	fixture_dir(second.dir);
	arena_init(&second.arena, (size_t)256 << 20);
	api_response_init(&second.response);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fixture_fini(&second);
	fixture_fini(&first);
	return 0;
}

static void write_policy(const char *text)
{
	char path[300];

	(void)snprintf(path, sizeof(path), "%s/policy.json", first.dir);
	PASS(file_write_atomic(path, 0600, text, strlen(text), &pass_why));
}

static void walk(struct fixture *f, const char *hour)
{
	struct buf body;

	buf_init(&body, 1 << 20);
	for (int i = 0; i < 120; i++)
		buf_printf(&body,
		    "{\"source\":\"phone\",\"layer\":\"environment\",\"kind\":\"location\","
		    "\"start\":\"2026-11-19T%s:%02d:%02dZ\",\"data\":{\"lat\":52.%04d,"
		    "\"lon\":13.4}}\n",
		    hour, i / 2, i % 2 * 20, 5200 + i);
	assert_int_equal(fixture_call(f, "POST", "/api/v1/events", buf_text(&body)), 200);
	assert_int_equal(fixture_number(f, "accepted"), 120);
	buf_fini(&body);
}

static void wait_level(void)
{
	int64_t end_ns = clock_mono_ns() + WAIT_S * NS_PER_S;
	uint64_t want = store_cursor(station_store(first.station));

	while (store_cursor(station_store(second.station)) < want) {
		assert_true(clock_mono_ns() < end_ns);
		(void)store_wait(station_store(second.station),
		    store_cursor(station_store(second.station)) + 1, NS_PER_S / 10);
	}
}

static void wait_policy(uint64_t version)
{
	int64_t end_ns = clock_mono_ns() + WAIT_S * NS_PER_S;

	while (station_policy(second.station)->version != version) {
		assert_true(clock_mono_ns() < end_ns);
		(void)store_wait(station_store(second.station), UINT64_MAX, NS_PER_S / 20);
	}
}

static char *shown(struct fixture *f)
{
	char *text = NULL;

	assert_int_equal(fixture_call(f, "GET", "/api/v1/slices/manifest?" RANGE, NULL), 200);
	char *hash = strdup(json_string_value(json_object_get(f->json, "hash")));
	assert_int_equal(fixture_call(f, "GET", "/api/v1/slices?" RANGE, NULL), 200);
	assert_true(asprintf(&text, "%s %s", hash, buf_text(&f->response.body)) > 0);
	free(hash);
	return text;
}

static void assert_same_slices(void)
{
	char *ours = shown(&first), *theirs = shown(&second);

	assert_string_equal(ours, theirs);
	free(ours);
	free(theirs);
}

static void test_a_follower_makes_slices_by_the_policy_of_the_node_it_follows(void **state)
{
	uint64_t by_default = policy_default()->version;
	char path[300], again[128];

	(void)state;
	write_policy(POLICY);
	station_close(first.station);
	open_first("tcp://127.0.0.1:*");
	walk(&first, "10");
	second_follows();
	assert_int_equal(station_policy(second.station)->version, 7);
	wait_level();
	assert_same_slices();
	char *want = shown(&first);
	/* Another one there is another one here, while it serves. */
	(void)snprintf(path, sizeof(path), "%s/policy.json", first.dir);
	assert_int_equal(unlink(path), 0);
	(void)snprintf(again, sizeof(again), "%s", first_address);
	station_close(first.station);
	open_first(again);
	wait_policy(by_default);
	assert_same_slices();
	write_policy(POLICY);
	station_close(first.station);
	open_first(again);
	wait_policy(7);
	/* It has it for good. */
	station_close(second.station);
	station_close(first.station);
	fixture_open(&second, PARTS);
	assert_int_equal(station_policy(second.station)->version, 7);
	/* And builds by it once it is the first node. */
	PASS(station_take_over(second.station, &pass_why));
	assert_true(builder_wait(station_builder(second.station),
	    store_cursor(station_store(second.station)), WAIT_S * NS_PER_S));
	char *built = shown(&second);
	assert_string_equal(built, want);
	free(built);
	free(want);
	open_first(again);
}

static void *take_over(void *arg)
{
	struct errmsg why = ERRMSG_INIT;

	*(enum rc *)arg = station_take_over(second.station, &why);
	return NULL;
}

static void test_who_takes_over_builds_slices_and_labels_at_once(void **state)
{
	enum rc rc[2] = { RC_OK, RC_OK };
	pthread_t threads[2];

	(void)state;
	walk(&first, "10");
	second_follows();
	wait_level();
	assert_null(station_builder(second.station));
	assert_null(station_nightly(second.station));
	assert_int_equal(fixture_call(&second, "POST", "/api/v1/events", "[]"), 503);
	station_close(first.station);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_over, &rc[i]), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_true(
	    (rc[0] == RC_OK && rc[1] == RC_INVALID) || (rc[1] == RC_OK && rc[0] == RC_INVALID));
	assert_non_null(station_builder(second.station));
	assert_non_null(station_nightly(second.station));
	walk(&second, "11");
	uint64_t cursor = store_cursor(station_store(second.station));
	assert_true(builder_wait(station_builder(second.station), cursor, WAIT_S * NS_PER_S));
	assert_int_equal(fixture_control(&second, "POST", "/control/night", "{}"), 200);
	assert_true(store_cursor(station_store(second.station)) > cursor); /* labels */
	fixture_open(&first, 0);
}

static void switch_light(const char *id, int hour, const char *state)
{
	char body[300];

	(void)snprintf(body, sizeof(body),
	    "{\"source\":\"hub\",\"id\":\"%s\",\"layer\":\"home\",\"kind\":\"light\","
	    "\"start\":\"2026-11-19T%02d:00:00Z\","
	    "\"data\":{\"entity_id\":\"light\",\"state\":\"%s\"}}\n",
	    id, hour, state);
	assert_int_equal(fixture_call(&first, "POST", "/api/v1/events", body), 200);
}

/* Of the day: a digest of the second node. */
static bool has_digest(void)
{
	unsigned level = 2;
	int64_t start_ns = INT64_C(1795046400) * NS_PER_S, span_ns = store_digest_span_ns(level);
	struct buf row;

	buf_init(&row, STORE_DIGEST_BYTES_MAX);
	enum rc rc = store_digest_get(station_store(second.station), LAYER_HOME, level,
	    start_ns - start_ns % span_ns, &row, &pass_why);
	buf_fini(&row);
	return rc == RC_OK;
}

static void wait_digest(void)
{
	int64_t end_ns = clock_mono_ns() + WAIT_S * NS_PER_S;

	while (!has_digest()) {
		assert_true(clock_mono_ns() < end_ns);
		(void)store_wait(station_store(second.station), UINT64_MAX, NS_PER_S / 20);
	}
}

static void test_a_follower_keeps_digests_of_the_home_as_records_come(void **state)
{
	char id[8];

	(void)state;
	for (int hour = 0; hour < 12; hour++) {
		(void)snprintf(id, sizeof(id), "%d", hour);
		switch_light(id, hour, hour % 2 == 0 ? "on" : "off");
	}
	second_follows();
	wait_level();
	wait_digest();
	assert_same_slices();
	/* One that comes late takes them away with it, and they are made anew. */
	uint64_t touches = store_digest_touches(station_store(second.station));
	switch_light("late", 9, "unavailable");
	wait_level();
	assert_true(store_digest_touches(station_store(second.station)) > touches);
	wait_digest();
	assert_same_slices();
	/* Who takes over has them. */
	PASS(station_take_over(second.station, &pass_why));
	assert_true(has_digest());
}

/* A fact that the first node learned from an observation of its own. */
static void learn(void)
{
	static uint8_t ids[1][OBS_ID_BYTES];
	const struct observation said = { .source = "pen", .client_id = "n1" };
	enum learn_outcome outcome = LEARN_REFUSED;

	assert_int_equal(
	    fixture_call(&first, "POST", "/api/v1/events",
		"{\"source\":\"pen\",\"id\":\"n1\",\"layer\":\"text\",\"kind\":\"note\","
		"\"start\":\"2026-11-19T12:00:00Z\",\"text\":\"Anna is a nurse\"}"),
	    200);
	store_obs_id(station_store(first.station), &said, ids[0]);
	const struct fact fact = { .class = FACT_PEOPLE,
		.subject = "Anna",
		.attribute = "",
		.text = "Anna is a nurse",
		.valid_from_ns = FACT_ALWAYS_FROM_NS,
		.valid_to_ns = FACT_ALWAYS_TO_NS,
		.learned_ns = clock_utc_ns(),
		.who = "model",
		.about = (const uint8_t(*)[OBS_ID_BYTES])ids,
		.about_len = 1 };
	PASS(memory_learn(station_book(first.station), &fact, 1, &outcome, &pass_why));
	assert_int_equal(outcome, LEARN_ADDED);
}

static bool same_memory(void)
{
	assert_int_equal(fixture_call(&first, "GET", "/api/v1/memory?history=1", NULL), 200);
	assert_int_equal(fixture_call(&second, "GET", "/api/v1/memory?history=1", NULL), 200);
	return strcmp(buf_text(&first.response.body), buf_text(&second.response.body)) == 0;
}

static void test_a_follower_knows_what_the_first_one_knows_and_forgets_with_it(void **state)
{
	int64_t end_ns = clock_mono_ns() + WAIT_S * NS_PER_S;

	(void)state;
	assert_int_equal(fixture_call(&first, "PUT", "/api/v1/memory",
			     "## Profile\n- Is called Jo\n## Places\n- Lives in Bonn\n"),
	    200);
	second_follows();
	wait_level();
	assert_true(same_memory());
	assert_int_equal(fixture_call(&second, "PUT", "/api/v1/memory", "## Profile\n- x\n"), 503);
	learn();
	wait_level();
	assert_true(same_memory());
	assert_non_null(strstr(buf_text(&second.response.body), "nurse"));
	assert_int_equal(
	    fixture_call(&first, "POST", "/api/v1/forget", "{\"source\":\"pen\"}"), 200);
	while (!same_memory()) {
		assert_true(clock_mono_ns() < end_ns);
		(void)store_wait(station_store(second.station), UINT64_MAX, NS_PER_S / 20);
	}
	assert_null(strstr(buf_text(&second.response.body), "nurse"));
	assert_non_null(strstr(buf_text(&second.response.body), "Bonn"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_follower_makes_slices_by_the_policy_of_the_node_it_follows),
		TEST(test_who_takes_over_builds_slices_and_labels_at_once),
		TEST(test_a_follower_knows_what_the_first_one_knows_and_forgets_with_it),
		TEST(test_a_follower_keeps_digests_of_the_home_as_records_come),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
