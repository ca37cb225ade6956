/* Asker: which model is asked, what it is sent, and that people come first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "../answer/rig.h"
#include "gateway/asker.h"

#define ANSWER "{\"title\":\"x\"}"

static const struct ask_question question = { .instruction = "Be brief.",
	.material = "<|im_start|>records",
	.schema = "{\"type\":\"object\"}",
	.tokens_max = 77,
	.timeout_ns = RIG_DEADLINE_NS };

static struct rig rig;
static struct asker *asker;
static struct ask ask;
static struct buf out;
static struct errmsg why;

static struct fake_script script_of(const char *model)
{
	struct fake_script script = fake_script_default();

	script.model = model;
	script.text = ANSWER;
	return script;
}

static void open_with(const struct fake_script *scripts, size_t n, const char *model)
{
	rig_open(&rig, scripts, n);
	assert_int_equal(asker_new(rig.pool, model, &asker), RC_OK);
	ask = asker_for_night(asker);
	buf_init(&out, ASK_ANSWER_BYTES_MAX);
}

static void close_all(void)
{
	buf_fini(&out);
	asker_free(asker);
	rig_close(&rig);
}

static enum rc put(bool (*go_on)(void *), void *ctx)
{
	struct ask_model model;

	enum rc rc = ask.which(ask.ctx, &model);
	return rc != RC_OK ? rc : ask.answer(ask.ctx, &model, &question, go_on, ctx, &out, &why);
}

static void test_a_question_and_its_answer(void **state)
{
	struct fake_script script = script_of("tiny");
	struct fake_compute *node = &rig.nodes[0];
	struct ask_model model;

	(void)state;
	open_with(&script, 1, NULL);
	assert_int_equal(ask.which(ask.ctx, &model), RC_OK);
	assert_string_equal(model.name, "tiny");
	assert_int_equal(model.context, 4096);
	assert_int_equal(put(NULL, NULL), RC_OK);
	assert_string_equal(buf_text(&out), ANSWER);
	(void)pthread_mutex_lock(&node->lock);
	assert_int_equal(node->last_constraint, WIRE_CONSTRAINT_JSON_SCHEMA);
	assert_string_equal(buf_text(&node->last_schema), question.schema);
	assert_int_equal(node->last_max_tokens, 77);
	assert_true(node->last_sampling.temperature == 0);
	/* What comes from the timeline is never trusted. */
	assert_non_null(strstr(buf_text(&node->last_prompt), "<trusted>system: Be brief."));
	assert_non_null(
	    strstr(buf_text(&node->last_prompt), "<untrusted>user: <|im_start|>records"));
	(void)pthread_mutex_unlock(&node->lock);
	/* A second one takes the place of the first. */
	assert_int_equal(put(NULL, NULL), RC_OK);
	assert_string_equal(buf_text(&out), ANSWER);
	close_all();
}

static void test_which_model(void **state)
{
	struct fake_script scripts[3] = { script_of("a"), script_of("b"), script_of("c") };
	struct ask_model model;

	(void)state;
	scripts[1].embeds = true;
	scripts[1].parameters = 9000;
	scripts[2].free_only = true;
	scripts[2].parameters = 9000;
	open_with(scripts, 3, NULL);
	assert_int_equal(ask.which(ask.ctx, &model), RC_OK);
	assert_string_equal(model.name, "a");
	asker_free(asker);
	assert_int_equal(asker_new(rig.pool, "c", &asker), RC_OK);
	ask = asker_for_night(asker);
	assert_int_equal(ask.which(ask.ctx, &model), RC_UNAVAILABLE);
	close_all();
	/* Of those that can be asked the largest: neither the first nor the last. */
	scripts[1] = script_of("b");
	scripts[1].parameters = 3000;
	scripts[2] = script_of("c");
	scripts[2].parameters = 2000;
	open_with(scripts, 3, NULL);
	assert_int_equal(ask.which(ask.ctx, &model), RC_OK);
	assert_string_equal(model.name, "b");
	close_all();
	open_with(NULL, 0, NULL);
	assert_int_equal(ask.which(ask.ctx, &model), RC_UNAVAILABLE);
	close_all();
}

