/* Constrained answers of a whole compute node: valid whatever the weights, the same when
 * resumed at any token, refused where they cannot be held to what was asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/log.h"
#include "schema_validate.h"
#include "serve/tool_format.h"
#include "serve_fixture.h"
#include "template/template.h"

#define PLENTY 100000

static const char schema[] =
    "{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\",\"minimum\":-5,\"maximum\":"
    "120},"
    "\"s\":{\"type\":\"string\",\"maxLength\":6},\"list\":{\"type\":\"array\",\"items\":{\"enum\":"
    "[\"x\",true,null,2.5]},\"minItems\":1,\"maxItems\":3}},\"required\":[\"n\",\"s\",\"list\"],"
    "\"additionalProperties\":false}";

static struct serve_fixture node;

static int setup(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	serve_fixture_init(&node, &(struct tiny_gguf){ .seed = 23,
				      .chat_template = "{% if tools %}<tool_call>{% endif %}" });
	serve_fixture_start(&node);
	serve_fixture_connect(&node, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	serve_fixture_fini(&node);
	return 0;
}

static const struct wire_part prompt = { .data = (const uint8_t *)"Tell", .data_len = 4 };

static struct message generate(uint64_t seed, const char *json_schema)
{
	struct message message = { .kind = MESSAGE_GENERATE };

	message.u.generate = (struct wire_generate){ .model = "tiny",
		.raw = &prompt,
		.raw_len = 1,
		.credit = PLENTY,
		.sampling = { .temperature = 1, .seed = seed },
		.constraint = { .kind = WIRE_CONSTRAINT_JSON_SCHEMA, .schema = json_schema } };
	return message;
}

static struct serve_answer *run(struct message *message)
{
	return serve_fixture_wait(&node, serve_fixture_send(&node, 0, message));
}

static bool is_valid(const struct serve_answer *answer)
{
	struct value root, value;
	struct arena arena;

	arena_init(&arena, (size_t)4 << 20);
	bool ok = template_parse_json(schema, strlen(schema), &arena, &root, NULL) == RC_OK &&
		  template_parse_json(
		      buf_text(&answer->text), answer->text.len, &arena, &value, NULL) == RC_OK &&
		  schema_validate(root, root, value);
	arena_fini(&arena);
	return ok;
}

static void test_the_model_says_that_it_can_be_constrained(void **state)
{
	(void)state;
	assert_true(node.links[0].model.constrains);
}

static void test_any_weights_give_a_valid_answer(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 12; seed++) {
		struct message message = generate(seed, schema);

		message.u.generate.sampling.temperature = seed == 0 ? 0 : 1.5F;
		message.u.generate.sampling.ignore_eos = seed == 1;
		message.u.generate.sampling.repeat_penalty = seed == 2 ? 2 : 0;
		struct serve_answer *answer = run(&message);
		assert_true(answer->done);
		assert_int_equal(answer->end.finish, WIRE_FINISH_STOP);
		if (!is_valid(answer))
			fail_msg("%s", buf_text(&answer->text));
	}
}

static void test_any_object_begins_and_ends_as_one(void **state)
{
	struct message message = generate(5, "");

	(void)state;
	message.u.generate.constraint.kind = WIRE_CONSTRAINT_JSON_OBJECT;
	struct serve_answer *answer = run(&message);
	assert_true(answer->done);
	assert_int_equal(buf_text(&answer->text)[0], '{');
	if (answer->end.finish == WIRE_FINISH_STOP)
		assert_int_equal(buf_text(&answer->text)[answer->text.len - 1], '}');
}

static void test_a_limit_in_the_middle_is_said_to_be_one(void **state)
{
	struct message message = generate(3, schema);

	(void)state;
	message.u.generate.max_tokens = 4;
	struct serve_answer *answer = run(&message);
	assert_int_equal(answer->len, 4);
	assert_int_equal(answer->end.finish, WIRE_FINISH_LENGTH);
}

static void test_an_answer_resumed_at_any_token_is_the_same(void **state)
{
	struct message message = generate(8, schema);
	struct serve_answer *whole = run(&message);

	(void)state;
	assert_true(whole->done && whole->len > 5);
	for (size_t at = 1; at <= whole->len; at += 2) {
		struct message again = generate(8, schema);

		again.u.generate.raw_len = 0;
		again.u.generate.prompt_ids = whole->prompt_ids;
		again.u.generate.prompt_ids_len = whole->prompt_len;
		again.u.generate.generated_ids = whole->ids;
		again.u.generate.generated_ids_len = at;
		struct serve_answer *rest = run(&again);
		assert_true(rest->done);
		assert_int_equal(rest->end.finish, WIRE_FINISH_STOP);
		assert_int_equal(rest->len, whole->len - at);
		if (rest->len > 0)
			assert_memory_equal(
			    rest->ids, whole->ids + at, rest->len * sizeof(rest->ids[0]));
	}
}

/* A prompt that opens reasoning: what is thought is free, and not the end; then it holds. */
static void test_reasoning_that_the_prompt_opened_is_free(void **state)
{
	static const char think[] = "hm</think>";
	const struct wire_part opened = { .data = (const uint8_t *)"So <think>", .data_len = 10 };
	uint32_t ids[sizeof(think) - 1];
	struct message message = generate(2, schema);

	(void)state;
	message.u.generate.raw = &opened;
	message.u.generate.max_tokens = 40;
	struct serve_answer *answer = run(&message);
	assert_int_equal(answer->end.finish, WIRE_FINISH_LENGTH);
	assert_int_equal(answer->len, 40);
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		ids[i] = TINY_GGUF_BYTE0 + (uint32_t)think[i];
	message.u.generate.max_tokens = 0;
	message.u.generate.generated_ids = ids;
	message.u.generate.generated_ids_len = sizeof(ids) / sizeof(ids[0]);
	answer = run(&message);
	assert_true(answer->done);
	assert_int_equal(answer->end.finish, WIRE_FINISH_STOP);
	if (!is_valid(answer))
		fail_msg("%s", buf_text(&answer->text));
}

