/*
 * Memory figures: what the host has, what it has left, how long it stalled for
 * want of it, and what the control groups of this process leave to it.
 *
 * Read from /proc and /sys/fs/cgroup (v1, v2 and both at once) below `root`,
 * which is "" but in tests and drills.  Nothing is allocated, so that a guard can
 * read on when nothing is left.  Any thread.
 */
#ifndef OS_MEMORY_H
#define OS_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/errmsg.h"

#define MEMORY_ROOT_BYTES_MAX 200
#define MEMORY_UNLIMITED UINT64_MAX

struct memory_figures {
	uint64_t total_bytes;
	uint64_t available_bytes; /* what could be had without swapping */
	uint64_t free_bytes;      /* what nothing uses, not even a cache */
	uint64_t stalled_us;      /* so long every task waited for memory, since boot */
	bool has_stall;           /* the kernel tells (PSI) */
};

/* RC_NOTFOUND, RC_IO: no figures here; RC_CORRUPT: not the text expected. */
enum rc memory_read(const char *root, struct memory_figures *out, struct errmsg *why) RC_CHECK;

/* Processes that the kernel has killed for want of memory since boot; 0: it does
 * not tell. */
uint64_t memory_oom_kills(const char *root);

/*
 * What may still be taken before the tightest memory limit of this process's
 * control groups: limit less use, pages of files not counted as use.
 * MEMORY_UNLIMITED: there is no limit, or none that can be read.
 */
uint64_t memory_group_room(const char *root);

/* Pages may be swapped out to some place that is no memory itself (/proc/swaps; zram
 * is).  Also if that cannot be read, unless it is not there and /proc/meminfo is. */
bool memory_swaps(const char *root);

/* The same for the limit on address space (RLIMIT_AS). */
uint64_t memory_address_room(void);

#endif
