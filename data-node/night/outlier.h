/*
 * Outliers: measured values that cannot be, or stand alone.
 *
 * Three reasons, and none deletes anything:
 *   limit  outside of what the quantity can be (a heart rate of 900)
 *   spike  far from the median of its neighbours in units of their median
 *          absolute deviation (Hampel 1974), while the values right before and
 *          behind it are not
 *   jump   a GPS fix that nobody reaches: too fast from the one before and to
 *          the one behind, while these two go together
 * Values of one series come in order of time; a verdict is about an earlier
 * one, OUTLIER_NEIGHBOURS behind at most.  A verdict depends on the neighbours
 * within OUTLIER_REACH_NS only.  Pure of I/O; one thread.
 */
#ifndef NIGHT_OUTLIER_H
#define NIGHT_OUTLIER_H

#include "store/observation.h"

#define OUTLIER_NEIGHBOURS 12                    /* on each side */
#define OUTLIER_NEIGHBOURS_MIN 8                 /* in all, to judge by */
#define OUTLIER_REACH_NS INT64_C(10800000000000) /* three hours */
#define OUTLIER_MADS 8.0
#define OUTLIER_SPEED_MPS_MAX 150.0 /* of a person between two fixes, unless it lasts */
#define OUTLIER_MEASURES_MAX 8

/* What a quantity can be, and how much a change of it must be to count. */
struct outlier_limits {
	const char *name;
	double least, most, floor;
};

/* A number of an observation that is judged. */
struct outlier_measure {
	const char *member; /* [member_len] in its data */
	size_t member_len;
	double value; /* normalised where its unit is known */
	const struct outlier_limits *limits;
};

/* The numbers of `obs` that are known quantities; their number. */
size_t outlier_measures(
    const struct observation *obs, struct outlier_measure out[OUTLIER_MEASURES_MAX]);

/* Limits of a quantity by its name ("heart_rate"); NULL. */
const struct outlier_limits *outlier_limits_of(const char *name, size_t len);

enum outlier_reason { OUTLIER_NONE, OUTLIER_LIMIT, OUTLIER_SPIKE, OUTLIER_JUMP };
const char *outlier_word(enum outlier_reason reason); /* "limit" */

struct outlier_point {
	int64_t t0_ns, t1_ns;
	double value;
	uint8_t obs_id[OBS_ID_BYTES];
};

struct outlier_verdict {
	enum outlier_reason reason;
	struct outlier_point point;
	double expected, spread; /* median and scaled deviation of the neighbours */
};

#define OUTLIER_RING (2 * OUTLIER_NEIGHBOURS + 1)

/* The newest values of one series. */
struct outlier_series {
	const struct outlier_limits *limits; /* NULL: none */
	struct outlier_point ring[OUTLIER_RING];
	uint64_t pushed, judged; /* so many so far */
};

/*
 * The next value; or NULL: no more will come.  `out` gets the verdicts on those
 * that can be judged now: reason OUTLIER_NONE is left out.  Their number.
 */
size_t outlier_push(struct outlier_series *series, const struct outlier_point *point,
    struct outlier_verdict out[OUTLIER_RING]);

struct outlier_fix {
	int64_t t0_ns;
	double lat, lon, accuracy_m; /* accuracy < 0: not said */
	uint8_t obs_id[OBS_ID_BYTES];
};

/* The last fixes of one source. */
struct outlier_track {
	struct outlier_fix last[2];
	size_t len;
};

/* The next fix; true if the one before it is a jump, then `*jump` is it. */
bool outlier_push_fix(
    struct outlier_track *track, const struct outlier_fix *fix, struct outlier_fix *jump);

#endif
