/*
 * Clock maps in the store: what is known when, the same whatever the batches,
 * over restarts and rebuilds; the truth within what is stated.
 */
#include "store_fixture.h"

#include <lmdb.h>

#include "clock_messages.h"
#include "store/store_clock.h"
#include "store/store_dirty.h"
#include "store/store_rebuild.h"

#define MESSAGES_MAX CLOCK_SIM_MESSAGES_MAX

/* Places by seq, as a scan shows them. */
struct places {
	struct placement at[MESSAGES_MAX + 1];
	bool seen[MESSAGES_MAX + 1];
	uint64_t order[MESSAGES_MAX]; /* seqs as they came */
	size_t len;
};

static struct places one, two;

static void feed(struct store *store, size_t from, size_t to, size_t batch)
{
	static struct observation obs[MESSAGES_MAX];

	while (from < to) {
		size_t n = to - from < batch ? to - from : batch;
		for (size_t i = 0; i < n; i++)
			obs[i] = obs_of(from + i);
		PASS(store_append(store, obs, n, NULL, NULL, &pass_why));
		from += n;
	}
}

static bool note(void *ctx, const struct observation *obs)
{
	struct places *places = ctx;

	assert_true(obs->seq <= MESSAGES_MAX && !places->seen[obs->seq]);
	places->seen[obs->seq] = true;
	places->at[obs->seq] = obs->place;
	places->order[places->len++] = obs->seq;
	return true;
}

static void read_places(struct store *store, uint64_t as_of_seq, struct places *out)
{
	struct store_range range = {
		.from_ns = OBS_TIME_MIN_NS, .to_ns = OBS_TIME_MAX_NS, .as_of_seq = as_of_seq
	};

	memset(out, 0, sizeof *out);
	PASS(store_scan_time(store, &range, NULL, 0, note, out, &pass_why));
}

static void same_places(const struct places *a, const struct places *b)
{
	assert_int_equal(a->len, b->len);
	for (size_t i = 0; i < a->len; i++) {
		uint64_t seq = a->order[i];
		const struct placement *x = &a->at[seq], *y = &b->at[seq];
		assert_int_equal(seq, b->order[i]);
		assert_true(x->t0_ns == y->t0_ns && x->t1_ns == y->t1_ns);
		assert_true(x->early_ns == y->early_ns && x->late_ns == y->late_ns);
		assert_true(x->epoch == y->epoch && x->map_version == y->map_version);
		assert_true(x->limbo == y->limbo);
	}
}

static void count_fault(void *ctx, const char *fault)
{
	print_error("%s\n", fault);
	++*(size_t *)ctx;
}

static void verify(struct store *store)
{
	size_t faults = 0;

	PASS(store_verify(store, count_fault, &faults, NULL, &pass_why));
	assert_int_equal(faults, 0);
}

static void simulate(uint64_t seed, bool pings)
{
	clock_sim_run(seed, &(struct clock_sim_wish){ .hours = 6, .pings = pings }, &sim);
	assert_true(sim.len > 50 && sim.len < MESSAGES_MAX);
}

static void test_the_truth_lies_where_the_store_says(void **state)
{
	(void)state;
	size_t moved = 0;
	for (uint64_t seed = 0; seed < 4; seed++) {
		struct fixture f = { 0 };
		simulate(seed, seed % 2 == 0);
		fixture_init(&f);
		feed(f.store, 0, sim.len, 100);
		read_places(f.store, 0, &one);
		assert_int_equal(one.len, sim.len);
		for (size_t k = 0; k < sim.len; k++) {
			const struct clock_sim_message *m = &sim.messages[k];
			const struct placement *at = &one.at[k + 1];
			moved += at->map_version != k + 1;
			if (m->kind != CLOCK_SIM_EVENT || !m->valid)
				continue;
			assert_true(m->true_t0_ns >= at->t0_ns - at->early_ns);
			assert_true(m->true_t1_ns <= at->t1_ns + at->late_ns);
		}
		verify(f.store);
		fixture_fini(&f);
	}
	assert_true(moved > 100);
}

static void test_maps_do_not_depend_on_batches_or_restarts(void **state)
{
	struct fixture a = { 0 }, b = { 0 };

	(void)state;
	simulate(6, true);
	fixture_init(&a);
	feed(a.store, 0, sim.len, 1000);
	read_places(a.store, 0, &one);
	fixture_init(&b);
	feed(b.store, 0, sim.len / 2, 7);
	fixture_close(&b);
	fixture_open(&b);
	feed(b.store, sim.len / 2, sim.len, 13);
	read_places(b.store, 0, &two);
	same_places(&one, &two);
	assert_int_equal(store_clock_version(a.store, 0), store_clock_version(b.store, 0));
	/* Sent again, nothing is news. */
	uint64_t version = store_clock_version(a.store, 0);
	feed(a.store, 0, sim.len, 50);
	read_places(a.store, 0, &two);
	same_places(&one, &two);
	assert_int_equal(store_clock_version(a.store, 0), version);
	fixture_fini(&a);
	fixture_fini(&b);
}

