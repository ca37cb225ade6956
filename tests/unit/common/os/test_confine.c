/*
 * Confinement, tried out: a child for each call that is forbidden, which must die
 * of it, and one that does all that a server goes on to do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/confine.h"
#include "os/process.h"

#define MUST(holds) ((holds) ? (void)0 : fail_here(#holds))

static char dir[64], inside[96], outside[96];

static _Noreturn void fail_here(const char *what)
{
	(void)dprintf(STDERR_FILENO, "in the child: %s (errno %d)\n", what, errno);
	_exit(EXIT_FAILURE);
}

static void touch(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	assert_true(fd >= 0 && write(fd, "x", 1) == 1);
	(void)close(fd);
}

static int setup(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/hearth-confine.XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	(void)snprintf(inside, sizeof(inside), "%s/models", dir);
	(void)mkdir(inside, 0700);
	(void)snprintf(inside, sizeof(inside), "%s/models/a", dir);
	(void)snprintf(outside, sizeof(outside), "%s/other", dir);
	touch(inside);
	touch(outside);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	(void)unlink(inside);
	(void)unlink(outside);
	*strrchr(inside, '/') = '\0';
	(void)rmdir(inside);
	return rmdir(dir);
}

/* ---- forbidden calls --------------------------------------------------------------- */

static void open_to_write(void)
{
	(void)open(inside, O_WRONLY);
}
static void open_to_create(void)
{
	(void)open("new", O_RDONLY | O_CREAT, 0600);
}
static void open_a_nameless_file(void)
{
	(void)open("/tmp", O_TMPFILE | O_RDWR, 0600);
}
static void open_by_openat2(void)
{
	(void)syscall(SYS_openat2, AT_FDCWD, inside, NULL, 0);
}
static void start_a_process(void)
{
	(void)fork();
}
static void run_a_program(void)
{
	char *const argv[] = { NULL };
	(void)execv("/bin/true", argv);
}
static void trace_another(void)
{
	(void)ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}
static void read_anothers_memory(void)
{
	(void)syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0);
}
static void make_a_socket(void)
{
	(void)socket(AF_INET, SOCK_STREAM, 0);
}
static void connect_a_socket(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = 1 };
	(void)connect(STDERR_FILENO, (const struct sockaddr *)&to, sizeof(to));
}
static void queue_io(void)
{
	(void)syscall(SYS_io_uring_setup, 8, NULL);
}
static void map_code(void)
{
	(void)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}
