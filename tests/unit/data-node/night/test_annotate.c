/*
 * Annotate: each episode is asked about once, what changed anew, what was cut off goes on;
 * notes go with what they were read from.
 */
#include "night_model.h"

#include <time.h>

#include "base/utf8.h"
#include "store/store_forget.h"

#define NOTES_ARENA ((size_t)16 << 20)
#define AT_NS (T0_NS + 10 * NS_PER_S) /* in the middle of its minute */

static struct arena arena;
static struct note *notes;
static size_t notes_len;

static void list(struct fixture *f)
{
	arena_fini(&arena);
	arena_init(&arena, NOTES_ARENA);
	PASS(note_list(f->store, T0_NS - 10 * NS_PER_DAY, T0_NS + 40 * NS_PER_DAY, 0, &arena,
	    &notes, &notes_len, &pass_why));
}

/* Two episodes a day: the flowers and the train. */
static void fill(struct fixture *f, int days)
{
	for (int day = 0; day < days; day++) {
		int64_t t0_ns = AT_NS + day * NS_PER_DAY;
		char id[32];

		(void)snprintf(id, sizeof id, "flowers-%d", day);
		write_text(f, id, t0_ns, "Thanks for the flowers, they are lovely. I am so happy.");
		(void)snprintf(id, sizeof id, "train-%d", day);
		write_text(f, id, t0_ns + 2 * NS_PER_HOUR, "The train to Hamburg leaves at 17:40.");
	}
}

static void test_an_episode_is_asked_about_once(void **state)
{
	struct scripted model = scripted_new();
	struct fixture f = { .in_memory = true };

	(void)state;
	fixture_init(&f);
	annotate(&f, &model);
	assert_int_equal(store_cursor(f.store), 0); /* an empty store stays empty */
	fill(&f, 2);
	annotate(&f, &model);
	assert_int_equal(annotated.end, ANNOTATE_FINISHED);
	assert_string_equal(annotated.model, "scripted");
	assert_int_equal(model.questions, 4);
	assert_int_equal(annotated.notes, 2); /* nobody spoke of flowers in the train */
	assert_int_equal(gate_refused(&annotated.notes_gate), 2);
	assert_int_equal(annotated.notes_gate.of[GATE_NAME], 2);
	assert_non_null(strstr(model.last, "] The train to Hamburg leaves at 17:40."));
	list(&f);
	assert_int_equal(notes_len, 4);
	assert_int_equal(notes[0].start_ns, T0_NS);
	assert_string_equal(notes[0].title, "Flowers");
	assert_string_equal(notes[0].model, "scripted");
	assert_int_equal(notes[0].about_len, 1);
	assert_int_equal(notes[1].refused, GATE_NAME);
	uint64_t cursor = store_cursor(f.store);
	annotate(&f, &model);
	assert_int_equal(model.questions, 4);
	assert_int_equal(store_cursor(f.store), cursor);
	fixture_close(&f);
	fixture_open(&f); /* and after a restart */
	annotate(&f, &model);
	assert_int_equal(store_cursor(f.store), cursor);
	/* Another model may do better with what was refused, where the day is looked at. */
	model.name = "larger";
	model.answer = "{\"title\":\"Train to Hamburg\",\"summary\":\"It leaves at 17:40.\","
		       "\"tags\":[],\"mood\":null}";
	write_text(&f, "touch", AT_NS + 5 * NS_PER_HOUR, "The train was late.");
	annotate(&f, &model);
	list(&f);
	assert_int_equal(notes_len, 5);
	assert_string_equal(notes[0].model, "scripted");
	assert_string_equal(notes[1].title, "Train to Hamburg");
	assert_string_equal(notes[1].model, "larger");
	fixture_fini(&f);
}

static void test_a_changed_episode_is_asked_about_anew(void **state)
{
	struct scripted model = scripted_new();
	struct fixture f = { .in_memory = true };

	(void)state;
	fixture_init(&f);
	fill(&f, 10);
	annotate(&f, &model);
	assert_int_equal(model.questions, 20);
	write_text(&f, "late", AT_NS + 3 * NS_PER_DAY + 5 * NS_PER_MIN, "Put them into a vase.");
	annotate(&f, &model);
	assert_int_equal(model.questions, 21);
	list(&f);
	assert_int_equal(notes_len, 20);
	assert_int_equal(notes[6].revision, 1);
	assert_int_equal(notes[6].about_len, 2);
	/* It was another day's: then there are two episodes less and one more. */
	write_text(&f, "flowers-5", AT_NS + 20 * NS_PER_DAY, "Thanks for the flowers.");
	annotate(&f, &model);
	assert_int_equal(annotated.notes_withdrawn, 1);
	assert_int_equal(annotated.notes, 1);
	list(&f);
	assert_int_equal(notes_len, 20);
	assert_int_equal(notes[19].start_ns, T0_NS + 20 * NS_PER_DAY);
	fixture_fini(&f);
}

