/* Keyring: keys that last, files that cannot be swapped, passphrases. */
#include "store_fixture.h"

#include "os/file.h"

static void text_file(const char *dir, const char *name, const char *text, char path[512])
{
	(void)snprintf(path, 512, "%s/%s", dir, name);
	PASS(file_write_atomic(path, 0600, text, strlen(text), &pass_why));
}

static void test_keys_last_once_they_are_synced_and_differ(void **state)
{
	(void)state;
	char dir[256];
	struct keyring_unlock unlock = { 0 };
	struct keyring *keyring;
	uint8_t keys[200][KEYRING_KEY_BYTES], got[KEYRING_KEY_BYTES], dedup[KEYRING_KEY_BYTES];

	fixture_dir(dir);
	PASS(keyring_create(dir, &unlock, &pass_why));
	assert_int_equal(keyring_create(dir, &unlock, NULL), RC_EXISTS);
	PASS(keyring_open(dir, &unlock, &keyring, &pass_why));
	memcpy(dedup, keyring_dedup_key(keyring), sizeof(dedup));
	/* Days in no order, before 1970 too. */
	for (int i = 0; i < 200; i++) {
		assert_int_equal(keyring_get(keyring, (i * 77) % 200 - 100, 3, got), RC_NOTFOUND);
		PASS(keyring_need(keyring, (i * 77) % 200 - 100, 3, keys[i], &pass_why));
		PASS(keyring_need(keyring, (i * 77) % 200 - 100, 3, got, &pass_why));
		assert_memory_equal(got, keys[i], sizeof(got));
	}
	PASS(keyring_sync(keyring, &pass_why));
	PASS(keyring_need(keyring, 1000, 0, got, &pass_why)); /* never synced */
	keyring_close(keyring);
	PASS(keyring_open(dir, &unlock, &keyring, &pass_why));
	for (int i = 0; i < 200; i++) {
		assert_int_equal(keyring_get(keyring, (i * 77) % 200 - 100, 3, got), RC_OK);
		assert_memory_equal(got, keys[i], sizeof(got));
		assert_int_equal(keyring_get(keyring, (i * 77) % 200 - 100, 4, got), RC_NOTFOUND);
		for (int k = 0; k < i; k++)
			assert_memory_not_equal(keys[i], keys[k], KEYRING_KEY_BYTES);
	}
	assert_int_equal(keyring_get(keyring, 1000, 0, got), RC_NOTFOUND);
	assert_memory_equal(keyring_dedup_key(keyring), dedup, sizeof(dedup));
	keyring_close(keyring);
	fixture_remove(dir);
}

static void test_derived_keys_depend_on_their_purpose_and_last(void **state)
{
	(void)state;
	char dir[256];
	struct keyring_unlock unlock = { 0 };
	struct keyring *keyring;
	uint8_t a[KEYRING_KEY_BYTES], b[KEYRING_KEY_BYTES], c[KEYRING_KEY_BYTES];

	fixture_dir(dir);
	PASS(keyring_create(dir, &unlock, &pass_why));
	PASS(keyring_open(dir, &unlock, &keyring, &pass_why));
	assert_int_equal(keyring_derive(keyring, "index", a), RC_OK);
	assert_int_equal(keyring_derive(keyring, "tokens", b), RC_OK);
	assert_memory_not_equal(a, b, sizeof(a));
	keyring_close(keyring);
	PASS(keyring_open(dir, &unlock, &keyring, &pass_why));
	assert_int_equal(keyring_derive(keyring, "index", c), RC_OK);
	assert_memory_equal(a, c, sizeof(a));
	keyring_close(keyring);
	fixture_remove(dir);
}

