/* Blobs in backups: copied once, restored, named when damaged, gone when forgotten. */
#include "backup_fixture.h"

#include <fcntl.h>

#include "store/store_blob.h"

static void upload(struct place *p, int fill, size_t len, uint8_t id[BLOB_ID_BYTES])
{
	struct blob_writer *w = NULL;
	char *bytes = malloc(len);

	assert_non_null(bytes);
	memset(bytes, fill, len);
	PASS(blob_write_open(store_blobs(p->f.store), &w, &pass_why));
	PASS(blob_write(w, bytes, len, &pass_why));
	PASS(blob_write_finish(w, id, &pass_why));
	store_blob_added(p->f.store, len);
	blob_write_close(w);
	free(bytes);
}

static void refer(struct place *p, const char *name, int64_t at_ns, uint8_t id[BLOB_ID_BYTES])
{
	uint8_t blobs[1][BLOB_ID_BYTES];
	struct observation obs = make_obs(name, at_ns, "a photo");

	memcpy(blobs[0], id, BLOB_ID_BYTES);
	obs.blobs = (const uint8_t(*)[BLOB_ID_BYTES])blobs;
	obs.blobs_len = 1;
	assert_int_equal(append_one(p->f.store, &obs).outcome, STORE_ACCEPTED);
}

/* Of the blob `id`, in the backup. */
static void path_there(struct place *p, const uint8_t id[BLOB_ID_BYTES], char out[BLOB_PATH_BYTES])
{
	struct blob_dir there = *store_blobs(p->f.store);
	uint8_t name[BLOB_NAME_BYTES];

	blob_name(store_blobs(p->f.store), id, name);
	(void)snprintf(there.path, sizeof(there.path), "%s/blobs", p->dest);
	blob_path(&there, name, out);
}

static void restore_and_open(
    struct place *p, const char *dir, uint8_t (*ids)[BLOB_ID_BYTES], size_t n)
{
	struct store_config config = { .dir = dir };
	struct keyring_unlock unlock = { 0 };
	struct keyring *keyring = NULL;
	struct store *store = NULL;
	char key[320];

	(void)snprintf(key, sizeof(key), "%s/key", p->f.dir);
	PASS(restore_to(p, dir, key, &pass_why));
	unlock.key_file = key;
	PASS(keyring_open(dir, &unlock, &keyring, &pass_why));
	config.keyring = keyring;
	PASS(store_open(&config, &store, &pass_why));
	for (size_t i = 0; i < n; i++)
		PASS(blob_verify(store_blobs(store), ids[i], &pass_why));
	PASS(store_verify(store, NULL, NULL, NULL, &pass_why));
	store_close(store);
	keyring_close(keyring);
}

static void test_blobs_are_copied_once_and_restored(void **state)
{
	(void)state;
	static const size_t sizes[] = { 20000, 300000, 70001 };
	struct backup_checked checked;
	uint8_t ids[3][BLOB_ID_BYTES];
	struct place p;
	char dir[400];

	place_init(&p);
	live(&p.f, 30, 1);
	for (size_t i = 0; i < 2; i++) {
		upload(&p, (int)('a' + i), sizes[i], ids[i]);
		refer(&p, i == 0 ? "one" : "two", T0_NS, ids[i]);
	}
	struct backup_result out = run_ok(&p);
	assert_true(out.bytes_written > sizes[0] + sizes[1]);
	out = run_ok(&p);
	assert_true(out.bytes_written < sizes[0]); /* they are there */
	upload(&p, 'a', sizes[0], ids[0]);         /* the same once more */
	upload(&p, 'z', sizes[2], ids[2]);
	refer(&p, "three", T0_NS, ids[2]);
	out = run_ok(&p);
	assert_true(out.bytes_written > sizes[2] && out.bytes_written < sizes[1]);
	assert_int_equal(check(&p, p.f.keyring, &checked), RC_OK);
	(void)snprintf(dir, sizeof(dir), "%s", p.restored);
	restore_and_open(&p, dir, ids, 3);
	place_fini(&p);
}

static void test_a_damaged_or_lost_blob_is_named_and_made_again(void **state)
{
	(void)state;
	struct backup_checked checked;
	uint8_t id[BLOB_ID_BYTES], byte;
	char path[BLOB_PATH_BYTES];
	struct place p;

	place_init(&p);
	upload(&p, 'a', 100000, id);
	refer(&p, "one", T0_NS, id);
	(void)run_ok(&p);
	path_there(&p, id, path);
	for (off_t at = 0; at < 100000; at += 9973) {
		int fd = open(path, O_RDWR | O_CLOEXEC);
		assert_true(fd >= 0);
		assert_int_equal(pread(fd, &byte, 1, at), 1);
		byte ^= 0x20;
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		assert_int_equal(check(&p, NULL, &checked), RC_CORRUPT);
		assert_int_equal(checked.faults, 1);
		byte ^= 0x20;
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		(void)close(fd);
	}
	assert_int_equal(check(&p, NULL, &checked), RC_OK);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(check(&p, NULL, &checked), RC_CORRUPT);
	(void)run_ok(&p);
	assert_int_equal(check(&p, NULL, &checked), RC_OK);
	place_fini(&p);
}

static void test_a_blob_that_went_leaves_the_backup(void **state)
{
	(void)state;
	char gone[BLOB_PATH_BYTES], stays[BLOB_PATH_BYTES];
	uint8_t a[BLOB_ID_BYTES], b[BLOB_ID_BYTES];
	struct backup_checked checked;
	uint64_t swept = 0;
	struct place p;

	place_init(&p);
	upload(&p, 'a', 50000, a); /* nobody refers to it */
	upload(&p, 'b', 50000, b);
	refer(&p, "two", T0_NS, b);
	(void)run_ok(&p);
	path_there(&p, a, gone);
	path_there(&p, b, stays);
	assert_true(file_exists(gone) && file_exists(stays));
	PASS(store_blob_sweep(p.f.store, -1, &swept, &pass_why));
	assert_int_equal(swept, 1);
	(void)run_ok(&p);
	assert_false(file_exists(gone));
	assert_true(file_exists(stays));
	assert_int_equal(check(&p, p.f.keyring, &checked), RC_OK);
	restore_and_open(&p, p.restored, &b, 1);
	place_fini(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blobs_are_copied_once_and_restored),
		cmocka_unit_test(test_a_damaged_or_lost_blob_is_named_and_made_again),
		cmocka_unit_test(test_a_blob_that_went_leaves_the_backup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
