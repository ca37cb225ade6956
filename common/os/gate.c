/* Gate: many threads sleep until one lets all of them on. */
#include "os/gate.h"

#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

unsigned gate_look(const struct gate *gate)
{
	return atomic_load(&gate->openings);
}

void gate_wait(struct gate *gate, unsigned seen)
{
	(void)syscall(SYS_futex, &gate->openings, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

void gate_open(struct gate *gate)
{
	(void)atomic_fetch_add(&gate->openings, 1);
	(void)syscall(SYS_futex, &gate->openings, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}
