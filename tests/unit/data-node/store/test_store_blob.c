/* Blobs and records: references hold files, what nobody refers to goes, and
 * verify and rebuild know both. */
#include "store_fixture.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>

#include "store/store_blob.h"
#include "store/store_rebuild.h"

struct ids {
	uint8_t id[4][BLOB_ID_BYTES];
};

static void put(struct fixture *f, char fill, size_t len, uint8_t id[BLOB_ID_BYTES])
{
	struct blob_writer *w = NULL;
	char bytes[5000];

	assert_true(len <= sizeof(bytes));
	memset(bytes, fill, len);
	PASS(blob_write_open(store_blobs(f->store), &w, &pass_why));
	PASS(blob_write(w, bytes, len, &pass_why));
	PASS(blob_write_finish(w, id, &pass_why));
	store_blob_added(f->store, len);
	blob_write_close(w);
}

static struct observation refer(const char *id, uint8_t (*blobs)[BLOB_ID_BYTES], size_t n)
{
	struct observation obs = make_obs(id, T0_NS, "a photo");

	obs.blobs = (const uint8_t(*)[BLOB_ID_BYTES])blobs;
	obs.blobs_len = n;
	return obs;
}

static void path_of(struct fixture *f, const uint8_t id[BLOB_ID_BYTES], char path[BLOB_PATH_BYTES])
{
	uint8_t name[BLOB_NAME_BYTES];

	blob_name(store_blobs(f->store), id, name);
	blob_path(store_blobs(f->store), name, path);
}

static bool there(struct fixture *f, const uint8_t id[BLOB_ID_BYTES])
{
	char path[BLOB_PATH_BYTES];

	path_of(f, id, path);
	return access(path, F_OK) == 0;
}

/* Both clocks, moved by hand. */
static _Atomic int64_t utc_moved_ns, mono_moved_ns;

static int64_t moved_utc_ns(void *ctx)
{
	(void)ctx;
	return T0_NS + atomic_load(&utc_moved_ns);
}

static int64_t moved_mono_ns(void *ctx)
{
	(void)ctx;
	return NS_PER_DAY + atomic_load(&mono_moved_ns);
}

static const struct clock_source moved = { moved_utc_ns, moved_mono_ns, NULL };

static uint64_t sweep(struct fixture *f)
{
	uint64_t swept = 0;

	PASS(store_blob_sweep(f->store, STORE_BLOB_GRACE_S, &swept, &pass_why));
	return swept;
}

static void count_fault(void *ctx, const char *fault)
{
	(*(size_t *)ctx)++;
	assert_null(strstr(fault, "photo"));
}

static size_t faults_of(struct fixture *f, uint64_t *blobs)
{
	struct store_verified verified = { 0 };
	size_t faults = 0;

	enum rc rc = store_verify(f->store, count_fault, &faults, &verified, NULL);
	assert_true(rc == (faults == 0 ? RC_OK : RC_CORRUPT));
	*blobs = verified.blobs;
	return faults;
}

static void test_a_record_refers_only_to_what_is_there(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct ids ids = { 0 };
	struct observation got;
	struct arena arena;

	fixture_init(&f);
	put(&f, 'a', 5000, ids.id[0]);
	struct observation obs = refer("1", ids.id, 2);
	memset(ids.id[1], 7, BLOB_ID_BYTES);
	assert_int_equal(store_append(f.store, &obs, 1, NULL, NULL, NULL), RC_NOTFOUND);
	assert_int_equal(store_cursor(f.store), 0);
	put(&f, 'b', 10, ids.id[1]);
	struct store_result result = append_one(f.store, &obs);
	arena_init(&arena, 1 << 20);
	PASS(store_get_seq(f.store, result.seq, &arena, &got, &pass_why));
	assert_int_equal(got.blobs_len, 2);
	assert_memory_equal(got.blobs, ids.id, 2 * BLOB_ID_BYTES);
	/* Other blobs are other content: a new version, not a duplicate. */
	assert_int_equal(append_one(f.store, &obs).outcome, STORE_DUPLICATE);
	obs.blobs_len = 1;
	assert_int_equal(append_one(f.store, &obs).outcome, STORE_ACCEPTED);
	arena_fini(&arena);
	fixture_fini(&f);
}

static void test_sweeping_removes_what_nobody_refers_to_after_its_time(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct store_blob_use use;
	struct ids ids;

	clock_replace(&moved);
	fixture_init(&f);
	for (int i = 0; i < 3; i++)
		put(&f, (char)('a' + i), 1000, ids.id[i]);
	struct observation obs = refer("1", &ids.id[0], 1);
	(void)append_one(f.store, &obs);
	obs = refer("1", &ids.id[1], 1); /* supersedes, and the old version stays in the log */
	(void)append_one(f.store, &obs);
	assert_int_equal(sweep(&f), 0);
	atomic_fetch_add(&mono_moved_ns, STORE_BLOB_GRACE_S * NS_PER_S);
	put(&f, 'd', 1000, ids.id[3]);
	assert_int_equal(sweep(&f), 1);
	assert_true(there(&f, ids.id[0]) && there(&f, ids.id[1]) && there(&f, ids.id[3]));
	assert_false(there(&f, ids.id[2]));
	PASS(store_blob_usage(f.store, &use, &pass_why));
	assert_int_equal(use.blobs, 3);
	assert_true(use.bytes > 3000);
	uint8_t name[BLOB_NAME_BYTES];
	blob_name(store_blobs(f.store), ids.id[0], name);
	PASS(store_blob_drop(f.store, name, &pass_why)); /* referred to: stays */
	assert_true(there(&f, ids.id[0]));
	blob_name(store_blobs(f.store), ids.id[3], name);
	PASS(store_blob_drop(f.store, name, &pass_why));
	PASS(store_blob_drop(f.store, name, &pass_why));
	assert_false(there(&f, ids.id[3]));
	fixture_fini(&f);
	clock_replace(NULL);
}

