/*
 * A generation against compute nodes that die, refuse, repeat themselves and
 * lie: the text stays whole, or the error says why not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"

#include "answer/count.h"
#include "base/log.h"

struct outcome {
	struct buf text;
	struct generation_event last, started;
	unsigned starts, resumes, waits;
	bool numerics_changed;
};

static struct generation_request plain_request(void)
{
	static const struct wire_part part = {
		.data = (const uint8_t *)"hello",
		.data_len = 5,
		.media_type = "",
	};
	static const struct wire_chat_message message = {
		.role = "user",
		.parts = &part,
		.parts_len = 1,
		.name = "",
		.tool_call_id = "",
		.tool_calls_json = "",
	};

	return (struct generation_request){
		.generate = { .model = "tiny", .messages = &message, .messages_len = 1 },
		.resume_timeout_ns = RIG_DEADLINE_NS,
	};
}

static struct generation *start(struct rig *rig, const struct generation_request *request)
{
	struct generation *generation = NULL;

	assert_int_equal(generation_start(rig->pool, request, &generation, NULL), RC_OK);
	return generation;
}

static void outcome_init(struct outcome *outcome)
{
	memset(outcome, 0, sizeof(*outcome));
	buf_init(&outcome->text, (size_t)1 << 20);
}

static void take(struct outcome *outcome, const struct generation_event *event)
{
	outcome->last = *event;
	switch (event->kind) {
	case GENERATION_STARTED:
		outcome->started = *event;
		outcome->starts++;
		break;
	case GENERATION_TEXT:
		buf_append(&outcome->text, event->text, event->text_len);
		break;
	case GENERATION_RESUMED:
		outcome->resumes++;
		outcome->numerics_changed = event->numerics_changed;
		break;
	case GENERATION_WAITING:
		outcome->waits++;
		break;
	default:
		break;
	}
}

static bool over(const struct outcome *outcome)
{
	return outcome->last.kind == GENERATION_DONE || outcome->last.kind == GENERATION_FAILED;
}

/* Pull until the answer ends, or `tokens` of it are there. */
static void pull_until(struct generation *generation, struct outcome *outcome, uint32_t tokens)
{
	int64_t deadline = clock_mono_ns() + RIG_DEADLINE_NS;

	while (!over(outcome) && outcome->last.tokens < tokens) {
		struct generation_event event;
		assert_true(clock_mono_ns() < deadline);
		generation_next(generation, 20 * NS_PER_MS, &event);
		take(outcome, &event);
	}
}

static void pull_all(struct generation *generation, struct outcome *outcome)
{
	pull_until(generation, outcome, UINT32_MAX);
}

static void pull_to_event(
    struct generation *generation, struct outcome *outcome, const unsigned *counter, unsigned n)
{
	int64_t deadline = clock_mono_ns() + RIG_DEADLINE_NS;

	while (*counter < n) {
		struct generation_event event;
		assert_true(clock_mono_ns() < deadline);
		generation_next(generation, 20 * NS_PER_MS, &event);
		take(outcome, &event);
		assert_false(over(outcome));
	}
}

static void assert_whole(const struct outcome *outcome, uint32_t tokens)
{
	struct buf expected;

	buf_init(&expected, (size_t)1 << 20);
	fake_compute_text(tokens, &expected);
	assert_int_equal(outcome->last.kind, GENERATION_DONE);
	assert_string_equal(buf_text(&outcome->text), buf_text(&expected));
	assert_int_equal(outcome->last.tokens, tokens);
	buf_fini(&expected);
}

static void test_generation_hands_out_the_whole_answer_and_its_numbers(void **state)
{
	(void)state;
	struct fake_script script = fake_script_default();
	script.batch = 3;
	struct rig rig;
	struct outcome outcome;
	rig_open(&rig, &script, 1);
	outcome_init(&outcome);
	struct generation_request request = plain_request();
	struct generation *generation = start(&rig, &request);
	pull_all(generation, &outcome);
	assert_whole(&outcome, 40);
	assert_int_equal(outcome.starts, 1);
	assert_int_equal(outcome.resumes, 0);
	assert_int_equal(outcome.started.prompt_tokens, 7);
	assert_string_equal(outcome.started.model, "tiny");
	assert_string_equal(outcome.started.numerics_id, "cpu/fake/1");
	assert_int_equal(outcome.last.finish, WIRE_FINISH_STOP);
	struct generation_event again;
	generation_next(generation, 0, &again);
	assert_int_equal(again.kind, GENERATION_DONE);
	generation_free(generation);
	buf_fini(&outcome.text);
	rig_close(&rig);
}

