/*
 * The aligner: ten streams of one day onto 86,400 slices of a second, from
 * memory and from a store, next to a plain backward merge join of the same
 * rows in the same run (which knows none of the semantics); from the store as
 * records of the log and as bundles; and the slice around one late observation.
 *
 *   data_align [OBSERVATIONS] [ROUNDS]     default 500000 and 3; from the store
 *                                          a tenth as many, onto minutes
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "align/policy.h"
#include "align/slice.h"
#include "align/window.h"
#include "base/clock.h"
#include "base/random.h"
#include "store/keyring.h"

#define STREAMS 10
#define SLICES 86400
#define ROUNDS_MAX 99
#define STORED_RATE_BOUND 1.5e6 /* observations a second on one core */
#define START_NS (INT64_C(1763164800) * NS_PER_S)

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	(void)fprintf(stderr, "data_align: %s\n", what);
	exit(1);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, int n)
{
	qsort(values, (size_t)n, sizeof values[0], compare);
	return values[n / 2];
}

static const struct {
	enum layer layer;
	const char *kind, *data_json;
} streams[STREAMS] = { { LAYER_BEHAVIOUR, "heart_rate", "{\"value\":62}" },
	{ LAYER_BEHAVIOUR, "steps", "{\"value\":3}" },
	{ LAYER_ENVIRONMENT, "temperature", "{\"room\":\"hall\",\"value\":20.5}" },
	{ LAYER_ENVIRONMENT, "light", "{\"value\":310}" },
	{ LAYER_ENVIRONMENT, "noise", "{\"value\":41}" },
	{ LAYER_ENVIRONMENT, "location", "{\"acc\":5,\"lat\":52.5,\"lon\":13.4}" },
	{ LAYER_BEHAVIOUR, "app", "{\"app\":\"editor\"}" }, { LAYER_VISUAL, "frame", "" },
	{ LAYER_AUDITORY, "sound", "" },
	{ LAYER_HOME, "light", "{\"entity_id\":\"light.hall\",\"state\":\"on\"}" } };

static int by_time(const void *a, const void *b)
{
	const struct observation *x = a, *y = b;

	return (x->dev_t0_ns > y->dev_t0_ns) - (x->dev_t0_ns < y->dev_t0_ns);
}

static void make_day(struct observation *obs, size_t n)
{
	uint64_t seed = 1;

	for (size_t i = 0; i < n; i++) {
		size_t s = i % STREAMS;
		obs[i] = (struct observation){ .source = "source",
			.client_id = "",
			.layer = streams[s].layer,
			.kind = streams[s].kind,
			.shape = SHAPE_INSTANT,
			.clock_id = "",
			.boot_epoch = "",
			.zone = "",
			.origin = ORIGIN_DEVICE,
			.text = "",
			.data_json = streams[s].data_json };
		obs[i].dev_t0_ns = obs[i].dev_t1_ns =
		    START_NS + (int64_t)(random_next(&seed) % (uint64_t)NS_PER_DAY);
		obs[i].place = placement_trusted(obs[i].dev_t0_ns, obs[i].dev_t1_ns, 0);
		memcpy(obs[i].obs_id, &i, sizeof i);
	}
	qsort(obs, n, sizeof *obs, by_time);
}

static bool count(void *ctx, const struct slice *slice)
{
	size_t *cells = ctx;

	for (int f = 0; f < FACET_COUNT; f++)
		*cells += slice->cells[f].mode != CELL_ABSENT;
	return true;
}

/* Seconds for the window; `items` prepared, or made here from `obs`. */
static double run_window(const struct item *items, const struct observation *obs, size_t n)
{
	struct window_grid grid = { .from_ns = START_NS,
		.to_ns = START_NS + NS_PER_DAY,
		.step_ns = NS_PER_S,
		.facets = FACET_MASK_ALL & ~FACET_MASK(FACET_SCENE),
		.borrow = items != NULL };
	struct window *window;
	size_t cells = 0;

	int64_t start_ns = clock_mono_ns();
	must(window_open(policy_default(), &grid, count, &cells, &window) == RC_OK, "open");
	for (size_t i = 0; i < n; i++) {
		struct item item;
		if (items == NULL)
			item_of_observation(&obs[i], policy_default(), &item);
		must(window_push(window, items != NULL ? &items[i] : &item, NULL) == RC_OK, "push");
	}
	must(window_finish(window, NULL) == RC_OK, "finish");
	window_close(window);
	must(cells > 0, "no cells");
	return (double)(clock_mono_ns() - start_ns) / 1e9;
}

