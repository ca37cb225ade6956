/*
 * Mistakes that real systems shipped, each as events that come in by the real
 * way: ingest, store, builder, slices from their rows and worked out.
 */
#include "../store/store_fixture.h"

#include "align/builder.h"
#include "align/civil.h"
#include "align/slice_serve.h"
#include "base/timestamp.h"
#include "ingest/ingest.h"

#define LINES_BYTES_MAX ((size_t)16 << 20)

struct life {
	struct fixture f;
	struct builder *builder;
	struct ingest_report report; /* of the last body */
	char error[160], field[64];  /* its first error */
};

/* What was seen of one facet, a letter a slice, and the text of all. */
struct view {
	enum facet facet;
	char modes[2000];
	uint64_t versions[2000];
	size_t values[2000], len;
	enum certainty certainty[2000];
	struct buf text;
};

static struct view view;

static int64_t at(const char *text)
{
	int64_t ns;

	assert_int_equal(timestamp_parse(text, &ns, NULL), RC_OK);
	return ns;
}

static int setup(void **state)
{
	struct life *life = calloc(1, sizeof *life);

	fixture_init(&life->f);
	PASS(builder_new(life->f.store, policy_default(), &life->builder, &pass_why));
	*state = life;
	return 0;
}

static int teardown(void **state)
{
	struct life *life = *state;

	builder_close(life->builder);
	fixture_fini(&life->f);
	free(life);
	buf_fini(&view.text);
	return 0;
}

/* A body as a device sends it, received at `recv`. */
static void send(struct life *life, const char *recv, const char *body)
{
	struct ingest_context ctx = { .store = life->f.store, .recv_utc_ns = at(recv) };
	struct arena arena;
	bool more = true;

	arena_init(&arena, (size_t)8 << 20);
	PASS(ingest_body(&ctx, body, strlen(body), &arena, &life->report, &pass_why));
	life->error[0] = life->field[0] = '\0';
	if (life->report.errors_len > 0) {
		(void)snprintf(life->error, 160, "%s", life->report.errors[0].text);
		(void)snprintf(life->field, 64, "%s", life->report.errors[0].field);
	}
	arena_fini(&arena);
	while (more)
		PASS(builder_pass(life->builder, &more, &pass_why));
}

static bool see(void *ctx, const struct slice *slice)
{
	static const char letters[] = "-ovci"; /* absent observed oVerlap carried interpolated */
	struct view *v = ctx;
	const struct cell *cell = &slice->cells[v->facet];

	assert_true(v->len + 1 < sizeof v->modes);
	v->modes[v->len] = letters[cell->mode];
	v->modes[v->len + 1] = '\0';
	v->values[v->len] = cell->values_len;
	v->certainty[v->len] = cell->certainty;
	v->versions[v->len++] = slice->version;
	return slice_json(slice, FACET_MASK_ALL, &v->text) == RC_OK;
}

static void look_at(struct life *life, enum facet facet, int64_t from_ns, int64_t to_ns,
    int64_t step_s, bool work_out)
{
	struct slice_source source = { life->f.store, policy_default(), at("2027-01-01T00:00:00Z"),
		false, work_out };
	struct slice_query query = {
		.from_ns = from_ns, .to_ns = to_ns, .step_ns = step_s * NS_PER_S, .keep_empty = true
	};

	buf_fini(&view.text);
	view = (struct view){ .facet = facet };
	buf_init(&view.text, LINES_BYTES_MAX);
	PASS(slice_serve(&source, &query, see, &view, NULL, &pass_why));
}

static void look(
    struct life *life, enum facet facet, const char *from, const char *to, int64_t step_s)
{
	struct buf rows;

	look_at(life, facet, at(from), at(to), step_s, false);
	rows = view.text;
	buf_init(&view.text, 0);
	look_at(life, facet, at(from), at(to), step_s, true);
	assert_int_equal(rows.len, view.text.len);
	assert_memory_equal(rows.bytes, view.text.bytes, rows.len);
	buf_fini(&rows);
}

static void assert_modes(const char *letters)
{
	assert_string_equal(view.modes, letters);
}

static bool says(const char *text)
{
	return view.text.len > 0 && strstr(buf_text(&view.text), text) != NULL;
}

