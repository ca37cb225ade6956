/* Store: making one, and finishing what was cut off. */
#include "store_fixture.h"

#include <sys/stat.h>

static void put(const char *dir, const char *name, const char *text)
{
	char path[600];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static bool there(const char *dir, const char *name)
{
	char path[600];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return stat(path, &st) == 0;
}

static void test_an_init_that_was_cut_off_is_finished(void **state)
{
	(void)state;
	struct keyring_unlock unlock = { 0 };
	struct fixture f = { 0 };
	char made[512];

	fixture_dir(f.dir);
	PASS(keyring_create(f.dir, &unlock, &pass_why));
	(void)snprintf(made, sizeof(made), "%s/timeline.new", f.dir);
	assert_int_equal(mkdir(made, 0700), 0);
	put(made, "data.mdb", "torn");
	put(made, "lock.mdb", "");
	PASS(store_init(f.dir, &unlock, &pass_why));
	assert_false(there(f.dir, "timeline.new"));
	fixture_open(&f);
	struct observation obs = make_obs("1", T0_NS, "one");
	assert_int_equal(append_one(f.store, &obs).seq, 1);
	fixture_close(&f);
	/* There it is, so it is not made again. */
	assert_int_equal(store_init(f.dir, &unlock, NULL), RC_EXISTS);
	fixture_open(&f);
	assert_int_equal(store_cursor(f.store), 1);
	fixture_fini(&f);
}

static void test_a_place_taken_by_something_else_is_left_alone(void **state)
{
	(void)state;
	struct keyring_unlock unlock = { 0 };
	struct errmsg why = ERRMSG_INIT;
	char dir[256], place[512];

	fixture_dir(dir);
	(void)snprintf(place, sizeof(place), "%s/timeline", dir);
	assert_int_equal(mkdir(place, 0700), 0);
	put(place, "letters", "not ours");
	assert_int_not_equal(store_init(dir, &unlock, &why), RC_OK);
	assert_true(why.text[0] != '\0');
	assert_true(there(place, "letters"));
	assert_false(there(place, "data.mdb"));
	fixture_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_init_that_was_cut_off_is_finished),
		cmocka_unit_test(test_a_place_taken_by_something_else_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
