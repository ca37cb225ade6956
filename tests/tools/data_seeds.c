/*
 * Seeds of the fuzz targets: what the encoders of this program write of one small
 * life, and requests as clients write them, each in DIR/TARGET/.
 *
 *   data_seeds DIR     a folder that is there and empty
 *
 * A target that begins with them mutates what gets past its first checks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "align/builder_inner.h"
#include "align/policy_file.h"
#include "align/slice.h"
#include "align/slice_row.h"
#include "backup/manifest.h"
#include "backup/segment.h"
#include "base/random.h"
#include "night/label.h"
#include "os/file.h"
#include "store/bundle.h"
#include "store/keyring.h"
#include "store/series.h"
#include "store/store_clock_internal.h"
#include "store/store_dirty.h"

#define T0_NS (INT64_C(1795100400) * NS_PER_S)
#define SEED_BYTES_MAX ((size_t)4 << 20)

static const char *base;

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	(void)fprintf(stderr, "data_seeds: %s\n", what);
	exit(1);
}

static void put(const char *target, const void *bytes, size_t len)
{
	static unsigned n;
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/%s", base, target);
	must(file_mkdir(path, 0700, NULL) == RC_OK, path);
	(void)snprintf(path, sizeof(path), "%s/%s/seed-%u", base, target, n++);
	FILE *file = fopen(path, "wbe");
	must(file != NULL && fwrite(bytes, 1, len, file) == len && fclose(file) == 0, path);
}

static void put_text(const char *target, const char *text)
{
	put(target, text, strlen(text));
}

/* A byte that picks the parser, then the bytes. */
static void put_picked(const char *target, uint8_t pick, const void *bytes, size_t len)
{
	struct buf b;

	buf_init(&b, SEED_BYTES_MAX);
	buf_putc(&b, (char)pick);
	buf_append(&b, bytes, len);
	put(target, b.bytes, b.len);
	buf_fini(&b);
}

/* ---- a small life ----------------------------------------------------------------------- */

#define RECORDS 24

static char ids[RECORDS][8], texts[RECORDS][64];

static struct observation record(unsigned i)
{
	static const char *const kinds[] = { "note", "frame", "speech", "heart_rate", "location",
		"light" };
	static const char *const data[] = { "", "", "{\"speaker\":\"Ines\"}", "{\"value\":62}",
		"{\"acc\":12,\"lat\":52.5,\"lon\":13.4}",
		"{\"entity_id\":\"l\",\"state\":\"on\"}" };
	unsigned k = i % 6;

	(void)snprintf(ids[i], sizeof(ids[i]), "%u", i);
	if (k < 3)
		(void)snprintf(texts[i], sizeof(texts[i]), "lunch with Ines at %u", i);
	struct observation obs = { .source = k == 4 ? "phone" : "hub",
		.client_id = ids[i],
		.layer = (enum layer)(LAYER_TEXT + k),
		.kind = kinds[k],
		.shape = k == 2 ? SHAPE_INTERVAL : SHAPE_INSTANT,
		.clock_id = i % 7 == 6 ? "watch" : "",
		.boot_epoch = i % 7 == 6 ? "1" : "",
		.zone = i % 3 == 0 ? "Europe/Berlin" : "",
		.origin = ORIGIN_OWNER,
		.has_end = k == 2,
		.dev_t0_ns = T0_NS + (int64_t)i * 7 * NS_PER_S,
		.dev_t1_ns = T0_NS + (int64_t)i * 7 * NS_PER_S + (k == 2 ? 3 * NS_PER_S : 0),
		.recv_utc_ns = T0_NS + (int64_t)i * 8 * NS_PER_S,
		.seq = i + 1,
		.text = texts[i],
		.data_json = data[k] };
	return obs;
}

static void put_records(void)
{
	struct bundle_writer *writer = calloc(1, sizeof(*writer));
	struct buf out;

	must(writer != NULL, "memory");
	buf_init(&out, SEED_BYTES_MAX);
	bundle_writer_init(writer);
	for (unsigned i = 0; i < RECORDS; i++) {
		struct observation obs = record(i);
		buf_reset(&out);
		must(observation_encode(&obs, &out, NULL) == RC_OK, "record");
		put("data_record", out.bytes, out.len);
		obs.layer = LAYER_HOME;
		must(!bundle_takes(&obs) || bundle_add(writer, &obs) == RC_OK, "bundle");
	}
	buf_reset(&out);
	must(bundle_finish(writer, &out) == RC_OK, "bundle");
	put("data_bundle", out.bytes, out.len);
	bundle_writer_fini(writer);
	free(writer);
	buf_fini(&out);
}

