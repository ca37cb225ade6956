/*
 * Dense sensors: bytes a value at rest, values a second in and out.
 *
 *   data_series [-d DIRECTORY] [-m MINUTES]
 *
 * Three streams with the noise of real sensors, generated from a seed: a 16-bit
 * accelerometer (3 axes, 100 Hz, a person who sits, walks and runs), heart rate
 * (1 Hz), positions at 1e-7 degrees (1 Hz, arriving a few ms early or late).
 * Each is sent as blocks of several lengths, MINUTES of it (default 60; the slow
 * ones 20 times as long), into a store of its own:
 *   codec    bytes of values and times a value, as coded
 *   at rest  growth of the store's file a value: encryption, indexes, pages
 *   in       values a second through store_append, hashing and commit included
 *   scan     values a second from the store by time, decrypted and decoded
 *   ndjson   values a second through ingest_body, from the text of the events
 * The last lines send the slow streams as single events, 1000 in a body.
 */
#include <ftw.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "ingest/ingest.h"
#include "store/keyring.h"
#include "store/series.h"

#define T0_NS (INT64_C(1763577000) * NS_PER_S)
#define SLOW_TIMES 20
#define BATCH_BLOCKS ((size_t)64)
#define BATCH_VALUES ((size_t)200000)
#define BODY_BYTES_MAX ((size_t)24 << 20)
#define SINGLES 1000
#define TURNS 5 /* scans; the median counts */

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	(void)fprintf(stderr, "data_series: %s failed\n", what);
	exit(1);
}

/* ---- sensors --------------------------------------------------------------------- */

static uint64_t seed = 20261126;

static double uniform(void)
{
	return (double)(random_next(&seed) >> 11) / 9007199254740992.0;
}

static double noise(void)
{
	return sqrt(-2 * log(1 - uniform())) * cos(6.283185307179586 * uniform());
}

struct stream {
	const char *name, *kind;
	enum layer layer;
	double rate_hz;
	unsigned channels;
	bool times;
	double *values;    /* [frames][channels] */
	int64_t *times_ns; /* [frames] since T0 */
	size_t frames;
};

/* ±4 g over 16 bits: 8192 a g, 11 counts of noise; gait at 1.9 or 2.7 Hz with
 * its harmonics, a body that turns slowly. */
static void accelerometer(struct stream *s)
{
	static const double strength[] = { 0, 0, 0.02, 0.35, 1.1 };
	double tilt = 0, turn = 0, phase = 0, gait = 0;

	for (size_t i = 0; i < s->frames; i++) {
		if (i % 1500 == 0) /* every 15 s: sit, sit, fidget, walk or run */
			gait = strength[random_next(&seed) % 5];
		tilt += 0.002 * noise() - 0.0005 * tilt;
		turn += 0.002 * noise() - 0.0005 * turn;
		phase += 6.283185307179586 * (gait > 1 ? 2.7 : 1.9) / 100 * (1 + 0.02 * noise());
		double step = sin(phase) + 0.4 * sin(2 * phase + 1) + 0.2 * sin(3 * phase + 2);
		double g[3] = { sin(tilt) + 0.5 * gait * step, sin(turn) + 0.3 * gait * cos(phase),
			cos(tilt) * cos(turn) + gait * step };
		for (size_t c = 0; c < 3; c++) {
			double counts = rint(8192 * g[c] + 11 * noise());
			s->values[3 * i + c] = fmax(-32768, fmin(32767, counts));
		}
	}
}

static void heart_rate(struct stream *s)
{
	double level = 65, aim = 65;

	for (size_t i = 0; i < s->frames; i++) {
		if (i % 300 == 0)
			aim = 55 + 90 * uniform() * uniform();
		level += (aim - level) / 40 + 0.8 * noise();
		s->values[i] = rint(level);
	}
}

