/* Keyring copies: other states of one keyring open, others do not; marks tell
 * what was forgotten; any flipped bit is noticed. */
#include "store_fixture.h"

#include "os/file.h"
#include "store/keyring_marks.h"

struct rings {
	char dir[256], path[300];
	struct keyring *keyring;
	uint8_t *file;
	size_t len;
};

static void take_file(struct rings *r)
{
	free(r->file);
	PASS(file_read(r->path, 1 << 20, &r->file, &r->len, &pass_why));
}

static void need(struct keyring *keyring, int32_t day, unsigned layer)
{
	uint8_t key[KEYRING_KEY_BYTES];

	PASS(keyring_need(keyring, day, layer, key, &pass_why));
	PASS(keyring_sync(keyring, &pass_why));
}

static void rings_init(struct rings *r)
{
	struct keyring_unlock unlock = { 0 };

	*r = (struct rings){ 0 };
	fixture_dir(r->dir);
	(void)snprintf(r->path, sizeof(r->path), "%s/keyring", r->dir);
	PASS(keyring_create(r->dir, &unlock, &pass_why));
	PASS(keyring_open(r->dir, &unlock, &r->keyring, &pass_why));
	for (int32_t day = -2; day < 4; day++)
		need(r->keyring, day, 1 + (unsigned)(day & 3));
	take_file(r);
}

static void rings_fini(struct rings *r)
{
	free(r->file);
	keyring_close(r->keyring);
	fixture_remove(r->dir);
}

static void test_an_older_state_opens_also_after_rekeying(void **state)
{
	(void)state;
	struct rings r;
	struct keyring *copy = NULL;
	uint8_t a[KEYRING_KEY_BYTES], b[KEYRING_KEY_BYTES];

	rings_init(&r);
	need(r.keyring, 77, 2);
	PASS(keyring_open_copy(r.keyring, r.file, r.len, &copy, &pass_why));
	assert_int_equal(keyring_count(copy), 6);
	assert_int_equal(keyring_get(copy, 77, 2, a), RC_NOTFOUND);
	keyring_close(copy);
	PASS(keyring_rekey(r.keyring, &pass_why));
	PASS(keyring_open_copy(r.keyring, r.file, r.len, &copy, &pass_why));
	PASS(keyring_get(copy, 3, 4, a));
	PASS(keyring_get(r.keyring, 3, 4, b));
	assert_memory_equal(a, b, sizeof(a));
	keyring_close(copy);
	rings_fini(&r);
}

static void test_another_keyring_does_not_open(void **state)
{
	(void)state;
	struct keyring *copy = NULL;
	struct rings r, other;

	rings_init(&r);
	rings_init(&other);
	assert_int_equal(
	    keyring_open_copy(r.keyring, other.file, other.len, &copy, NULL), RC_DENIED);
	assert_int_equal(keyring_adopt(r.keyring, other.file, other.len, NULL), RC_DENIED);
	PASS(keyring_verify(r.keyring, &pass_why));
	rings_fini(&other);
	rings_fini(&r);
}

static void test_any_flipped_bit_of_the_file_is_noticed(void **state)
{
	(void)state;
	struct keyring_unlock unlock = { 0 };
	struct keyring *again = NULL;
	struct rings r;

	rings_init(&r);
	PASS(keyring_verify(r.keyring, &pass_why));
	for (size_t at = 0; at < r.len; at++) {
		r.file[at] ^= (uint8_t)(1u << (at % 8));
		PASS(keyring_open_copy(r.keyring, r.file, r.len, &again, NULL) == RC_OK ? RC_BUG
											: RC_OK);
		if (at % 11 == 0) {
			PASS(file_write_atomic(r.path, 0600, r.file, r.len, &pass_why));
			enum rc rc = keyring_verify(r.keyring, NULL);
			assert_true(rc == RC_CORRUPT || rc == RC_UNSUPPORTED);
			assert_int_not_equal(keyring_open(r.dir, &unlock, &again, NULL), RC_OK);
		}
		r.file[at] ^= (uint8_t)(1u << (at % 8));
	}
	for (size_t len = 0; len < r.len; len++)
		assert_int_not_equal(
		    keyring_open_copy(r.keyring, r.file, len, &again, NULL), RC_OK);
	PASS(file_write_atomic(r.path, 0600, r.file, r.len, &pass_why));
	PASS(keyring_verify(r.keyring, &pass_why));
	rings_fini(&r);
}

