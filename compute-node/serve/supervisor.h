/*
 * Supervisor: the process that an operator starts.  It holds no model, no key
 * and no socket; it runs the worker, which serves, looks at the host's memory ten
 * times a second, and brings the worker back whenever it is gone.
 *
 *   worker ends by itself or is killed   started again at once; after lives of less
 *                                        than a second later and later, to a
 *                                        second, to half a minute if it never served
 *   says nothing for `watchdog_ns`       killed, started again
 *   host below the soft floor            told to take nothing new
 *   below the hard floor, or the kernel  killed at once; when there is room
 *   killed it for memory                 again, started with half the context
 *
 * Each worker listens where the one before did, and has as many layers of its models on
 * their device: an answer goes on there with the same text.
 * A worker that ends before it ever served ends the supervisor with its exit
 * code: a configuration or a plan that cannot work is not tried again.
 * The service manager hears READY, WATCHDOG, STATUS and STOPPING.
 */
#ifndef SERVE_SUPERVISOR_H
#define SERVE_SUPERVISOR_H

#include "base/errmsg.h"
#include "serve/guard.h"

struct supervisor_config {
	int argc; /* of the command, as the worker is to have them */
	char *const *argv;
	const char *memory_root; /* see os/memory.h */
	struct guard_config guard;
	int64_t watchdog_ns; /* 0: none */
};

/* Until a signal asks for the end; `*code` is the exit code of the process.
 * After process_catch_signals(), before any thread. */
enum rc supervisor_run(
    const struct supervisor_config *config, int *code, struct errmsg *why) RC_CHECK;

#endif
