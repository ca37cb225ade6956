/*
 * Backup place: which directory may hold a backup, and what lies in it.
 *
 * Nothing of anybody is ever overwritten or removed: a place is empty, or holds
 * a backup of this timeline, or what a first run of it that was broken off left.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/backup_internal.h"
#include "base/hex.h"
#include "os/file_shred.h"

/* Is `inner` the directory `outer`, or in it?  Both resolved. */
static bool inside(const char *inner, const char *outer)
{
	size_t len = strlen(outer);

	return strncmp(inner, outer, len) == 0 &&
	       (inner[len] == '\0' || inner[len] == '/' || strcmp(outer, "/") == 0);
}

/* The path that DEST will have, resolved as far as it is there. */
static enum rc resolve(const char *path, char out[PATH_MAX], struct errmsg *why)
{
	char head[PATH_MAX];

	if (path[0] != '/' || strlen(path) > BACKUP_PATH_BYTES_MAX)
		return errmsg_rc(why, RC_INVALID,
		    "a backup needs a whole path of at most %zu bytes", BACKUP_PATH_BYTES_MAX);
	if (realpath(path, out) != NULL)
		return RC_OK;
	if (errno != ENOENT)
		return errmsg_errno(why, "cannot look at %s", path);
	memcpy(head, path, strlen(path) + 1);
	char *slash = strrchr(head, '/');
	while (slash > head && slash[1] == '\0') {
		*slash = '\0'; /* a slash at the end */
		slash = strrchr(head, '/');
	}
	char *name = slash + 1;
	char parent[PATH_MAX];
	*slash = '\0';
	if (strcmp(name, "..") == 0 || strcmp(name, ".") == 0)
		return errmsg_rc(why, RC_INVALID, "%s is no name for a backup", path);
	enum rc rc = RC_OK;
	if (head[0] == '\0')
		parent[0] = '\0';
	else
		rc = resolve(head, parent, why);
	if (rc == RC_OK && snprintf(out, PATH_MAX, "%s/%s", strcmp(parent, "/") == 0 ? "" : parent,
			       name) >= PATH_MAX)
		rc = errmsg_rc(why, RC_LIMIT, "path too long");
	return rc;
}

static enum rc check_path(const char *dir, const char *dest, struct errmsg *why)
{
	char real_dir[PATH_MAX], real_dest[PATH_MAX];

	if (realpath(dir, real_dir) == NULL)
		return errmsg_errno(why, "cannot look at %s", dir);
	enum rc rc = resolve(dest, real_dest, why);
	if (rc != RC_OK)
		return rc;
	if (inside(real_dest, real_dir))
		return errmsg_rc(why, RC_INVALID,
		    "%s lies in the directory it is to protect: choose another disk", dest);
	if (inside(real_dir, real_dest))
		return errmsg_rc(why, RC_INVALID,
		    "%s holds the directory it is to protect: choose another one", dest);
	return RC_OK;
}

/* Whose unfinished first run is it?  RC_NOTFOUND: nobody's. */
static enum rc part_check(
    const char *dest, const uint8_t store_id[MANIFEST_ID_BYTES], struct errmsg *why)
{
	char want[2 * MANIFEST_ID_BYTES + 1];
	struct backup_path path;
	uint8_t *text = NULL;
	size_t len = 0;

	enum rc rc = backup_path(dest, BACKUP_PART, &path, why);
	if (rc == RC_OK && !file_exists(path.text))
		return RC_NOTFOUND;
	if (rc == RC_OK)
		rc = file_read(path.text, 64, &text, &len, why);
	hex_encode(store_id, MANIFEST_ID_BYTES, want);
	if (rc == RC_OK && (len != strlen(want) || memcmp(text, want, len) != 0))
		rc = errmsg_rc(
		    why, RC_EXISTS, "%s holds an unfinished backup of another timeline", dest);
	free(text);
	return rc;
}

static enum rc part_put(
    const char *dest, const uint8_t store_id[MANIFEST_ID_BYTES], struct errmsg *why)
{
	char text[2 * MANIFEST_ID_BYTES + 1];
	struct backup_path path;

	hex_encode(store_id, MANIFEST_ID_BYTES, text);
	enum rc rc = backup_path(dest, BACKUP_PART, &path, why);
	return rc == RC_OK ? file_write_atomic(path.text, 0600, text, strlen(text), why) : rc;
}

/* But for our lock and what every disk has. */
static enum rc is_empty(const char *dest, bool *out, struct errmsg *why)
{
	const struct dirent *e;
	DIR *d = opendir(dest);

	if (d == NULL)
		return errmsg_errno(why, "cannot open %s", dest);
	*out = true;
	while ((e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		    strcmp(e->d_name, "lost+found") != 0 && strcmp(e->d_name, BACKUP_LOCK) != 0)
			*out = false;
	}
	(void)closedir(d);
	return RC_OK;
}

static enum rc lock_take(const char *dest, int *out, struct errmsg *why)
{
	struct backup_path path;

