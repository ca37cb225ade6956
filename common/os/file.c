/* Files: bounded reads and writes that survive a power cut. */
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/wipe.h"

bool file_exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

/* Read to the end of file, one byte more than `max` tells "too large". */
static enum rc read_all(
    int fd, const char *path, size_t max, uint8_t *bytes, size_t *len, struct errmsg *why)
{
	size_t got = 0;

	while (got <= max) {
		ssize_t n = read(fd, bytes + got, max + 1 - got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errmsg_errno(why, "cannot read %s", path);
		if (n == 0)
			break;
		got += (size_t)n;
	}
	if (got > max)
		return errmsg_rc(why, RC_LIMIT, "%s is larger than %zu bytes", path, max);
	bytes[got] = 0;
	*len = got;
	return RC_OK;
}

enum rc file_read(const char *path, size_t max, uint8_t **out, size_t *len, struct errmsg *why)
{
	uint8_t *bytes = NULL;
	size_t cap = 0;
	struct stat st;
	enum rc rc;

	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errmsg_errno(why, "cannot open %s", path);
	if (fstat(fd, &st) != 0) {
		rc = errmsg_errno(why, "cannot stat %s", path);
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		rc = errmsg_rc(why, RC_INVALID, "%s is not a regular file", path);
		goto out;
	}
	if ((uintmax_t)st.st_size > max) {
		rc = errmsg_rc(why, RC_LIMIT, "%s is larger than %zu bytes", path, max);
		goto out;
	}
	cap = (size_t)st.st_size + 2;
	bytes = malloc(cap);
	if (bytes == NULL) {
		rc = RC_NOMEM;
		goto out;
	}
	rc = read_all(fd, path, (size_t)st.st_size, bytes, len, why);
	if (rc != RC_OK)
		goto out;
	*out = bytes;
	bytes = NULL;
out:
	if (bytes != NULL)
		wipe(bytes, cap);
	free(bytes);
	(void)close(fd);
	return rc;
}

enum rc file_write_all(int fd, const void *bytes, size_t len, struct errmsg *why)
{
	const uint8_t *p = bytes;

	while (len > 0) {
		ssize_t n = write(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errmsg_errno(why, "cannot write");
		p += n;
		len -= (size_t)n;
	}
	return RC_OK;
}

enum rc file_sync_dir(const char *path, struct errmsg *why)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return errmsg_errno(why, "cannot open directory %s", path);
	enum rc rc = RC_OK;
	if (fsync(fd) != 0) {
		(void)errmsg_errno(why, "cannot sync directory %s", path);
		rc = RC_IO; /* also out of room: what it covers is not known any more */
	}
	(void)close(fd);
	return rc;
}

static enum rc sync_parent(const char *path, struct errmsg *why)
{
	char copy[PATH_MAX];

	if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy))
		return errmsg_rc(why, RC_LIMIT, "path too long");
	return file_sync_dir(dirname(copy), why);
}

/* A fresh file.  What stands in the way, or a lack of descriptors, is no I/O error. */
static enum rc open_temp(const char *temp, mode_t mode, int *fd, struct errmsg *why)
{
	/* Whoever died between link() and unlink() left it as a second name of the
	 * live file: never write into what is there. */
	if (unlink(temp) != 0 && errno != ENOENT) {
		enum rc rc = errno == EISDIR || errno == EPERM ? RC_EXISTS : RC_OK;
		enum rc other = errmsg_errno(why, "cannot remove %s", temp);
		return rc != RC_OK ? rc : other;
	}
	*fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (*fd >= 0)
		return RC_OK;
	bool busy = errno == EMFILE || errno == ENFILE;
	enum rc rc = errmsg_errno(why, "cannot create %s", temp);
	return busy ? RC_AGAIN : rc;
}

static enum rc write_temp(
    const char *temp, mode_t mode, const void *bytes, size_t len, struct errmsg *why)
{
	int fd = -1;

	enum rc rc = open_temp(temp, mode, &fd, why);
	if (rc != RC_OK)
		return rc;
	rc = file_write_all(fd, bytes, len, why);
	if (rc == RC_OK && fsync(fd) != 0)
		rc = errmsg_errno(why, "cannot sync %s", temp);
	if (close(fd) != 0 && rc == RC_OK)
		rc = errmsg_errno(why, "cannot close %s", temp);
	return rc;
}

static enum rc write_through_temp(
    const char *path, mode_t mode, const void *bytes, size_t len, bool replace, struct errmsg *why)
{
	char temp[PATH_MAX];

	if (snprintf(temp, sizeof(temp), "%s.tmp", path) >= (int)sizeof(temp))
		return errmsg_rc(why, RC_LIMIT, "path too long");
	enum rc rc = write_temp(temp, mode, bytes, len, why);
	if (rc == RC_OK && !replace) {
		if (link(temp, path) != 0)
			rc = errmsg_errno(why, "cannot create %s", path);
		(void)unlink(temp);
	} else if (rc == RC_OK && rename(temp, path) != 0) {
		rc = errmsg_errno(why, "cannot replace %s", path);
	}
	if (rc != RC_OK) {
		(void)unlink(temp);
		return rc;
	}
	return sync_parent(path, why);
}

enum rc file_write_atomic(
    const char *path, mode_t mode, const void *bytes, size_t len, struct errmsg *why)
{
	return write_through_temp(path, mode, bytes, len, true, why);
}

enum rc file_create(
    const char *path, mode_t mode, const void *bytes, size_t len, struct errmsg *why)
{
	return write_through_temp(path, mode, bytes, len, false, why);
}

enum rc file_mkdir(const char *path, mode_t mode, struct errmsg *why)
{
	char part[PATH_MAX];

	if (snprintf(part, sizeof(part), "%s", path) >= (int)sizeof(part) || part[0] == '\0')
		return errmsg_rc(why, RC_INVALID, "bad directory name");
	for (char *p = part + 1; *p != '\0'; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		enum rc rc = RC_OK;
		if (mkdir(part, 0755) == 0)
			rc = sync_parent(part, why);
		else if (errno != EEXIST)
			rc = errmsg_errno(why, "cannot make directory %s", part);
		if (rc != RC_OK)
			return rc;
		*p = '/';
	}
	if (mkdir(part, mode) == 0)
		return sync_parent(part, why);
	struct stat st;
	if (errno != EEXIST)
		return errmsg_errno(why, "cannot make directory %s", part);
	if (stat(part, &st) != 0 || !S_ISDIR(st.st_mode))
		return errmsg_rc(why, RC_EXISTS, "%s is not a directory", part);
	return RC_OK;
}
