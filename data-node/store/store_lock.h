/*
 * Store lock: one process a directory, on a local disk.
 *
 * flock(2) on DIR/lock, held by whoever has the store open or changes its
 * keyring; the kernel lets go of it when the process ends.
 */
#ifndef STORE_STORE_LOCK_H
#define STORE_STORE_LOCK_H

#include <stdbool.h>

#include "base/errmsg.h"

/* Lock of the directory (not of one database); fd into *out, close(2) lets go.
 * RC_BUSY. */
enum rc store_lock(const char *dir, bool shared, int *out, struct errmsg *why) RC_CHECK;

/* RC_UNSUPPORTED on a network file system. */
enum rc store_filesystem_check(const char *dir, struct errmsg *why) RC_CHECK;

#endif
