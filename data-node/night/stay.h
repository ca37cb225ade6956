/*
 * Stays: where someone was for a while, from the fixes of one source.
 *
 * A stay is a run of fixes within a circle, ten minutes or longer.  One stray
 * fix does not end it, nor does silence of half a day, if the next fix is back
 * in the circle: phones that lie still do not report.  Streaming, in order of
 * time; one thread.
 */
#ifndef NIGHT_STAY_H
#define NIGHT_STAY_H

#include "store/observation.h"

#define STAY_RADIUS_M 120.0
#define STAY_MERGE_M 180.0        /* of stays that two sources tell of */
#define STAY_ACCURACY_M_MAX 300.0 /* a vaguer fix says nothing */
#define STAY_NS_MIN INT64_C(600000000000)
#define STAY_SILENCE_NS_MAX INT64_C(43200000000000)
#define STAY_WORD_BYTES 48

struct stay {
	int64_t t0_ns, t1_ns;
	double lat, lon; /* mean of its fixes */
	uint32_t fixes;
	uint8_t first[OBS_ID_BYTES], last[OBS_ID_BYTES];
	char word[STAY_WORD_BYTES]; /* what the sender calls the place; "" */
};

struct stay_run {
	struct stay now;             /* fixes == 0: none */
	double lat_first, lon_first; /* means are kept as distances from here */
	double lat_sum, lon_sum;
	struct stay stray; /* one fix outside; fixes == 0: none */
};

/* The next fix (t1 ≥ t0: it may last).  True if a stay has ended: `*out`. */
bool stay_push(struct stay_run *run, int64_t t0_ns, int64_t t1_ns, double lat, double lon,
    const uint8_t obs_id[OBS_ID_BYTES], struct stay *out);

/* No more fixes: true if the last ones were a stay. */
bool stay_end(struct stay_run *run, struct stay *out);

/*
 * Stays of several sources, `stays` [len], in order of (t0, t1) and with those
 * that overlap at one place made one; the new length.
 */
size_t stay_merge(struct stay *stays, size_t len);

#endif
