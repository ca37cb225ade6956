/* Clock simulator: one device's life, event by event, on the hub's time. */
#include "clock_sim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"

#define START_NS (INT64_C(1795172400) * NS_PER_S)
#define SETS_MAX 64

struct device {
	uint64_t seed;
	struct clock_sim *out;
	/* dev = offset + (1 + rate)·t + wander·sin, all from START_NS */
	int64_t offset_ns;
	double rate, wander, period_s, phase;
	double base_up_s, base_down_s;
	int boot;
	int64_t offline_until_ns;
	int64_t set_true_ns[SETS_MAX], set_step_ns[SETS_MAX];
	int set_boot[SETS_MAX];
	size_t sets;
	bool synced_since_set;
	int heard; /* events in a row that were sent at once */
};

static double unit(struct device *d)
{
	return (double)(random_next(&d->seed) >> 11) / 9007199254740992.0;
}

static int64_t seconds(double s)
{
	return (int64_t)(s * 1e9);
}

/* Base plus a Pareto tail: mostly tens of milliseconds, now and then a minute. */
static int64_t delay(struct device *d, double base_s)
{
	double tail = 0.01 * pow(1 - unit(d), -0.9) - 0.01;

	return seconds(base_s + (tail > 60 ? 60 : tail));
}

static int64_t dev_time(const struct device *d, int64_t true_ns)
{
	double t = (double)(true_ns - START_NS) / 1e9;
	double w = 2 * 3.14159265358979 / d->period_s;
	double off = d->rate * t + d->wander / w * (cos(d->phase) - cos(w * t + d->phase));

	return true_ns + d->offset_ns + seconds(off);
}

static int64_t stamp(const struct device *d, int64_t true_ns)
{
	int64_t ns = dev_time(d, true_ns), grain_ns = d->out->grain_ns;
	int64_t rest = ns % grain_ns;

	return ns - (rest < 0 ? rest + grain_ns : rest);
}

static struct clock_sim_message *push(struct device *d)
{
	if (d->out->len == CLOCK_SIM_MESSAGES_MAX)
		abort();
	struct clock_sim_message *message = &d->out->messages[d->out->len++];
	*message = (struct clock_sim_message){ .boot = d->boot, .valid = true };
	return message;
}

static void ping(struct device *d, int64_t at_ns)
{
	struct clock_sim_message *m = push(d);

	m->kind = CLOCK_SIM_PING;
	m->t1_ns = stamp(d, at_ns);
	m->t2_ns = at_ns + delay(d, d->base_up_s);
	m->t3_ns = m->t2_ns + seconds(unit(d) * 0.002);
	int64_t back_ns = m->t3_ns + delay(d, d->base_down_s);
	m->t4_ns = stamp(d, back_ns);
	m->recv_ns = back_ns + delay(d, d->base_up_s); /* the report of its stamps */
	d->synced_since_set = true;
}

static void event(struct device *d, int64_t at_ns)
{
	struct clock_sim_message *m = push(d);

	m->kind = CLOCK_SIM_EVENT;
	m->true_t1_ns = at_ns;
	m->true_t0_ns = at_ns - (unit(d) < 0.3 ? seconds(unit(d) * 20) : 0);
	m->dev_t0_ns = stamp(d, m->true_t0_ns);
	m->dev_t1_ns = stamp(d, m->true_t1_ns);
	/* Set while it lasted: its own length is wrong, no map can tell. */
	for (size_t i = 0; i < d->sets; i++)
		m->valid = m->valid &&
			   (d->set_true_ns[i] < m->true_t0_ns || d->set_true_ns[i] > m->true_t1_ns);
	if (m->dev_t1_ns < m->dev_t0_ns)
		m->dev_t1_ns = m->dev_t0_ns;
	int64_t sent_ns = at_ns < d->offline_until_ns ? d->offline_until_ns : at_ns;
	m->recv_ns = sent_ns + delay(d, d->base_up_s);
}

/* The clock is set; at most once between two syncs (A5). */
static void set_clock(struct device *d, int64_t at_ns, bool hourly)
{
	if (!d->synced_since_set || d->sets == SETS_MAX)
		return;
	int64_t step_ns = hourly ? NS_PER_HOUR : seconds(30 + unit(d) * unit(d) * 7200);
	if (random_next(&d->seed) % 2 == 0)
		step_ns = -step_ns;
	d->offset_ns += step_ns;
	d->set_true_ns[d->sets] = at_ns;
	d->set_boot[d->sets] = d->boot;
	d->set_step_ns[d->sets++] = step_ns;
	d->synced_since_set = false;
	d->heard = 0;
	d->out->jumps++;
}

