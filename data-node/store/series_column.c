/*
 * Series column: from the values of one channel to small numbers and back.
 *
 * All sums wrap, so whatever a damaged head says is defined and comes out as
 * other numbers, which the checks of the record then see.
 */
#include <string.h>

#include "store/series_internal.h"

static uint64_t gcd(uint64_t a, uint64_t b)
{
	while (b != 0) {
		uint64_t rest = a % b;
		a = b;
		b = rest;
	}
	return a;
}

/* k[i] becomes (k[i] - base) / unit. */
static void reduce(struct series_column *column, int64_t *k)
{
	uint64_t unit = 0;

	column->base = k[0];
	for (size_t i = 0; i < column->n; i++) {
		k[i] -= column->base;
		if (unit != 1)
			unit = gcd(k[i] < 0 ? 0 - (uint64_t)k[i] : (uint64_t)k[i], unit);
	}
	column->unit = unit == 0 ? 1 : unit;
	for (size_t i = 0; column->unit != 1 && i < column->n; i++)
		k[i] /= (int64_t)column->unit;
}

/* Between the extremes: order 0 is taken where values scatter about a level. */
static int64_t centre_of(const int64_t *q, size_t n)
{
	int64_t low = q[0], high = q[0];

	for (size_t i = 1; i < n; i++) {
		low = q[i] < low ? q[i] : low;
		high = q[i] > high ? q[i] : high;
	}
	return low + (high - low) / 2;
}

/* The residuals of one group for the order that needs the fewest bits. */
static uint8_t group_best(const struct series_column *column, const int64_t *q, size_t begin,
    size_t len, uint64_t *residuals)
{
	uint64_t each[SERIES_ORDERS][SERIES_GROUP], all[SERIES_ORDERS] = { 0 };
	int64_t before = begin > 0 ? q[begin - 1] : 0;
	int64_t step = begin > 1 ? before - q[begin - 2] : before;
	uint8_t best = 1;

	for (size_t i = 0; i < len; i++) {
		int64_t now = q[begin + i], now_step = now - before;
		each[0][i] = series_zigzag(now - column->centre);
		each[1][i] = series_zigzag(now_step);
		each[2][i] = series_zigzag(now_step - step);
		for (unsigned order = 0; order < SERIES_ORDERS; order++)
			all[order] |= each[order][i];
		before = now;
		step = now_step;
	}
	for (uint8_t order = 0; order < SERIES_ORDERS; order++) {
		if (all[order] < all[best])
			best = order;
	}
	memcpy(residuals, each[best], len * sizeof(*residuals));
	return best;
}

void series_column_integers(struct series_column *column, int64_t *k)
{
	reduce(column, k);
	column->centre = centre_of(k, column->n);
	for (size_t g = 0, begin = 0; begin < column->n; g++, begin += SERIES_GROUP) {
		size_t left = column->n - begin;
		column->orders[g] = group_best(column, k, begin,
		    left < SERIES_GROUP ? left : SERIES_GROUP, column->residuals + begin);
	}
}

void series_column_bits(struct series_column *column, const double *values, size_t stride)
{
	uint64_t before;

	column->kind = SERIES_BITS;
	memcpy(&before, values, sizeof(before));
	column->first = before;
	for (size_t i = 0; i < column->n; i++) {
		uint64_t bits;
		memcpy(&bits, values + i * stride, sizeof(bits));
		column->residuals[i] = bits ^ before;
		before = bits;
	}
}

void series_column_sum(struct series_column *column)
{
	uint64_t q = 0, step = 0, unit = column->unit;
	uint64_t base = (uint64_t)column->base, centre = (uint64_t)column->centre;

	for (size_t g = 0, begin = 0; begin < column->n; g++, begin += SERIES_GROUP) {
		size_t left = column->n - begin, len = left < SERIES_GROUP ? left : SERIES_GROUP;
		uint64_t *at = column->residuals + begin, before = q;
		switch (column->orders[g]) {
		case 0:
			for (size_t i = 0; i < len; i++) {
				before = q;
				q = (uint64_t)series_unzigzag(at[i]) + centre;
				at[i] = q * unit + base;
			}
			step = q - before;
			break;
		case 1:
			for (size_t i = 0; i < len; i++) {
				before = q;
				q += (uint64_t)series_unzigzag(at[i]);
				at[i] = q * unit + base;
			}
			step = q - before;
			break;
		default:
			for (size_t i = 0; i < len; i++) {
				step += (uint64_t)series_unzigzag(at[i]);
				q += step;
				at[i] = q * unit + base;
			}
			break;
		}
	}
}

void series_column_unxor(const struct series_column *column, double *values, size_t stride)
{
	uint64_t bits = column->first;

	for (size_t i = 0; i < column->n; i++) {
		bits ^= column->residuals[i];
		memcpy(values + i * stride, &bits, sizeof(bits));
	}
}
