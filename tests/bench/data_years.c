/*
 * Years of one life in one store: how long it takes to open, how fast a minute
 * of it comes back, and whether remaking the indexes is linear.
 *
 *   data_years [-d DIRECTORY] [-n OBSERVATIONS] [-y YEARS] [-p PROBES] [-k]
 *   data_years -o KEPT [-y YEARS] [-p PROBES]
 *
 * Defaults: /tmp, 200000 observations over 10 years, 100 probes.  The log is
 * written straight, as appending would have (ids, hashes, seals, keys of days);
 * every derived database is made by the rebuild that is measured: twice, of a
 * tenth of the log and of all of it.  A probe is a random minute: its slice,
 * home aside (a state holds from its last change, so that layer is read from its
 * beginning, or what its digests say of it: shown on its own), from the log and
 * from bundles.
 * -k keeps the directory; -o measures one that was kept (its bundles are there
 * already), each minute twice, the second time with its pages in memory.
 */
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "align/home.h"
#include "base/random.h"
#include "store/store_internal.h"
#include "store/store_rebuild.h"

#define START_NS (INT64_C(1447459200) * NS_PER_S) /* 2015-11-14 */
#define BATCH ((size_t)20000)
#define PROBES_MAX 10000
#define OPENS 5
#define OPEN_BOUND_S 2.0
#define WINDOW_BOUND_MS 5.0

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	(void)fprintf(stderr, "data_years: %s\n", what);
	exit(1);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double quantile(double *values, size_t n, double share)
{
	qsort(values, n, sizeof(values[0]), compare);
	return values[(size_t)((double)(n - 1) * share)];
}

static double seconds_since(int64_t begin_ns)
{
	return (double)(clock_mono_ns() - begin_ns) / 1e9;
}

/* ---- a life ------------------------------------------------------------------------ */

/* What a day is made of, in shares of a hundred. */
static const struct {
	unsigned share;
	enum layer layer;
	const char *source, *kind, *data_json, *text;
} kinds[] = {
	{ 45, LAYER_BEHAVIOUR, "watch", "heart_rate", "{\"value\":62}", "" },
	{ 20, LAYER_ENVIRONMENT, "phone", "location", "{\"acc\":12,\"lat\":52.5,\"lon\":13.4}",
	    "" },
	{ 10, LAYER_BEHAVIOUR, "pc", "app", "{\"app\":\"editor\"}", "notes.txt - editor" },
	{ 10, LAYER_ENVIRONMENT, "hub", "temperature", "{\"room\":\"hall\",\"value\":20.5}", "" },
	{ 5, LAYER_HOME, "hub", "light", "{\"entity_id\":\"light.hall\",\"state\":\"on\"}", "" },
	{ 5, LAYER_VISUAL, "glasses", "frame", "", "a desk with two screens" },
	{ 3, LAYER_AUDITORY, "glasses", "speech", "", "shall we have lunch at one" },
	{ 2, LAYER_TEXT, "phone", "message", "", "on my way, ten minutes" },
};

struct life {
	size_t total, made;
	int64_t span_ns;
	uint64_t seed;
	struct buf record;
};

static struct observation make(struct life *life, char id[24])
{
	unsigned at = (unsigned)(random_next(&life->seed) % 100);
	size_t k = 0;
	double share = (double)life->made / (double)life->total;

	while (at >= kinds[k].share)
		at -= kinds[k++].share;
	(void)snprintf(id, 24, "%zu", life->made++);
	struct observation obs = { .source = kinds[k].source,
		.client_id = id,
		.layer = kinds[k].layer,
		.kind = kinds[k].kind,
		.shape = SHAPE_INSTANT,
		.origin = ORIGIN_DEVICE,
		.data_json = kinds[k].data_json,
		.text = kinds[k].text };
	obs.dev_t0_ns = START_NS + (int64_t)(share * (double)life->span_ns) +
			(int64_t)(random_next(&life->seed) % (uint64_t)NS_PER_S);
	obs.dev_t1_ns = obs.dev_t0_ns;
	if (kinds[k].layer == LAYER_AUDITORY || strcmp(kinds[k].kind, "app") == 0) {
		obs.shape = SHAPE_INTERVAL;
		obs.has_end = true;
		obs.dev_t1_ns += (int64_t)(random_next(&life->seed) % (60 * (uint64_t)NS_PER_S));
	}
	obs.recv_utc_ns = obs.dev_t1_ns + NS_PER_S;
	return obs;
}

/* A stretch of the log, in one transaction of the writer. */
static enum rc log_task(struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why)
{
	struct life *life = ctx;
	size_t until = life->made + BATCH < life->total ? life->made + BATCH : life->total;
	enum rc rc = RC_OK;

