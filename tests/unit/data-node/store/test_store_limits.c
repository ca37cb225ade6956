/* Store: quota, map growth, batch and queue limits, keys before commits. */
#include "store_fixture.h"

#include <sys/stat.h>
#include <sys/wait.h>

static enum rc append_batch(struct fixture *f, size_t round, size_t n, const char *text)
{
	struct observation *obs = calloc(n, sizeof(*obs));
	char(*ids)[32] = calloc(n, sizeof(*ids));
	struct errmsg why = ERRMSG_INIT;

	for (size_t i = 0; i < n; i++) {
		(void)snprintf(ids[i], sizeof(ids[i]), "%zu-%zu", round, i);
		obs[i] = make_obs(ids[i], T0_NS + (int64_t)(round * n + i), text);
	}
	enum rc rc = store_append(f->store, obs, n, NULL, NULL, &why);
	if (rc != RC_OK)
		assert_true(why.text[0] != '\0');
	free(obs);
	free(ids);
	return rc;
}

static void test_a_full_quota_refuses_whole_batches_and_keeps_the_rest(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct store_stats stats;
	struct seen *seen = calloc(1, sizeof(*seen));
	size_t round = 0;

	f.config.quota_bytes = 1 << 20;
	fixture_init(&f);
	enum rc rc = RC_OK;
	while (rc == RC_OK && round < 1000)
		rc = append_batch(&f, round++, 50, "filling the store up to its quota");
	assert_int_equal(rc, RC_FULL);
	uint64_t stored = store_cursor(f.store);
	assert_int_equal(stored, (round - 1) * 50);
	/* A smaller batch may still find room: all of it or nothing. */
	size_t refused = 0;
	for (int i = 0; i < 5000 && refused < 5; i++) {
		rc = append_batch(&f, round++, 10, "again");
		assert_true(rc == RC_FULL || rc == RC_OK);
		stored += rc == RC_OK ? 10 : 0;
		refused += rc == RC_FULL;
		assert_int_equal(store_cursor(f.store), stored);
	}
	assert_int_equal(refused, 5);
	PASS(store_get_stats(f.store, &stats, &pass_why));
	assert_true(stats.bytes_used <= 1 << 20);
	/* Reading goes on, also after reopening, and more room heals it. */
	PASS(store_verify(f.store, NULL, NULL, NULL, &pass_why));
	fixture_close(&f);
	f.config.quota_bytes = 4 << 20;
	fixture_open(&f);
	assert_int_equal(store_cursor(f.store), stored);
	assert_int_equal(append_batch(&f, round, 50, "again"), RC_OK);
	PASS(store_scan_log(f.store, 0, 0, seen_visit, seen, &pass_why));
	assert_int_equal(seen->len, stored + 50);
	PASS(store_verify(f.store, NULL, NULL, NULL, &pass_why));
	free(seen);
	fixture_fini(&f);
}

static void test_a_small_map_grows_under_one_large_batch(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	static char text[5000];

	memset(text, 't', sizeof(text) - 1);
	f.config.map_bytes = 128 << 10;
	f.config.commit_records_max = 10;
	f.config.queue_records_max = 10; /* a batch beyond both still goes alone */
	fixture_init(&f);
	assert_int_equal(append_batch(&f, 0, 2000, text), RC_OK);
	assert_int_equal(store_cursor(f.store), 2000);
	PASS(store_verify(f.store, NULL, NULL, NULL, &pass_why));
	fixture_fini(&f);
}