static void test_generation_stops_at_the_length_asked_for(void **state)
{
	(void)state;
	struct fake_script script = fake_script_default();
	struct rig rig;
	struct outcome outcome;
	rig_open(&rig, &script, 1);
	outcome_init(&outcome);
	struct generation_request request = plain_request();
	request.generate.max_tokens = 11;
	struct generation *generation = start(&rig, &request);
	pull_all(generation, &outcome);
	assert_whole(&outcome, 11);
	assert_int_equal(outcome.last.finish, WIRE_FINISH_LENGTH);
	generation_free(generation);
	buf_fini(&outcome.text);
	rig_close(&rig);
}

/* Stall at `index`, kill the node, go on (there, or on the second one). */
static void resume_at(uint32_t index, bool elsewhere, uint32_t overlap)
{
	struct fake_script scripts[2] = { fake_script_default(), fake_script_default() };
	struct rig rig;
	struct outcome outcome;

	scripts[0].tokens = scripts[1].tokens = 12;
	scripts[0].stall_at = index;
	scripts[0].overlap = scripts[1].overlap = overlap;
	rig_open(&rig, scripts, 1);
	outcome_init(&outcome);
	struct generation_request request = plain_request();
	struct generation *generation = start(&rig, &request);
	pull_to_event(generation, &outcome, &outcome.starts, 1);
	pull_until(generation, &outcome, index);
	if (elsewhere) {
		rig_add(&rig, &scripts[1]);
		rig_await_up(&rig, 2);
	}
	fake_compute_kill(&rig.nodes[0]);
	scripts[0].stall_at = FAKE_NEVER;
	fake_compute_set(&rig.nodes[0], &scripts[0]);
	if (!elsewhere)
		fake_compute_start(&rig.nodes[0]);
	pull_all(generation, &outcome);
	assert_whole(&outcome, 12);
	assert_int_equal(outcome.starts, 1);
	assert_int_equal(outcome.resumes, 1);
	assert_false(outcome.numerics_changed);
	struct fake_compute *second = &rig.nodes[elsewhere ? 1 : 0];
	assert_int_equal(fake_compute_get(second, &second->resumes), 1);
	assert_int_equal(fake_compute_get(second, &second->last_resumed_from), index);
	generation_free(generation);
	buf_fini(&outcome.text);
	rig_close(&rig);
}

static void test_generation_resumes_at_every_index_on_the_same_node(void **state)
{
	(void)state;
	for (uint32_t index = 0; index <= 12; index++)
		resume_at(index, false, 0);
}

static void test_generation_resumes_at_every_index_on_another_node(void **state)
{
	(void)state;
	for (uint32_t index = 0; index <= 12; index++)
		resume_at(index, true, 0);
}

static void test_generation_drops_what_a_resumed_node_repeats(void **state)
{
	(void)state;
	for (uint32_t overlap = 1; overlap <= 12; overlap += 4)
		resume_at(9, true, overlap);
}

static void test_generation_survives_many_deaths_in_one_answer(void **state)
{
	(void)state;
	struct fake_script script = fake_script_default();
	struct rig rig;
	struct outcome outcome;
	script.stall_at = 5;
	rig_open(&rig, &script, 1);
	outcome_init(&outcome);
	struct generation_request request = plain_request();
	struct generation *generation = start(&rig, &request);
	for (unsigned i = 1; i <= 6; i++) {
		pull_until(generation, &outcome, i * 5);
		fake_compute_kill(&rig.nodes[0]);
		script.stall_at = (i + 1) * 5;
		fake_compute_set(&rig.nodes[0], &script);
		fake_compute_start(&rig.nodes[0]);
	}
	script.stall_at = FAKE_NEVER;
	fake_compute_set(&rig.nodes[0], &script);
	pull_all(generation, &outcome);
	assert_whole(&outcome, 40);
	assert_int_equal(outcome.resumes, 6);
	generation_free(generation);
	buf_fini(&outcome.text);
	rig_close(&rig);
}

