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
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "align/policy.h"
#include "align/slice.h"
#include "base/clock.h"
#include "base/random.h"
#include "store/keyring.h"

#define STREAMS 10
#define BATCH 1000
#define ROUNDS_MAX 99
#define RATE_BOUND 1.5e6 /* observations a second on one core */
#define MEMORY_BOUND_BYTES ((size_t)64 << 20)
#define LOOK_SLICES 64 /* between two looks at the memory */
#define START_NS (INT64_C(1763164800) * NS_PER_S)
#define END_NS (START_NS + NS_PER_DAY)

static const char *clock_name = "";
static char dir[] = "/tmp/data_align_store-XXXXXX";
static struct keyring *keyring;
static struct store *store;

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	(void)fprintf(stderr, "data_align_store: %s\n", what);
	exit(1);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
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

static struct observation make(size_t s, int64_t at_ns)
{
	return (struct observation){ .source = "source",
		.client_id = "",
		.layer = streams[s].layer,
		.kind = streams[s].kind,
		.shape = SHAPE_INSTANT,
		.clock_id = clock_name,
		.boot_epoch = clock_name,
		.zone = "",
		.origin = ORIGIN_DEVICE,
		.dev_t0_ns = at_ns,
		.dev_t1_ns = at_ns,
		.recv_utc_ns = at_ns + 40 * NS_PER_MS,
		.text = "",
		.data_json = streams[s].data_json };
}

static void open_store(void)
{
	struct keyring_unlock unlock = { 0 };
	struct store_config config = { .dir = dir };

	must(keyring_open(dir, &unlock, &keyring, NULL) == RC_OK, "keyring");
	config.keyring = keyring;
	must(store_open(&config, &store, NULL) == RC_OK, "open store");
}

static void close_store(void)
{
	store_close(store);
	keyring_close(keyring);
}

/* A day in order of time, at an uneven pace. */
static void fill(size_t n)
{
	static struct observation obs[BATCH];
	int64_t pace_ns = NS_PER_DAY / (int64_t)n;
	uint64_t seed = 1;

	open_store();
	for (size_t i = 0; i < n;) {
		size_t k = 0;
		for (; k < BATCH && i < n; k++, i++)
			obs[k] = make(random_next(&seed) % STREAMS,
			    START_NS + (int64_t)i * pace_ns +
				(int64_t)(random_next(&seed) % (uint64_t)pace_ns));
		must(store_append(store, obs, k, NULL, NULL, NULL) == RC_OK, "append");
	}
	close_store();
}

static void make_bundles(size_t n)
{
	open_store();
	int64_t start_ns = clock_mono_ns();
	must(store_build_bundles(store, END_NS + NS_PER_DAY, NULL) == RC_OK, "bundles");
	printf("%-34s %12.2f\n", "making the bundles",
	    (double)n / ((double)(clock_mono_ns() - start_ns) / 1e9) / 1e6);
	close_store();
}

/* ---- one alignment, its memory watched -------------------------------------------- */

struct watch {
	size_t slices, values;
	size_t own_bytes, resident_bytes; /* the most that was seen */
};

static void look(struct watch *watch)
{
	size_t size = 0, resident = 0, shared = 0, page = (size_t)sysconf(_SC_PAGESIZE);
	FILE *file = fopen("/proc/self/statm", "r");

	must(file != NULL && fscanf(file, "%zu %zu %zu", &size, &resident, &shared) == 3, "statm");
	(void)fclose(file);
	if ((resident - shared) * page > watch->own_bytes)
		watch->own_bytes = (resident - shared) * page;
	if (resident * page > watch->resident_bytes)
		watch->resident_bytes = resident * page;
}

static bool count(void *ctx, const struct slice *slice)
{
	struct watch *watch = ctx;

	for (int f = 0; f < FACET_COUNT; f++)
		watch->values += slice->cells[f].values_len;
	if (watch->slices++ % LOOK_SLICES == 0)
		look(watch);
	return true;
}

