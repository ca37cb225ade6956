/*
 * Policy: how each facet matches, carries and interpolates, as data.
 *
 * reference: timeline §3, the table of defaults.  A policy has a version; a
 * slice is a pure function of (observations, clock map, policy).  Times are
 * nanoseconds.
 */
#ifndef ALIGN_POLICY_H
#define ALIGN_POLICY_H

#include "align/slice.h"

enum policy_carry {
	POLICY_CARRY_NEVER,
	POLICY_CARRY_STATIONARY, /* the observation says that the person stays */
	POLICY_CARRY_UNCHANGED,  /* while the capturer says "unchanged" */
	POLICY_CARRY_PULSE,      /* to the heartbeat's pulse time */
	POLICY_CARRY_PERIODS,    /* so many periods of its own track */
	POLICY_CARRY_STEP,       /* a state: until the next change */
};

enum policy_blend { POLICY_BLEND_NONE, POLICY_BLEND_LOCATION, POLICY_BLEND_NUMERIC };

struct policy_rule {
	bool all;              /* every instant inside; else the one nearest to the middle */
	bool best_only;        /* a value matched in a weaker way than another is left out */
	int64_t nearest_ns;    /* match outside the slice at most so far; 0: no */
	int64_t nearest_times; /* and at most so many periods; 0: no such bound */
	enum policy_carry carry;
	int64_t carry_ns;    /* oldest age */
	int64_t carry_times; /* POLICY_CARRY_PERIODS */
	enum policy_blend blend;
	int64_t blend_ns; /* widest gap between two observations */
};

struct policy {
	uint64_t version;
	int64_t error_ns;          /* ε of a source that names no clock, ≤ PLACEMENT_NARROW_NS */
	int64_t period_default_ns; /* of a track's first observation */
	int64_t period_max_ns;     /* a longer pause is no period */
	int64_t pulse_max_ns;
	int64_t reach_ns;  /* nothing older than this matters, states excepted */
	int64_t ahead_ns;  /* nothing later than this behind a slice matters to it */
	double accuracy_m; /* of a position that does not say */
	int64_t late_ns;   /* L: sealed when watermarks lie so far behind the end */
	int64_t idle_ns;   /* a source not heard for so long holds nothing back */
	int64_t settle_ns; /* rounds of sealing (lifecycle.h) */
	struct policy_rule rules[FACET_COUNT];
};

/* Does it take nothing but what lies in the slice? */
static inline bool policy_rule_is_inside(const struct policy_rule *rule)
{
	return rule->carry == POLICY_CARRY_NEVER && rule->nearest_ns == 0 &&
	       rule->blend == POLICY_BLEND_NONE;
}

#define POLICY_HASH_BYTES 16
/* Names a policy by its content: all that policy_print() writes. */
void policy_hash(const struct policy *policy, uint8_t out[POLICY_HASH_BYTES]);

/* The table of the specification; static. */
const struct policy *policy_default(void);

#endif