static void put_series(size_t channels, bool times, double step)
{
	enum { FRAMES = 120 };
	static double values[FRAMES * 3];
	static int64_t offsets[FRAMES];
	struct series series = { values, times ? offsets : NULL, FRAMES, channels };
	uint64_t state = 3;
	struct buf out;

	for (size_t i = 0; i < FRAMES * channels; i++)
		values[i] = step * (double)(random_next(&state) % 1000);
	for (size_t i = 0; i < FRAMES; i++)
		offsets[i] = (int64_t)i * NS_PER_S + (int64_t)(random_next(&state) % 1000);
	buf_init(&out, SERIES_BYTES_MAX);
	must(series_encode(&series, &out, NULL) == RC_OK, "series");
	put("data_series", out.bytes, out.len);
	buf_fini(&out);
}

/* ---- what lies beside the log ------------------------------------------------------------ */

static bool put_row(void *ctx, const struct slice *slice)
{
	struct slice_head head = { .version = 2, .cause = DIRTY_LATE, .seq = 9, .from_seq = 7 };
	struct buf out;

	(void)ctx;
	buf_init(&out, SEED_BYTES_MAX);
	slice_row_encode(&head, slice, &out);
	put_picked("data_slice_row", 0, out.bytes, out.len);
	buf_fini(&out);
	return true;
}

static void put_slices(void)
{
	struct slice_query query = { .from_ns = T0_NS,
		.to_ns = T0_NS + 3 * NS_PER_MIN,
		.step_ns = NS_PER_MIN,
		.facets = FACET_MASK_ALL };
	struct keyring_unlock unlock = { 0 };
	struct keyring *keyring;
	struct store *store;
	char dir[4096];

	(void)snprintf(dir, sizeof(dir), "%s/.life", base);
	must(store_init(dir, &unlock, NULL) == RC_OK, "store");
	must(keyring_open(dir, &unlock, &keyring, NULL) == RC_OK, "keyring");
	struct store_config config = { .dir = dir, .keyring = keyring };
	must(store_open(&config, &store, NULL) == RC_OK, "open");
	for (unsigned i = 0; i < RECORDS; i++) {
		struct observation obs = record(i);
		must(store_append(store, &obs, 1, NULL, NULL, NULL) == RC_OK, "append");
	}
	must(slice_build(store, &query, put_row, NULL, NULL) == RC_OK, "slices");
	store_close(store);
	keyring_close(keyring);
}

static void put_states(void)
{
	struct store_dirty mark = { T0_NS, T0_NS + 1, LAYER_MASK(LAYER_HOME), DIRTY_LATE, 3, 4 };
	struct builder_state state = { .cursor = 7, .ended_ns = T0_NS };
	uint8_t bytes[STORE_DIRTY_BYTES];
	struct buf out;

	buf_init(&out, SEED_BYTES_MAX);
	lifecycle_init(&state.life);
	builder_state_encode(&state, &out);
	put_picked("data_slice_row", 1, out.bytes, out.len);
	lifecycle_fini(&state.life);
	store_dirty_encode(&mark, bytes);
	put_picked("data_slice_row", 2, bytes, sizeof(bytes));
	buf_reset(&out);
	policy_print(policy_default(), &out);
	put("data_policy", out.bytes, out.len);
	buf_fini(&out);
}

