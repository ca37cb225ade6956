/* Starting this program as a child, and learning of its end through a pipe. */
#include "serve/supervisor_worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/process.h"

#define ARGS_MAX 1024

/* In the child: only what is safe after fork. */
static _Noreturn void become_worker(char **argv)
{
	process_offer_to_oom_killer();
	(void)execv("/proc/self/exe", argv);
	_exit(EXIT_FAILED);
}

/* The reading end is ours; the writing end is open in the worker alone, as long
 * as it lives. */
static enum rc make_pipe(int fds[2], struct errmsg *why)
{
	if (pipe2(fds, O_CLOEXEC) != 0)
		return errmsg_errno(why, "cannot make the worker's pipe");
	if (fcntl(fds[1], F_SETFD, 0) != 0) {
		enum rc rc = errmsg_errno(why, "cannot hand on the worker's pipe");
		(void)close(fds[0]);
		(void)close(fds[1]);
		return rc;
	}
	return RC_OK;
}

enum rc worker_start(struct worker *worker, int argc, char *const *argv, struct errmsg *why)
{
	char *args[ARGS_MAX + 3] = { (char[]){ "compute-node" }, (char[]){ "serve" } };
	int fds[2];

	if (argc > ARGS_MAX)
		return errmsg_rc(why, RC_LIMIT, "more than %d arguments", ARGS_MAX);
	for (int i = 0; i < argc; i++)
		args[2 + i] = argv[i];
	enum rc rc = make_pipe(fds, why);
	if (rc != RC_OK)
		return rc;
	pid_t pid = fork();
	if (pid == 0)
		become_worker(args);
	if (pid < 0)
		rc = errmsg_errno(why, "cannot start a process");
	(void)close(fds[1]);
	if (rc != RC_OK) {
		(void)close(fds[0]);
		return rc;
	}
	*worker = (struct worker){ .pid = pid, .alive_fd = fds[0] };
	return RC_OK;
}

bool worker_ended(const struct worker *worker)
{
	struct pollfd fd = { .fd = worker->alive_fd, .events = POLLIN };

	return poll(&fd, 1, 0) == 1;
}

int worker_reap(struct worker *worker)
{
	int status = 0;

	while (waitpid(worker->pid, &status, 0) < 0 && errno == EINTR)
		;
	(void)close(worker->alive_fd);
	*worker = (struct worker){ .pid = 0 };
	return status;
}
