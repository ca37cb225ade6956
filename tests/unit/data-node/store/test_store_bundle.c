/*
 * The past in bundles: scans give the same as without, whatever happens to the
 * stretch of a bundle; forgetting its key takes it along.
 */
#include "store_fixture.h"

#include "clock_messages.h"

#include "store/store_bundle.h"
#include "store/store_forget.h"

#define DAYS 4
#define BEFORE_NS (T0_NS + 10 * NS_PER_DAY)

static struct fixture plain, sealed; /* the same history; one of them builds */

static uint64_t below(uint64_t *seed, uint64_t n)
{
	return random_next(seed) % n;
}

static int64_t midnight(void)
{
	return (int64_t)store_day(T0_NS) * NS_PER_DAY;
}

/* An event of one of `ids` things, some of them sent before. */
static struct observation random_event(uint64_t *seed, uint64_t ids, char id[24], char text[200])
{
	static const enum layer layers[] = { LAYER_TEXT, LAYER_HOME, LAYER_BEHAVIOUR };
	uint64_t number = below(seed, ids);
	size_t len = below(seed, 40) == 0 ? 199 : below(seed, 30);
	struct observation obs;

	(void)snprintf(id, 24, "%llu", (unsigned long long)number);
	memset(text, 'a' + (int)below(seed, 26), len);
	text[len] = '\0';
	obs = make_obs(id, 0, text);
	obs.layer = layers[number % 3];
	/* Few moments, so that times collide; borders of days among them. */
	obs.dev_t0_ns = midnight() + (int64_t)below(seed, DAYS * 24 * 60) * NS_PER_MIN -
			(below(seed, 9) == 0 ? 1 : 0);
	obs.dev_t1_ns = obs.dev_t0_ns;
	if (below(seed, 4) == 0) {
		obs.shape = SHAPE_INTERVAL;
		obs.has_end = true;
		obs.dev_t1_ns += (int64_t)below(seed, 3 * 60) * NS_PER_MIN;
	}
	return obs;
}

static void append_both(uint64_t *seed, size_t n, uint64_t ids)
{
	static struct observation obs[512];
	static char names[512][24], texts[512][200];

	assert_true(n <= 512);
	for (size_t i = 0; i < n; i++)
		obs[i] = random_event(seed, ids, names[i], texts[i]);
	PASS(store_append(plain.store, obs, n, NULL, NULL, &pass_why));
	PASS(store_append(sealed.store, obs, n, NULL, NULL, &pass_why));
}

struct records {
	struct buf bytes;
	size_t len, stop_at;
};

static bool record_visit(void *ctx, const struct observation *obs)
{
	struct records *records = ctx;
	struct observation copy = *obs;

	/* Ids are keyed by the store. */
	memset(copy.obs_id, 0, sizeof(copy.obs_id));
	memset(copy.content_hash, 0, sizeof(copy.content_hash));
	buf_printf(&records->bytes, "%llu %lld %lld %lld %lld %llu %llu %d %d ",
	    (unsigned long long)obs->seq, (long long)obs->place.t0_ns, (long long)obs->place.t1_ns,
	    (long long)obs->place.early_ns, (long long)obs->place.late_ns,
	    (unsigned long long)obs->place.map_version, (unsigned long long)obs->place.epoch,
	    obs->place.limbo, obs->place.defaulted);
	assert_int_equal(observation_encode(&copy, &records->bytes, NULL), RC_OK);
	return ++records->len != records->stop_at;
}

static void scan(struct store *store, const struct store_range *range, size_t limit, size_t stop_at,
    struct records *out)
{
	struct store_position position = { .set = false };

	*out = (struct records){ .stop_at = stop_at };
	buf_init(&out->bytes, (size_t)64 << 20);
	PASS(store_scan_time(store, range, &position, limit, record_visit, out, &pass_why));
	if (limit > 0 || stop_at > 0) /* and the rest of it */
		PASS(store_scan_time(store, range, &position, 0, record_visit, out, &pass_why));
}

