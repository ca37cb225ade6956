/* Store: many appenders, readers and a growing map at once. */
#include "store_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#define APPENDERS 16
#define READERS 3
#define BATCHES 40
#define BATCH 7

struct crowd {
	struct store *store;
	atomic_int appending;
	atomic_uint failures;
};

struct appender {
	struct crowd *crowd;
	int number;
	pthread_t thread;
	uint64_t acknowledged;
};

static void *append_main(void *arg)
{
	struct appender *me = arg;
	char ids[BATCH][32];
	struct observation obs[BATCH];
	struct store_result results[BATCH];

	for (int b = 0; b < BATCHES; b++) {
		uint64_t cursor = 0;
		for (int i = 0; i < BATCH; i++) {
			(void)snprintf(ids[i], sizeof(ids[i]), "%d-%d-%d", me->number, b, i);
			obs[i] = make_obs(ids[i], T0_NS + b * NS_PER_S + i, "some words to store");
			obs[i].layer = (enum layer)(1 + me->number % 6);
		}
		if (store_append(me->crowd->store, obs, BATCH, results, &cursor, NULL) != RC_OK)
			atomic_fetch_add(&me->crowd->failures, 1);
		for (int i = 0; i < BATCH; i++) {
			if (results[i].outcome != STORE_ACCEPTED || results[i].seq > cursor ||
			    (i > 0 && results[i].seq != results[i - 1].seq + 1))
				atomic_fetch_add(&me->crowd->failures, 1);
		}
		me->acknowledged += BATCH;
		if (store_cursor(me->crowd->store) < cursor)
			atomic_fetch_add(&me->crowd->failures, 1);
	}
	atomic_fetch_sub(&me->crowd->appending, 1);
	return NULL;
}

struct order {
	uint64_t last_seq, count;
	int64_t last_t0_ns;
	bool by_time, broken;
};

static bool order_visit(void *ctx, const struct observation *obs)
{
	struct order *o = ctx;

	if (o->by_time ? obs->dev_t0_ns < o->last_t0_ns : obs->seq != o->last_seq + 1)
		o->broken = true;
	o->last_seq = obs->seq;
	o->last_t0_ns = obs->dev_t0_ns;
	o->count++;
	return true;
}

static void *read_main(void *arg)
{
	struct crowd *crowd = arg;
	struct store_range all = { .from_ns = OBS_TIME_MIN_NS, .to_ns = OBS_TIME_MAX_NS };
	bool last = false;

	while (!last) {
		last = atomic_load(&crowd->appending) == 0;
		struct order log = { 0 }, time = { .by_time = true, .last_t0_ns = INT64_MIN };
		uint64_t cursor = store_cursor(crowd->store);
		if (store_scan_log(crowd->store, 0, 0, order_visit, &log, NULL) != RC_OK ||
		    store_scan_time(crowd->store, &all, NULL, 0, order_visit, &time, NULL) !=
			RC_OK ||
		    log.broken || time.broken || log.count < cursor)
			atomic_fetch_add(&crowd->failures, 1);
		if (last && time.count != log.count)
			atomic_fetch_add(&crowd->failures, 1);
		(void)store_wait(crowd->store, store_cursor(crowd->store), 5 * NS_PER_MS);
	}
	return NULL;
}

static void test_sixteen_appenders_and_readers_agree_while_the_map_grows(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct crowd crowd = { 0 };
	struct appender appenders[APPENDERS];
	pthread_t readers[READERS];
	struct store_stats stats;

	f.config.map_bytes = 256 << 10; /* grows at once */
	fixture_init(&f);
	crowd.store = f.store;
	atomic_store(&crowd.appending, APPENDERS);
	for (int i = 0; i < APPENDERS; i++) {
		appenders[i] = (struct appender){ .crowd = &crowd, .number = i };
		assert_int_equal(
		    pthread_create(&appenders[i].thread, NULL, append_main, &appenders[i]), 0);
	}
	for (int i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, read_main, &crowd), 0);
	for (int i = 0; i < APPENDERS; i++)
		assert_int_equal(pthread_join(appenders[i].thread, NULL), 0);
	for (int i = 0; i < READERS; i++)
		assert_int_equal(pthread_join(readers[i], NULL), 0);
	assert_int_equal(atomic_load(&crowd.failures), 0);
	assert_int_equal(store_cursor(f.store), APPENDERS * BATCHES * BATCH);
	PASS(store_get_stats(f.store, &stats, &pass_why));
	assert_true(stats.map_bytes > 256 << 10);
	assert_true(stats.commits <= APPENDERS * BATCHES); /* groups, or at worst each alone */
	PASS(store_verify(f.store, NULL, NULL, NULL, &pass_why));
	fixture_fini(&f);
}