static void test_the_past_is_read_as_it_was_known_then(void **state)
{
	struct fixture f = { 0 };
	uint64_t versions[4];

	(void)state;
	simulate(2, true);
	fixture_init(&f);
	for (size_t part = 0; part < 4; part++) {
		size_t to = sim.len * (part + 1) / 4;
		feed(f.store, sim.len * part / 4, to, 40);
		versions[part] = store_clock_version(f.store, 0);
		assert_true(part == 0 || versions[part] > versions[part - 1]);
		for (size_t past = 0; past <= part; past++) {
			uint64_t seq = sim.len * (past + 1) / 4;
			assert_int_equal(store_clock_version(f.store, seq), versions[past]);
		}
	}
	/* Each part as a store that never got more knows it. */
	for (size_t part = 0; part < 3; part++) {
		struct fixture g = { 0 };
		size_t to = sim.len * (part + 1) / 4;
		fixture_init(&g);
		feed(g.store, 0, to, 64);
		read_places(g.store, 0, &one);
		read_places(f.store, to, &two);
		same_places(&one, &two);
		fixture_fini(&g);
	}
	fixture_fini(&f);
}

static void test_a_rebuild_keeps_the_maps_and_their_past(void **state)
{
	struct fixture f = { 0 };
	struct keyring_unlock unlock = { 0 };
	struct store_rebuilt out;

	(void)state;
	simulate(8, true);
	fixture_init(&f);
	feed(f.store, 0, sim.len, 100);
	read_places(f.store, sim.len / 2, &one);
	fixture_close(&f);
	PASS(keyring_open(f.dir, &unlock, &f.keyring, &pass_why));
	f.config.keyring = f.keyring;
	PASS(store_rebuild(&f.config, NULL, NULL, &out, &pass_why));
	keyring_close(f.keyring);
	fixture_open(&f);
	read_places(f.store, sim.len / 2, &two);
	same_places(&one, &two);
	verify(f.store);
	fixture_fini(&f);
}

/* As a restore leaves it: a log, and no maps. */
static void test_maps_are_made_again_from_the_log(void **state)
{
	struct fixture f = { 0 };
	struct keyring_unlock unlock = { 0 };
	struct store_rebuilt out;
	char path[512];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;

	(void)state;
	simulate(10, true);
	fixture_init(&f);
	feed(f.store, 0, sim.len, 100);
	/* Versions that gave way are not moved any more. */
	for (size_t k = 1; k < sim.len; k += 5) {
		struct observation obs = obs_of(k);
		obs.client_id = "again";
		(void)append_one(f.store, &obs);
	}
	read_places(f.store, sim.len / 2, &one);
	uint64_t version = store_clock_version(f.store, 0);
	fixture_close(&f);
	(void)snprintf(path, sizeof path, "%s/timeline", f.dir);
	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_set_maxdbs(env, 32), 0);
	assert_int_equal(mdb_env_set_mapsize(env, (size_t)1 << 30), 0);
	assert_int_equal(mdb_env_open(env, path, 0, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, "clockmap", 0, &dbi), 0);
	assert_int_equal(mdb_drop(txn, dbi, 0), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
	PASS(keyring_open(f.dir, &unlock, &f.keyring, &pass_why));
	f.config.keyring = f.keyring;
	PASS(store_rebuild(&f.config, NULL, NULL, &out, &pass_why));
	keyring_close(f.keyring);
	fixture_open(&f);
	read_places(f.store, sim.len / 2, &two);
	same_places(&one, &two);
	assert_int_equal(store_clock_version(f.store, 0), version);
	verify(f.store);
	fixture_fini(&f);
}

/* ---- one device, step by step ---------------------------------------------------- */

static struct observation heard(int64_t dev_ns, int64_t recv_ns, uint64_t number)
{
	struct observation obs = make_obs("", dev_ns, "words");

	obs.clock_id = "glasses";
	obs.boot_epoch = "7";
	obs.has_source_seq = true;
	obs.source_seq = number;
	obs.recv_utc_ns = obs.recv_mono_ns = recv_ns;
	return obs;
}

static struct observation pinged(int64_t dev_ns, int64_t hub_ns, char text[64])
{
	struct observation obs = heard(dev_ns, hub_ns + 20 * NS_PER_MS, 0);

