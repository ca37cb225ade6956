/*
 * Dirty marks: what comes before the built frontier is marked in the commit
 * that changes it, with its cause; what comes behind it is not; marks survive
 * a reopening and go when they are cleared.
 */
#include "store_fixture.h"

#include "store/store_dirty.h"

#define FRONTIER_NS (T0_NS + NS_PER_HOUR)

struct marks {
	struct arena arena;
	struct store_dirty *list;
	size_t len;
	uint64_t newest;
};

static struct marks marks;

static void look(struct fixture *f)
{
	arena_fini(&marks.arena);
	arena_init(&marks.arena, (size_t)1 << 20);
	PASS(store_dirty_list(
	    f->store, &marks.arena, &marks.list, &marks.len, &marks.newest, &pass_why));
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	fixture_init(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	fixture_fini(*state);
	free(*state);
	arena_fini(&marks.arena);
	return 0;
}

static void test_nothing_is_marked_before_anything_was_built(void **state)
{
	struct fixture *f = *state;
	struct observation obs = make_obs("a", T0_NS, "x");

	(void)append_one(f->store, &obs);
	look(f);
	assert_int_equal(marks.len, 0);
	assert_true(store_built_ns(f->store) == OBS_TIME_MIN_NS);
}

static void test_a_late_record_is_marked_and_one_behind_the_frontier_is_not(void **state)
{
	struct fixture *f = *state;
	struct observation late = make_obs("late", FRONTIER_NS - 1, "x");
	struct observation on_time = make_obs("on time", FRONTIER_NS, "x");

	late.layer = LAYER_HOME;
	PASS(store_dirty_clear(f->store, 0, FRONTIER_NS, &pass_why));
	(void)append_one(f->store, &on_time);
	look(f);
	assert_int_equal(marks.len, 0);
	struct store_result result = append_one(f->store, &late);
	look(f);
	assert_int_equal(marks.len, 1);
	assert_int_equal(marks.list[0].cause, DIRTY_LATE);
	assert_int_equal(marks.list[0].layers, LAYER_MASK(LAYER_HOME));
	assert_true(marks.list[0].from_ns == late.dev_t0_ns);
	assert_true(marks.list[0].to_ns == late.dev_t0_ns + 1);
	assert_int_equal(marks.list[0].first_seq, result.seq);
	assert_int_equal(marks.list[0].last_seq, result.seq);
}

static void test_a_duplicate_marks_nothing_and_a_new_version_marks_both_places(void **state)
{
	struct fixture *f = *state;
	struct observation old = make_obs("id", T0_NS, "old"), new = old;

	new.dev_t0_ns = new.dev_t1_ns = T0_NS + 30 * NS_PER_MIN;
	new.text = "new";
	(void)append_one(f->store, &old);
	PASS(store_dirty_clear(f->store, 0, FRONTIER_NS, &pass_why));
	assert_int_equal(append_one(f->store, &old).outcome, STORE_DUPLICATE);
	look(f);
	assert_int_equal(marks.len, 0);
	(void)append_one(f->store, &new);
	look(f);
	assert_int_equal(marks.len, 2);
	assert_int_equal(marks.list[0].cause, DIRTY_SUPERSEDED);
	assert_true(marks.list[0].from_ns == old.dev_t0_ns);
	assert_int_equal(marks.list[1].cause, DIRTY_LATE);
	assert_true(marks.list[1].from_ns == new.dev_t0_ns);
}

static void test_a_commit_of_many_late_records_makes_few_marks_that_cover_them(void **state)
{
	struct fixture *f = *state;
	enum { N = 3000 };
	static struct observation obs[N];
	static char ids[N][8];

	PASS(store_dirty_clear(f->store, 0, FRONTIER_NS, &pass_why));
	for (int i = 0; i < N; i++) {
		(void)snprintf(ids[i], sizeof ids[i], "%d", i);
		obs[i] = make_obs(ids[i], T0_NS - i * 7 * NS_PER_HOUR, "x");
	}
	PASS(store_append(f->store, obs, N, NULL, NULL, &pass_why));
	look(f);
	assert_in_range(marks.len, 1, 32);
	for (int i = 0; i < N; i++) {
		bool covered = false;
		for (size_t k = 0; k < marks.len; k++)
			covered = covered || (marks.list[k].from_ns <= obs[i].dev_t0_ns &&
						 marks.list[k].to_ns > obs[i].dev_t0_ns &&
						 marks.list[k].first_seq <= (uint64_t)i + 1 &&
						 marks.list[k].last_seq >= (uint64_t)i + 1);
		assert_true(covered);
	}
}

static void test_marks_and_frontier_survive_a_reopening_and_go_when_cleared(void **state)
{
	struct fixture *f = *state;
	struct observation a = make_obs("a", T0_NS, "x"), b = make_obs("b", T0_NS + 1, "x");

	PASS(store_dirty_clear(f->store, 0, FRONTIER_NS, &pass_why));
	(void)append_one(f->store, &a);
	fixture_close(f);
	fixture_open(f);
	assert_true(store_built_ns(f->store) == FRONTIER_NS);
	look(f);
	assert_int_equal(marks.len, 1);
	uint64_t seen_number = marks.newest;
	(void)append_one(f->store, &b);
	PASS(store_dirty_clear(f->store, seen_number, FRONTIER_NS + 1, &pass_why));
	look(f);
	assert_int_equal(marks.len, 1); /* the one that came after the look */
	assert_true(marks.list[0].from_ns == b.dev_t0_ns);
	PASS(store_dirty_clear(f->store, marks.newest, FRONTIER_NS + 1, &pass_why));
	look(f);
	assert_int_equal(marks.len, 0);
}

static void test_a_malformed_mark_is_refused(void **state)
{
	struct store_dirty mark = { .from_ns = 5,
		.to_ns = 9,
		.layers = LAYER_MASK(LAYER_TEXT),
		.cause = DIRTY_REMAPPED,
		.first_seq = 0,
		.last_seq = 3 };
	struct store_dirty back;
	uint8_t bytes[STORE_DIRTY_BYTES];

	(void)state;
	store_dirty_encode(&mark, bytes);
	assert_int_equal(store_dirty_decode(bytes, sizeof bytes, &back), RC_OK);
	assert_memory_equal(&back, &mark, sizeof mark);
	assert_int_equal(store_dirty_decode(bytes, sizeof bytes - 1, &back), RC_CORRUPT);
	bytes[33] = 99;
	assert_int_equal(store_dirty_decode(bytes, sizeof bytes, &back), RC_CORRUPT);
	bytes[33] = DIRTY_LATE;
	bytes[32] = 1; /* no layer has this bit */
	assert_int_equal(store_dirty_decode(bytes, sizeof bytes, &back), RC_CORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_nothing_is_marked_before_anything_was_built, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_a_late_record_is_marked_and_one_behind_the_frontier_is_not, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    test_a_duplicate_marks_nothing_and_a_new_version_marks_both_places, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    test_a_commit_of_many_late_records_makes_few_marks_that_cover_them, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    test_marks_and_frontier_survive_a_reopening_and_go_when_cleared, setup,
		    teardown),
		cmocka_unit_test(test_a_malformed_mark_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
