/*
 * The builder: what it stores is what is worked out, byte for byte, in whatever
 * order and portions the records came; a late record costs what it touches;
 * slices are sealed, reopened with a cause, and sealed again.
 * HEARTH_STREAMS=10000 runs longer.
 */
#include "../store/store_fixture.h"

#include "align/builder.h"
#include "align/slice_serve.h"
#include "slice_stream.h"
#include "store/store_slice.h"

#define LINES_BYTES_MAX ((size_t)64 << 20)
#define STREAMS_DEFAULT 60
#define MIN NS_PER_MIN
#define BASE_NS (T0_NS / NS_PER_HOUR * NS_PER_HOUR)

static struct slice_stream stream;

static long streams_wanted(void)
{
	const char *text = getenv("HEARTH_STREAMS");

	return text == NULL ? STREAMS_DEFAULT : strtol(text, NULL, 10);
}

/* ---- reading ------------------------------------------------------------------------- */

struct lines {
	struct buf text;
	unsigned facets;
	size_t len;
	uint64_t cursor;
	uint64_t versions[4000];
	char states[4000][16], causes[4000][16];
};

static struct lines lines[2];

/* Nothing in a slice is newer than the cursor it is read at. */
static void assert_no_leak(const struct slice *slice, uint64_t cursor)
{
	for (int facet = 0; facet < FACET_COUNT; facet++) {
		for (size_t i = 0; i < slice->cells[facet].values_len; i++) {
			const struct cell_value *value = &slice->cells[facet].values[i];
			assert_true(value->item->seq <= cursor);
			assert_true(cell_value_next_seq(value) <= cursor);
		}
	}
}

static bool put_slice(void *ctx, const struct slice *slice)
{
	struct lines *out = ctx;

	assert_true(out->len < 4000);
	assert_no_leak(slice, out->cursor);
	out->versions[out->len] = slice->version;
	(void)snprintf(out->states[out->len], 16, "%s", slice->state);
	(void)snprintf(out->causes[out->len], 16, "%s", slice->cause == NULL ? "" : slice->cause);
	out->len++;
	enum rc rc = slice_json(slice, out->facets, &out->text);
	buf_putc(&out->text, '\n');
	return rc == RC_OK;
}

static struct slice_served serve(struct fixture *f, const struct slice_source *source,
    const struct slice_query *query, struct lines *out)
{
	struct slice_served served = { 0 };

	buf_fini(&out->text);
	buf_init(&out->text, LINES_BYTES_MAX);
	out->facets = query->facets;
	out->cursor = query->as_of_seq != 0 ? query->as_of_seq : UINT64_MAX;
	out->len = 0;
	(void)f;
	PASS(slice_serve(source, query, put_slice, out, &served, &pass_why));
	return served;
}

/* Both ways; they must agree. */
static struct slice_served serve_both(
    struct fixture *f, const struct policy *policy, int64_t now_ns, const struct slice_query *query)
{
	struct slice_source source = { .store = f->store,
		.policy = policy,
		.now_ns = now_ns,
		.as_known = query->as_of_seq != 0 };

	struct slice_served served = serve(f, &source, query, &lines[0]);
	source.work_out_all = true;
	(void)serve(f, &source, query, &lines[1]);
	if (lines[0].text.len != lines[1].text.len ||
	    memcmp(buf_text(&lines[0].text), buf_text(&lines[1].text), lines[0].text.len) != 0) {
		const char *a = buf_text(&lines[0].text), *b = buf_text(&lines[1].text);
		size_t at = 0, line = 0;
		for (; a[at] != '\0' && a[at] == b[at]; at++)
			line = a[at] == '\n' ? at + 1 : line;
		fail_msg("from rows %.*s\nworked out %.*s", (int)strcspn(a + line, "\n"), a + line,
		    (int)strcspn(b + line, "\n"), b + line);
	}
	return served;
}

static void pass_all(struct builder *builder)
{
	bool more = true;

	while (more)
		PASS(builder_pass(builder, &more, &pass_why));
}

