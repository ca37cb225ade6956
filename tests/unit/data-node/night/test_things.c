/* Things: one for each track, member and salt, until there are too many. */
#include "../store/store_fixture.h"

#include "night/things.h"

static int dropped;

static void count(void *thing)
{
	(void)thing;
	dropped++;
}

static int *find(struct things *things, const char *kind, const char *member, uint64_t salt)
{
	struct observation obs = make_obs("", T0_NS, "");
	struct things_key key = { &obs, member, strlen(member), salt };
	void *thing = NULL;
	bool is_new;

	obs.layer = LAYER_BEHAVIOUR;
	obs.kind = kind;
	PASS(things_find(things, &key, sizeof(int), &thing, &is_new));
	assert_int_equal(is_new, *(int *)thing == 0);
	*(int *)thing = 1;
	return thing;
}

static void test_a_thing_is_found_again_by_track_member_and_salt(void **state)
{
	struct things *things = calloc(1, sizeof *things);

	(void)state;
	int *value = find(things, "heart_rate", "value", 0);
	assert_ptr_equal(find(things, "heart_rate", "value", 0), value);
	assert_ptr_not_equal(find(things, "weight", "value", 0), value);
	assert_ptr_not_equal(find(things, "heart_rate", "other", 0), value);
	assert_ptr_not_equal(find(things, "heart_rate", "value", 7), value);
	assert_int_equal(things->len, 4);
	things_drop(things, count);
	assert_int_equal(dropped, 4);
	(void)find(things, "heart_rate", "value", 0);
	assert_int_equal(things->len, 1);
	things_drop(things, NULL);
	free(things);
}

static void test_there_are_no_more_than_so_many(void **state)
{
	struct things *things = calloc(1, sizeof *things);
	struct observation obs = make_obs("", T0_NS, "");
	struct things_key key = { &obs, "value", 5, 0 };
	void *thing = NULL;
	bool is_new;

	(void)state;
	for (uint64_t salt = 0; salt < THINGS_MAX; salt++)
		(void)find(things, "heart_rate", "value", salt);
	key.salt = THINGS_MAX;
	obs.layer = LAYER_BEHAVIOUR;
	obs.kind = "heart_rate";
	assert_int_equal(things_find(things, &key, 1, &thing, &is_new), RC_LIMIT);
	key.salt = 3;
	PASS(things_find(things, &key, 1, &thing, &is_new));
	assert_false(is_new);
	things_drop(things, NULL);
	free(things);
}

static void test_a_label_cannot_name_every_member(void **state)
{
	char text[THINGS_MEMBER_BYTES_MAX + 2];

	(void)state;
	memset(text, 'a', sizeof text);
	assert_true(things_may_name(text, THINGS_MEMBER_BYTES_MAX));
	assert_false(things_may_name(text, THINGS_MEMBER_BYTES_MAX + 1));
	assert_false(things_may_name("a~b", 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_thing_is_found_again_by_track_member_and_salt),
		cmocka_unit_test(test_there_are_no_more_than_so_many),
		cmocka_unit_test(test_a_label_cannot_name_every_member),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
