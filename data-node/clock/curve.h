/*
 * Curve: what is known of hub = f(device) for one stretch of a device's clock.
 *
 * reference: timeline §2.  Set membership instead of a fit with a guess of its
 * error: a curve keeps statements "at device time d the hub's time was at least
 * lo, at most hi", and what they imply is computed, rounded outwards, never
 * estimated.  So a bound holds whenever the assumptions hold:
 *  A1  the clock advances; its rate is within CURVE_RATE_PPB of true (a crystal:
 *      ±200 ppm and some; the ±100 ppm of the specification would not cover it).
 *  A2  its rate stays within CURVE_WANDER_PPB of its own mean (temperature).
 *      From two statements far enough apart the mean follows, and with it a
 *      rate much narrower than A1: that is the fit.
 * Between statements the bounds widen with the distance to the nearest one and
 * are met from both sides; beyond the last one they only widen.
 *
 * Invariants:
 *  C1  knots stand in order of dev_ns, no two at the same.
 *  C2  closed bounds lie within each knot's own, and no knot implies a
 *      narrower bound at another one.
 *  C3  lo ≤ hi at every knot: a statement that contradicts is refused.
 * Pure, fixed size, whole numbers only: the same bits on every CPU.
 */
#ifndef CLOCK_CURVE_H
#define CLOCK_CURVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CURVE_KNOTS_MAX 48
#define CURVE_RATE_PPB INT32_C(250000)
#define CURVE_WANDER_PPB INT32_C(25000)
/* No statement: what stands for an open side. */
#define CURVE_OPEN_LO INT64_MIN
#define CURVE_OPEN_HI INT64_MAX

struct curve_knot {
	int64_t dev_ns;
	int64_t lo_ns, hi_ns;         /* as stated; open sides allowed */
	int64_t closed_lo, closed_hi; /* with all that the others imply */
};

struct curve {
	struct curve_knot knots[CURVE_KNOTS_MAX];
	size_t len;
	int32_t rate_lo_ppb, rate_hi_ppb; /* hub advances by 1 + rate for each 1 of the device */
};

void curve_init(struct curve *curve);

/*
 * State that f(dev_ns) lies in [lo_ns, hi_ns].  False if it contradicts what is
 * known: then nothing changes.  True also if it adds nothing (`*news` tells).
 * A full curve forgets the knot that is missed least: old ones first.  O(knots²).
 */
bool curve_state(struct curve *curve, int64_t dev_ns, int64_t lo_ns, int64_t hi_ns, bool *news);

/* Bounds of f(dev_ns); an open side where nothing is known. */
void curve_bounds(const struct curve *curve, int64_t dev_ns, int64_t *lo_ns, int64_t *hi_ns);

/* `ns` of the device's time as hub time at the least and at the most, for any
 * clock that A1 allows. */
int64_t curve_span_min_ns(int64_t ns);
int64_t curve_span_max_ns(int64_t ns);

/* Remake the closed bounds of a curve whose knots were read from somewhere.
 * False if C1 or C3 cannot be. */
bool curve_close(struct curve *curve);

#endif
