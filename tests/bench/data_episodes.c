/*
 * Episodes of one day in the middle of dense ones, as a reader gets them: from
 * rows where they are stored, the open tail of the last day, and after a late
 * observation; what keeping them costs the builder beside them.
 *
 *   data_episodes [DAYS] [OBSERVATIONS-A-DAY]     default 8 and 30000
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "align/builder.h"
#include "align/episode.h"
#include "base/clock.h"
#include "store/keyring.h"

#define START_NS (INT64_C(1763164800) * NS_PER_S)
#define BATCH 1000
#define TIMES 5

static struct keyring *keyring;
static struct store *store;
static struct builder *builder;

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	(void)fprintf(stderr, "data_episodes: %s\n", what);
	exit(1);
}

/* At home, at work from 8 to 17, somebody to talk to every second hour. */
static struct observation make(size_t number, int64_t at_ns, char data[128])
{
	int hour = (int)(at_ns % NS_PER_DAY / NS_PER_HOUR);
	bool work = hour >= 8 && hour < 17;
	struct observation obs = { .source = "source",
		.client_id = "",
		.shape = SHAPE_INSTANT,
		.clock_id = "",
		.boot_epoch = "",
		.zone = "",
		.origin = ORIGIN_DEVICE,
		.text = "some words of a usual length, as people and programs write them",
		.data_json = data,
		.dev_t0_ns = at_ns,
		.dev_t1_ns = at_ns,
		.recv_utc_ns = at_ns };

	switch (number % 6) {
	case 0:
		obs.layer = LAYER_ENVIRONMENT;
		obs.kind = "location";
		(void)snprintf(data, 128, "{\"lat\":%.4f,\"lon\":13.4,\"region\":\"%s\"}",
		    work ? 52.53 : 52.50, work ? "office" : "home");
		break;
	case 1:
		obs.layer = LAYER_AUDITORY;
		obs.kind = "speech";
		(void)snprintf(data, 128, "{\"speaker\":\"%s\"}", hour % 4 < 2 ? "Ines" : "Bert");
		break;
	case 2:
		obs.layer = LAYER_HOME;
		obs.kind = "light";
		(void)snprintf(data, 128, "{\"entity_id\":\"light.hall\",\"state\":\"on\"}");
		break;
	default:
		obs.layer = LAYER_BEHAVIOUR;
		obs.kind = number % 6 == 3 ? "heart_rate" : "window";
		(void)snprintf(data, 128, "{\"value\":%d}", 60 + (int)(number % 9));
	}
	return obs;
}

static void fill(size_t days, size_t a_day)
{
	static struct observation obs[BATCH];
	static char data[BATCH][128];
	int64_t pace_ns = NS_PER_DAY / (int64_t)a_day;

	for (size_t i = 0; i < days * a_day;) {
		size_t k = 0;
		for (; k < BATCH && i < days * a_day; k++, i++)
			obs[k] = make(i, START_NS + (int64_t)i * pace_ns, data[k]);
		must(store_append(store, obs, k, NULL, NULL, NULL) == RC_OK, "append");
	}
}

static double pass_all(void)
{
	int64_t start_ns = clock_mono_ns();
	bool more = true;

	while (more)
		must(builder_pass(builder, &more, NULL) == RC_OK, "pass");
	return (double)(clock_mono_ns() - start_ns) / 1e6;
}

static bool count(void *ctx, const struct episode *episode)
{
	(void)episode;
	++*(size_t *)ctx;
	return true;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void read_days(const char *name, int64_t from_ns, int64_t days, int64_t now_ns)
{
	struct slice_source source = { store, policy_default(), now_ns, false, false };
	double ms[TIMES];
	size_t episodes = 0;

	for (int i = 0; i < TIMES; i++) {
		int64_t start_ns = clock_mono_ns();
		episodes = 0;
		must(episode_walk(&source, from_ns, from_ns + days * NS_PER_DAY, 0, count,
			 &episodes, NULL) == RC_OK,
		    "episodes");
		ms[i] = (double)(clock_mono_ns() - start_ns) / 1e6;
	}
	qsort(ms, TIMES, sizeof ms[0], compare);
	printf("%-36s %3zu episodes in %8.2f ms (median)\n", name, episodes, ms[TIMES / 2]);
}

static void report(void *ctx, const char *fault)
{
	(void)ctx;
	(void)fprintf(stderr, "%s\n", fault);
}

static void verify(void)
{
	int64_t start_ns = clock_mono_ns();
	uint64_t faults = 0;

	must(episode_verify(store, policy_default(), report, NULL, &faults, NULL) == RC_OK &&
		 faults == 0,
	    "verify");
	printf("all rows made again and compared in %.0f ms\n",
	    (double)(clock_mono_ns() - start_ns) / 1e6);
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

static void run(size_t days, size_t a_day)
{
	int64_t end_ns = START_NS + (int64_t)days * NS_PER_DAY;
	int64_t middle_ns = START_NS + (int64_t)(days / 2) * NS_PER_DAY;
	char data[128];

	fill(days, a_day);
	printf("built: %zu days of %zu observations in %.0f ms\n", days, a_day, pass_all());
	read_days("one day", middle_ns, 1, end_ns);
	read_days("the last day", end_ns - NS_PER_DAY, 1, end_ns);
	read_days("all of them", START_NS, (int64_t)days, end_ns);
	struct observation late = make(1, middle_ns + NS_PER_DAY / 2, data);
	late.recv_utc_ns = end_ns + NS_PER_S;
	must(store_append(store, &late, 1, NULL, NULL, NULL) == RC_OK, "append");
	printf("a late observation built in %.2f ms\n", pass_all());
	read_days("that day, before it is sealed again", middle_ns, 1, end_ns + NS_PER_S);
	late = make(1, end_ns + NS_PER_HOUR, data);
	late.recv_utc_ns = late.dev_t0_ns;
	must(store_append(store, &late, 1, NULL, NULL, NULL) == RC_OK, "append");
	printf("an hour later: a pass of %.2f ms\n", pass_all());
	read_days("that day, sealed", middle_ns, 1, end_ns + NS_PER_HOUR);
	verify();
}

int main(int argc, char **argv)
{
	size_t days = argc > 1 ? strtoul(argv[1], NULL, 10) : 8;
	size_t a_day = argc > 2 ? strtoul(argv[2], NULL, 10) : 30000;
	const char *base = getenv("TMPDIR");
	struct keyring_unlock unlock = { 0 };
	char dir[256];

	must(days >= 3 && days <= 90 && a_day >= 1000, "usage: data_episodes [DAYS] [A-DAY]");
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	(void)snprintf(dir, sizeof dir, "%s/data_episodes-XXXXXX", base == NULL ? "/tmp" : base);
	must(mkdtemp(dir) != NULL, "mkdtemp");
	must(keyring_create(dir, &unlock, NULL) == RC_OK, "keyring");
	must(keyring_open(dir, &unlock, &keyring, NULL) == RC_OK, "keyring");
	must(store_create(dir, keyring, NULL) == RC_OK, "store");
	struct store_config config = { .dir = dir, .keyring = keyring, .commit_interval_ns = 1 };
	must(store_open(&config, &store, NULL) == RC_OK, "store");
	must(builder_new(store, policy_default(), &builder, NULL) == RC_OK, "builder");
	run(days, a_day);
	builder_close(builder);
	store_close(store);
	keyring_close(keyring);
	(void)nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}