#define SPEECH(id, start, end, text)                                                               \
	"{\"source\":\"glasses\",\"id\":\"" id                                                     \
	"\",\"layer\":\"auditory\",\"kind\":\"speech\",\"start\":\"" start "\",\"end\":\"" end     \
	"\",\"text\":\"" text "\"}\n"
#define APP(id, start, end, text)                                                                  \
	"{\"source\":\"watcher\",\"id\":\"" id                                                     \
	"\",\"layer\":\"behaviour\",\"kind\":\"app\",\"start\":\"" start "\",\"end\":\"" end       \
	"\",\"text\":\"" text "\"}\n"
#define NOTE(source, id, start, text)                                                              \
	"{\"source\":\"" source "\",\"id\":\"" id                                                  \
	"\",\"layer\":\"text\",\"kind\":\"note\",\"start\":" start ",\"text\":\"" text "\"}\n"

static void test_audio_recorded_offline_and_uploaded_hours_later(void **state)
{
	struct life *life = *state;

	for (int minute = 0; minute < 60; minute++) {
		char recv[40], body[200];
		(void)snprintf(recv, sizeof recv, "2026-06-01T10:%02d:00Z", minute);
		(void)snprintf(body, sizeof body,
		    "{\"source\":\"phone\",\"layer\":\"environment\",\"kind\":\"location\","
		    "\"start\":\"%s\",\"data\":{\"lat\":52.5,\"lon\":13.5}}",
		    recv);
		send(life, recv, body);
	}
	look(life, FACET_AUDIO, "2026-06-01T10:10:00Z", "2026-06-01T10:14:00Z", 60);
	assert_modes("----");
	send(life, "2026-06-01T15:00:00Z",
	    SPEECH("a", "2026-06-01T10:11:05Z", "2026-06-01T10:12:30Z", "we meet at nine"));
	look(life, FACET_AUDIO, "2026-06-01T10:10:00Z", "2026-06-01T10:14:00Z", 60);
	assert_modes("-vv-"); /* when it was said, not when it came */
	assert_int_equal(view.versions[1], 2);
	assert_int_equal(view.versions[2], 2);
	assert_true(says("\"cause\":\"late\""));
	look(life, FACET_AUDIO, "2026-06-01T14:58:00Z", "2026-06-01T15:01:00Z", 60);
	assert_modes("---");
}

static void test_a_meeting_of_a_hundred_seconds_without_a_frame(void **state)
{
	struct life *life = *state;

	send(life, "2026-06-01T11:00:00Z",
	    "{\"source\":\"glasses\",\"layer\":\"visual\",\"kind\":\"frame\","
	    "\"start\":\"2026-06-01T10:00:01Z\",\"text\":\"a table\"}\n" SPEECH(
		"m", "2026-06-01T10:00:05Z", "2026-06-01T10:01:45Z", "let us begin"));
	look(life, FACET_LANGUAGE, "2026-06-01T10:00:00Z", "2026-06-01T10:02:00Z", 10);
	assert_modes("vvvvvvvvvvv-"); /* no slice is lost for want of a picture */
	look(life, FACET_VISUAL, "2026-06-01T10:00:00Z", "2026-06-01T10:02:00Z", 10);
	assert_modes("o-----------"); /* and none gets one that was long gone */
}

static void test_overlapping_intervals_of_a_watcher(void **state)
{
	struct life *life = *state;

	send(life, "2026-06-01T11:00:00Z",
	    APP("1", "2026-06-01T10:00:10Z", "2026-06-01T10:02:10Z", "editor")
		APP("2", "2026-06-01T10:01:10Z", "2026-06-01T10:03:10Z", "browser"));
	look(life, FACET_DEVICE, "2026-06-01T10:00:00Z", "2026-06-01T10:05:00Z", 60);
	assert_modes("vvvv-");
	assert_int_equal(view.values[0], 1);
	assert_int_equal(view.values[1], 2); /* both, not the one that came last */
	assert_int_equal(view.values[2], 2);
	assert_int_equal(view.values[3], 1);
}

/* A phone whose clock is put back by an hour sends on; nothing it sent before
 * is taken for a duplicate, moved or lost. */
