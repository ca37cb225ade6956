/*
 * The night's work: observations labelled a second, from a store of generated
 * days; the same again with nothing new, and after one late observation.  The
 * plain scan of the same days beside it says what limits it; then each detector
 * alone, from memory.
 *
 *   data_night [DAYS] [OBSERVATIONS-A-DAY]     default 20 and 20000
 */
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/random.h"
#include "night/duplicate.h"
#include "night/night.h"
#include "night/unit.h"
#include "recall/language.h"
#include "store/keyring.h"

#define START_NS (INT64_C(1763164800) * NS_PER_S)
#define BATCH ((size_t)1000)
#define ALONE 20000

static void must(enum rc rc, const char *what, const struct errmsg *why)
{
	if (rc == RC_OK)
		return;
	(void)fprintf(stderr, "data_night: %s: %s\n", what, errmsg_text(why, rc));
	exit(1);
}

static const char *const texts[] = {
	"Are you coming to the station or shall I take the bus?",
	"Ich bin in zehn Minuten da, wartet bitte auf mich.",
	"La reunión se ha movido a las cuatro, avisa a los demás.",
	"On mange ensemble à midi ? Je connais un bon endroit.",
	"The parcel is with the neighbour, ring twice please.",
	"ok",
};
#define TEXTS (sizeof texts / sizeof texts[0])

/* One of a person's day: mostly fixes and sensors, some texts, lights, apps. */
static void make(uint64_t *seed, int64_t t0_ns, struct observation *obs, char data[128])
{
	uint64_t dice = random_next(seed) % 100;

	*obs = (struct observation){ .source = "phone",
		.client_id = "",
		.clock_id = "",
		.boot_epoch = "",
		.zone = "",
		.text = "",
		.data_json = data,
		.extra_json = "",
		.shape = SHAPE_INSTANT,
		.origin = ORIGIN_DEVICE,
		.dev_t0_ns = t0_ns,
		.dev_t1_ns = t0_ns,
		.recv_utc_ns = t0_ns };
	if (dice < 40) {
		int64_t hour = t0_ns / NS_PER_HOUR % 24;
		bool work = hour >= 8 && hour < 17;
		obs->layer = LAYER_ENVIRONMENT;
		obs->kind = "location";
		(void)snprintf(data, 128, "{\"acc\":8,\"lat\":%.6f,\"lon\":%.6f}",
		    (work ? 52.5008 : 52.4874) + (double)(random_next(seed) % 100) / 1e6,
		    (work ? 13.4187 : 13.4263) + (double)(random_next(seed) % 100) / 1e6);
	} else if (dice < 70) {
		obs->layer = LAYER_ENVIRONMENT;
		obs->source = "hub";
		obs->kind = "temperature";
		(void)snprintf(data, 128,
		    "{\"entity_id\":\"sensor.t%d\",\"unit\":\"°F\",\"value\":%.1f}",
		    (int)(dice % 10), 68 + (double)(random_next(seed) % 40) / 10);
	} else if (dice < 85) {
		obs->layer = LAYER_BEHAVIOUR;
		obs->source = "watch";
		obs->kind = "heart_rate";
		(void)snprintf(data, 128, "{\"value\":%d}", 55 + (int)(random_next(seed) % 30));
	} else if (dice < 93) {
		obs->layer = LAYER_HOME;
		obs->source = "hub";
		obs->kind = "light";
		obs->shape = SHAPE_STATE;
		(void)snprintf(data, 128, "{\"entity_id\":\"light.l%d\",\"state\":\"%s\"}",
		    (int)(dice % 8), random_next(seed) % 2 == 0 ? "on" : "off");
	} else {
		obs->layer = LAYER_TEXT;
		obs->source = dice % 2 == 0 ? "phone" : "laptop";
		obs->kind = "message";
		obs->origin = ORIGIN_OWNER;
		obs->text = texts[random_next(seed) % TEXTS];
		data[0] = '\0';
	}
}

static void fill(struct store *store, int days, size_t a_day)
{
	static struct observation obs[BATCH];
	static char data[BATCH][128];
	struct errmsg why = ERRMSG_INIT;
	uint64_t seed = 7;
	size_t n = 0, all = (size_t)days * a_day;

	for (size_t i = 0; i < all; i++) {
		int64_t t0_ns =
		    START_NS + (int64_t)((double)i / (double)a_day * (double)NS_PER_DAY);
		make(&seed, t0_ns, &obs[n], data[n]);
		if (++n == BATCH || i + 1 == all) {
			must(store_append(store, obs, n, NULL, NULL, &why), "append", &why);
			n = 0;
		}
	}
}

static bool count(void *ctx, const struct observation *obs)
{
	(void)obs;
	++*(uint64_t *)ctx;
	return true;
}

