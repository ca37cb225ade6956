/*
 * Watch: the page of memory that the supervisor and its worker share.
 *
 * The worker writes how it is, the supervisor reads that, and the other way
 * round; neither ever waits for the other.  It holds numbers and the address
 * listened on, no content.  The supervisor makes one for each worker and hands it
 * on as a descriptor named by an environment variable; both close that at once.
 */
#ifndef SERVE_WATCH_H
#define SERVE_WATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/errmsg.h"

#define WATCH_ADDRESS_BYTES 160
#define WATCH_MODELS_MAX 16

struct watch {
	/* The worker's. */
	_Atomic uint64_t pulse;            /* moves on while it is alive, in a pass too */
	atomic_bool ready;                 /* it serves; only then its pulse counts */
	char address[WATCH_ADDRESS_BYTES]; /* bound; written before `ready`, kept for the next */
	/* Of each model which it is and how many of its layers its device computes, kept for
	 * the next: struct fleet_parted. */
	struct {
		_Atomic uint64_t model;
		_Atomic uint32_t device_layers; /* 0 while the two are written */
	} parted[WATCH_MODELS_MAX];

	/* The supervisor's. */
	atomic_bool short_of_memory; /* take nothing new, close idle leases */
	_Atomic uint64_t restarts, memory_kills, watchdog_kills;
	unsigned halvings; /* of the context, for a smaller plan; before a start */
};

/*
 * For the supervisor: a new page for the next worker, which takes over what stays
 * true from the last one (`*watch`, NULL at first), and which the environment
 * names by `*fd`.  The caller closes that after the worker has been started.  On
 * failure `*watch` is as it was.
 */
enum rc watch_renew(struct watch **watch, int *fd, struct errmsg *why) RC_CHECK;

/* For the worker: what its supervisor made; `*out` is NULL without one.  From
 * here on the worker ends when the supervisor does, however that ends. */
enum rc watch_attach(struct watch **out, struct errmsg *why) RC_CHECK;

#endif