/* The plainest join: the last row of each stream before each slice. */
static double run_join(const struct item *items, size_t n, size_t *sum)
{
	size_t last[STREAMS] = { 0 }, at = 0;

	int64_t start_ns = clock_mono_ns();
	for (size_t slice = 0; slice < SLICES; slice++) {
		int64_t end_ns = START_NS + (int64_t)(slice + 1) * NS_PER_S;
		for (; at < n && items[at].t0_ns < end_ns; at++)
			last[items[at].track % STREAMS] = at;
		for (size_t s = 0; s < STREAMS; s++)
			*sum += last[s];
	}
	return (double)(clock_mono_ns() - start_ns) / 1e9;
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

struct stored {
	double log_s, bundles_s, build_s; /* of all slices; of making the bundles */
	double late_s;                    /* one minute around a late observation */
};

static double build_slices(struct store *store, int64_t from_ns, int64_t to_ns, int64_t step_ns)
{
	struct slice_query query = { .from_ns = from_ns, .to_ns = to_ns, .step_ns = step_ns };
	size_t cells = 0;

	int64_t start_ns = clock_mono_ns();
	must(slice_build(store, &query, count, &cells, NULL) == RC_OK && cells > 0, "slices");
	return (double)(clock_mono_ns() - start_ns) / 1e9;
}

static void run_store(struct observation *obs, size_t n, struct stored *out)
{
	char dir[] = "/tmp/data_align-XXXXXX";
	struct keyring_unlock unlock = { 0 };
	struct keyring *keyring = NULL;
	struct store *store = NULL;
	int64_t end_ns = START_NS + NS_PER_DAY, noon_ns = START_NS + NS_PER_DAY / 2;

	must(mkdtemp(dir) != NULL && keyring_create(dir, &unlock, NULL) == RC_OK &&
		 keyring_open(dir, &unlock, &keyring, NULL) == RC_OK &&
		 store_create(dir, keyring, NULL) == RC_OK,
	    "store");
	struct store_config config = { .dir = dir, .keyring = keyring };
	must(store_open(&config, &store, NULL) == RC_OK, "open store");
	for (size_t i = 0; i < n; i += 1000)
		must(store_append(store, obs + i, n - i < 1000 ? n - i : 1000, NULL, NULL, NULL) ==
			 RC_OK,
		    "append");
	out->log_s = build_slices(store, START_NS, end_ns, NS_PER_MIN);
	int64_t start_ns = clock_mono_ns();
	must(store_build_bundles(store, end_ns + NS_PER_DAY, NULL) == RC_OK, "bundles");
	out->build_s = (double)(clock_mono_ns() - start_ns) / 1e9;
	out->bundles_s = build_slices(store, START_NS, end_ns, NS_PER_MIN);
	struct observation late = obs[n / 2];
	late.text = "late";
	must(store_append(store, &late, 1, NULL, NULL, NULL) == RC_OK, "append");
	out->late_s = build_slices(store, noon_ns, noon_ns + NS_PER_MIN, NS_PER_MIN);
	store_close(store);
	keyring_close(keyring);
	(void)nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* Large pages, as libraries of arrays ask for them. */
static void *rows_new(size_t bytes)
{
	void *rows = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(rows != MAP_FAILED, "memory");
	(void)madvise(rows, bytes, MADV_HUGEPAGE);
	return rows;
}

int main(int argc, char **argv)
{
	size_t n = argc > 1 ? (size_t)strtoull(argv[1], NULL, 10) : 500000, sum = 0;
	int rounds = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 3;
	double window[ROUNDS_MAX], whole[ROUNDS_MAX], join[ROUNDS_MAX];
	struct rusage usage;

	must(n >= 1000 && rounds >= 1 && rounds <= ROUNDS_MAX, "usage: data_align [N] [ROUNDS]");
	struct observation *obs = rows_new(n * sizeof *obs);
	struct item *items = rows_new(n * sizeof *items);
	make_day(obs, n);
	for (size_t i = 0; i < n; i++)
		item_of_observation(&obs[i], policy_default(), &items[i]);
	for (int i = 0; i < rounds; i++) {
		window[i] = run_window(items, obs, n);
		join[i] = run_join(items, n, &sum);
		whole[i] = run_window(NULL, obs, n);
	}
	struct stored stored;
	run_store(obs, n / 10, &stored);
	double join_s = median(join, rounds);
	(void)getrusage(RUSAGE_SELF, &usage);
	printf("%zu observations, %d streams, 86400 slices of 1 s, medians of %d (%zu)\n", n,
	    STREAMS, rounds, sum % 10);
	printf("%-34s %12s %8s\n", "", "M obs/s", "ratio");
	printf("%-34s %12.2f %8.2f\n", "plain backward merge join", (double)n / join_s / 1e6, 1.0);
	double seconds = median(window, rounds);
	printf("%-34s %12.2f %8.2f\n", "window, items prepared", (double)n / seconds / 1e6,
	    join_s / seconds);
	seconds = median(whole, rounds);
	printf("%-34s %12.2f %8.2f\n", "window, from observations", (double)n / seconds / 1e6,
	    join_s / seconds);
	printf(
	    "%-34s %12.2f\n", "slices of 60 s from the log", (double)n / 10 / stored.log_s / 1e6);
	printf("%-34s %12.2f %8.2f of the bound\n", "slices of 60 s from bundles",
	    (double)n / 10 / stored.bundles_s / 1e6,
	    (double)n / 10 / stored.bundles_s / STORED_RATE_BOUND);
	printf("%-34s %12.2f\n", "making the bundles", (double)n / 10 / stored.build_s / 1e6);
	printf("one minute after a late observation: %.2f ms\n", stored.late_s * 1e3);
	printf("peak memory of the process: %ld MiB, rows %zu MiB\n", usage.ru_maxrss / 1024,
	    n * (sizeof *obs + sizeof *items) >> 20);
	(void)munmap(obs, n * sizeof *obs);
	(void)munmap(items, n * sizeof *items);
	return 0;
}
