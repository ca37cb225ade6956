/* Private files: where they lie, the editor, and how they go. */
#include "cli/private_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/file.h"
#include "os/file_shred.h"

/* statfs(2): file systems that are memory. */
#define TMPFS 0x01021994
#define RAMFS 0x858458f6

static bool is_memory(const char *dir)
{
	struct statfs fs;

	return dir != NULL && dir[0] == '/' && statfs(dir, &fs) == 0 &&
	       ((unsigned long)fs.f_type == TMPFS || (unsigned long)fs.f_type == RAMFS);
}

static const int ending[] = { SIGINT, SIGQUIT, SIGTERM, SIGHUP };

static void fill_ending(sigset_t *out)
{
	(void)sigemptyset(out);
	for (size_t i = 0; i < sizeof ending / sizeof ending[0]; i++)
		(void)sigaddset(out, ending[i]);
}

static enum rc hold_signals(struct private_file *file, struct errmsg *why)
{
	sigset_t held;

	fill_ending(&held);
	return sigprocmask(SIG_BLOCK, &held, &file->before) == 0
		   ? RC_OK
		   : errmsg_errno(why, "signals cannot be held back");
}

static void let_signals_come(const struct private_file *file)
{
	(void)sigprocmask(SIG_SETMASK, &file->before, NULL);
}

bool private_file_told_to_end(void)
{
	sigset_t pending;

	if (sigpending(&pending) != 0)
		return false;
	for (size_t i = 0; i < sizeof ending / sizeof ending[0]; i++) {
		if (sigismember(&pending, ending[i]) == 1)
			return true;
	}
	return false;
}

static enum rc make_dir(const char *in, struct private_file *out)
{
	return (size_t)snprintf(out->dir, sizeof out->dir, "%s/hearth-XXXXXX", in) <
			   sizeof out->dir &&
		       mkdtemp(out->dir) != NULL
		   ? RC_OK
		   : RC_IO;
}

static enum rc find_place(bool on_disk, struct private_file *out, struct errmsg *why)
{
	const char *const places[] = { getenv("XDG_RUNTIME_DIR"), "/dev/shm" };

	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		if (is_memory(places[i]) && make_dir(places[i], out) == RC_OK)
			return RC_OK;
	}
	if (!on_disk)
		return errmsg_rc(why, RC_UNSUPPORTED,
		    "no place whose files are memory: neither $XDG_RUNTIME_DIR nor /dev/shm; "
		    "--on-disk takes a directory on disk");
	const char *tmp = getenv("TMPDIR");
	if (make_dir(tmp != NULL && tmp[0] == '/' ? tmp : "/tmp", out) == RC_OK)
		return RC_OK;
	return errmsg_errno(why, "no directory for the text");
}

enum rc private_file_make(const char *name, const char *text, size_t len, bool on_disk,
    struct private_file *out, struct errmsg *why)
{
	enum rc rc = hold_signals(out, why);

	if (rc != RC_OK)
		return rc;
	rc = find_place(on_disk, out, why);
	if (rc != RC_OK) {
		let_signals_come(out);
		return rc;
	}
	int n = snprintf(out->path, sizeof out->path, "%s/%s", out->dir, name);
	int fd = n > 0 && (size_t)n < sizeof out->path
		     ? open(out->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)
		     : -1;
	if (fd < 0)
		rc = errmsg_errno(why, "no file for the text");
	else
		rc = file_write_all(fd, text, len, why);
	if (fd >= 0)
		(void)close(fd);
	if (rc != RC_OK && private_file_remove(out, why) != RC_OK)
		return rc;
	return rc;
}

/* ---- the editor ------------------------------------------------------------------------- */

static const char *editor(void)
{
	const char *visual = getenv("VISUAL"), *named = getenv("EDITOR");

	if (visual != NULL && visual[0] != '\0')
		return visual;
	return named != NULL && named[0] != '\0' ? named : "vi";
}

/* In the child.  The command may have arguments of its own: a shell parts them. */
static _Noreturn void become_editor(const struct private_file *file)
{
	char command[PRIVATE_FILE_PATH_BYTES];
	char shell[] = "sh", flag[] = "-c", path[PRIVATE_FILE_PATH_BYTES];
	char *const argv[] = { shell, flag, command, shell, path, NULL };

	(void)snprintf(command, sizeof command, "exec %s \"$1\"", editor());
	(void)snprintf(path, sizeof path, "%s", file->path);
	(void)umask(0077);
	let_signals_come(file);
	(void)execv("/bin/sh", argv);
	_exit(127);
}

static enum rc wait_for(pid_t pid, struct errmsg *why)
{
	int status = 0;
	pid_t got;

	do
		got = waitpid(pid, &status, 0);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errmsg_errno(why, "the editor was lost");
	return WIFEXITED(status) && WEXITSTATUS(status) == 0
		   ? RC_OK
		   : errmsg_rc(why, RC_IO,
			 "the editor did not run or ended with a failure; nothing was changed");
}

/* ^C and ^\ were meant for the editor. */
static void drop_from_terminal(void)
{
	const struct timespec now = { .tv_sec = 0 };
	sigset_t terminal;

	(void)sigemptyset(&terminal);
	(void)sigaddset(&terminal, SIGINT);
	(void)sigaddset(&terminal, SIGQUIT);
	while (sigtimedwait(&terminal, NULL, &now) >= 0)
		;
}

enum rc private_file_edit(const struct private_file *file, struct errmsg *why)
{
	if (private_file_told_to_end())
		return errmsg_rc(why, RC_CANCELLED, "told to end; nothing was changed");
	pid_t pid = fork();
	if (pid == 0)
		become_editor(file);
	enum rc rc = pid < 0 ? errmsg_errno(why, "no process for the editor") : wait_for(pid, why);
	if (pid > 0)
		drop_from_terminal();
	if (private_file_told_to_end())
		rc = errmsg_rc(why, RC_CANCELLED, "told to end; nothing was changed");
	return rc;
}

/* ---- reading and removing ------------------------------------------------------------------ */

enum rc private_file_read(const struct private_file *file, struct buf *out, struct errmsg *why)
{
	uint8_t *bytes = NULL;
	size_t len = 0;

	enum rc rc = file_read(file->path, out->max, &bytes, &len, why);
	if (rc != RC_OK)
		return rc;
	buf_append(out, bytes, len);
	explicit_bzero(bytes, len);
	free(bytes);
	return buf_rc(out);
}

enum rc private_file_remove(struct private_file *file, struct errmsg *why)
{
	char path[2 * PRIVATE_FILE_PATH_BYTES];
	DIR *dir = opendir(file->dir);
	enum rc rc = dir != NULL ? RC_OK : errmsg_errno(why, "cannot open %s", file->dir);
	const struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		(void)snprintf(path, sizeof path, "%s/%s", file->dir, entry->d_name);
		enum rc one = file_shred(path, why);
		rc = rc == RC_OK ? one : rc;
	}
	if (dir != NULL)
		(void)closedir(dir);
	if (rc == RC_OK && rmdir(file->dir) != 0)
		rc = errmsg_errno(why, "%s was not removed", file->dir);
	let_signals_come(file);
	return rc;
}
