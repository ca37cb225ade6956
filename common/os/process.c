/* Process start: no dumps, signals, thread names. */
#include "os/process.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

static int stop_pipe[2] = { -1, -1 };
static atomic_bool stopping;

enum rc process_forbid_dumps(struct errmsg *why)
{
	const struct rlimit none = { 0, 0 };

	if (setrlimit(RLIMIT_CORE, &none) != 0)
		return errmsg_errno(why, "cannot set the core limit");
#ifdef __linux__
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return errmsg_errno(why, "cannot forbid dumps");
#endif
	return RC_OK;
}

enum rc process_lock_memory(void)
{
#ifdef MCL_ONFAULT
	int flags = MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT;
#else
	int flags = MCL_CURRENT | MCL_FUTURE;
#endif
	return mlockall(flags) == 0 ? RC_OK : RC_DENIED;
}

/* May it lock more than any limit says? */
static bool locks_without_limit(void)
{
	struct rlimit limit;
#ifdef __linux__
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	if (syscall(SYS_capget, &header, caps) == 0 &&
	    (caps[0].effective & 1U << CAP_IPC_LOCK) != 0)
		return true;
#endif
	return getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY;
}

enum rc process_lock_what_comes(void)
{
#ifdef MCL_ONFAULT
	if (locks_without_limit() && mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0)
		return RC_OK;
#endif
	return RC_DENIED;
}

void process_offer_to_oom_killer(void)
{
	static const char score[] = "900";
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	ssize_t n = write(fd, score, sizeof(score) - 1);
	(void)n;
	(void)close(fd);
}

void process_stop(void)
{
	if (atomic_exchange(&stopping, true))
		return;
	ssize_t n = write(stop_pipe[1], "x", 1); /* async-signal-safe */
	(void)n;
}

static void on_signal(int sig)
{
	(void)sig;
	process_stop();
}

enum rc process_catch_signals(struct errmsg *why)
{
	struct sigaction stop = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	if (pipe(stop_pipe) != 0)
		return errmsg_errno(why, "cannot make the stop pipe");
	for (int i = 0; i < 2; i++) {
		if (fcntl(stop_pipe[i], F_SETFD, FD_CLOEXEC) != 0)
			return errmsg_errno(why, "cannot set up the stop pipe");
	}
	if (sigemptyset(&stop.sa_mask) != 0 || sigaction(SIGTERM, &stop, NULL) != 0 ||
	    sigaction(SIGINT, &stop, NULL) != 0 || sigaction(SIGPIPE, &ignore, NULL) != 0)
		return errmsg_errno(why, "cannot catch signals");
	return RC_OK;
}

int process_stop_fd(void)
{
	return stop_pipe[0];
}

bool process_stopping(void)
{
	return atomic_load(&stopping);
}

void process_name_thread(const char *name)
{
#ifdef __linux__
	(void)pthread_setname_np(pthread_self(), name);
#else
	(void)name;
#endif
}
