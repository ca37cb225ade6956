/* Notify: what a service manager would receive. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "os/notify.h"

/* A socket with that name, '@' for one that is no file. */
static int manager(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	memcpy(address.sun_path, name, strlen(name));
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
	    0);
	assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
	return fd;
}

static void expect_line(int fd, const char *want)
{
	char got[128] = "";

	assert_true(recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT) > 0);
	assert_string_equal(got, want);
}

static void test_lines_arrive_at_both_kinds_of_socket(void **state)
{
	char name[64];

	(void)state;
	(void)snprintf(name, sizeof(name), "@hearth-notify-%ld", (long)getpid());
	int fd = manager(name);
	notify_send("READY=1\nSTATUS=here");
	expect_line(fd, "READY=1\nSTATUS=here");
	(void)close(fd);
	(void)snprintf(name, sizeof(name), "/tmp/hearth-notify-%ld", (long)getpid());
	fd = manager(name);
	notify_send("WATCHDOG=1");
	expect_line(fd, "WATCHDOG=1");
	(void)close(fd);
	(void)unlink(name);
	notify_send("STOPPING=1"); /* nobody listens: no harm */
}

static void test_without_a_manager_nothing_happens(void **state)
{
	(void)state;
	assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
	notify_send("READY=1");
	assert_int_equal(setenv("NOTIFY_SOCKET", "relative", 1), 0);
	notify_send("READY=1");
}

static void test_the_watchdog_is_for_this_process_alone(void **state)
{
	char pid[32];

	(void)state;
	assert_int_equal(unsetenv("WATCHDOG_USEC") | unsetenv("WATCHDOG_PID"), 0);
	assert_int_equal(notify_watchdog_ns(), 0);
	assert_int_equal(setenv("WATCHDOG_USEC", "3000000", 1), 0);
	assert_int_equal(notify_watchdog_ns(), 3 * NS_PER_S / 2);
	assert_int_equal(setenv("WATCHDOG_PID", "1", 1), 0);
	assert_int_equal(notify_watchdog_ns(), 0);
	(void)snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	assert_int_equal(setenv("WATCHDOG_PID", pid, 1), 0);
	assert_int_equal(notify_watchdog_ns(), 3 * NS_PER_S / 2);
	assert_int_equal(setenv("WATCHDOG_USEC", "-5", 1), 0);
	assert_int_equal(notify_watchdog_ns(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines_arrive_at_both_kinds_of_socket),
		cmocka_unit_test(test_without_a_manager_nothing_happens),
		cmocka_unit_test(test_the_watchdog_is_for_this_process_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
