/*
 * Confinement of the process that serves: which files it goes on to need, and
 * that it can do nothing else.
 *
 * It reads its models' directories, its own directory (the allow-list may change)
 * and figures of memory; it writes nothing, starts nothing, connects to nobody.
 */
#ifndef SERVE_CONFINEMENT_H
#define SERVE_CONFINEMENT_H

#include "base/arena.h"
#include "conf/conf.h"
#include "serve/home.h"

struct confinement {
	const struct home *home;
	const struct conf_list *models;
	const char *memory_root;
	const char *listen; /* "tcp://HOST:PORT" */
};

/* Before any thread starts and any model is opened; confine_calls() follows when all
 * is ready.  RC_UNSUPPORTED: the kernel does not grant it. */
enum rc confinement_of_files(
    const struct confinement *what, struct arena *arena, struct errmsg *why) RC_CHECK;

#endif