/* ---- random streams -------------------------------------------------------------------- */

static struct slice_query query_of(uint64_t *seed, uint64_t cursor)
{
	struct slice_query query = { .from_ns = stream.grid.from_ns - 10 * MIN,
		.to_ns = stream.grid.to_ns + 30 * MIN,
		.step_ns = random_next(seed) % 4 == 0 ? 15 * MIN : MIN,
		.facets = random_next(seed) % 2 == 0 ? FACET_MASK_ALL : stream.grid.facets,
		.keep_empty = random_next(seed) % 4 == 0 };

	/* Without the home a slice without a row is known to be empty. */
	if (random_next(seed) % 2 == 0)
		query.facets = FACET_MASK_ALL & ~FACET_MASK(FACET_HOME) & ~FACET_MASK(FACET_SCENE);
	if (cursor > 1 && random_next(seed) % 4 == 0)
		query.as_of_seq = 1 + random_next(seed) % cursor;
	return query;
}

/* Append the stream in random portions and order, with new versions among it. */
static void append_some(struct fixture *f, uint64_t *seed, size_t *done, int64_t *recv_ns)
{
	size_t n = 1 + random_next(seed) % 8;

	for (size_t i = 0; i < n && *done < stream.len; i++) {
		struct observation obs = stream.obs[(*done)++];
		obs.recv_utc_ns = *recv_ns;
		(void)append_one(f->store, &obs);
		if (random_next(seed) % 8 == 0) { /* corrected later */
			obs.dev_t0_ns -= 90 * NS_PER_S;
			obs.text = "other words";
			(void)append_one(f->store, &obs);
		}
	}
	static const int64_t pauses[] = { 0, NS_PER_S, MIN, 40 * MIN };
	*recv_ns += pauses[random_next(seed) % 4];
}

/* One stream into a store that holds others of earlier days. */
static size_t live_through(
    struct fixture *f, struct builder *builder, const struct policy *policy, uint64_t *seed)
{
	size_t done = 0, from_rows = 0;

	/* By chance in order of time, so that slices end as they should. */
	slice_stream_shuffle(seed, stream.obs, stream.len);
	int64_t recv_ns = stream.obs[0].dev_t0_ns;
	if (random_next(seed) % 2 == 0) {
		recv_ns += 3 * NS_PER_HOUR;
		for (size_t i = 0; i < stream.len; i++) {
			size_t k = random_next(seed) % stream.len;
			struct observation swap = stream.obs[i];
			stream.obs[i] = stream.obs[k];
			stream.obs[k] = swap;
		}
	}
	while (done < stream.len) {
		append_some(f, seed, &done, &recv_ns);
		if (random_next(seed) % 3 != 0)
			pass_all(builder);
		struct slice_query query = query_of(seed, store_cursor(f->store));
		from_rows += serve_both(f, policy, recv_ns, &query).from_rows;
	}
	return from_rows;
}

/* A stream of minutes and hours on its own day, with ids of its own. */
static void make_day(uint64_t *seed, long day)
{
	do {
		slice_stream_make(seed, &stream);
	} while (stream.len == 0 || stream.grid.step_ns < MIN);
	for (size_t i = 0; i < stream.len; i++) {
		stream.obs[i].dev_t0_ns += day * NS_PER_DAY;
		stream.obs[i].dev_t1_ns += day * NS_PER_DAY;
		(void)snprintf(stream.ids[i], sizeof stream.ids[i], "%d-%d", (int)day, (int)i);
	}
	stream.grid.from_ns += day * NS_PER_DAY;
	stream.grid.to_ns += day * NS_PER_DAY;
}

