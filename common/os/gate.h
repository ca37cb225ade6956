/*
 * Gate: many threads sleep until one lets all of them on, with one system call.
 *
 * Waking threads one by one costs whoever does it a system call, and often an
 * interrupt of another CPU, for each; a condition variable makes them stand in
 * line for its mutex afterwards.  So it is a futex, where the kernel is Linux.
 *
 * A waiter looks at the gate, then at what it waits for, then waits if that has
 * not come yet.  Whoever brings it about changes that first and opens the gate
 * then.  So nobody misses an opening; everybody may wake without reason.
 */
#ifndef OS_GATE_H
#define OS_GATE_H

#include <stdatomic.h>

/* Zeros: ready for use. */
struct gate {
	atomic_uint openings;
};

/* How often it was opened, for gate_wait(). */
unsigned gate_look(const struct gate *gate);

/* Sleep until it was opened once more than `seen`; may return early on a signal. */
void gate_wait(struct gate *gate, unsigned seen);

/* Let all that wait on. */
void gate_open(struct gate *gate);

#endif
