/* Nightly: its hour, joining a pass that runs, ending in the middle. */
#include "../store/store_fixture.h"

#include <stdatomic.h>
#include <time.h>

#include "align/policy.h"
#include "gateway/nightly.h"
#include "memory/book.h"
#include "night/label.h"

#define DAY_NS (INT64_C(1795392000) * NS_PER_S) /* 2026-11-23T00:00Z */
#define WAIT_NS (20 * NS_PER_S)

static int32_t berlin(const void *ctx, int64_t utc_ns)
{
	(void)ctx;
	(void)utc_ns;
	return 3600;
}

static void test_the_next_hour(void **state)
{
	const int at_s = 3 * 3600 + 1800;

	(void)state;
	assert_int_equal(nightly_next(DAY_NS, at_s, 0), DAY_NS + at_s * NS_PER_S);
	assert_int_equal(nightly_next(DAY_NS, at_s, 3600), DAY_NS + (at_s - 3600) * NS_PER_S);
	assert_int_equal(
	    nightly_next(DAY_NS + 4 * NS_PER_HOUR, at_s, 0), DAY_NS + NS_PER_DAY + at_s * NS_PER_S);
	/* At the hour itself: the next one, not this one again. */
	assert_int_equal(
	    nightly_next(DAY_NS + at_s * NS_PER_S, at_s, 0), DAY_NS + NS_PER_DAY + at_s * NS_PER_S);
	assert_int_equal(nightly_next(DAY_NS, 1, -12 * 3600), DAY_NS + 43201 * NS_PER_S);
	assert_true(nightly_next(DAY_NS + 7, at_s, 0) > DAY_NS + 7);
}

static struct nightly_view wait_for(struct nightly *nightly, uint64_t pass)
{
	struct nightly_view view;
	int64_t until_ns = clock_mono_ns() + WAIT_NS;

	do
		nightly_look(nightly, pass, NS_PER_S, &view);
	while (view.passes < pass && clock_mono_ns() < until_ns);
	return view;
}

#define ADD_MAX 1000

static void add(struct fixture *f, size_t n)
{
	static struct observation obs[ADD_MAX];
	static char ids[ADD_MAX][24];

	assert_true(n <= ADD_MAX);
	for (size_t i = 0; i < n; i++) {
		(void)snprintf(ids[i], sizeof ids[i], "%zu", i);
		obs[i] = make_obs(ids[i], DAY_NS + (int64_t)i * NS_PER_HOUR,
		    "Where did you leave the keys to the cellar?");
	}
	PASS(store_append(f->store, obs, n, NULL, NULL, &pass_why));
}

static void test_a_pass_when_told(void **state)
{
	struct nightly_config config = { .offset_s = berlin, .at_s = NIGHTLY_NEVER };
	struct nightly *nightly = NULL;
	struct fixture f = { .store = NULL };
	struct nightly_view view;

	(void)state;
	fixture_init(&f);
	add(&f, 3);
	config.store = f.store;
	PASS(nightly_open(&config, &nightly, &pass_why));
	nightly_look(nightly, 0, 0, &view);
	assert_int_equal(view.passes, 0);
	uint64_t pass = nightly_start(nightly, 0);
	assert_int_equal(nightly_start(nightly, 0), pass); /* joins it, or is it */
	view = wait_for(nightly, pass);
	assert_int_equal(view.rc, RC_OK);
	assert_true(view.report.finished);
	assert_int_equal(view.report.written, 3);
	assert_true(view.ended_ns > 0);
	view = wait_for(nightly, nightly_start(nightly, 0));
	assert_int_equal(view.report.written, 0);
	nightly_close(nightly);
	fixture_fini(&f);
}

/* The wall clock stands just before the hour; the monotonic one runs as ever. */
static int64_t before_hour_ns(void *ctx)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return *(int64_t *)ctx + now.tv_sec * NS_PER_S + now.tv_nsec;
}

