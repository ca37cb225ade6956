/* Waker: a pipe that ends another thread's wait. */
#include "wire/waker.h"

#include <fcntl.h>
#include <unistd.h>

enum rc waker_init(struct waker *waker, struct errmsg *why)
{
	atomic_init(&waker->pending, false);
	if (pipe(waker->fds) != 0) {
		waker->fds[0] = waker->fds[1] = -1;
		return errmsg_errno(why, "cannot make a pipe");
	}
	for (int i = 0; i < 2; i++) {
		if (fcntl(waker->fds[i], F_SETFD, FD_CLOEXEC) == 0 &&
		    fcntl(waker->fds[i], F_SETFL, O_NONBLOCK) == 0)
			continue;
		enum rc rc = errmsg_errno(why, "cannot set up a pipe");
		waker_fini(waker);
		return rc;
	}
	return RC_OK;
}

void waker_fini(struct waker *waker)
{
	for (int i = 0; i < 2; i++) {
		if (waker->fds[i] >= 0)
			(void)close(waker->fds[i]);
		waker->fds[i] = -1;
	}
}

void waker_wake(struct waker *waker)
{
	if (atomic_exchange(&waker->pending, true))
		return;
	ssize_t n = write(waker->fds[1], "x", 1); /* full: it is readable anyhow */
	(void)n;
}

void waker_clear(struct waker *waker)
{
	char bytes[16];

	while (read(waker->fds[0], bytes, sizeof(bytes)) > 0)
		;
	atomic_store(&waker->pending, false);
}
