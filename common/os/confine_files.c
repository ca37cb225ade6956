/* Landlock, through its system calls: the C library has no names for them. */
#include "os/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The interface as the kernel's documentation has it; older headers lack the
 * later parts.  Rights come with versions ("ABI"). */
#define RULE_PATH 1
#define RULE_PORT 2
#define FLAG_VERSION 1u
#define FS_READ_FILE (UINT64_C(1) << 2)
#define FS_READ_DIR (UINT64_C(1) << 3)
#define FS_ALL_1 ((UINT64_C(1) << 13) - 1)
#define FS_REFER (UINT64_C(1) << 13)     /* 2 */
#define FS_TRUNCATE (UINT64_C(1) << 14)  /* 3 */
#define FS_IOCTL_DEV (UINT64_C(1) << 15) /* 5 */
#define NET_BIND_TCP UINT64_C(1)         /* 4 */
#define NET_CONNECT_TCP UINT64_C(2)
#define SCOPE_ALL UINT64_C(3) /* 6: abstract sockets, signals */
#define ABI_NET 4
#define ABI_SCOPE 6

struct ruleset {
	uint64_t fs, net, scoped;
};
struct path_rule {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));
struct port_rule {
	uint64_t allowed, port;
};

static struct ruleset handled_of(long abi, uint16_t port)
{
	struct ruleset handled = { .fs = FS_ALL_1 };

	handled.fs |= abi >= 2 ? FS_REFER : 0;
	handled.fs |= abi >= 3 ? FS_TRUNCATE : 0;
	handled.fs |= abi >= 5 ? FS_IOCTL_DEV : 0;
	handled.net = abi < ABI_NET ? 0
		      : port != 0   ? NET_BIND_TCP | NET_CONNECT_TCP
				    : NET_CONNECT_TCP;
	handled.scoped = abi >= ABI_SCOPE ? SCOPE_ALL : 0;
	return handled;
}

/* Kernels refuse a struct with bytes that they do not know. */
static size_t ruleset_bytes(long abi)
{
	return abi >= ABI_SCOPE ? sizeof(struct ruleset)
	       : abi >= ABI_NET ? offsetof(struct ruleset, scoped)
				: offsetof(struct ruleset, net);
}

static enum rc add_path(int ruleset, const char *path, struct errmsg *why)
{
	struct path_rule rule = { .allowed = FS_READ_FILE };
	struct stat st;

	rule.fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? RC_OK : errmsg_errno(why, "%s", path);
	if (fstat(rule.fd, &st) == 0 && S_ISDIR(st.st_mode))
		rule.allowed |= FS_READ_DIR;
	long failed = syscall(SYS_landlock_add_rule, ruleset, RULE_PATH, &rule, 0);
	enum rc rc = failed != 0 ? errmsg_errno(why, "cannot allow %s to be read", path) : RC_OK;
	(void)close(rule.fd);
	return rc;
}

static enum rc add_port(int ruleset, uint16_t port, struct errmsg *why)
{
	const struct port_rule rule = { .allowed = NET_BIND_TCP, .port = port };

	if (syscall(SYS_landlock_add_rule, ruleset, RULE_PORT, &rule, 0) != 0)
		return errmsg_errno(why, "cannot allow port %u to be bound", (unsigned)port);
	return RC_OK;
}

static enum rc restrict_self(int ruleset, struct errmsg *why)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
		return errmsg_errno(why, "cannot confine the process to its files");
	return RC_OK;
}

enum rc confine_files(const char *const *paths, size_t n, uint16_t port, struct errmsg *why)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, FLAG_VERSION);

	if (abi < 1)
		return errmsg_rc(
		    why, RC_UNSUPPORTED, "the kernel grants no Landlock (Linux 5.13 and later do)");
	const struct ruleset handled = handled_of(abi, port);
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &handled, ruleset_bytes(abi), 0);
	if (ruleset < 0)
		return errmsg_errno(why, "cannot make a Landlock ruleset");
	enum rc rc = RC_OK;
	for (size_t i = 0; i < n && rc == RC_OK; i++)
		rc = add_path(ruleset, paths[i], why);
	if (rc == RC_OK && (handled.net & NET_BIND_TCP) != 0)
		rc = add_port(ruleset, port, why);
	if (rc == RC_OK)
		rc = restrict_self(ruleset, why);
	(void)close(ruleset);
	return rc;
}