	enum rc rc = backup_path(dest, BACKUP_LOCK, &path, why);
	if (rc != RC_OK)
		return rc;
	int fd = open(path.text, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return errmsg_errno(why, "cannot write in %s", dest);
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		rc = errno == EWOULDBLOCK
			 ? errmsg_rc(why, RC_BUSY, "another backup to %s is running", dest)
			 : errmsg_errno(why, "cannot lock %s", path.text);
		(void)close(fd);
		return rc;
	}
	*out = fd;
	return RC_OK;
}

static enum rc content_check(
    const char *dest, const uint8_t store_id[MANIFEST_ID_BYTES], struct errmsg *why)
{
	struct backup_path manifest;
	bool empty = false;

	enum rc rc = backup_path(dest, BACKUP_MANIFEST, &manifest, why);
	if (rc != RC_OK || file_exists(manifest.text))
		return rc; /* read, and judged, by the run */
	rc = part_check(dest, store_id, why);
	if (rc != RC_NOTFOUND)
		return rc;
	rc = is_empty(dest, &empty, why);
	if (rc == RC_OK && !empty)
		rc = errmsg_rc(why, RC_EXISTS,
		    "%s is not empty and holds no backup: nothing was changed", dest);
	return rc == RC_OK ? part_put(dest, store_id, why) : rc;
}

enum rc backup_place_take(const char *dir, const char *dest,
    const uint8_t store_id[MANIFEST_ID_BYTES], int *lock_fd, struct errmsg *why)
{
	bool empty = true;

	enum rc rc = check_path(dir, dest, why);
	if (rc == RC_OK)
		rc = file_mkdir(dest, 0700, why);
	/* Before a lock file is put into what is none of ours. */
	struct backup_path manifest, part;
	if (rc == RC_OK)
		rc = backup_path(dest, BACKUP_MANIFEST, &manifest, why);
	if (rc == RC_OK)
		rc = backup_path(dest, BACKUP_PART, &part, why);
	if (rc == RC_OK && !file_exists(manifest.text) && !file_exists(part.text))
		rc = is_empty(dest, &empty, why);
	if (rc == RC_OK && !empty)
		rc = errmsg_rc(why, RC_EXISTS,
		    "%s is not empty and holds no backup: nothing was changed", dest);
	if (rc == RC_OK)
		rc = lock_take(dest, lock_fd, why);
	if (rc != RC_OK)
		return rc;
	rc = content_check(dest, store_id, why);
	if (rc != RC_OK)
		(void)close(*lock_fd);
	return rc;
}

enum rc backup_manifest_read(
    const char *dest, char **text, size_t *len, struct manifest *out, struct errmsg *why)
{
	struct backup_path path;
	uint8_t *bytes = NULL;

	enum rc rc = backup_path(dest, BACKUP_MANIFEST, &path, why);
	if (rc != RC_OK)
		return rc;
	if (!file_exists(path.text))
		return errmsg_rc(why, RC_NOTFOUND, "%s holds no backup", dest);
	rc = file_read(path.text, MANIFEST_BYTES_MAX, &bytes, len, why);
	if (rc == RC_OK)
		rc = manifest_decode((const char *)bytes, *len, out, why);
	if (rc != RC_OK) {
		free(bytes);
		return rc;
	}
	*text = (char *)bytes;
	return RC_OK;
}

/* Ours by its name: KIND-…, or a file on its way to become one. */
static bool is_ours(const char *name)
{
	for (unsigned kind = 0; kind < MANIFEST_KIND_COUNT; kind++) {
		const char *word = manifest_kind_word((enum manifest_kind)kind);
		size_t len = strlen(word);
		if (strncmp(name, word, len) == 0 && name[len] == '-')
			return true;
	}
	return strcmp(name, BACKUP_PART) == 0 || strcmp(name, BACKUP_MANIFEST ".tmp") == 0;
}

static bool is_listed(const struct manifest *manifest, const char *name)
{
	for (size_t i = 0; i < manifest->files_len; i++) {
		if (strcmp(manifest->files[i].name, name) == 0)
			return true;
	}
	return false;
}

/* Keys that were dropped must not be found in what is left of an old file. */
static enum rc remove_file(const char *dest, const char *name, struct errmsg *why)
{
	struct backup_path path;

	enum rc rc = backup_path(dest, name, &path, why);
	if (rc != RC_OK)
		return rc;
	if (strncmp(name, "keyring-", strlen("keyring-")) == 0)
		return file_shred(path.text, why);
	if (unlink(path.text) != 0 && errno != ENOENT)
		return errmsg_errno(why, "cannot remove %s", path.text);
	return RC_OK;
}

enum rc backup_place_sweep(const char *dest, const struct manifest *manifest, struct errmsg *why)
{
	const struct dirent *e;
	DIR *d = opendir(dest);
	enum rc rc = RC_OK;

	if (d == NULL)
		return errmsg_errno(why, "cannot open %s", dest);
	while ((e = readdir(d)) != NULL && rc == RC_OK) {
		if (!is_ours(e->d_name) || is_listed(manifest, e->d_name))
			continue;
		rc = remove_file(dest, e->d_name, why);
	}
	(void)closedir(d);
	return rc == RC_OK ? file_sync_dir(dest, why) : rc;
}