/* A walk, a ride or a rest; a fix wanders by a metre or two. */
static void positions(struct stream *s)
{
	double lat = 52.52, lon = 13.405, drift_lat = 0, drift_lon = 0, speed = 0, course = 0;

	for (size_t i = 0; i < s->frames; i++) {
		if (i % 600 == 0)
			speed = uniform() < 0.4 ? 0 : 14 * uniform();
		course += 0.05 * noise();
		lat += speed * cos(course) / 111320;
		lon += speed * sin(course) / 67760;
		drift_lat += 0.15 * noise() - 0.02 * drift_lat;
		drift_lon += 0.15 * noise() - 0.02 * drift_lon;
		s->values[2 * i] = rint(1e7 * (lat + drift_lat / 111320)) / 1e7;
		s->values[2 * i + 1] = rint(1e7 * (lon + drift_lon / 67760)) / 1e7;
		s->times_ns[i] = (int64_t)i * NS_PER_S + 100 * NS_PER_MS +
				 (int64_t)rint(4 * noise()) * NS_PER_MS;
	}
}

static void stream_make(struct stream *s, double seconds, void (*fill)(struct stream *))
{
	s->frames = (size_t)(seconds * s->rate_hz);
	s->values = calloc(s->frames * s->channels, sizeof(*s->values));
	s->times_ns = s->times ? calloc(s->frames, sizeof(*s->times_ns)) : NULL;
	must(s->values != NULL && (!s->times || s->times_ns != NULL), "memory");
	fill(s);
}

/* ---- blocks ------------------------------------------------------------------------ */

struct cut {
	const struct stream *stream;
	size_t frames;    /* of a block */
	int64_t *offsets; /* [frames] of each block of a batch */
};

/* Block `b` of the stream; `offsets` [frames] is its own. */
static struct observation block_of(const struct cut *cut, size_t b, char id[24], int64_t *offsets)
{
	const struct stream *s = cut->stream;
	size_t first = b * cut->frames, n = cut->frames;

	if (n > s->frames - first)
		n = s->frames - first;
	int64_t t0 = s->times ? s->times_ns[first] : (int64_t)((double)first / s->rate_hz * 1e9);
	int64_t t1 = t0 + (int64_t)((double)n / s->rate_hz * 1e9);
	for (size_t i = 0; s->times && i < n; i++)
		offsets[i] = s->times_ns[first + i] - t0;
	if (s->times)
		t1 = t0 + offsets[n - 1] + 1;
	(void)snprintf(id, 24, "%zu", b);
	return (struct observation){ .source = "watch",
		.client_id = id,
		.layer = s->layer,
		.kind = s->kind,
		.shape = SHAPE_BLOCK,
		.clock_id = "",
		.boot_epoch = "",
		.dev_t0_ns = T0_NS + t0,
		.dev_t1_ns = T0_NS + t1,
		.recv_utc_ns = T0_NS,
		.origin = ORIGIN_DEVICE,
		.rate_hz = s->times ? 0 : s->rate_hz,
		.values = s->values + first * s->channels,
		.values_len = n * s->channels,
		.channels = s->channels,
		.times_ns = s->times ? offsets : NULL };
}

static size_t blocks_of(const struct cut *cut)
{
	return (cut->stream->frames + cut->frames - 1) / cut->frames;
}

static size_t batch_of(const struct cut *cut)
{
	size_t n = BATCH_VALUES / (cut->frames * cut->stream->channels);

	return n < 1 ? 1 : n > BATCH_BLOCKS ? BATCH_BLOCKS : n;
}

static double codec_bytes(const struct cut *cut)
{
	struct buf code;
	char id[24];
	size_t bytes = 0;

	buf_init(&code, SERIES_BYTES_MAX);
	for (size_t b = 0; b < blocks_of(cut); b++) {
		struct observation obs = block_of(cut, b, id, cut->offsets);
		struct series series = { obs.values, obs.times_ns, observation_frames(&obs),
			obs.channels };
		buf_reset(&code);
		must(series_encode(&series, &code, NULL) == RC_OK, "encode");
		bytes += code.len;
	}
	buf_fini(&code);
	return (double)bytes / (double)(cut->stream->frames * cut->stream->channels);
}

/* ---- a store of its own ---------------------------------------------------------------- */

struct place {
	char dir[256];
	struct keyring *keyring;
	struct store *store;
};