static void test_generation_says_so_when_numerics_change(void **state)
{
	(void)state;
	struct fake_script scripts[2] = { fake_script_default(), fake_script_default() };
	struct rig rig;
	struct outcome outcome;
	scripts[0].stall_at = 6;
	scripts[1].numerics_id = "cpu/other/1";
	rig_open(&rig, scripts, 1);
	outcome_init(&outcome);
	struct generation_request request = plain_request();
	struct generation *generation = start(&rig, &request);
	pull_until(generation, &outcome, 6);
	rig_add(&rig, &scripts[1]);
	rig_await_up(&rig, 2);
	fake_compute_kill(&rig.nodes[0]);
	pull_all(generation, &outcome);
	assert_whole(&outcome, 40);
	assert_true(outcome.numerics_changed);
	assert_true(outcome.last.numerics_changed);
	assert_string_equal(outcome.last.numerics_id, "cpu/other/1");
	generation_free(generation);
	buf_fini(&outcome.text);
	rig_close(&rig);
}

static void test_generation_prefers_the_node_with_the_same_numerics(void **state)
{
	(void)state;
	struct fake_script scripts[3] = { fake_script_default(), fake_script_default(),
		fake_script_default() };
	struct rig rig;
	struct outcome outcome;
	scripts[0].stall_at = 6;
	scripts[1].numerics_id = "cpu/other/1";
	rig_open(&rig, scripts, 1);
	outcome_init(&outcome);
	struct generation_request request = plain_request();
	struct generation *generation = start(&rig, &request);
	pull_until(generation, &outcome, 6);
	rig_add(&rig, &scripts[1]);
	rig_add(&rig, &scripts[2]);
	rig_await_up(&rig, 3);
	fake_compute_kill(&rig.nodes[0]);
	pull_all(generation, &outcome);
	assert_whole(&outcome, 40);
	assert_false(outcome.numerics_changed);
	assert_int_equal(fake_compute_get(&rig.nodes[1], &rig.nodes[1].generates), 0);
	generation_free(generation);
	buf_fini(&outcome.text);
	rig_close(&rig);
}

static void test_generation_never_resumes_on_another_model_of_the_same_name(void **state)
{
	(void)state;
	struct fake_script scripts[2] = { fake_script_default(), fake_script_default() };
	struct rig rig;
	struct outcome outcome;
	scripts[0].stall_at = 6;
	scripts[1].hash = 2;
	rig_open(&rig, scripts, 1);
	outcome_init(&outcome);
	struct generation_request request = plain_request();
	request.resume_timeout_ns = 300 * NS_PER_MS;
	struct generation *generation = start(&rig, &request);
	pull_until(generation, &outcome, 6);
	rig_add(&rig, &scripts[1]);
	rig_await_up(&rig, 2);
	fake_compute_kill(&rig.nodes[0]);
	pull_all(generation, &outcome);
	assert_int_equal(outcome.last.kind, GENERATION_FAILED);
	assert_int_equal(outcome.last.rc, RC_TIMEOUT);
	assert_int_equal(fake_compute_get(&rig.nodes[1], &rig.nodes[1].generates), 0);
	generation_free(generation);
	buf_fini(&outcome.text);
	rig_close(&rig);
}

static void test_generation_ends_in_a_timeout_when_nobody_comes_back(void **state)
{
	(void)state;
	struct fake_script script = fake_script_default();
	struct rig rig;
	struct outcome outcome;
	script.stall_at = 4;
	rig_open(&rig, &script, 1);
	outcome_init(&outcome);
	struct generation_request request = plain_request();
	request.resume_timeout_ns = 200 * NS_PER_MS;
	struct generation *generation = start(&rig, &request);
	pull_until(generation, &outcome, 4);
	fake_compute_kill(&rig.nodes[0]);
	pull_all(generation, &outcome);
	assert_int_equal(outcome.last.kind, GENERATION_FAILED);
	assert_int_equal(outcome.last.rc, RC_TIMEOUT);
	assert_int_equal(outcome.waits, 1);
	struct generation_event again;
	generation_next(generation, NS_PER_S, &again);
	assert_int_equal(again.kind, GENERATION_FAILED);
	generation_free(generation);
	buf_fini(&outcome.text);
	rig_close(&rig);
}