static const char tools[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"look\",\"strict\":true,\"parameters\":{"
    "\"type\":\"object\",\"properties\":{\"at\":{\"enum\":[\"x\",true]}},\"required\":[\"at\"],"
    "\"additionalProperties\":false}}}]";

/* An answer that has begun with `front`, under a constraint of calls. */
static struct message begun(const char *front, uint32_t *ids)
{
	struct message message = generate(4, tools);

	message.u.generate.constraint.kind = WIRE_CONSTRAINT_CALLS;
	message.u.generate.max_tokens = 240;
	message.u.generate.generated_ids = ids;
	message.u.generate.generated_ids_len = strlen(front);
	for (size_t i = 0; i < strlen(front); i++)
		ids[i] = TINY_GGUF_BYTE0 + (uint32_t)front[i];
	return message;
}

/* The call of `look` that stands at the front of an answer, without blanks. */
static void expect_call(
    const struct serve_answer *answer, const char *front, const char *behind, size_t quotes)
{
	const char *const values[] = { quotes == 0 ? "\"x\"" : "<|\"|>x<|\"|>", "true" };
	char text[256], expected[256];
	size_t n = 0;
	bool is = false;

	for (const char *at = buf_text(&answer->text); *at != '\0' && n < 200; at++) {
		if (strchr(" \n\t", *at) == NULL)
			text[n++] = *at;
	}
	text[n] = '\0';
	for (size_t i = 0; i < 2; i++) {
		(void)snprintf(expected, sizeof(expected), "%s%s%s", front, values[i], behind);
		is = is || strncmp(text, expected, strlen(expected)) == 0;
	}
	if (!answer->done || !is)
		fail_msg("%s", answer->failed ? answer->error : text);
}

/* Any weights: what stands behind the mark is a call, whatever follows it. */
static void test_calls_are_held_and_text_is_free(void **state)
{
	uint32_t ids[64];

	(void)state;
	assert_true(node.links[0].model.holds_calls);
	struct message message = begun("Hm. <tool_call>", ids);
	for (uint64_t seed = 0; seed < 4; seed++) {
		message.u.generate.sampling.seed = seed;
		expect_call(run(&message),
		    "{\"name\":\"look\",\"arguments\":{\"at\":", "}}</tool_call>", 0);
	}
	message = begun("What I say is free {\"name\":3", ids);
	assert_true(run(&message)->done);
	message = begun("<think><tool_call>nothing", ids);
	assert_true(run(&message)->done);
	message = begun("<tool_call>{\"name\":\"wait\"", ids);
	struct serve_answer *answer = run(&message);
	assert_true(answer->failed);
	assert_non_null(strstr(answer->error, "generated_ids[20]"));
}

/* However the template has calls written, and with and without a need for one. */
static void test_each_format_is_held(void **state)
{
	static const struct {
		const char *template, *thought, *mark, *front, *behind;
	} cases[] = {
		{ "{% if tools %}<tool_call> <function= <think>", "<think>a</think>\n\n",
		    "<tool_call>", "<function=look><parameter=at>",
		    "</parameter></function></tool_call>" },
		{ "{% if tools %}<|tool_call>", "<|channel>thought\na<channel|>", "<|tool_call>",
		    "call:look{at:", "}<tool_call|>" },
	};
	struct serve_fixture other;
	uint32_t ids[64];
	char front[128];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char template[128];

		(void)snprintf(template, sizeof(template), "%s{%% endif %%}", cases[i].template);
		serve_fixture_init(&other,
		    &(struct tiny_gguf){ .seed = 23, .n_ctx = 512, .chat_template = template });
		serve_fixture_start(&other);
		serve_fixture_connect(&other, 0);
		struct message message = begun(cases[i].mark, ids);
		expect_call(serve_fixture_wait(&other, serve_fixture_send(&other, 0, &message)),
		    cases[i].front, cases[i].behind, i);
		(void)snprintf(front, sizeof(front), "%s%s", cases[i].thought, cases[i].mark);
		message = begun(front, ids);
		message.u.generate.constraint.kind = WIRE_CONSTRAINT_MUST_CALL;
		expect_call(serve_fixture_wait(&other, serve_fixture_send(&other, 0, &message)),
		    cases[i].front, cases[i].behind, i);
		message.u.generate.generated_ids_len = 1;
		ids[0] = TINY_GGUF_BYTE0 + 'W';
		struct serve_answer *answer =
		    serve_fixture_wait(&other, serve_fixture_send(&other, 0, &message));
		assert_true(answer->failed);
		assert_non_null(strstr(answer->error, "generated_ids[0]"));
		serve_fixture_fini(&other);
	}
}

