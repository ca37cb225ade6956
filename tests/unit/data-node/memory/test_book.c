/* The book follows the log, and lets go of what is forgotten. */
#include "memory_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "store/store_forget.h"

static void forget(struct memory_fixture *m, struct store_forget what)
{
	PASS(store_forget(m->store.store, &what, NULL, &pass_why));
	PASS(store_verify(m->store.store, NULL, NULL, NULL, &pass_why));
}

static struct store_forget all_time(void)
{
	return (struct store_forget){ .from_ns = OBS_TIME_MIN_NS, .to_ns = OBS_TIME_MAX_NS };
}

static size_t count(struct memory_fixture *m)
{
	return memory_view(m, (struct book_query){ 0 }).len;
}

static void test_a_new_book_reads_the_same(void **state)
{
	struct memory_fixture m;
	uint8_t said[1][OBS_ID_BYTES];
	char text[32];

	(void)state;
	memory_init(&m);
	assert_int_equal(count(&m), 0);
	memory_said(&m, "a", T0_NS, ORIGIN_OWNER, said);
	for (int i = 0; i < 40; i++) {
		(void)snprintf(text, sizeof text, "Fact number %d", i * 7 % 40);
		struct fact fact = memory_fact((enum fact_class)(1 + i % FACT_CLASS_COUNT),
		    i % 3 == 0 ? "Zoe" : "", "", text, said);
		assert_int_equal(memory_learn_one(&m, fact), LEARN_ADDED);
	}
	struct book_view one = memory_view(&m, (struct book_query){ 0 });
	memory_reopen(&m);
	struct book_view two = memory_view(&m, (struct book_query){ 0 });
	assert_int_equal(one.len, 40);
	assert_int_equal(two.len, 40);
	assert_int_equal(one.number, two.number);
	for (size_t i = 0; i < one.len; i++) {
		assert_int_equal(one.entries[i].fact.number, two.entries[i].fact.number);
		assert_string_equal(one.entries[i].fact.text, two.entries[i].fact.text);
		assert_memory_equal(one.entries[i].obs_id, two.entries[i].obs_id, OBS_ID_BYTES);
		if (i > 0)
			assert_true(one.entries[i - 1].fact.class <= one.entries[i].fact.class);
	}
	struct book_stats stats;
	PASS(book_get_stats(m.book, T0_NS, &stats, &pass_why));
	assert_true(stats.holds == 40 && stats.proposals == 0 && stats.records == 40);
	memory_fini(&m);
}

static void test_a_fact_goes_with_what_it_was_read_from(void **state)
{
	struct memory_fixture m;
	uint8_t said[3][OBS_ID_BYTES];

	(void)state;
	memory_init(&m);
	for (int i = 0; i < 3; i++) {
		char id[2] = { (char)('a' + i), '\0' };
		memory_said(&m, id, T0_NS + i * 40 * DAY_NS, ORIGIN_OWNER, &said[i]);
	}
	struct fact both = memory_fact(FACT_PLACES, "", "", "Read from the first two", said);
	both.about_len = 2;
	assert_int_equal(memory_learn_one(&m, both), LEARN_ADDED);
	struct fact last = memory_fact(FACT_PLACES, "", "", "Read from the last", &said[2]);
	assert_int_equal(memory_learn_one(&m, last), LEARN_ADDED);
	/* The first alone: the fact lies forty days behind it. */
	struct store_forget what = all_time();
	what.to_ns = T0_NS + DAY_NS;
	forget(&m, what);
	struct book_view view = memory_view(&m, (struct book_query){ 0 });
	assert_int_equal(view.len, 1);
	assert_string_equal(view.entries[0].fact.text, "Read from the last");
	/* By its source, whatever its time. */
	what = all_time();
	what.source = "phone";
	forget(&m, what);
	assert_int_equal(count(&m), 0);
	memory_reopen(&m);
	assert_int_equal(count(&m), 0);
	/* It may be learned again from something else. */
	memory_said(&m, "d", T0_NS + 200 * DAY_NS, ORIGIN_OWNER, said);
	assert_int_equal(memory_learn_one(&m, last), LEARN_REFUSED);
	memory_about(&last, said, 1);
	assert_int_equal(memory_learn_one(&m, last), LEARN_ADDED);
	memory_fini(&m);
}

