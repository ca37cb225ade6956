/*
 * Victim: a child that works on a store until it is killed, and tells its parent
 * through a pipe what it has done.  All of these abort where the system refuses.
 */
#ifndef SUPPORT_STORE_VICTIM_H
#define SUPPORT_STORE_VICTIM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct store_victim {
	pid_t pid;
	int in;
};

/* What the child does; it writes to `out` in pieces that fit a pipe at once.
 * Returning, or leaving by itself, is a failure. */
typedef void store_victim_fn(void *ctx, int out);

void store_victim_start(struct store_victim *victim, store_victim_fn *work, void *ctx);

/* The next `len` bytes that it said; false: it is gone, and this was all. */
bool store_victim_hear(struct store_victim *victim, void *out, size_t len);

/* kill -9; what it had said can still be heard. */
void store_victim_kill(const struct store_victim *victim);

/* Wait for its end.  False: it was not the signal that ended it. */
bool store_victim_end(struct store_victim *victim);

#endif
