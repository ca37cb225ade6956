/*
 * Recall over a store that is opened again: what was kept and the rest of the log
 * make the index that the whole log makes; whatever cannot be used is made anew;
 * and nothing of it outlives a forgetting.  The oracle reads the log.
 */
#include "../store/store_fixture.h"

#include <sched.h>

#include "recall/recall.h"
#include "recall/snapshot.h"
#include "store/store_clock.h"
#include "store/store_forget.h"
#include "store/store_internal.h"
#include "store_canary.h"
#include "store_victim.h"

#define KEEP 8 /* documents of a segment */
#define CANARY "quetzalcoatl"
#define CYCLES 4

struct oracle {
	struct index *index;
	struct document_talks *talks;
};

static bool oracle_take(void *ctx, const struct observation *obs)
{
	struct oracle *oracle = ctx;
	bool added;

	assert_int_equal(document_take(oracle->index, oracle->talks, obs, &added), RC_OK);
	return true;
}

/* Of the index that the log makes. */
static uint64_t checksum_of_log(struct store *store)
{
	struct language_model *model;
	struct oracle oracle;

	assert_int_equal(language_new(&model), RC_OK);
	assert_int_equal(index_new(&oracle.index), RC_OK);
	assert_int_equal(document_talks_new(model, &oracle.talks), RC_OK);
	PASS(store_scan_log(store, 0, 0, oracle_take, &oracle, &pass_why));
	uint64_t checksum = index_checksum(oracle.index);
	document_talks_free(oracle.talks);
	index_free(oracle.index);
	language_free(model);
	return checksum;
}

static struct recall *recall_of(struct fixture *f)
{
	struct recall *recall;

	PASS(recall_open_keeping(f->store, KEEP, &recall, &pass_why));
	return recall;
}

static struct recall_stats caught_up(struct fixture *f, struct recall *recall)
{
	struct recall_stats stats;

	while (recall_cursor(recall) < store_cursor(f->store))
		(void)sched_yield();
	recall_get_stats(recall, &stats);
	return stats;
}

/* Turns of two conversations; every seventh is replaced by the next one. */
static void add(struct fixture *f, unsigned from, unsigned n)
{
	for (unsigned i = from; i < from + n; i++) {
		char id[16], text[64];
		(void)snprintf(id, sizeof id, "n%u", i - (i % 7 == 0 && i > 0));
		(void)snprintf(text, sizeof text, "word%u and word%u again", i % 5, i);
		struct observation obs = make_obs(id, T0_NS + i * NS_PER_MIN, text);
		obs.data_json = i % 2 == 0 ? "{\"chat\":\"a\"}" : "{\"chat\":\"b\"}";
		(void)append_one(f->store, &obs);
	}
}

/* The store is opened again; how many items a new recall finds kept. */
static size_t kept_after_restart(struct fixture *f)
{
	fixture_close(f);
	fixture_open(f);
	struct recall *recall = recall_of(f);
	struct recall_stats stats = caught_up(f, recall);
	assert_int_equal(stats.checksum, checksum_of_log(f->store));
	recall_close(recall);
	return stats.kept;
}

static void test_what_was_kept_and_the_rest_of_the_log_make_the_same_index(void **state)
{
	struct fixture f = { .in_memory = true };

	(void)state;
	fixture_init(&f);
	for (unsigned i = 0; i < 60; i += 20) {
		struct recall *recall = recall_of(&f);
		add(&f, i, 20);
		struct recall_stats stats = caught_up(&f, recall);
		assert_int_equal(stats.kept, (i + 20) / KEEP * KEEP);
		assert_true(stats.items < i + 20); /* some were replaced */
		assert_int_equal(stats.checksum, checksum_of_log(f.store));
		recall_close(recall);
		assert_int_equal(kept_after_restart(&f), (i + 20) / KEEP * KEEP);
	}
	PASS(store_verify(f.store, NULL, NULL, NULL, &pass_why));
	fixture_fini(&f);
}

/* The snapshot's own rows, as they lie in the store. */
static enum rc damage(struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why)
{
	static uint8_t copy[1 << 16];
	uint8_t bytes[8] = { 0 };
	MDB_val key = { sizeof bytes, bytes }, value;