static int64_t real_mono_ns(void *ctx)
{
	struct timespec now;

	(void)ctx;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static void test_its_hour_comes(void **state)
{
	int64_t offset_ns = 0;
	struct clock_source source = { before_hour_ns, real_mono_ns, &offset_ns };
	struct nightly_config config = { .offset_s = berlin, .at_s = 3 * 3600 + 1800 };
	struct nightly *nightly = NULL;
	struct fixture f = { .store = NULL };

	(void)state;
	fixture_init(&f);
	add(&f, 2);
	config.store = f.store;
	offset_ns = DAY_NS + 150 * NS_PER_MIN - NS_PER_S / 2 - real_mono_ns(NULL);
	clock_replace(&source);
	PASS(nightly_open(&config, &nightly, &pass_why));
	struct nightly_view view = wait_for(nightly, 1);
	assert_int_equal(view.passes, 1);
	assert_int_equal(view.report.written, 2);
	nightly_close(nightly);
	fixture_fini(&f);
	clock_replace(NULL);
}

/* Ten years ahead at the first look, then right: a moment before the hour, which
 * comes after a few looks more, however slow the machine is. */
#define LOOKS_BEFORE 8u

static int64_t set_right_utc_ns(void *ctx)
{
	unsigned look = atomic_fetch_add((atomic_uint *)ctx, 1);
	int64_t hour_ns = DAY_NS + NS_PER_HOUR;

	if (look == 0)
		return hour_ns + 3650 * NS_PER_DAY;
	return look < LOOKS_BEFORE ? hour_ns - 20 * NS_PER_MS : hour_ns;
}

static void test_its_hour_comes_though_the_clock_was_years_ahead(void **state)
{
	atomic_uint looks = 0;
	struct clock_source source = { set_right_utc_ns, real_mono_ns, &looks };
	struct nightly_config config = { .offset_s = berlin, .at_s = 2 * 3600 };
	struct nightly *nightly = NULL;
	struct fixture f = { .store = NULL };

	(void)state;
	fixture_init(&f);
	config.store = f.store;
	clock_replace(&source);
	PASS(nightly_open(&config, &nightly, &pass_why));
	assert_int_equal(wait_for(nightly, 1).passes, 1);
	nightly_close(nightly);
	fixture_fini(&f);
	clock_replace(NULL);
}

static void test_closing_ends_a_pass(void **state)
{
	struct nightly_config config = { .offset_s = berlin, .at_s = NIGHTLY_NEVER };
	struct fixture f = { .store = NULL };

	(void)state;
	fixture_init(&f);
	add(&f, (size_t)24 * 40);
	config.store = f.store;
	for (int i = 0; i < 4; i++) {
		struct nightly *nightly = NULL;
		struct nightly_view view;
		PASS(nightly_open(&config, &nightly, &pass_why));
		(void)nightly_start(nightly, 0);
		nightly_look(nightly, 1, NS_PER_MS, &view);
		nightly_close(nightly); /* at any point of it */
	}
	struct night_config night = { .store = f.store };
	struct night_report report;
	PASS(night_run(&night, &report, &pass_why));
	assert_true(report.finished);
	PASS(night_run(&night, &report, &pass_why));
	assert_int_equal(report.written + report.observations, 0);
	fixture_fini(&f);
}

static void test_who_holds_it_sees_no_label_appear(void **state)
{
	struct nightly_config config = { .offset_s = berlin, .at_s = NIGHTLY_NEVER };
	struct nightly *nightly = NULL;
	struct fixture f = { .store = NULL };
	struct nightly_view view;

	(void)state;
	fixture_init(&f);
	add(&f, ADD_MAX);
	config.store = f.store;
	PASS(nightly_open(&config, &nightly, &pass_why));
	nightly_hold(nightly);
	uint64_t pass = nightly_start(nightly, 0);
	nightly_hold(nightly); /* by two */
	assert_int_equal(store_cursor(f.store), ADD_MAX);
	nightly_release(nightly);
	assert_int_equal(store_cursor(f.store), ADD_MAX);
	nightly_release(nightly);
	/* Held again and again it comes to its end. */
	for (int i = 0; i < 20; i++) {
		nightly_hold(nightly);
		uint64_t cursor = store_cursor(f.store);
		(void)store_wait(f.store, cursor + 1, NS_PER_S / 1000);
		assert_int_equal(store_cursor(f.store), cursor);
		nightly_release(nightly);
	}
	view = wait_for(nightly, pass);
	assert_int_equal(view.rc, RC_OK);
	assert_true(view.report.finished);
	/* Nor does a hold keep it from ending. */
	nightly_hold(nightly);
	(void)nightly_start(nightly, 0);
	nightly_close(nightly);
	fixture_fini(&f);
}

/* ---- with a model -------------------------------------------------------------------- */

static atomic_uint questions, given_up;
static atomic_bool waits; /* for ever, until it is told to give up */

static enum rc which(void *ctx, struct ask_model *out)
{
	(void)ctx;
	*out = (struct ask_model){ .name = "scripted" };
	return RC_OK;
}

static enum rc answer(void *ctx, const struct ask_model *model, const struct ask_question *question,
    bool (*go_on)(void *), void *go_on_ctx, struct buf *out, struct errmsg *why)
{
	const struct timespec pause = { .tv_nsec = NS_PER_MS };

	(void)ctx;
	(void)model;
	(void)question;
	(void)why;
	atomic_fetch_add(&questions, 1);
	while (atomic_load(&waits) && go_on(go_on_ctx))
		(void)nanosleep(&pause, NULL);
	if (atomic_load(&waits)) {
		atomic_fetch_add(&given_up, 1);
		return RC_CANCELLED;
	}
	buf_puts(out, "{}");
	return RC_OK;
}

static const struct policy *policy(const void *ctx)
{
	(void)ctx;
	return policy_default();
}

/* Who forgets takes the question from the model; it is asked anew behind them. */
static void test_a_hold_takes_a_question_back(void **state)
{
	const struct ask ask = { .which = which, .answer = answer };
	struct nightly_config config = {
		.offset_s = berlin, .at_s = NIGHTLY_NEVER, .ask = &ask, .policy = policy
	};
	struct nightly *nightly = NULL;
	struct fixture f = { .store = NULL };
	struct nightly_view view;

	(void)state;
	fixture_init(&f);
	add(&f, 1);
	config.store = f.store;
	PASS(book_open(f.store, &config.book, &pass_why));
	atomic_store(&waits, true);
	PASS(nightly_open(&config, &nightly, &pass_why));
	uint64_t pass = nightly_start(nightly, 0);
	do
		nightly_look(nightly, pass, NS_PER_MS, &view);
	while (atomic_load(&questions) == 0);
	assert_int_equal(view.passes, 0);
	assert_int_equal(view.step, NIGHTLY_NOTES);
	nightly_hold(nightly);
	assert_int_equal(atomic_load(&given_up), 1);
	uint64_t cursor = store_cursor(f.store);
	atomic_store(&waits, false);
	assert_int_equal(store_cursor(f.store), cursor);
	nightly_release(nightly);
	view = wait_for(nightly, pass);
	assert_int_equal(view.rc, RC_OK);
	assert_true(view.annotates);
	assert_int_equal(view.notes.end, ANNOTATE_FINISHED);
	assert_string_equal(view.notes.model, "scripted");
	assert_int_equal(view.notes.notes_gate.of[GATE_FORM], 1);
	nightly_close(nightly);
	book_close(config.book);
	fixture_fini(&f);
}

static void test_steps_are_named_in_the_order_they_are_done_in(void **state)
{
	static const char *const order[] = { "labels", "align", "notes" };

	(void)state;
	for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
		assert_string_equal(nightly_step_word((enum nightly_step)i), order[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_next_hour),
		cmocka_unit_test(test_a_pass_when_told),
		cmocka_unit_test(test_its_hour_comes),
		cmocka_unit_test(test_its_hour_comes_though_the_clock_was_years_ahead),
		cmocka_unit_test(test_closing_ends_a_pass),
		cmocka_unit_test(test_who_holds_it_sees_no_label_appear),
		cmocka_unit_test(test_a_hold_takes_a_question_back),
		cmocka_unit_test(test_steps_are_named_in_the_order_they_are_done_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