/* Under a template of harmony the analysis is free; what is asked for is the next message. */
static void test_the_analysis_of_harmony_is_free(void **state)
{
	static const char front[] = "<|channel|>analysis<|message|>{<|end|><|start|>assistant"
				    "<|channel|>final<|message|>";
	const struct wire_part opened = { .data = (const uint8_t *)"<|start|>assistant",
		.data_len = 18 };
	struct serve_fixture other;
	struct message message = generate(6, schema);
	uint32_t ids[sizeof(front) - 1];

	(void)state;
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		ids[i] = TINY_GGUF_BYTE0 + (uint32_t)front[i];
	serve_fixture_init(
	    &other, &(struct tiny_gguf){ .seed = 23,
			.n_ctx = 512,
			.chat_template = "{% if tools %}<|channel|>commentary{% endif %}" });
	serve_fixture_start(&other);
	serve_fixture_connect(&other, 0);
	assert_true(other.links[0].model.holds_calls);
	message.u.generate.raw = &opened;
	message.u.generate.generated_ids = ids;
	message.u.generate.generated_ids_len = sizeof(ids) / sizeof(ids[0]);
	struct serve_answer *answer =
	    serve_fixture_wait(&other, serve_fixture_send(&other, 0, &message));
	if (!answer->done)
		fail_msg("%s", answer->error);
	assert_int_equal(answer->end.finish, WIRE_FINISH_STOP);
	if (!is_valid(answer))
		fail_msg("%s", buf_text(&answer->text));
	/* Without a header it is a text, which the constraint has yet to begin in. */
	message.u.generate.generated_ids_len = 4;
	message.u.generate.max_tokens = 12;
	answer = serve_fixture_wait(&other, serve_fixture_send(&other, 0, &message));
	assert_int_equal(answer->end.finish, WIRE_FINISH_LENGTH);
	serve_fixture_fini(&other);
}

static void refused(struct message *message, enum wire_error code, const char *words)
{
	struct serve_answer *answer = run(message);

	assert_true(answer->failed);
	assert_int_equal(answer->code, code);
	if (strstr(answer->error, words) == NULL)
		fail_msg("%s", answer->error);
}

