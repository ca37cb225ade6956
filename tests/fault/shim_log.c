/*
 * Preloaded shim: logs every change to the files of one directory.
 *
 *   HEARTH_LOG_DIR   the directory, as the program names it
 *   HEARTH_LOG_FILE  where the log (write_log.h) goes
 *   HEARTH_LOG_MARK  a file whose writes become marks in the log
 *
 * One lock is held over each call and its record, so the log's order is the
 * order in which the changes happened.  A call that this file does not know how
 * to log (fallocate, a shared writable map of a data file) ends the program.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "write_log.h"

#define FDS_MAX 1024
#define FILES_MAX 65536

enum fd_kind { FD_OTHER, FD_FILE, FD_DIR, FD_MARK };

static struct fd {
	enum fd_kind kind;
	bool dsync, append;
	uint64_t file;
	char path[256];
} fds[FDS_MAX];

static struct file {
	dev_t dev;
	ino_t ino;
} files[FILES_MAX]; /* by number, from 1 */
static uint64_t files_len;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;
static const char *dir, *mark;
static size_t dir_len;

static int (*real_open)(const char *, int, ...);
static int (*real_close)(int);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static ssize_t (*real_pwritev)(int, const struct iovec *, int, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_ftruncate)(int, off_t);
static int (*real_rename)(const char *, const char *);
static int (*real_link)(const char *, const char *);
static int (*real_unlink)(const char *);
static int (*real_rmdir)(const char *);
static int (*real_mkdir)(const char *, mode_t);

static _Noreturn void give_up(const char *what)
{
	(void)dprintf(STDERR_FILENO, "shim_log: %s\n", what);
	abort();
}

static void find(void *slot, const char *name)
{
	void *sym = dlsym(RTLD_NEXT, name);

	if (sym == NULL)
		give_up(name);
	memcpy(slot, &sym, sizeof(sym));
}

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("HEARTH_LOG_FILE");

	find(&real_open, "open");
	find(&real_close, "close");
	find(&real_write, "write");
	find(&real_pwrite, "pwrite");
	find(&real_writev, "writev");
	find(&real_pwritev, "pwritev");
	find(&real_fsync, "fsync");
	find(&real_fdatasync, "fdatasync");
	find(&real_ftruncate, "ftruncate");
	find(&real_rename, "rename");
	find(&real_link, "link");
	find(&real_unlink, "unlink");
	find(&real_rmdir, "rmdir");
	find(&real_mkdir, "mkdir");
	dir = getenv("HEARTH_LOG_DIR");
	mark = getenv("HEARTH_LOG_MARK");
	if (path == NULL || dir == NULL)
		return;
	dir_len = strlen(dir);
	log_fd = real_open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (log_fd < 0)
		give_up("no log");
}

/* The part behind DIR, NULL if it is elsewhere. */
static const char *inside(const char *path)
{
	if (log_fd < 0 || strncmp(path, dir, dir_len) != 0)
		return NULL;
	if (path[dir_len] == '\0')
		return path + dir_len;
	return path[dir_len] == '/' ? path + dir_len + 1 : NULL;
}

static struct fd *fd_of(int fd)
{
	return log_fd >= 0 && fd >= 0 && fd < FDS_MAX && fds[fd].kind != FD_OTHER ? &fds[fd] : NULL;
}

static void put(const void *bytes, size_t len)
{
	if (len > 0 && real_write(log_fd, bytes, len) != (ssize_t)len)
		give_up("the log cannot be written");
}

static void record(enum write_log_type type, const struct fd *fd, const char *path,
    const char *path2, int64_t offset, const void *data, size_t data_len)
{
	int saved = errno;
	struct write_log_record r = {
		.type = type,
		.dsync = fd != NULL && fd->dsync,
		.file = fd != NULL ? fd->file : 0,
		.offset = offset,
		.path_len = (uint32_t)strlen(path),
		.path2_len = (uint32_t)strlen(path2),
		.data_len = (uint32_t)data_len,
	};

	put(&r, sizeof(r));
	put(path, r.path_len);
	put(path2, r.path2_len);
	put(data, data_len);
	errno = saved;
}

static void written(struct fd *fd, int64_t offset, const void *data, ssize_t len)
{
	if (len > 0)
		record(fd->kind == FD_MARK ? WRITE_LOG_MARK : WRITE_LOG_WRITE, fd, "", "", offset,
		    data, (size_t)len);
}

