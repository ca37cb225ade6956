/* Keyring: ways in, wrapping anew, dropping keys, the older format. */
#include "store_fixture.h"

#include <fcntl.h>

#include "os/file.h"
#include "store/keyring_internal.h"
#include "store_old.h"

#define DAY 20000

static void path_in(const char *dir, const char *name, char out[600])
{
	(void)snprintf(out, 600, "%s/%s", dir, name);
}

static void put(const char *dir, const char *name, const char *text, char path[600])
{
	path_in(dir, name, path);
	PASS(file_write_atomic(path, 0600, text, strlen(text), &pass_why));
}

static struct keyring *make(char dir[256])
{
	struct keyring_unlock unlock = { 0 };
	struct keyring *keyring;

	fixture_dir(dir);
	PASS(keyring_create(dir, &unlock, &pass_why));
	PASS(keyring_open(dir, &unlock, &keyring, &pass_why));
	return keyring;
}

static struct keyring *reopen(struct keyring *keyring, const char *dir)
{
	struct keyring_unlock unlock = { 0 };

	keyring_close(keyring);
	PASS(keyring_open(dir, &unlock, &keyring, &pass_why));
	return keyring;
}

static enum rc try_open(const char *dir, const struct keyring_unlock *unlock, struct errmsg *why)
{
	struct keyring *keyring;

	errmsg_reset(why);
	enum rc rc = keyring_open(dir, unlock, &keyring, why);
	if (rc == RC_OK)
		keyring_close(keyring);
	return rc;
}

static void test_each_way_in_opens_and_only_the_newest_stays_when_told(void **state)
{
	(void)state;
	char dir[256], one[600], two[600], paper[600], text[KEYRING_RECOVERY_TEXT_BYTES];
	struct errmsg why = ERRMSG_INIT;
	struct keyring *keyring = make(dir);
	struct keyring_unlock file = { 0 }, first = { 0 }, second = { 0 }, recovery = { 0 };

	put(dir, "one", "first words\n", one);
	put(dir, "two", "second words\n", two);
	first.passphrase_file = one;
	second.passphrase_file = two;
	PASS(keyring_add_passphrase(keyring, one, &pass_why));
	PASS(keyring_add_recovery(keyring, text, &pass_why));
	put(dir, "paper", text, paper);
	recovery.recovery_file = paper;
	PASS(try_open(dir, &file, &pass_why));
	PASS(try_open(dir, &first, &pass_why));
	PASS(try_open(dir, &recovery, &pass_why));
	/* Opened by one way, all are wrapped anew. */
	keyring_close(keyring);
	PASS(keyring_open(dir, &recovery, &keyring, &pass_why));
	PASS(keyring_add_passphrase(keyring, two, &pass_why));
	PASS(keyring_keep_newest(
	    keyring, 1u << KEYRING_WAY_FILE | 1u << KEYRING_WAY_PASSPHRASE, &pass_why));
	assert_int_equal(keyring_ways(keyring, KEYRING_WAY_FILE), 0);
	assert_int_equal(keyring_ways(keyring, KEYRING_WAY_PASSPHRASE), 1);
	assert_int_equal(keyring_ways(keyring, KEYRING_WAY_RECOVERY), 1);
	keyring_close(keyring);
	assert_int_equal(try_open(dir, &file, &why), RC_DENIED);
	assert_int_equal(try_open(dir, &first, &why), RC_DENIED);
	assert_non_null(strstr(why.text, "wrong passphrase"));
	PASS(try_open(dir, &second, &pass_why));
	PASS(try_open(dir, &recovery, &pass_why));
	fixture_remove(dir);
}

