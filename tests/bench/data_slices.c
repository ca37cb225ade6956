/*
 * Stored slices: one dense day through the builder, late records into it, and
 * the day read from rows and worked out; memory of each in a process of its own.
 *
 *   data_slices [OBSERVATIONS] [LATE] [EPOCH] [HOURS]
 *
 * default 500000, 50 of each kind, records that name no boot epoch, and a whole day: of
 * a dense one some hours tell the memory.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "align/builder.h"
#include "align/slice_serve.h"
#include "base/clock.h"
#include "base/random.h"
#include "slice_day.h"

#define START_NS SLICE_DAY_START_NS
#define BATCH 1000
#define LATE_MAX 1000
#define LOOK_NS (5 * NS_PER_MS)

static struct store *store;
static const char *epoch = "";
static int64_t length_ns = NS_PER_DAY;

static const struct {
	enum layer layer;
	const char *kind, *data_json;
} streams[] = { { LAYER_BEHAVIOUR, "heart_rate", "{\"value\":62}" },
	{ LAYER_BEHAVIOUR, "window", "{\"app\":\"editor\"}" },
	{ LAYER_ENVIRONMENT, "location", "{\"lat\":52.5,\"lon\":13.4,\"vel\":3}" },
	{ LAYER_ENVIRONMENT, "temperature", "{\"value\":21.5}" }, { LAYER_TEXT, "message", "" },
	{ LAYER_VISUAL, "frame", "{\"caption\":\"a desk\"}" }, { LAYER_AUDITORY, "sound", "" },
	{ LAYER_HOME, "light", "{\"entity_id\":\"light.hall\",\"state\":\"on\"}" } };
#define STREAMS (sizeof streams / sizeof streams[0])

static struct observation make(size_t stream, int64_t at_ns, int64_t recv_ns)
{
	return (struct observation){ .source = "source",
		.client_id = "",
		.layer = streams[stream].layer,
		.kind = streams[stream].kind,
		.shape = SHAPE_INSTANT,
		.clock_id = "",
		.boot_epoch = epoch,
		.zone = "",
		.origin = ORIGIN_DEVICE,
		.text = "some words of a usual length, as people and programs write them",
		.data_json = streams[stream].data_json,
		.dev_t0_ns = at_ns,
		.dev_t1_ns = at_ns,
		.recv_utc_ns = recv_ns };
}

static void fill(size_t n)
{
	static struct observation obs[BATCH];
	int64_t pace_ns = length_ns / (int64_t)n;

	for (size_t i = 0; i < n;) {
		size_t k = 0;
		for (; k < BATCH && i < n; k++, i++) {
			int64_t at_ns = START_NS + (int64_t)i * pace_ns;
			obs[k] = make(i % STREAMS, at_ns, at_ns);
		}
		slice_day_must(store_append(store, obs, k, NULL, NULL, NULL) == RC_OK, "append");
	}
}

static double pass_all(struct builder *builder)
{
	int64_t start_ns = clock_mono_ns();
	bool more = true;

	while (more)
		slice_day_must(builder_pass(builder, &more, NULL) == RC_OK, "pass");
	return (double)(clock_mono_ns() - start_ns) / 1e9;
}

/* Records of one stream that come late, one at a time, each built into its
 * slices.  What a pass takes is working out, its two commits (in a directory of
 * memory they cost little) and, for the home, the digests: the first, and all. */
static void run_late(struct builder *builder, size_t stream, size_t late)
{
	static double whole[LATE_MAX], worked[LATE_MAX];
	struct builder_stats before, after;
	uint64_t seed = 3;

	builder_get_stats(builder, &before);
	after = before;
	for (size_t i = 0; i < late; i++) {
		int64_t at_ns = START_NS + (int64_t)(random_next(&seed) % (uint64_t)length_ns);
		struct observation obs = make(stream, at_ns, START_NS + length_ns);
		slice_day_must(store_append(store, &obs, 1, NULL, NULL, NULL) == RC_OK, "append");
		uint64_t other_ns = after.commit_ns + after.home_ns;
		whole[i] = pass_all(builder);
		builder_get_stats(builder, &after);
		worked[i] = whole[i] - (double)(after.commit_ns + after.home_ns - other_ns) / 1e9;
	}
	printf("late %-12s %6.2f ms worked out (median) %6.2f (95 of 100), all %6.2f %6.2f, "
	       "%.1f slices looked at\n",
	    streams[stream].kind, slice_day_percentile(worked, late, 50) * 1e3,
	    slice_day_percentile(worked, late, 95) * 1e3,
	    slice_day_percentile(whole, late, 50) * 1e3,
	    slice_day_percentile(whole, late, 95) * 1e3,
	    (double)(after.built - before.built) / (double)late);
}

