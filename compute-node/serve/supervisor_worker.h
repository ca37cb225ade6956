/*
 * The worker as the supervisor sees it: this program once more, as a child.
 * One thread.
 */
#ifndef SERVE_SUPERVISOR_WORKER_H
#define SERVE_SUPERVISOR_WORKER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/errmsg.h"
#include "serve/watch.h"

struct worker {
	pid_t pid;    /* 0: none */
	int alive_fd; /* reads its end once the process has ended */
};

/* Run `serve` with these arguments.  The kernel takes it first if memory ends. */
enum rc worker_start(
    struct worker *worker, int argc, char *const *argv, struct errmsg *why) RC_CHECK;

/* True once the process is over; does not wait. */
bool worker_ended(const struct worker *worker);

/* Its wait status; waits for it. */
int worker_reap(struct worker *worker);

#endif