static void test_the_clock_is_set_back_by_an_hour(void **state)
{
	struct life *life = *state;

	send(
	    life, "2026-06-01T10:00:02Z", NOTE("phone", "1", "\"2026-06-01T10:00:00Z\"", "before"));
	send(life, "2026-06-01T10:05:02Z", NOTE("phone", "2", "\"2026-06-01T09:05:00Z\"", "after"));
	assert_int_equal(life->report.accepted, 1);
	look(life, FACET_LANGUAGE, "2026-06-01T10:00:00Z", "2026-06-01T10:01:00Z", 60);
	assert_true(says("before"));
	look(life, FACET_LANGUAGE, "2026-06-01T09:05:00Z", "2026-06-01T09:06:00Z", 60);
	assert_true(says("after")); /* it names no clock: its word is taken */
}

static void test_one_export_rendered_in_two_zones_is_one(void **state)
{
	struct life *life = *state;

	send(life, "2026-06-01T12:00:00Z",
	    NOTE("export", "e1", "\"2026-06-01T12:30:00+02:00\"", "lunch"));
	send(life, "2026-06-01T12:00:05Z",
	    NOTE("export", "e1", "\"2026-06-01T06:30:00-04:00\"", "lunch"));
	look(life, FACET_LANGUAGE, "2026-06-01T10:30:00Z", "2026-06-01T10:31:00Z", 60);
	assert_int_equal(view.values[0], 1); /* the same moment, once */
	look(life, FACET_LANGUAGE, "2026-06-01T06:00:00Z", "2026-06-01T13:00:00Z", 3600);
	assert_modes("----o--");
}

static void test_a_file_whose_records_run_backwards(void **state)
{
	static const char *const minutes[] = { "04", "03", "02", "01", "00" };
	struct life *life = *state;
	char body[4096] = "";

	for (size_t i = 0; i < 5; i++) {
		size_t used = strlen(body);
		(void)snprintf(body + used, sizeof body - used,
		    "{\"source\":\"gps\",\"id\":\"%s\",\"layer\":\"environment\",\"kind\":"
		    "\"location\",\"start\":\"2026-06-01T10:%s:30Z\",\"data\":{\"lat\":5%zu.5,"
		    "\"lon\":13.5}}\n",
		    minutes[i], minutes[i], i);
	}
	send(life, "2026-06-01T11:00:00Z", body);
	assert_int_equal(life->report.accepted, 5);
	look(life, FACET_LOCATION, "2026-06-01T10:00:00Z", "2026-06-01T10:05:00Z", 60);
	assert_modes("ooooo");
	look(life, FACET_LOCATION, "2026-06-01T10:00:00Z", "2026-06-01T10:05:00Z", 10);
	assert_true(strspn(view.modes, "oi") == view.len); /* and between them */
	assert_non_null(strchr(view.modes, 'i'));
}

static void test_31_april_is_refused_by_name(void **state)
{
	struct life *life = *state;
	int64_t day;

	send(
	    life, "2026-06-01T11:00:00Z", NOTE("phone", "1", "\"2026-04-31T10:00:00Z\"", "no day"));
	assert_int_equal(life->report.rejected, 1);
	assert_string_equal(life->field, "start");
	assert_int_equal(civil_parse_date("2026-04-31", &day), RC_INVALID);
}

static void test_times_as_strings_of_digits(void **state)
{
	struct life *life = *state;

	send(life, "2026-06-01T11:00:00Z", NOTE("phone", "1", "\"1780308000000000000\"", "text"));
	bool taken = life->report.accepted == 1;
	send(life, "2026-06-01T11:00:00Z", NOTE("phone", "2", "1780308000000000000", "number"));
	assert_int_equal(life->report.accepted, 1);
	look(life, FACET_LANGUAGE, "2026-06-01T10:00:00Z", "2026-06-01T10:01:00Z", 60);
	assert_true(says("number"));
	/* A string is either that same time or refused by name, never another time. */
	assert_true(taken ? says("\"text\":\"text\"") : !says("\"text\":\"text\""));
}

static void test_the_leap_second_is_the_second_after(void **state)
{
	struct life *life = *state;

	send(life, "2026-06-01T11:00:00Z",
	    NOTE("clock", "1", "\"2016-12-31T23:59:60Z\"", "leap")
		NOTE("clock", "2", "\"2017-01-01T00:00:00Z\"", "new year"));
	assert_int_equal(life->report.accepted, 2);
	look(life, FACET_LANGUAGE, "2017-01-01T00:00:00Z", "2017-01-01T00:01:00Z", 60);
	assert_int_equal(view.values[0], 2);
}

