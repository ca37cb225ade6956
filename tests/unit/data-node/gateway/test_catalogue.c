/* Catalogue and tokens: what is kept, what is refused, what is never kept. */
#include "gateway_fixture.h"

#include "gateway/auth.h"
#include "gateway/catalogue.h"
#include "os/file.h"
#include "store/observation.h"

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

static enum auth_verdict check(const char *token, const char *address, struct auth_identity *who)
{
	char header[256];

	(void)snprintf(header, sizeof(header), "Bearer %s", token);
	return auth_check(station_auth(fx.station), header, address, who);
}

static void test_the_owners_token_opens_and_no_other(void **state)
{
	struct auth_identity who = { .device = 9 };
	struct auth *auth = station_auth(fx.station);
	char wrong[64];

	(void)state;
	assert_int_equal(check(fx.created.owner_token, "a", &who), AUTH_ACCEPTED);
	assert_int_equal(who.device, CATALOGUE_OWNER);
	assert_int_equal(who.layers, 0);
	(void)snprintf(wrong, sizeof(wrong), "%s", fx.created.owner_token);
	wrong[10] = wrong[10] == 'a' ? 'b' : 'a';
	assert_int_equal(check(wrong, "a", &who), AUTH_REFUSED);
	wrong[0] = 0;
	assert_int_equal(check(wrong, "a", &who), AUTH_REFUSED);
	assert_int_equal(auth_check(auth, NULL, "a", &who), AUTH_REFUSED);
	assert_int_equal(auth_check(auth, "Basic eDp5", "a", &who), AUTH_REFUSED);
	assert_int_equal(auth_check(auth, fx.created.owner_token, "a", &who), AUTH_REFUSED);
}

static void test_the_scheme_is_read_in_any_case(void **state)
{
	struct auth_identity who = { 0 };
	char header[256];

	(void)state;
	(void)snprintf(header, sizeof(header), "bearer   %s ", fx.created.owner_token);
	assert_int_equal(auth_check(station_auth(fx.station), header, "a", &who), AUTH_ACCEPTED);
}

static void test_a_revoked_device_is_out_at_once(void **state)
{
	struct auth_identity who = { 0 };
	char token[64];

	(void)state;
	assert_int_equal(fixture_control(&fx, "POST", "/control/devices",
			     "{\"name\":\"watch\",\"layers\":[\"text\",\"home\"]}"),
	    200);
	(void)snprintf(
	    token, sizeof(token), "%s", json_string_value(json_object_get(fx.json, "token")));
	assert_int_equal(check(token, "a", &who), AUTH_ACCEPTED);
	assert_int_not_equal(who.device, CATALOGUE_OWNER);
	assert_int_equal(who.layers, LAYER_MASK(LAYER_TEXT) | LAYER_MASK(LAYER_HOME));
	assert_int_equal(fixture_control(&fx, "DELETE", "/control/devices?name=watch", NULL), 200);
	assert_int_equal(check(token, "a", &who), AUTH_REFUSED);
	assert_int_equal(check(fx.created.owner_token, "a", &who), AUTH_ACCEPTED);
	/* The name is free again, the old token stays out. */
	assert_int_equal(
	    fixture_control(&fx, "POST", "/control/devices", "{\"name\":\"watch\"}"), 200);
	assert_int_equal(check(token, "a", &who), AUTH_REFUSED);
	assert_int_equal(fixture_control(&fx, "DELETE", "/control/devices?name=owner", NULL), 404);
	assert_int_equal(fixture_control(&fx, "DELETE", "/control/devices?name=none", NULL), 404);
}

static int64_t fake_now_ns;

static int64_t fake_clock(void *ctx)
{
	(void)ctx;
	return fake_now_ns;
}