static void test_a_wall_clock_that_jumps_a_year_sweeps_nothing(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	uint8_t id[1][BLOB_ID_BYTES];

	clock_replace(&moved);
	fixture_init(&f);
	put(&f, 'a', 1000, id[0]);
	assert_int_equal(sweep(&f), 0);
	atomic_fetch_add(&utc_moved_ns, 365 * NS_PER_DAY);
	assert_int_equal(sweep(&f), 0);
	struct observation obs = refer("1", id, 1);
	assert_int_equal(append_one(f.store, &obs).outcome, STORE_ACCEPTED);
	atomic_fetch_add(&mono_moved_ns, 2 * NS_PER_DAY);
	assert_int_equal(sweep(&f), 0); /* referred to since */
	assert_true(there(&f, id[0]));
	fixture_fini(&f);
	clock_replace(NULL);
}

static void test_a_blob_waits_through_restarts_and_anew_when_it_comes_again(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	uint8_t id[BLOB_ID_BYTES];

	clock_replace(&moved);
	fixture_init(&f);
	put(&f, 'a', 1000, id);
	assert_int_equal(sweep(&f), 0);
	for (int run = 0; run < 2; run++) {
		atomic_fetch_add(&mono_moved_ns, STORE_BLOB_GRACE_S / 2 * NS_PER_S - NS_PER_S);
		assert_int_equal(sweep(&f), 0); /* a second short of it after the other half */
		fixture_close(&f);
		atomic_fetch_add(&mono_moved_ns, 9 * NS_PER_DAY); /* not open: does not count */
		fixture_open(&f);
	}
	assert_int_equal(sweep(&f), 0);
	assert_true(there(&f, id));
	struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
	char path[BLOB_PATH_BYTES];
	path_of(&f, id, path);
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0); /* sent again */
	atomic_fetch_add(&mono_moved_ns, 3 * NS_PER_S);
	assert_int_equal(sweep(&f), 0);
	atomic_fetch_add(&mono_moved_ns, STORE_BLOB_GRACE_S * NS_PER_S);
	assert_int_equal(sweep(&f), 1);
	assert_false(there(&f, id));
	fixture_fini(&f);
	clock_replace(NULL);
}

static void test_verify_names_missing_and_damaged_blobs(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	char path[BLOB_PATH_BYTES];
	struct ids ids;
	uint64_t blobs;

	fixture_init(&f);
	for (int i = 0; i < 3; i++)
		put(&f, (char)('a' + i), 1000, ids.id[i]);
	struct observation obs = refer("1", ids.id, 3);
	(void)append_one(f.store, &obs);
	obs = refer("2", ids.id, 1);
	(void)append_one(f.store, &obs);
	assert_int_equal(faults_of(&f, &blobs), 0);
	assert_int_equal(blobs, 3);
	path_of(&f, ids.id[0], path);
	assert_int_equal(unlink(path), 0);
	path_of(&f, ids.id[1], path);
	assert_int_equal(truncate(path, 500), 0);
	assert_int_equal(faults_of(&f, &blobs), 2);
	fixture_fini(&f);
}

static void test_rebuild_makes_the_references_anew(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct ids ids;
	uint64_t blobs, swept = 0;

	fixture_init(&f);
	for (int i = 0; i < 2; i++)
		put(&f, (char)('a' + i), 1000, ids.id[i]);
	struct observation obs = refer("1", ids.id, 1);
	(void)append_one(f.store, &obs);
	obs = refer("1", &ids.id[1], 1);
	(void)append_one(f.store, &obs);
	fixture_close(&f);
	struct keyring_unlock unlock = { 0 };
	PASS(keyring_open(f.dir, &unlock, &f.keyring, &pass_why));
	f.config.keyring = f.keyring;
	PASS(store_rebuild(&f.config, NULL, NULL, NULL, &pass_why));
	keyring_close(f.keyring);
	fixture_open(&f);
	assert_int_equal(faults_of(&f, &blobs), 0);
	assert_int_equal(blobs, 2);
	PASS(store_blob_sweep(f.store, 0, &swept, &pass_why));
	assert_int_equal(swept, 0);
	fixture_fini(&f);
}

static void test_blobs_count_against_the_quota(void **state)
{
	(void)state;
	struct fixture f = { .config = { .quota_bytes = (uint64_t)4 << 20 } };
	uint8_t id[BLOB_ID_BYTES];

	fixture_init(&f);
	PASS(store_blob_room(f.store, 1 << 20, &pass_why));
	assert_int_equal(store_blob_room(f.store, (uint64_t)4 << 20, NULL), RC_FULL);
	put(&f, 'x', 5000, id);
	store_blob_added(f.store, (uint64_t)3 << 20);
	assert_int_equal(store_blob_room(f.store, 1 << 20, NULL), RC_FULL);
	assert_int_equal(store_blob_room(f.store, BLOB_BYTES_MAX + 1, NULL), RC_LIMIT);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_record_refers_only_to_what_is_there),
		cmocka_unit_test(test_sweeping_removes_what_nobody_refers_to_after_its_time),
		cmocka_unit_test(test_a_wall_clock_that_jumps_a_year_sweeps_nothing),
		cmocka_unit_test(test_a_blob_waits_through_restarts_and_anew_when_it_comes_again),
		cmocka_unit_test(test_verify_names_missing_and_damaged_blobs),
		cmocka_unit_test(test_rebuild_makes_the_references_anew),
		cmocka_unit_test(test_blobs_count_against_the_quota),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