static void test_a_follower_becomes_the_newer_state(void **state)
{
	(void)state;
	struct keyring_unlock unlock = { 0 };
	struct rings r;
	struct keyring *follower = NULL;
	uint8_t a[KEYRING_KEY_BYTES], b[KEYRING_KEY_BYTES];
	char dir[256], path[300], key[300], own[300];
	uint8_t *bytes;
	size_t len;

	rings_init(&r);
	fixture_dir(dir);
	(void)snprintf(path, sizeof(path), "%s/keyring", dir);
	(void)snprintf(key, sizeof(key), "%s/key", r.dir);
	(void)snprintf(own, sizeof(own), "%s/key", dir);
	PASS(file_read(key, 1024, &bytes, &len, &pass_why));
	PASS(file_write_atomic(own, 0600, bytes, len, &pass_why));
	free(bytes);
	PASS(file_write_atomic(path, 0600, r.file, r.len, &pass_why));
	PASS(keyring_open(dir, &unlock, &follower, &pass_why));
	/* The first one gets a key, drops one and wraps all anew. */
	need(r.keyring, 99, 5);
	PASS(keyring_retire(r.keyring, 3, 4, &pass_why));
	PASS(keyring_drop_retired(r.keyring, NULL, &pass_why));
	take_file(&r);
	PASS(keyring_adopt(follower, r.file, r.len, &pass_why));
	assert_int_equal(keyring_get(follower, 3, 4, a), RC_NOTFOUND);
	PASS(keyring_get(follower, 99, 5, a));
	PASS(keyring_get(r.keyring, 99, 5, b));
	assert_memory_equal(a, b, sizeof(a));
	PASS(keyring_verify(follower, &pass_why));
	keyring_close(follower);
	PASS(keyring_open(dir, &unlock, &follower, &pass_why)); /* with the key of old */
	assert_int_equal(keyring_get(follower, 3, 4, a), RC_NOTFOUND);
	keyring_close(follower);
	fixture_remove(dir);
	rings_fini(&r);
}

static void test_marks_tell_which_keys_went(void **state)
{
	(void)state;
	struct rings r;
	struct buf old, now;

	rings_init(&r);
	buf_init(&old, 1 << 20);
	buf_init(&now, 1 << 20);
	PASS(keyring_marks(r.keyring, &old));
	assert_int_equal(old.len, 6 * KEYRING_MARK_BYTES);
	assert_int_equal(keyring_marks_check(old.bytes, old.len), RC_OK);
	assert_int_equal(keyring_marks_check(old.bytes, old.len - 1), RC_CORRUPT);
	need(r.keyring, 50, 1); /* one more is no change */
	PASS(keyring_marks(r.keyring, &now));
	assert_false(keyring_marks_any_changed(old.bytes, old.len, now.bytes, now.len));
	PASS(keyring_retire(r.keyring, -2, 3, &pass_why));
	buf_reset(&now);
	PASS(keyring_marks(r.keyring, &now));
	assert_true(keyring_marks_any_changed(old.bytes, old.len, now.bytes, now.len));
	for (int32_t day = -3; day < 5; day++) {
		for (unsigned layer = 0; layer < 7; layer++)
			assert_int_equal(keyring_marks_changed(
					     old.bytes, old.len, now.bytes, now.len, day, layer),
			    day == -2 && layer == 3);
	}
	/* The retired key goes for good: again a change. */
	buf_reset(&old);
	PASS(keyring_marks(r.keyring, &old));
	PASS(keyring_drop_retired(r.keyring, NULL, &pass_why));
	buf_reset(&now);
	PASS(keyring_marks(r.keyring, &now));
	assert_true(keyring_marks_changed(old.bytes, old.len, now.bytes, now.len, -2, 3));
	buf_fini(&old);
	buf_fini(&now);
	rings_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_older_state_opens_also_after_rekeying),
		cmocka_unit_test(test_another_keyring_does_not_open),
		cmocka_unit_test(test_any_flipped_bit_of_the_file_is_noticed),
		cmocka_unit_test(test_a_follower_becomes_the_newer_state),
		cmocka_unit_test(test_marks_tell_which_keys_went),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
