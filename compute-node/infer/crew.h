/*
 * Crew: steady threads that run one function together.
 *
 * All threads of a crew, the caller among them, run the same function; work is
 * shared out by crew_take() and stages are parted by crew_barrier().  Waiting
 * threads spin for a moment, then sleep.
 */
#ifndef INFER_CREW_H
#define INFER_CREW_H

#include <stddef.h>

#include "base/errmsg.h"

#define CREW_THREADS_MAX 256u

struct crew;

typedef void crew_fn(void *arg, unsigned thread);

/* `n` threads, the caller of crew_run() being thread 0. */
enum rc crew_new(unsigned n, struct crew **out, struct errmsg *why) RC_CHECK;
void crew_free(struct crew *crew);
unsigned crew_size(const struct crew *crew);

/* Run `fn(arg, thread)` on every thread; returns when all have returned.
 * One caller at a time. */
void crew_run(struct crew *crew, crew_fn *fn, void *arg);

/* All threads wait for each other; what was written before is seen after. */
void crew_barrier(struct crew *crew);

/* The next unit of the current stage: 0, 1, 2, … each given out once.  Starts
 * at 0 after every barrier and at the start of a run. */
size_t crew_take(struct crew *crew);

/* Cores this process may run on. */
unsigned crew_cores(void);

#endif