static void test_notes_go_with_what_they_were_read_from(void **state)
{
	struct store_forget what = { .from_ns = T0_NS + 4 * NS_PER_DAY,
		.to_ns = T0_NS + 4 * NS_PER_DAY + NS_PER_MIN };
	struct scripted model = scripted_new();
	struct fixture f = { .in_memory = true };
	struct store_forgotten gone;

	(void)state;
	fixture_init(&f);
	fill(&f, 10);
	annotate(&f, &model);
	PASS(store_forget(f.store, &what, &gone, &pass_why));
	assert_true(gone.records >= 1);
	list(&f);
	assert_int_equal(notes_len, 20 - 6); /* its day and those beside it */
	annotate(&f, &model);
	assert_int_equal(model.questions, 20 + 5);
	list(&f);
	assert_int_equal(notes_len, 19);
	annotate(&f, &model);
	assert_int_equal(model.questions, 20 + 5);
	PASS(store_verify(f.store, NULL, NULL, &(struct store_verified){ 0 }, &pass_why));
	fixture_fini(&f);
}

static void test_without_a_model_nothing_is_written(void **state)
{
	struct scripted model = scripted_new();
	struct fixture f = { .in_memory = true };

	(void)state;
	fixture_init(&f);
	fill(&f, 3);
	uint64_t cursor = store_cursor(f.store);
	model.which = RC_UNAVAILABLE;
	annotate(&f, &model);
	assert_int_equal(annotated.end, ANNOTATE_NO_MODEL);
	assert_int_equal(store_cursor(f.store), cursor);
	/* It goes away while it is asked, or cannot be held to a form. */
	model.which = RC_OK;
	model.rc = RC_UNAVAILABLE;
	annotate(&f, &model);
	assert_int_equal(annotated.end, ANNOTATE_NO_MODEL);
	model.rc = RC_UNSUPPORTED;
	annotate(&f, &model);
	assert_int_equal(annotated.end, ANNOTATE_UNFIT);
	assert_int_equal(store_cursor(f.store), cursor);
	/* The next night does it all. */
	model.rc = RC_OK;
	annotate(&f, &model);
	assert_int_equal(annotated.end, ANNOTATE_FINISHED);
	assert_int_equal(model.questions, 6);
	fixture_fini(&f);
}

static bool few_looks(void *ctx, const struct annotate_report *so_far)
{
	int *left = ctx;

	(void)so_far;
	return (*left)-- > 0;
}

/* Stopped at every look in turn, with the store opened anew: nothing is asked twice. */
static void test_a_pass_cut_off_anywhere_ends_as_one_that_was_not(void **state)
{
	struct scripted model = scripted_new();
	struct fixture f = { .in_memory = true };
	int passes = 0;

	(void)state;
	fixture_init(&f);
	fill(&f, 5);
	do {
		int looks = passes % 4;
		PASS(annotate_with(&f, &model, few_looks, &looks));
		fixture_close(&f);
		fixture_open(&f);
		assert_true(++passes < 200);
	} while (annotated.end != ANNOTATE_FINISHED);
	assert_true(passes > 5);
	assert_int_equal(model.questions, 10);
	list(&f);
	assert_int_equal(notes_len, 10);
	/* What came in while it was cut off is not missed. */
	int looks = 5;
	write_text(&f, "late", AT_NS + NS_PER_MIN, "Put them into a vase.");
	write_text(&f, "late-4", AT_NS + 4 * NS_PER_DAY + NS_PER_MIN, "Put them into a vase.");
	PASS(annotate_with(&f, &model, few_looks, &looks));
	assert_int_equal(annotated.end, ANNOTATE_STOPPED);
	write_text(&f, "late-1", AT_NS + NS_PER_DAY + NS_PER_MIN, "Put them into a vase.");
	annotate(&f, &model);
	assert_int_equal(model.questions, 13);
	fixture_fini(&f);
}

static int64_t at_ns(void *ctx)
{
	return *(int64_t *)ctx;
}