	(void)snprintf(text, 64, "{\"t2\":%lld,\"t3\":%lld}", (long long)(hub_ns + 5000000),
	    (long long)(hub_ns + 5100000));
	obs.kind = STORE_CLOCK_PING_KIND;
	obs.origin = ORIGIN_SYSTEM;
	obs.text = "";
	obs.data_json = text;
	obs.dev_t1_ns = dev_ns + 10000001;
	obs.has_end = true;
	obs.shape = SHAPE_INTERVAL;
	return obs;
}

static struct placement place_of(struct store *store, uint64_t seq)
{
	struct observation obs;
	struct arena arena;

	arena_init(&arena, 1 << 20);
	PASS(store_get_seq(store, seq, &arena, &obs, &pass_why));
	arena_fini(&arena);
	return obs.place;
}

/* Recorded offline by a clock that was never set, sent hours later. */
static void test_what_was_recorded_offline_waits_in_limbo_for_a_ping(void **state)
{
	struct fixture f = { 0 };
	struct store_dirty *marks;
	struct arena arena;
	uint64_t newest;
	size_t len;
	char text[64];

	(void)state;
	fixture_init(&f);
	PASS(store_dirty_clear(f.store, 0, T0_NS + NS_PER_DAY, &pass_why));
	int64_t off_ns = 40 * NS_PER_DAY, at_ns = T0_NS + 123456789;
	struct observation obs = heard(at_ns - off_ns, at_ns + 3 * NS_PER_HOUR, 1);
	(void)append_one(f.store, &obs);
	struct placement place = place_of(f.store, 1);
	assert_true(place.limbo && placement_is_wide(&place));
	assert_true(place.t1_ns + place.late_ns == obs.recv_utc_ns);
	assert_true(place.t0_ns - place.early_ns <= at_ns);
	assert_int_equal(store_clock_version(f.store, 0), 1);

	int64_t later_ns = at_ns + 3 * NS_PER_HOUR + NS_PER_MIN;
	obs = pinged(later_ns - off_ns, later_ns, text);
	(void)append_one(f.store, &obs);
	place = place_of(f.store, 1);
	assert_true(!place.limbo && !placement_is_wide(&place) && place.map_version == 2);
	assert_true(at_ns >= place.t0_ns - place.early_ns && at_ns <= place.t0_ns + place.late_ns);
	assert_int_equal(store_clock_version(f.store, 0), 2);
	assert_int_equal(store_clock_version(f.store, 1), 1);

	arena_init(&arena, 1 << 20);
	PASS(store_dirty_list(f.store, &arena, &marks, &len, &newest, &pass_why));
	bool remapped = false;
	for (size_t i = 0; i < len; i++)
		remapped =
		    remapped || (marks[i].cause == DIRTY_REMAPPED && marks[i].from_ns <= at_ns &&
				    marks[i].to_ns > at_ns && marks[i].first_seq == 1);
	assert_true(remapped);
	arena_fini(&arena);
	verify(f.store);
	fixture_fini(&f);
}

/* Set back an hour: what came before and after the next ping keeps its order. */
static void test_a_clock_that_is_set_back_an_hour_opens_an_epoch(void **state)
{
	struct fixture f = { 0 };
	char text[3][64];

	(void)state;
	fixture_init(&f);
	struct observation list[] = {
		pinged(T0_NS, T0_NS, text[0]),
		heard(T0_NS + NS_PER_MIN + 1, T0_NS + NS_PER_MIN + NS_PER_S / 3, 1),
		/* set back by an hour here */
		heard(T0_NS + 2 * NS_PER_MIN + 1 - NS_PER_HOUR,
		    T0_NS + 2 * NS_PER_MIN + NS_PER_S / 3, 2),
		pinged(T0_NS + 3 * NS_PER_MIN - NS_PER_HOUR, T0_NS + 3 * NS_PER_MIN, text[1]),
		heard(T0_NS + 4 * NS_PER_MIN + 1 - NS_PER_HOUR,
		    T0_NS + 4 * NS_PER_MIN + NS_PER_S / 3, 3),
		pinged(T0_NS + 5 * NS_PER_MIN - NS_PER_HOUR, T0_NS + 5 * NS_PER_MIN, text[2]),
	};
	for (size_t i = 0; i < 3; i++)
		(void)append_one(f.store, &list[i]);
	struct placement place = place_of(f.store, 3);
	/* Late, or set back: nobody knows yet, and it says so. */
	assert_true(placement_is_wide(&place));
	assert_true(place.t0_ns + place.late_ns >= T0_NS + 2 * NS_PER_MIN);
	for (size_t i = 3; i < 6; i++)
		(void)append_one(f.store, &list[i]);
	for (uint64_t seq = 2; seq <= 5; seq++) {
		int64_t at_ns = T0_NS + (int64_t)(seq - 1) * NS_PER_MIN;
		if (seq == 4)
			continue;
		place = place_of(f.store, seq);
		assert_true(!placement_is_wide(&place));
		assert_true(
		    at_ns >= place.t0_ns - place.early_ns && at_ns <= place.t0_ns + place.late_ns);
	}
	assert_true(place_of(f.store, 2).epoch != place_of(f.store, 5).epoch);
	verify(f.store);
	fixture_fini(&f);
}