static void test_failures_are_limited_per_address_and_never_lock_the_owner_out(void **state)
{
	const struct clock_source source = { fake_clock, fake_clock, NULL };
	struct auth_identity who = { 0 };

	(void)state;
	fake_now_ns = INT64_C(1) << 60;
	clock_replace(&source);
	for (int i = 0; i < AUTH_FAILURES_BURST; i++)
		assert_int_equal(check("wrong", "10.0.0.1", &who), AUTH_REFUSED);
	assert_int_equal(check("wrong", "10.0.0.1", &who), AUTH_LIMITED);
	assert_int_equal(check("wrong", "10.0.0.2", &who), AUTH_REFUSED);
	assert_int_equal(check(fx.created.owner_token, "10.0.0.1", &who), AUTH_ACCEPTED);
	fake_now_ns += 2 * NS_PER_S;
	assert_int_equal(check("wrong", "10.0.0.1", &who), AUTH_REFUSED);
	assert_int_equal(check("wrong", "10.0.0.1", &who), AUTH_REFUSED);
	assert_int_equal(check("wrong", "10.0.0.1", &who), AUTH_LIMITED);
	clock_replace(NULL);
}

static void test_more_addresses_than_the_table_holds_are_fine(void **state)
{
	struct auth_identity who = { 0 };
	char address[32];

	(void)state;
	for (int i = 0; i < 3 * AUTH_PEERS_MAX; i++) {
		(void)snprintf(address, sizeof(address), "10.0.%d.%d", i / 200, i % 200);
		assert_int_equal(check("wrong", address, &who), AUTH_REFUSED);
	}
}

static void test_no_token_is_on_disk(void **state)
{
	static const char *const names[] = { "catalogue.sqlite", "catalogue.sqlite-wal" };
	char path[512];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		uint8_t *bytes = NULL;
		size_t len = 0;
		(void)snprintf(path, sizeof(path), "%s/%s", fx.dir, names[i]);
		if (!file_exists(path))
			continue;
		PASS(file_read(path, (size_t)64 << 20, &bytes, &len, &pass_why));
		assert_null(
		    memmem(bytes, len, fx.created.owner_token, strlen(fx.created.owner_token)));
		free(bytes);
	}
}

/* A text of the one compute node listed; NULL. */
static const char *compute_text(const char *name)
{
	assert_int_equal(fixture_control(&fx, "GET", "/control/compute", NULL), 200);
	const json_t *node = json_array_get(json_object_get(fx.json, "compute"), 0);
	return json_string_value(json_object_get(node, name));
}

static void test_compute_nodes_are_kept_checked_and_removed(void **state)
{
	static const char *const bad[] = { "{}", "[]", "nonsense", "{\"name\":\"x\"}",
		"{\"name\":\"../x\",\"address\":\"tcp://h:1\",\"public_key\":\"" };
	char body[512], key[65];

	(void)state;
	memset(key, 'a', 64);
	key[64] = 0;
	(void)snprintf(body, sizeof(body),
	    "{\"name\":\"gpu\",\"address\":\"tcp://10.0.0.7:8421\",\"public_key\":\"%s\"}", key);
	assert_int_equal(fixture_control(&fx, "POST", "/control/compute", body), 200);
	assert_int_equal(fixture_control(&fx, "POST", "/control/compute", body), 409);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(fixture_control(&fx, "POST", "/control/compute", bad[i]), 400);
	(void)snprintf(body, sizeof(body),
	    "{\"name\":\"b\",\"address\":\"10.0.0.7:8421\",\"public_key\":\"%s\"}", key);
	assert_int_equal(fixture_control(&fx, "POST", "/control/compute", body), 400);
	assert_string_equal(fixture_error(&fx, "param"), "address");
	key[63] = 0;
	(void)snprintf(body, sizeof(body),
	    "{\"name\":\"b\",\"address\":\"tcp://h:1\",\"public_key\":\"%s\"}", key);
	assert_int_equal(fixture_control(&fx, "POST", "/control/compute", body), 400);
	assert_string_equal(fixture_error(&fx, "param"), "public_key");
	assert_int_equal(fixture_control(&fx, "GET", "/control/compute", NULL), 200);
	assert_int_equal(json_array_size(json_object_get(fx.json, "compute")), 1);
	const char *drain = "/control/compute/drain?name=gpu";
	assert_int_equal(fixture_control(&fx, "POST", drain, NULL), 200);
	assert_int_equal(fixture_control(&fx, "POST", "/control/compute/drain?name=x", NULL), 404);
	assert_int_equal(fixture_control(&fx, "POST", "/control/compute/drain", NULL), 404);
	assert_string_equal(compute_text("drain"), "drained");
	assert_int_equal(fixture_control(&fx, "DELETE", drain, NULL), 200);
	assert_null(compute_text("drain"));
	/* The mark goes with the node. */
	assert_int_equal(fixture_control(&fx, "POST", drain, NULL), 200);
	assert_int_equal(fixture_control(&fx, "DELETE", "/control/compute?name=gpu", NULL), 200);
	assert_int_equal(fixture_control(&fx, "DELETE", drain, NULL), 404);
	(void)snprintf(body, sizeof(body),
	    "{\"name\":\"gpu\",\"address\":\"tcp://10.0.0.7:8421\",\"public_key\":\"%sa\"}", key);
	assert_int_equal(fixture_control(&fx, "POST", "/control/compute", body), 200);
	assert_null(compute_text("drain"));
	assert_int_equal(fixture_control(&fx, "DELETE", "/control/compute?name=gpu", NULL), 200);
	assert_int_equal(fixture_control(&fx, "DELETE", "/control/compute?name=gpu", NULL), 404);
}

