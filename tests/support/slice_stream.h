/*
 * Slice streams: random small streams of observations that meet every rule of
 * the aligner often (ties, gaps, epochs, pulses, notes, states, overlaps), and
 * the aligner run over them.
 */
#ifndef SUPPORT_SLICE_STREAM_H
#define SUPPORT_SLICE_STREAM_H

#include "align/policy.h"
#include "align/window.h"

#define SLICE_STREAM_MAX 64
#define SLICE_STREAM_FRAMES 24

struct slice_stream {
	struct observation obs[SLICE_STREAM_MAX]; /* strings static or in `texts` */
	char texts[SLICE_STREAM_MAX][160];
	char ids[SLICE_STREAM_MAX][32];
	double values[SLICE_STREAM_MAX][SLICE_STREAM_FRAMES * 2]; /* of blocks */
	int64_t times[SLICE_STREAM_MAX][SLICE_STREAM_FRAMES];
	size_t len;
	struct window_grid grid;
	struct policy policy; /* the default one, ε varied */
};

/* A stream, its grid and its ε from `*seed`. */
void slice_stream_make(uint64_t *seed, struct slice_stream *out);

/* Put obs in the order a store hands them out: by time, ties by chance. */
void slice_stream_shuffle(uint64_t *seed, struct observation *obs, size_t n);

/* The window over obs [n] (in order of time); JSON objects, one a line. */
void slice_stream_run(const struct policy *policy, const struct window_grid *grid,
    const struct observation *obs, size_t n, struct buf *out);

#endif
