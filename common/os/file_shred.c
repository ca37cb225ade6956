/* Shredding: overwrite, sync, and only then let go. */
#include "os/file_shred.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/random.h"

static enum rc overwrite(int fd, const char *path, struct errmsg *why)
{
	uint8_t noise[4096];
	struct stat st;

	if (fstat(fd, &st) != 0)
		return errmsg_errno(why, "cannot stat %s", path);
	for (off_t left = st.st_size; left > 0;) {
		size_t n = left < (off_t)sizeof(noise) ? (size_t)left : sizeof(noise);
		random_bytes(noise, n);
		enum rc rc = file_write_all(fd, noise, n, why);
		if (rc != RC_OK)
			return rc;
		left -= (off_t)n;
	}
	return fsync(fd) == 0 ? RC_OK : errmsg_errno(why, "cannot sync %s", path);
}

static enum rc remove_name(const char *path, struct errmsg *why)
{
	char copy[PATH_MAX];

	if (unlink(path) != 0 && errno != ENOENT)
		return errmsg_errno(why, "cannot remove %s", path);
	(void)snprintf(copy, sizeof(copy), "%s", path);
	return file_sync_dir(dirname(copy), why);
}

enum rc file_shred(const char *path, struct errmsg *why)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return errno == ENOENT ? RC_OK : errmsg_errno(why, "cannot open %s", path);
	enum rc rc = overwrite(fd, path, why);
	(void)close(fd);
	return rc == RC_OK ? remove_name(path, why) : rc;
}

static enum rc old_name(const char *path, char out[PATH_MAX], struct errmsg *why)
{
	if (snprintf(out, PATH_MAX, "%s.old", path) >= PATH_MAX)
		return errmsg_rc(why, RC_LIMIT, "path too long");
	return RC_OK;
}

enum rc file_shred_rest(const char *path, struct errmsg *why)
{
	char old[PATH_MAX];
	struct stat now, rest;

	enum rc rc = old_name(path, old, why);
	if (rc != RC_OK || stat(old, &rest) != 0)
		return rc;
	/* Cut off before the new file took its place: only a second name. */
	if (stat(path, &now) == 0 && now.st_ino == rest.st_ino && now.st_dev == rest.st_dev)
		return remove_name(old, why);
	return file_shred(old, why);
}

enum rc file_replace_shred(
    const char *path, mode_t mode, const void *bytes, size_t len, struct errmsg *why)
{
	char old[PATH_MAX];

	enum rc rc = file_shred_rest(path, why);
	if (rc == RC_OK)
		rc = old_name(path, old, why);
	if (rc != RC_OK)
		return rc;
	/* A file system without second names: the old bytes are left to it. */
	bool kept = link(path, old) == 0;
	if (!kept && errno != ENOENT && errno != EPERM && errno != EOPNOTSUPP && errno != EMLINK)
		return errmsg_errno(why, "cannot keep %s until it is overwritten", path);
	rc = file_write_atomic(path, mode, bytes, len, why);
	return rc == RC_OK && kept ? file_shred_rest(path, why) : rc;
}