static void test_names_are_checked(void **state)
{
	char longest[80];

	(void)state;
	assert_true(catalogue_name_valid("phone-2_a.b"));
	assert_false(catalogue_name_valid(""));
	assert_false(catalogue_name_valid("-x"));
	assert_false(catalogue_name_valid(".x"));
	assert_false(catalogue_name_valid("a b"));
	assert_false(catalogue_name_valid("a/b"));
	assert_false(catalogue_name_valid("é"));
	memset(longest, 'a', sizeof(longest));
	longest[65] = 0;
	assert_false(catalogue_name_valid(longest));
	longest[64] = 0;
	assert_true(catalogue_name_valid(longest));
}

static void test_everything_survives_a_restart(void **state)
{
	struct auth_identity who = { 0 };
	char token[64];

	(void)state;
	assert_int_equal(
	    fixture_control(&fx, "POST", "/control/devices", "{\"name\":\"phone\"}"), 200);
	(void)snprintf(
	    token, sizeof(token), "%s", json_string_value(json_object_get(fx.json, "token")));
	fixture_forget(&fx);
	station_close(fx.station);
	fixture_open(&fx, 0);
	assert_int_equal(check(token, "a", &who), AUTH_ACCEPTED);
	assert_int_equal(check(fx.created.owner_token, "a", &who), AUTH_ACCEPTED);
	assert_int_equal(fixture_control(&fx, "GET", "/control/audit", NULL), 200);
	assert_int_equal(json_array_size(json_object_get(fx.json, "audit")), 1);
}

static void test_settings_are_kept(void **state)
{
	struct catalogue *c = station_catalogue(fx.station);
	const char *value = NULL;

	(void)state;
	assert_int_equal(catalogue_setting_get(c, "x", &fx.arena, &value, NULL), RC_NOTFOUND);
	PASS(catalogue_setting_set(c, "x", "1", &pass_why));
	PASS(catalogue_setting_set(c, "x", "2", &pass_why));
	PASS(catalogue_setting_get(c, "x", &fx.arena, &value, &pass_why));
	assert_string_equal(value, "2");
	PASS(catalogue_verify(c, &pass_why));
}

static void test_a_damaged_catalogue_is_named(void **state)
{
	struct catalogue *c = NULL;
	char dir[256], path[512];
	uint8_t noise[8192];

	(void)state;
	fixture_dir(dir);
	(void)snprintf(path, sizeof(path), "%s/catalogue.sqlite", dir);
	memset(noise, 0x5A, sizeof(noise));
	PASS(file_create(path, 0600, noise, sizeof(noise), &pass_why));
	assert_int_equal(catalogue_open(dir, &c, NULL), RC_CORRUPT);
	(void)unlink(path);
	PASS(file_create(path, 0600, "", 0, &pass_why));
	assert_int_equal(catalogue_open(dir, &c, NULL), RC_CORRUPT);
	fixture_remove(dir);
}