static void test_every_changed_or_missing_byte_of_the_file_is_refused(void **state)
{
	(void)state;
	char dir[256], path[512];
	struct keyring_unlock unlock = { 0 };
	struct keyring *keyring;
	uint8_t *bytes, key[KEYRING_KEY_BYTES];
	size_t len;

	fixture_dir(dir);
	PASS(keyring_create(dir, &unlock, &pass_why));
	PASS(keyring_open(dir, &unlock, &keyring, &pass_why));
	PASS(keyring_need(keyring, 5, 1, key, &pass_why));
	PASS(keyring_sync(keyring, &pass_why));
	keyring_close(keyring);
	(void)snprintf(path, sizeof(path), "%s/keyring", dir);
	PASS(file_read(path, 1 << 20, &bytes, &len, &pass_why));
	for (size_t i = 0; i < 2 * len; i++) {
		struct errmsg why = ERRMSG_INIT;
		uint8_t old = bytes[i / 2];
		bool cut = i % 2 == 0;
		bytes[i / 2] ^= (uint8_t)(1u << (i / 2 % 8));
		PASS(file_write_atomic(path, 0600, bytes, cut ? i / 2 : len, &pass_why));
		bytes[i / 2] = old;
		enum rc rc = keyring_open(dir, &unlock, &keyring, &why);
		assert_true(rc == RC_CORRUPT || rc == RC_DENIED || rc == RC_UNSUPPORTED);
		assert_true(why.text[0] != '\0');
	}
	PASS(file_write_atomic(path, 0600, bytes, len, &pass_why));
	PASS(keyring_open(dir, &unlock, &keyring, &pass_why));
	keyring_close(keyring);
	free(bytes);
	fixture_remove(dir);
}

static void test_a_passphrase_opens_and_a_wrong_one_does_not(void **state)
{
	(void)state;
	char dir[256], right[512], wrong[512], empty[512];
	struct keyring *keyring;
	struct errmsg why = ERRMSG_INIT;

	fixture_dir(dir);
	text_file(dir, "right", "correct horse\nsecond line\n", right);
	text_file(dir, "wrong", "correct horsf\n", wrong);
	text_file(dir, "empty", "\n", empty);
	struct keyring_unlock unlock = { .passphrase_file = right };
	PASS(keyring_create(dir, &unlock, &pass_why));
	PASS(keyring_open(dir, &unlock, &keyring, &pass_why));
	keyring_close(keyring);
	unlock.passphrase_file = wrong;
	assert_int_equal(keyring_open(dir, &unlock, &keyring, &why), RC_DENIED);
	assert_non_null(strstr(why.text, "wrong passphrase"));
	unlock.passphrase_file = empty;
	assert_int_equal(keyring_open(dir, &unlock, &keyring, NULL), RC_CONFIG);
	unlock.passphrase_file = NULL;
	errmsg_reset(&why);
	assert_int_equal(keyring_open(dir, &unlock, &keyring, &why), RC_DENIED);
	assert_non_null(strstr(why.text, "passphrase"));
	fixture_remove(dir);
}

static void test_a_key_file_given_is_used_and_never_replaced(void **state)
{
	(void)state;
	static const char text[] =
	    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";
	char dir[256], path[512];
	struct keyring *keyring;
	uint8_t *bytes;
	size_t len;

	fixture_dir(dir);
	text_file(dir, "mine", text, path);
	struct keyring_unlock unlock = { .key_file = path };
	PASS(keyring_create(dir, &unlock, &pass_why));
	PASS(keyring_open(dir, &unlock, &keyring, &pass_why));
	keyring_close(keyring);
	PASS(file_read(path, 1024, &bytes, &len, &pass_why));
	assert_string_equal((const char *)bytes, text);
	free(bytes);
	unlock.key_file = NULL; /* DIR/key does not exist */
	struct errmsg why = ERRMSG_INIT;
	assert_int_equal(keyring_open(dir, &unlock, &keyring, &why), RC_DENIED);
	fixture_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys_last_once_they_are_synced_and_differ),
		cmocka_unit_test(test_derived_keys_depend_on_their_purpose_and_last),
		cmocka_unit_test(test_every_changed_or_missing_byte_of_the_file_is_refused),
		cmocka_unit_test(test_a_passphrase_opens_and_a_wrong_one_does_not),
		cmocka_unit_test(test_a_key_file_given_is_used_and_never_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
