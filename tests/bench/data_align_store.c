/*
 * The aligner from the encrypted store: a dense day of ten streams onto slices,
 * read as records of the log and as bundles, each in a process of its own whose
 * memory is told; and the slice around one late observation.
 *
 *   data_align_store [OBSERVATIONS] [ROUNDS] [STEP_S] [CLOCK]
 *                              default 500000, 3, 60, and events name no clock
 *
 * Own memory is what the process has allocated; the rest of what is resident are
 * pages of the database, which are the kernel's cache.
 */
#include <stdio.h>
#include <stdlib.h>

#include "align/policy.h"
#include "align/slice.h"
#include "base/clock.h"
#include "base/random.h"
#include "slice_day.h"

#define STREAMS SLICE_DAY_STREAMS
#define BATCH 1000
#define RATE_BOUND 1.5e6 /* observations a second on one core */
#define MEMORY_BOUND_BYTES ((size_t)64 << 20)
#define LOOK_SLICES 64 /* between two looks at the memory */
#define START_NS SLICE_DAY_START_NS
#define END_NS SLICE_DAY_END_NS

static const char *clock_name = "";
static struct store *store;

static struct observation make(size_t s, int64_t at_ns)
{
	struct observation obs = slice_day_make(s, at_ns);

	obs.clock_id = obs.boot_epoch = clock_name;
	return obs;
}

/* A day in order of time, at an uneven pace. */
static void fill(size_t n)
{
	static struct observation obs[BATCH];
	int64_t pace_ns = NS_PER_DAY / (int64_t)n;
	uint64_t seed = 1;

	store = slice_day_open(0);
	for (size_t i = 0; i < n;) {
		size_t k = 0;
		for (; k < BATCH && i < n; k++, i++)
			obs[k] = make(random_next(&seed) % STREAMS,
			    START_NS + (int64_t)i * pace_ns +
				(int64_t)(random_next(&seed) % (uint64_t)pace_ns));
		slice_day_must(store_append(store, obs, k, NULL, NULL, NULL) == RC_OK, "append");
	}
	slice_day_close();
}

static void make_bundles(size_t n)
{
	store = slice_day_open(0);
	int64_t start_ns = clock_mono_ns();
	slice_day_must(store_build_bundles(store, END_NS + NS_PER_DAY, NULL) == RC_OK, "bundles");
	printf("%-34s %12.2f\n", "making the bundles",
	    (double)n / ((double)(clock_mono_ns() - start_ns) / 1e9) / 1e6);
	slice_day_close();
}

/* ---- one alignment, its memory watched -------------------------------------------- */

struct watch {
	size_t slices, values;
	struct slice_day_memory memory; /* the most that was seen */
};

static bool count(void *ctx, const struct slice *slice)
{
	struct watch *watch = ctx;

	for (int f = 0; f < FACET_COUNT; f++)
		watch->values += slice->cells[f].values_len;
	if (watch->slices++ % LOOK_SLICES == 0)
		slice_day_look(&watch->memory);
	return true;
}

static double align(int64_t from_ns, int64_t to_ns, int64_t step_ns, struct watch *watch)
{
	struct slice_query query = { .from_ns = from_ns, .to_ns = to_ns, .step_ns = step_ns };

	int64_t start_ns = clock_mono_ns();
	slice_day_must(
	    slice_build(store, &query, count, watch, NULL) == RC_OK && watch->values > 0, "slices");
	return (double)(clock_mono_ns() - start_ns) / 1e9;
}

static void align_day(const char *name, size_t n, int rounds, int64_t step_ns)
{
	double seconds[SLICE_DAY_ROUNDS_MAX];
	struct watch watch = { 0 };

	store = slice_day_open(0);
	for (int i = 0; i < rounds; i++) {
		watch.values = 0;
		seconds[i] = align(START_NS, END_NS, step_ns, &watch);
	}
	double rate = (double)n / slice_day_percentile(seconds, (size_t)rounds, 50);
	printf("%-34s %12.2f %8.2f %9zu %9zu %8s %9zu\n", name, rate / 1e6, rate / RATE_BOUND,
	    watch.values, watch.memory.own_bytes >> 20,
	    watch.memory.own_bytes <= MEMORY_BOUND_BYTES ? "kept" : "MISSED",
	    watch.memory.resident_bytes >> 20);
	slice_day_close();
}

static void align_late(int64_t step_ns)
{
	int64_t noon_ns = START_NS + NS_PER_DAY / 2;
	struct watch watch = { 0 };

	store = slice_day_open(0);
	struct observation late = make(0, noon_ns + NS_PER_S);
	late.text = "late";
	slice_day_must(store_append(store, &late, 1, NULL, NULL, NULL) == RC_OK, "append");
	double seconds = align(noon_ns, noon_ns + step_ns, step_ns, &watch);
	printf("one slice after a late observation: %.2f ms\n", seconds * 1e3);
	slice_day_close();
}

/* ---- processes ------------------------------------------------------------------------ */

enum part { PART_FILL, PART_LOG, PART_BUNDLES, PART_BUNDLED, PART_LATE, PART_COUNT };

struct work {
	enum part part;
	size_t n;
	int rounds;
	int64_t step_ns;
};

static void run_part(void *ctx)
{
	const struct work *work = ctx;

	if (work->part == PART_FILL)
		fill(work->n);
	else if (work->part == PART_LOG)
		align_day("slices from the log", work->n, work->rounds, work->step_ns);
	else if (work->part == PART_BUNDLES)
		make_bundles(work->n);
	else if (work->part == PART_BUNDLED)
		align_day("slices from bundles", work->n, work->rounds, work->step_ns);
	else
		align_late(work->step_ns);
}

int main(int argc, char **argv)
{
	size_t n = argc > 1 ? (size_t)strtoull(argv[1], NULL, 10) : 500000;
	int rounds = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 3;
	int64_t step_ns = (argc > 3 ? strtol(argv[3], NULL, 10) : 60) * NS_PER_S;

	clock_name = argc > 4 ? argv[4] : "";
	slice_day_must(n >= 1000 && rounds >= 1 && rounds <= SLICE_DAY_ROUNDS_MAX,
	    "usage: data_align_store [OBSERVATIONS] [ROUNDS] [STEP_S] [CLOCK]");
	slice_day_create();
	printf("%zu observations of one day%s%s, slices of %lld s, medians of %d\n", n,
	    clock_name[0] == '\0' ? "" : " by the clock ", clock_name,
	    (long long)(step_ns / NS_PER_S), rounds);
	printf("%-34s %12s %8s %9s %9s %8s %9s\n", "", "M obs/s", "of bound", "values", "own MiB",
	    "<= 64", "resident");
	for (enum part part = PART_FILL; part < PART_COUNT; part++)
		slice_day_apart(run_part, &(struct work){ part, n, rounds, step_ns });
	slice_day_remove();
	return 0;
}
