/*
 * Backup dir: a data node's directory while it is made from somewhere else.
 *
 * A file DIR/unfinished stands from the first change to the last, so that what
 * was broken off is begun anew and never taken for a data node.
 */
#ifndef BACKUP_BACKUP_DIR_H
#define BACKUP_BACKUP_DIR_H

#include <stdbool.h>

#include "base/errmsg.h"

#define BACKUP_DIR_MARK "unfinished"

/* Take DIR: missing, empty (a key may lie there), or unfinished, which is emptied
 * but for key and wire.key.  RC_EXISTS: there is something else in it. */
enum rc backup_dir_begin(const char *dir, struct errmsg *why) RC_CHECK;
bool backup_dir_begun(const char *dir);
/* Leave DIR as begin found it; for a start that came to nothing. */
void backup_dir_undo(const char *dir);
/* All of it is there and on disk. */
enum rc backup_dir_end(const char *dir, struct errmsg *why) RC_CHECK;

#endif
