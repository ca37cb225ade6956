/* Store lock: one process per directory, on a local file system only. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "os/file.h"
#include "store/store_internal.h"

#define PID_BYTES 32
#define MOUNT_LINE_BYTES 4096

/* Who holds it: what the holder wrote into the file. */
static enum rc lock_busy(int fd, const char *dir, struct errmsg *why)
{
	char text[PID_BYTES] = "";
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	long pid = n > 0 ? strtol(text, NULL, 10) : 0;

	if (pid > 0)
		return errmsg_rc(
		    why, RC_BUSY, "%s is in use by process %ld: stop that one first", dir, pid);
	return errmsg_rc(why, RC_BUSY, "%s is in use by another process", dir);
}

/* For the message of whoever comes second; on a full disk it stays unsaid. */
static void lock_note_pid(int fd)
{
	char text[PID_BYTES];
	int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	if (ftruncate(fd, 0) == 0)
		(void)!pwrite(fd, text, (size_t)n, 0);
}

enum rc store_lock(const char *dir, bool shared, int *out, struct errmsg *why)
{
	char path[4096];
	enum rc rc = RC_OK;

	if (snprintf(path, sizeof(path), "%s/lock", dir) >= (int)sizeof(path))
		return errmsg_rc(why, RC_LIMIT, "path too long");
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return errmsg_errno(why, "cannot open %s", path);
	while (flock(fd, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0) {
		if (errno == EINTR)
			continue;
		rc = errno == EWOULDBLOCK ? lock_busy(fd, dir, why)
					  : errmsg_errno(why, "cannot lock %s", path);
		break;
	}
	if (rc == RC_OK && !shared)
		lock_note_pid(fd);
	if (rc != RC_OK) {
		(void)close(fd);
		return rc;
	}
	*out = fd;
	return RC_OK;
}

static const char *network_name(unsigned long magic)
{
	static const struct {
		unsigned long magic;
		const char *name;
	} table[] = {
		{ 0x6969, "NFS" },
		{ 0x517B, "SMB" },
		{ 0xFF534D42, "CIFS" },
		{ 0xFE534D42, "SMB2" },
		{ 0x01021997, "9p" },
		{ 0x5346414F, "AFS" },
		{ 0x6B414653, "AFS" },
		{ 0x73757245, "Coda" },
		{ 0x00C36400, "Ceph" },
		{ 0x564C, "NCP" },
		{ 0x7461636F, "OCFS2" },
		{ 0x01161970, "GFS2" },
		{ 0x0BD00BD0, "Lustre" },
		{ 0x19830326, "BeeGFS" },
		{ 0x47504653, "GPFS" },
		{ 0xAAD7AAEA, "PanFS" },
		{ 0x786F4256, "a shared folder" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (table[i].magic == (magic & 0xFFFFFFFFul))
			return table[i].name;
	}
	return NULL;
}

/* FUSE is local (NTFS, encryption) or remote: the mount's type says which. */
static bool fuse_is_remote(const char *type)
{
	static const char *const remote[] = { "sshfs", "rclone", "gluster", "s3fs", "davfs",
		"curlftpfs", "cephfs", "moosefs", "mfs", "lizardfs", "gcsfuse", "gvfs", "smbnetfs",
		"nfs", "goofys", "juicefs", "google-drive", "onedriver" };

	for (size_t i = 0; i < sizeof(remote) / sizeof(remote[0]); i++) {
		if (strstr(type, remote[i]) != NULL)
			return true;
	}
	return false;
}

/* Type of the mount that holds `device`, from /proc/self/mountinfo. */
static bool mount_type(dev_t device, char *type, size_t cap)
{
	char line[MOUNT_LINE_BYTES];
	bool found = false;
	FILE *f = fopen("/proc/self/mountinfo", "re");

	if (f == NULL)
		return false;
	while (!found && fgets(line, sizeof(line), f) != NULL) {
		char *save = NULL, *field = strtok_r(line, " ", &save);
		char want[64];
		for (int i = 0; field != NULL && i < 2; i++)
			field = strtok_r(NULL, " ", &save);
		(void)snprintf(want, sizeof(want), "%u:%u", major(device), minor(device));
		if (field == NULL || strcmp(field, want) != 0)
			continue;
		while (field != NULL && strcmp(field, "-") != 0)
			field = strtok_r(NULL, " ", &save);
		field = field == NULL ? NULL : strtok_r(NULL, " ", &save);
		if (field != NULL) {
			(void)snprintf(type, cap, "%s", field);
			found = true;
		}
	}
	(void)fclose(f);
	return found;
}

enum rc store_filesystem_check(const char *dir, struct errmsg *why)
{
	struct statfs fs;
	struct stat st;
	char type[256];

	if (statfs(dir, &fs) != 0 || stat(dir, &st) != 0)
		return errmsg_errno(why, "cannot look at %s", dir);
	const char *name = network_name((unsigned long)fs.f_type);
	if (name == NULL && (unsigned long)fs.f_type == 0x65735546ul &&
	    mount_type(st.st_dev, type, sizeof(type)) && fuse_is_remote(type))
		name = type;
	if (name != NULL)
		return errmsg_rc(why, RC_UNSUPPORTED,
		    "%s lies on a network file system (%s): the store needs a local disk", dir,
		    name);
	return RC_OK;
}
