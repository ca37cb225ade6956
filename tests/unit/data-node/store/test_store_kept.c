/* Records that were read are had again as they were, up to a bound. */
#include "store/store_kept.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "store_fixture.h"

static bool add(void *ctx, const struct observation *obs)
{
	(void)obs;
	++*(size_t *)ctx;
	return true;
}

static size_t scan(struct fixture *f, struct store_kept *kept)
{
	struct store_range range = { .from_ns = T0_NS, .to_ns = T0_NS + NS_PER_S, .kept = kept };
	size_t seen = 0;

	assert_int_equal(store_scan_time(f->store, &range, NULL, 0, add, &seen, NULL), RC_OK);
	return seen;
}

static void test_what_a_scan_read_is_kept_and_had_again(void **state)
{
	struct fixture f = { 0 };
	struct store_kept *kept = NULL;
	char ids[40][16];

	(void)state;
	fixture_init(&f);
	for (int i = 0; i < 40; i++) {
		(void)snprintf(ids[i], sizeof ids[i], "kept %d", i);
		struct observation obs = make_obs(ids[i], T0_NS + i, "words");
		(void)append_one(f.store, &obs);
	}
	assert_int_equal(store_kept_new(&kept), RC_OK);
	assert_null(store_kept_find(kept, 1));
	assert_int_equal(scan(&f, kept), 40);
	const struct observation *first = store_kept_find(kept, 1);
	assert_non_null(first);
	assert_string_equal(first->client_id, "kept 0");
	assert_string_equal(store_kept_find(kept, 40)->client_id, "kept 39");
	assert_int_equal(scan(&f, kept), 40);
	assert_ptr_equal(store_kept_find(kept, 1), first);
	store_kept_reset(kept);
	assert_null(store_kept_find(kept, 1));
	assert_int_equal(scan(&f, kept), 40);
	store_kept_free(kept);
	fixture_fini(&f);
}

static void test_no_more_than_so_many_are_kept(void **state)
{
	struct store_kept *kept = NULL;
	struct observation obs = { .seq = 0 };

	(void)state;
	assert_int_equal(store_kept_new(&kept), RC_OK);
	assert_null(store_kept_arena(NULL));
	for (size_t i = 0; i < STORE_KEPT_RECORDS_MAX; i++) {
		assert_non_null(store_kept_arena(kept));
		obs.seq = 1 + i * 4096; /* all of them near one slot, but for the hash */
		store_kept_put(kept, &obs);
	}
	assert_null(store_kept_arena(kept));
	for (size_t i = 0; i < STORE_KEPT_RECORDS_MAX; i++)
		assert_int_equal(store_kept_find(kept, 1 + i * 4096)->seq, 1 + i * 4096);
	assert_null(store_kept_find(kept, 2));
	store_kept_free(kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_a_scan_read_is_kept_and_had_again),
		cmocka_unit_test(test_no_more_than_so_many_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