static void test_groups_too_small_for_all_that_wait_leave_nobody_behind(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct crowd crowd = { 0 };
	struct appender appenders[APPENDERS];
	struct store_stats stats;

	f.config.commit_records_max = 3 * BATCH;
	f.config.commit_interval_ns = NS_PER_MS;
	fixture_init(&f);
	crowd.store = f.store;
	for (int i = 0; i < APPENDERS; i++) {
		appenders[i] = (struct appender){ .crowd = &crowd, .number = i };
		assert_int_equal(
		    pthread_create(&appenders[i].thread, NULL, append_main, &appenders[i]), 0);
	}
	for (int i = 0; i < APPENDERS; i++)
		assert_int_equal(pthread_join(appenders[i].thread, NULL), 0);
	assert_int_equal(atomic_load(&crowd.failures), 0);
	assert_int_equal(store_cursor(f.store), APPENDERS * BATCHES * BATCH);
	PASS(store_get_stats(f.store, &stats, &pass_why));
	assert_true(stats.commits >= APPENDERS * BATCHES / 3);
	fixture_fini(&f);
}

static void *verify_main(void *arg)
{
	struct crowd *crowd = arg;

	while (atomic_load(&crowd->appending) > 0) {
		if (store_verify(crowd->store, NULL, NULL, NULL, NULL) != RC_OK)
			atomic_fetch_add(&crowd->failures, 1);
	}
	return NULL;
}

static void test_verify_finds_no_fault_in_a_store_that_is_written(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct crowd crowd = { 0 };
	struct appender appenders[2];
	pthread_t verifier;

	fixture_init(&f);
	crowd.store = f.store;
	atomic_store(&crowd.appending, 2);
	for (int i = 0; i < 2; i++) {
		appenders[i] = (struct appender){ .crowd = &crowd, .number = i };
		assert_int_equal(
		    pthread_create(&appenders[i].thread, NULL, append_main, &appenders[i]), 0);
	}
	assert_int_equal(pthread_create(&verifier, NULL, verify_main, &crowd), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_join(appenders[i].thread, NULL), 0);
	assert_int_equal(pthread_join(verifier, NULL), 0);
	assert_int_equal(atomic_load(&crowd.failures), 0);
	fixture_fini(&f);
}

static void *wait_main(void *arg)
{
	struct crowd *crowd = arg;

	return store_wait(crowd->store, 0, 60 * NS_PER_S) == 1 ? arg : NULL;
}

static void test_a_waiter_wakes_with_the_commit(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct crowd crowd = { 0 };
	pthread_t waiter;
	void *woken = NULL;
	struct observation obs = make_obs("a", T0_NS, "x");

	fixture_init(&f);
	crowd.store = f.store;
	assert_int_equal(store_wait(f.store, 0, 1), 0); /* the deadline passes */
	assert_int_equal(pthread_create(&waiter, NULL, wait_main, &crowd), 0);
	(void)append_one(f.store, &obs);
	assert_int_equal(pthread_join(waiter, &woken), 0);
	assert_ptr_equal(woken, &crowd);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sixteen_appenders_and_readers_agree_while_the_map_grows),
		cmocka_unit_test(test_groups_too_small_for_all_that_wait_leave_nobody_behind),
		cmocka_unit_test(test_verify_finds_no_fault_in_a_store_that_is_written),
		cmocka_unit_test(test_a_waiter_wakes_with_the_commit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
