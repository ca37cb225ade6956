/*
 * Secret: a passphrase or key that comes through a pipe, held for the moment
 * that it is needed, in memory that has a path but never touches a disk.
 *
 * The keyring reads its unlocking file by path, and at `init` more than once;
 * `--passphrase-file <(pass show hearth)` or /dev/stdin can be read only once.
 */
#ifndef GATEWAY_SECRET_H
#define GATEWAY_SECRET_H

#include "base/errmsg.h"

#define SECRET_BYTES_MAX ((size_t)64 << 10)
#define SECRET_PATH_BYTES 40

struct secret {
	int fd; /* -1: nothing is held */
	char path[SECRET_PATH_BYTES];
};

#define SECRET_INIT                                                                                \
	{                                                                                          \
		-1,                                                                                \
		{                                                                                  \
			0                                                                          \
		}                                                                                  \
	}

/*
 * If `*path` names something that is no regular file, read it and make `*path`
 * point to the copy held in `secret`; else leave it alone (also NULL, or if
 * nothing is there).  RC_LIMIT: larger than SECRET_BYTES_MAX.
 */
enum rc secret_hold(struct secret *secret, const char **path, struct errmsg *why) RC_CHECK;

/* Wipe and let go. */
void secret_drop(struct secret *secret);

#endif