static void put_clocks(void)
{
	static struct store_clock_line stored = { .clock_name = "watch", .boot_name = "1" };
	static uint8_t bytes[STORE_CLOCK_VALUE_BYTES_MAX];
	struct line_news news;
	struct line_place at;

	line_init(&stored.line);
	stored.clock.known_ns = INT64_MIN;
	for (uint64_t seq = 1; seq <= 12; seq++) {
		int64_t dev_ns = T0_NS / 2 + (int64_t)seq * NS_PER_MIN;
		int64_t recv_ns = T0_NS + (int64_t)seq * NS_PER_MIN + (int64_t)(seq % 3) * NS_PER_S;
		struct line_event event = { seq, dev_ns, dev_ns, recv_ns, recv_ns };
		struct line_ping ping = { seq, dev_ns, recv_ns, recv_ns, dev_ns + NS_PER_MS };
		if (seq % 4 == 0)
			must(line_ping(&stored.line, &stored.clock, &ping, &news), "ping");
		else
			line_event(&stored.line, &stored.clock, &event, &at, &news);
		put("data_clock", bytes, line_encode(&stored.line, bytes));
		put("data_clock", bytes, store_clock_line_encode(&stored, bytes));
	}
	uint8_t script[18 * 8];
	uint64_t state = 9;
	for (size_t i = 0; i < sizeof(script); i++)
		script[i] = (uint8_t)random_next(&state);
	put("data_clock", script, sizeof(script));
}

static void put_label(void)
{
	static const uint8_t about[2][OBS_ID_BYTES] = { { 1 }, { 2 } };
	struct label label = { .rule = "language",
		.version = 1,
		.key = "2026-11-19",
		.layer = LAYER_TEXT,
		.t0_ns = T0_NS,
		.t1_ns = T0_NS,
		.about = about,
		.about_len = 2,
		.value_json = "\"en\"",
		.confidence = 0.75,
		.revision = 3,
		.life = 1 };
	struct observation obs;
	struct arena arena;
	struct buf out;

	arena_init(&arena, 1 << 20);
	buf_init(&out, SEED_BYTES_MAX);
	must(label_encode(&label, &arena, &obs) == RC_OK, "label");
	buf_printf(&out, "%s\n%s", obs.client_id, obs.data_json);
	put("data_label", out.bytes, out.len);
	buf_fini(&out);
	arena_fini(&arena);
}

static void put_backup(void)
{
	static const uint8_t key[MANIFEST_KEY_BYTES];
	static uint8_t seq[STORE_LOG_KEY_BYTES], value[90];
	struct manifest manifest = { .made_ns = T0_NS, .cursor = 24 };
	struct store_raw entry = { STORE_TRUTH_LOG, seq, value, sizeof(seq), sizeof(value) };
	struct buf out;

	buf_init(&out, SEED_BYTES_MAX);
	for (int kind = 0; kind < MANIFEST_KIND_COUNT; kind++) {
		struct manifest_file file = { .kind = (enum manifest_kind)kind, .bytes = 100 };
		(void)snprintf(file.name, sizeof(file.name), "part-%d", kind);
		if (file.kind == MANIFEST_LOG)
			file.first_seq = 1, file.last_seq = 24;
		must(manifest_add(&manifest, &file, NULL) == RC_OK, "manifest");
	}
	must(manifest_encode(&manifest, key, &out) == RC_OK, "manifest");
	put("data_backup", out.bytes, out.len);
	manifest_fini(&manifest);
	buf_reset(&out);
	for (uint8_t i = 1; i <= 4; i++) {
		seq[7] = i;
		segment_frame(&out, &entry);
		put("data_follow", out.bytes, out.len);
		put("data_backup", out.bytes, out.len);
	}
	buf_fini(&out);
}

static void put_keyring(void)
{
	uint8_t *bytes = NULL;
	char path[4096];
	size_t len = 0;

	(void)snprintf(path, sizeof(path), "%s/.life/keyring", base);
	must(file_read(path, SEED_BYTES_MAX, &bytes, &len, NULL) == RC_OK, path);
	put("data_keyring", bytes, len);
	free(bytes);
	/* A body: generation and entries of day, layer and key, as the target seals it. */
	uint8_t body[160] = { 0 };
	body[7] = 1;
	body[11] = 2;
	put("data_keyring", body, sizeof(body));
	put_text("data_keyring", "7K3M-9QXA-0WZ4-11TR-8HJD-PPE2-Y6CN-V5BS");
}

static void put_zones(void)
{
	static const char *const zones[] = { "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu",
		"UTC", "Africa/Casablanca" };

	for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++) {
		uint8_t *bytes = NULL;
		char path[128];
		size_t len = 0;
		(void)snprintf(path, sizeof(path), "/usr/share/zoneinfo/%s", zones[i]);
		if (file_read(path, SEED_BYTES_MAX, &bytes, &len, NULL) == RC_OK)
			put("data_zone", bytes, len);
		free(bytes);
	}
}