static void test_generation_ends_when_its_time_to_live_is_over(void **state)
{
	(void)state;
	struct fake_script script = fake_script_default();
	struct rig rig;
	struct outcome outcome;
	script.stall_at = 4;
	rig_open(&rig, &script, 1);
	outcome_init(&outcome);
	struct generation_request request = plain_request();
	request.ttl_ns = 300 * NS_PER_MS;
	struct generation *generation = start(&rig, &request);
	pull_all(generation, &outcome);
	assert_int_equal(outcome.last.rc, RC_TIMEOUT);
	fake_compute_wait(&rig.nodes[0], &rig.nodes[0].cancels, 1);
	generation_free(generation);
	buf_fini(&outcome.text);
	rig_close(&rig);
}

static void *cancel_it(void *generation)
{
	generation_cancel(generation);
	return NULL;
}

static void test_generation_cancel_from_another_thread_reaches_the_node(void **state)
{
	(void)state;
	struct fake_script script = fake_script_default();
	struct rig rig;
	struct outcome outcome;
	pthread_t thread;
	script.stall_at = 4;
	rig_open(&rig, &script, 1);
	outcome_init(&outcome);
	struct generation_request request = plain_request();
	struct generation *generation = start(&rig, &request);
	pull_until(generation, &outcome, 4);
	assert_int_equal(pthread_create(&thread, NULL, cancel_it, generation), 0);
	fake_compute_wait(&rig.nodes[0], &rig.nodes[0].cancels, 1);
	pull_all(generation, &outcome);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(outcome.last.kind, GENERATION_FAILED);
	assert_int_equal(outcome.last.rc, RC_CANCELLED);
	generation_free(generation);
	buf_fini(&outcome.text);
	rig_close(&rig);
}

static void test_generation_free_cancels_what_still_runs(void **state)
{
	(void)state;
	struct fake_script script = fake_script_default();
	struct rig rig;
	script.tokens = 100000;
	script.prompt_tokens = 0;
	rig_open(&rig, &script, 1);
	struct generation_request request = plain_request();
	struct generation *generation = start(&rig, &request);
	generation_free(generation);
	fake_compute_wait(&rig.nodes[0], &rig.nodes[0].cancels, 1);
	rig_close(&rig);
}

static void test_generation_that_is_not_pulled_holds_the_node_back(void **state)
{
	(void)state;
	struct fake_script script = fake_script_default();
	struct rig rig;
	struct outcome outcome;
	script.tokens = 1000;
	rig_open(&rig, &script, 1);
	outcome_init(&outcome);
	struct generation_request request = plain_request();
	struct generation *generation = start(&rig, &request);
	fake_compute_wait(&rig.nodes[0], &rig.nodes[0].runs[0].next, GENERATION_WINDOW);
	/* A round trip later it has had time to send more, and has not. */
	const struct count_text text = { .text = "four", .len = 4 };
	uint32_t tokens = 0;
	assert_int_equal(count_tokens(rig.pool, NULL, &text, 1, RIG_DEADLINE_NS, &tokens), RC_OK);
	assert_int_equal(tokens, 2);
	assert_int_equal(
	    fake_compute_get(&rig.nodes[0], &rig.nodes[0].runs[0].next), GENERATION_WINDOW);
	pull_all(generation, &outcome);
	assert_whole(&outcome, 1000);
	assert_true(
	    fake_compute_get(&rig.nodes[0], &rig.nodes[0].sent_ahead_max) <= GENERATION_WINDOW);
	generation_free(generation);
	buf_fini(&outcome.text);
	rig_close(&rig);
}

static void test_generation_bounds_what_a_node_that_ignores_credit_can_pile_up(void **state)
{
	(void)state;
	struct fake_script script = fake_script_default();
	struct rig rig;
	struct outcome outcome;
	script.tokens = 300;
	script.ignore_credit = true;
	rig_open(&rig, &script, 1);
	outcome_init(&outcome);
	struct generation_request request = plain_request();
	struct generation *generation = start(&rig, &request);
	fake_compute_wait(&rig.nodes[0], &rig.nodes[0].runs[0].next, 300);
	pull_to_event(generation, &outcome, &outcome.starts, 1);
	pull_until(generation, &outcome, 1);
	assert_true(outcome.last.tokens <= 2 * GENERATION_WINDOW);
	pull_all(generation, &outcome);
	assert_whole(&outcome, 300);
	generation_free(generation);
	buf_fini(&outcome.text);
	rig_close(&rig);
}