static void test_an_older_version_counts_as_read(void **state)
{
	struct memory_fixture m;
	uint8_t said[1][OBS_ID_BYTES];
	struct observation moved = make_obs("a", T0_NS + 40 * DAY_NS, "moved");

	(void)state;
	memory_init(&m);
	memory_said(&m, "a", T0_NS, ORIGIN_OWNER, said);
	assert_int_equal(
	    memory_learn_one(&m, memory_fact(FACT_PLACES, "", "", "A place", said)), LEARN_ADDED);
	(void)append_one(m.store.store, &moved);
	struct store_forget what = all_time();
	what.from_ns = T0_NS - DAY_NS;
	what.to_ns = T0_NS + DAY_NS;
	forget(&m, what);
	assert_int_equal(count(&m), 0);
	memory_fini(&m);
}

static void test_a_supersession_goes_with_what_it_was_read_from(void **state)
{
	struct memory_fixture m;
	uint8_t first[1][OBS_ID_BYTES], second[1][OBS_ID_BYTES];

	(void)state;
	memory_init(&m);
	memory_said(&m, "a", T0_NS, ORIGIN_OWNER, first);
	memory_said(&m, "b", T0_NS + 9 * DAY_NS, ORIGIN_OWNER, second);
	assert_int_equal(
	    memory_learn_one(&m, memory_fact(FACT_PROFILE, "", "job", "A baker", first)),
	    LEARN_ADDED);
	assert_int_equal(
	    memory_learn_one(&m, memory_fact(FACT_PROFILE, "", "job", "A smith", second)),
	    LEARN_SUPERSEDED);
	struct store_forget what = all_time();
	what.from_ns = T0_NS + 9 * DAY_NS;
	what.to_ns = T0_NS + 10 * DAY_NS;
	forget(&m, what);
	struct book_view view = memory_view(&m, (struct book_query){ 0 });
	assert_int_equal(view.len, 1);
	assert_string_equal(view.entries[0].fact.text, "A baker");
	assert_int_equal(view.entries[0].state, FACT_STATE_HOLDS);
	memory_fini(&m);
}

static void test_a_removal_stays_when_its_day_is_forgotten(void **state)
{
	struct memory_fixture m;
	uint8_t said[1][OBS_ID_BYTES];
	struct book_draft draft;
	const struct fact_mark end = { .fact = 1,
		.act = FACT_ENDED,
		.at_ns = T0_NS + 5 * DAY_NS,
		.marked_ns = T0_NS + 5 * DAY_NS,
		.by = FACT_BY_OWNER,
		.who = "" };

	(void)state;
	memory_init(&m);
	memory_said(&m, "a", T0_NS, ORIGIN_OWNER, said);
	assert_int_equal(
	    memory_learn_one(&m, memory_fact(FACT_PLACES, "", "", "A place", said)), LEARN_ADDED);
	PASS(book_write_begin(m.book, &draft, &pass_why));
	PASS(book_draft_mark(&draft, &end));
	PASS(book_write_end(m.book, &draft, true, &pass_why));
	struct store_forget what = all_time();
	what.from_ns = T0_NS + 4 * DAY_NS;
	forget(&m, what);
	struct book_view view = memory_view(&m, (struct book_query){ 0 });
	assert_int_equal(view.len, 1);
	assert_int_equal(view.entries[0].state, FACT_STATE_ENDED);
	memory_fini(&m);
}

/* Cut off after `steps` of its steps; false: it was done by then. */
static bool forget_cut_off(struct memory_fixture *m, unsigned steps)
{
	struct store_forget what = all_time();
	struct store_forget_run *run = NULL;
	bool done = false;

	what.to_ns = T0_NS + DAY_NS;
	PASS(store_forget_begin(m->store.store, &what, &run, &pass_why));
	for (unsigned i = 0; i < steps && !done; i++)
		PASS(store_forget_step(run, &done, &pass_why));
	store_forget_end(run);
	return !done;
}