static void scan(struct store *store)
{
	struct store_range range = { .from_ns = START_NS, .to_ns = OBS_TIME_MAX_NS };
	struct errmsg why = ERRMSG_INIT;
	int64_t begin_ns = clock_mono_ns();
	uint64_t n = 0;

	must(store_scan_time(store, &range, NULL, 0, count, &n, &why), "scan", &why);
	double s = (double)(clock_mono_ns() - begin_ns) / 1e9;
	(void)printf(
	    "  plain scan      %9.0f observations/s (%" PRIu64 " records)\n", (double)n / s, n);
}

static void night(struct store *store, const char *name)
{
	struct night_config config = { .store = store };
	struct night_report report;
	struct errmsg why = ERRMSG_INIT;
	int64_t begin_ns = clock_mono_ns();

	must(night_run(&config, &report, &why), "night", &why);
	double s = (double)(clock_mono_ns() - begin_ns) / 1e9;
	(void)printf("  %-15s %9.0f observations/s: %.2f s, %" PRIu64 " read, %" PRIu64
		     " labels written\n",
	    name, (double)report.observations / s, s, report.observations, report.written);
}

static void alone(void)
{
	static struct observation obs[ALONE];
	static char data[ALONE][128];
	struct reading readings[UNIT_READINGS_MAX];
	struct duplicate_window *window = NULL;
	struct language_model *model = NULL;
	struct duplicate copy;
	uint64_t seed = 7, found = 0, bytes = 0;

	for (size_t i = 0; i < ALONE; i++) {
		make(&seed, START_NS + (int64_t)i * NS_PER_S, &obs[i], data[i]);
		obs[i].place = placement_trusted(obs[i].dev_t0_ns, obs[i].dev_t1_ns, 0);
	}
	must(language_new(&model), "language", NULL);
	must(duplicate_new(&window), "duplicate", NULL);
	int64_t at_ns = clock_mono_ns();
	for (size_t i = 0; i < ALONE; i++)
		found += unit_read(&obs[i], readings);
	int64_t units_ns = clock_mono_ns() - at_ns;
	at_ns += units_ns;
	for (size_t i = 0; i < ALONE; i++) {
		duplicate_push(window, &obs[i], &copy);
		found += copy.how != DUPLICATE_NONE ? 1 : 0;
	}
	int64_t copies_ns = clock_mono_ns() - at_ns;
	at_ns += copies_ns;
	for (size_t i = 0; i < ALONE; i++) {
		const char *text = texts[i % (TEXTS - 1)];
		bytes += strlen(text);
		found +=
		    language_detect(model, text, strlen(text)).language != LANGUAGE_UNKNOWN ? 1 : 0;
	}
	int64_t texts_ns = clock_mono_ns() - at_ns;
	(void)printf("  alone: units %.2f M/s, duplicates %.2f M/s, language %.1f MB/s (%" PRIu64
		     ")\n",
	    ALONE * 1e3 / (double)units_ns, ALONE * 1e3 / (double)copies_ns,
	    (double)bytes * 1e3 / (double)texts_ns, found);
	duplicate_free(window);
	language_free(model);
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
	int days = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 20;
	size_t a_day = argc > 2 ? strtoul(argv[2], NULL, 10) : 20000;
	const char *base = getenv("TMPDIR");
	struct keyring_unlock unlock = { 0 };
	struct store_config config = { 0 };
	struct errmsg why = ERRMSG_INIT;
	struct store *store = NULL;
	struct rusage usage;
	char dir[256], data[128];

	if (days < 1 || a_day < 1)
		return 2;
	(void)snprintf(dir, sizeof dir, "%s/night-bench-XXXXXX", base == NULL ? "/tmp" : base);
	if (mkdtemp(dir) == NULL)
		return 1;
	must(store_init(dir, &unlock, &why), "init", &why);
	must(keyring_open(dir, &unlock, &config.keyring, &why), "keyring", &why);
	config.dir = dir;
	must(store_open(&config, &store, &why), "open", &why);
	fill(store, days, a_day);
	(void)printf("%d days of %zu observations\n", days, a_day);
	scan(store);
	night(store, "first night");
	night(store, "nothing new");
	struct observation late;
	uint64_t seed = 99;
	make(&seed, START_NS + days / 2 * NS_PER_DAY + NS_PER_HOUR, &late, data);
	late.text = "A late message about something that happened days ago";
	must(store_append(store, &late, 1, NULL, NULL, &why), "append", &why);
	night(store, "one late");
	(void)getrusage(RUSAGE_SELF, &usage);
	(void)printf("  peak memory     %9.1f MB\n", (double)usage.ru_maxrss / 1024);
	alone();
	store_close(store);
	keyring_close(config.keyring);
	(void)nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}
