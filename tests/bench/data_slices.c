/*
 * Stored slices: one dense day through the builder, late records into it, and
 * the day read from rows and worked out; memory of each in a process of its own.
 *
 *   data_slices [OBSERVATIONS] [LATE] [EPOCH]
 *
 * default 500000, 50 of each kind, and records that name no boot epoch.
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "align/builder.h"
#include "align/slice_serve.h"
#include "base/clock.h"
#include "base/random.h"
#include "store/keyring.h"

#define START_NS (INT64_C(1763164800) * NS_PER_S)
#define BATCH 1000
#define LATE_MAX 1000

static struct keyring *keyring;
static struct store *store;
static const char *epoch = "";

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	(void)fprintf(stderr, "data_slices: %s\n", what);
	exit(1);
}

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
	int64_t pace_ns = NS_PER_DAY / (int64_t)n;

	for (size_t i = 0; i < n;) {
		size_t k = 0;
		for (; k < BATCH && i < n; k++, i++) {
			int64_t at_ns = START_NS + (int64_t)i * pace_ns;
			obs[k] = make(i % STREAMS, at_ns, at_ns);
		}
		must(store_append(store, obs, k, NULL, NULL, NULL) == RC_OK, "append");
	}
}

static double pass_all(struct builder *builder)
{
	int64_t start_ns = clock_mono_ns();
	bool more = true;

	while (more)
		must(builder_pass(builder, &more, NULL) == RC_OK, "pass");
	return (double)(clock_mono_ns() - start_ns) / 1e9;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
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
		int64_t at_ns = START_NS + (int64_t)(random_next(&seed) % (uint64_t)NS_PER_DAY);
		struct observation obs = make(stream, at_ns, START_NS + NS_PER_DAY);
		must(store_append(store, &obs, 1, NULL, NULL, NULL) == RC_OK, "append");
		uint64_t other_ns = after.commit_ns + after.home_ns;
		whole[i] = pass_all(builder);
		builder_get_stats(builder, &after);
		worked[i] = whole[i] - (double)(after.commit_ns + after.home_ns - other_ns) / 1e9;
	}
	qsort(whole, late, sizeof whole[0], compare);
	qsort(worked, late, sizeof worked[0], compare);
	printf("late %-12s %6.2f ms worked out (median) %6.2f (95 of 100), all %6.2f %6.2f, "
	       "%.1f slices looked at\n",
	    streams[stream].kind, worked[late / 2] * 1e3, worked[late * 95 / 100] * 1e3,
	    whole[late / 2] * 1e3, whole[late * 95 / 100] * 1e3,
	    (double)(after.built - before.built) / (double)late);
}

static bool count(void *ctx, const struct slice *slice)
{
	(void)slice;
	++*(size_t *)ctx;
	return true;
}

/* In a child, so that its memory is its own. */
static void run_read(const char *name, bool work_out, int64_t step_ns)
{
	struct rusage before, after;

	(void)fflush(stdout);
	pid_t pid = fork();
	must(pid >= 0, "fork");
	if (pid > 0) {
		int status = 0;
		must(waitpid(pid, &status, 0) == pid && status == 0, "reading");
		return;
	}
	struct slice_query query = {
		.from_ns = START_NS, .to_ns = START_NS + NS_PER_DAY, .step_ns = step_ns
	};
	struct slice_source source = { store, policy_default(), START_NS + NS_PER_DAY, false,
		work_out };
	size_t slices = 0;
	(void)getrusage(RUSAGE_SELF, &before);
	int64_t start_ns = clock_mono_ns();
	must(slice_serve(&source, &query, count, &slices, NULL, NULL) == RC_OK, "serve");
	double ms = (double)(clock_mono_ns() - start_ns) / 1e6;
	(void)getrusage(RUSAGE_SELF, &after);
	printf("%-34s %6zu slices in %7.1f ms, %ld MiB more memory\n", name, slices, ms,
	    (after.ru_maxrss - before.ru_maxrss) / 1024);
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
	size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 500000;
	size_t late = argc > 2 ? strtoul(argv[2], NULL, 10) : 50;
	const char *base = getenv("TMPDIR");
	char dir[256];
	struct keyring_unlock unlock = { 0 };
	struct builder *builder = NULL;

	epoch = argc > 3 ? argv[3] : "";
	must(n >= 1000 && late >= 1 && late <= LATE_MAX, "usage: data_slices [N] [LATE] [EPOCH]");
	(void)snprintf(dir, sizeof dir, "%s/data_slices-XXXXXX", base == NULL ? "/tmp" : base);
	must(mkdtemp(dir) != NULL, "mkdtemp");
	must(keyring_create(dir, &unlock, NULL) == RC_OK, "keyring");
	must(keyring_open(dir, &unlock, &keyring, NULL) == RC_OK, "keyring");
	must(store_create(dir, keyring, NULL) == RC_OK, "store");
	/* The writer waits for no company: there is none. */
	struct store_config config = { .dir = dir, .keyring = keyring, .commit_interval_ns = 1 };
	must(store_open(&config, &store, NULL) == RC_OK, "store");
	fill(n);
	must(builder_new(store, policy_default(), &builder, NULL) == RC_OK, "builder");
	double seconds = pass_all(builder);
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	printf("built: %zu observations of one day in %.2f s (%.0f a second)\n", n, seconds,
	    (double)n / seconds);
	for (size_t i = 0; i < STREAMS; i++)
		run_late(builder, i, late);
	run_read("the day from its rows", false, NS_PER_MIN);
	run_read("the day worked out", true, NS_PER_MIN);
	run_read("the day worked out, second by second", true, NS_PER_S);
	builder_close(builder);
	store_close(store);
	keyring_close(keyring);
	(void)nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}