	(void)why;
	bytes[3] = *(const uint8_t *)ctx; /* the segment */
	*err = mdb_get(txn, store->dbi[DB_SNAPSHOT], &key, &value);
	assert_int_equal(*err, 0);
	memcpy(copy, value.mv_data, value.mv_size);
	copy[value.mv_size / 2] ^= 1;
	value.mv_data = copy;
	*err = mdb_put(txn, store->dbi[DB_SNAPSHOT], &key, &value, 0);
	return RC_OK;
}

static void fill(struct fixture *f)
{
	struct recall *recall = recall_of(f);

	add(f, 0, 30);
	assert_int_equal(caught_up(f, recall).kept, 24);
	recall_close(recall);
}

static void test_a_damaged_one_is_made_anew(void **state)
{
	struct fixture f = { .in_memory = true };

	(void)state;
	fixture_init(&f);
	fill(&f);
	for (uint8_t segment = 0; segment < 3; segment += 2) {
		PASS(store_task_run(f.store, damage, &segment, &pass_why));
		assert_int_equal(kept_after_restart(&f), 24);
		PASS(store_verify(f.store, NULL, NULL, NULL, &pass_why));
	}
	fixture_fini(&f);
}

/* As another program would have left it, or none at all: any head but ours. */
static void test_a_head_that_says_something_else_is_made_anew(void **state)
{
	static const char *const heads[] = { "", "HXH\1", "HXH\2\3\4" };
	struct fixture f = { .in_memory = true };

	(void)state;
	fixture_init(&f);
	fill(&f);
	for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
		struct store_snapshot at;
		struct buf segment, head;
		bool stale;
		buf_init(&segment, 100);
		buf_init(&head, 1 << 16);
		PASS(store_snapshot_head(f.store, &at, &head, &pass_why));
		buf_reset(&head);
		buf_puts(&head, heads[i]);
		buf_puts(&segment, "no segment");
		PASS(store_snapshot_put(f.store, &at, &segment, &head, &stale, &pass_why));
		assert_false(stale);
		buf_fini(&segment);
		buf_fini(&head);
		assert_int_equal(kept_after_restart(&f), 24);
	}
	fixture_fini(&f);
}

static void test_nothing_of_it_outlives_a_forgetting(void **state)
{
	struct store_forget what = { .from_ns = T0_NS + 100 * NS_PER_MIN,
		.to_ns = T0_NS + 101 * NS_PER_MIN };
	struct fixture f = { .in_memory = true };
	struct store_canary canary;

	(void)state;
	fixture_init(&f);
	struct recall *recall = recall_of(&f);
	struct observation obs = make_obs("x", T0_NS + 100 * NS_PER_MIN, CANARY);
	add(&f, 0, 5);
	(void)append_one(f.store, &obs);
	add(&f, 101, 30); /* its neighbours have its words */
	assert_int_equal(caught_up(&f, recall).kept, 32);
	store_canary_search(f.dir, f.keyring, CANARY, &canary);
	assert_true(canary.leaked > 1); /* the record, and a segment */
	PASS(store_forget(f.store, &what, NULL, &pass_why));
	uint64_t want = checksum_of_log(f.store);
	for (int64_t end_ns = clock_mono_ns() + 20 * NS_PER_S;
	     caught_up(&f, recall).checksum != want;) {
		assert_true(clock_mono_ns() < end_ns);
		(void)sched_yield();
	}
	add(&f, 140, 30); /* it grows on */
	assert_true(caught_up(&f, recall).kept > 32);
	recall_close(recall);
	assert_true(kept_after_restart(&f) > 32);
	store_canary_search(f.dir, f.keyring, CANARY, &canary);
	assert_int_equal(canary.plain, 0);
	assert_int_equal(canary.leaked, 0);
	PASS(store_verify(f.store, NULL, NULL, NULL, &pass_why));
	fixture_fini(&f);
}

/* A forgetting of the canary as far as where the keys of its days are retired. */
static struct store_forget_run *half_forgotten(struct fixture *f)
{
	struct store_forget what = { .from_ns = T0_NS + 100 * NS_PER_MIN,
		.to_ns = T0_NS + 101 * NS_PER_MIN };
	struct observation obs = make_obs("x", T0_NS + 100 * NS_PER_MIN, CANARY);
	struct store_snapshot now = { 0 };
	struct store_forget_run *run;
	struct buf unused;

