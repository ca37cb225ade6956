/*
 * Home: the one directory a compute node keeps, with its key, the list of data
 * nodes it lets in, and its configuration.  Never user data.
 *
 *   key           its secret key, mode 0600
 *   allow         public keys of data nodes, one a line
 *   compute.conf  options of `serve`
 */
#ifndef SERVE_HOME_H
#define SERVE_HOME_H

#include "base/arena.h"
#include "base/errmsg.h"

struct home {
	const char *dir, *key, *allow, *conf; /* paths, in the arena */
};

/* `dir` NULL: ~/.config/hearth-compute.  RC_CONFIG: no home directory is known. */
enum rc home_paths(
    const char *dir, struct arena *arena, struct home *out, struct errmsg *why) RC_CHECK;

#endif