static void reboot(struct device *d, int64_t at_ns)
{
	d->boot++;
	d->synced_since_set = false;
	d->heard = 0;
	if (unit(d) < 0.3) /* no battery behind its clock */
		d->offset_ns = -at_ns + seconds(unit(d) * 10);
}

static int by_receipt(const void *a, const void *b)
{
	const struct clock_sim_message *x = a, *y = b;

	return x->recv_ns != y->recv_ns ? (x->recv_ns < y->recv_ns ? -1 : 1) : x->boot - y->boot;
}

/*
 * A6: a late event whose delay is some step's, or the sum of several, looks live
 * under an epoch that is not its own.  What was late by chance like that is not
 * valid.
 */
static bool looks_live(const struct device *d, const struct clock_sim_message *m)
{
	int64_t late_ns = m->recv_ns - m->true_t1_ns;

	for (size_t first = 0; first < d->sets && late_ns > 4 * NS_PER_S; first++) {
		int64_t sum_ns = 0;
		for (size_t k = first;
		     k < d->sets && d->set_boot[first] == m->boot && d->set_boot[k] == m->boot;
		     k++) {
			sum_ns += d->set_step_ns[k];
			if (llabs(late_ns - sum_ns) < 12 * NS_PER_S ||
			    llabs(late_ns + sum_ns) < 12 * NS_PER_S)
				return true;
		}
	}
	return false;
}

static void mark_invalid(struct device *d)
{
	for (size_t i = 0; i < d->out->len; i++) {
		struct clock_sim_message *m = &d->out->messages[i];
		if (m->kind == CLOCK_SIM_EVENT && looks_live(d, m))
			m->valid = false;
	}
}

void clock_sim_run(uint64_t seed, const struct clock_sim_wish *wish, struct clock_sim *out)
{
	static const int64_t grains_ns[] = { 1, 1000, NS_PER_MS, NS_PER_S };
	struct device d = { .seed = seed * UINT64_C(2654435761) + 17, .out = out };

	out->len = 0;
	out->jumps = 0;
	out->pings = wish->pings;
	out->grain_ns = grains_ns[random_next(&d.seed) % 4];
	d.rate = (unit(&d) * 2 - 1) * 200e-6;
	d.wander = unit(&d) * 20e-6;
	d.period_s = 3600 * (1 + unit(&d) * 23);
	d.phase = unit(&d) * 6;
	d.base_up_s = 0.002 + unit(&d) * unit(&d) * 0.5;
	d.base_down_s = 0.002 + unit(&d) * unit(&d) * 0.5;
	d.offset_ns = unit(&d) < 0.3 ? -START_NS : seconds((unit(&d) * 2 - 1) * 600);
	double ping_s = 60 * (1 + unit(&d) * 20), event_s = 5 + unit(&d) * 60;
	int64_t end_ns = START_NS + wish->hours * NS_PER_HOUR, next_ping_ns = START_NS;
	int64_t next_set_ns = START_NS + NS_PER_HOUR;
	for (int64_t at_ns = START_NS; at_ns < end_ns && out->len + 4 < CLOCK_SIM_MESSAGES_MAX;) {
		at_ns += seconds(-log(1 - unit(&d)) * event_s);
		bool online = at_ns >= d.offline_until_ns;
		if (online && unit(&d) < 0.004)
			d.offline_until_ns = at_ns + seconds(unit(&d) * 4 * 3600);
		if (unit(&d) < 0.001 && !wish->hourly)
			reboot(&d, at_ns);
		if (wish->hourly ? at_ns >= next_set_ns : unit(&d) < 0.004) {
			set_clock(&d, at_ns, wish->hourly);
			next_set_ns += NS_PER_HOUR;
		}
		if (online && wish->pings && at_ns >= next_ping_ns) {
			ping(&d, at_ns);
			next_ping_ns = at_ns + seconds(ping_s);
		}
		event(&d, at_ns + NS_PER_S);
		/* Heard live for long enough, its contacts are a sync. */
		d.heard = online ? d.heard + 1 : 0;
		if (!wish->pings && d.heard >= 20)
			d.synced_since_set = true;
	}
	mark_invalid(&d);
	qsort(out->messages, out->len, sizeof out->messages[0], by_receipt);
}