	add(f, 0, 5);
	(void)append_one(f->store, &obs);
	add(f, 101, 10);
	PASS(store_forget_begin(f->store, &what, &run, &pass_why));
	buf_init(&unused, 1);
	while (now.epoch == 0) {
		bool done;
		PASS(store_forget_step(run, &done, &pass_why));
		assert_false(done);
		assert_int_equal(store_snapshot_head(f->store, &now, &unused, NULL), RC_NOTFOUND);
	}
	buf_fini(&unused);
	return run;
}

static void forget_rest(struct store_forget_run *run)
{
	for (bool done = false; !done;)
		PASS(store_forget_step(run, &done, &pass_why));
	store_forget_end(run);
}

static void expect_no_canary(struct fixture *f)
{
	struct store_canary canary;

	store_canary_search(f->dir, f->keyring, CANARY, &canary);
	assert_int_equal(canary.plain, 0);
	assert_int_equal(canary.leaked, 0);
}

static void test_one_that_is_opened_while_something_is_forgotten_begins_again(void **state)
{
	struct fixture f = { .in_memory = true };

	(void)state;
	fixture_init(&f);
	struct store_forget_run *run = half_forgotten(&f);
	struct recall *recall = recall_of(&f);
	uint64_t before = checksum_of_log(f.store);
	assert_int_equal(caught_up(&f, recall).checksum, before); /* it has read the words */
	forget_rest(run);
	uint64_t want = checksum_of_log(f.store);
	assert_int_not_equal(want, before);
	for (int64_t end_ns = clock_mono_ns() + 20 * NS_PER_S;
	     caught_up(&f, recall).checksum != want;) {
		assert_true(clock_mono_ns() < end_ns);
		(void)sched_yield();
	}
	add(&f, 140, 30);
	assert_true(caught_up(&f, recall).kept > 0);
	recall_close(recall);
	assert_true(kept_after_restart(&f) > 0);
	expect_no_canary(&f);
	fixture_fini(&f);
}

/* It read before the end, and would have put after it, under the key that stays. */
static void test_an_index_that_begins_while_something_is_forgotten_is_not_kept(void **state)
{
	struct fixture f = { .in_memory = true };
	struct snapshot snapshot;
	struct language_model *model;
	struct oracle oracle;

	(void)state;
	fixture_init(&f);
	struct store_forget_run *run = half_forgotten(&f);
	assert_int_equal(language_new(&model), RC_OK);
	assert_int_equal(index_new(&oracle.index), RC_OK);
	assert_int_equal(document_talks_new(model, &oracle.talks), RC_OK);
	assert_int_equal(snapshot_init(&snapshot, f.store, model, KEEP), RC_OK);
	snapshot_begin(&snapshot);
	PASS(store_scan_log(f.store, 0, 0, oracle_take, &oracle, &pass_why));
	forget_rest(run);
	assert_int_equal(
	    snapshot_step(&snapshot, oracle.index, oracle.talks, store_cursor(f.store)), RC_OK);
	assert_int_equal(snapshot.at.segments, 0);
	expect_no_canary(&f);
	document_talks_free(oracle.talks);
	index_free(oracle.index);
	language_free(model);
	fixture_fini(&f);
}

/* ---- clocks --------------------------------------------------------------------------------- */

/* By a clock that is `late_ns` late. */
static void put_by_clock(
    struct fixture *f, const char *clock, int64_t late_ns, unsigned i, int64_t at_ns)
{
	char text[32];

	(void)snprintf(text, sizeof text, "seen%u", i);
	struct observation obs = make_obs("", at_ns - late_ns, text);
	obs.source = obs.clock_id = clock;
	obs.boot_epoch = "7";
	obs.has_source_seq = true;
	obs.source_seq = i;
	obs.recv_utc_ns = obs.recv_mono_ns = at_ns + NS_PER_S;
	(void)append_one(f->store, &obs);
}

