/* Words and libraries that a backend can be named by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backend/load.h"

/* A library that is no backend, on every Linux with glibc. */
#define NO_BACKEND "/proc/self/exe"

static void test_cpu_is_no_backend(void **unused)
{
	const struct backend_api *api = (const void *)"x";
	struct errmsg why = ERRMSG_INIT;

	(void)unused;
	assert_int_equal(backend_load("cpu", &api, &why), RC_OK);
	assert_null(api);
	assert_string_equal(why.text, "");
}

static void test_an_unknown_word_says_which_are_known(void **unused)
{
	const struct backend_api *api = NULL;
	struct errmsg why = ERRMSG_INIT;

	(void)unused;
	assert_int_equal(backend_load("rocm", &api, &why), RC_CONFIG);
	assert_non_null(strstr(why.text, "cuda"));
	errmsg_reset(&why);
	assert_int_equal(backend_load("", &api, &why), RC_CONFIG);
}

static void test_a_library_that_is_not_there_is_named(void **unused)
{
	const struct backend_api *api = NULL;
	struct errmsg why = ERRMSG_INIT;

	(void)unused;
	assert_int_equal(backend_load("/nowhere/at-all.so", &api, &why), RC_NOTFOUND);
	assert_non_null(strstr(why.text, "/nowhere/at-all.so"));
}

static void test_what_is_no_backend_is_refused(void **unused)
{
	const struct backend_api *api = NULL;
	struct errmsg why = ERRMSG_INIT;
	enum rc rc;

	(void)unused;
	rc = backend_load(NO_BACKEND, &api, &why); /* a program is no library */
	assert_true(rc == RC_NOTFOUND || rc == RC_UNSUPPORTED);
	assert_null(api);
	assert_string_not_equal(why.text, "");
}

/* Beside a test there is no compute-cuda.so: the CPU, and why. */
static void test_auto_falls_back_and_says_why(void **unused)
{
	const struct backend_api *api = NULL;
	struct errmsg why = ERRMSG_INIT;

	(void)unused;
	assert_int_equal(backend_load("auto", &api, &why), RC_OK);
	assert_null(api);
	assert_non_null(strstr(why.text, "compute-cuda.so"));
	errmsg_reset(&why);
	assert_int_equal(backend_load("cuda", &api, &why), RC_NOTFOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cpu_is_no_backend),
		cmocka_unit_test(test_an_unknown_word_says_which_are_known),
		cmocka_unit_test(test_a_library_that_is_not_there_is_named),
		cmocka_unit_test(test_what_is_no_backend_is_refused),
		cmocka_unit_test(test_auto_falls_back_and_says_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
