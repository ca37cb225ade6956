/* Floors with hysteresis, and stalls over a second. */
#include "serve/guard.h"

#include "base/clock.h"

#define SOFT_BYTES_MAX (UINT64_C(1) << 30)
#define WINDOW_NS NS_PER_S

void guard_init(struct guard *guard, const struct guard_config *config)
{
	*guard = (struct guard){ .config = *config };
}

uint64_t guard_soft_bytes(const struct guard *guard, const struct memory_figures *figures)
{
	uint64_t share = figures->total_bytes / 16;

	if (guard->config.soft_bytes != 0)
		return guard->config.soft_bytes;
	return share < SOFT_BYTES_MAX ? share : SOFT_BYTES_MAX;
}

static uint64_t hard_bytes(const struct guard *guard, const struct memory_figures *figures)
{
	return guard->config.hard_bytes != 0 ? guard->config.hard_bytes
					     : guard_soft_bytes(guard, figures) / 2;
}

/* Remember the figure; true if half of the last second was stalled.  Before a
 * whole second was seen nothing is known. */
static bool stalls(struct guard *guard, const struct memory_figures *figures, int64_t now_ns)
{
	const struct guard_stall now = { now_ns, figures->stalled_us };
	const struct guard_stall *from = NULL;
	size_t kept = guard->n_stalls < GUARD_SAMPLES ? guard->n_stalls : GUARD_SAMPLES;

	for (size_t i = 1; i <= kept; i++) { /* newest first, until a second ago */
		from = &guard->stalls[(guard->n_stalls - i) % GUARD_SAMPLES];
		if (now_ns - from->at_ns >= WINDOW_NS)
			break;
	}
	guard->stalls[guard->n_stalls++ % GUARD_SAMPLES] = now;
	if (from == NULL || now_ns - from->at_ns < WINDOW_NS || now.stalled_us < from->stalled_us)
		return false;
	return (int64_t)(now.stalled_us - from->stalled_us) * NS_PER_US * 2 >= now_ns - from->at_ns;
}

enum guard_level guard_step(
    struct guard *guard, const struct memory_figures *figures, int64_t now_ns)
{
	const uint64_t soft = guard_soft_bytes(guard, figures);
	const bool stalled = figures->has_stall && stalls(guard, figures, now_ns);
	const uint64_t leave = guard->level == GUARD_OK ? soft : soft + soft / 4;

	if (figures->available_bytes < hard_bytes(guard, figures) ||
	    (stalled && figures->available_bytes < soft))
		guard->level = GUARD_HARD;
	else if (figures->available_bytes < leave)
		guard->level = GUARD_SOFT;
	else
		guard->level = GUARD_OK;
	return guard->level;
}

const char *guard_word(enum guard_level level)
{
	static const char *const words[] = { "ok", "soft", "hard" };

	return words[level];
}
