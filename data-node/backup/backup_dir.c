/* Backup dir: begun, emptied, finished. */
#include "backup/backup_dir.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/backup_internal.h"
#include "os/file.h"

static bool harmless(const char *name)
{
	static const char *const names[] = { ".", "..", "lost+found", "key", "data.conf" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

/* What one that was broken off may have left. */
static enum rc leftovers_remove(const char *dir, struct errmsg *why)
{
	static const char *const leftovers[] = { "keyring", "keyring.tmp", "lock", "control.sock",
		"timeline.new/data.mdb", "timeline.new/lock.mdb", "timeline.new",
		"timeline/data.mdb", "timeline/lock.mdb", "timeline", "catalogue.sqlite",
		"catalogue.sqlite-wal", "catalogue.sqlite-shm", "catalogue.sqlite.tmp",
		"policy.json", "policy.json.tmp", "cloud.json", "cloud.json.tmp" };
	struct backup_path path;
	enum rc rc = RC_OK;

	for (size_t i = 0; i < sizeof(leftovers) / sizeof(leftovers[0]) && rc == RC_OK; i++) {
		rc = backup_path(dir, leftovers[i], &path, why);
		if (rc == RC_OK && remove(path.text) != 0 && errno != ENOENT && errno != ENOTDIR)
			rc = errmsg_errno(why, "cannot remove %s", path.text);
	}
	return rc;
}

enum rc backup_dir_begin(const char *dir, struct errmsg *why)
{
	struct backup_path mark;
	const struct dirent *e;
	bool empty = true;

	enum rc rc = file_mkdir(dir, 0700, why);
	if (rc == RC_OK)
		rc = backup_path(dir, BACKUP_DIR_MARK, &mark, why);
	if (rc == RC_OK && file_exists(mark.text))
		return leftovers_remove(dir, why);
	DIR *d = rc == RC_OK ? opendir(dir) : NULL;
	if (rc == RC_OK && d == NULL)
		rc = errmsg_errno(why, "cannot open %s", dir);
	if (rc != RC_OK)
		return rc;
	while ((e = readdir(d)) != NULL)
		empty = empty && harmless(e->d_name);
	(void)closedir(d);
	if (!empty)
		return errmsg_rc(why, RC_EXISTS, "%s is not empty; nothing was changed", dir);
	if (chmod(dir, 0700) != 0)
		return errmsg_errno(why, "cannot make %s private", dir);
	return file_create(mark.text, 0600, "", 0, why);
}

bool backup_dir_begun(const char *dir)
{
	struct backup_path mark;

	return backup_path(dir, BACKUP_DIR_MARK, &mark, NULL) == RC_OK && file_exists(mark.text);
}

void backup_dir_undo(const char *dir)
{
	struct backup_path mark;

	/* What cannot be removed stays marked as unfinished. */
	if (backup_path(dir, BACKUP_DIR_MARK, &mark, NULL) == RC_OK &&
	    leftovers_remove(dir, NULL) == RC_OK)
		(void)unlink(mark.text);
}

enum rc backup_dir_end(const char *dir, struct errmsg *why)
{
	struct backup_path mark;

	enum rc rc = file_sync_dir(dir, why);
	if (rc == RC_OK)
		rc = backup_path(dir, BACKUP_DIR_MARK, &mark, why);
	if (rc == RC_OK && unlink(mark.text) != 0)
		rc = errmsg_errno(why, "cannot remove %s", mark.text);
	return rc == RC_OK ? file_sync_dir(dir, why) : rc;
}
