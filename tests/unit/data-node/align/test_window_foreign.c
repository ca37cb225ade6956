/*
 * A foreign oracle: with ε = 0 one facet's backward and nearest matches are
 * those of an as-of join that SQLite does on the same rows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "align/policy.h"
#include "align/window.h"
#include "base/clock.h"
#include "base/random.h"

#define ROWS 60
#define SLICES 40
#define STEP_NS (10 * NS_PER_S)
#define START_NS (INT64_C(1763193600) * NS_PER_S)

struct join {
	struct observation obs[ROWS];
	size_t len;
	int picked[SLICES]; /* number of the observation, -1 = none */
};

static void make_rows(uint64_t *seed, enum layer layer, const char *kind, struct join *join)
{
	memset(join, 0, sizeof *join);
	join->len = random_next(seed) % ROWS;
	int64_t at_ns = START_NS - 100 * NS_PER_S;
	for (size_t i = 0; i < join->len; i++) {
		at_ns += (int64_t)(1 + random_next(seed) % 40) * NS_PER_S / 2; /* no two at once */
		join->obs[i] = (struct observation){ .source = "s",
			.client_id = "",
			.layer = layer,
			.kind = kind,
			.clock_id = "",
			.boot_epoch = "",
			.zone = "",
			.text = "",
			.data_json = "{\"inregions\":[\"x\"]}",
			.dev_t0_ns = at_ns,
			.dev_t1_ns = at_ns };
		join->obs[i].place = placement_trusted(at_ns, at_ns, 0);
		join->obs[i].obs_id[0] = (uint8_t)i;
	}
}

struct picking {
	struct join *join;
	int facet;
};

static bool pick_one(void *ctx, const struct slice *slice)
{
	struct picking *p = ctx;
	const struct cell *cell = &slice->cells[p->facet];
	size_t number = (size_t)((slice->start_ns - START_NS) / STEP_NS);

	/* Of a state and the changes in the slice, the newest. */
	assert_true(cell->values_len <= 1 || p->facet == FACET_HOME);
	p->join->picked[number] =
	    cell->values_len == 0 ? -1 : cell->values[cell->values_len - 1].item->rest->obs_id[0];
	return true;
}

static void run_window(const struct policy *policy, struct join *join, int facet)
{
	struct window_grid grid = { .from_ns = START_NS,
		.to_ns = START_NS + SLICES * STEP_NS,
		.step_ns = STEP_NS,
		.facets = FACET_MASK(facet),
		.keep_empty = true };
	struct picking picking = { join, facet };
	struct window *window;

	assert_int_equal(window_open(policy, &grid, pick_one, &picking, &window), RC_OK);
	for (size_t i = 0; i < join->len; i++) {
		struct item_rest rest;
		struct item item;
		item_of_observation(&join->obs[i], policy, &item, &rest);
		assert_int_equal(window_settle(window, item_key_ns(&item), NULL), RC_OK);
		assert_int_equal(window_push(window, &item, 1, NULL), RC_OK);
	}
	assert_int_equal(window_finish(window, NULL), RC_OK);
	window_close(window);
}

static sqlite3 *load_rows(const struct join *join)
{
	sqlite3 *db;
	sqlite3_stmt *insert;

	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(db, "CREATE TABLE obs(id INTEGER, t INTEGER)", NULL, NULL, NULL),
	    SQLITE_OK);
	assert_int_equal(
	    sqlite3_prepare_v2(db, "INSERT INTO obs VALUES(?,?)", -1, &insert, NULL), SQLITE_OK);
	for (size_t i = 0; i < join->len; i++) {
		sqlite3_bind_int64(insert, 1, (int64_t)i);
		sqlite3_bind_int64(insert, 2, join->obs[i].dev_t0_ns);
		assert_int_equal(sqlite3_step(insert), SQLITE_DONE);
		sqlite3_reset(insert);
	}
	sqlite3_finalize(insert);
	return db;
}

/* `sql` picks an id for the slice [?1, ?2). */
static void compare(struct join *join, const char *sql)
{
	sqlite3 *db = load_rows(join);
	sqlite3_stmt *select;

	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &select, NULL), SQLITE_OK);
	for (int i = 0; i < SLICES; i++) {
		sqlite3_bind_int64(select, 1, START_NS + i * STEP_NS);
		sqlite3_bind_int64(select, 2, START_NS + (i + 1) * STEP_NS);
		int want = sqlite3_step(select) == SQLITE_ROW ? sqlite3_column_int(select, 0) : -1;
		assert_int_equal(join->picked[i], want);
		sqlite3_reset(select);
	}
	sqlite3_finalize(select);
	sqlite3_close(db);
}

static void test_a_tolerant_backward_match_is_sqlites(void **state)
{
	struct policy policy = *policy_default();
	static struct join join;
	uint64_t seed = 1;

	(void)state;
	policy.error_ns = 0;
	policy.rules[FACET_LOCATION] =
	    (struct policy_rule){ .carry = POLICY_CARRY_STATIONARY, .carry_ns = 15 * NS_PER_S };
	for (int round = 0; round < 300; round++) {
		make_rows(&seed, LAYER_ENVIRONMENT, "location", &join);
		run_window(&policy, &join, FACET_LOCATION);
		/* Inside: nearest to the middle; else the last one, at most 15 s old. */
		compare(&join, "SELECT id FROM obs WHERE t < ?2 AND t >= ?1 - 15000000000 "
			       "ORDER BY t < ?1, CASE WHEN t < ?1 THEN -t ELSE abs(2*(t - ?1) - "
			       "10000000000) END,"
			       " t LIMIT 1");
	}
}

static void test_a_nearest_match_with_tolerance_is_sqlites(void **state)
{
	struct policy policy = *policy_default();
	static struct join join;
	uint64_t seed = 2;

	(void)state;
	policy.error_ns = 0;
	policy.rules[FACET_LOCATION] = (struct policy_rule){ .nearest_ns = 12 * NS_PER_S };
	for (int round = 0; round < 300; round++) {
		make_rows(&seed, LAYER_ENVIRONMENT, "location", &join);
		run_window(&policy, &join, FACET_LOCATION);
		compare(&join, "SELECT id FROM (SELECT id, t, CASE WHEN t < ?1 THEN ?1 - t WHEN t "
			       "> ?2 THEN t - ?2 "
			       "ELSE 0 END AS off, t >= ?1 AND t < ?2 AS inside FROM obs) WHERE "
			       "off <= 12000000000 "
			       "ORDER BY inside DESC, CASE WHEN inside THEN abs(2*(t - ?1) - "
			       "10000000000) ELSE off END,"
			       " t LIMIT 1");
	}
}

static void test_a_state_is_sqlites_backward_match_without_tolerance(void **state)
{
	struct policy policy = *policy_default();
	static struct join join;
	uint64_t seed = 3;

	(void)state;
	policy.error_ns = 0;
	for (int round = 0; round < 300; round++) {
		make_rows(&seed, LAYER_HOME, "door", &join);
		run_window(&policy, &join, FACET_HOME);
		compare(&join, "SELECT id FROM obs WHERE t < ?2 ORDER BY t DESC LIMIT 1");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_tolerant_backward_match_is_sqlites),
		cmocka_unit_test(test_a_nearest_match_with_tolerance_is_sqlites),
		cmocka_unit_test(test_a_state_is_sqlites_backward_match_without_tolerance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
