/*
 * Shredding: a file's old bytes are overwritten before they are let go.
 *
 * For small files of keys.  On file systems that write in place (ext4, xfs)
 * the blocks are overwritten; one that copies on write, a snapshot or the spare
 * cells of a flash disk may keep them, which is why the operator guide
 * recommends disk encryption below.
 */
#ifndef OS_FILE_SHRED_H
#define OS_FILE_SHRED_H

#include "os/file.h"

/*
 * file_write_atomic(), then what `path` held before is overwritten.  Until that
 * is done it stands beside the new file as PATH.old, so that
 * file_shred_rest() can finish after a crash.
 */
enum rc file_replace_shred(
    const char *path, mode_t mode, const void *bytes, size_t len, struct errmsg *why) RC_CHECK;

/* Overwrite and remove PATH.old, if a crash left one. */
enum rc file_shred_rest(const char *path, struct errmsg *why) RC_CHECK;

/* Overwrite and remove `path`; RC_OK if there is none. */
enum rc file_shred(const char *path, struct errmsg *why) RC_CHECK;

#endif