static void place_open(struct place *place, const char *base)
{
	struct keyring_unlock unlock = { 0 };

	(void)snprintf(place->dir, sizeof(place->dir), "%s/bench-series-XXXXXX", base);
	must(mkdtemp(place->dir) != NULL, "mkdtemp");
	must(store_init(place->dir, &unlock, NULL) == RC_OK, "init");
	must(keyring_open(place->dir, &unlock, &place->keyring, NULL) == RC_OK, "keyring");
	struct store_config config = { .dir = place->dir, .keyring = place->keyring };
	must(store_open(&config, &place->store, NULL) == RC_OK, "open");
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static void place_close(struct place *place)
{
	store_close(place->store);
	keyring_close(place->keyring);
	(void)nftw(place->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static double file_bytes(const struct place *place)
{
	struct store_stats stats;

	must(store_get_stats(place->store, &stats, NULL) == RC_OK, "stats");
	return (double)stats.bytes_used;
}

static bool count_values(void *ctx, const struct observation *obs)
{
	*(size_t *)ctx += obs->values_len;
	return true;
}

static int compare_reals(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double scan_rate(struct place *place, size_t want)
{
	struct store_range range = { .from_ns = OBS_TIME_MIN_NS, .to_ns = OBS_TIME_MAX_NS };
	double rates[TURNS];

	for (size_t i = 0; i < TURNS; i++) {
		size_t got = 0;
		int64_t begin = clock_mono_ns();
		must(store_scan_time(place->store, &range, NULL, 0, count_values, &got, NULL) ==
			 RC_OK,
		    "scan");
		must(got == want, "the count of values");
		rates[i] = (double)got / (double)(clock_mono_ns() - begin) * 1e3;
	}
	qsort(rates, TURNS, sizeof(rates[0]), compare_reals);
	return rates[TURNS / 2];
}

static double append_all(struct place *place, const struct cut *cut)
{
	static struct observation obs[BATCH_BLOCKS];
	static char ids[BATCH_BLOCKS][24];
	size_t batch = batch_of(cut), blocks = blocks_of(cut);
	int64_t begin = clock_mono_ns();

	for (size_t b = 0; b < blocks; b += batch) {
		size_t n = batch < blocks - b ? batch : blocks - b;
		for (size_t i = 0; i < n; i++)
			obs[i] = block_of(cut, b + i, ids[i], cut->offsets + i * cut->frames);
		must(store_append(place->store, obs, n, NULL, NULL, NULL) == RC_OK, "append");
	}
	double values = (double)(cut->stream->frames * cut->stream->channels);
	return values / (double)(clock_mono_ns() - begin) * 1e3;
}

/* The same blocks as the text of their events; the making of it is not timed. */
static double ndjson_rate(const char *base, const struct cut *cut)
{
	struct place place;
	size_t batch = batch_of(cut), blocks = blocks_of(cut);
	int64_t spent = 0;
	char id[24];
	struct buf body;

	place_open(&place, base);
	buf_init(&body, BODY_BYTES_MAX);
	for (size_t b = 0; b < blocks; b += batch) {
		struct ingest_context ctx = { .store = place.store, .recv_utc_ns = T0_NS };
		struct ingest_report report;
		struct arena arena;
		buf_reset(&body);
		for (size_t i = b; i < b + batch && i < blocks; i++) {
			struct observation obs = block_of(cut, i, id, cut->offsets);
			must(ingest_event_json(&obs, &body) == RC_OK, "event");
			buf_putc(&body, '\n');
		}
		arena_init(&arena, (size_t)64 << 20);
		int64_t begin = clock_mono_ns();
		must(ingest_body(&ctx, buf_text(&body), body.len, &arena, &report, NULL) == RC_OK &&
			 report.rejected == 0 && report.duplicate == 0,
		    "ingest");
		spent += clock_mono_ns() - begin;
		arena_fini(&arena);
	}
	buf_fini(&body);
	place_close(&place);
	return (double)(cut->stream->frames * cut->stream->channels) / (double)spent * 1e3;
}

static void row(const char *base, const struct stream *stream, double block_s)
{
	struct cut cut = { .stream = stream, .frames = (size_t)(block_s * stream->rate_hz) };
	size_t values = stream->frames * stream->channels;
	struct place place;

	cut.offsets = calloc(cut.frames * BATCH_BLOCKS, sizeof(*cut.offsets));
	must(cut.offsets != NULL, "memory");
	place_open(&place, base);
	double before = file_bytes(&place), in = append_all(&place, &cut);
	double rest = (file_bytes(&place) - before) / (double)values;
	double scan = scan_rate(&place, values);
	place_close(&place);
	(void)printf("%-14s %7.0f %9zu %8.2f %8.2f %9.1f %9.1f %9.1f\n", stream->name, block_s,
	    values, codec_bytes(&cut), rest, in, scan, ndjson_rate(base, &cut));
	(void)fflush(stdout);
	free(cut.offsets);
}

/* ---- the same as single events ------------------------------------------------------------ */

static void put_single(const struct stream *s, size_t i, struct buf *body)
{
	int64_t ns = T0_NS + (s->times ? s->times_ns[i] : (int64_t)i * NS_PER_S);

	buf_printf(body, "{\"source\":\"watch\",\"layer\":\"%s\",\"kind\":\"%s\",\"start\":%lld,",
	    layer_word(s->layer), s->kind, (long long)ns);
	if (s->channels == 1)
		buf_printf(body, "\"data\":{\"bpm\":%.0f}}\n", s->values[i]);
	else
		buf_printf(body, "\"data\":{\"lat\":%.7f,\"lon\":%.7f}}\n", s->values[2 * i],
		    s->values[2 * i + 1]);
}

static void row_singles(const char *base, const struct stream *s)
{
	struct place place;
	struct buf body;

	place_open(&place, base);
	double before = file_bytes(&place);
	buf_init(&body, BODY_BYTES_MAX);
	for (size_t i = 0; i < s->frames; i += SINGLES) {
		struct ingest_context ctx = { .store = place.store, .recv_utc_ns = T0_NS };
		struct ingest_report report;
		struct arena arena;
		buf_reset(&body);
		for (size_t k = i; k < i + SINGLES && k < s->frames; k++)
			put_single(s, k, &body);
		arena_init(&arena, (size_t)64 << 20);
		must(ingest_body(&ctx, buf_text(&body), body.len, &arena, &report, NULL) == RC_OK &&
			 report.rejected == 0,
		    "ingest");
		arena_fini(&arena);
	}
	buf_fini(&body);
	(void)printf("%-14s single events: %.0f bytes a value at rest\n", s->name,
	    (file_bytes(&place) - before) / (double)(s->frames * s->channels));
	place_close(&place);
}

int main(int argc, char **argv)
{
	struct stream accel = { .name = "accelerometer",
		.kind = "acceleration",
		.layer = LAYER_BEHAVIOUR,
		.rate_hz = 100,
		.channels = 3 };
	struct stream heart = { .name = "heart rate",
		.kind = "heart_rate",
		.layer = LAYER_BEHAVIOUR,
		.rate_hz = 1,
		.channels = 1 };
	struct stream gps = { .name = "position",
		.kind = "location",
		.layer = LAYER_ENVIRONMENT,
		.rate_hz = 1,
		.channels = 2,
		.times = true };
	const char *base = "/tmp";
	double seconds = 3600;
	int c;

	while ((c = getopt(argc, argv, "d:m:")) != -1) {
		if (c == 'd')
			base = optarg;
		else if (c == 'm')
			seconds = 60 * strtod(optarg, NULL);
		else
			return 2;
	}
	if (!(seconds >= 60 && seconds <= 86400))
		return 2;
	must(sodium_init() >= 0, "sodium");
	stream_make(&accel, seconds, accelerometer);
	stream_make(&heart, SLOW_TIMES * seconds, heart_rate);
	stream_make(&gps, SLOW_TIMES * seconds, positions);
	(void)printf("%-14s %7s %9s %8s %8s %9s %9s %9s\n", "stream", "block_s", "values", "codec",
	    "at rest", "in M/s", "scan M/s", "ndjson M/s");
	row(base, &accel, 1);
	row(base, &accel, 10);
	row(base, &accel, 60);
	row(base, &heart, 60);
	row(base, &heart, 600);
	row(base, &heart, 3600);
	row(base, &gps, 60);
	row(base, &gps, 600);
	row(base, &gps, 3600);
	row_singles(base, &heart);
	row_singles(base, &gps);
	free(accel.values);
	free(heart.values);
	free(gps.values);
	free(gps.times_ns);
	return 0;
}