/* The number of an open file; a made one gets a new number. */
static uint64_t number_of(const struct stat *st, bool made)
{
	for (uint64_t i = files_len; i > 0 && !made; i--) {
		if (files[i].dev == st->st_dev && files[i].ino == st->st_ino)
			return i;
	}
	if (files_len + 1 >= FILES_MAX)
		give_up("too many files");
	files[++files_len] = (struct file){ st->st_dev, st->st_ino };
	return files_len;
}

static void opened(int number, const char *name, int flags, bool made)
{
	struct fd *fd = &fds[number];
	struct stat st;

	if (number >= FDS_MAX || fstat(number, &st) != 0)
		give_up("a descriptor out of range");
	*fd = (struct fd){
		.kind = S_ISDIR(st.st_mode) ? FD_DIR : FD_FILE,
		.dsync = (flags & (O_DSYNC | O_SYNC)) != 0,
		.append = (flags & O_APPEND) != 0,
	};
	if (snprintf(fd->path, sizeof(fd->path), "%s", name) >= (int)sizeof(fd->path))
		give_up("a path is too long");
	if (fd->kind == FD_DIR)
		return;
	fd->file = number_of(&st, made);
	if (made)
		record(WRITE_LOG_CREATE, fd, name, "", 0, NULL, 0);
	else if ((flags & O_TRUNC) != 0)
		record(WRITE_LOG_TRUNCATE, fd, "", "", 0, NULL, 0);
}

static int open_logged(const char *path, int flags, mode_t mode)
{
	const char *name = inside(path);
	bool is_mark = log_fd >= 0 && mark != NULL && strcmp(path, mark) == 0;

	if (name == NULL && !is_mark)
		return real_open(path, flags, mode);
	(void)pthread_mutex_lock(&lock);
	bool made = (flags & O_CREAT) != 0 && access(path, F_OK) != 0;
	int number = real_open(path, flags, mode);
	if (number >= 0 && is_mark && number < FDS_MAX)
		fds[number] = (struct fd){ .kind = FD_MARK };
	else if (number >= 0)
		opened(number, name, flags, made);
	(void)pthread_mutex_unlock(&lock);
	return number;
}