static void test_generation_starts_over_from_the_prompt_when_text_is_missing(void **state)
{
	(void)state;
	struct fake_script script = fake_script_default();
	struct rig rig;
	struct outcome outcome;
	script.stall_at = 10;
	rig_open(&rig, &script, 1);
	outcome_init(&outcome);
	struct generation_request request = plain_request();
	struct generation *generation = start(&rig, &request);
	pull_until(generation, &outcome, 10);
	script.stall_at = FAKE_NEVER;
	script.lie_about_text = true;
	fake_compute_set(&rig.nodes[0], &script);
	pull_all(generation, &outcome);
	assert_whole(&outcome, 40);
	assert_int_equal(fake_compute_get(&rig.nodes[0], &rig.nodes[0].last_resumed_from), 0);
	generation_free(generation);
	buf_fini(&outcome.text);
	rig_close(&rig);
}

static void test_generation_asks_a_busy_node_again(void **state)
{
	(void)state;
	struct fake_script script = fake_script_default();
	struct rig rig;
	struct outcome outcome;
	script.refuse = WIRE_ERROR_BUSY;
	script.refuse_times = 2;
	rig_open(&rig, &script, 1);
	outcome_init(&outcome);
	struct generation_request request = plain_request();
	struct generation *generation = start(&rig, &request);
	pull_all(generation, &outcome);
	assert_whole(&outcome, 40);
	assert_int_equal(fake_compute_get(&rig.nodes[0], &rig.nodes[0].generates), 3);
	generation_free(generation);
	buf_fini(&outcome.text);
	rig_close(&rig);
}

static void test_generation_asks_another_node_when_one_is_busy(void **state)
{
	(void)state;
	struct fake_script scripts[2] = { fake_script_default(), fake_script_default() };
	struct rig rig;
	struct outcome outcome;
	scripts[0].refuse = WIRE_ERROR_BUSY;
	scripts[0].refuse_times = 1000;
	rig_open(&rig, scripts, 2);
	outcome_init(&outcome);
	struct generation_request request = plain_request();
	struct generation *generation = start(&rig, &request);
	pull_all(generation, &outcome);
	assert_whole(&outcome, 40);
	assert_int_equal(fake_compute_get(&rig.nodes[0], &rig.nodes[0].generates), 1);
	assert_int_equal(fake_compute_get(&rig.nodes[1], &rig.nodes[1].generates), 1);
	generation_free(generation);
	buf_fini(&outcome.text);
	rig_close(&rig);
}

static void test_generation_reports_the_context_or_finds_a_larger_node(void **state)
{
	(void)state;
	struct fake_script scripts[2] = { fake_script_default(), fake_script_default() };
	struct rig rig;
	struct outcome outcome;
	scripts[0].refuse = WIRE_ERROR_CONTEXT;
	scripts[0].refuse_times = 1000;
	scripts[0].refuse_context = 4096;
	scripts[0].refuse_needed = 5000;
	rig_open(&rig, scripts, 1);
	struct generation_request request = plain_request();
	struct generation *generation = start(&rig, &request);
	outcome_init(&outcome);
	pull_all(generation, &outcome);
	assert_int_equal(outcome.last.kind, GENERATION_FAILED);
	assert_int_equal(outcome.last.rc, RC_CONTEXT);
	assert_int_equal(outcome.last.context, 4096);
	assert_int_equal(outcome.last.needed, 5000);
	generation_free(generation);
	buf_fini(&outcome.text);

	scripts[1].context = 8192;
	rig_add(&rig, &scripts[1]);
	rig_await_up(&rig, 2);
	generation = start(&rig, &request);
	outcome_init(&outcome);
	pull_all(generation, &outcome);
	assert_whole(&outcome, 40);
	generation_free(generation);
	buf_fini(&outcome.text);
	rig_close(&rig);
}

