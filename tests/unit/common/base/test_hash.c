/* Hash: the published values, and that parts give what the whole gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"

static void test_published_values(void **state)
{
	(void)state;
	assert_true(hash_bytes(HASH_START, "", 0) == UINT64_C(0xcbf29ce484222325));
	assert_true(hash_bytes(HASH_START, "a", 1) == UINT64_C(0xaf63dc4c8601ec8c));
	assert_true(hash_bytes(HASH_START, "foobar", 6) == UINT64_C(0x85944171f73967e8));
}

static void test_parts_give_the_whole(void **state)
{
	(void)state;
	assert_true(hash_bytes(hash_bytes(HASH_START, "foo", 3), "bar", 3) ==
		    hash_bytes(HASH_START, "foobar", 6));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_published_values),
		cmocka_unit_test(test_parts_give_the_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
