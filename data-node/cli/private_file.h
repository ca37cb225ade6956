/*
 * Private file: a text that an editor may change, and that rests on no disk.
 *
 * In a directory of its own (mode 0700) where files are memory ($XDG_RUNTIME_DIR,
 * /dev/shm), so that what the editor writes beside it is there too; all of it is
 * overwritten and removed at the end.
 */
#ifndef CLI_PRIVATE_FILE_H
#define CLI_PRIVATE_FILE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/errmsg.h"

#define PRIVATE_FILE_PATH_BYTES 512

struct private_file {
	char dir[PRIVATE_FILE_PATH_BYTES], path[PRIVATE_FILE_PATH_BYTES];
};

/*
 * A file of that name with `text` in it (mode 0600).  RC_UNSUPPORTED: there is no
 * such place; with `on_disk` $TMPDIR or /tmp will do.  On RC_OK private_file_remove()
 * follows.
 */
enum rc private_file_make(const char *name, const char *text, size_t len, bool on_disk,
    struct private_file *out, struct errmsg *why) RC_CHECK;

/*
 * Run $VISUAL, else $EDITOR, else vi on it and wait.  Signals from the terminal go to
 * the editor; those that end this process wait until the file is gone.  RC_IO: it did
 * not run, or ended with a failure.
 */
enum rc private_file_edit(const struct private_file *file, struct errmsg *why) RC_CHECK;

/* What is in it now: RC_LIMIT past `out`'s maximum. */
enum rc private_file_read(
    const struct private_file *file, struct buf *out, struct errmsg *why) RC_CHECK;

/* Everything in the directory is overwritten and removed, and the directory. */
enum rc private_file_remove(struct private_file *file, struct errmsg *why) RC_CHECK;

#endif