static void test_a_forgetting_that_was_cut_off_takes_facts_too(void **state)
{
	bool cut = true;

	(void)state;
	for (unsigned steps = 0; cut; steps++) {
		struct memory_fixture m;
		uint8_t said[2][OBS_ID_BYTES];
		memory_init(&m);
		memory_said(&m, "a", T0_NS, ORIGIN_OWNER, &said[0]);
		memory_said(&m, "b", T0_NS + 9 * DAY_NS, ORIGIN_OWNER, &said[1]);
		struct fact fact = memory_fact(FACT_PLACES, "", "", "A place", said);
		memory_about(&fact, said, 2);
		assert_int_equal(memory_learn_one(&m, fact), LEARN_ADDED);
		book_close(m.book);
		cut = forget_cut_off(&m, steps);
		fixture_close(&m.store);
		fixture_open(&m.store);
		PASS(book_open(m.store.store, &m.book, &pass_why));
		assert_int_equal(count(&m), 0);
		memory_fini(&m);
	}
}

static void test_all_of_memory_can_be_forgotten(void **state)
{
	struct memory_fixture m;
	uint8_t said[1][OBS_ID_BYTES];

	(void)state;
	memory_init(&m);
	memory_said(&m, "a", T0_NS, ORIGIN_OWNER, said);
	assert_int_equal(
	    memory_learn_one(&m, memory_fact(FACT_PLACES, "", "", "A place", said)), LEARN_ADDED);
	struct store_forget what = all_time();
	what.source = OBS_SOURCE_MEMORY;
	forget(&m, what);
	assert_int_equal(count(&m), 0);
	memory_fini(&m);
}

static atomic_llong mono_ns;

static int64_t utc_now(void *ctx)
{
	(void)ctx;
	return T0_NS;
}

static int64_t mono_now(void *ctx)
{
	(void)ctx;
	return atomic_load(&mono_ns);
}

/* Standard error, put into a pipe. */
struct logged {
	int saved, end;
};

static struct logged log_catch(void)
{
	struct logged logged = { .saved = dup(STDERR_FILENO) };
	int ends[2];

	assert_true(logged.saved >= 0);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	(void)close(ends[1]);
	logged.end = ends[0];
	return logged;
}

/* How often `what` was logged since. */
static size_t log_count(struct logged logged, const char *what)
{
	char lines[4096];
	size_t len = 0, times = 0;
	ssize_t n;

	assert_int_equal(dup2(logged.saved, STDERR_FILENO), STDERR_FILENO);
	(void)close(logged.saved);
	while (len < sizeof lines - 1 &&
	       (n = read(logged.end, lines + len, sizeof lines - 1 - len)) > 0)
		len += (size_t)n;
	(void)close(logged.end);
	lines[len] = '\0';
	for (const char *at = lines; (at = strstr(at, what)) != NULL; at++)
		times++;
	return times;
}

static void wait_ns(int64_t ns)
{
	atomic_fetch_add(&mono_ns, ns);
}

/* What cannot be read may be a moment later: where it is followed, the keyring comes behind. */
static void test_what_could_not_be_read_is_tried_again(void **state)
{
	const struct clock_source clock = { utc_now, mono_now, NULL };
	struct memory_fixture m;
	uint8_t said[1][OBS_ID_BYTES];
	struct observation obs = make_obs("2", T0_NS, "Broken");

	(void)state;
	clock_replace(&clock);
	memory_init(&m);
	memory_said(&m, "a", T0_NS, ORIGIN_OWNER, said);
	struct fact fact = memory_fact(FACT_PLACES, "", "", "A place", said);
	assert_int_equal(memory_learn_one(&m, fact), LEARN_ADDED);
	obs.source = OBS_SOURCE_MEMORY;
	obs.kind = OBS_KIND_FACT;
	(void)append_one(m.store.store, &obs);
	struct logged logged = log_catch();
	size_t first = count(&m);
	wait_ns(NS_PER_S + 1);
	size_t second = count(&m); /* in vain: the next time twice as late */
	assert_int_equal(log_count(logged, " MEMORY-RECORD number=2 "), 1);
	assert_int_equal(first, 1);
	assert_int_equal(second, 1);
	fact.number = 2;
	fact.text = "Another place";
	fact.by = FACT_BY_NIGHT;
	PASS(fact_encode(&fact, &m.arena, &obs));
	(void)append_one(m.store.store, &obs);
	wait_ns(NS_PER_S + 1);
	assert_int_equal(count(&m), 1);
	wait_ns(NS_PER_S);
	assert_int_equal(count(&m), 2);
	memory_fini(&m);
	clock_replace(NULL);
}

