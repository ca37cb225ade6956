/* Gate: many threads sleep until one lets all of them on. */
#include "os/gate.h"

#include <stddef.h>
#ifdef __linux__
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#else
#include <pthread.h>
#endif

unsigned gate_look(const struct gate *gate)
{
	return atomic_load(&gate->openings);
}

#ifdef __linux__
void gate_wait(struct gate *gate, unsigned seen)
{
	(void)syscall(SYS_futex, &gate->openings, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

void gate_open(struct gate *gate)
{
	(void)atomic_fetch_add(&gate->openings, 1);
	(void)syscall(SYS_futex, &gate->openings, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}
#else
/* Of all gates: those that sleep at another one look and sleep on. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t opened = PTHREAD_COND_INITIALIZER;

void gate_wait(struct gate *gate, unsigned seen)
{
	(void)pthread_mutex_lock(&lock);
	while (gate_look(gate) == seen)
		(void)pthread_cond_wait(&opened, &lock);
	(void)pthread_mutex_unlock(&lock);
}

void gate_open(struct gate *gate)
{
	(void)pthread_mutex_lock(&lock);
	(void)atomic_fetch_add(&gate->openings, 1);
	(void)pthread_cond_broadcast(&opened);
	(void)pthread_mutex_unlock(&lock);
}
#endif