static void test_a_recovery_key_may_be_typed_loosely_but_not_wrongly(void **state)
{
	(void)state;
	uint8_t secret[KEYRING_RECOVERY_BYTES], got[KEYRING_RECOVERY_BYTES];
	char text[KEYRING_RECOVERY_TEXT_BYTES], typed[2 * KEYRING_RECOVERY_TEXT_BYTES];
	uint64_t rng = 5;

	for (unsigned round = 0; round < 200; round++) {
		for (size_t i = 0; i < sizeof(secret); i++)
			secret[i] = (uint8_t)random_next(&rng);
		keyring_recovery_format(secret, text);
		assert_int_equal(strlen(text), KEYRING_RECOVERY_TEXT_BYTES - 1);
		PASS(keyring_recovery_parse(text, strlen(text), got, &pass_why));
		assert_memory_equal(got, secret, sizeof(secret));
		/* small letters, blanks for dashes, letters that look like digits */
		size_t n = 0;
		for (const char *p = text; *p != '\0'; p++) {
			char c = *p == '-' ? ' ' : *p == '0' ? 'o' : *p == '1' ? 'l' : *p;
			typed[n++] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
		}
		PASS(keyring_recovery_parse(typed, n, got, &pass_why));
		assert_memory_equal(got, secret, sizeof(secret));
		size_t at = random_next(&rng) % strlen(text);
		if (text[at] == '-')
			continue;
		text[at] = text[at] == '7' ? '8' : '7';
		assert_int_equal(keyring_recovery_parse(text, strlen(text), got, NULL), RC_DENIED);
	}
	assert_int_equal(keyring_recovery_parse("", 0, got, NULL), RC_DENIED);
	assert_int_equal(keyring_recovery_parse(text, 20, got, NULL), RC_DENIED);
	assert_int_equal(keyring_recovery_parse("UUUU", 4, got, NULL), RC_DENIED);
}

static void test_a_retired_key_is_kept_until_it_is_dropped_and_then_gone(void **state)
{
	(void)state;
	char dir[256];
	struct keyring *keyring = make(dir);
	uint8_t old[32], other[32], fresh[32], got[32], kek[32];
	size_t dropped = 0;

	PASS(keyring_need(keyring, DAY, 1, old, &pass_why));
	PASS(keyring_need(keyring, DAY, 2, other, &pass_why));
	PASS(keyring_retire(keyring, DAY, 1, &pass_why));
	PASS(keyring_retire(keyring, DAY, 3, &pass_why)); /* there is none */
	assert_int_equal(keyring_get(keyring, DAY, 1, got), RC_NOTFOUND);
	PASS(keyring_need(keyring, DAY, 1, fresh, &pass_why));
	assert_memory_not_equal(fresh, old, 32);
	PASS(keyring_retire(keyring, DAY, 1, &pass_why)); /* the old one is not replaced */
	PASS(keyring_sync(keyring, &pass_why));
	keyring = reopen(keyring, dir);
	assert_int_equal(keyring_each_retired(keyring, NULL, NULL), 1);
	PASS(keyring_get(keyring, DAY, 1, got));
	assert_memory_equal(got, fresh, 32);
	PASS(keyring_get_retired(keyring, DAY, 1, got));
	assert_memory_equal(got, old, 32);

	memcpy(kek, keyring->kek, sizeof(kek));
	PASS(keyring_drop_retired(keyring, &dropped, &pass_why));
	assert_int_equal(dropped, 1);
	assert_memory_not_equal(kek, keyring->kek, sizeof(kek));
	assert_int_equal(keyring_each_retired(keyring, NULL, NULL), 0);
	PASS(keyring_get_retired(keyring, DAY, 1, got)); /* for those who still read */
	keyring_wipe_dropped(keyring);
	assert_int_equal(keyring_get_retired(keyring, DAY, 1, got), RC_NOTFOUND);
	PASS(keyring_get(keyring, DAY, 2, got));
	assert_memory_equal(got, other, 32);
	keyring = reopen(keyring, dir);
	assert_int_equal(keyring_get_retired(keyring, DAY, 1, got), RC_NOTFOUND);
	PASS(keyring_get(keyring, DAY, 1, got));
	assert_memory_equal(got, fresh, 32);
	PASS(keyring_get(keyring, DAY, 2, got));
	keyring_close(keyring);
	fixture_remove(dir);
}