static void test_the_largest_record_is_stored_and_a_larger_one_refused(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct arena arena;
	struct observation got, obs = make_obs("big", T0_NS, "");
	char *text = calloc(1, OBS_TEXT_BYTES_MAX + 2);
	double *values = calloc(OBS_VALUES_MAX, sizeof(*values));
	struct errmsg why = ERRMSG_INIT;

	fixture_init(&f);
	memset(text, 'x', OBS_TEXT_BYTES_MAX);
	obs.text = text;
	obs.shape = SHAPE_BLOCK;
	obs.rate_hz = 1;
	obs.values = values;
	obs.values_len = OBS_VALUES_MAX;
	(void)append_one(f.store, &obs);
	arena_init(&arena, 8 << 20);
	PASS(store_get_seq(f.store, 1, &arena, &got, &pass_why));
	assert_int_equal(strlen(got.text), OBS_TEXT_BYTES_MAX);
	assert_int_equal(got.values_len, OBS_VALUES_MAX);
	arena_fini(&arena);
	arena_init(&arena, 1 << 20); /* too small: says so, is no corruption */
	assert_int_equal(store_get_seq(f.store, 1, &arena, &got, &why), RC_NOMEM);
	text[OBS_TEXT_BYTES_MAX] = 'x';
	assert_int_equal(store_append(f.store, &obs, 1, NULL, NULL, &why), RC_INVALID);
	assert_int_equal(store_get_seq(f.store, 2, &arena, &got, NULL), RC_NOTFOUND);
	arena_fini(&arena);
	free(text);
	free(values);
	fixture_fini(&f);
}

static void test_a_key_that_cannot_be_written_stores_nothing(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct observation a = make_obs("a", T0_NS, "x"),
			   b = make_obs("b", T0_NS + NS_PER_DAY, "y");
	char path[512];
	struct errmsg why = ERRMSG_INIT;

	fixture_init(&f);
	(void)append_one(f.store, &a);
	/* A directory where the temporary goes: the keyring cannot be written. */
	(void)snprintf(path, sizeof(path), "%s/keyring.tmp", f.dir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_not_equal(store_append(f.store, &b, 1, NULL, NULL, &why), RC_OK);
	assert_int_equal(store_cursor(f.store), 1);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(append_one(f.store, &b).seq, 2);
	fixture_close(&f);
	fixture_open(&f);
	PASS(store_verify(f.store, NULL, NULL, NULL, &pass_why));
	fixture_fini(&f);
}

static void test_a_store_in_use_by_another_process_names_it(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct errmsg why = ERRMSG_INIT;
	int ready[2], go[2];
	char c = 0, want[48];

	fixture_init(&f);
	fixture_close(&f);
	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(go), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)close(go[1]);
		fixture_open(&f);
		if (write(ready[1], &c, 1) != 1 || read(go[0], &c, 1) != 0)
			_exit(1);
		_exit(0);
	}
	(void)close(go[0]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	struct keyring_unlock unlock = { 0 };
	PASS(keyring_open(f.dir, &unlock, &f.keyring, &pass_why));
	f.config.keyring = f.keyring;
	assert_int_equal(store_open(&f.config, &f.store, &why), RC_BUSY);
	(void)snprintf(want, sizeof(want), "process %ld", (long)pid);
	assert_non_null(strstr(why.text, want));
	(void)close(go[1]);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	PASS(store_open(&f.config, &f.store, &pass_why));
	fixture_fini(&f);
	(void)close(ready[0]);
	(void)close(ready[1]);
}

static void test_a_reader_opens_it_for_reading_only(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct observation a = make_obs("a", T0_NS, "x");
	struct seen *seen = calloc(1, sizeof(*seen));
	struct errmsg why = ERRMSG_INIT;

	fixture_init(&f);
	(void)append_one(f.store, &a);
	fixture_close(&f);
	f.config.read_only = true;
	fixture_open(&f);
	assert_int_equal(store_append(f.store, &a, 1, NULL, NULL, &why), RC_DENIED);
	PASS(store_scan_log(f.store, 0, 0, seen_visit, seen, &pass_why));
	assert_int_equal(seen->len, 1);
	PASS(store_verify(f.store, NULL, NULL, NULL, &pass_why));
	free(seen);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_full_quota_refuses_whole_batches_and_keeps_the_rest),
		cmocka_unit_test(test_a_small_map_grows_under_one_large_batch),
		cmocka_unit_test(test_the_largest_record_is_stored_and_a_larger_one_refused),
		cmocka_unit_test(test_a_key_that_cannot_be_written_stores_nothing),
		cmocka_unit_test(test_a_store_in_use_by_another_process_names_it),
		cmocka_unit_test(test_a_reader_opens_it_for_reading_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