static void test_generation_maps_every_refusal(void **state)
{
	(void)state;
	static const struct {
		enum wire_error code;
		enum rc rc;
	} cases[] = {
		{ WIRE_ERROR_INVALID, RC_INVALID },
		{ WIRE_ERROR_UNSUPPORTED, RC_UNSUPPORTED },
		{ WIRE_ERROR_LIMIT, RC_LIMIT },
		{ WIRE_ERROR_TIMEOUT, RC_TIMEOUT },
		{ WIRE_ERROR_NO_MODEL, RC_UNAVAILABLE },
		{ WIRE_ERROR_VERSION, RC_UNAVAILABLE },
		{ WIRE_ERROR_NO_LEASE, RC_UNAVAILABLE },
		{ WIRE_ERROR_INTERNAL, RC_UNAVAILABLE },
		{ WIRE_ERROR_UNKNOWN, RC_UNAVAILABLE },
	};
	struct fake_script script = fake_script_default();
	struct rig rig;
	rig_open(&rig, &script, 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct outcome outcome;
		script.refuse = cases[i].code;
		script.refuse_times = 1000;
		fake_compute_set(&rig.nodes[0], &script);
		struct generation_request request = plain_request();
		struct generation *generation = start(&rig, &request);
		outcome_init(&outcome);
		pull_all(generation, &outcome);
		assert_int_equal(outcome.last.kind, GENERATION_FAILED);
		assert_int_equal(outcome.last.rc, cases[i].rc);
		assert_true(outcome.last.error[0] != '\0');
		generation_free(generation);
		buf_fini(&outcome.text);
	}
	rig_close(&rig);
}

static void test_generation_takes_an_answer_that_ends_in_error_elsewhere(void **state)
{
	(void)state;
	struct fake_script scripts[2] = { fake_script_default(), fake_script_default() };
	struct rig rig;
	struct outcome outcome;
	scripts[0].tokens = 20;
	scripts[0].finish = WIRE_FINISH_ERROR;
	rig_open(&rig, scripts, 2);
	outcome_init(&outcome);
	struct generation_request request = plain_request();
	struct generation *generation = start(&rig, &request);
	pull_all(generation, &outcome);
	assert_whole(&outcome, 40);
	assert_int_equal(outcome.resumes, 1);
	generation_free(generation);
	buf_fini(&outcome.text);
	rig_close(&rig);
}

static void test_generation_without_a_node_is_refused_or_waits_as_asked(void **state)
{
	(void)state;
	struct fake_script script = fake_script_default();
	struct rig rig;
	struct outcome outcome;
	rig_open(&rig, &script, 0);
	outcome_init(&outcome);
	struct generation_request request = plain_request();
	struct generation *generation = NULL;
	assert_int_equal(generation_start(rig.pool, &request, &generation, NULL), RC_UNAVAILABLE);
	request.start_timeout_ns = 50 * NS_PER_MS;
	generation = start(&rig, &request);
	pull_all(generation, &outcome);
	assert_int_equal(outcome.last.rc, RC_UNAVAILABLE);
	generation_free(generation);
	buf_reset(&outcome.text);
	memset(&outcome.last, 0, sizeof(outcome.last));

	request.start_timeout_ns = RIG_DEADLINE_NS;
	generation = start(&rig, &request);
	rig_add(&rig, &script);
	pull_all(generation, &outcome);
	assert_whole(&outcome, 40);
	generation_free(generation);
	buf_fini(&outcome.text);
	rig_close(&rig);
}

static void test_generation_goes_on_elsewhere_when_its_node_is_removed(void **state)
{
	(void)state;
	struct fake_script scripts[2] = { fake_script_default(), fake_script_default() };
	struct rig rig;
	struct outcome outcome;
	scripts[0].stall_at = 9;
	rig_open(&rig, scripts, 2);
	outcome_init(&outcome);
	struct generation_request request = plain_request();
	struct generation *generation = start(&rig, &request);
	pull_until(generation, &outcome, 9);
	assert_int_equal(pool_remove(rig.pool, "node1"), RC_OK);
	pull_all(generation, &outcome);
	assert_whole(&outcome, 40);
	assert_int_equal(outcome.resumes, 1);
	generation_free(generation);
	buf_fini(&outcome.text);
	rig_close(&rig);
}

static void test_generation_lost_before_it_began_asks_again_from_the_messages(void **state)
{
	(void)state;
	struct fake_script script = fake_script_default();
	struct rig rig;
	struct outcome outcome;
	script.mute = true;
	rig_open(&rig, &script, 1);
	outcome_init(&outcome);
	struct generation_request request = plain_request();
	struct generation *generation = start(&rig, &request);
	fake_compute_wait(&rig.nodes[0], &rig.nodes[0].generates, 1);
	fake_compute_kill(&rig.nodes[0]);
	script.mute = false;
	fake_compute_set(&rig.nodes[0], &script);
	fake_compute_start(&rig.nodes[0]);
	pull_all(generation, &outcome);
	assert_whole(&outcome, 40);
	assert_int_equal(outcome.starts, 1);
	assert_int_equal(outcome.resumes, 0);
	assert_int_equal(fake_compute_get(&rig.nodes[0], &rig.nodes[0].resumes), 0);
	generation_free(generation);
	buf_fini(&outcome.text);
	rig_close(&rig);
}

