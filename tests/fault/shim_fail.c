/*
 * Preloaded shim: makes the Nth call of one kind fail.
 *
 *   HEARTH_FAULT_DIR    only calls on files below this directory count
 *   HEARTH_FAULT        CALL:N:HOW, e.g. fdatasync:3:EIO or pwrite:7:short;
 *                       CALL is write, pwrite, writev, fsync, fdatasync, rename,
 *                       link, ftruncate or open; HOW is EIO, ENOSPC, EINTR, short
 *   HEARTH_FAULT_COUNT  a file that gets "CALL COUNT" lines when the program ends
 *
 * A failing sync also forgets what it was asked to keep, as kernels do: the
 * next sync of that file would say that all is well.
 *
 * Allocations are counted only between fault_arm(n) and fault_disarm(), which a
 * program finds by dlsym: the nth from there on fails.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS_MAX 1024

enum call {
	C_WRITE,
	C_PWRITE,
	C_WRITEV,
	C_FSYNC,
	C_FDATASYNC,
	C_RENAME,
	C_LINK,
	C_TRUNCATE,
	C_OPEN,
	C_COUNT
};
static const char *const names[C_COUNT] = { "write", "pwrite", "writev", "fsync", "fdatasync",
	"rename", "link", "ftruncate", "open" };

void fault_arm(unsigned long n);
bool fault_disarm(void);
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);

static atomic_ulong counts[C_COUNT];
static atomic_bool inside_fd[FDS_MAX];
static enum call fault_call = C_COUNT;
static unsigned long fault_n;
static int fault_errno;
static bool fault_short;
static const char *dir;
static size_t dir_len;
static atomic_long left; /* allocations until the one that fails; ≤ 0: unarmed */
static atomic_bool fired;

static void *next(const char *name)
{
	void *sym = dlsym(RTLD_NEXT, name);

	if (sym == NULL)
		abort();
	return sym;
}
/* A pointer to the real function, looked up once. */
#define REAL(type, name)                                                                           \
	static __typeof__(type) real;                                                              \
	if (real == NULL) {                                                                        \
		void *sym = next(name);                                                            \
		memcpy(&real, &sym, sizeof(sym));                                                  \
	}

__attribute__((constructor)) static void begin(void)
{
	static const struct {
		const char *word;
		int err;
	} errors[] = { { "EIO", EIO }, { "ENOSPC", ENOSPC }, { "EINTR", EINTR } };
	const char *fault = getenv("HEARTH_FAULT");
	char call[16] = "", how[16] = "";

	dir = getenv("HEARTH_FAULT_DIR");
	dir_len = dir == NULL ? 0 : strlen(dir);
	if (fault == NULL)
		return;
	if (sscanf(fault, "%15[a-z]:%lu:%15s", call, &fault_n, how) != 3)
		abort();
	for (unsigned i = 0; i < C_COUNT; i++) {
		if (strcmp(call, names[i]) == 0)
			fault_call = (enum call)i;
	}
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		if (strcmp(how, errors[i].word) == 0)
			fault_errno = errors[i].err;
	}
	fault_short = strcmp(how, "short") == 0;
	if (fault_call == C_COUNT || (fault_errno == 0 && !fault_short))
		abort();
}

__attribute__((destructor)) static void end(void)
{
	const char *path = getenv("HEARTH_FAULT_COUNT");
	FILE *f = path == NULL ? NULL : fopen(path, "we");

	for (unsigned i = 0; f != NULL && i < C_COUNT; i++)
		(void)fprintf(f, "%s %lu\n", names[i], atomic_load(&counts[i]));
	if (f != NULL)
		(void)fclose(f);
}

static bool inside(const char *path)
{
	return dir != NULL && strncmp(path, dir, dir_len) == 0 &&
	       (path[dir_len] == '/' || path[dir_len] == '\0');
}

static bool counted(int fd)
{
	return fd >= 0 && fd < FDS_MAX && atomic_load(&inside_fd[fd]);
}

/* Is this the call that fails? */
static bool strikes(enum call call)
{
	return atomic_fetch_add(&counts[call], 1) + 1 == fault_n && call == fault_call;
}

static int fails(void)
{
	errno = fault_short ? EIO : fault_errno;
	return -1;
}

static int open_counted(const char *path, int flags, mode_t mode)
{
	REAL(int (*)(const char *, int, ...), "open")
	bool in = inside(path);

	if (in && strikes(C_OPEN))
		return fails();
	int fd = real(path, flags, mode);
	if (fd >= 0 && fd < FDS_MAX)
		atomic_store(&inside_fd[fd], in);
	return fd;
}

int open(const char *path, int flags, ...)
{
	va_list ap;

	va_start(ap, flags);
	mode_t mode = (flags & O_CREAT) != 0 ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return open_counted(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	va_list ap;

	va_start(ap, flags);
	mode_t mode = (flags & O_CREAT) != 0 ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return open_counted(path, flags, mode);
}

int close(int fd)
{
	REAL(int (*)(int), "close")
	if (fd >= 0 && fd < FDS_MAX)
		atomic_store(&inside_fd[fd], false);
	return real(fd);
}

ssize_t write(int fd, const void *bytes, size_t len)
{
	REAL(ssize_t(*)(int, const void *, size_t), "write")
	if (counted(fd) && strikes(C_WRITE)) {
		if (!fault_short)
			return fails();
		len = len > 1 ? len / 2 : len;
	}
	return real(fd, bytes, len);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
	REAL(ssize_t(*)(int, const void *, size_t, off_t), "pwrite")
	if (counted(fd) && strikes(C_PWRITE)) {
		if (!fault_short)
			return fails();
		len = len > 1 ? len / 2 : len;
	}
	return real(fd, bytes, len, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off_t offset)
{
	return pwrite(fd, bytes, len, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int n)
{
	REAL(ssize_t(*)(int, const struct iovec *, int), "writev")
	if (counted(fd) && strikes(C_WRITEV)) {
		if (!fault_short)
			return fails();
		return write(fd, parts[0].iov_base, parts[0].iov_len / 2);
	}
	return real(fd, parts, n);
}

/* EIO of a sync: the kernel reports it once and takes the pages for clean. */
int fsync(int fd)
{
	REAL(int (*)(int), "fsync")
	return counted(fd) && strikes(C_FSYNC) ? fails() : real(fd);
}

int fdatasync(int fd)
{
	REAL(int (*)(int), "fdatasync")
	return counted(fd) && strikes(C_FDATASYNC) ? fails() : real(fd);
}

int ftruncate(int fd, off_t size)
{
	REAL(int (*)(int, off_t), "ftruncate")
	return counted(fd) && strikes(C_TRUNCATE) ? fails() : real(fd, size);
}

int rename(const char *from, const char *to)
{
	REAL(int (*)(const char *, const char *), "rename")
	return inside(to) && strikes(C_RENAME) ? fails() : real(from, to);
}

int link(const char *from, const char *to)
{
	REAL(int (*)(const char *, const char *), "link")
	return inside(to) && strikes(C_LINK) ? fails() : real(from, to);
}

/* ---- allocations ----------------------------------------------------------- */

void fault_arm(unsigned long n)
{
	atomic_store(&fired, false);
	atomic_store(&left, (long)n);
}

bool fault_disarm(void)
{
	atomic_store(&left, 0);
	return atomic_load(&fired);
}

static bool allocation_fails(void)
{
	if (atomic_load(&left) <= 0 || atomic_fetch_sub(&left, 1) != 1)
		return false;
	atomic_store(&fired, true);
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return allocation_fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return allocation_fails() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
	return allocation_fails() ? NULL : __libc_realloc(old, size);
}
