/* Import: files of any length in batches; bad lines named, repeats harmless. */
#include "../store/store_fixture.h"

#include "ingest/import.h"
#include "os/file.h"

struct watch {
	uint64_t calls, last_bytes, stop_after;
};

static bool watch_progress(void *ctx, const struct import_progress *p)
{
	struct watch *watch = ctx;

	assert_true(p->bytes_done >= watch->last_bytes && p->bytes_done <= p->bytes_total);
	watch->last_bytes = p->bytes_done;
	return ++watch->calls != watch->stop_after;
}

static void put_event(struct buf *out, size_t i)
{
	buf_printf(out,
	    "{\"source\":\"file\",\"id\":\"%zu\",\"layer\":\"text\",\"kind\":\"note\","
	    "\"start\":%zu,\"text\":\"number %zu\"}\n",
	    i, i * 1000, i);
}

static enum rc import(struct fixture *f, const struct buf *text, struct watch *watch,
    struct arena *arena, struct ingest_report *report)
{
	struct ingest_context ctx = { .store = f->store };
	char path[512];
	struct import_source source = { .path = path,
		.sink = import_to_store,
		.sink_ctx = &ctx,
		.progress = watch_progress,
		.progress_ctx = watch };
	struct errmsg why = ERRMSG_INIT;

	(void)snprintf(path, sizeof(path), "%s/events", f->dir);
	PASS(file_write_atomic(path, 0600, text->bytes, text->len, &pass_why));
	*watch = (struct watch){ .stop_after = watch->stop_after };
	enum rc rc = import_file(&source, arena, report, &why);
	assert_int_equal(unlink(path), 0);
	return rc;
}

static void test_a_long_file_comes_in_whole_and_a_second_time_as_duplicates(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct buf text;
	struct arena arena;
	struct watch watch = { 0 };
	struct ingest_report r;

	fixture_init(&f);
	buf_init(&text, 64 << 20);
	arena_init(&arena, 8 << 20);
	for (size_t i = 0; i < 4321; i++) {
		put_event(&text, i);
		if (i % 100 == 0)
			buf_puts(&text, "\n  \r\n");
		if (i % 1000 == 500)
			buf_puts(&text, "this is not json\n");
	}
	assert_int_equal(import(&f, &text, &watch, &arena, &r), RC_OK);
	assert_int_equal(r.accepted, 4321);
	assert_int_equal(r.rejected, 4);
	assert_int_equal(r.cursor, 4321);
	assert_int_equal(watch.calls, 5);
	assert_int_equal(watch.last_bytes, text.len);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(r.errors[i].index, 501 + i * 1001);
	assert_int_equal(import(&f, &text, &watch, &arena, &r), RC_OK);
	assert_int_equal(r.accepted, 0);
	assert_int_equal(r.duplicate, 4321);
	arena_fini(&arena);
	buf_fini(&text);
	fixture_fini(&f);
}

static void test_an_import_that_was_stopped_is_finished_by_repeating_it(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct buf text;
	struct arena arena;
	struct watch watch = { .stop_after = 2 };
	struct ingest_report r;

	fixture_init(&f);
	buf_init(&text, 64 << 20);
	arena_init(&arena, 8 << 20);
	for (size_t i = 0; i < 3500; i++)
		put_event(&text, i);
	assert_int_equal(import(&f, &text, &watch, &arena, &r), RC_CANCELLED);
	assert_int_equal(r.accepted, 2000);
	watch.stop_after = 0;
	assert_int_equal(import(&f, &text, &watch, &arena, &r), RC_OK);
	assert_int_equal(r.accepted, 1500);
	assert_int_equal(r.duplicate, 2000);
	arena_fini(&arena);
	buf_fini(&text);
	fixture_fini(&f);
}

static void test_files_that_end_oddly_are_read_to_their_end(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct buf text;
	struct arena arena;
	struct watch watch = { 0 };
	struct ingest_report r;

	fixture_init(&f);
	buf_init(&text, 64 << 20);
	arena_init(&arena, 8 << 20);
	/* Nothing at all. */
	buf_puts(&text, "\n");
	assert_int_equal(import(&f, &text, &watch, &arena, &r), RC_OK);
	assert_int_equal(r.accepted + r.rejected, 0);
	/* No newline at the end; the last batch is one torn line. */
	for (size_t i = 0; i < 1000; i++)
		put_event(&text, i);
	buf_puts(&text, "{\"source\":\"file\",\"id\":\"torn");
	assert_int_equal(import(&f, &text, &watch, &arena, &r), RC_OK);
	assert_int_equal(r.accepted, 1000);
	assert_int_equal(r.rejected, 1);
	assert_int_equal(r.errors[0].index, 1000);
	/* Not events at all. */
	buf_reset(&text);
	buf_puts(&text, "\x89PNG and so on\n");
	assert_int_equal(import(&f, &text, &watch, &arena, &r), RC_INVALID);
	/* An array. */
	buf_reset(&text);
	buf_puts(&text, "[\n");
	put_event(&text, 5000);
	buf_puts(&text, ",");
	put_event(&text, 5001);
	buf_puts(&text, "]\n");
	assert_int_equal(import(&f, &text, &watch, &arena, &r), RC_OK);
	assert_int_equal(r.accepted, 2);
	arena_fini(&arena);
	buf_fini(&text);
	fixture_fini(&f);
}

static void test_a_line_beyond_the_limit_is_named_and_skipped(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct buf text;
	struct arena arena;
	struct watch watch = { 0 };
	struct ingest_report r;

	fixture_init(&f);
	buf_init(&text, 64 << 20);
	arena_init(&arena, 8 << 20);
	put_event(&text, 0);
	for (size_t i = 0; i < INGEST_EVENT_BYTES_MAX / 8 + 2; i++)
		buf_puts(&text, "12345678");
	buf_puts(&text, "\nnope\n");
	put_event(&text, 1);
	assert_int_equal(import(&f, &text, &watch, &arena, &r), RC_OK);
	assert_int_equal(r.accepted, 2);
	assert_int_equal(r.rejected, 2);
	assert_int_equal(r.errors[0].index, 1);
	assert_int_equal(r.errors[1].index, 2);
	arena_fini(&arena);
	buf_fini(&text);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_long_file_comes_in_whole_and_a_second_time_as_duplicates),
		cmocka_unit_test(test_an_import_that_was_stopped_is_finished_by_repeating_it),
		cmocka_unit_test(test_files_that_end_oddly_are_read_to_their_end),
		cmocka_unit_test(test_a_line_beyond_the_limit_is_named_and_skipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