	while (rc == RC_OK && *err == 0 && life->made < until) {
		uint8_t seq_bytes[8];
		char id[24];
		MDB_val key = { sizeof(seq_bytes), seq_bytes }, value;
		struct observation obs = make(life, id);
		store_hash(store, &obs, obs.obs_id, obs.content_hash);
		buf_reset(&life->record);
		buf_reset(&store->sealed);
		store_put_be64(seq_bytes, store->next_seq++);
		rc = observation_encode(&obs, &life->record, why);
		if (rc == RC_OK)
			rc = store_seal(store, DB_LOG, &key, store_day(obs.dev_t0_ns),
			    (unsigned)obs.layer, life->record.bytes, life->record.len,
			    &store->sealed, why);
		value = (MDB_val){ store->sealed.len, store->sealed.bytes };
		if (rc == RC_OK)
			*err = mdb_put(txn, store->dbi[DB_LOG], &key, &value, MDB_APPEND);
	}
	return rc;
}

static struct store *open_store(const char *dir, struct keyring **keyring, uint64_t map_bytes)
{
	struct keyring_unlock unlock = { 0 };
	struct errmsg why = ERRMSG_INIT;
	struct store *store;

	must(keyring_open(dir, &unlock, keyring, NULL) == RC_OK, "keyring");
	struct store_config config = { .dir = dir, .keyring = *keyring, .map_bytes = map_bytes };
	if (store_open(&config, &store, &why) != RC_OK)
		must(false, why.text);
	return store;
}

static void close_store(struct store *store, struct keyring *keyring)
{
	store_close(store);
	keyring_close(keyring);
}

/* Write the log up to `until` records; the map is large enough, so no task runs twice. */
static double write_log(const char *dir, struct life *life, size_t until, uint64_t map_bytes)
{
	struct errmsg why = ERRMSG_INIT;
	struct keyring *keyring;
	struct store *store = open_store(dir, &keyring, map_bytes);
	size_t total = life->total;
	int64_t begin_ns = clock_mono_ns();

	while (life->made < until) {
		if (store_task_run(store, log_task, life, &why) != RC_OK)
			must(false, why.text);
	}
	life->total = total;
	close_store(store, keyring);
	return seconds_since(begin_ns);
}

static double rebuild(const char *dir, uint64_t map_bytes)
{
	struct keyring_unlock unlock = { 0 };
	struct errmsg why = ERRMSG_INIT;
	struct keyring *keyring;
	int64_t begin_ns = clock_mono_ns();

	must(keyring_open(dir, &unlock, &keyring, NULL) == RC_OK, "keyring");
	struct store_config config = { .dir = dir, .keyring = keyring, .map_bytes = map_bytes };
	if (store_rebuild(&config, NULL, NULL, NULL, &why) != RC_OK)
		must(false, why.text);
	keyring_close(keyring);
	return seconds_since(begin_ns);
}

/* ---- probes -------------------------------------------------------------------------- */

static bool count(void *ctx, const struct slice *slice)
{
	size_t *cells = ctx;

	for (int f = 0; f < FACET_COUNT; f++)
		*cells += slice->cells[f].mode != CELL_ABSENT;
	return true;
}

/* The same minutes each time, so a second probe finds their pages in memory. */
static void probe(
    struct store *store, const struct life *life, unsigned facets, size_t n, const char *what)
{
	static double ms[PROBES_MAX];
	uint64_t seed = 77;
	size_t cells = 0;

	for (size_t i = 0; i < n; i++) {
		int64_t from_ns =
		    START_NS + (int64_t)(random_next(&seed) % (uint64_t)life->span_ns);
		struct slice_query query = { .from_ns = from_ns - from_ns % NS_PER_MIN,
			.step_ns = NS_PER_MIN,
			.facets = facets };
		query.to_ns = query.from_ns + NS_PER_MIN;
		int64_t begin_ns = clock_mono_ns();
		must(slice_build(store, &query, count, &cells, NULL) == RC_OK, "slices");
		ms[i] = seconds_since(begin_ns) * 1e3;
	}
	double p95 = quantile(ms, n, 0.95);
	(void)printf("%-36s p50 %8.2f ms  p95 %8.2f ms  %5.2f of the bound\n", what,
	    quantile(ms, n, 0.5), p95, p95 / WINDOW_BOUND_MS);
}

/* What is there already costs nothing. */
static void make_digests(struct store *store, const struct life *life)
{
	int64_t begin_ns = clock_mono_ns();

	must(home_build(store, START_NS + life->span_ns, policy_default(), NULL, NULL) == RC_OK,
	    "digests");
	(void)printf("making the digests of the home       %.2f s\n", seconds_since(begin_ns));
}

static void measure_open(const char *dir, uint64_t map_bytes)
{
	double opens[OPENS];
	struct keyring *keyring;

	for (size_t i = 0; i < OPENS; i++) {
		int64_t begin_ns = clock_mono_ns();
		struct store *store = open_store(dir, &keyring, map_bytes);
		opens[i] = seconds_since(begin_ns);
		close_store(store, keyring);
	}
	double open_s = quantile(opens, OPENS, 0.5);
	(void)printf("open (keyring and store)             %.3f s, %.2f of the bound\n", open_s,
	    open_s / OPEN_BOUND_S);
}

