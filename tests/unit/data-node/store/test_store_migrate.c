/* Store: older formats are brought forward step by step, newer ones refused. */
#include "store_fixture.h"

#include "store/store_internal.h"

static enum rc format_set(
    struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why)
{
	uint8_t bytes[8];
	MDB_val key = store_text_val("format"), value = { sizeof(bytes), bytes };

	(void)why;
	store_put_be64(bytes, *(uint64_t *)ctx);
	*err = mdb_put(txn, store->dbi[DB_META], &key, &value, 0);
	return RC_OK;
}

static void set_format(struct store *store, uint64_t format)
{
	PASS(store_task_run(store, format_set, &format, &pass_why));
}

static uint64_t get_format(struct store *store)
{
	MDB_val key = store_text_val("format"), value;
	MDB_txn *txn;

	PASS(store_read_begin(store, &txn, &pass_why));
	assert_int_equal(mdb_get(txn, store->dbi[DB_META], &key, &value), 0);
	uint64_t format = store_get_be64(value.mv_data);
	store_read_end(store, txn);
	return format;
}

/* What the fabricated steps did, in order. */
static char trace[16];
static size_t trace_len;
static bool cut_off;

static enum rc step_a(struct store *store, struct errmsg *why)
{
	(void)store;
	(void)why;
	trace[trace_len++] = 'a';
	return RC_OK;
}

static enum rc step_b(struct store *store, struct errmsg *why)
{
	(void)store;
	trace[trace_len++] = 'b';
	return cut_off ? errmsg_rc(why, RC_IO, "the power went") : RC_OK;
}

static const struct store_step steps[] = {
	{ 8, "second", step_b },
	{ 7, "first", step_a },
};

static void test_steps_run_in_order_and_one_that_was_cut_off_runs_again(void **state)
{
	(void)state;
	struct fixture f = { 0 };

	fixture_init(&f);
	set_format(f.store, 7);
	cut_off = true;
	assert_int_equal(store_migrate(f.store, steps, 2, 9, NULL), RC_IO);
	assert_string_equal(trace, "ab");
	assert_int_equal(get_format(f.store), 8);
	cut_off = false;
	PASS(store_migrate(f.store, steps, 2, 9, &pass_why));
	assert_string_equal(trace, "abb");
	assert_int_equal(get_format(f.store), 9);
	PASS(store_migrate(f.store, steps, 2, 9, &pass_why));
	assert_string_equal(trace, "abb");
	fixture_fini(&f);
}

static void test_both_numbers_are_named_where_no_step_leads(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct errmsg why = ERRMSG_INIT;

	fixture_init(&f);
	set_format(f.store, 10);
	assert_int_equal(store_migrate(f.store, steps, 2, 9, &why), RC_UNSUPPORTED);
	assert_non_null(strstr(why.text, "format 10"));
	assert_non_null(strstr(why.text, "up to 9"));
	set_format(f.store, 3);
	errmsg_reset(&why);
	assert_int_equal(store_migrate(f.store, steps, 2, 9, &why), RC_UNSUPPORTED);
	assert_non_null(strstr(why.text, "format 3"));
	fixture_fini(&f);
}

static void test_a_store_of_the_first_format_opens_with_all_that_is_in_it(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct seen *seen = calloc(1, sizeof(*seen));
	struct errmsg why = ERRMSG_INIT;
	char id[16];

	fixture_init(&f);
	for (unsigned i = 0; i < 20; i++) {
		(void)snprintf(id, sizeof(id), "%u", i);
		struct observation obs = make_obs(id, T0_NS + i * NS_PER_HOUR, "from before");
		assert_int_equal(append_one(f.store, &obs).seq, i + 1);
	}
	set_format(f.store, 1);
	fixture_close(&f);
	/* It cannot be brought forward by whoever may not write. */
	struct keyring_unlock unlock = { 0 };
	PASS(keyring_open(f.dir, &unlock, &f.keyring, &pass_why));
	f.config.keyring = f.keyring;
	f.config.read_only = true;
	assert_int_equal(store_open(&f.config, &f.store, &why), RC_UNSUPPORTED);
	keyring_close(f.keyring);
	f.config.read_only = false;
	fixture_open(&f);
	assert_int_equal(get_format(f.store), STORE_FORMAT);
	PASS(store_scan_log(f.store, 0, 0, seen_visit, seen, &pass_why));
	assert_int_equal(seen->len, 20);
	PASS(store_verify(f.store, NULL, NULL, NULL, &pass_why));
	free(seen);
	fixture_fini(&f);
}

static enum rc count_work(
    struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why)
{
	(void)store;
	(void)txn;
	(void)why;
	unsigned *runs = ctx;
	*err = ++*runs == 1 ? MDB_MAP_FULL : 0;
	return RC_OK;
}

static enum rc failing_work(
    struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why)
{
	(void)store;
	(void)txn;
	(void)ctx;
	(void)err;
	return errmsg_rc(why, RC_INVALID, "work: not like this");
}

static void test_work_of_the_writer_is_run_again_after_a_full_map_and_tells_its_error(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct errmsg why = ERRMSG_INIT;
	unsigned runs = 0;

	fixture_init(&f);
	PASS(store_task_run(f.store, count_work, &runs, &pass_why));
	assert_int_equal(runs, 2);
	assert_int_equal(store_task_run(f.store, failing_work, NULL, &why), RC_INVALID);
	assert_string_equal(why.text, "work: not like this");
	struct observation obs = make_obs("1", T0_NS, "goes on");
	assert_int_equal(append_one(f.store, &obs).seq, 1);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steps_run_in_order_and_one_that_was_cut_off_runs_again),
		cmocka_unit_test(test_both_numbers_are_named_where_no_step_leads),
		cmocka_unit_test(test_a_store_of_the_first_format_opens_with_all_that_is_in_it),
		cmocka_unit_test(
		    test_work_of_the_writer_is_run_again_after_a_full_map_and_tells_its_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