/* The bytes that the file held are overwritten, not only unnamed. */
static void test_wrapping_anew_overwrites_what_the_file_held(void **state)
{
	(void)state;
	char dir[256], path[600], old[600];
	struct keyring *keyring = make(dir);
	uint8_t *before, after[4096], key[32];
	size_t len;

	path_in(dir, "keyring", path);
	path_in(dir, "keyring.old", old);
	PASS(keyring_need(keyring, DAY, 1, key, &pass_why));
	PASS(keyring_sync(keyring, &pass_why));
	PASS(file_read(path, 1 << 20, &before, &len, &pass_why));
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0 && len <= sizeof(after));
	PASS(keyring_rekey(keyring, &pass_why));
	assert_int_equal(pread(fd, after, len, 0), len);
	assert_memory_not_equal(before, after, 16); /* magic and all */
	for (size_t i = 0; i + 16 <= len; i++)
		assert_null(memmem(after, len, before + i, 16));
	assert_false(file_exists(old));
	(void)close(fd);

	/* Cut off before the new file took its place: a second name, no more. */
	assert_int_equal(link(path, old), 0);
	keyring = reopen(keyring, dir);
	assert_false(file_exists(old));
	/* And behind it: the old file is still whole. */
	PASS(file_write_atomic(old, 0600, before, len, &pass_why));
	fd = open(old, O_RDONLY | O_CLOEXEC);
	keyring = reopen(keyring, dir);
	assert_false(file_exists(old));
	assert_int_equal(pread(fd, after, len, 0), len);
	assert_memory_not_equal(before, after, 16);
	(void)close(fd);
	free(before);
	keyring_close(keyring);
	fixture_remove(dir);
}

static void test_a_keyring_of_the_first_format_is_read_and_becomes_the_second(void **state)
{
	(void)state;
	char dir[256];
	struct keyring *keyring = make(dir);
	uint8_t key[32], dedup[32], got[32], more[32];

	PASS(keyring_need(keyring, DAY, 1, key, &pass_why));
	memcpy(dedup, keyring_dedup_key(keyring), sizeof(dedup));
	store_old_keyring(dir, keyring);
	for (unsigned i = 0; i < 2; i++) {
		keyring = reopen(keyring, dir);
		PASS(keyring_get(keyring, DAY, 1, got));
		assert_memory_equal(got, key, 32);
		assert_memory_equal(keyring_dedup_key(keyring), dedup, 32);
		assert_int_equal(keyring->version, i + 1);
		PASS(keyring_need(keyring, DAY + 1, 1, more, &pass_why));
		PASS(keyring_sync(keyring, &pass_why));
	}
	PASS(keyring_rekey(keyring, &pass_why));
	keyring = reopen(keyring, dir);
	PASS(keyring_get(keyring, DAY + 1, 1, got));
	assert_memory_equal(got, more, 32);
	keyring_close(keyring);
	fixture_remove(dir);
}

static void test_an_empty_keyring_or_key_file_is_a_typed_error(void **state)
{
	(void)state;
	char dir[256], path[600];
	struct keyring_unlock unlock = { 0 };
	struct errmsg why = ERRMSG_INIT;

	keyring_close(make(dir));
	put(dir, "key", "", path);
	assert_int_equal(try_open(dir, &unlock, &why), RC_DENIED);
	assert_non_null(strstr(why.text, "not a key file"));
	put(dir, "keyring", "", path);
	assert_int_equal(try_open(dir, &unlock, &why), RC_CORRUPT);
	assert_true(why.text[0] != '\0');
	fixture_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_way_in_opens_and_only_the_newest_stays_when_told),
		cmocka_unit_test(test_a_recovery_key_may_be_typed_loosely_but_not_wrongly),
		cmocka_unit_test(test_a_retired_key_is_kept_until_it_is_dropped_and_then_gone),
		cmocka_unit_test(test_wrapping_anew_overwrites_what_the_file_held),
		cmocka_unit_test(test_a_keyring_of_the_first_format_is_read_and_becomes_the_second),
		cmocka_unit_test(test_an_empty_keyring_or_key_file_is_a_typed_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
