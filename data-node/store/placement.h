/*
 * Placement: where an observation lies on the hub's time, with hard bounds.
 *
 * reference: timeline §2.  The store fills it on every read.  Of a source that
 * names no clock it is the device's own times with a default ε; else the clock
 * map of its epoch says, as it was known at the cursor that is read.
 *  P1  the truth of either end lies within [t - early_ns, t + late_ns].
 *  P2  t1_ns - t0_ns is what the device measured, up to its clock's rate.
 * Pure.
 */
#ifndef STORE_PLACEMENT_H
#define STORE_PLACEMENT_H

#include <stdbool.h>
#include <stdint.h>

/* ε of a source that names no clock, unless its registration says otherwise. */
#define PLACEMENT_ERROR_NS INT64_C(1000000000)
/* An ε beyond this on a side makes a placement wide: it is a stretch rather
 * than a moment, kept in the time index by its whole extent. */
#define PLACEMENT_NARROW_NS INT64_C(10000000000)

struct placement {
	int64_t t0_ns, t1_ns; /* on the hub's time; t1 ≥ t0 */
	int64_t early_ns, late_ns;
	uint64_t map_version; /* of the clock map that placed it; 0: no clock named */
	uint64_t epoch;       /* number of its clock epoch; 0: no clock named */
	bool defaulted;       /* ε is PLACEMENT_ERROR_NS for want of better: a policy
				 may set another */
	bool limbo;           /* its epoch has no sync: somewhere in the stretch */
};

/* Device times taken for the hub's; `error_ns` 0: the default. */
struct placement placement_trusted(int64_t t0_ns, int64_t t1_ns, int64_t error_ns);

bool placement_same(const struct placement *a, const struct placement *b);

bool placement_is_wide(const struct placement *place);

/* What the time index knows it by: [k0, k1], the extent of a wide one. */
void placement_extent(const struct placement *place, int64_t *k0_ns, int64_t *k1_ns);

#endif
