/*
 * Guard: from memory figures to what has to happen before the host is in
 * trouble.  A pure function of what it is shown; the supervisor acts on it.
 *
 *   available < hard                            HARD
 *   available < soft, and for half of the last
 *   second every task waited for memory (PSI)   HARD
 *   available < soft                            SOFT, until 5/4 of it are back
 *
 * The floors are about the host.  A limit of a control group needs none: the
 * engine takes all its memory at start, within that limit.
 */
#ifndef SERVE_GUARD_H
#define SERVE_GUARD_H

#include <stddef.h>

#include "os/memory.h"

enum guard_level {
	GUARD_OK,
	GUARD_SOFT, /* take nothing new, let go of what can be spared */
	GUARD_HARD, /* the worker has to go at once */
};

#define GUARD_SAMPLES 16u

struct guard_config {
	uint64_t soft_bytes; /* 0: a sixteenth of the host, at most 1 GiB */
	uint64_t hard_bytes; /* 0: half of that */
};

struct guard_stall {
	int64_t at_ns;
	uint64_t stalled_us;
};

struct guard {
	struct guard_config config;
	enum guard_level level;
	struct guard_stall stalls[GUARD_SAMPLES]; /* ring of the newest */
	size_t n_stalls;                          /* ever put into it */
};

void guard_init(struct guard *guard, const struct guard_config *config);

/* `now_ns` monotonic, not falling; calls a tenth of a second apart fill the
 * ring with a little more than the second that counts. */
enum guard_level guard_step(
    struct guard *guard, const struct memory_figures *figures, int64_t now_ns);

/* The floor below which it is SOFT on this host. */
uint64_t guard_soft_bytes(const struct guard *guard, const struct memory_figures *figures);

/* "ok", "soft", "hard". */
const char *guard_word(enum guard_level level);

#endif
