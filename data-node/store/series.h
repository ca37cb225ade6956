/*
 * Series: the samples of one block in few bytes, every bit kept.
 *
 * reference: timeline §5.  Samples come in frames of one value a channel; times
 * are offsets from the block's start, or none where frames are evenly spaced.
 * Each channel and the times are a column of their own, coded as whichever is
 * smallest of
 *  - integers at a decimal or binary scale, divided by what all have in common,
 *    as themselves, differences or differences of differences (chosen for each
 *    32 values), bit-packed;
 *  - the bits of the doubles, each XORed with the one before, bit-packed;
 *  - either of them as planes of bytes through zstd.
 * Decoding gives back the same bits: -0.0, denormals, infinities and NaNs with
 * their payload included.  Pure; any thread; the layout is in series_internal.h.
 */
#ifndef STORE_SERIES_H
#define STORE_SERIES_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/errmsg.h"

#define SERIES_VALUES_MAX ((size_t)100000) /* frames × channels */
#define SERIES_CHANNELS_MAX ((size_t)64)
#define SERIES_OFFSET_NS_MAX (INT64_C(1) << 53)    /* 104 days; exact in a double */
#define SERIES_BYTES_MAX ((size_t)2 << 20)         /* encoded */
#define SERIES_SCRATCH_BYTES_MAX ((size_t)4 << 20) /* while encoding or decoding */

struct series {
	const double *values;    /* [frames][channels] */
	const int64_t *times_ns; /* [frames] offsets in [0, SERIES_OFFSET_NS_MAX] in any
				    order; NULL: evenly spaced */
	size_t frames, channels; /* both ≥ 1 */
};

/* Append the encoded series to `out`; the same input gives the same bytes.
 * RC_LIMIT, RC_NOMEM; RC_INVALID: an offset out of range. */
enum rc series_encode(const struct series *series, struct buf *out, struct errmsg *why) RC_CHECK;

/* Read exactly `len` bytes; values and times are put into `arena`.
 * RC_CORRUPT, RC_NOMEM.  About 5 ns a value. */
enum rc series_decode(const uint8_t *bytes, size_t len, struct arena *arena, struct series *out,
    struct errmsg *why) RC_CHECK;

#endif