static bool count(void *ctx, const struct slice *slice)
{
	(void)slice;
	++*(size_t *)ctx;
	return true;
}

struct reading {
	const char *name;
	bool work_out;
	int64_t step_ns;
};

static void run_read(void *ctx)
{
	const struct reading *reading = ctx;
	struct slice_query query = {
		.from_ns = START_NS, .to_ns = START_NS + length_ns, .step_ns = reading->step_ns
	};
	struct slice_source source = { store, policy_default(), START_NS + length_ns, false,
		reading->work_out };
	struct rusage before, after;
	size_t slices = 0;

	(void)getrusage(RUSAGE_SELF, &before);
	int64_t start_ns = clock_mono_ns();
	slice_day_must(slice_serve(&source, &query, count, &slices, NULL, NULL) == RC_OK, "serve");
	double ms = (double)(clock_mono_ns() - start_ns) / 1e6;
	(void)getrusage(RUSAGE_SELF, &after);
	printf("%-34s %6zu slices in %7.1f ms, %ld MiB more memory\n", reading->name, slices, ms,
	    (after.ru_maxrss - before.ru_maxrss) / 1024);
}

static void run_fill(void *ctx)
{
	store = slice_day_open(0);
	fill(*(const size_t *)ctx);
	slice_day_close();
}

/* ---- the builder, its memory watched ---------------------------------------------- */

struct watch {
	pthread_t thread;
	atomic_bool over;
	struct slice_day_memory most;
};

static void *look_on(void *ctx)
{
	const struct timespec pause = { .tv_nsec = LOOK_NS };
	struct watch *watch = ctx;

	while (!atomic_load(&watch->over)) {
		slice_day_look(&watch->most);
		(void)nanosleep(&pause, NULL);
	}
	return NULL;
}

static void run_build(void *ctx)
{
	size_t n = *(const size_t *)ctx;
	struct slice_day_memory before = { 0 };
	struct builder *builder = NULL;
	struct watch watch = { .over = false };

	store = slice_day_open(1);
	slice_day_must(builder_new(store, policy_default(), &builder, NULL) == RC_OK, "builder");
	slice_day_look(&before);
	slice_day_must(pthread_create(&watch.thread, NULL, look_on, &watch) == 0, "thread");
	double seconds = pass_all(builder);
	atomic_store(&watch.over, true);
	(void)pthread_join(watch.thread, NULL);
	printf("built: %zu observations in %.2f s (%.0f a second), at most %zu MiB of "
	       "own memory (%zu before)\n",
	    n, seconds, (double)n / seconds, watch.most.own_bytes >> 20, before.own_bytes >> 20);
	builder_close(builder);
	slice_day_close();
}

int main(int argc, char **argv)
{
	size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 500000;
	size_t late = argc > 2 ? strtoul(argv[2], NULL, 10) : 50;
	struct reading readings[] = { { "the day from its rows", false, NS_PER_MIN },
		{ "the day worked out", true, NS_PER_MIN },
		{ "the day worked out, second by second", true, NS_PER_S } };
	struct builder *builder = NULL;

	epoch = argc > 3 ? argv[3] : "";
	length_ns = argc > 4 ? strtol(argv[4], NULL, 10) * NS_PER_HOUR : NS_PER_DAY;
	slice_day_must(n >= 1000 && late <= LATE_MAX && length_ns > 0,
	    "usage: data_slices [OBSERVATIONS] [LATE] [EPOCH] [HOURS]");
	slice_day_create();
	slice_day_apart(run_fill, &n);
	slice_day_apart(run_build, &n);
	/* The writer waits for no company: there is none. */
	store = slice_day_open(1);
	slice_day_must(builder_new(store, policy_default(), &builder, NULL) == RC_OK, "builder");
	(void)pass_all(builder);
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < STREAMS && late > 0; i++)
		run_late(builder, i, late);
	for (size_t i = 0; i < sizeof readings / sizeof readings[0]; i++)
		slice_day_apart(run_read, &readings[i]);
	builder_close(builder);
	slice_day_close();
	slice_day_remove();
	return 0;
}
