/* Counters of the process and their Prometheus text. */
#include "gateway/metric.h"

#include <inttypes.h>
#include <stdatomic.h>

static _Atomic uint64_t counters[METRIC_COUNT];

static const struct {
	const char *name, *help;
} names[METRIC_COUNT] = {
#define X(name, prometheus, help) { prometheus, help },
	METRIC_LIST(X)
#undef X
};

void metric_add(enum metric metric, uint64_t n)
{
	atomic_fetch_add_explicit(&counters[metric], n, memory_order_relaxed);
}

uint64_t metric_get(enum metric metric)
{
	return atomic_load_explicit(&counters[metric], memory_order_relaxed);
}

void metric_print(struct buf *out)
{
	for (int i = 0; i < METRIC_COUNT; i++) {
		buf_printf(out, "# HELP %s %s\n# TYPE %s counter\n%s %" PRIu64 "\n", names[i].name,
		    names[i].help, names[i].name, names[i].name, metric_get((enum metric)i));
	}
}

void metric_print_gauge(struct buf *out, const char *name, const char *help, double value)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s gauge\n%s %.9g\n", name, help, name, name, value);
}