static int64_t real_mono_ns(void *ctx)
{
	struct timespec now;

	(void)ctx;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static void test_a_day_that_is_not_over_waits(void **state)
{
	int64_t now_ns = T0_NS + NS_PER_HOUR;
	struct clock_source source = { at_ns, real_mono_ns, &now_ns };
	struct scripted model = scripted_new();
	struct fixture f = { .in_memory = true };

	(void)state;
	fixture_init(&f);
	clock_replace(&source);
	fill(&f, 1);
	annotate(&f, &model);
	assert_int_equal(model.questions, 0);
	now_ns += NS_PER_DAY;
	annotate(&f, &model); /* nothing came since */
	assert_int_equal(model.questions, 2);
	clock_replace(NULL);
	fixture_fini(&f);
}

static void test_too_much_for_the_model_is_shown_in_part(void **state)
{
	struct scripted model = scripted_new();
	struct fixture f = { .in_memory = true };
	char id[32];

	(void)state;
	fixture_init(&f);
	for (int i = 0; i < 120; i++) {
		(void)snprintf(id, sizeof id, "%d", i);
		write_text(&f, id, AT_NS + i * NS_PER_MIN,
		    "The flowers are lovely, and this is a rather long text about them.");
	}
	model.bytes_max = 2000;
	annotate(&f, &model);
	assert_int_equal(model.questions, 1);
	assert_int_equal(annotated.notes, 1);
	assert_true(strlen(model.last) > 500);
	/* What fits nowhere is refused, and not asked again. */
	model.bytes_max = 10;
	write_text(&f, "more", AT_NS, "And one more.");
	annotate(&f, &model);
	assert_int_equal(annotated.notes_gate.of[GATE_CONTEXT], 1);
	uint64_t cursor = store_cursor(f.store);
	annotate(&f, &model);
	assert_int_equal(store_cursor(f.store), cursor);
	fixture_fini(&f);
}

/* A day of the longest texts that there are is read as any other. */
static void test_long_texts_are_read_from_their_beginning(void **state)
{
	enum { TEXTS = 18 };
	struct scripted model = scripted_new();
	struct fixture f = { .in_memory = true };
	char *text = malloc(OBS_TEXT_BYTES_MAX + 1), id[32];

	(void)state;
	assert_non_null(text);
	fixture_init(&f);
	for (size_t i = 0; i < TEXTS; i++) {
		int at = snprintf(text, OBS_TEXT_BYTES_MAX, "The flowers are lovely, %zu. ", i);
		/* Two bytes a character, so that a cut may fall into one. */
		for (size_t n = (size_t)at; n < OBS_TEXT_BYTES_MAX - 1; n += 2)
			memcpy(text + n, "\xC3\xA9", 3);
		(void)snprintf(id, sizeof id, "long-%zu", i);
		write_text(&f, id, AT_NS + (int64_t)i * NS_PER_S, text);
	}
	annotate(&f, &model);
	assert_int_equal(annotated.end, ANNOTATE_FINISHED);
	assert_int_equal(annotated.notes, 1);
	assert_int_equal(model.of_facts, TEXTS); /* each fills a chunk */
	assert_non_null(strstr(model.last, "The flowers are lovely, 17."));
	assert_true(utf8_valid(model.last, strlen(model.last)));
	free(text);
	fixture_fini(&f);
}

/* The mood that a model reads from `n` texts with `end` behind `len` bytes. */
static bool reads_mood(int n, size_t len, const char *end)
{
	struct scripted model = scripted_new();
	struct fixture f = { .in_memory = true };
	char text[600], id[32];

	fixture_init(&f);
	size_t at = (size_t)snprintf(text, sizeof text, "The flowers are lovely. I am happy");
	while (at < len)
		at += (size_t)snprintf(text + at, sizeof text - at, ", and so on");
	(void)snprintf(text + at, sizeof text - at, "%s", end);
	for (int i = 0; i < n; i++) {
		(void)snprintf(id, sizeof id, "%d", i);
		write_text(&f, id, AT_NS + i * NS_PER_S, text);
	}
	model.answer = "{\"title\":\"Flowers\",\"summary\":\"The flowers are lovely.\",\"tags\":[],"
		       "\"mood\":{\"word\":\"happy\",\"quote\":\"I am happy\"}}";
	annotate(&f, &model);
	assert_int_equal(annotated.notes, 1);
	list(&f);
	bool mood = notes[0].mood != NULL;
	fixture_fini(&f);
	return mood;
}

static void test_what_was_cut_off_may_have_been_a_no(void **state)
{
	(void)state;
	assert_true(reads_mood(1, 100, "."));
	assert_false(reads_mood(1, 100, ", not at all."));
	assert_false(reads_mood(1, 500, ", not at all."));
	/* The more texts there are, the less is shown of each. */
	assert_true(reads_mood(8, 300, "."));
	assert_false(reads_mood(40, 300, ", not at all."));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_episode_is_asked_about_once),
		cmocka_unit_test(test_a_changed_episode_is_asked_about_anew),
		cmocka_unit_test(test_notes_go_with_what_they_were_read_from),
		cmocka_unit_test(test_without_a_model_nothing_is_written),
		cmocka_unit_test(test_a_pass_cut_off_anywhere_ends_as_one_that_was_not),
		cmocka_unit_test(test_a_day_that_is_not_over_waits),
		cmocka_unit_test(test_too_much_for_the_model_is_shown_in_part),
		cmocka_unit_test(test_long_texts_are_read_from_their_beginning),
		cmocka_unit_test(test_what_was_cut_off_may_have_been_a_no),
	};

	int code = cmocka_run_group_tests(tests, NULL, NULL);
	arena_fini(&arena);
	return code;
}
