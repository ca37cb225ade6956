/* seccomp: the list of system calls, through libseccomp. */
#include "os/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define BUILT false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define BUILT false
#endif
#endif
#ifndef BUILT
#define BUILT true
#endif

/* What a server of requests does once all is open.  A name that an architecture
 * does not have is passed over. */
static const char *const allowed[] = {
	/* memory; mapping has its own rules below */
	"brk",
	"munmap",
	"mremap",
	"madvise",
	"mlock",
	"mlock2",
	"munlock",
	/* threads and time */
	"futex",
	"sched_yield",
	"sched_getaffinity",
	"sched_getparam",
	"sched_getscheduler",
	"set_robust_list",
	"rseq",
	"gettid",
	"getpid",
	"clock_gettime",
	"clock_nanosleep",
	"nanosleep",
	"gettimeofday",
	"restart_syscall",
	"membarrier",
	"exit",
	"exit_group",
	"getrandom",
	"getcpu",
	"prlimit64",
	/* signals to itself */
	"rt_sigaction",
	"rt_sigprocmask",
	"rt_sigreturn",
	"sigaltstack",
	/* descriptors that are open, and files for reading */
	"read",
	"write",
	"readv",
	"writev",
	"pread64",
	"lseek",
	"close",
	"fcntl",
	"dup",
	"fstat",
	"stat",
	"newfstatat",
	"statx",
	"lstat",
	"access",
	"faccessat",
	"faccessat2",
	"getdents64",
	"readlink",
	"readlinkat",
	"fadvise64",
	"readahead",
	/* waiting, and the sockets of those who connect */
	"poll",
	"ppoll",
	"epoll_wait",
	"epoll_pwait",
	"epoll_ctl",
	"epoll_create1",
	"eventfd2",
	"pipe2",
	"accept",
	"accept4",
	"recvfrom",
	"recvmsg",
	"sendto",
	"sendmsg",
	"shutdown",
	"getsockopt",
	"setsockopt",
	"getsockname",
	"getpeername",
};

bool confine_built(void)
{
	return BUILT;
}

static int allow(scmp_filter_ctx filter, const char *name)
{
	int call = seccomp_syscall_resolve_name(name);

	return call == __NR_SCMP_ERROR ? 0 : seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0);
}

/* `call` where the bits `mask` of argument `index` are `value`. */
static int allow_bits(
    scmp_filter_ctx filter, int call, unsigned index, scmp_datum_t mask, scmp_datum_t value)
{
	return seccomp_rule_add(
	    filter, SCMP_ACT_ALLOW, call, 1, SCMP_CMP(index, SCMP_CMP_MASKED_EQ, mask, value));
}

/* `call` where argument `index` is `value`. */
static int allow_value(scmp_filter_ctx filter, int call, unsigned index, scmp_datum_t value)
{
	return allow_bits(filter, call, index, UINT64_MAX, value);
}

static int allow_some(scmp_filter_ctx filter)
{
	const scmp_datum_t writing =
	    O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND | (O_TMPFILE & ~O_DIRECTORY);
	int failed = allow_bits(filter, SCMP_SYS(openat), 2, writing, O_RDONLY);

#ifdef __x86_64__
	if (failed == 0)
		failed = allow_bits(filter, SCMP_SYS(open), 1, writing, O_RDONLY);
#endif
	if (failed == 0)
		failed = allow_bits(filter, SCMP_SYS(mmap), 2, PROT_EXEC, 0);
	if (failed == 0)
		failed = allow_bits(filter, SCMP_SYS(mprotect), 2, PROT_EXEC, 0);
	/* Threads; the flags of clone3 lie in memory, out of sight: the C library
	 * takes clone where that one is not there. */
	if (failed == 0)
		failed = allow_bits(filter, SCMP_SYS(clone), 0, CLONE_THREAD, CLONE_THREAD);
	if (failed == 0)
		failed = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	/* A thread that was just started gives itself its name and, in libzmq, the
	 * ordinary turn that it has already. */
	if (failed == 0)
		failed = allow_value(filter, SCMP_SYS(sched_setscheduler), 1, SCHED_OTHER);
	if (failed == 0)
		failed = allow_value(filter, SCMP_SYS(prctl), 0, PR_SET_NAME);
	/* abort(): a signal to a thread of this process.  No other id is ours. */
	if (failed == 0)
		failed = allow_value(filter, SCMP_SYS(tgkill), 0, (scmp_datum_t)getpid());
	return failed;
}

enum rc confine_calls(struct errmsg *why)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);

	if (filter == NULL)
		return errmsg_rc(why, RC_UNSUPPORTED, "no filter of system calls can be made here");
	int failed = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]) && failed == 0; i++)
		failed = allow(filter, allowed[i]);
	if (failed == 0)
		failed = allow_some(filter);
	if (failed == 0)
		failed = seccomp_load(filter);
	seccomp_release(filter);
	if (failed != 0)
		return errmsg_rc(why, RC_UNSUPPORTED,
		    "the kernel grants no filter of system calls: %s", strerror(-failed));
	return RC_OK;
}
