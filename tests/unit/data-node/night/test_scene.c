/*
 * Scenes end to end: days of fixes and events in a store become labels of
 * home, work, commuting, meeting, meal, sleep and exercise, and slices read
 * them; late and corrected evidence changes what it touches.
 */
#include "../store/store_fixture.h"
#include "align/builder.h"
#include "align/item.h"
#include "align/policy.h"
#include "align/slice_serve.h"
#include "night/label.h"
#include "night/night.h"

#define MONDAY_NS (INT64_C(1795392000) * NS_PER_S) /* 2026-11-23T00:00Z */
#define HOME "{\"acc\":10,\"lat\":52.4874,\"lon\":13.4263}"
#define WORK "{\"acc\":10,\"lat\":52.5008,\"lon\":13.4187}"
#define MOVED "{\"acc\":10,\"lat\":52.5208,\"lon\":13.3187}"

static struct night_report report;
static int next_id;

static int64_t at(int day, double hour)
{
	return MONDAY_NS + day * NS_PER_DAY + (int64_t)(hour * 3600) * NS_PER_S;
}

/* Observations wait for the next run(): a commit each would take long. */
#define PENDING_MAX 4096
static struct observation pending[PENDING_MAX];
static char pending_ids[PENDING_MAX][16];
static size_t pending_len;

static void flush(struct fixture *f)
{
	PASS(store_append(f->store, pending, pending_len, NULL, NULL, &pass_why));
	pending_len = 0;
}

static void add(struct fixture *f, enum layer layer, const char *kind, int64_t t0_ns, int64_t t1_ns,
    const char *text, const char *data)
{
	if (pending_len == PENDING_MAX)
		flush(f);
	char *id = pending_ids[pending_len];
	struct observation obs = make_obs(id, t0_ns, text);

	(void)snprintf(id, sizeof pending_ids[0], "e-%d", next_id++);
	obs.layer = layer;
	obs.kind = kind;
	obs.data_json = data;
	obs.dev_t1_ns = t1_ns;
	obs.recv_utc_ns = t1_ns + NS_PER_S;
	obs.has_end = t1_ns > t0_ns;
	obs.shape = obs.has_end ? SHAPE_INTERVAL : SHAPE_INSTANT;
	pending[pending_len++] = obs;
}

static void fixes(struct fixture *f, int day, double from_h, double to_h, const char *where)
{
	for (double hour = from_h; hour <= to_h; hour += 0.25)
		add(f, LAYER_ENVIRONMENT, "location", at(day, hour), at(day, hour), "", where);
}

static void signs(struct fixture *f, int day, double from_h, double to_h)
{
	for (double hour = from_h; hour <= to_h; hour += 0.5)
		add(f, LAYER_HOME, "light", at(day, hour), at(day, hour), "",
		    "{\"entity\":\"light.hall\",\"state\":\"on\"}");
}

/* Nights at home, the day at work; the phone is silent from 23 to 7. */
static void live(struct fixture *f, int days, const char *work)
{
	for (int day = 0; day < days; day++) {
		fixes(f, day, 7, 7.75, HOME);
		signs(f, day, 6.75, 7.75);
		if (day % 7 < 5)
			fixes(f, day, 8.5, 17, work);
		fixes(f, day, 17.75, 23, HOME);
		signs(f, day, 18, 23);
	}
}

static void run(struct fixture *f)
{
	struct night_config config = { .store = f->store };

	flush(f);
	PASS(night_run(&config, &report, &pass_why));
	assert_true(report.finished);
}

struct seen_scene {
	char text[64];
	uint8_t obs_id[OBS_ID_BYTES];
	bool labelled;
};

static bool scene_visit(void *ctx, const struct slice *slice)
{
	const struct cell *cell = &slice->cells[FACET_SCENE];
	struct seen_scene *scene = ctx;

	if (cell->values_len == 1) {
		(void)snprintf(
		    scene->text, sizeof scene->text, "%s", cell_value_text(&cell->values[0]));
		memcpy(scene->obs_id, cell->values[0].item->rest->obs_id, OBS_ID_BYTES);
		scene->labelled =
		    strstr(cell_value_data(&cell->values[0]), "\"rule\":\"scene\"") != NULL;
	}
	return true;
}