static void put_ping(struct fixture *f, const char *clock, int64_t late_ns, int64_t hub_ns)
{
	struct store_clock_ping ping = { clock, "7", hub_ns - late_ns, hub_ns + 5000000,
		hub_ns + 5100000, hub_ns - late_ns + 10000001 };
	struct observation obs;
	struct arena arena;

	arena_init(&arena, 1 << 20);
	PASS(store_clock_ping_make(
	    &ping, hub_ns + 20 * NS_PER_MS, hub_ns + 20 * NS_PER_MS, &arena, &obs));
	(void)append_one(f->store, &obs);
	arena_fini(&arena);
}

/* By seconds: those that were kept are corrected.  By minutes: they are read anew. */
static void test_times_that_were_corrected_since_are_followed(void **state)
{
	static const struct {
		const char *clock;
		int64_t late_ns;
	} clocks[] = { { "watch", 2 * NS_PER_S }, { "glasses", 5 * NS_PER_MIN } };
	struct fixture f = { .in_memory = true };

	(void)state;
	fixture_init(&f);
	for (unsigned i = 0; i < 2; i++) {
		struct recall *recall = recall_of(&f);
		for (unsigned k = 0; k < 12; k++)
			put_by_clock(&f, clocks[i].clock, clocks[i].late_ns, k,
			    T0_NS + (60 * i + k) * NS_PER_MIN);
		uint64_t before = caught_up(&f, recall).checksum;
		recall_close(recall);
		put_ping(
		    &f, clocks[i].clock, clocks[i].late_ns, T0_NS + (60 * i + 20) * NS_PER_MIN);
		assert_int_not_equal(checksum_of_log(f.store), before);
		assert_int_equal(kept_after_restart(&f), i == 0 ? 8 : 32);
		/* Also what comes on top of corrected ones. */
		recall = recall_of(&f);
		add(&f, 1000 * (i + 1), 12);
		(void)caught_up(&f, recall);
		recall_close(recall);
		(void)kept_after_restart(&f);
	}
	fixture_fini(&f);
}

/* ---- kill -9 -------------------------------------------------------------------------------- */

struct work {
	struct fixture *f;
	unsigned from;
};

static void child_main(void *ctx, int out)
{
	const struct work *work = ctx;

	fixture_open(work->f);
	struct recall *recall = recall_of(work->f);
	for (unsigned i = work->from;; i++) {
		add(work->f, i, 1);
		(void)caught_up(work->f, recall);
		if (write(out, &i, sizeof i) != (ssize_t)sizeof i)
			_exit(2);
	}
}

static void test_kill_nine_leaves_a_whole_one_or_none(void **state)
{
	struct fixture f = { .in_memory = true };
	struct work work = { .f = &f };
	uint64_t rng = 5;

	(void)state;
	fixture_init(&f);
	fixture_close(&f);
	for (int cycle = 0; cycle < CYCLES; cycle++) {
		struct store_victim victim;
		unsigned said = work.from;
		store_victim_start(&victim, child_main, &work);
		for (uint64_t n = random_next(&rng) % (3 * KEEP) + 1; n > 0; n--)
			assert_true(store_victim_hear(&victim, &said, sizeof said));
		store_victim_kill(&victim);
		while (store_victim_hear(&victim, &said, sizeof said))
			;
		assert_true(store_victim_end(&victim));
		fixture_open(&f);
		size_t kept = kept_after_restart(&f); /* and the index is that of the log */
		assert_int_equal(kept % KEEP, 0);
		assert_true(kept + KEEP > said);
		PASS(store_verify(f.store, NULL, NULL, NULL, &pass_why));
		work.from = (unsigned)store_cursor(f.store);
		fixture_close(&f);
	}
	fixture_remove(f.dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_was_kept_and_the_rest_of_the_log_make_the_same_index),
		cmocka_unit_test(test_a_damaged_one_is_made_anew),
		cmocka_unit_test(test_a_head_that_says_something_else_is_made_anew),
		cmocka_unit_test(test_nothing_of_it_outlives_a_forgetting),
		cmocka_unit_test(test_one_that_is_opened_while_something_is_forgotten_begins_again),
		cmocka_unit_test(
		    test_an_index_that_begins_while_something_is_forgotten_is_not_kept),
		cmocka_unit_test(test_times_that_were_corrected_since_are_followed),
		cmocka_unit_test(test_kill_nine_leaves_a_whole_one_or_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
