/*
 * Placements against a simulator that knows the truth: it lies in the stated
 * interval in every valid case.  HEARTH_CLOCKS=20000 runs longer and prints the
 * errors and widths beside receipt times and raw device times.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "clock/line.h"
#include "clock_sim.h"

#define CLOCKS_DEFAULT 300
#define BOOTS_MAX 64
#define SAMPLES_MAX ((size_t)1 << 21)

struct placed {
	const struct clock_sim_message *message;
	struct line_event event;
	struct line_place place;
};

struct figures {
	int64_t *ours, *received, *raw, *widths; /* [len] */
	size_t len;
	size_t valid, limbo, wide;
};

static struct clock_sim sim;
static struct placed placed[CLOCK_SIM_MESSAGES_MAX];
static struct line lines[BOOTS_MAX];
static struct figures figures[2]; /* by contacts, by pings */

static long clocks_wanted(void)
{
	const char *text = getenv("HEARTH_CLOCKS");

	return text == NULL ? CLOCKS_DEFAULT : strtol(text, NULL, 10);
}

static bool holds(const struct placed *p)
{
	const struct line_place *at = &p->place;

	return p->message->true_t0_ns >= at->t0_ns - at->early_ns &&
	       p->message->true_t0_ns <= at->t0_ns + at->late_ns &&
	       p->message->true_t1_ns >= at->t1_ns - at->early_ns &&
	       p->message->true_t1_ns <= at->t1_ns + at->late_ns;
}

static void check(const struct placed *p, uint64_t seed, const char *when)
{
	const struct line_place *at = &p->place;

	if (!p->message->valid || holds(p))
		return;
	fprintf(stderr,
	    "seed %llu %s %s: truth %.3f is not in [%.3f, %.3f] of epoch %llu%s, "
	    "received after %.3f, grain %lld, %zu jumps, boot %d, message %zu\n",
	    (unsigned long long)seed, sim.pings ? "pings" : "contacts", when,
	    (double)(p->message->true_t1_ns - at->t1_ns) / 1e9, -(double)at->early_ns / 1e9,
	    (double)at->late_ns / 1e9, (unsigned long long)at->epoch, at->limbo ? " (limbo)" : "",
	    (double)(p->message->recv_ns - p->message->true_t1_ns) / 1e9, (long long)sim.grain_ns,
	    sim.jumps, p->message->boot, (size_t)(p->message - sim.messages));
	fail_msg("a confident wrong time");
}

static void apply(const struct line *line, int boot, const struct line_news *news, size_t len)
{
	for (size_t c = 0; c < news->len; c++) {
		for (size_t i = 0; i < len; i++) {
			struct placed *p = &placed[i];
			if (p->message->boot == boot && p->place.open == news->changes[c].epoch &&
			    p->event.recv_ns <= news->changes[c].until_ns &&
			    !line_place(line, &news->changes[c], &p->event, &p->place))
				p->place.open = 0;
		}
	}
}

static void add_figures(struct figures *f, const struct placed *p)
{
	if (!p->message->valid || f->len == SAMPLES_MAX)
		return;
	f->valid++;
	f->limbo += p->place.limbo;
	f->wide += p->place.early_ns + p->place.late_ns > 20 * NS_PER_S;
	f->ours[f->len] = llabs(p->place.t1_ns - p->message->true_t1_ns);
	f->received[f->len] = p->message->recv_ns - p->message->true_t1_ns;
	f->raw[f->len] = llabs(p->message->dev_t1_ns - p->message->true_t1_ns);
	f->widths[f->len++] = p->place.early_ns + p->place.late_ns;
}

static void run(uint64_t seed, const struct clock_sim_wish *wish)
{
	struct line_clock clock = { .known_ns = INT64_MIN };
	struct line_news news;
	size_t len = 0;

	clock_sim_run(seed, wish, &sim);
	for (size_t i = 0; i < BOOTS_MAX; i++)
		line_init(&lines[i]);
	for (size_t i = 0; i < sim.len; i++) {
		const struct clock_sim_message *m = &sim.messages[i];
		struct line *line = &lines[m->boot];
		assert_true(m->boot < BOOTS_MAX);
		if (m->kind == CLOCK_SIM_PING) {
			struct line_ping ping = { i + 1, m->t1_ns, m->t2_ns, m->t3_ns, m->t4_ns };
			assert_true(line_ping(line, &clock, &ping, &news));
		} else {
			struct placed *p = &placed[len++];
			p->message = m;
			p->event = (struct line_event){ i + 1, m->dev_t0_ns, m->dev_t1_ns,
				m->recv_ns, m->recv_ns };
			line_event(line, &clock, &p->event, &p->place, &news);
		}
		apply(line, m->boot, &news, len);
	}
	for (size_t i = 0; i < len; i++) {
		check(&placed[i], seed, "at the end");
		add_figures(&figures[wish->pings], &placed[i]);
	}
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static double at(int64_t *values, size_t len, size_t percent)
{
	qsort(values, len, sizeof values[0], by_size);
	return (double)values[(len - 1) * percent / 100] / 1e9;
}

static void report(struct figures *f, const char *name)
{
	double ours50 = at(f->ours, f->len, 50), ours99 = at(f->ours, f->len, 99);
	double received50 = at(f->received, f->len, 50), received99 = at(f->received, f->len, 99);
	double raw50 = at(f->raw, f->len, 50), raw99 = at(f->raw, f->len, 99);

	printf("%s: %zu valid events, %zu in limbo, %zu wider than 20 s\n"
	       "  error p50/p99 s: map %.6f/%.3f, receipt %.6f/%.3f, device %.3f/%.3f\n"
	       "  width p50/p99 s: %.6f/%.3f\n",
	    name, f->valid, f->limbo, f->wide, ours50, ours99, received50, received99, raw50, raw99,
	    at(f->widths, f->len, 50), at(f->widths, f->len, 99));
	assert_true(ours50 < received50 && ours50 < raw50);
	if (clocks_wanted() >= CLOCKS_DEFAULT) /* a tail needs a crowd */
		assert_true(ours99 < received99 && ours99 < raw99);
}

static void test_the_truth_lies_in_every_stated_interval(void **state)
{
	long n = clocks_wanted();

	(void)state;
	for (long i = 0; i < n; i++)
		run((uint64_t)i, &(struct clock_sim_wish){ .hours = 12, .pings = i % 2 == 0 });
	report(&figures[1], "two-way");
	report(&figures[0], "one-way");
}

static void test_a_clock_that_jumps_every_hour_is_not_believed_too_much(void **state)
{
	long n = clocks_wanted() / 10;

	(void)state;
	for (long i = 0; i < n; i++) {
		run((uint64_t)(1000000 + i),
		    &(struct clock_sim_wish){ .hours = 12, .pings = i % 2 == 0, .hourly = true });
		assert_true(sim.jumps > 1);
	}
}

static int setup(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		int64_t **arrays[] = { &figures[i].ours, &figures[i].received, &figures[i].raw,
			&figures[i].widths };
		for (size_t k = 0; k < 4; k++) {
			*arrays[k] = malloc(SAMPLES_MAX * sizeof(int64_t));
			assert_non_null(*arrays[k]);
		}
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		free(figures[i].ours);
		free(figures[i].received);
		free(figures[i].raw);
		free(figures[i].widths);
	}
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_truth_lies_in_every_stated_interval),
		cmocka_unit_test(test_a_clock_that_jumps_every_hour_is_not_believed_too_much),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
