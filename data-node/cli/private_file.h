/*
 * Private file: a text that an editor may change, and that rests on no disk.
 *
 * In a directory of its own (mode 0700) where files are memory ($XDG_RUNTIME_DIR,
 * /dev/shm), so that what the editor writes beside it is there too; all of it is
 * overwritten and removed at the end.
 *
 * Signals that end a process (INT, QUIT, TERM, HUP) wait from private_file_make() until
 * private_file_remove(): none of them leaves the text behind.  For a process of one thread.
 */
#ifndef CLI_PRIVATE_FILE_H
#define CLI_PRIVATE_FILE_H

#include <signal.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/errmsg.h"

#define PRIVATE_FILE_PATH_BYTES 512

struct private_file {
	char dir[PRIVATE_FILE_PATH_BYTES], path[PRIVATE_FILE_PATH_BYTES];
	sigset_t before; /* the signals that were held back already */
};

/*
 * A file of that name with `text` in it (mode 0600).  RC_UNSUPPORTED: there is no
 * such place; with `on_disk` $TMPDIR or /tmp will do.  On RC_OK private_file_remove()
 * follows, and signals are held back until then.
 */
enum rc private_file_make(const char *name, const char *text, size_t len, bool on_disk,
    struct private_file *out, struct errmsg *why) RC_CHECK;

/*
 * Run $VISUAL, else $EDITOR, else vi on it and wait.  ^C and ^\ are the editor's while it
 * runs.  RC_IO: it did not run, or ended with a failure.  RC_CANCELLED: told to end.
 */
enum rc private_file_edit(const struct private_file *file, struct errmsg *why) RC_CHECK;

/* A signal waits that will end this process: nothing is to be asked any more. */
bool private_file_told_to_end(void);

/* What is in it now: RC_LIMIT past `out`'s maximum. */
enum rc private_file_read(
    const struct private_file *file, struct buf *out, struct errmsg *why) RC_CHECK;

/* Everything in the directory is overwritten and removed, and the directory; then come the
 * signals that were held back, and it may be that this does not return. */
enum rc private_file_remove(struct private_file *file, struct errmsg *why) RC_CHECK;

#endif
