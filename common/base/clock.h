/*
 * Time, behind one seam: tests replace it, nothing else reads the clock.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#define NS_PER_US INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MIN (60 * NS_PER_S)
#define NS_PER_HOUR (3600 * NS_PER_S)
#define NS_PER_DAY (86400 * NS_PER_S)

struct clock_source {
	int64_t (*utc_ns)(void *ctx);  /* since 1970-01-01T00:00:00Z */
	int64_t (*mono_ns)(void *ctx); /* never goes back; any origin */
	void *ctx;
};

int64_t clock_utc_ns(void);
int64_t clock_mono_ns(void);

/*
 * Replace both clocks for the whole process; NULL restores the system's.
 * Borrowed until replaced.  Tests only, before threads start.
 */
void clock_replace(const struct clock_source *source);

#endif
