/* Process: a stop signal becomes one readable descriptor; no dumps. */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/process.h"

static void test_process_signal_makes_the_stop_descriptor_readable(void **state)
{
	(void)state;
	assert_int_equal(process_catch_signals(NULL), RC_OK);
	struct pollfd fd = { .fd = process_stop_fd(), .events = POLLIN };
	assert_int_equal(poll(&fd, 1, 0), 0);
	assert_false(process_stopping());
	assert_int_equal(raise(SIGPIPE), 0); /* ignored */
	assert_false(process_stopping());
	assert_int_equal(raise(SIGTERM), 0);
	assert_true(process_stopping());
	assert_int_equal(poll(&fd, 1, 5000), 1);
	process_stop(); /* again is fine */
	assert_int_equal(poll(&fd, 1, 0), 1);
}

static void test_process_forbids_dumps(void **state)
{
	struct rlimit limit;

	(void)state;
	assert_int_equal(process_forbid_dumps(NULL), RC_OK);
	assert_int_equal(getrlimit(RLIMIT_CORE, &limit), 0);
	assert_int_equal(limit.rlim_cur, 0);
	assert_int_equal(prctl(PR_GET_DUMPABLE), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_process_signal_makes_the_stop_descriptor_readable),
		cmocka_unit_test(test_process_forbids_dumps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