static void test_a_directory_is_initialised_once_and_never_overwritten(void **state)
{
	struct station_config config = { .dir = fx.dir };
	struct station_created again = { { 0 }, { 0 }, { 0 } };
	struct auth_identity who = { 0 };
	char path[512], dir[256];

	(void)state;
	assert_int_equal(station_create(&config, &again, NULL), RC_EXISTS);
	assert_int_equal(check(fx.created.owner_token, "a", &who), AUTH_ACCEPTED);
	fixture_dir(dir);
	(void)snprintf(path, sizeof(path), "%s/letter.txt", dir);
	PASS(file_create(path, 0600, "dear", 4, &pass_why));
	config.dir = dir;
	assert_int_equal(station_create(&config, &again, NULL), RC_EXISTS);
	(void)unlink(path);
	/* What an init that was cut off left behind is used. */
	(void)snprintf(path, sizeof(path), "%s/lock", dir);
	PASS(file_create(path, 0600, "", 0, &pass_why));
	PASS(station_create(&config, &again, &pass_why));
	fixture_remove(dir);
}

static void test_a_key_elsewhere_is_found_again(void **state)
{
	struct station_created created = { { 0 }, { 0 }, { 0 } };
	struct station_config config = { 0 };
	struct station *station = NULL;
	char dir[256], keys[256], key[512], moved[600];

	(void)state;
	fixture_dir(dir);
	fixture_dir(keys);
	(void)snprintf(key, sizeof(key), "%s/my.key", keys);
	config.dir = dir;
	config.key_file = key;
	PASS(station_create(&config, &created, &pass_why));
	config.key_file = NULL;
	PASS(station_open(&config, &station, &pass_why));
	station_close(station);
	(void)snprintf(moved, sizeof(moved), "%s.moved", key);
	assert_int_equal(rename(key, moved), 0);
	assert_int_not_equal(station_open(&config, &station, NULL), RC_OK);
	config.key_file = moved;
	PASS(station_open(&config, &station, &pass_why));
	station_close(station);
	fixture_remove(dir);
	fixture_remove(keys);
}

static void test_a_passphrase_may_come_through_a_pipe(void **state)
{
	struct station_created created = { { 0 }, { 0 }, { 0 } };
	struct station_config config = { 0 };
	struct station *station = NULL;
	char dir[256], path[64];
	int ends[2];

	(void)state;
	fixture_dir(dir);
	config.dir = dir;
	config.passphrase_file = path;
	for (int i = 0; i < 3; i++) {
		const char *phrase = i < 2 ? "correct horse\n" : "wrong horse\n";
		assert_int_equal(pipe(ends), 0);
		assert_int_equal(write(ends[1], phrase, strlen(phrase)), strlen(phrase));
		(void)close(ends[1]);
		(void)snprintf(path, sizeof(path), "/dev/fd/%d", ends[0]);
		if (i == 0)
			PASS(station_create(&config, &created, &pass_why));
		else if (i == 1)
			PASS(station_open(&config, &station, &pass_why));
		else
			assert_int_equal(station_open(&config, &station, NULL), RC_CONFIG);
		(void)close(ends[0]);
		station_close(station);
		station = NULL;
	}
	/* It was not written down: without it, nothing opens. */
	config.passphrase_file = NULL;
	assert_int_not_equal(station_open(&config, &station, NULL), RC_OK);
	fixture_remove(dir);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_the_owners_token_opens_and_no_other),
		TEST(test_the_scheme_is_read_in_any_case),
		TEST(test_a_revoked_device_is_out_at_once),
		TEST(test_failures_are_limited_per_address_and_never_lock_the_owner_out),
		TEST(test_more_addresses_than_the_table_holds_are_fine),
		TEST(test_no_token_is_on_disk),
		TEST(test_compute_nodes_are_kept_checked_and_removed),
		cmocka_unit_test(test_names_are_checked),
		TEST(test_everything_survives_a_restart),
		TEST(test_settings_are_kept),
		cmocka_unit_test(test_a_damaged_catalogue_is_named),
		TEST(test_a_directory_is_initialised_once_and_never_overwritten),
		cmocka_unit_test(test_a_key_elsewhere_is_found_again),
		cmocka_unit_test(test_a_passphrase_may_come_through_a_pipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