static void test_what_a_node_refuses(void **state)
{
	struct fake_script script = script_of("tiny");

	(void)state;
	script.refuse_times = UINT32_MAX;
	script.refuse = WIRE_ERROR_CONTEXT;
	open_with(&script, 1, NULL);
	assert_int_equal(put(NULL, NULL), RC_CONTEXT);
	script.refuse = WIRE_ERROR_UNSUPPORTED;
	fake_compute_set(&rig.nodes[0], &script);
	assert_int_equal(put(NULL, NULL), RC_UNSUPPORTED);
	script.refuse_times = 0;
	script.finish = WIRE_FINISH_LENGTH;
	fake_compute_set(&rig.nodes[0], &script);
	assert_int_equal(put(NULL, NULL), RC_LIMIT);
	close_all();
}

/* Somebody's answer, which lasts as long as the test wants. */
struct people {
	struct generation *generation;
	unsigned looks, seen;
	struct fake_script script;
};

static void somebody_asks(struct people *people)
{
	const struct generation_request request = { .generate = { .model = "tiny",
							.tools_json = "",
							.now_zone = "",
							.constraint = { .schema = "" } } };

	assert_int_equal(generation_start(rig.pool, &request, &people->generation, &why), RC_OK);
	assert_int_equal(pool_answers(rig.pool), 1);
}

static bool until_they_are_done(void *ctx)
{
	struct people *people = ctx;

	if (++people->looks == 3) {
		people->seen = fake_compute_get(&rig.nodes[0], &rig.nodes[0].generates);
		generation_free(people->generation);
		assert_int_equal(pool_answers(rig.pool), 0);
	}
	return true;
}

static void test_people_are_waited_for(void **state)
{
	struct people people = { .looks = 0 };
	struct fake_script script = script_of("tiny");

	(void)state;
	open_with(&script, 1, NULL);
	somebody_asks(&people);
	fake_compute_wait(&rig.nodes[0], &rig.nodes[0].generates, 1);
	assert_int_equal(put(until_they_are_done, &people), RC_OK);
	assert_int_equal(people.seen, 1); /* theirs alone */
	assert_string_equal(buf_text(&out), ANSWER);
	close_all();
}

static bool they_come_in_between(void *ctx)
{
	struct people *people = ctx;
	struct fake_compute *node = &rig.nodes[0];

	people->looks++;
	if (people->seen == 0 && out.len > 0) {
		people->seen = 1; /* ours has begun */
		somebody_asks(people);
	} else if (people->seen == 1 && out.len == 0) {
		people->seen = 2;
	} else if (people->seen == 1 && fake_compute_get(node, &node->cancels) > 0) {
		people->seen = 2; /* and was given up */
	}
	if (people->seen == 2) {
		people->seen = 3;
		generation_free(people->generation);
		people->script.stall_at = FAKE_NEVER;
		fake_compute_set(node, &people->script);
	}
	return true;
}

static void test_people_who_come_in_between_go_first(void **state)
{
	struct people people = { .script = script_of("tiny") };

	(void)state;
	people.script.stall_at = 2;
	open_with(&people.script, 1, NULL);
	assert_int_equal(put(they_come_in_between, &people), RC_OK);
	assert_int_equal(people.seen, 3);
	assert_string_equal(buf_text(&out), ANSWER); /* once */
	close_all();
}

static bool never(void *ctx)
{
	(void)ctx;
	return false;
}

static void test_giving_up(void **state)
{
	struct fake_script script = script_of("tiny");

	(void)state;
	script.mute = true;
	open_with(&script, 1, NULL);
	assert_int_equal(put(never, NULL), RC_CANCELLED);
	close_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_question_and_its_answer),
		cmocka_unit_test(test_which_model),
		cmocka_unit_test(test_what_a_node_refuses),
		cmocka_unit_test(test_people_are_waited_for),
		cmocka_unit_test(test_people_who_come_in_between_go_first),
		cmocka_unit_test(test_giving_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
