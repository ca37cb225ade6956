/*
 * The default policy: the table of timeline §3 as data.
 *
 * `reach_ns` covers the longest carry (3 periods of 15 minutes) plus the one
 * period before it that defines the period; a pulse is cut to it.  `late_ns` is
 * longer than `ahead_ns`: what comes on time never opens a sealed slice.
 */
#include "align/policy.h"

#include "base/clock.h"

#define POLICY_VERSION 1

static const struct policy table = {
	.version = POLICY_VERSION,
	.error_ns = NS_PER_S,
	.period_default_ns = NS_PER_MIN,
	.period_max_ns = 15 * NS_PER_MIN,
	.pulse_max_ns = NS_PER_HOUR,
	.reach_ns = NS_PER_HOUR,
	.ahead_ns = 15 * NS_PER_MIN,
	.accuracy_m = 50,
	.late_ns = 16 * NS_PER_MIN,
	.idle_ns = 10 * NS_PER_MIN,
	.settle_ns = 10 * NS_PER_S,
	.rules = {
		[FACET_LANGUAGE] = { .all = true },
		[FACET_AUDIO] = { .all = true },
		[FACET_VISUAL] = { .all = true, .nearest_ns = 5 * NS_PER_S,
		    .carry = POLICY_CARRY_UNCHANGED, .carry_ns = 30 * NS_PER_S },
		[FACET_DEVICE] = { .all = true, .carry = POLICY_CARRY_PULSE,
		    .carry_ns = NS_PER_HOUR },
		[FACET_LOCATION] = { .best_only = true, .nearest_ns = NS_PER_MIN,
		    .carry = POLICY_CARRY_STATIONARY, .carry_ns = 15 * NS_PER_MIN,
		    .blend = POLICY_BLEND_LOCATION, .blend_ns = 120 * NS_PER_S },
		[FACET_ENVIRONMENT] = { .nearest_ns = 15 * NS_PER_MIN, .nearest_times = 2,
		    .carry = POLICY_CARRY_PERIODS, .carry_ns = 45 * NS_PER_MIN, .carry_times = 3,
		    .blend = POLICY_BLEND_NUMERIC, .blend_ns = 15 * NS_PER_MIN },
		[FACET_BODY] = { .nearest_ns = 15 * NS_PER_MIN, .nearest_times = 2,
		    .carry = POLICY_CARRY_PERIODS, .carry_ns = 45 * NS_PER_MIN, .carry_times = 3,
		    .blend = POLICY_BLEND_NUMERIC, .blend_ns = 15 * NS_PER_MIN },
		[FACET_HOME] = { .all = true, .carry = POLICY_CARRY_STEP, .carry_ns = INT64_MAX },
	},
};

const struct policy *policy_default(void)
{
	return &table;
}