static struct seen_scene scene_at(struct fixture *f, int64_t at_ns)
{
	struct slice_query query = { .from_ns = at_ns,
		.to_ns = at_ns + NS_PER_MIN,
		.step_ns = NS_PER_MIN,
		.facets = FACET_MASK(FACET_SCENE),
		.keep_empty = true };
	struct seen_scene scene = { .text = "" };

	PASS(slice_build(f->store, &query, scene_visit, &scene, &pass_why));
	return scene;
}

static void check(struct fixture *f, int day, double hour, const char *want)
{
	struct seen_scene scene = scene_at(f, at(day, hour));

	if (strcmp(scene.text, want) != 0)
		fail_msg("day %d, %.2f h: \"%s\", not \"%s\"", day, hour, scene.text, want);
	assert_true(scene.labelled || want[0] == '\0');
}

static void test_a_working_week(void **state)
{
	struct fixture f = { .store = NULL };

	(void)state;
	fixture_init(&f);
	live(&f, 5, WORK);
	run(&f);
	for (int day = 1; day < 4; day++) {
		check(&f, day, 3, "sleep");
		check(&f, day, 7.2, "home");
		check(&f, day, 8.1, "commuting");
		check(&f, day, 11, "work");
		check(&f, day, 17.5, "commuting");
		check(&f, day, 21, "home");
	}
	uint64_t cursor = store_cursor(f.store);
	run(&f);
	assert_int_equal(store_cursor(f.store), cursor);
	fixture_fini(&f);
}

static void test_what_devices_record(void **state)
{
	struct fixture f = { .store = NULL };

	(void)state;
	fixture_init(&f);
	live(&f, 3, WORK);
	add(&f, LAYER_BEHAVIOUR, "sleep", at(0, 22.5), at(1, 6.5), "slept 8 h", "{\"score\":80}");
	add(&f, LAYER_BEHAVIOUR, "workout", at(1, 18), at(1, 19), "running", "{}");
	add(&f, LAYER_TEXT, "calendar", at(1, 10), at(1, 11), "planning with Tobias", "");
	add(&f, LAYER_BEHAVIOUR, "app", at(1, 14), at(1, 14.5), "Zoom", "{\"app\":\"zoom\"}");
	add(&f, LAYER_ENVIRONMENT, "visit", at(1, 12), at(1, 12.75), "Ofelia",
	    "{\"category\":\"restaurant\",\"lat\":52.4994,\"lon\":13.4285}");
	for (int i = 0; i < 12; i++)
		add(&f, LAYER_AUDITORY, "speech", at(2, 15 + i * 0.025), at(2, 15 + i * 0.025),
		    "well", i % 2 == 0 ? "{\"speaker\":\"mara\"}" : "{\"speaker\":\"jonas\"}");
	run(&f);
	check(&f, 0, 23, "sleep");
	check(&f, 1, 2, "sleep"); /* one night is two labels, cut at midnight */
	check(&f, 1, 18.5, "exercise");
	check(&f, 1, 10.5, "meeting");
	check(&f, 1, 14.25, "meeting");
	check(&f, 1, 12.25, "meal");
	check(&f, 2, 15.1, "meeting");
	check(&f, 1, 13.5, "work");
	fixture_fini(&f);
}

static void test_late_evidence_changes_what_it_touches(void **state)
{
	struct fixture f = { .store = NULL };
	struct seen_scene before, after;

	(void)state;
	fixture_init(&f);
	/* One day of two places: too early to say. */
	live(&f, 1, WORK);
	run(&f);
	check(&f, 0, 11, "");
	check(&f, 0, 21, "");
	/* A night and a second day make them home and work, on the first day too. */
	fixes(&f, 1, 7, 7.75, HOME);
	signs(&f, 1, 6.75, 7.75);
	fixes(&f, 1, 8.5, 17, WORK);
	run(&f);
	check(&f, 0, 11, "work");
	check(&f, 0, 21, "home");
	check(&f, 1, 11, "work");
	before = scene_at(&f, at(0, 11));
	/* Late: where lunch was; the rest of the day stands. */
	add(&f, LAYER_TEXT, "calendar", at(1, 12), at(1, 13), "lunch talk", "");
	run(&f);
	check(&f, 1, 12.5, "meeting");
	after = scene_at(&f, at(0, 11));
	assert_memory_equal(before.obs_id, after.obs_id, OBS_ID_BYTES);
	assert_int_equal(report.written, 2); /* its scene, its language */
	fixture_fini(&f);
}

