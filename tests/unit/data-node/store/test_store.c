/* Store: append, read back, duplicates, versions, what survives reopening. */
#include "store_fixture.h"

static void test_what_is_appended_is_read_back_equal_after_reopening(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	const double values[] = { 1.5, -2, 1e300 };
	struct arena arena;
	struct observation got, obs = make_obs("a", T0_NS, "canary");

	fixture_init(&f);
	obs.layer = LAYER_ENVIRONMENT;
	obs.kind = "temperature";
	obs.shape = SHAPE_BLOCK;
	obs.clock_id = "c";
	obs.boot_epoch = "7";
	obs.has_source_seq = true;
	obs.source_seq = UINT64_MAX;
	obs.dev_t1_ns = T0_NS + 60 * NS_PER_S;
	obs.has_end = true;
	obs.recv_utc_ns = T0_NS + 5;
	obs.recv_mono_ns = -3;
	obs.zone = "Europe/Berlin";
	obs.has_offset = true;
	obs.offset_s = -3600;
	obs.data_json = "{\"k\":1}";
	obs.rate_hz = 0.05;
	obs.values = values;
	obs.values_len = 3;
	obs.has_pulse = true;
	obs.pulse_s = 2.5;
	obs.gap = true;
	obs.extra_json = "{\"x\":null}";
	struct store_result r = append_one(f.store, &obs);
	assert_int_equal(r.outcome, STORE_ACCEPTED);
	assert_int_equal(r.seq, 1);
	fixture_close(&f);
	fixture_open(&f);
	assert_int_equal(store_cursor(f.store), 1);
	arena_init(&arena, 1 << 20);
	PASS(store_get_id(f.store, r.obs_id, &arena, &got, &pass_why));
	assert_int_equal(got.seq, 1);
	assert_memory_equal(got.obs_id, r.obs_id, OBS_ID_BYTES);
	assert_string_equal(got.source, obs.source);
	assert_string_equal(got.client_id, "a");
	assert_int_equal(got.layer, obs.layer);
	assert_string_equal(got.kind, obs.kind);
	assert_int_equal(got.shape, obs.shape);
	assert_string_equal(got.clock_id, "c");
	assert_string_equal(got.boot_epoch, "7");
	assert_true(got.has_source_seq && got.source_seq == UINT64_MAX);
	assert_true(got.dev_t0_ns == T0_NS && got.dev_t1_ns == obs.dev_t1_ns && got.has_end);
	assert_true(got.recv_utc_ns == obs.recv_utc_ns && got.recv_mono_ns == -3);
	assert_string_equal(got.zone, "Europe/Berlin");
	assert_true(got.has_offset && got.offset_s == -3600);
	assert_int_equal(got.origin, ORIGIN_OWNER);
	assert_string_equal(got.text, "canary");
	assert_string_equal(got.data_json, "{\"k\":1}");
	assert_string_equal(got.extra_json, "{\"x\":null}");
	assert_true(got.values_len == 3 && memcmp(got.values, values, sizeof(values)) == 0);
	assert_true(got.rate_hz == 0.05 && got.has_pulse && got.pulse_s == 2.5 && got.gap);
	assert_false(got.tombstone);
	arena_fini(&arena);
	fixture_fini(&f);
}

static void test_sending_again_is_a_duplicate_and_other_content_supersedes(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct observation a = make_obs("x", T0_NS, "one"), b = make_obs("x", T0_NS + 9, "two");
	struct observation anonymous = make_obs("", T0_NS + 20, "no id");
	struct store_range range = { .from_ns = T0_NS, .to_ns = T0_NS + 100 };
	struct seen *seen = calloc(1, sizeof(*seen));
	struct arena arena;
	struct observation got;

	fixture_init(&f);
	struct store_result r1 = append_one(f.store, &a);
	assert_int_equal(append_one(f.store, &a).outcome, STORE_DUPLICATE);
	struct store_result r2 = append_one(f.store, &b);
	assert_int_equal(r2.outcome, STORE_ACCEPTED);
	assert_int_equal(r2.seq, 2);
	assert_memory_equal(r1.obs_id, r2.obs_id, OBS_ID_BYTES);
	/* A late copy of either changes nothing. */
	assert_int_equal(append_one(f.store, &a).outcome, STORE_DUPLICATE);
	assert_int_equal(append_one(f.store, &b).outcome, STORE_DUPLICATE);
	assert_int_equal(append_one(f.store, &anonymous).seq, 3);
	assert_int_equal(append_one(f.store, &anonymous).outcome, STORE_DUPLICATE);
	assert_int_equal(store_cursor(f.store), 3);
	arena_init(&arena, 1 << 20);
	PASS(store_get_id(f.store, r1.obs_id, &arena, &got, &pass_why));
	assert_int_equal(got.seq, 2);
	assert_int_equal(got.supersedes_seq, 1);
	PASS(store_scan_time(f.store, &range, NULL, 0, seen_visit, seen, &pass_why));
	assert_int_equal(seen->len, 2);
	assert_int_equal(seen->seqs[0], 2);
	assert_int_equal(seen->seqs[1], 3);
	/* The past as it was known. */
	seen->len = 0;
	range.as_of_seq = 1;
	PASS(store_scan_time(f.store, &range, NULL, 0, seen_visit, seen, &pass_why));
	assert_int_equal(seen->len, 1);
	assert_int_equal(seen->seqs[0], 1);
	seen->len = 0;
	PASS(store_scan_log(f.store, 0, 0, seen_visit, seen, &pass_why));
	assert_int_equal(seen->len, 3);
	arena_fini(&arena);
	free(seen);
	fixture_fini(&f);
}