static void test_rows_say_what_is_worked_out_in_whatever_order_records_come(void **state)
{
	enum { DAYS = 15 };
	uint64_t seed = 20261126;
	size_t from_rows = 0;

	(void)state;
	for (long round = 0; round < streams_wanted(); round += DAYS) {
		struct fixture f = { .in_memory = true };
		struct builder *builder;
		struct policy policy;
		fixture_init(&f);
		make_day(&seed, 0);
		policy = stream.policy;
		PASS(builder_new(f.store, &policy, &builder, &pass_why));
		for (long day = 0; day < DAYS; day++) {
			make_day(&seed, day);
			from_rows += live_through(&f, builder, &policy, &seed);
		}
		builder_close(builder);
		fixture_fini(&f);
	}
	/* Compilers draw the numbers of a stream in an order of their own: 842 and
	 * more have been seen. */
	assert_true(from_rows > 500);
}

/* ---- one day ----------------------------------------------------------------------------- */

struct day {
	struct fixture f;
	struct policy policy;
	struct builder *builder;
};

static int setup(void **state)
{
	struct day *day = calloc(1, sizeof *day);

	day->f.in_memory = true;
	fixture_init(&day->f);
	day->policy = *policy_default();
	PASS(builder_new(day->f.store, &day->policy, &day->builder, &pass_why));
	*state = day;
	return 0;
}

static int teardown(void **state)
{
	struct day *day = *state;

	builder_close(day->builder);
	fixture_fini(&day->f);
	free(day);
	for (int i = 0; i < 2; i++)
		buf_fini(&lines[i].text);
	return 0;
}

/* A fix at minute `minute` of the day, received `late_min` minutes after it. */
static uint64_t put_fix(struct day *day, const char *id, int64_t at_ns, int64_t recv_ns, int lat)
{
	char data[64];
	struct observation obs = make_obs(id, at_ns, "");

	(void)snprintf(data, sizeof data, "{\"lat\":%d.5,\"lon\":13.5}", lat);
	obs.layer = LAYER_ENVIRONMENT;
	obs.kind = "location";
	obs.data_json = data;
	obs.recv_utc_ns = recv_ns;
	return append_one(day->f.store, &obs).seq;
}

static void look(struct day *day, int64_t from_min, int64_t to_min, int64_t now_ns, uint64_t as_of)
{
	struct slice_query query = { .from_ns = BASE_NS + from_min * MIN,
		.to_ns = BASE_NS + to_min * MIN,
		.step_ns = MIN,
		.facets = FACET_MASK_ALL,
		.as_of_seq = as_of };

	(void)serve_both(&day->f, &day->policy, now_ns, &query);
}

static void test_a_slice_is_open_then_provisional_then_sealed_then_reopened(void **state)
{
	struct day *day = *state;
	int64_t at_ns = BASE_NS + 10 * NS_PER_S, now_ns = at_ns;

	(void)put_fix(day, "a", at_ns, now_ns, 50);
	pass_all(day->builder);
	look(day, 0, 1, now_ns, 0);
	assert_string_equal(lines[0].states[0], "open");
	now_ns = BASE_NS + 2 * MIN;
	(void)put_fix(day, "b", now_ns, now_ns, 50);
	pass_all(day->builder);
	look(day, 0, 1, now_ns, 0);
	assert_string_equal(lines[0].states[0], "provisional");
	for (int i = 3; i < 25; i++)
		(void)put_fix(day, "", BASE_NS + i * MIN, BASE_NS + i * MIN, 50);
	now_ns = BASE_NS + 24 * MIN;
	pass_all(day->builder);
	look(day, 0, 20, now_ns, 0);
	assert_string_equal(lines[0].states[0], "sealed");
	assert_int_equal(lines[0].versions[0], 1);
	assert_string_equal(lines[0].states[19], "provisional");

	/* A recording of that minute comes in an hour later. */
	uint64_t sealed_at = store_cursor(day->f.store);
	struct observation late = make_obs("late", at_ns, "we said this then");
	late.recv_utc_ns = now_ns = BASE_NS + 84 * MIN;
	(void)append_one(day->f.store, &late);
	pass_all(day->builder);
	look(day, 0, 20, now_ns, 0);
	assert_string_equal(lines[0].states[0], "reopened");
	assert_string_equal(lines[0].causes[0], "late");
	assert_int_equal(lines[0].versions[0], 2);
	assert_string_equal(lines[0].states[1], "sealed"); /* the others stay as they are */
	assert_int_equal(lines[0].versions[1], 1);
	look(day, 0, 20, now_ns, sealed_at); /* as it was known */
	assert_int_equal(lines[0].versions[0], 1);
	assert_string_equal(lines[0].states[0], "sealed");
	assert_null(strstr(buf_text(&lines[0].text), "we said"));
	look(day, 0, 1, now_ns + MIN, 0); /* nothing more came */
	assert_string_equal(lines[0].states[0], "sealed");
	assert_int_equal(lines[0].versions[0], 2);
}