/* Nobody touched a thing until noon, but the phone had left at a quarter to eight. */
static void test_rest_ends_when_home_is_left(void **state)
{
	struct fixture f = { .store = NULL };

	(void)state;
	fixture_init(&f);
	live(&f, 3, WORK);
	fixes(&f, 3, 7, 7.75, HOME);
	fixes(&f, 3, 8.5, 17, WORK);
	add(&f, LAYER_TEXT, "note", at(3, 12), at(3, 12), "buy an inner tube for the bicycle", "");
	run(&f);
	check(&f, 3, 7.6, "sleep");
	check(&f, 3, 8.1, "commuting");
	check(&f, 3, 9, "work");
	fixture_fini(&f);
}

static void test_moving_house(void **state)
{
	struct fixture f = { .store = NULL };

	(void)state;
	fixture_init(&f);
	for (int day = 0; day < 44; day++) {
		const char *home = day < 22 ? HOME : MOVED;
		fixes(&f, day, 6, 8, home);
		fixes(&f, day, 18, 23, home);
	}
	run(&f);
	check(&f, 3, 20, "home");
	check(&f, 40, 20, "home");
	run(&f);
	assert_int_equal(report.written, 0);
	fixture_fini(&f);
}

static bool put_slice(void *ctx, const struct slice *slice)
{
	PASS(slice_json(slice, FACET_MASK_ALL, ctx));
	buf_putc(ctx, '\n');
	return true;
}

static size_t serve(struct fixture *f, bool work_out_all, struct buf *out)
{
	struct slice_source source = { .store = f->store,
		.policy = policy_default(),
		.now_ns = at(30, 0),
		.work_out_all = work_out_all };
	struct slice_query query = {
		.from_ns = at(0, 0), .to_ns = at(4, 0), .step_ns = NS_PER_MIN
	};
	struct slice_served served = { 0 };

	buf_reset(out);
	PASS(slice_serve(&source, &query, put_slice, out, &served, &pass_why));
	return served.from_rows;
}

/* Stored slices name their labels and serve the scene without working it out,
 * also over hours in which nothing but a label holds. */
static void test_stored_slices_have_the_scene(void **state)
{
	struct fixture f = { .store = NULL };
	struct builder *builder = NULL;
	struct buf rows, worked;
	bool more = true;

	(void)state;
	fixture_init(&f);
	live(&f, 5, WORK);
	flush(&f);
	PASS(builder_new(f.store, policy_default(), &builder, &pass_why));
	for (int pass = 0; pass < 2; pass++) { /* before the night and after it */
		more = true;
		while (more)
			PASS(builder_pass(builder, &more, &pass_why));
		if (pass == 0)
			run(&f);
	}
	buf_init(&rows, (size_t)64 << 20);
	buf_init(&worked, (size_t)64 << 20);
	size_t from_rows = serve(&f, false, &rows);
	print_message("%zu slices from rows\n", from_rows);
	assert_true(from_rows > 3 * 1440);
	(void)serve(&f, true, &worked);
	assert_string_equal(buf_text(&rows), buf_text(&worked));
	assert_non_null(strstr(buf_text(&rows), "\"sleep\""));
	buf_fini(&rows);
	buf_fini(&worked);
	builder_close(builder);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_working_week),
		cmocka_unit_test(test_what_devices_record),
		cmocka_unit_test(test_late_evidence_changes_what_it_touches),
		cmocka_unit_test(test_rest_ends_when_home_is_left),
		cmocka_unit_test(test_moving_house),
		cmocka_unit_test(test_stored_slices_have_the_scene),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