static void compare_scans(uint64_t *seed, size_t rounds)
{
	for (size_t i = 0; i < rounds; i++) {
		struct store_range range = { .layers =
						 (unsigned)below(seed, 128) & LAYER_MASK_ALL };
		struct records want, got;
		range.from_ns = midnight() + (int64_t)below(seed, DAYS * 24) * NS_PER_HOUR;
		range.to_ns = range.from_ns + (int64_t)below(seed, 40 * 60) * NS_PER_MIN;
		if (below(seed, 3) == 0)
			range.as_of_seq = 1 + below(seed, store_cursor(plain.store));
		size_t limit = below(seed, 2) == 0 ? 0 : 1 + below(seed, 50);
		size_t stop_at = below(seed, 3) == 0 ? 1 + below(seed, 20) : 0;
		scan(plain.store, &range, limit, stop_at, &want);
		scan(sealed.store, &range, limit, stop_at, &got);
		assert_int_equal(want.len, got.len);
		assert_int_equal(want.bytes.len, got.bytes.len);
		assert_true(want.bytes.len == 0 ||
			    memcmp(want.bytes.bytes, got.bytes.bytes, want.bytes.len) == 0);
		buf_fini(&want.bytes);
		buf_fini(&got.bytes);
	}
}

/* Rows of the database that are bundles, and those that are marks. */
static size_t count_rows(struct store *store, size_t *marks)
{
	struct store_entry first, last;
	MDB_cursor *cursor;
	MDB_val key, value, bytes;
	MDB_txn *txn;
	size_t n = 0;

	*marks = 0;
	PASS(store_read_begin(store, &txn, &pass_why));
	assert_int_equal(mdb_cursor_open(txn, store->dbi[DB_BUNDLE], &cursor), 0);
	while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
		unsigned layer;
		int32_t day;
		if (store_bundle_parse(&key, &value, &first, &last, &bytes) == RC_OK)
			n++;
		else if (store_bundle_day_parse(&key, &layer, &day))
			++*marks;
	}
	mdb_cursor_close(cursor);
	store_read_end(store, txn);
	return n;
}

static void init_both(void)
{
	plain = sealed = (struct fixture){ 0 };
	fixture_init(&plain);
	fixture_init(&sealed);
}

static void fini_both(void)
{
	fixture_fini(&plain);
	fixture_fini(&sealed);
}

static void test_scans_give_the_same_with_bundles(void **state)
{
	uint64_t seed = 21;
	size_t marks;

	(void)state;
	init_both();
	for (size_t round = 0; round < 12; round++) {
		append_both(&seed, 100 + below(&seed, 400), 4000);
		compare_scans(&seed, 8); /* with holes where the last round fell */
		if (round % 3 != 2) {
			PASS(store_build_bundles(sealed.store, BEFORE_NS, &pass_why));
			assert_true(count_rows(sealed.store, &marks) > 0);
			assert_int_equal(marks, 0);
			compare_scans(&seed, 12);
		}
		if (round == 5) {
			fixture_close(&sealed);
			fixture_open(&sealed);
		}
	}
	PASS(store_verify(sealed.store, NULL, NULL, NULL, &pass_why));
	fini_both();
}

/* Scans of everything, as it is now and as it was at some cursors. */
static void compare_all(uint64_t *seed, size_t rounds)
{
	for (size_t i = 0; i < rounds; i++) {
		struct store_range range = { .from_ns = OBS_TIME_MIN_NS, .to_ns = OBS_TIME_MAX_NS };
		struct records want, got;
		if (i > 0)
			range.as_of_seq = 1 + below(seed, store_cursor(plain.store));
		size_t limit = below(seed, 2) == 0 ? 0 : 1 + below(seed, 90);
		scan(plain.store, &range, limit, 0, &want);
		scan(sealed.store, &range, limit, 0, &got);
		assert_true(want.len > 0);
		assert_int_equal(want.len, got.len);
		assert_int_equal(want.bytes.len, got.bytes.len);
		assert_memory_equal(want.bytes.bytes, got.bytes.bytes, want.bytes.len);
		buf_fini(&want.bytes);
		buf_fini(&got.bytes);
	}
}