/* ---- as clients write ---------------------------------------------------------------------- */

static const struct {
	const char *target;
	int pick; /* -1: none */
	const char *text;
} requests[] = {
	{ "data_event", -1,
	    "{\"source\":\"phone\",\"id\":\"7\",\"layer\":\"text\",\"kind\":\"note\",\"start\":"
	    "\"2026-11-19T18:30:00.123Z\",\"tz\":\"Europe/"
	    "Berlin\",\"text\":\"lunch\",\"data\":{}}" },
	{ "data_event", -1,
	    "{\"source\":\"watch\",\"layer\":\"behaviour\",\"kind\":\"acceleration\",\"start\":"
	    "1795100400000000000,\"rate\":100,\"channels\":3,\"values\":[12,-40,8190,15,-38,8188]"
	    "}" },
	{ "data_event", -1,
	    "{\"source\":\"phone\",\"layer\":\"environment\",\"kind\":\"location\",\"start\":1,"
	    "\"times\":[0,998000000],\"channels\":[\"lat\",\"lon\"],\"values\":[52.5,13.4,52.6,13],"
	    "\"clock\":\"gps\",\"boot\":\"2\",\"seq\":4}" },
	{ "data_event", -1,
	    "{\"source\":\"pc\",\"layer\":\"behaviour\",\"kind\":\"app\",\"start\":1,\"end\":2,"
	    "\"shape\":\"state\",\"pulse\":30,\"gap\":true,\"blob\":[\"00\"]}" },
	{ "data_time", -1, "{\"clock\":\"watch\",\"boot\":\"7\",\"t1\":1795100400000000000}" },
	{ "data_time", -1,
	    "{\"clock\":\"watch\",\"t1\":1,\"t2\":\"2026-11-19T18:30:00Z\",\"t3\":"
	    "\"2026-11-19T18:30:00Z\",\"t4\":2,\"stamp\":\"00112233445566778899aabbccddeeff\"}" },
	{ "data_query", -1, "What did I promise \"Ines\" on 19 November?" },
	{ "data_query", -1, "{\"a\":[1,\"Gr\\u00fc\\u00dfe\",{\"b\":null}]}" },
	{ "data_timewords", -1, "00000000....last Monday morning, three days ago" },
	{ "data_timewords", -1, "00000000....between 3 and 5 pm on 19 November 2026" },
	{ "data_http_json", 0,
	    "/api/v1/events?from=2026-11-19T00:00:00Z&limit=5&layer=text&step=60s" },
	{ "data_http_json", 1, "http://home.example:8420" },
	{ "data_http_json", 2,
	    "{\"model\":\"hearth\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}" },
	{ "data_http_json", 5,
	    "{\"how\":\"correct\",\"id\":\"f7\",\"class\":\"people\",\"subject\":\"Anna\",\"text\":"
	    "\"Anna is a midwife\",\"valid_from\":\"2024-05-01T00:00:00Z\",\"valid_to\":\"\"}" },
	{ "data_http_json", 3, "{\"model\":\"m\",\"prompt\":\"a\",\"stop\":[\"b\"],\"seed\":7}" },
	{ "data_chat_request", -1,
	    "{\"model\":\"hearth\",\"stream\":true,\"max_tokens\":5,\"temperature\":0.5,"
	    "\"messages\":"
	    "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"}]}]}" },
	{ "data_embeddings", -1,
	    "{\"model\":\"m\",\"input\":[\"a\",\"b\"],\"encoding_format\":\"float\"}" },
};

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	base = argv[1];
	put_records();
	put_series(1, false, 1);
	put_series(3, false, 0.25);
	put_series(2, true, 1e-7);
	put_series(1, false, 0.123456789012345);
	put_slices();
	put_states();
	put_clocks();
	put_label();
	put_backup();
	put_keyring();
	put_zones();
	static const char state[] = "HEARTHS\2\0\0\0\0\0\0\0\0catalogue";
	put("data_state", state, sizeof(state) - 1);
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		if (requests[i].pick < 0)
			put_text(requests[i].target, requests[i].text);
		else
			put_picked(requests[i].target, (uint8_t)requests[i].pick, requests[i].text,
			    strlen(requests[i].text));
	}
	return 0;
}