static bool see_line(void *ctx, const struct store_clock_info *info)
{
	*(struct store_clock_info *)ctx = *info;
	assert_string_equal(info->clock, "glasses");
	assert_string_equal(info->boot, "7");
	return true;
}

static struct observation sent_late(int at_h, int late_h, uint64_t number)
{
	int64_t at_ns = T0_NS + at_h * NS_PER_HOUR;

	return heard(at_ns - 5 * NS_PER_HOUR, at_ns + late_h * NS_PER_HOUR, number);
}

/* Some number of them makes a page of the maps split while a ping places them. */
static void test_a_ping_that_places_many_leaves_their_past_alone(void **state)
{
	enum { MOST = 48 };
	static struct observation obs[MOST];
	uint64_t seed = 9;
	char text[64];

	(void)state;
	for (int n = 8; n <= MOST; n++) {
		struct fixture f = { .in_memory = true };
		fixture_init(&f);
		for (int i = 0; i < n; i++)
			obs[i] = sent_late((int)(random_next(&seed) % 480),
			    (int)(random_next(&seed) % 33), (uint64_t)i);
		PASS(store_append(f.store, obs, (size_t)n, NULL, NULL, &pass_why));
		uint64_t before = store_cursor(f.store);
		read_places(f.store, before, &one);
		int64_t hub_ns = T0_NS + 600 * NS_PER_HOUR;
		struct observation ping = pinged(hub_ns - 5 * NS_PER_HOUR, hub_ns, text);
		(void)append_one(f.store, &ping);
		read_places(f.store, before, &two);
		assert_int_equal(one.len, n);
		same_places(&one, &two);
		struct store_clock_info info;
		PASS(store_clock_list(f.store, hub_ns, 1, see_line, &info, &pass_why));
		assert_int_equal(info.open, 0);
		fixture_fini(&f);
	}
}

static void test_the_list_of_clocks_tells_error_and_limbo(void **state)
{
	struct fixture f = { 0 };
	struct store_clock_info info = { 0 };
	char text[64];

	(void)state;
	fixture_init(&f);
	struct observation obs = heard(T0_NS, T0_NS + NS_PER_S / 10, 1);
	(void)append_one(f.store, &obs);
	PASS(store_clock_list(f.store, T0_NS, 10, see_line, &info, &pass_why));
	assert_true(info.placed == 1 && info.limbo == 1 && !info.synced);
	obs = pinged(T0_NS + NS_PER_MIN + 1, T0_NS + NS_PER_MIN + 1, text);
	(void)append_one(f.store, &obs);
	PASS(store_clock_list(f.store, T0_NS + NS_PER_MIN, 10, see_line, &info, &pass_why));
	assert_true(info.placed == 2 && info.limbo == 0 && info.open == 0 && info.synced);
	assert_true(info.pings && info.error_ns < 10 * NS_PER_MS && info.epochs == 1);
	/* It gets worse with time, and says so. */
	int64_t soon_ns = info.error_ns;
	PASS(store_clock_list(f.store, T0_NS + NS_PER_DAY, 10, see_line, &info, &pass_why));
	assert_true(info.error_ns > soon_ns + NS_PER_S);
	fixture_fini(&f);
}

static void test_a_forged_ping_moves_no_clock(void **state)
{
	struct fixture f = { 0 };
	char text[64];

	(void)state;
	fixture_init(&f);
	struct observation obs = pinged(T0_NS, T0_NS + NS_PER_HOUR, text);
	obs.origin = ORIGIN_DEVICE; /* an event that calls itself one */
	(void)append_one(f.store, &obs);
	assert_true(place_of(f.store, 1).limbo);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_truth_lies_where_the_store_says),
		cmocka_unit_test(test_maps_do_not_depend_on_batches_or_restarts),
		cmocka_unit_test(test_the_past_is_read_as_it_was_known_then),
		cmocka_unit_test(test_a_rebuild_keeps_the_maps_and_their_past),
		cmocka_unit_test(test_maps_are_made_again_from_the_log),
		cmocka_unit_test(test_what_was_recorded_offline_waits_in_limbo_for_a_ping),
		cmocka_unit_test(test_a_clock_that_is_set_back_an_hour_opens_an_epoch),
		cmocka_unit_test(test_a_ping_that_places_many_leaves_their_past_alone),
		cmocka_unit_test(test_the_list_of_clocks_tells_error_and_limbo),
		cmocka_unit_test(test_a_forged_ping_moves_no_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
