/*
 * Forgetting in a store of some size.
 *
 *   data_forget [-d DIRECTORY] [-n RECORDS]    default: 500000
 *
 * Records of 200 B of text, 5,000 a day, one in ten of them from the watch.
 * Measured: one hour of one layer, a whole day, everything of the watch; and how
 * long single appends beside it wait for their commit.
 */
#include <pthread.h>
#include <stdatomic.h>

#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/keyring.h"
#include "store/store_forget.h"

#define BATCH 2000
#define A_DAY 5000
#define T0_NS (INT64_C(1577836800) * NS_PER_S) /* 2020 */
#define TEXT_BYTES 200
#define APPENDS_MAX 100000

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	(void)fprintf(stderr, "data_forget: %s failed\n", what);
	exit(1);
}

static void record_make(struct observation *obs, char id[24], const char *text, uint64_t n)
{
	(void)snprintf(id, 24, "%" PRIu64, n);
	int64_t t0_ns =
	    T0_NS + (int64_t)(n / A_DAY) * NS_PER_DAY + (int64_t)(n % A_DAY) * (NS_PER_DAY / A_DAY);
	*obs = (struct observation){ .source = n % 10 == 0 ? "watch" : "phone",
		.client_id = id,
		.layer = (enum layer)(1 + n % 3),
		.kind = "note",
		.shape = SHAPE_INSTANT,
		.clock_id = "",
		.boot_epoch = "",
		.dev_t0_ns = t0_ns,
		.dev_t1_ns = t0_ns,
		.zone = "",
		.origin = ORIGIN_DEVICE,
		.text = text,
		.data_json = "" };
}

static void fill(struct store *store, uint64_t records, const char *text)
{
	static struct observation obs[BATCH];
	static char ids[BATCH][24];

	for (uint64_t n = 0; n < records; n += BATCH) {
		for (uint64_t i = 0; i < BATCH; i++)
			record_make(&obs[i], ids[i], text, n + i);
		must(store_append(store, obs, BATCH, NULL, NULL, NULL) == RC_OK, "append");
	}
}

/* ---- appends beside it --------------------------------------------------------------- */

struct beside {
	struct store *store;
	const char *text;
	uint64_t next;
	atomic_bool stop;
	int64_t *waits_ns; /* [len] */
	size_t len;
};

static void *append_on(void *arg)
{
	struct beside *b = arg;
	struct observation obs;
	char id[24];

	while (!atomic_load(&b->stop) && b->len < APPENDS_MAX) {
		int64_t begin_ns = clock_mono_ns();
		record_make(&obs, id, b->text, b->next++);
		must(store_append(b->store, &obs, 1, NULL, NULL, NULL) == RC_OK, "append beside");
		b->waits_ns[b->len++] = clock_mono_ns() - begin_ns;
	}
	return NULL;
}

static int compare(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void measure(struct beside *b, const char *what, const struct store_forget *forget)
{
	struct store_forgotten done;
	pthread_t thread;

	b->len = 0;
	atomic_store(&b->stop, false);
	must(pthread_create(&thread, NULL, append_on, b) == 0, "thread");
	int64_t begin_ns = clock_mono_ns();
	must(store_forget(b->store, forget, &done, NULL) == RC_OK, "forget");
	double seconds = (double)(clock_mono_ns() - begin_ns) / 1e9;
	atomic_store(&b->stop, true);
	(void)pthread_join(thread, NULL);
	qsort(b->waits_ns, b->len, sizeof(*b->waits_ns), compare);
	(void)printf("%-26s %8" PRIu64 " forgotten %8" PRIu64 " kept %5" PRIu64
		     " keys %8.3f s   append beside p50 %.1f p99 %.1f ms\n",
	    what, done.records, done.resealed, done.keys, seconds,
	    (double)b->waits_ns[b->len / 2] / 1e6,
	    (double)b->waits_ns[b->len - 1 - b->len / 100] / 1e6);
}

static void run(const char *dir, uint64_t records)
{
	struct keyring_unlock unlock = { 0 };
	struct keyring *keyring;
	char text[TEXT_BYTES + 1];
	struct store *store;

	memset(text, 'x', TEXT_BYTES);
	text[TEXT_BYTES] = '\0';
	must(store_init(dir, &unlock, NULL) == RC_OK, "init");
	must(keyring_open(dir, &unlock, &keyring, NULL) == RC_OK, "keyring");
	struct store_config config = { .dir = dir, .keyring = keyring };
	must(store_open(&config, &store, NULL) == RC_OK, "open");
	fill(store, records, text);
	struct beside beside = { .store = store,
		.text = text,
		.next = records + 1000,
		.waits_ns = calloc(APPENDS_MAX, sizeof(int64_t)) };
	must(beside.waits_ns != NULL, "memory");
	int64_t day_ns = T0_NS + 20 * NS_PER_DAY;
	measure(&beside, "an hour of a layer",
	    &(struct store_forget){ .from_ns = day_ns + 10 * NS_PER_HOUR,
		.to_ns = day_ns + 11 * NS_PER_HOUR,
		.layers = LAYER_MASK(1) });
	measure(&beside, "a whole day",
	    &(struct store_forget){
		.from_ns = day_ns + NS_PER_DAY, .to_ns = day_ns + 2 * NS_PER_DAY });
	measure(&beside, "all of one source",
	    &(struct store_forget){
		.from_ns = OBS_TIME_MIN_NS, .to_ns = OBS_TIME_MAX_NS, .source = "watch" });
	free(beside.waits_ns);
	store_close(store);
	keyring_close(keyring);
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

int main(int argc, char **argv)
{
	uint64_t records = 500000;
	const char *base = "/tmp";
	char dir[256];
	int c;

	while ((c = getopt(argc, argv, "d:n:")) != -1) {
		if (c == 'd')
			base = optarg;
		else if (c == 'n')
			records = strtoull(optarg, NULL, 10);
		else
			return 2;
	}
	if (records < 30 * A_DAY)
		return 2;
	(void)snprintf(dir, sizeof(dir), "%s/bench-forget-XXXXXX", base);
	must(mkdtemp(dir) != NULL, "mkdtemp");
	run(dir, records);
	(void)nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}