/* How many records of the layer the bundles hold. */
static size_t count_bundled(struct store *store, unsigned layer)
{
	static struct bundle_reader reader;
	struct store_entry first, last;
	MDB_val key, value, sealed_bytes;
	struct observation obs;
	MDB_cursor *cursor;
	struct buf bytes;
	MDB_txn *txn;
	size_t n = 0;

	buf_init(&bytes, BUNDLE_BYTES_MAX);
	PASS(store_read_begin(store, &txn, &pass_why));
	assert_int_equal(mdb_cursor_open(txn, store->dbi[DB_BUNDLE], &cursor), 0);
	while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
		uint8_t seal[STORE_BUNDLE_SEAL_KEY_BYTES];
		MDB_val seal_key = { sizeof(seal), seal };
		if (store_bundle_parse(&key, &value, &first, &last, &sealed_bytes) != RC_OK ||
		    first.layer != layer)
			continue;
		store_bundle_seal_key(&first, &last, seal);
		buf_reset(&bytes);
		PASS(store_unseal(store, DB_BUNDLE, &seal_key, &sealed_bytes, &bytes, &pass_why));
		PASS(bundle_open(&reader, bytes.bytes, bytes.len, (enum layer)layer, &pass_why));
		while (bundle_next(&reader, &obs, NULL) == RC_OK)
			n += obs.clock_id[0] != '\0';
	}
	mdb_cursor_close(cursor);
	store_read_end(store, txn);
	buf_fini(&bytes);
	return n;
}

static void test_events_of_a_clock_are_in_bundles_where_its_map_has_them(void **state)
{
	static struct observation obs[CLOCK_SIM_MESSAGES_MAX];
	size_t bundled = 0, gone = 0;
	uint64_t seed = 33;

	(void)state;
	for (size_t round = 0; round < 4; round++) {
		init_both();
		struct clock_sim_wish wish = { .hours = 10, .pings = round % 2 == 0 };
		clock_sim_run(40 + round, &wish, &sim);
		for (size_t k = 0; k < sim.len; k++)
			obs[k] = obs_of(k);
		for (size_t k = 0, n; k < sim.len; k += n) {
			n = 1 + below(&seed, sim.len / 4 + 1);
			n = n < sim.len - k ? n : sim.len - k;
			size_t before = count_bundled(sealed.store, LAYER_BEHAVIOUR);
			PASS(store_append(plain.store, obs + k, n, NULL, NULL, &pass_why));
			PASS(store_append(sealed.store, obs + k, n, NULL, NULL, &pass_why));
			compare_all(&seed, 3);
			/* What was placed anew is in no bundle until they are built again. */
			gone += count_bundled(sealed.store, LAYER_BEHAVIOUR) < before;
			PASS(store_build_bundles(sealed.store, OBS_TIME_MAX_NS, &pass_why));
			bundled += count_bundled(sealed.store, LAYER_BEHAVIOUR);
			compare_all(&seed, 4);
		}
		PASS(store_verify(sealed.store, NULL, NULL, NULL, &pass_why));
		fini_both();
	}
	assert_true(bundled > 0 && gone > 0);
}

static void test_a_late_record_takes_away_the_bundle_it_falls_into(void **state)
{
	uint64_t seed = 22;
	char id[24], text[200];
	size_t marks, before;

	(void)state;
	init_both();
	for (int i = 0; i < 8; i++)
		append_both(&seed, 400, UINT64_MAX);
	PASS(store_build_bundles(sealed.store, BEFORE_NS, &pass_why));
	before = count_rows(sealed.store, &marks);
	struct observation late = random_event(&seed, UINT64_MAX, id, text);
	late.dev_t0_ns = late.dev_t1_ns = midnight() + NS_PER_DAY + 12 * NS_PER_HOUR;
	(void)append_one(sealed.store, &late);
	(void)append_one(plain.store, &late);
	assert_int_equal(count_rows(sealed.store, &marks), before - 1);
	assert_int_equal(marks, 1);
	compare_scans(&seed, 20);
	/* What comes now, behind all bundles, takes none. */
	late.client_id = "now";
	late.dev_t0_ns = late.dev_t1_ns = BEFORE_NS + NS_PER_DAY;
	(void)append_one(sealed.store, &late);
	(void)append_one(plain.store, &late);
	assert_int_equal(count_rows(sealed.store, &marks), before - 1);
	PASS(store_build_bundles(sealed.store, BEFORE_NS, &pass_why));
	assert_true(count_rows(sealed.store, &marks) >= before);
	assert_int_equal(marks, 1); /* of the day that is not over */
	compare_scans(&seed, 20);
	fini_both();
}

