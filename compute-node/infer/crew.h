/*
 * Crew: steady threads that run one function together.
 *
 * All threads of a crew, the caller among them, run the same function; work is
 * shared out by crew_take(), and stages are parted by crew_finish() or
 * crew_barrier().  Waiting threads spin for a moment, then sleep.
 *
 * crew_finish() waits for units, not for threads: a thread that the system
 * keeps off its core between units holds nobody up, and finds nothing left to
 * take when it comes back.  Where one core is shared with other programs, this
 * is most of the waiting.
 */
#ifndef INFER_CREW_H
#define INFER_CREW_H

#include <stddef.h>
#include <stdint.h>

#include "base/errmsg.h"

#define CREW_THREADS_MAX 256u

struct crew;

typedef void crew_fn(void *arg, unsigned thread);

/* `n` threads, the caller of crew_run() being thread 0. */
enum rc crew_new(unsigned n, struct crew **out, struct errmsg *why) RC_CHECK;
void crew_free(struct crew *crew);
/* Memory that a crew of `n` takes, the stacks of its threads not counted. */
size_t crew_bytes(unsigned n);
unsigned crew_size(const struct crew *crew);

/* `*pulse` moves on with each stage that ends from here on: a crew at work shows
 * that it is, in a long pass too.  NULL: none.  Borrowed. */
void crew_set_pulse(struct crew *crew, _Atomic uint64_t *pulse);

/* Run `fn(arg, thread)` on every thread; returns when all have returned.
 * One caller at a time. */
void crew_run(struct crew *crew, crew_fn *fn, void *arg);

/* All threads wait for each other; what was written before is seen after. */
void crew_barrier(struct crew *crew);

/*
 * The next unit of the current stage: 0, 1, 2, … each given out once.  Starts
 * at 0 in every stage.  CREW_NONE: the stage has ended without this thread.
 * From its first unit to the end of its stage a thread holds the stage open.
 */
#define CREW_NONE SIZE_MAX
size_t crew_take(struct crew *crew);

/*
 * End a stage that consists of units alone: returns when all that were given
 * out are done, and what they wrote is seen.  Only after crew_take() has given
 * this thread a number past the last unit, or CREW_NONE.  Every thread ends a
 * stage in the same way.  Between two calls of crew_finish() a thread may be
 * stages behind: it reads what others write only while it holds a unit.
 */
void crew_finish(struct crew *crew);

/* Cores this process may run on. */
unsigned crew_cores(void);

#endif
