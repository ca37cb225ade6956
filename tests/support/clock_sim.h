/*
 * Clock simulator: devices whose clocks drift, wander, are set and restart,
 * behind links with asymmetric, heavy-tailed delay and hours offline.
 *
 * Knows the truth of every event; shares no code with data-node/clock.  What it
 * makes meets the assumptions A1 to A8 of clock/line.h, or is marked as invalid
 * where chance does not (A6).  One seed, one device, the same for ever.
 */
#ifndef SUPPORT_CLOCK_SIM_H
#define SUPPORT_CLOCK_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLOCK_SIM_EVENTS_MAX 2000
#define CLOCK_SIM_MESSAGES_MAX 4000

enum clock_sim_kind { CLOCK_SIM_EVENT, CLOCK_SIM_PING };

/* In the order in which the hub gets them. */
struct clock_sim_message {
	enum clock_sim_kind kind;
	int boot;
	int64_t dev_t0_ns, dev_t1_ns;   /* event: as stamped */
	int64_t true_t0_ns, true_t1_ns; /* event: on the hub's time */
	int64_t recv_ns;
	int64_t t1_ns, t2_ns, t3_ns, t4_ns; /* ping */
	bool valid;
};

struct clock_sim {
	struct clock_sim_message messages[CLOCK_SIM_MESSAGES_MAX];
	size_t len;
	bool pings;   /* two-way */
	size_t jumps; /* times it was set */
	int64_t grain_ns;
};

struct clock_sim_wish {
	int64_t hours;
	bool pings;
	bool hourly; /* set every hour */
};

void clock_sim_run(uint64_t seed, const struct clock_sim_wish *wish, struct clock_sim *out);

#endif