int open(const char *path, int flags, ...)
{
	va_list ap;

	va_start(ap, flags);
	mode_t mode = (flags & O_CREAT) != 0 ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return open_logged(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	va_list ap;

	va_start(ap, flags);
	mode_t mode = (flags & O_CREAT) != 0 ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return open_logged(path, flags, mode);
}

int openat(int at, const char *path, int flags, ...)
{
	va_list ap;

	va_start(ap, flags);
	mode_t mode = (flags & O_CREAT) != 0 ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	if (path[0] != '/' && at != AT_FDCWD)
		give_up("openat below a descriptor");
	return open_logged(path, flags, mode);
}

int close(int number)
{
	if (fd_of(number) != NULL) {
		(void)pthread_mutex_lock(&lock);
		fds[number].kind = FD_OTHER;
		(void)pthread_mutex_unlock(&lock);
	}
	return real_close(number);
}

ssize_t write(int number, const void *bytes, size_t len)
{
	struct fd *fd = fd_of(number);

	if (fd == NULL)
		return real_write(number, bytes, len);
	(void)pthread_mutex_lock(&lock);
	int64_t offset = lseek(number, 0, fd->append ? SEEK_END : SEEK_CUR);
	ssize_t n = real_write(number, bytes, len);
	written(fd, offset, bytes, n);
	(void)pthread_mutex_unlock(&lock);
	return n;
}

ssize_t pwrite(int number, const void *bytes, size_t len, off_t offset)
{
	struct fd *fd = fd_of(number);

	if (fd == NULL)
		return real_pwrite(number, bytes, len, offset);
	(void)pthread_mutex_lock(&lock);
	ssize_t n = real_pwrite(number, bytes, len, offset);
	written(fd, offset, bytes, n);
	(void)pthread_mutex_unlock(&lock);
	return n;
}

ssize_t pwrite64(int number, const void *bytes, size_t len, off_t offset)
{
	return pwrite(number, bytes, len, offset);
}

static void written_parts(
    struct fd *fd, int64_t offset, const struct iovec *parts, int n, ssize_t left)
{
	for (int i = 0; i < n && left > 0; i++) {
		ssize_t len = (ssize_t)parts[i].iov_len < left ? (ssize_t)parts[i].iov_len : left;
		written(fd, offset, parts[i].iov_base, len);
		offset += len;
		left -= len;
	}
}

ssize_t writev(int number, const struct iovec *parts, int n)
{
	struct fd *fd = fd_of(number);

	if (fd == NULL)
		return real_writev(number, parts, n);
	(void)pthread_mutex_lock(&lock);
	int64_t offset = lseek(number, 0, fd->append ? SEEK_END : SEEK_CUR);
	ssize_t done = real_writev(number, parts, n);
	written_parts(fd, offset, parts, n, done);
	(void)pthread_mutex_unlock(&lock);
	return done;
}

ssize_t pwritev(int number, const struct iovec *parts, int n, off_t offset)
{
	struct fd *fd = fd_of(number);

	if (fd == NULL)
		return real_pwritev(number, parts, n, offset);
	(void)pthread_mutex_lock(&lock);
	ssize_t done = real_pwritev(number, parts, n, offset);
	written_parts(fd, offset, parts, n, done);
	(void)pthread_mutex_unlock(&lock);
	return done;
}

static int sync_logged(int number, int (*real)(int))
{
	struct fd *fd = fd_of(number);

	if (fd == NULL)
		return real(number);
	(void)pthread_mutex_lock(&lock);
	int r = real(number);
	if (r == 0)
		record(fd->kind == FD_DIR ? WRITE_LOG_SYNC_DIR : WRITE_LOG_SYNC, fd, fd->path, "",
		    0, NULL, 0);
	(void)pthread_mutex_unlock(&lock);
	return r;
}

int fsync(int number)
{
	return sync_logged(number, real_fsync);
}

int fdatasync(int number)
{
	return sync_logged(number, real_fdatasync);
}

int ftruncate(int number, off_t size)
{
	struct fd *fd = fd_of(number);

	if (fd == NULL)
		return real_ftruncate(number, size);
	(void)pthread_mutex_lock(&lock);
	int r = real_ftruncate(number, size);
	if (r == 0)
		record(WRITE_LOG_TRUNCATE, fd, "", "", size, NULL, 0);
	(void)pthread_mutex_unlock(&lock);
	return r;
}

int ftruncate64(int number, off_t size)
{
	return ftruncate(number, size);
}

/* It promises nothing about what a power cut leaves: no record. */
int sync_file_range(int number, off64_t offset, off64_t len, unsigned flags)
{
	(void)number;
	(void)offset;
	(void)len;
	(void)flags;
	return 0;
}

int fallocate(int number, int mode, off_t offset, off_t len)
{
	(void)mode;
	(void)offset;
	(void)len;
	if (fd_of(number) != NULL)
		give_up("fallocate is not logged");
	errno = EOPNOTSUPP;
	return -1;
}

static int two_paths(const char *from, const char *to, int (*real)(const char *, const char *),
    enum write_log_type type)
{
	const char *a = inside(from), *b = inside(to);

	if (a == NULL && b == NULL)
		return real(from, to);
	if (a == NULL || b == NULL)
		give_up("a name moves over the border of the directory");
	(void)pthread_mutex_lock(&lock);
	int r = real(from, to);
	if (r == 0)
		record(type, NULL, a, b, 0, NULL, 0);
	(void)pthread_mutex_unlock(&lock);
	return r;
}

int rename(const char *from, const char *to)
{
	return two_paths(from, to, real_rename, WRITE_LOG_RENAME);
}

int link(const char *from, const char *to)
{
	return two_paths(from, to, real_link, WRITE_LOG_LINK);
}

static int gone(const char *path, int (*real)(const char *), enum write_log_type type)
{
	const char *name = inside(path);

	if (name == NULL)
		return real(path);
	(void)pthread_mutex_lock(&lock);
	int r = real(path);
	if (r == 0)
		record(type, NULL, name, "", 0, NULL, 0);
	(void)pthread_mutex_unlock(&lock);
	return r;
}

int unlink(const char *path)
{
	return gone(path, real_unlink, WRITE_LOG_UNLINK);
}

int rmdir(const char *path)
{
	return gone(path, real_rmdir, WRITE_LOG_RMDIR);
}

int mkdir(const char *path, mode_t mode)
{
	const char *name = inside(path);

	if (name == NULL)
		return real_mkdir(path, mode);
	(void)pthread_mutex_lock(&lock);
	int r = real_mkdir(path, mode);
	if (r == 0 && name[0] != '\0')
		record(WRITE_LOG_MKDIR, NULL, name, "", 0, NULL, 0);
	(void)pthread_mutex_unlock(&lock);
	return r;
}