static void test_both_changes_of_daylight_saving(void **state)
{
	struct life *life = *state;
	struct civil_query query = { .day = 0 };
	struct civil_day day;

	/* Half past two happens twice, and then never. */
	send(life, "2026-11-01T00:00:00Z",
	    "{\"source\":\"phone\",\"id\":\"1\",\"layer\":\"text\",\"kind\":\"note\",\"start\":"
	    "\"2026-10-25T02:30:00+02:00\",\"tz\":\"Europe/Berlin\",\"text\":\"summer\"}\n"
	    "{\"source\":\"phone\",\"id\":\"2\",\"layer\":\"text\",\"kind\":\"note\",\"start\":"
	    "\"2026-10-25T02:30:00+01:00\",\"tz\":\"Europe/Berlin\",\"text\":\"winter\"}\n"
	    "{\"source\":\"phone\",\"id\":\"3\",\"layer\":\"text\",\"kind\":\"note\",\"start\":"
	    "\"2026-03-29T03:30:00+02:00\",\"tz\":\"Europe/Berlin\",\"text\":\"spring\"}\n");
	assert_int_equal(life->report.accepted, 3);
	look(life, FACET_LANGUAGE, "2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z", 3600);
	assert_modes("oo"); /* an hour apart, each in its own */
	if (access("/usr/share/zoneinfo/Europe/Berlin", R_OK) != 0)
		return;
	assert_int_equal(civil_parse_date("2026-10-25", &query.day), RC_OK);
	PASS(civil_day_find(life->f.store, &query, &day, &pass_why));
	look_at(life, FACET_LANGUAGE, day.from_ns, day.to_ns, 3600, false);
	assert_int_equal(view.len, 25);
	assert_int_equal(civil_parse_date("2026-03-29", &query.day), RC_OK);
	PASS(civil_day_find(life->f.store, &query, &day, &pass_why));
	look_at(life, FACET_LANGUAGE, day.from_ns, day.to_ns, 3600, false);
	assert_int_equal(view.len, 23);
	assert_int_equal(view.modes[2], 'o');
}

/* Two that disagree by minutes: each keeps its own time, neither hides the
 * other, and what is possible is not called certain. */
static void test_two_devices_disagree_by_minutes(void **state)
{
	struct life *life = *state;

	send(life, "2026-06-01T10:10:00Z",
	    "{\"source\":\"phone\",\"layer\":\"environment\",\"kind\":\"location\",\"start\":"
	    "\"2026-06-01T10:00:30Z\",\"data\":{\"lat\":52.5,\"lon\":13.5}}\n"
	    "{\"source\":\"watch\",\"layer\":\"environment\",\"kind\":\"location\",\"start\":"
	    "\"2026-06-01T10:03:30Z\",\"data\":{\"lat\":48.1,\"lon\":11.5}}\n");
	look(life, FACET_LOCATION, "2026-06-01T10:00:00Z", "2026-06-01T10:04:00Z", 60);
	assert_modes("oooo");
	assert_int_equal(view.certainty[0], CERTAINTY_CERTAIN);
	assert_int_equal(view.certainty[1], CERTAINTY_POSSIBLE); /* near, not there */
	assert_int_equal(view.certainty[3], CERTAINTY_CERTAIN);
	look_at(life, FACET_LOCATION, at("2026-06-01T10:01:00Z"), at("2026-06-01T10:02:00Z"), 60,
	    false);
	assert_true(says("\"source\":\"phone\""));
	assert_false(says("\"mode\":\"interpolated\"")); /* nothing between two sources */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_audio_recorded_offline_and_uploaded_hours_later),
		TEST(test_a_meeting_of_a_hundred_seconds_without_a_frame),
		TEST(test_overlapping_intervals_of_a_watcher),
		TEST(test_the_clock_is_set_back_by_an_hour),
		TEST(test_one_export_rendered_in_two_zones_is_one),
		TEST(test_a_file_whose_records_run_backwards),
		TEST(test_31_april_is_refused_by_name),
		TEST(test_times_as_strings_of_digits),
		TEST(test_the_leap_second_is_the_second_after),
		TEST(test_both_changes_of_daylight_saving),
		TEST(test_two_devices_disagree_by_minutes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
