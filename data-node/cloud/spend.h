/*
 * Spend: what asking an upstream costs, and whether its budget holds that.
 *
 * Pure.  What was spent is counted in the catalogue by local day (catalogue_spend_…),
 * with estimates counted before anything is asked and put right by what was used, so
 * that a crash in between errs on the dear side.
 */
#ifndef CLOUD_SPEND_H
#define CLOUD_SPEND_H

#include <stdint.h>

#include "cloud/cloud_policy.h"

struct spend {
	int64_t in, out; /* tokens */
	int64_t micros;  /* at the prices of their time */
};

/* Of these tokens at the upstream's prices, rounded up. */
int64_t spend_micros(const struct cloud_budget *budget, int64_t in, int64_t out);

enum spend_limit {
	SPEND_FITS,
	SPEND_DAY_TOKENS,
	SPEND_MONTH_TOKENS,
	SPEND_DAY_MONEY,
	SPEND_MONTH_MONEY,
};

/* Whether so many more fit beside what the day and the month hold. */
enum spend_limit spend_check(const struct cloud_budget *budget, const struct spend *day,
    const struct spend *month, int64_t in, int64_t out);

/* 20261119: of the local date at an instant. */
int32_t spend_day(int64_t utc_ns, int32_t offset_s);
/* The days of the same month lie in [first, last]. */
void spend_month(int32_t day, int32_t *first, int32_t *last);

#endif
