/* Sorter: sorted as a plain sort would, whether it fits memory or not. */
#include "store_fixture.h"

#include "store/sorter.h"

#define ROW 12

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, ROW);
}

/* `rows` random rows through `memory` bytes, against qsort(). */
static void check(size_t rows, size_t memory, unsigned distinct)
{
	uint8_t(*want)[ROW] = calloc(rows + 1, ROW);
	struct sorter *sorter = NULL;
	const uint8_t *row = NULL;
	uint64_t rng = rows;
	char dir[256];

	fixture_dir(dir);
	PASS(sorter_new(dir, ROW, memory, &sorter, &pass_why));
	for (size_t i = 0; i < rows; i++) {
		uint64_t value = random_next(&rng) % distinct;
		memcpy(want[i], &value, sizeof(value));
		PASS(sorter_put(sorter, want[i], &pass_why));
	}
	assert_int_equal(sorter_rows(sorter), rows);
	qsort(want, rows, ROW, compare);
	for (size_t i = 0; i < rows; i++) {
		PASS(sorter_next(sorter, &row, &pass_why));
		assert_memory_equal(row, want[i], ROW);
	}
	assert_int_equal(sorter_next(sorter, &row, NULL), RC_NOTFOUND);
	assert_int_equal(sorter_next(sorter, &row, NULL), RC_NOTFOUND);
	assert_int_equal(sorter_put(sorter, want[0], NULL), RC_BUG);
	sorter_free(sorter);
	assert_int_equal(rmdir(dir), 0); /* nothing is left behind */
	free(want);
}

static void test_rows_come_back_in_order_from_memory(void **state)
{
	(void)state;
	check(0, 1 << 20, 10);
	check(1, 1 << 20, 10);
	check(5000, 1 << 20, 1000000);
	check(5000, 1 << 20, 7);
}

static void test_rows_come_back_in_order_from_runs_on_disk(void **state)
{
	(void)state;
	check(1000, 100 * ROW, 1000000); /* exactly ten runs */
	check(1001, 100 * ROW, 50);
	check(20000, 64 * ROW, 1000000); /* windows smaller than they should be */
	check(3, 0, 1000000);            /* a buffer of two rows */
}

static void test_more_runs_than_can_be_merged_are_refused(void **state)
{
	(void)state;
	struct errmsg why = ERRMSG_INIT;
	struct sorter *sorter = NULL;
	uint8_t row[ROW] = { 0 };
	enum rc rc = RC_OK;
	char dir[256];

	fixture_dir(dir);
	PASS(sorter_new(dir, ROW, 0, &sorter, &pass_why));
	for (size_t i = 0; i < 2 * SORTER_RUNS_MAX + 3 && rc == RC_OK; i++)
		rc = sorter_put(sorter, row, &why);
	assert_int_equal(rc, RC_LIMIT);
	sorter_free(sorter);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_come_back_in_order_from_memory),
		cmocka_unit_test(test_rows_come_back_in_order_from_runs_on_disk),
		cmocka_unit_test(test_more_runs_than_can_be_merged_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