static void test_a_source_that_is_behind_keeps_slices_provisional(void **state)
{
	struct day *day = *state;

	for (int i = 0; i < 60; i++) {
		(void)put_fix(day, "", BASE_NS + i * MIN, BASE_NS + i * MIN, 50);
		struct observation behind = make_obs("", BASE_NS + i * MIN / 4, "slowly");
		behind.source = "recorder";
		behind.recv_utc_ns = BASE_NS + i * MIN;
		(void)append_one(day->f.store, &behind);
	}
	pass_all(day->builder);
	look(day, 5, 6, BASE_NS + 59 * MIN, 0);
	assert_string_equal(lines[0].states[0], "provisional");
	look(day, 5, 6, BASE_NS + 75 * MIN, 0); /* it has become idle */
	assert_string_equal(lines[0].states[0], "sealed");
}

static void test_a_late_fix_is_built_into_the_slices_it_touches_and_no_others(void **state)
{
	struct day *day = *state;
	struct builder_stats before, after;

	for (int i = 0; i < 600; i++)
		(void)put_fix(day, "", BASE_NS + i * MIN, BASE_NS + i * MIN, 50);
	pass_all(day->builder);
	builder_get_stats(day->builder, &before);
	(void)put_fix(day, "", BASE_NS + 300 * MIN + 20 * NS_PER_S, BASE_NS + 600 * MIN, 52);
	pass_all(day->builder);
	builder_get_stats(day->builder, &after);
	/* And the last minute, whose time was over. */
	print_message("a late fix in a day of 600: %llu slices built, %llu reopened\n",
	    (unsigned long long)(after.built - before.built),
	    (unsigned long long)(after.reopened - before.reopened));
	assert_in_range(after.built - before.built, 2, 8);
	assert_in_range(after.reopened - before.reopened, 1, 3);
	assert_true(after.patched > before.patched);
}

static void test_a_deletion_reopens_and_content_that_returns_is_the_old_version(void **state)
{
	struct day *day = *state;
	struct observation note = make_obs("note", BASE_NS + 30 * MIN + NS_PER_S, "alone");
	int64_t now_ns = BASE_NS + 2 * NS_PER_HOUR;

	note.recv_utc_ns = note.dev_t0_ns;
	(void)append_one(day->f.store, &note);
	(void)put_fix(day, "", now_ns, now_ns, 50);
	pass_all(day->builder);
	now_ns += MIN;
	look(day, 30, 31, now_ns, 0);
	assert_string_equal(lines[0].states[0], "sealed");
	note.dev_t0_ns = note.dev_t1_ns = BASE_NS + 45 * MIN; /* it was another time */
	note.recv_utc_ns = now_ns;
	(void)append_one(day->f.store, &note);
	pass_all(day->builder);
	look(day, 29, 32, now_ns, 0);
	assert_int_equal(lines[0].len, 0);
	note.dev_t0_ns = note.dev_t1_ns = BASE_NS + 30 * MIN + NS_PER_S;
	note.text = "alone again";
	(void)append_one(day->f.store, &note);
	pass_all(day->builder);
	look(day, 30, 31, now_ns, 0);
	assert_int_equal(lines[0].versions[0], 2);
	assert_string_equal(lines[0].causes[0], "superseded");
	look(day, 45, 46, now_ns, 0);
	assert_int_equal(lines[0].len, 0); /* what came and went before a sealing is no version */
}

