/* Key pairs, key files and allow-lists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "os/file.h"
#include "wire/key.h"

static char dir[64];
static char path[96];

static int make_dir(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/hearth-key-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/file", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	(void)unlink(path);
	return rmdir(dir);
}

static void write_file(const char *text, mode_t mode)
{
	assert_int_equal(file_write_atomic(path, mode, text, strlen(text), NULL), RC_OK);
}

static void test_key_libzmq_here_has_curve_by_libsodium(void **state)
{
	(void)state;
	struct errmsg why = ERRMSG_INIT;

	if (wire_check_curve(&why) != RC_OK)
		fail_msg("%s", why.text);
}

static void test_key_public_key_is_what_libzmq_derives(void **state)
{
	(void)state;
	struct wire_keypair keys;
	char secret[41], derived[41], own[41];

	assert_int_equal(wire_keypair_new(&keys, NULL), RC_OK);
	assert_non_null(zmq_z85_encode(secret, keys.secret_key, 32));
	assert_non_null(zmq_z85_encode(own, keys.public_key, 32));
	assert_int_equal(zmq_curve_public(derived, secret), 0);
	assert_string_equal(derived, own);
	wire_keypair_wipe(&keys);
	assert_int_equal(keys.secret_key[0] | keys.secret_key[31] | keys.public_key[7], 0);
}

static void test_key_file_keeps_the_pair_and_its_mode(void **state)
{
	(void)state;
	struct wire_keypair keys, loaded;
	struct stat st;

	assert_int_equal(wire_keypair_new(&keys, NULL), RC_OK);
	assert_int_equal(wire_keypair_save(&keys, path, NULL), RC_OK);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_size, WIRE_KEY_TEXT_BYTES);
	assert_int_equal(wire_keypair_load(path, &loaded, NULL), RC_OK);
	assert_memory_equal(&keys, &loaded, sizeof(keys));
	assert_int_equal(wire_keypair_save(&keys, path, NULL), RC_EXISTS);
}

static void test_key_file_open_to_others_is_refused(void **state)
{
	(void)state;
	struct wire_keypair keys;
	struct errmsg why = ERRMSG_INIT;

	assert_int_equal(wire_keypair_new(&keys, NULL), RC_OK);
	assert_int_equal(wire_keypair_save(&keys, path, NULL), RC_OK);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(wire_keypair_load(path, &keys, &why), RC_CONFIG);
	assert_non_null(strstr(why.text, "chmod 600"));
	assert_int_equal(chmod(path, 0400), 0);
	assert_int_equal(wire_keypair_load(path, &keys, NULL), RC_OK);
}

static void test_key_file_without_a_key_is_refused_without_showing_it(void **state)
{
	(void)state;
	static const char *const texts[] = { "", "\n", "00", "zz",
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde",
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0",
		"g123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct wire_keypair keys;
		struct errmsg why = ERRMSG_INIT;
		write_file(texts[i], 0600);
		assert_int_equal(wire_keypair_load(path, &keys, &why), RC_CONFIG);
		assert_null(strstr(why.text, "123456"));
	}
	(void)unlink(path);
	struct wire_keypair keys;
	assert_int_equal(wire_keypair_load(path, &keys, NULL), RC_NOTFOUND);
}

static void test_key_text_is_hex_in_either_case(void **state)
{
	(void)state;
	uint8_t key[WIRE_KEY_BYTES];
	char text[WIRE_KEY_TEXT_BYTES];
	const char *lower = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
	const char *upper = "00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF";

	assert_int_equal(wire_key_parse(upper, key, NULL), RC_OK);
	wire_key_format(key, text);
	assert_string_equal(text, lower);
	assert_int_equal(wire_key_parse("tcp://x", key, NULL), RC_INVALID);
	assert_int_equal(wire_key_parse("", key, NULL), RC_INVALID);
}

static void test_allow_missing_file_is_an_empty_list(void **state)
{
	(void)state;
	struct wire_allow allow = { .n = 7 };

	assert_int_equal(wire_allow_load(path, &allow, NULL), RC_OK);
	assert_int_equal(allow.n, 0);
}

static void test_allow_add_keeps_what_is_there(void **state)
{
	(void)state;
	struct wire_allow allow;
	uint8_t a[WIRE_KEY_BYTES] = { 1 }, b[WIRE_KEY_BYTES] = { 2 }, c[WIRE_KEY_BYTES] = { 3 };
	uint8_t *bytes;
	size_t len;

	write_file("# the study\n\n"
		   "  0100000000000000000000000000000000000000000000000000000000000000  # laptop",
	    0600);
	assert_int_equal(wire_allow_add(path, b, NULL), RC_OK);
	assert_int_equal(wire_allow_add(path, b, NULL), RC_EXISTS);
	assert_int_equal(wire_allow_load(path, &allow, NULL), RC_OK);
	assert_int_equal(allow.n, 2);
	assert_true(wire_allow_has(&allow, a));
	assert_true(wire_allow_has(&allow, b));
	assert_false(wire_allow_has(&allow, c));
	assert_int_equal(file_read(path, 4096, &bytes, &len, NULL), RC_OK);
	assert_non_null(strstr((char *)bytes, "# the study"));
	assert_non_null(strstr((char *)bytes, "# laptop\n02"));
	free(bytes);
}

static void test_allow_remove_takes_one_key_and_leaves_the_rest(void **state)
{
	(void)state;
	struct wire_allow allow;
	uint8_t one[WIRE_KEY_BYTES] = { 1 }, two[WIRE_KEY_BYTES] = { 2 };
	uint8_t *bytes;
	size_t len;

	write_file("# mine\n"
		   "0100000000000000000000000000000000000000000000000000000000000000 # old\n"
		   "0200000000000000000000000000000000000000000000000000000000000000",
	    0600);
	assert_int_equal(wire_allow_remove(path, one, NULL), RC_OK);
	assert_int_equal(wire_allow_remove(path, one, NULL), RC_NOTFOUND);
	assert_int_equal(wire_allow_load(path, &allow, NULL), RC_OK);
	assert_int_equal(allow.n, 1);
	assert_true(wire_allow_has(&allow, two));
	assert_int_equal(file_read(path, 4096, &bytes, &len, NULL), RC_OK);
	assert_int_equal(strncmp((const char *)bytes, "# mine\n", 7), 0);
	free(bytes);
	assert_int_equal(wire_allow_remove(path, two, NULL), RC_OK);
	assert_int_equal(wire_allow_load(path, &allow, NULL), RC_OK);
	assert_int_equal(allow.n, 0);
}

static void test_allow_bad_line_is_named_and_changes_nothing(void **state)
{
	(void)state;
	struct wire_allow allow = { .n = 0 };
	struct errmsg why = ERRMSG_INIT;
	uint8_t key[WIRE_KEY_BYTES] = { 9 };

	write_file("# fine\nnot a key\n", 0600);
	allow.n = 3;
	assert_int_equal(wire_allow_load(path, &allow, &why), RC_CONFIG);
	assert_non_null(strstr(why.text, "line 2"));
	assert_int_equal(allow.n, 3);
	assert_int_equal(wire_allow_add(path, key, NULL), RC_CONFIG);
}

static void test_allow_list_has_a_limit(void **state)
{
	(void)state;
	struct wire_allow allow;
	uint8_t key[WIRE_KEY_BYTES] = { 0 };

	for (size_t i = 0; i < WIRE_ALLOW_MAX; i++) {
		key[0] = (uint8_t)i;
		key[1] = (uint8_t)(i >> 8);
		assert_int_equal(wire_allow_add(path, key, NULL), RC_OK);
	}
	key[2] = 1;
	assert_int_equal(wire_allow_add(path, key, NULL), RC_LIMIT);
	assert_int_equal(wire_allow_load(path, &allow, NULL), RC_OK);
	assert_int_equal(allow.n, WIRE_ALLOW_MAX);
}

static void *add_keys(void *arg)
{
	uint8_t key[WIRE_KEY_BYTES] = { 0 };

	key[31] = *(uint8_t *)arg;
	for (unsigned i = 0; i < 16; i++) {
		key[0] = (uint8_t)i;
		if (wire_allow_add(path, key, NULL) != RC_OK)
			return arg;
	}
	return NULL;
}

static void test_allow_writers_at_once_lose_nothing(void **state)
{
	(void)state;
	struct wire_allow allow;
	pthread_t threads[4];
	uint8_t names[4] = { 1, 2, 3, 4 };

	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add_keys, &names[i]), 0);
	for (int i = 0; i < 4; i++) {
		void *failed;
		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
	assert_int_equal(wire_allow_load(path, &allow, NULL), RC_OK);
	assert_int_equal(allow.n, 64);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_key_libzmq_here_has_curve_by_libsodium),
		TEST(test_key_public_key_is_what_libzmq_derives),
		TEST(test_key_file_keeps_the_pair_and_its_mode),
		TEST(test_key_file_open_to_others_is_refused),
		TEST(test_key_file_without_a_key_is_refused_without_showing_it),
		TEST(test_key_text_is_hex_in_either_case),
		TEST(test_allow_missing_file_is_an_empty_list),
		TEST(test_allow_add_keeps_what_is_there),
		TEST(test_allow_remove_takes_one_key_and_leaves_the_rest),
		TEST(test_allow_bad_line_is_named_and_changes_nothing),
		TEST(test_allow_list_has_a_limit),
		TEST(test_allow_writers_at_once_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