static void test_a_batch_with_one_bad_record_stores_nothing(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct observation obs[] = { make_obs("a", T0_NS, "x"), make_obs("b", T0_NS, "y") };
	struct errmsg why = ERRMSG_INIT;

	fixture_init(&f);
	obs[1].dev_t1_ns = T0_NS - 1;
	assert_int_equal(store_append(f.store, obs, 2, NULL, NULL, &why), RC_INVALID);
	assert_string_equal(why.text, "end: before start");
	assert_int_equal(store_cursor(f.store), 0);
	fixture_fini(&f);
}

static void test_scans_resume_where_they_stopped(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct seen *seen = calloc(1, sizeof(*seen));
	struct store_range range = { .from_ns = T0_NS, .to_ns = T0_NS + 5000 };
	struct store_position pos = { 0 };
	struct observation obs[1500];
	char ids[1500][8];

	fixture_init(&f);
	for (size_t i = 0; i < 1500; i++) {
		(void)snprintf(ids[i], sizeof(ids[i]), "%zu", i);
		obs[i] = make_obs(ids[i], T0_NS + (int64_t)(i / 3), "t");
		obs[i].layer = (enum layer)(1 + i % 6);
	}
	PASS(store_append(f.store, obs, 1500, NULL, NULL, &pass_why));
	size_t before = SIZE_MAX;
	while (seen->len != before) {
		before = seen->len;
		PASS(store_scan_time(f.store, &range, &pos, 7, seen_visit, seen, &pass_why));
		assert_true(seen->len - before <= 7);
	}
	assert_int_equal(seen->len, 1500);
	for (size_t i = 0; i < 1500; i++)
		assert_int_equal(seen->seqs[i], i + 1);
	/* A visitor that says stop: the place is behind what it saw. */
	pos = (struct store_position){ 0 };
	seen->len = 0;
	seen->stop_at = 10;
	PASS(store_scan_time(f.store, &range, &pos, 0, seen_visit, seen, &pass_why));
	assert_int_equal(seen->len, 10);
	seen->stop_at = 0;
	PASS(store_scan_time(f.store, &range, &pos, 0, seen_visit, seen, &pass_why));
	assert_int_equal(seen->len, 1500);
	assert_int_equal(seen->seqs[10], 11);
	free(seen);
	fixture_fini(&f);
}

static void test_a_second_open_is_busy_and_names_the_process(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct store *other = NULL;
	struct errmsg why = ERRMSG_INIT;
	char pid[32];

	fixture_init(&f);
	assert_int_equal(store_open(&f.config, &other, &why), RC_BUSY);
	(void)snprintf(pid, sizeof(pid), "process %ld", (long)getpid());
	assert_non_null(strstr(why.text, pid));
	assert_null(other);
	fixture_fini(&f);
}

static void test_stats_tell_the_span_of_time(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct store_stats stats;
	struct observation a = make_obs("a", T0_NS + 7, "x"), b = make_obs("b", T0_NS - 7, "y");

	fixture_init(&f);
	PASS(store_get_stats(f.store, &stats, &pass_why));
	assert_true(stats.records == 0 && stats.first_ns == 0 && stats.last_ns == 0);
	b.layer = LAYER_HOME;
	(void)append_one(f.store, &a);
	(void)append_one(f.store, &b);
	PASS(store_get_stats(f.store, &stats, &pass_why));
	assert_true(stats.records == 2 && stats.commits == 2);
	assert_true(stats.first_ns == T0_NS - 7 && stats.last_ns == T0_NS + 7);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_appended_is_read_back_equal_after_reopening),
		cmocka_unit_test(test_sending_again_is_a_duplicate_and_other_content_supersedes),
		cmocka_unit_test(test_a_batch_with_one_bad_record_stores_nothing),
		cmocka_unit_test(test_scans_resume_where_they_stopped),
		cmocka_unit_test(test_a_second_open_is_busy_and_names_the_process),
		cmocka_unit_test(test_stats_tell_the_span_of_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
