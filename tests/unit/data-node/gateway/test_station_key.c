/* Keys of a station: each change opens by the new way, and only by it. */
#include "gateway_fixture.h"

#include "gateway/station_key.h"
#include "os/file.h"

#define RECOVERY_BYTES 64

struct keys {
	char dir[256];
	char recovery[RECOVERY_BYTES];
};

static int setup(void **state)
{
	struct keys *k = calloc(1, sizeof(*k));
	struct station_config config = { .dir = k->dir };
	struct station_created created;

	fixture_dir(k->dir);
	PASS(station_create(&config, &created, &pass_why));
	(void)snprintf(k->recovery, sizeof(k->recovery), "%s", created.recovery_key);
	*state = k;
	return 0;
}

static int teardown(void **state)
{
	struct keys *k = *state;

	fixture_remove(k->dir);
	free(k);
	return 0;
}

static const char *put(struct keys *k, const char *name, const char *text)
{
	static char paths[8][512];
	static unsigned next;
	char *path = paths[next++ % 8];

	(void)snprintf(path, 512, "%s/%s", k->dir, name);
	if (text != NULL)
		PASS(file_write_atomic(path, 0600, text, strlen(text), &pass_why));
	return path;
}

static enum rc try_open(struct keys *k, const char *key_file, const char *passphrase_file)
{
	struct station_config config = { .dir = k->dir,
		.key_file = key_file,
		.passphrase_file = passphrase_file,
		.zone = "UTC" };
	struct station *station = NULL;

	errmsg_reset(&pass_why);
	enum rc rc = station_open(&config, &station, &pass_why);
	station_close(station);
	return rc;
}

static enum rc keep(void *ctx, const char *recovery_key)
{
	struct keys *k = ctx;

	(void)snprintf(k->recovery, sizeof(k->recovery), "%s", recovery_key);
	return RC_OK;
}

static enum rc change(struct keys *k, enum station_key_change what, const char *new_file,
    const char *recovery_file, struct station_keys *out)
{
	struct station_key_call call = { .dir = k->dir,
		.unlock = { .recovery_file = recovery_file },
		.change = what,
		.new_file = new_file,
		.show = keep,
		.show_ctx = k };
	struct station_keys keys;

	errmsg_reset(&pass_why);
	return station_key(&call, out != NULL ? out : &keys, &pass_why);
}

static void test_a_passphrase_takes_the_place_of_the_key_file_and_back(void **state)
{
	struct keys *k = *state;
	struct station_keys keys;

	assert_true(file_exists(put(k, "key", NULL)));
	const char *words = put(k, "words", "four short words\n");
	assert_int_equal(change(k, STATION_KEY_PASSPHRASE, words, NULL, &keys), RC_OK);
	assert_int_equal(keys.passphrases, 1);
	assert_int_equal(keys.key_files, 0);
	assert_int_equal(keys.recovery_keys, 1);
	assert_false(file_exists(put(k, "key", NULL)));
	assert_int_equal(try_open(k, NULL, NULL), RC_OK); /* remembered */
	assert_int_equal(try_open(k, NULL, put(k, "other", "wrong\n")), RC_CONFIG);
	assert_non_null(strstr(pass_why.text, "wrong passphrase"));
	/* Another passphrase. */
	assert_int_equal(
	    change(k, STATION_KEY_PASSPHRASE, put(k, "new", "other words\n"), NULL, NULL), RC_OK);
	assert_int_equal(try_open(k, NULL, words), RC_CONFIG);
	assert_int_equal(try_open(k, NULL, NULL), RC_OK);
	/* And back to a key file. */
	assert_int_equal(change(k, STATION_KEY_FILE, NULL, NULL, &keys), RC_OK);
	assert_true(keys.key_files == 1 && keys.passphrases == 0);
	assert_false(file_exists(put(k, "key.new", NULL)));
	assert_int_equal(try_open(k, NULL, NULL), RC_OK);
	assert_int_equal(try_open(k, NULL, put(k, "new", NULL)), RC_CONFIG);
}

