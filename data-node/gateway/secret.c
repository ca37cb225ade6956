/* Secrets from pipes, in a memory file. */
#include "gateway/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/wipe.h"
#include "os/file.h"

static enum rc copy(int from, int to, const char *path, struct errmsg *why)
{
	char bytes[4096];
	size_t total = 0;
	enum rc rc = RC_OK;

	while (rc == RC_OK) {
		ssize_t n = read(from, bytes, sizeof(bytes));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			rc = errmsg_errno(why, "cannot read %s", path);
		if (n <= 0)
			break;
		total += (size_t)n;
		rc = total > SECRET_BYTES_MAX
			 ? errmsg_rc(
			       why, RC_LIMIT, "%s is larger than %zu bytes", path, SECRET_BYTES_MAX)
			 : file_write_all(to, bytes, (size_t)n, why);
	}
	wipe(bytes, sizeof(bytes));
	return rc;
}

enum rc secret_hold(struct secret *secret, const char **path, struct errmsg *why)
{
	struct stat st;

	if (*path == NULL || stat(*path, &st) != 0 || S_ISREG(st.st_mode))
		return RC_OK;
	int from = open(*path, O_RDONLY | O_CLOEXEC);
	if (from < 0)
		return errmsg_errno(why, "cannot open %s", *path);
	secret->fd = memfd_create("secret", MFD_CLOEXEC);
	enum rc rc = secret->fd < 0 ? errmsg_errno(why, "no memory file")
				    : copy(from, secret->fd, *path, why);
	(void)close(from);
	if (rc != RC_OK) {
		secret_drop(secret);
		return rc;
	}
	(void)snprintf(secret->path, sizeof(secret->path), "/proc/self/fd/%d", secret->fd);
	*path = secret->path;
	return RC_OK;
}

void secret_drop(struct secret *secret)
{
	static const char zeros[4096];

	if (secret->fd < 0)
		return;
	off_t len = lseek(secret->fd, 0, SEEK_END);
	if (lseek(secret->fd, 0, SEEK_SET) == 0) {
		for (off_t at = 0; at < len; at += (off_t)sizeof(zeros)) {
			if (file_write_all(secret->fd, zeros, sizeof(zeros), NULL) != RC_OK)
				break;
		}
	}
	(void)close(secret->fd);
	secret->fd = -1;
}
