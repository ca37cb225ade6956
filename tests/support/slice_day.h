/*
 * Slice day: what the benches of the aligner share: a dense day of ten streams, a
 * store in a directory of its own, parts that run in a process of their own, and
 * what the process has in memory.  A bench ends where something fails.
 */
#ifndef SUPPORT_SLICE_DAY_H
#define SUPPORT_SLICE_DAY_H

#include "store/store.h"

#define SLICE_DAY_STREAMS 10
#define SLICE_DAY_START_NS (INT64_C(1763164800) * NS_PER_S)
#define SLICE_DAY_END_NS (SLICE_DAY_START_NS + NS_PER_DAY)
#define SLICE_DAY_ROUNDS_MAX 99

void slice_day_must(bool holds, const char *what);

/* Sorts values [n]: the one that so many of 100 are below. */
double slice_day_percentile(double *values, size_t n, size_t percent);

/* An instant of stream `s` (< SLICE_DAY_STREAMS), received 40 ms later. */
struct observation slice_day_make(size_t s, int64_t at_ns);

/* An empty store under $TMPDIR; then opened and closed as often as wanted. */
void slice_day_create(void);
struct store *slice_day_open(int64_t commit_interval_ns);
void slice_day_close(void);
void slice_day_remove(void);

/* Runs `part` in a process of its own, so that its memory is its own. */
void slice_day_apart(void (*part)(void *ctx), void *ctx);

/* Of this process: what it has allocated, and with the pages of files (the store's
 * are the kernel's cache). */
struct slice_day_memory {
	size_t own_bytes, resident_bytes;
};
/* Raises `most` to what it is now. */
void slice_day_look(struct slice_day_memory *most);

#endif
