/* Process: a stop signal becomes one readable descriptor; no dumps. */
#include <inttypes.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/pages.h"
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

/* In a child: what it locks would stay so. */
static int in_child(int (*body)(void))
{
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(body());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Of the mapping that `at` lies in, as /proc/self/smaps has it. */
static bool has_flag(const void *at, const char *flag)
{
	FILE *smaps = fopen("/proc/self/smaps", "r");
	bool inside = false, has = false;
	char line[512];

	if (smaps == NULL)
		return false;
	while (fgets(line, sizeof(line), smaps) != NULL) {
		uint64_t from, to;

		if (strncmp(line, "VmFlags:", 8) == 0)
			has = has || (inside && strstr(line, flag) != NULL);
		else if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &from, &to) == 2)
			inside = from <= (uintptr_t)at && (uintptr_t)at < to;
	}
	(void)fclose(smaps);
	return has;
}

static int limited(void)
{
	const struct rlimit limit = { 1 << 16, 1 << 16 };

	if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0 || (geteuid() == 0 && setuid(65534) != 0))
		return 77;
	return process_lock_what_comes() == RC_DENIED ? 0 : 1;
}

/* The kernel itself locks what comes, more than the limit too; a sanitizer that takes
 * the call does not. */
static bool locks_by_hand(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 ||
	    mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0 || !has_flag(&limit, " lo"))
		return false;
	return limit.rlim_cur == RLIM_INFINITY ||
	       mmap(NULL, (size_t)limit.rlim_cur + 1, PROT_NONE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED;
}

static int unlimited(void)
{
	const struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
	void *pages;

	(void)setrlimit(RLIMIT_MEMLOCK, &limit); /* or it may lock by right */
	if (process_lock_what_comes() != RC_OK || !has_flag(&limit, " lo"))
		return locks_by_hand() ? 1 : 77;
	pages = pages_take(1 << 20);
	if (pages == NULL || !has_flag(pages, " lo") || !has_flag(pages, " dd"))
		return 1;
	pages_give(pages, 1 << 20);
	return 0;
}

static void test_process_locks_what_comes_only_where_no_limit_can_stop_it(void **state)
{
	(void)state;
	/* 77: not to be had here. */
	int bound = in_child(limited), free_of_limits = in_child(unlimited);
	assert_true(bound == 0 || bound == 77);
	assert_true(free_of_limits == 0 || free_of_limits == 77);
	if (bound == 77 && free_of_limits == 77)
		skip();
}

static void test_pages_are_zero_whole_and_not_dumped(void **state)
{
	uint8_t *pages = pages_take(10000), *none = pages_take(0);

	(void)state;
	assert_true(pages != NULL && none != NULL);
	assert_int_equal((uintptr_t)pages % (uintptr_t)sysconf(_SC_PAGESIZE), 0);
	for (size_t i = 0; i < 10000; i++)
		assert_int_equal(pages[i], 0);
	memset(pages, 1, 10000);
	assert_true(has_flag(pages, " dd") || !has_flag(pages, " rd")); /* no smaps: no flags */
	pages_give(pages, 10000);
	pages_give(none, 0);
	pages_give(NULL, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_process_signal_makes_the_stop_descriptor_readable),
		cmocka_unit_test(test_process_locks_what_comes_only_where_no_limit_can_stop_it),
		cmocka_unit_test(test_pages_are_zero_whole_and_not_dumped),
		cmocka_unit_test(test_process_forbids_dumps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
