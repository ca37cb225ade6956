/* The state of a station as bytes: what older programs wrote, and what is no state. */
#include "gateway_fixture.h"

#include "align/policy_file.h"
#include "gateway/policy_place.h"
#include "gateway/station_state.h"

static struct fixture fx;
static const char policy[] = "{\"version\":7,\"late_s\":3600}";

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

static void adopt(const char *text)
{
	PASS(policy_place_adopt(
	    station_policies(fx.station), (const uint8_t *)text, strlen(text), &pass_why));
}

static void test_a_state_tells_the_policy_in_force(void **state)
{
	struct station_state_view view;
	struct policy read;
	struct buf bytes;

	(void)state;
	buf_init(&bytes, STATION_STATE_BYTES_MAX);
	PASS(station_state(fx.station, false, &bytes, &pass_why));
	PASS(station_state_parse(bytes.bytes, bytes.len, &view, &pass_why));
	assert_true(view.tells_policy);
	assert_int_equal(view.policy_len, 0);
	assert_true(view.wire_len > 0);
	assert_non_null(memmem(view.tls, view.tls_len, "PRIVATE KEY", 11));
	adopt(policy);
	buf_reset(&bytes);
	PASS(station_state(fx.station, true, &bytes, &pass_why));
	PASS(station_state_parse(bytes.bytes, bytes.len, &view, &pass_why));
	assert_int_equal(view.wire_len, 0); /* a follower has keys of its own */
	assert_int_equal(view.tls_len, 0);
	assert_int_equal(bytes.bytes[7], 2); /* and may be older than this program */
	PASS(policy_parse((const char *)view.policy, view.policy_len, &read, &pass_why));
	assert_int_equal(read.version, 7);
	assert_int_equal(read.late_ns, 3600 * NS_PER_S);
	assert_memory_equal(view.catalogue, "SQLite format 3", 16);
	buf_fini(&bytes);
}

static void test_states_of_older_programs_are_read(void **state)
{
	static const uint8_t first[] = "HEARTHS\1\0\0\0\4wirecatalogue";
	static const uint8_t second[] = "HEARTHS\2\0\0\0\4\0\0\0\3wirepolcatalogue";
	static const uint8_t third[] = "HEARTHS\3\0\0\0\4\0\0\0\3\0\0\0\3wirepoltlscatalogue";
	static const uint8_t alone[] = "SQLite format 3\0and so on";
	struct station_state_view view;

	(void)state;
	PASS(station_state_parse(first, sizeof(first) - 1, &view, &pass_why));
	assert_false(view.tells_policy);
	assert_int_equal(view.wire_len, 4);
	assert_memory_equal(view.wire, "wire", 4);
	assert_int_equal(view.catalogue_len, 9);
	assert_memory_equal(view.catalogue, "catalogue", 9);
	PASS(station_state_parse(second, sizeof(second) - 1, &view, &pass_why));
	assert_true(view.tells_policy);
	assert_int_equal(view.tls_len, 0);
	assert_memory_equal(view.catalogue, "catalogue", 9);
	PASS(station_state_parse(third, sizeof(third) - 1, &view, &pass_why));
	assert_int_equal(view.tls_len, 3);
	assert_int_equal(view.cloud_len, 0);
	assert_memory_equal(view.catalogue, "catalogue", 9);
	PASS(station_state_parse(alone, sizeof(alone), &view, &pass_why));
	assert_false(view.tells_policy);
	assert_int_equal(view.wire_len, 0);
	assert_ptr_equal(view.catalogue, alone);
	assert_int_equal(view.catalogue_len, sizeof(alone));
}

static void test_what_is_no_state_is_refused(void **state)
{
	static const uint8_t newer[] = "HEARTHS\5\0\0\0\0\0\0\0\0catalogue";
	static const uint8_t other[] = "HEARTHX\2\0\0\0\0\0\0\0\0catalogue";
	static const uint8_t huge[] = "HEARTHS\2\0\0\0\0\377\0\0\0catalogue";
	static const uint8_t whole[] = "HEARTHS\4\0\0\0\2\0\0\0\3\0\0\0\1\0\0\0\1wipoltc";
	struct station_state_view view;

	(void)state;
	assert_int_equal(
	    station_state_parse(newer, sizeof(newer) - 1, &view, NULL), RC_UNSUPPORTED);
	assert_int_equal(station_state_parse(other, sizeof(other) - 1, &view, NULL), RC_CORRUPT);
	assert_int_equal(station_state_parse(huge, sizeof(huge) - 1, &view, NULL), RC_CORRUPT);
	for (size_t len = 0; len < sizeof(whole) - 1; len++)
		assert_int_equal(station_state_parse(whole, len, &view, NULL), RC_CORRUPT);
	PASS(station_state_parse(whole, sizeof(whole) - 1, &view, &pass_why));
	assert_int_equal(view.catalogue_len, 0);
	assert_int_equal(view.tls_len, 1);
	assert_int_equal(view.tls[0], 't');
	assert_int_equal(view.cloud_len, 1);
	assert_int_equal(view.cloud[0], 'c');
}

static void test_a_policy_handed_out_outlives_its_successor(void **state)
{
	const struct policy *before = station_policy(fx.station);
	struct errmsg why = ERRMSG_INIT;
	uint64_t version = before->version;
	struct policy read;

	(void)state;
	adopt(policy);
	const struct policy *now = station_policy(fx.station);
	assert_int_equal(before->version, version);
	assert_int_equal(now->version, 7);
	PASS(policy_load(fx.dir, &read, &pass_why));
	assert_int_equal(read.version, 7);
	adopt(policy); /* the same again is no other one */
	assert_ptr_equal(station_policy(fx.station), now);
	static const char unknown[] = "{\"version\":8,\"of_tomorrow\":1}";
	assert_int_equal(policy_place_adopt(station_policies(fx.station), (const uint8_t *)unknown,
			     strlen(unknown), &why),
	    RC_CONFIG);
	assert_non_null(strstr(why.text, "of_tomorrow"));
	assert_ptr_equal(station_policy(fx.station), now);
	adopt("");
	assert_int_equal(station_policy(fx.station)->version, version);
	PASS(policy_load(fx.dir, &read, &pass_why));
	assert_int_equal(read.version, version);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_state_tells_the_policy_in_force),
		TEST(test_states_of_older_programs_are_read),
		TEST(test_what_is_no_state_is_refused),
		TEST(test_a_policy_handed_out_outlives_its_successor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