static void make_memory_code(void)
{
	static uint8_t page[8192];
	(void)mprotect(
	    (void *)(((uintptr_t)page + 4095) & ~(uintptr_t)4095), 4096, PROT_READ | PROT_EXEC);
}
static void signal_another(void)
{
	(void)kill(getppid(), 0);
}
static void signal_anothers_thread(void)
{
	(void)syscall(SYS_tgkill, getppid(), getppid(), 0);
}
static void take_precedence(void)
{
	struct sched_param first = { 1 };
	(void)sched_setscheduler(0, SCHED_FIFO, &first);
}
static void rename_a_file(void)
{
	(void)rename(inside, outside);
}
static void remove_a_file(void)
{
	(void)unlink(inside);
}
static void make_a_directory(void)
{
	(void)mkdir("d", 0700);
}
static void change_a_mode(void)
{
	(void)chmod(inside, 0777);
}
static void load_a_program_into_the_kernel(void)
{
	(void)syscall(SYS_bpf, 0, NULL, 0);
}
static void make_a_file_of_memory(void)
{
	(void)memfd_create("x", 0);
}
static void make_core_files_possible(void)
{
	(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static const struct {
	const char *name;
	void (*call)(void);
} forbidden[] = {
#define X(name)                                                                                    \
	{                                                                                          \
#name, name                                                                        \
	}
	X(open_to_write),
	X(open_to_create),
	X(open_a_nameless_file),
	X(open_by_openat2),
	X(start_a_process),
	X(run_a_program),
	X(trace_another),
	X(read_anothers_memory),
	X(make_a_socket),
	X(connect_a_socket),
	X(queue_io),
	X(map_code),
	X(make_memory_code),
	X(signal_another),
	X(signal_anothers_thread),
	X(take_precedence),
	X(rename_a_file),
	X(remove_a_file),
	X(make_a_directory),
	X(change_a_mode),
	X(load_a_program_into_the_kernel),
	X(make_a_file_of_memory),
	X(make_core_files_possible),
#undef X
};

/* The wait status of a child that runs `body`. */
static int status_of(void (*body)(void))
{
	const struct rlimit none = { 0, 0 };
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		(void)setrlimit(RLIMIT_CORE, &none);
		body();
		_exit(EXIT_SUCCESS);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void (*tried)(void);

static void confine_and_try(void)
{
	MUST(confine_calls(NULL) == RC_OK);
	tried();
}

static void test_each_forbidden_call_ends_the_process(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
		tried = forbidden[i].call;
		int status = status_of(confine_and_try);
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
			fail_msg("%s: wait status %#x", forbidden[i].name, (unsigned)status);
	}
}

/* ---- what stays possible ---------------------------------------------------------------- */

static void *add_one(void *arg)
{
	uint8_t *block = malloc(1 << 20);

	MUST(block != NULL);
	memset(block, 1, 1 << 20);
	struct sched_param usual = { 0 };

	process_name_thread("little");
	MUST(sched_getscheduler(0) >= 0 && sched_getparam(0, &usual) == 0);
	MUST(sched_setscheduler(0, SCHED_OTHER, &usual) == 0);
	(*(int *)arg)++;
	free(block);
	return NULL;
}

static void serve_a_little(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
	char byte;
	int one = 0;
	pthread_t thread;

	MUST(bind(listener, (const struct sockaddr *)&at, sizeof(at)) == 0);
	MUST(listen(listener, 1) == 0);
	MUST(getsockname(listener, (struct sockaddr *)&at, &len) == 0);
	MUST(connect(client, (const struct sockaddr *)&at, sizeof(at)) == 0);
	MUST(confine_calls(NULL) == RC_OK);
	int peer = accept(listener, NULL, NULL);
	MUST(peer >= 0 && send(client, "x", 1, MSG_NOSIGNAL) == 1 && recv(peer, &byte, 1, 0) == 1);
	struct pollfd fd = { .fd = peer, .events = POLLOUT };
	MUST(poll(&fd, 1, 1000) == 1);
	int file = open(inside, O_RDONLY | O_CLOEXEC);
	MUST(file >= 0 && read(file, &byte, 1) == 1 && close(file) == 0);
	MUST(getrandom(&byte, 1, 0) == 1 && eventfd(0, EFD_CLOEXEC) >= 0);
	MUST(pthread_create(&thread, NULL, add_one, &one) == 0);
	MUST(pthread_join(thread, NULL) == 0 && one == 1);
	MUST(fprintf(stderr, "%s", "") == 0);
}

static void test_a_server_goes_on_to_serve(void **state)
{
	(void)state;
	assert_int_equal(status_of(serve_a_little), 0);
}

static void abort_itself(void)
{
	MUST(confine_calls(NULL) == RC_OK);
	abort();
}

static void test_an_assertion_still_ends_as_one(void **state)
{
	(void)state;
	int status = status_of(abort_itself);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

/* Threads that were there before are confined as well. */
static int go[2];

static void *write_when_told(void *arg)
{
	char byte;

	(void)arg;
	MUST(read(go[0], &byte, 1) == 1);
	(void)open(inside, O_WRONLY);
	_exit(EXIT_SUCCESS);
}

static void confine_beside_a_thread(void)
{
	pthread_t thread;

	MUST(pipe(go) == 0 && pthread_create(&thread, NULL, write_when_told, NULL) == 0);
	MUST(confine_calls(NULL) == RC_OK);
	MUST(write(go[1], "x", 1) == 1);
	(void)pthread_join(thread, NULL);
}

static void test_threads_that_run_already_are_confined_too(void **state)
{
	(void)state;
	int status = status_of(confine_beside_a_thread);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

/* ---- files -------------------------------------------------------------------------------- */

static void read_inside_alone(void)
{
	char models[96];
	const char *const paths[] = { models, "/nonexistent/hearth" };
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);

	MUST(bind(listener, (const struct sockaddr *)&at, sizeof(at)) == 0 &&
	     listen(listener, 1) == 0 && getsockname(listener, (struct sockaddr *)&at, &len) == 0);
	(void)snprintf(models, sizeof(models), "%s/models", dir);
	enum rc rc = confine_files(paths, 2, 0, NULL);
	if (rc == RC_UNSUPPORTED)
		_exit(EXIT_SUCCESS); /* an old kernel: serve says so, loudly */
	MUST(rc == RC_OK);
	MUST(open(inside, O_RDONLY) >= 0);
	MUST(open(outside, O_RDONLY) < 0 && errno == EACCES);
	MUST(open(inside, O_WRONLY) < 0 && errno == EACCES);
	MUST(unlink(inside) < 0 && errno == EACCES);
	MUST(execl("/bin/true", "true", (char *)NULL) < 0 && errno == EACCES);
	int connected = connect(client, (const struct sockaddr *)&at, sizeof(at));
	MUST(connected == 0 || errno == EACCES); /* Landlock knows TCP from Linux 6.7 on */
}

static void bind_one_port_alone(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int one = socket(AF_INET, SOCK_STREAM, 0), other = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(at);

	/* A port that was free a moment ago. */
	MUST(bind(one, (const struct sockaddr *)&at, sizeof(at)) == 0 &&
	     getsockname(one, (struct sockaddr *)&at, &len) == 0 && close(one) == 0);
	if (confine_files(NULL, 0, ntohs(at.sin_port), NULL) != RC_OK)
		_exit(EXIT_SUCCESS);
	one = socket(AF_INET, SOCK_STREAM, 0);
	MUST(bind(one, (const struct sockaddr *)&at, sizeof(at)) == 0 || errno == EADDRINUSE);
	at.sin_port = 0;
	int bound = bind(other, (const struct sockaddr *)&at, sizeof(at));
	MUST(bound == 0 || errno == EACCES);
}

static void test_files_outside_cannot_be_read_and_none_be_written(void **state)
{
	(void)state;
	assert_int_equal(status_of(read_inside_alone), 0);
	assert_int_equal(status_of(bind_one_port_alone), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_each_forbidden_call_ends_the_process, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_server_goes_on_to_serve, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_an_assertion_still_ends_as_one, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_threads_that_run_already_are_confined_too, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_files_outside_cannot_be_read_and_none_be_written, setup, teardown),
	};

	/* A sanitizer's runtime and an emulator cannot be confined. */
	if (!confine_built() || getenv("HEARTH_EMULATOR") != NULL)
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
