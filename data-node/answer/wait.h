/*
 * Waiting on a condition until a time of clock_mono_ns().
 */
#ifndef ANSWER_WAIT_H
#define ANSWER_WAIT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/rc.h"

/* A condition on the monotonic clock. */
enum rc wait_init(pthread_cond_t *cond) RC_CHECK;

/* Wait with `lock` held; false once `deadline_ns` (clock_mono_ns) has passed.
 * Wakes early for no reason at times: check your condition in a loop. */
bool wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline_ns);

/* `start_ns` + `wait_ns` without overflow, for waits given from outside. */
int64_t wait_deadline(int64_t start_ns, int64_t wait_ns);

#endif
