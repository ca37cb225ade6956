/*
 * Blend: a value between two observations, linear in time.
 *
 * Own cosine and square root only: the same bits on every CPU.  Pure.
 */
#ifndef ALIGN_BLEND_H
#define ALIGN_BLEND_H

#include "align/item.h"

/*
 * Position at `at_ns` between two fixes: {"acc","lat","lon"} in degrees and
 * metres.  σ = accuracy + v·gap: the worse accuracy of both (`accuracy_m`
 * where one does not say) plus the way that fits into the gap at the higher of
 * the reported speeds (OwnTracks `vel`, km/h; `speed`, m/s) and the straight
 * one.  RC_OK with `*out` NULL if either has no position; RC_NOMEM.
 */
enum rc blend_location(const struct item *left, const struct item *right, int64_t at_ns,
    double accuracy_m, struct arena *arena, const char **out) RC_CHECK;

/*
 * Every number that both have, linear; other members stay where both agree.
 * RC_OK with `*out` NULL if they share no number; RC_NOMEM.
 */
enum rc blend_numeric(const struct item *left, const struct item *right, int64_t at_ns,
    struct arena *arena, const char **out) RC_CHECK;

/* The position that `data_json` states; false if none. */
struct blend_fix {
	double lat, lon;
	double accuracy_m, speed_mps; /* < 0: not said */
};
bool blend_fix_of(const char *data_json, struct blend_fix *out);

/* Metres between two positions (flat Earth: right for the gaps blended here). */
double blend_metres(double lat_a, double lon_a, double lat_b, double lon_b);

#endif