static double align(int64_t from_ns, int64_t to_ns, int64_t step_ns, struct watch *watch)
{
	struct slice_query query = { .from_ns = from_ns, .to_ns = to_ns, .step_ns = step_ns };

	int64_t start_ns = clock_mono_ns();
	must(
	    slice_build(store, &query, count, watch, NULL) == RC_OK && watch->values > 0, "slices");
	return (double)(clock_mono_ns() - start_ns) / 1e9;
}

static void align_day(const char *name, size_t n, int rounds, int64_t step_ns)
{
	double seconds[ROUNDS_MAX];
	struct watch watch = { 0 };

	open_store();
	for (int i = 0; i < rounds; i++) {
		watch.values = 0;
		seconds[i] = align(START_NS, END_NS, step_ns, &watch);
	}
	qsort(seconds, (size_t)rounds, sizeof seconds[0], compare);
	double rate = (double)n / seconds[rounds / 2];
	printf("%-34s %12.2f %8.2f %9zu %9zu %8s %9zu\n", name, rate / 1e6, rate / RATE_BOUND,
	    watch.values, watch.own_bytes >> 20,
	    watch.own_bytes <= MEMORY_BOUND_BYTES ? "kept" : "MISSED", watch.resident_bytes >> 20);
	close_store();
}

static void align_late(int64_t step_ns)
{
	int64_t noon_ns = START_NS + NS_PER_DAY / 2;
	struct watch watch = { 0 };

	open_store();
	struct observation late = make(0, noon_ns + NS_PER_S);
	late.text = "late";
	must(store_append(store, &late, 1, NULL, NULL, NULL) == RC_OK, "append");
	double seconds = align(noon_ns, noon_ns + step_ns, step_ns, &watch);
	printf("one slice after a late observation: %.2f ms\n", seconds * 1e3);
	close_store();
}

/* ---- processes ------------------------------------------------------------------------ */

enum part { PART_FILL, PART_LOG, PART_BUNDLES, PART_BUNDLED, PART_LATE, PART_COUNT };

static void run_part(enum part part, size_t n, int rounds, int64_t step_ns)
{
	(void)fflush(stdout);
	pid_t pid = fork();
	must(pid >= 0, "fork");
	if (pid > 0) {
		int status = 0;
		must(waitpid(pid, &status, 0) == pid && status == 0, "a part failed");
		return;
	}
	if (part == PART_FILL)
		fill(n);
	else if (part == PART_LOG)
		align_day("slices from the log", n, rounds, step_ns);
	else if (part == PART_BUNDLES)
		make_bundles(n);
	else if (part == PART_BUNDLED)
		align_day("slices from bundles", n, rounds, step_ns);
	else
		align_late(step_ns);
	(void)fflush(stdout);
	_exit(0);
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

int main(int argc, char **argv)
{
	size_t n = argc > 1 ? (size_t)strtoull(argv[1], NULL, 10) : 500000;
	int rounds = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 3;
	int64_t step_ns = (argc > 3 ? strtol(argv[3], NULL, 10) : 60) * NS_PER_S;
	struct keyring_unlock unlock = { 0 };

	clock_name = argc > 4 ? argv[4] : "";
	must(n >= 1000 && rounds >= 1 && rounds <= ROUNDS_MAX,
	    "usage: data_align_store [OBSERVATIONS] [ROUNDS] [STEP_S] [CLOCK]");
	must(mkdtemp(dir) != NULL && keyring_create(dir, &unlock, NULL) == RC_OK &&
		 keyring_open(dir, &unlock, &keyring, NULL) == RC_OK &&
		 store_create(dir, keyring, NULL) == RC_OK,
	    "store");
	keyring_close(keyring);
	printf("%zu observations of one day%s%s, slices of %lld s, medians of %d\n", n,
	    clock_name[0] == '\0' ? "" : " by the clock ", clock_name,
	    (long long)(step_ns / NS_PER_S), rounds);
	printf("%-34s %12s %8s %9s %9s %8s %9s\n", "", "M obs/s", "of bound", "values", "own MiB",
	    "<= 64", "resident");
	for (enum part part = PART_FILL; part < PART_COUNT; part++)
		run_part(part, n, rounds, step_ns);
	(void)nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}