static void measure(const char *dir, const struct life *life, size_t probes, uint64_t map_bytes)
{
	unsigned no_home = FACET_MASK_ALL & ~FACET_MASK(FACET_HOME) & ~FACET_MASK(FACET_SCENE);
	struct keyring *keyring;
	struct rusage usage;

	measure_open(dir, map_bytes);
	struct store *store = open_store(dir, &keyring, map_bytes);
	probe(store, life, no_home, probes, "one minute, from the log");
	probe(store, life, FACET_MASK(FACET_HOME), probes < 10 ? probes : 10,
	    "one minute of the home");
	make_digests(store, life);
	probe(store, life, FACET_MASK(FACET_HOME), probes, "one minute of the home, by digests");
	probe(store, life, FACET_MASK_ALL, probes, "one minute of all, from the log");
	int64_t begin_ns = clock_mono_ns();
	must(store_build_bundles(store, INT64_C(4102444800) * NS_PER_S, NULL) == RC_OK, "bundles");
	(void)printf("making the bundles                   %.2f M observations/s\n",
	    (double)life->total / seconds_since(begin_ns) / 1e6);
	probe(store, life, no_home, probes, "one minute, from bundles");
	probe(store, life, FACET_MASK_ALL, probes, "one minute of all, from bundles");
	struct store_stats stats;
	must(store_get_stats(store, &stats, NULL) == RC_OK, "stats");
	(void)getrusage(RUSAGE_SELF, &usage);
	(void)printf("%.0f bytes an observation on disk; peak memory, map included, %ld MiB\n",
	    (double)stats.bytes_used / (double)life->total, usage.ru_maxrss / 1024);
	close_store(store, keyring);
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

static void run(const char *dir, size_t n, size_t years, size_t probes)
{
	struct keyring_unlock unlock = { 0 };
	struct life life = { .total = n, .span_ns = (int64_t)years * 365 * NS_PER_DAY, .seed = 1 };
	uint64_t map_bytes = ((uint64_t)1 << 30) + n * 1024;

	buf_init(&life.record, OBS_RECORD_BYTES_MAX);
	must(store_init(dir, &unlock, NULL) == RC_OK, "init");
	double log_s = write_log(dir, &life, n / 10, map_bytes);
	double few = (double)life.made, few_s = rebuild(dir, map_bytes);
	log_s += write_log(dir, &life, n, map_bytes);
	(void)printf("%zu observations over %zu years, log written at %.2f M/s\n", n, years,
	    (double)n / log_s / 1e6);
	double all_s = rebuild(dir, map_bytes);
	(void)printf(
	    "rebuild of %.0f: %.2f s, of %zu: %.2f s; %.2f times the time an observation\n", few,
	    few_s, n, all_s, all_s / (double)n / (few_s / few));
	measure(dir, &life, probes, map_bytes);
	buf_fini(&life.record);
}

static void run_kept(const char *dir, size_t years, size_t probes)
{
	unsigned no_home = FACET_MASK_ALL & ~FACET_MASK(FACET_HOME) & ~FACET_MASK(FACET_SCENE);
	struct life life = { .span_ns = (int64_t)years * 365 * NS_PER_DAY };
	struct keyring *keyring;
	struct store_stats stats;

	measure_open(dir, 0);
	struct store *store = open_store(dir, &keyring, 0);
	must(store_get_stats(store, &stats, NULL) == RC_OK, "stats");
	(void)printf("%" PRIu64 " observations, %.0f bytes each on disk\n", stats.records,
	    (double)stats.bytes_used / (double)stats.records);
	probe(store, &life, no_home, probes, "one minute");
	probe(store, &life, no_home, probes, "one minute, again");
	make_digests(store, &life);
	probe(store, &life, FACET_MASK_ALL, probes, "one minute of all");
	probe(store, &life, FACET_MASK_ALL, probes, "one minute of all, again");
	close_store(store, keyring);
}

int main(int argc, char **argv)
{
	const char *base = "/tmp", *kept = NULL;
	size_t n = 200000, years = 10, probes = 100;
	bool keep = false;
	char dir[256];
	int c;

	while ((c = getopt(argc, argv, "d:n:y:p:ko:")) != -1) {
		if (c == 'd')
			base = optarg;
		else if (c == 'n')
			n = (size_t)strtoull(optarg, NULL, 10);
		else if (c == 'y')
			years = (size_t)strtoul(optarg, NULL, 10);
		else if (c == 'p')
			probes = (size_t)strtoul(optarg, NULL, 10);
		else if (c == 'o')
			kept = optarg;
		else if (c == 'k')
			keep = true;
		else
			return 2;
	}
	must(n >= 10000 && years >= 1 && years <= 100 && probes >= 1 && probes <= PROBES_MAX,
	    "usage: data_years [-d DIRECTORY] [-n OBSERVATIONS] [-y YEARS] [-p PROBES] [-k | -o "
	    "KEPT]");
	if (kept != NULL) {
		run_kept(kept, years, probes);
		return 0;
	}
	(void)snprintf(dir, sizeof(dir), "%s/bench-years-XXXXXX", base);
	must(mkdtemp(dir) != NULL, "mkdtemp");
	run(dir, n, years, probes);
	if (keep)
		(void)printf("kept: %s\n", dir);
	else
		(void)nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}