/* All that is stored, as text. */
static void dump(struct day *day, struct buf *out)
{
	struct slice_query query = { .from_ns = BASE_NS - NS_PER_HOUR,
		.to_ns = BASE_NS + 40 * NS_PER_HOUR,
		.step_ns = MIN,
		.facets = FACET_MASK_ALL };
	struct slice_source source = { day->f.store, &day->policy, BASE_NS + 50 * NS_PER_HOUR,
		false, false };

	(void)serve(&day->f, &source, &query, &lines[0]);
	buf_init(out, LINES_BYTES_MAX);
	buf_append(out, lines[0].text.bytes, lines[0].text.len);
}

/* Fixes of a morning, every seventh of them uploaded hours later. */
static void live(struct day *day, bool pass_each)
{
	for (int i = 0; i < 300; i++) {
		int64_t now_ns = BASE_NS + i * MIN;
		char id[16];
		(void)snprintf(id, sizeof id, "%d", i);
		if (i % 7 != 0)
			(void)put_fix(day, id, now_ns, now_ns, 40 + i % 9);
		if (i > 200 && (i - 201) % 7 != 0) {
			(void)snprintf(id, sizeof id, "%d", i - 201);
			(void)put_fix(day, id, BASE_NS + (i - 201) * MIN, now_ns, 41 + i % 9);
		} else if (i > 200) {
			(void)snprintf(id, sizeof id, "%d", i - 201);
			(void)put_fix(day, id, BASE_NS + (i - 201) * MIN, now_ns, 42);
		}
		if (pass_each)
			pass_all(day->builder);
	}
	pass_all(day->builder);
}

static void test_versions_do_not_depend_on_when_passes_ran_and_are_rebuilt(void **state)
{
	struct day *day = *state;
	void *other_state = NULL;
	struct buf each, once, again;

	(void)setup(&other_state);
	struct day *other = other_state;
	live(day, true);
	live(other, false);
	/* The ids of observations differ between stores, the rest must not. */
	dump(day, &each);
	dump(other, &once);
	assert_int_equal(each.len, once.len);
	assert_non_null(strstr(buf_text(&once), "\"version\":2"));
	PASS(store_slice_drop(other->f.store, &pass_why));
	builder_close(other->builder);
	PASS(builder_new(other->f.store, &other->policy, &other->builder, &pass_why));
	pass_all(other->builder);
	dump(other, &again);
	assert_int_equal(again.len, once.len);
	assert_memory_equal(again.bytes, once.bytes, once.len);
	buf_fini(&each);
	buf_fini(&once);
	buf_fini(&again);
	(void)teardown(&other_state);
}

static void test_the_thread_builds_what_a_reader_waits_for(void **state)
{
	struct day *day = *state;
	struct builder *thread;

	PASS(builder_open(day->f.store, &day->policy, &thread, &pass_why));
	for (int i = 0; i < 5; i++) {
		uint64_t seq = put_fix(day, "", BASE_NS + i * MIN, BASE_NS + i * MIN, 50);
		assert_true(builder_wait(thread, seq, 60 * NS_PER_S));
		assert_true(builder_cursor(thread) >= seq);
	}
	builder_close(thread);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_say_what_is_worked_out_in_whatever_order_records_come),
		TEST(test_a_slice_is_open_then_provisional_then_sealed_then_reopened),
		TEST(test_a_source_that_is_behind_keeps_slices_provisional),
		TEST(test_a_late_fix_is_built_into_the_slices_it_touches_and_no_others),
		TEST(test_a_deletion_reopens_and_content_that_returns_is_the_old_version),
		TEST(test_versions_do_not_depend_on_when_passes_ran_and_are_rebuilt),
		TEST(test_the_thread_builds_what_a_reader_waits_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