static enum rc drop_task(struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why)
{
	(void)ctx, (void)why;
	*err = store_bundle_drop_day(store, txn, store_day(T0_NS) + 1, LAYER_HOME);
	return RC_OK;
}

static void test_a_day_can_be_dropped_and_is_built_again(void **state)
{
	uint64_t seed = 23;
	size_t marks, before;

	(void)state;
	init_both();
	for (int i = 0; i < 8; i++)
		append_both(&seed, 400, UINT64_MAX);
	PASS(store_build_bundles(sealed.store, BEFORE_NS, &pass_why));
	before = count_rows(sealed.store, &marks);
	PASS(store_task_run(sealed.store, drop_task, NULL, &pass_why));
	assert_true(count_rows(sealed.store, &marks) < before);
	assert_int_equal(marks, 1);
	compare_scans(&seed, 20);
	PASS(store_build_bundles(sealed.store, BEFORE_NS, &pass_why));
	assert_int_equal(count_rows(sealed.store, &marks), before);
	compare_scans(&seed, 20);
	fini_both();
}

static void test_forgetting_takes_the_bundles_of_its_days_along(void **state)
{
	struct store_forget what = { .from_ns = midnight() + NS_PER_DAY + NS_PER_HOUR,
		.to_ns = midnight() + NS_PER_DAY + 5 * NS_PER_HOUR,
		.layers = LAYER_MASK(LAYER_HOME) };
	uint64_t seed = 25;
	size_t marks, before;

	(void)state;
	init_both();
	for (int i = 0; i < 8; i++)
		append_both(&seed, 400, UINT64_MAX);
	PASS(store_build_bundles(sealed.store, BEFORE_NS, &pass_why));
	before = count_rows(sealed.store, &marks);
	PASS(store_forget(plain.store, &what, NULL, &pass_why));
	PASS(store_forget(sealed.store, &what, NULL, &pass_why));
	assert_true(count_rows(sealed.store, &marks) < before);
	assert_true(marks > 0);
	compare_scans(&seed, 20);
	PASS(store_build_bundles(sealed.store, BEFORE_NS, &pass_why));
	compare_scans(&seed, 20);
	fini_both();
}

static enum rc spoil_task(
    struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why)
{
	struct store_entry first, last;
	MDB_cursor *cursor;
	MDB_val key, value, bytes;
	uint8_t copy[STORE_BUNDLE_VALUE_BYTES];

	(void)ctx, (void)why;
	*err = mdb_cursor_open(txn, store->dbi[DB_BUNDLE], &cursor);
	while (*err == 0 && (*err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
		if (store_bundle_parse(&key, &value, &first, &last, &bytes) != RC_OK)
			continue;
		assert_true(value.mv_size <= sizeof(copy));
		memcpy(copy, value.mv_data, value.mv_size);
		copy[value.mv_size - 1] ^= 1;
		value.mv_data = copy;
		*err = mdb_cursor_put(cursor, &key, &value, MDB_CURRENT);
	}
	mdb_cursor_close(cursor);
	*err = *err == MDB_NOTFOUND ? 0 : *err;
	return RC_OK;
}

static void test_damaged_bundles_count_as_none(void **state)
{
	uint64_t seed = 24;

	(void)state;
	init_both();
	for (int i = 0; i < 4; i++)
		append_both(&seed, 400, UINT64_MAX);
	PASS(store_build_bundles(sealed.store, BEFORE_NS, &pass_why));
	PASS(store_task_run(sealed.store, spoil_task, NULL, &pass_why));
	compare_scans(&seed, 20);
	fini_both();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scans_give_the_same_with_bundles),
		cmocka_unit_test(test_events_of_a_clock_are_in_bundles_where_its_map_has_them),
		cmocka_unit_test(test_a_late_record_takes_away_the_bundle_it_falls_into),
		cmocka_unit_test(test_a_day_can_be_dropped_and_is_built_again),
		cmocka_unit_test(test_forgetting_takes_the_bundles_of_its_days_along),
		cmocka_unit_test(test_damaged_bundles_count_as_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
