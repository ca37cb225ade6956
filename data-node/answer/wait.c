/* Waiting on a condition until a time of clock_mono_ns(). */
#include "answer/wait.h"

#include <time.h>

#include "base/clock.h"

enum rc wait_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	if (pthread_condattr_init(&attr) != 0)
		return RC_NOMEM;
	int failed = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	if (failed == 0)
		failed = pthread_cond_init(cond, &attr);
	(void)pthread_condattr_destroy(&attr);
	return failed == 0 ? RC_OK : RC_NOMEM;
}

bool wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline_ns)
{
	int64_t left = deadline_ns - clock_mono_ns();
	struct timespec at;

	if (left <= 0)
		return false;
	/* The seam's clock may have another origin than the system's. */
	if (left > NS_PER_HOUR)
		left = NS_PER_HOUR;
	(void)clock_gettime(CLOCK_MONOTONIC, &at);
	left += at.tv_nsec;
	at.tv_sec += left / NS_PER_S;
	at.tv_nsec = left % NS_PER_S;
	(void)pthread_cond_timedwait(cond, lock, &at);
	return true;
}

int64_t wait_deadline(int64_t start_ns, int64_t wait_ns)
{
	if (wait_ns <= 0)
		return start_ns;
	return start_ns > INT64_MAX - wait_ns ? INT64_MAX : start_ns + wait_ns;
}
