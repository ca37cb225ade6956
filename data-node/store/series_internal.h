/*
 * Series internals: the layout, and what the files of the codec share.
 *
 *   version(1) flags(1) frames(v) channels(v)
 *   one head for each column: the times first, where there are any
 *   the bodies of all columns in the same order, as they are or as one zstd
 *   frame (FLAG_PLANES)
 *
 * head    kind(1) then, for integers: exponent(z) base(z) unit(v) centre(z),
 *         for bits: first(8); with FLAG_PLANES: planes(1) shift(1)
 * body    packed: for each group of 32 values its width (integers: width + 65 ×
 *         order; bits: width, shift) and 4 × width bytes, fewer in the last one;
 *         planes: the orders of all groups (integers), then the planes of bytes
 *
 * (v) LEB128 of at most 10 bytes, (z) the same of a zigzag number; fixed fields
 * and packed bits are little-endian.  An integer column holds q = (k - base) /
 * unit; its residuals are q - centre (order 0), the difference from the one
 * before (1), or the difference of the differences (2), as zigzag numbers; what
 * stands before the first value is zero.
 */
#ifndef STORE_SERIES_INTERNAL_H
#define STORE_SERIES_INTERNAL_H

#include <stdbool.h>

#include "store/series.h"

#define SERIES_VERSION 1u
#define SERIES_FLAG_TIMES 1u
#define SERIES_FLAG_PLANES 2u
#define SERIES_GROUP ((size_t)32)
#define SERIES_WIDTHS 65u /* 0 to 64 bits */
#define SERIES_ORDERS 3u
#define SERIES_DECIMAL_MAX 18 /* digits behind the point */
#define SERIES_BINARY_MAX 1074

enum series_kind {
	SERIES_DECIMAL, /* value = k / 10^exponent */
	SERIES_BINARY,  /* value = k · 2^-exponent */
	SERIES_BITS,
};
#define SERIES_KIND_MASK 3u
#define SERIES_KIND_ZERO_SIGNED 4u /* k < 0 stands for k + 1 with a minus: there is a -0.0 */

struct series_column {
	enum series_kind kind;
	bool zero_signed;
	int exponent;
	int64_t base, centre;
	uint64_t unit, first;
	unsigned planes, shift; /* bytes a residual; bits it is moved down by before */
	size_t n;               /* values */
	uint64_t *residuals;    /* [n] */
	uint8_t *orders;        /* [groups]; integers only */
};

static inline size_t series_groups(size_t n)
{
	return (n + SERIES_GROUP - 1) / SERIES_GROUP;
}

static inline uint64_t series_zigzag(int64_t value)
{
	return (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0);
}

static inline int64_t series_unzigzag(uint64_t value)
{
	return (int64_t)(value >> 1 ^ (0 - (value & 1)));
}

/* Bytes that are read from the front. */
struct series_reader {
	const uint8_t *at;
	size_t left;
};

/* ---- series_scale.c: doubles as integers ------------------------------------ */

/*
 * Find k[n] with which `column` (kind, exponent, zero_signed set) gives back
 * exactly values[0], values[stride], …; false: there are none.
 */
bool series_scale_find(
    const double *values, size_t stride, size_t n, struct series_column *column, int64_t *k);

/* The doubles of k[n]. */
void series_scale_apply(
    const struct series_column *column, const int64_t *k, double *values, size_t stride);

/* ---- series_column.c: a column as residuals and back -------------------------- */

/* Integers: base, unit, centre, orders and residuals of k[n], which is used up. */
void series_column_integers(struct series_column *column, int64_t *k);
/* Bits: first and residuals. */
void series_column_bits(struct series_column *column, const double *values, size_t stride);

/* From residuals (and orders) back, in place of the residuals for integers. */
void series_column_sum(struct series_column *column);
void series_column_unxor(const struct series_column *column, double *values, size_t stride);

/* ---- series_pack.c: residuals as bytes and back ---------------------------------- */

size_t series_packed_bytes(const struct series_column *column);
void series_pack(const struct series_column *column, struct buf *out);
/* False: cut off or impossible. */
bool series_unpack(struct series_column *column, struct series_reader *in);

/* Sets planes and shift. */
void series_planes_size(struct series_column *column);
size_t series_planes_bytes(const struct series_column *column);
void series_planes_put(const struct series_column *column, struct buf *out);
bool series_planes_get(struct series_column *column, struct series_reader *in);

#endif