struct parallel {
	struct generation *generation;
	struct outcome outcome;
};

static void *run_one(void *ctx)
{
	struct parallel *parallel = ctx;

	pull_all(parallel->generation, &parallel->outcome);
	generation_free(parallel->generation);
	return NULL;
}

static void test_generations_run_side_by_side_while_nodes_come_and_go(void **state)
{
	(void)state;
	struct fake_script scripts[2] = { fake_script_default(), fake_script_default() };
	struct rig rig;
	struct parallel runs[6];
	pthread_t threads[6];
	struct generation_request request = plain_request();
	scripts[0].tokens = scripts[1].tokens = 600;
	rig_open(&rig, scripts, 2);
	for (size_t i = 0; i < 6; i++) {
		/* Here: one that begins while both are away is refused, as it should be. */
		runs[i].generation = start(&rig, &request);
		outcome_init(&runs[i].outcome);
		assert_int_equal(pthread_create(&threads[i], NULL, run_one, &runs[i]), 0);
	}
	for (size_t i = 0; i < 4; i++) {
		fake_compute_wait(&rig.nodes[i % 2], &rig.nodes[i % 2].generates, 1);
		fake_compute_kill(&rig.nodes[i % 2]);
		fake_compute_start(&rig.nodes[i % 2]);
	}
	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_whole(&runs[i].outcome, 600);
		buf_fini(&runs[i].outcome.text);
	}
	rig_close(&rig);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_generation_hands_out_the_whole_answer_and_its_numbers),
		cmocka_unit_test(test_generation_stops_at_the_length_asked_for),
		cmocka_unit_test(test_generation_resumes_at_every_index_on_the_same_node),
		cmocka_unit_test(test_generation_resumes_at_every_index_on_another_node),
		cmocka_unit_test(test_generation_drops_what_a_resumed_node_repeats),
		cmocka_unit_test(test_generation_survives_many_deaths_in_one_answer),
		cmocka_unit_test(test_generation_says_so_when_numerics_change),
		cmocka_unit_test(test_generation_prefers_the_node_with_the_same_numerics),
		cmocka_unit_test(test_generation_never_resumes_on_another_model_of_the_same_name),
		cmocka_unit_test(test_generation_ends_in_a_timeout_when_nobody_comes_back),
		cmocka_unit_test(test_generation_ends_when_its_time_to_live_is_over),
		cmocka_unit_test(test_generation_cancel_from_another_thread_reaches_the_node),
		cmocka_unit_test(test_generation_free_cancels_what_still_runs),
		cmocka_unit_test(test_generation_that_is_not_pulled_holds_the_node_back),
		cmocka_unit_test(
		    test_generation_bounds_what_a_node_that_ignores_credit_can_pile_up),
		cmocka_unit_test(test_generation_starts_over_from_the_prompt_when_text_is_missing),
		cmocka_unit_test(test_generation_asks_a_busy_node_again),
		cmocka_unit_test(test_generation_asks_another_node_when_one_is_busy),
		cmocka_unit_test(test_generation_reports_the_context_or_finds_a_larger_node),
		cmocka_unit_test(test_generation_maps_every_refusal),
		cmocka_unit_test(test_generation_takes_an_answer_that_ends_in_error_elsewhere),
		cmocka_unit_test(test_generation_without_a_node_is_refused_or_waits_as_asked),
		cmocka_unit_test(test_generation_goes_on_elsewhere_when_its_node_is_removed),
		cmocka_unit_test(test_generation_lost_before_it_began_asks_again_from_the_messages),
		cmocka_unit_test(test_generations_run_side_by_side_while_nodes_come_and_go),
	};

	log_set_level(LOG_LEVEL_ERROR);
	if (argc > 1)
		cmocka_set_test_filter(argv[1]); /* one test alone: NAME, * and ? allowed */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
