/* Store: quota and ballast leave room to forget; a reader that lags is named. */
#include "store_fixture.h"

#include <sys/stat.h>

#include "store/store_forget.h"
#include "store/store_internal.h"

static bool ballast_there(const struct fixture *f)
{
	char path[600];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/ballast", f->dir);
	return stat(path, &st) == 0 && st.st_blocks > 0;
}

static void test_the_ballast_is_made_let_go_of_and_made_again(void **state)
{
	(void)state;
	struct fixture f = { 0 };

	fixture_init(&f);
	assert_true(ballast_there(&f));
	assert_true(store_ballast_release(f.store));
	assert_false(ballast_there(&f));
	assert_false(store_ballast_release(f.store));
	fixture_close(&f);
	fixture_open(&f);
	assert_true(ballast_there(&f));
	fixture_fini(&f);
}

static enum rc append(struct fixture *f, unsigned number, struct errmsg *why)
{
	static char text[3000];
	char id[16];

	memset(text, 'x', sizeof(text) - 1);
	(void)snprintf(id, sizeof(id), "%u", number);
	struct observation obs = make_obs(id, T0_NS + number * NS_PER_S, text);
	obs.source = number % 2 == 0 ? "even" : "odd";
	return store_append(f->store, &obs, 1, NULL, NULL, why);
}

static void test_at_the_quota_appends_are_refused_and_forgetting_still_works(void **state)
{
	(void)state;
	struct fixture f = { .config = { .quota_bytes = 4 << 20 } };
	struct store_forget what = {
		.from_ns = OBS_TIME_MIN_NS, .to_ns = OBS_TIME_MAX_NS, .source = "even"
	};
	struct errmsg why = ERRMSG_INIT;
	struct store_forgotten done;
	struct store_stats stats;
	unsigned n = 0;

	fixture_init(&f);
	while (append(&f, n, &why) == RC_OK && n < 4000)
		n++;
	assert_true(n > 300 && n < 4000);
	assert_non_null(strstr(why.text, "quota of 4194304"));
	assert_int_equal(append(&f, n, NULL), RC_FULL);
	PASS(store_forget(f.store, &what, &done, &pass_why));
	assert_int_equal(done.records, (n + 1) / 2);
	PASS(store_verify(f.store, NULL, NULL, NULL, &pass_why));
	PASS(store_get_stats(f.store, &stats, &pass_why));
	assert_true(stats.map_bytes <= 4 << 20);
	/* What was freed can be used. */
	for (unsigned i = 0; i < n / 4; i++)
		PASS(append(&f, 5000 + 2 * i, &pass_why));
	fixture_close(&f);
	fixture_open(&f);
	PASS(store_verify(f.store, NULL, NULL, NULL, &pass_why));
	fixture_fini(&f);
}

static void test_a_reader_that_holds_an_old_snapshot_is_noticed_until_it_ends(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct store_stats stats;
	struct store_readers readers;
	MDB_txn *txn;

	fixture_init(&f);
	store_upkeep_stop(f.store); /* its looks are taken here */
	f.store->stopping = false;
	PASS(append(&f, 1, &pass_why));
	PASS(store_readers_look(f.store, &readers));
	assert_int_equal(readers.behind, 0);
	PASS(store_read_begin(f.store, &txn, &pass_why));
	for (unsigned look = 0; look < 3; look++) {
		PASS(append(&f, 2 + look, &pass_why));
		store_upkeep_look(f.store);
		PASS(store_get_stats(f.store, &stats, &pass_why));
		assert_int_equal(stats.reader_behind, look + 1);
		assert_int_equal(stats.reader_alarms, look);
	}
	store_read_end(f.store, txn);
	store_upkeep_look(f.store);
	PASS(store_get_stats(f.store, &stats, &pass_why));
	assert_int_equal(stats.reader_behind, 0);
	assert_int_equal(stats.reader_alarms, 0);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_ballast_is_made_let_go_of_and_made_again),
		cmocka_unit_test(test_at_the_quota_appends_are_refused_and_forgetting_still_works),
		cmocka_unit_test(test_a_reader_that_holds_an_old_snapshot_is_noticed_until_it_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
