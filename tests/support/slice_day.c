/* Slice day: streams, store and memory of the aligner's benches. */
#include "slice_day.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/keyring.h"

static char dir[256];
static struct keyring *keyring;
static struct store *store;

void slice_day_must(bool holds, const char *what)
{
	if (holds)
		return;
	(void)fprintf(stderr, "bench: %s\n", what);
	exit(1);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double slice_day_percentile(double *values, size_t n, size_t percent)
{
	qsort(values, n, sizeof values[0], compare);
	return values[n * percent / 100];
}

/* ---- what the day is made of ---------------------------------------------------------- */

static const struct {
	enum layer layer;
	const char *kind, *data_json;
} streams[SLICE_DAY_STREAMS] = { { LAYER_BEHAVIOUR, "heart_rate", "{\"value\":62}" },
	{ LAYER_BEHAVIOUR, "steps", "{\"value\":3}" },
	{ LAYER_ENVIRONMENT, "temperature", "{\"room\":\"hall\",\"value\":20.5}" },
	{ LAYER_ENVIRONMENT, "light", "{\"value\":310}" },
	{ LAYER_ENVIRONMENT, "noise", "{\"value\":41}" },
	{ LAYER_ENVIRONMENT, "location", "{\"acc\":5,\"lat\":52.5,\"lon\":13.4}" },
	{ LAYER_BEHAVIOUR, "app", "{\"app\":\"editor\"}" }, { LAYER_VISUAL, "frame", "" },
	{ LAYER_AUDITORY, "sound", "" },
	{ LAYER_HOME, "light", "{\"entity_id\":\"light.hall\",\"state\":\"on\"}" } };

struct observation slice_day_make(size_t s, int64_t at_ns)
{
	return (struct observation){ .source = "source",
		.client_id = "",
		.layer = streams[s].layer,
		.kind = streams[s].kind,
		.shape = SHAPE_INSTANT,
		.clock_id = "",
		.boot_epoch = "",
		.zone = "",
		.origin = ORIGIN_DEVICE,
		.dev_t0_ns = at_ns,
		.dev_t1_ns = at_ns,
		.recv_utc_ns = at_ns + 40 * NS_PER_MS,
		.text = "",
		.data_json = streams[s].data_json };
}

/* ---- the store -------------------------------------------------------------------------- */

void slice_day_create(void)
{
	const char *base = getenv("TMPDIR");
	struct keyring_unlock unlock = { 0 };

	(void)snprintf(dir, sizeof dir, "%s/bench-XXXXXX", base == NULL ? "/tmp" : base);
	slice_day_must(mkdtemp(dir) != NULL && keyring_create(dir, &unlock, NULL) == RC_OK &&
			   keyring_open(dir, &unlock, &keyring, NULL) == RC_OK &&
			   store_create(dir, keyring, NULL) == RC_OK,
	    "store");
	keyring_close(keyring);
}

struct store *slice_day_open(int64_t commit_interval_ns)
{
	struct keyring_unlock unlock = { 0 };
	struct store_config config = { .dir = dir, .commit_interval_ns = commit_interval_ns };

	slice_day_must(keyring_open(dir, &unlock, &keyring, NULL) == RC_OK, "keyring");
	config.keyring = keyring;
	slice_day_must(store_open(&config, &store, NULL) == RC_OK, "open store");
	return store;
}

void slice_day_close(void)
{
	store_close(store);
	keyring_close(keyring);
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

void slice_day_remove(void)
{
	(void)nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- processes and memory ---------------------------------------------------------------- */

void slice_day_apart(void (*part)(void *ctx), void *ctx)
{
	int status = 0;

	(void)fflush(stdout);
	pid_t pid = fork();
	slice_day_must(pid >= 0, "fork");
	if (pid == 0) {
		part(ctx);
		(void)fflush(stdout);
		_exit(0);
	}
	slice_day_must(waitpid(pid, &status, 0) == pid && status == 0, "a part failed");
}

void slice_day_look(struct slice_day_memory *most)
{
	size_t size = 0, resident = 0, shared = 0, page = (size_t)sysconf(_SC_PAGESIZE);
	FILE *file = fopen("/proc/self/statm", "r");

	slice_day_must(
	    file != NULL && fscanf(file, "%zu %zu %zu", &size, &resident, &shared) == 3, "statm");
	(void)fclose(file);
	if ((resident - shared) * page > most->own_bytes)
		most->own_bytes = (resident - shared) * page;
	if (resident * page > most->resident_bytes)
		most->resident_bytes = resident * page;
}
