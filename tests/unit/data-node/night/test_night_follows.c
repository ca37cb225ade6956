/*
 * Night: labels follow what happens to observations afterwards.  What was
 * forgotten leaves the labels that a store without it has; what a clock map
 * moved leaves those of a store that knew the map before.
 */
#include "../store/store_fixture.h"
#include "night/label.h"
#include "night/night_rule.h"
#include "store/store_clock.h"
#include "store/store_forget.h"

#define LIST_BYTES ((size_t)4 << 20)
#define DAYS 4
#define LATE_NS (40 * NS_PER_DAY) /* a clock behind the hub's */

static struct night_report report;

static void run(struct fixture *f)
{
	struct night_config config = { .store = f->store };

	PASS(night_run(&config, &report, &pass_why));
	assert_true(report.finished);
}

#define LINES_MAX 4096

struct listing {
	struct fixture *f;
	char *lines[LINES_MAX];
	size_t len;
};

/* Rule, time and value (of a copy it holds an id, which no two stores share); and
 * all that it names can be read. */
static bool list_visit(void *ctx, const struct observation *obs)
{
	struct listing *list = ctx;
	struct observation about;
	struct arena arena;
	struct label label;

	arena_init(&arena, 16 << 20);
	if (label_decode(obs, &arena, &label) == RC_OK && !label_is_withdrawn(&label)) {
		bool copy = strcmp(label.rule, "duplicate") == 0;
		assert_true(list->len < LINES_MAX);
		assert_true(asprintf(&list->lines[list->len++], "%s %lld %s", label.rule,
				(long long)label.t0_ns, copy ? "" : label.value_json) > 0);
		for (size_t i = 0; i < label.about_len; i++) {
			PASS(store_get_id(
			    list->f->store, label.about[i], &arena, &about, &pass_why));
			assert_false(about.tombstone);
		}
	}
	arena_fini(&arena);
	return true;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Line by line, sorted; the caller frees. */
static char *list(struct fixture *f)
{
	struct store_range range = { .from_ns = OBS_TIME_MIN_NS, .to_ns = OBS_TIME_MAX_NS };
	static struct listing listing;
	char *text = calloc(1, LIST_BYTES), *at = text;

	listing = (struct listing){ .f = f };
	assert_non_null(text);
	PASS(store_scan_time(f->store, &range, NULL, 0, list_visit, &listing, &pass_why));
	qsort(listing.lines, listing.len, sizeof listing.lines[0], by_text);
	for (size_t i = 0; i < listing.len; i++) {
		at += snprintf(at, LIST_BYTES - (size_t)(at - text), "%s\n", listing.lines[i]);
		free(listing.lines[i]);
	}
	return text;
}

static void assert_same_labels(struct fixture *have, struct fixture *want)
{
	char *a = list(have), *b = list(want);

	assert_string_equal(a, b);
	free(a);
	free(b);
}

/* ---- forgetting ------------------------------------------------------------------------ */

#define FIXES 144
#define A_DAY (FIXES + 3)

static struct observation observed(const char *source, enum layer layer, const char *kind,
    int64_t t0_ns, const char *text, const char *data)
{
	struct observation obs = make_obs("", t0_ns, text);

	obs.source = source;
	obs.layer = layer;
	obs.kind = kind;
	obs.origin = ORIGIN_DEVICE;
	obs.data_json = data;
	return obs;
}

/* A day of one source, where it differs from that of another one. */
static void live(struct fixture *f, const char *source, int day, int lat)
{
	int64_t begin_ns = T0_NS - T0_NS % NS_PER_DAY + day * NS_PER_DAY;
	static struct observation obs[A_DAY];
	static char data[FIXES][64];

	for (int i = 0; i < FIXES; i++) {
		(void)snprintf(data[i], sizeof data[i],
		    "{\"accuracy\":10,\"lat\":%d.5,\"lon\":13.4}", lat + i / 72);
		obs[i] = observed(source, LAYER_ENVIRONMENT, "location",
		    begin_ns + i * 10 * NS_PER_MIN + lat, "", data[i]);
	}
	obs[FIXES] = observed(source, LAYER_TEXT, "note", begin_ns + NS_PER_HOUR,
	    lat == 40 ? "Wann kommst du heute nach Hause?" : "They are lovely, thank you for them",
	    "");
	obs[FIXES + 1] =
	    observed(source, LAYER_HOME, "light", begin_ns + 2 * NS_PER_HOUR, "", "{\"on\":true}");
	obs[FIXES + 2] = observed(source, LAYER_ENVIRONMENT, "temperature",
	    begin_ns + 3 * NS_PER_HOUR, "", "{\"unit\":\"°F\",\"value\":68}");
	PASS(store_append(f->store, obs, A_DAY, NULL, NULL, &pass_why));
}

static void fill(struct fixture *f, bool phone, bool watch, int skip_day)
{
	for (int day = 0; day < DAYS; day++) {
		if (phone && day != skip_day)
			live(f, "phone", day, 40);
		if (watch && day != skip_day)
			live(f, "watch", day, 60);
	}
}

static void forget(struct fixture *f, const struct store_forget *what)
{
	struct store_forgotten done;

	PASS(store_forget(f->store, what, &done, &pass_why));
	assert_true(done.records > 0);
}

static void test_a_forgotten_source_leaves_the_labels_of_a_life_without_it(void **state)
{
	struct fixture f = { .store = NULL }, twin = { .store = NULL };
	struct store_forget what = {
		.from_ns = OBS_TIME_MIN_NS, .to_ns = OBS_TIME_MAX_NS, .source = "phone"
	};

	(void)state;
	fixture_init(&f);
	fixture_init(&twin);
	fill(&f, true, true, -1);
	fill(&twin, false, true, -1);
	run(&f);
	run(&twin);
	char *before = list(&f), *want = list(&twin);
	assert_string_not_equal(before, want);
	assert_non_null(strstr(before, "role "));
	free(before);
	free(want);
	forget(&f, &what);
	run(&f);
	assert_true(report.days < 100); /* only where something was */
	assert_same_labels(&f, &twin);
	run(&f);
	assert_int_equal(report.written + report.withdrawn, 0);
	fixture_fini(&twin);
	fixture_fini(&f);
}

/* All of a source's last day, and then the night had it already; a day of all. */
static void test_a_forgotten_day_and_a_forgotten_layer_are_labelled_anew(void **state)
{
	int64_t day_ns = T0_NS - T0_NS % NS_PER_DAY + NS_PER_DAY;
	struct fixture f = { .store = NULL }, twin = { .store = NULL };
	struct store_forget what = { .from_ns = day_ns, .to_ns = day_ns + NS_PER_DAY };

	(void)state;
	fixture_init(&f);
	fixture_init(&twin);
	fill(&f, true, true, -1);
	fill(&twin, true, true, 1);
	run(&f);
	forget(&f, &what);
	run(&f);
	run(&twin);
	assert_same_labels(&f, &twin);
	what = (struct store_forget){ .from_ns = OBS_TIME_MIN_NS,
		.to_ns = OBS_TIME_MAX_NS,
		.layers = LAYER_MASK(LAYER_ENVIRONMENT) };
	forget(&f, &what);
	forget(&twin, &what);
	run(&f);
	run(&twin);
	assert_same_labels(&f, &twin);
	char *left = list(&f);
	assert_non_null(strstr(left, "language ")); /* of another layer, dropped and said anew */
	assert_null(strstr(left, "place "));
	free(left);
	fixture_fini(&twin);
	fixture_fini(&f);
}

/* A visit of days is forgotten by an hour of it: labels went on all of them. */
static void test_what_reaches_out_of_the_range_is_labelled_anew_where_it_was(void **state)
{
	int64_t begin_ns = T0_NS - T0_NS % NS_PER_DAY;
	struct observation visit = observed("calendar", LAYER_ENVIRONMENT, "visit",
	    begin_ns + NS_PER_HOUR, "", "{\"accuracy\":10,\"lat\":50.5,\"lon\":13.4}");
	struct store_forget what = { .from_ns = begin_ns + 10 * NS_PER_DAY,
		.to_ns = begin_ns + 10 * NS_PER_DAY + NS_PER_HOUR,
		.source = "calendar" };
	struct fixture f = { .store = NULL }, twin = { .store = NULL };

	(void)state;
	fixture_init(&f);
	fixture_init(&twin);
	visit.shape = SHAPE_INTERVAL;
	visit.has_end = true;
	visit.dev_t1_ns = visit.dev_t0_ns + 14 * NS_PER_DAY;
	(void)append_one(f.store, &visit);
	fill(&f, false, true, -1);
	fill(&twin, false, true, -1);
	run(&f);
	run(&twin);
	char *before = list(&f), *want = list(&twin);
	assert_string_not_equal(before, want);
	free(before);
	free(want);
	forget(&f, &what);
	run(&f);
	assert_same_labels(&f, &twin);
	fixture_fini(&twin);
	fixture_fini(&f);
}

/* ---- clocks that are mapped anew --------------------------------------------------------- */

static void append_heard(struct fixture *f, int i)
{
	struct observation obs = make_obs("", T0_NS - LATE_NS + i * NS_PER_HOUR,
	    i % 2 == 0 ? "Wann kommst du heute nach Hause?" : "Non so dove sia andato");

	obs.clock_id = "glasses";
	obs.boot_epoch = "7";
	obs.has_source_seq = true;
	obs.source_seq = (uint64_t)i;
	obs.recv_utc_ns = obs.recv_mono_ns = T0_NS + 30 * NS_PER_HOUR;
	(void)append_one(f->store, &obs);
}

static void append_ping(struct fixture *f)
{
	int64_t hub_ns = T0_NS + 30 * NS_PER_HOUR + NS_PER_MIN;
	struct store_clock_ping ping = { "glasses", "7", hub_ns - LATE_NS, hub_ns + 5000000,
		hub_ns + 5100000, hub_ns - LATE_NS + 10000001 };
	struct observation obs;
	struct arena arena;

	arena_init(&arena, 1 << 20);
	PASS(store_clock_ping_make(
	    &ping, hub_ns + 20 * NS_PER_MS, hub_ns + 20 * NS_PER_MS, &arena, &obs));
	(void)append_one(f->store, &obs);
	arena_fini(&arena);
}

static void test_labels_move_with_what_a_clock_map_moved(void **state)
{
	struct fixture f = { .store = NULL }, twin = { .store = NULL };

	(void)state;
	fixture_init(&f);
	fixture_init(&twin);
	for (int i = 0; i < 28; i++) {
		append_heard(&f, i);
		append_heard(&twin, i);
	}
	fill(&f, false, true, -1);
	fill(&twin, false, true, -1);
	run(&f); /* they are in limbo yet */
	append_ping(&twin);
	run(&twin);
	char *before = list(&f), *want = list(&twin);
	assert_string_not_equal(before, want);
	free(before);
	free(want);
	append_ping(&f);
	run(&f);
	assert_true(report.days < 100);
	assert_same_labels(&f, &twin);
	run(&f);
	assert_int_equal(report.written + report.withdrawn, 0);
	fixture_fini(&twin);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_forgotten_source_leaves_the_labels_of_a_life_without_it),
		cmocka_unit_test(test_a_forgotten_day_and_a_forgotten_layer_are_labelled_anew),
		cmocka_unit_test(test_what_reaches_out_of_the_range_is_labelled_anew_where_it_was),
		cmocka_unit_test(test_labels_move_with_what_a_clock_map_moved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