static void test_what_cannot_be_held_is_refused(void **state)
{
	const uint32_t foreign[] = { TINY_GGUF_BYTE0 + 'x' };
	struct message message = generate(1, "{\"not\":{}}");

	(void)state;
	refused(&message, WIRE_ERROR_UNSUPPORTED, "schema at not");
	message = generate(1, "{\"type\":");
	refused(&message, WIRE_ERROR_INVALID, "JSON");
	message = generate(1, "{\"items\":{\"maxItems\":99999}}");
	refused(&message, WIRE_ERROR_LIMIT, "items: maxItems");
	message = generate(1, schema);
	message.u.generate.generated_ids = foreign;
	message.u.generate.generated_ids_len = 1;
	refused(&message, WIRE_ERROR_INVALID, "generated_ids[0]");
}

static void test_templates_tell_how_tools_are_called(void **state)
{
	(void)state;
	assert_string_equal(tool_format_of(NULL), "");
	assert_string_equal(tool_format_of("{{ messages }}<tool_call>"), "");
	assert_string_equal(tool_format_of("{% if tools %}<tool_call>"), "hermes");
	assert_string_equal(tool_format_of("{% if tools %}[TOOL_CALLS]"), "mistral");
	assert_string_equal(tool_format_of("{% if tools %}Environment: ipython"), "llama3");
	assert_string_equal(tool_format_of("{% if tools %}<tool\xe2\x96\x81"
					   "calls\xe2\x96\x81"
					   "begin>"),
	    "deepseek");
	assert_string_equal(
	    tool_format_of("{% if tools %}<|start|>x<|channel|>commentary json<|message|>"),
	    "harmony");
	assert_string_equal(tool_format_of("{% if tools %}<|tool_call>call:"), "gemma4");
	assert_string_equal(tool_format_of("{% if tools %}"), "");
}

static void test_templates_tell_how_calls_are_held(void **state)
{
	static const struct {
		const char *template;
		enum calls_form form, forced;
	} cases[] = {
		{ NULL, CALLS_ARGUMENTS, CALLS_ARGUMENTS },
		{ "{% if tools %}", CALLS_ARGUMENTS, CALLS_ARGUMENTS },
		{ "tools <tool_call>", CALLS_ARGUMENTS, CALLS_ARGUMENTS },
		{ "tools <tool_call><function=", CALLS_FUNCTION, CALLS_FUNCTION },
		{ "tools <tool_call><arg_key>", CALLS_KEYED, CALLS_KEYED },
		{ "tools [TOOL_CALLS]", CALLS_ARRAY, CALLS_ARRAY },
		{ "tools [TOOL_CALLS][ARGS]", CALLS_ARGS, CALLS_ARGS },
		{ "tools tool\xe2\x96\x81"
		  "calls\xe2\x96\x81"
		  "begin",
		    CALLS_MARKED, CALLS_MARKED },
		{ "tools tool\xe2\x96\x81"
		  "calls\xe2\x96\x81"
		  "begin ```json",
		    CALLS_FENCED, CALLS_FENCED },
		{ "tools <|tool_call>", CALLS_GEMMA, CALLS_GEMMA },
		{ "tools Environment: ipython", CALLS_PARAMETERS, CALLS_PARAMETERS },
		{ "tools <|channel|>commentary", CALLS_NAMED, CALLS_MESSAGE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *template = cases[i].template;
		struct tool_hold hold = tool_hold_of(tool_format_of(template), template);

		assert_int_equal(hold.form, cases[i].form);
		assert_int_equal(hold.forced, cases[i].forced);
	}
	assert_false(tool_hold_of("hermes", "tools <tool_call>").thinks);
	assert_true(tool_hold_of("hermes", "tools <tool_call> <think>").thinks);
	assert_true(tool_hold_of("harmony", "tools").thinks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_model_says_that_it_can_be_constrained),
		cmocka_unit_test(test_any_weights_give_a_valid_answer),
		cmocka_unit_test(test_any_object_begins_and_ends_as_one),
		cmocka_unit_test(test_a_limit_in_the_middle_is_said_to_be_one),
		cmocka_unit_test(test_an_answer_resumed_at_any_token_is_the_same),
		cmocka_unit_test(test_reasoning_that_the_prompt_opened_is_free),
		cmocka_unit_test(test_calls_are_held_and_text_is_free),
		cmocka_unit_test(test_each_format_is_held),
		cmocka_unit_test(test_the_analysis_of_harmony_is_free),
		cmocka_unit_test(test_what_cannot_be_held_is_refused),
		cmocka_unit_test(test_templates_tell_how_tools_are_called),
		cmocka_unit_test(test_templates_tell_how_calls_are_held),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
