/*
 * Waker: lets any thread end another one's wait, through a pipe.  Inside wire
 * only.
 */
#ifndef WIRE_WAKER_H
#define WIRE_WAKER_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/errmsg.h"

struct waker {
	int fds[2]; /* -1: not open */
	atomic_bool pending;
};

#define WAKER_INIT                                                                                 \
	{                                                                                          \
		.fds = { -1, -1 }                                                                  \
	}

enum rc waker_init(struct waker *waker, struct errmsg *why) RC_CHECK;
void waker_fini(struct waker *waker);

/* Any thread; never blocks; many wakes before a clear are one. */
void waker_wake(struct waker *waker);

/* The waiting thread, once fds[0] is readable: forget the wakes so far, before
 * looking at what they were for. */
void waker_clear(struct waker *waker);

#endif