/* As often as it is held. */
static void test_nothing_is_written_while_it_is_held(void **state)
{
	struct memory_fixture m;
	uint8_t said[1][OBS_ID_BYTES];

	(void)state;
	memory_init(&m);
	memory_said(&m, "a", T0_NS, ORIGIN_OWNER, said);
	struct fact fact = memory_fact(FACT_PLACES, "", "", "A place", said);
	book_hold(m.book);
	book_hold(m.book);
	book_release(m.book);
	assert_int_equal(memory_learn(m.book, &fact, 1, NULL, NULL), RC_BUSY);
	assert_int_equal(count(&m), 0);
	book_release(m.book);
	assert_int_equal(memory_learn_one(&m, fact), LEARN_ADDED);
	memory_fini(&m);
}

#define THREAD_FACTS 20

static void *learn_on(void *arg)
{
	struct memory_fixture *m = arg;
	char id[16], text[32];

	for (int i = 0; i < THREAD_FACTS; i++) {
		uint8_t said[1][OBS_ID_BYTES];
		(void)snprintf(id, sizeof id, "said-%d", i);
		(void)snprintf(text, sizeof text, "Learned number %d", i);
		memory_said(m, id, T0_NS + i, ORIGIN_OWNER, said);
		enum learn_outcome outcome = LEARN_REFUSED;
		struct fact fact = memory_fact(FACT_PLACES, "", "", text, said);
		assert_int_equal(memory_learn(m->book, &fact, 1, &outcome, NULL), RC_OK);
	}
	return NULL;
}

static void *read_on(void *arg)
{
	struct memory_fixture *m = arg;
	const struct book_query query = { .holds = true, .at_ns = T0_NS + 1 };
	size_t last = 0;

	while (last < THREAD_FACTS) {
		struct arena arena;
		struct book_view view;
		arena_init(&arena, (size_t)4 << 20);
		assert_int_equal(book_read(m->book, &query, &arena, &view, NULL), RC_OK);
		assert_true(view.len >= last && view.number == view.len);
		last = view.len;
		arena_fini(&arena);
	}
	return NULL;
}

static void test_readers_see_it_grow_while_it_is_written(void **state)
{
	struct memory_fixture m;
	pthread_t threads[3];

	(void)state;
	memory_init(&m);
	assert_int_equal(pthread_create(&threads[0], NULL, learn_on, &m), 0);
	for (int i = 1; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_on, &m), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	struct store_forget what = all_time();
	what.source = "phone";
	forget(&m, what);
	assert_int_equal(count(&m), 0);
	memory_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_new_book_reads_the_same),
		cmocka_unit_test(test_a_fact_goes_with_what_it_was_read_from),
		cmocka_unit_test(test_an_older_version_counts_as_read),
		cmocka_unit_test(test_a_supersession_goes_with_what_it_was_read_from),
		cmocka_unit_test(test_a_removal_stays_when_its_day_is_forgotten),
		cmocka_unit_test(test_a_forgetting_that_was_cut_off_takes_facts_too),
		cmocka_unit_test(test_readers_see_it_grow_while_it_is_written),
		cmocka_unit_test(test_all_of_memory_can_be_forgotten),
		cmocka_unit_test(test_what_could_not_be_read_is_tried_again),
		cmocka_unit_test(test_nothing_is_written_while_it_is_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