static void test_a_fresh_key_file_voids_the_old_one_and_a_given_one_is_used(void **state)
{
	struct keys *k = *state;
	uint8_t *old = NULL;
	size_t len;

	PASS(file_read(put(k, "key", NULL), 1024, &old, &len, &pass_why));
	const char *saved = put(k, "saved", (const char *)old);
	assert_int_equal(change(k, STATION_KEY_FILE, put(k, "key", NULL), NULL, NULL), RC_OK);
	assert_int_equal(try_open(k, saved, NULL), RC_CONFIG);
	assert_int_equal(try_open(k, NULL, NULL), RC_OK);
	/* A file elsewhere, made if it is missing; DIR/key goes. */
	const char *stick = put(k, "stick", NULL);
	assert_int_equal(change(k, STATION_KEY_FILE, stick, NULL, NULL), RC_OK);
	assert_true(file_exists(stick) && !file_exists(put(k, "key", NULL)));
	assert_int_equal(try_open(k, NULL, NULL), RC_OK);
	/* One that is there is used as it is. */
	assert_int_equal(change(k, STATION_KEY_FILE, saved, NULL, NULL), RC_OK);
	assert_int_equal(try_open(k, saved, NULL), RC_OK);
	free(old);
}

static void test_the_recovery_key_opens_when_all_else_is_lost(void **state)
{
	struct keys *k = *state;
	struct station_keys keys;

	assert_int_equal(unlink(put(k, "key", NULL)), 0);
	assert_int_equal(try_open(k, NULL, NULL), RC_CONFIG);
	const char *paper = put(k, "paper", k->recovery);
	assert_int_equal(change(k, STATION_KEY_SHOW, NULL, paper, &keys), RC_OK);
	assert_int_equal(keys.recovery_keys, 1);
	assert_int_equal(
	    change(k, STATION_KEY_PASSPHRASE, put(k, "words", "new words\n"), paper, NULL), RC_OK);
	assert_int_equal(try_open(k, NULL, NULL), RC_OK);
	/* A new one voids the one on paper. */
	assert_int_equal(change(k, STATION_KEY_RECOVERY, NULL, NULL, &keys), RC_OK);
	assert_int_equal(keys.recovery_keys, 1);
	assert_int_equal(change(k, STATION_KEY_SHOW, NULL, paper, NULL), RC_CONFIG);
	assert_int_equal(
	    change(k, STATION_KEY_REKEY, NULL, put(k, "paper", k->recovery), NULL), RC_OK);
	k->recovery[3] = k->recovery[3] == 'A' ? 'B' : 'A';
	assert_int_equal(
	    change(k, STATION_KEY_SHOW, NULL, put(k, "paper", k->recovery), NULL), RC_CONFIG);
	assert_non_null(strstr(pass_why.text, "mistyped"));
}

static void test_nothing_is_changed_under_a_node_that_serves(void **state)
{
	struct keys *k = *state;
	struct station_config config = { .dir = k->dir, .zone = "UTC" };
	struct station *station = NULL;

	PASS(station_open(&config, &station, &pass_why));
	assert_int_equal(change(k, STATION_KEY_REKEY, NULL, NULL, NULL), RC_BUSY);
	station_close(station);
	assert_int_equal(change(k, STATION_KEY_REKEY, NULL, NULL, NULL), RC_OK);
}

static void test_without_its_key_nothing_opens_and_the_reason_is_named(void **state)
{
	struct keys *k = *state;
	static const struct {
		const char *name, *text, *want;
	} bad[] = {
		{ "key", "", "not a key file" },
		{ "key", "00112233", "cut off" },
		{ "key", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n",
		    "wrong key file" },
		{ "keyring", "", "not a keyring" },
		{ "keyring", "HEARTHKR\377\377\377\377 and so on, and so on, long enough",
		    "format" },
		{ "keyring", "HEARTHKR\0\0\0\2", "not a keyring" },
	};
	uint8_t *good = NULL;
	size_t len;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		PASS(file_read(put(k, bad[i].name, NULL), 1 << 20, &good, &len, &pass_why));
		(void)put(k, bad[i].name, bad[i].text);
		assert_int_equal(try_open(k, NULL, NULL), RC_CONFIG);
		if (strstr(pass_why.text, bad[i].want) == NULL)
			fail_msg("case %zu: %s", i, pass_why.text);
		PASS(file_write_atomic(put(k, bad[i].name, NULL), 0600, good, len, &pass_why));
		free(good);
	}
	assert_int_equal(try_open(k, NULL, NULL), RC_OK);
}

#define WITH_KEYS(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_KEYS(test_a_passphrase_takes_the_place_of_the_key_file_and_back),
		WITH_KEYS(test_a_fresh_key_file_voids_the_old_one_and_a_given_one_is_used),
		WITH_KEYS(test_the_recovery_key_opens_when_all_else_is_lost),
		WITH_KEYS(test_nothing_is_changed_under_a_node_that_serves),
		WITH_KEYS(test_without_its_key_nothing_opens_and_the_reason_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
