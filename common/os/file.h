/*
 * Files: bounded reads and writes that survive a power cut.
 */
#ifndef OS_FILE_H
#define OS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/errmsg.h"

/*
 * Read a whole regular file of at most `max` bytes.  `*out` is malloc'ed, has
 * a NUL behind its `*len` bytes, and is the caller's to free (and to wipe, if
 * secret).  RC_NOTFOUND, RC_LIMIT, RC_IO, RC_NOMEM.
 */
enum rc file_read(
    const char *path, size_t max, uint8_t **out, size_t *len, struct errmsg *why) RC_CHECK;

/*
 * Replace a file so that after a crash either the old or the new content is
 * there, whole: temporary beside it → write → fsync → rename → fsync of the
 * directory.  `mode` e.g. 0600.
 */
enum rc file_write_atomic(
    const char *path, mode_t mode, const void *bytes, size_t len, struct errmsg *why) RC_CHECK;

/* The same, but RC_EXISTS if `path` is there already. */
enum rc file_create(
    const char *path, mode_t mode, const void *bytes, size_t len, struct errmsg *why) RC_CHECK;

/* mkdir -p with `mode` for the last part; RC_OK if it is there already. */
enum rc file_mkdir(const char *path, mode_t mode, struct errmsg *why) RC_CHECK;

/* fsync a directory, so that names made in it survive. */
enum rc file_sync_dir(const char *path, struct errmsg *why) RC_CHECK;

/* write(2) until done. */
enum rc file_write_all(int fd, const void *bytes, size_t len, struct errmsg *why) RC_CHECK;

bool file_exists(const char *path);

#endif
