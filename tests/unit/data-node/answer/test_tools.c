/* Formats, tools, reasoning and /v1/responses, on the bytes that clients read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "world.h"

#define CHAT "{\"model\":\"tiny\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]"
#define HEARTH "{\"model\":\"hearth\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]"
#define STREAM ",\"stream\":true"
#define TOOLS                                                                                      \
	",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"look\",\"parameters\":{"      \
	"\"type\":"                                                                                \
	"\"object\",\"properties\":{\"at\":{\"$ref\":\"#/$defs/p\"}},\"$defs\":{\"p\":{\"type\":"  \
	"\"string\"}}}}},{\"type\":\"function\",\"function\":{\"name\":\"wait\"}}]"
#define SCHEMA                                                                                     \
	",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"x\","          \
	"\"strict\":true,"                                                                         \
	"\"schema\":{\"type\":\"integer\"}}}"

static struct fake_script says(const char *text, const char *format)
{
	struct fake_script script = fake_script_default();

	script.text = text;
	script.tool_format = format;
	script.tokens = (uint32_t)(strlen(text) + 2) / 3;
	return script;
}

static void drain(struct world *world)
{
	while (world_pull(world, 4096))
		;
}

/* The n-th event of a stream that is JSON; the caller decrefs.  NULL: there are fewer. */
static json_t *event(const struct world *world, size_t n)
{
	const char *at = buf_text(&world->read);

	for (size_t i = 0; (at = strstr(at, "data: {")) != NULL; i++, at += 6) {
		const char *end = strstr(at, "\n\n");

		if (i == n)
			return json_loadb(at + 6, (size_t)(end - at - 6), 0, NULL);
	}
	return NULL;
}

static const char *text_at(const json_t *root, const char *path)
{
	char part[32];

	while (*path != '\0') {
		size_t n = strcspn(path, ".");

		(void)snprintf(part, sizeof(part), "%.*s", (int)n, path);
		root = part[0] >= '0' && part[0] <= '9'
			   ? json_array_get(root, (size_t)(part[0] - '0'))
			   : json_object_get(root, part);
		path += n + (path[n] == '.');
	}
	return json_string_value(root);
}

static void expect_text(json_t *root, const char *path, const char *expected)
{
	const char *got = text_at(root, path);

	if (got == NULL || strcmp(got, expected) != 0)
		fail_msg("%s is %s, not %s", path, got == NULL ? "absent" : got, expected);
}

static void expect_event(
    const struct world *world, size_t n, const char *path, const char *expected)
{
	json_t *root = event(world, n);

	assert_non_null(root);
	expect_text(root, path, expected);
	json_decref(root);
}

static void test_formats_reach_the_node_as_constraints(void **state)
{
	struct fake_script script = says("17", "");
	struct world world;

	(void)state;
	world_open(&world, &script, 1);
	world_post(&world, false, CHAT SCHEMA "}");
	assert_int_equal(world.response.status, 200);
	assert_int_equal(world.rig.nodes[0].last_constraint, WIRE_CONSTRAINT_JSON_SCHEMA);
	assert_string_equal(buf_text(&world.rig.nodes[0].last_schema), "{\"type\":\"integer\"}");
	assert_non_null(strstr(buf_text(&world.read), "\"content\":\"17\""));
	world_post(&world, false, HEARTH ",\"response_format\":{\"type\":\"json_object\"}}");
	assert_int_equal(world.response.status, 200);
	assert_int_equal(world.rig.nodes[0].last_constraint, WIRE_CONSTRAINT_JSON_OBJECT);
	world_post(&world, false, CHAT ",\"response_format\":{\"type\":\"text\"}}");
	assert_int_equal(world.rig.nodes[0].last_constraint, WIRE_CONSTRAINT_NONE);
	world_close(&world);
}

static void test_a_node_that_would_ignore_a_constraint_is_not_asked(void **state)
{
	struct fake_script script = says("prose", "");
	struct world world;

	(void)state;
	script.free_only = true;
	world_open(&world, &script, 1);
	world_post(&world, false, CHAT SCHEMA "}");
	assert_int_equal(world.response.status, 400);
	assert_non_null(strstr(buf_text(&world.read), "\"param\":\"response_format\""));
	world_post(&world, false, HEARTH SCHEMA "}");
	assert_int_equal(world.response.status, 400);
	assert_int_equal(world.rig.nodes[0].generates, 0);
	world_post(&world, false, CHAT "}");
	assert_int_equal(world.response.status, 200);
	world_close(&world);
}

/* Whoever goes on with an answer holds it to what it was begun under, or is not asked. */
static void test_a_resumed_answer_keeps_its_constraint(void **state)
{
	struct fake_script script = says("1234567890123456", "");
	struct world world;

	(void)state;
	script.stall_at = 3;
	world_open(&world, &script, 1);
	world_post(&world, false, CHAT SCHEMA STREAM "}");
	world_pull_to(&world, "123");
	fake_compute_kill(&world.rig.nodes[0]);
	world_pull_to(&world, ": waiting for a compute node\n\n");
	script.stall_at = FAKE_NEVER;
	fake_compute_set(&world.rig.nodes[0], &script);
	world.rig.nodes[0].last_constraint = WIRE_CONSTRAINT_NONE;
	fake_compute_start(&world.rig.nodes[0]);
	world_pull_all(&world);
	assert_int_equal(world.rig.nodes[0].resumes, 1);
	assert_int_equal(world.rig.nodes[0].last_constraint, WIRE_CONSTRAINT_JSON_SCHEMA);
	assert_string_equal(buf_text(&world.rig.nodes[0].last_schema), "{\"type\":\"integer\"}");
	assert_non_null(strstr(buf_text(&world.read), "\"finish_reason\":\"stop\""));
	world_close(&world);
}

static void test_without_a_model_a_format_is_503_and_no_prose(void **state)
{
	struct world world;

	(void)state;
	world_open(&world, NULL, 0);
	world_post(&world, false, HEARTH "}");
	assert_int_equal(world.response.status, 200); /* recall-only */
	world_post(&world, false, HEARTH SCHEMA "}");
	assert_int_equal(world.response.status, 503);
	world_post(&world, false, HEARTH TOOLS ",\"tool_choice\":\"required\"}");
	assert_int_equal(world.response.status, 503);
	world_close(&world);
}

static void test_a_refused_schema_names_its_field(void **state)
{
	struct fake_script script = says("x", "");
	struct world world;

	(void)state;
	script.refuse_times = 1;
	script.refuse = WIRE_ERROR_UNSUPPORTED;
	world_open(&world, &script, 1);
	world_post(&world, false, CHAT SCHEMA "}");
	assert_int_equal(world.response.status, 400);
	assert_non_null(strstr(buf_text(&world.read), "unsupported_value"));
	world_close(&world);
}

static void test_a_call_streams_as_one_chunk_and_ends_apart(void **state)
{
	struct fake_script script =
	    says("<think>hm</think>Let me see. <tool_call>{\"name\":\"look\","
		 "\"arguments\":{\"at\":\"it\"}}</tool_call>"
		 "<tool_call>{\"name\":\"wait\"}</tool_call>",
		"hermes");
	struct world world;
	json_t *root;
	size_t n = 0;
	bool seen[2] = { false };

	(void)state;
	world_open(&world, &script, 1);
	world_post(&world, false, CHAT TOOLS STREAM "}");
	drain(&world);
	assert_string_equal(buf_text(&world.rig.nodes[0].last_prompt), "<untrusted>user: Hi\n");
	assert_non_null(strstr(buf_text(&world.rig.nodes[0].last_tools), "\"look\""));
	assert_null(strstr(buf_text(&world.read), "tool_call>"));
	assert_null(strstr(buf_text(&world.read), "think>"));
	assert_non_null(strstr(buf_text(&world.read), "\"reasoning_content\":\"hm\""));
	for (; (root = event(&world, n)) != NULL; n++) {
		json_t *choice = json_array_get(json_object_get(root, "choices"), 0);
		json_t *delta = json_object_get(choice, "delta");
		json_t *calls = json_object_get(delta, "tool_calls");

		if (calls != NULL) {
			json_int_t index =
			    json_integer_value(json_object_get(json_array_get(calls, 0), "index"));

			assert_int_equal(json_array_size(calls), 1);
			assert_true(json_is_null(json_object_get(choice, "finish_reason")));
			expect_text(calls, "0.type", "function");
			expect_text(calls, "0.function.name", index == 0 ? "look" : "wait");
			expect_text(
			    calls, "0.function.arguments", index == 0 ? "{\"at\":\"it\"}" : "{}");
			seen[index] = true;
		}
		if (json_is_string(json_object_get(choice, "finish_reason"))) {
			assert_int_equal(json_object_size(delta), 0);
			expect_text(choice, "finish_reason", "tool_calls");
		}
		json_decref(root);
	}
	assert_true(seen[0] && seen[1]);
	world_close(&world);
}

static void test_a_whole_answer_has_its_calls_and_no_content(void **state)
{
	struct fake_script script =
	    says("so</think>\n\n[TOOL_CALLS]look[ARGS]{\"at\": \"it\"}", "mistral");
	struct world world;

	(void)state;
	script.reasoning = true;
	world_open(&world, &script, 1);
	world_post(&world, false, CHAT TOOLS "}");
	json_t *root = json_loads(buf_text(&world.read), 0, NULL);
	assert_non_null(root);
	expect_text(root, "choices.0.finish_reason", "tool_calls");
	expect_text(root, "choices.0.message.tool_calls.0.function.name", "look");
	expect_text(root, "choices.0.message.tool_calls.0.function.arguments", "{\"at\":\"it\"}");
	expect_text(root, "choices.0.message.reasoning_content", "so");
	assert_null(text_at(root, "choices.0.message.content"));
	json_decref(root);
	world_close(&world);
}

/* Calls are no answer yet: what leads to them is not remembered. */
static void test_a_call_for_the_person_is_not_kept(void **state)
{
	struct fake_script script = says("<tool_call>{\"name\":\"wait\"}</tool_call>", "hermes");
	struct world world;

	(void)state;
	world_open(&world, &script, 1);
	world_post(&world, false, HEARTH TOOLS "}");
	assert_int_equal(world.response.status, 200);
	assert_int_equal(world.appends, 0);
	world_close(&world);
}

static size_t logprobs_of(const json_t *root)
{
	const json_t *choice = json_array_get(json_object_get(root, "choices"), 0);
	const json_t *list = json_object_get(json_object_get(choice, "logprobs"), "content");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);

		assert_true(json_real_value(json_object_get(one, "logprob")) < -0.4);
		expect_text((json_t *)one, "token", "t");
		assert_int_equal(json_array_size(json_object_get(one, "bytes")), 1);
		assert_int_equal(json_array_size(json_object_get(one, "top_logprobs")), 1);
		expect_text((json_t *)one, "top_logprobs.0.token", "\xef\xbf\xbd");
	}
	return json_array_size(list);
}

static void test_each_token_has_its_logprob(void **state)
{
	struct fake_script script = says("<think>because</think>It is so.", "");
	struct world world;
	size_t streamed = 0;
	json_t *root;

	(void)state;
	world_open(&world, &script, 1);
	world_post(&world, false, CHAT ",\"logprobs\":true,\"top_logprobs\":2}");
	root = json_loads(buf_text(&world.read), 0, NULL);
	assert_int_equal(logprobs_of(root), script.tokens);
	json_decref(root);
	world_post(&world, false, CHAT STREAM ",\"logprobs\":true,\"top_logprobs\":1}");
	drain(&world);
	for (size_t n = 0; (root = event(&world, n)) != NULL; n++) {
		streamed += logprobs_of(root);
		json_decref(root);
	}
	assert_int_equal(streamed, script.tokens);
	world_post(&world, false, CHAT ",\"logprobs\":true}");
	assert_non_null(strstr(buf_text(&world.read), "\"top_logprobs\":[]"));
	world_close(&world);
}

/* Of completions: four arrays side by side; how many of them, from which offset on. */
static size_t old_logprobs_of(const json_t *root, size_t from, size_t top)
{
	const json_t *choice = json_array_get(json_object_get(root, "choices"), 0);
	const json_t *old = json_object_get(choice, "logprobs");
	const json_t *tokens = json_object_get(old, "tokens");
	size_t n = json_array_size(tokens);

	assert_int_equal(json_array_size(json_object_get(old, "token_logprobs")), n);
	assert_int_equal(json_array_size(json_object_get(old, "top_logprobs")), n);
	for (size_t i = 0; i < n; i++) {
		const json_t *tops = json_array_get(json_object_get(old, "top_logprobs"), i);
		const json_t *offset = json_array_get(json_object_get(old, "text_offset"), i);
		assert_string_equal(json_string_value(json_array_get(tokens, i)), "t");
		assert_int_equal(json_integer_value(offset), from + i);
		assert_int_equal(json_object_size(tops), top);
		assert_true(json_real_value(json_object_get(tops, "t")) < -0.4);
	}
	return n;
}

static void test_completions_have_them_in_the_older_shape(void **state)
{
	struct fake_script script = says("It is so.", "");
	struct world world;
	size_t streamed = 0;
	json_t *root;

	(void)state;
	world_open(&world, &script, 1);
	world_post(&world, true, "{\"model\":\"tiny\",\"prompt\":\"a\",\"logprobs\":1}");
	root = json_loads(buf_text(&world.read), 0, NULL);
	assert_int_equal(old_logprobs_of(root, 0, 2), script.tokens);
	json_decref(root);
	world_post(&world, true, "{\"model\":\"tiny\",\"prompt\":\"a\",\"logprobs\":0" STREAM "}");
	drain(&world);
	for (size_t n = 0; (root = event(&world, n)) != NULL; n++) {
		streamed += old_logprobs_of(root, streamed, 1);
		json_decref(root);
	}
	assert_int_equal(streamed, script.tokens);
	world_post(&world, true, "{\"model\":\"tiny\",\"prompt\":\"a\",\"logprobs\":null}");
	assert_non_null(strstr(buf_text(&world.read), "\"logprobs\":null"));
	world_close(&world);
}

static void test_several_choices_share_a_prompt(void **state)
{
	struct fake_script script = says("One of three.", "");
	struct world world;
	size_t finished = 0, roles = 0, n = 0;
	char texts[3][64] = { "" };
	json_t *root;

	(void)state;
	world_open(&world, &script, 1);
	world_post(&world, false, HEARTH ",\"n\":3}");
	root = json_loads(buf_text(&world.read), 0, NULL);
	assert_int_equal(json_array_size(json_object_get(root, "choices")), 3);
	expect_text(root, "choices.2.message.content", "One of three.");
	assert_int_equal(json_integer_value(
			     json_object_get(json_object_get(root, "usage"), "completion_tokens")),
	    3 * script.tokens);
	json_decref(root);
	assert_int_equal(world.rig.nodes[0].generates, 3);
	assert_int_equal(world.appends, 1);
	world_post(
	    &world, false, CHAT STREAM ",\"n\":3,\"stream_options\":{\"include_usage\":true}}");
	drain(&world);
	for (; (root = event(&world, n)) != NULL; n++) {
		const json_t *choice = json_array_get(json_object_get(root, "choices"), 0);
		const json_t *delta = json_object_get(choice, "delta");
		const char *content = json_string_value(json_object_get(delta, "content"));
		json_int_t index = json_integer_value(json_object_get(choice, "index"));
		size_t len = strlen(texts[index]);

		roles += json_object_get(delta, "role") != NULL;
		finished += json_is_string(json_object_get(choice, "finish_reason"));
		if (content != NULL)
			(void)snprintf(texts[index] + len, sizeof(texts[0]) - len, "%s", content);
		json_decref(root);
	}
	assert_int_equal(roles, 3);
	assert_int_equal(finished, 3);
	for (size_t i = 0; i < 3; i++)
		assert_string_equal(texts[i], "One of three.");
	assert_non_null(strstr(buf_text(&world.read), "[DONE]"));
	world_close(&world);
}

static void test_what_is_not_to_be_stored_is_not_kept(void **state)
{
	struct fake_script script = says("Hello.", "");
	struct world world;

	(void)state;
	world_open(&world, &script, 1);
	world_post(&world, false, HEARTH ",\"store\":false}");
	assert_int_equal(world.response.status, 200);
	assert_int_equal(world.appends, 0);
	world_ask(
	    &world, ANSWER_RESPONSES, "{\"model\":\"hearth\",\"input\":\"Hi\",\"store\":false}");
	assert_int_equal(world.appends, 0);
	world_post(&world, false, HEARTH "}");
	assert_int_equal(world.appends, 1);
	world_close(&world);
}

static void test_a_forced_call_is_constrained_to_its_parameters(void **state)
{
	struct fake_script script = says("{\"name\":\"look\",\"arguments\":{\"at\":\"x\"}}", "");
	struct world world;

	(void)state;
	world_open(&world, &script, 1);
	world_post(&world, false,
	    CHAT TOOLS
	    ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"look\"}}}");
	assert_int_equal(world.response.status, 200);
	json_t *root = json_loads(buf_text(&world.read), 0, NULL);
	expect_text(root, "choices.0.message.tool_calls.0.function.arguments", "{\"at\":\"x\"}");
	json_decref(root);
	json_t *schema = json_loads(buf_text(&world.rig.nodes[0].last_schema), 0, NULL);
	assert_int_equal(json_array_size(json_object_get(schema, "anyOf")), 1);
	expect_text(schema, "anyOf.0.properties.name.const", "look");
	expect_text(schema, "anyOf.0.properties.arguments.$ref", "#/$defs/tool0");
	expect_text(schema, "$defs.tool0.properties.at.$ref", "#/$defs/tool0/$defs/p");
	json_decref(schema);
	/* Without a template that shows them, tools stand in words. */
	assert_non_null(strstr(buf_text(&world.rig.nodes[0].last_prompt), "<untrusted>system: [{"));
	world_post(&world, false, CHAT TOOLS ",\"tool_choice\":\"required\"}");
	schema = json_loads(buf_text(&world.rig.nodes[0].last_schema), 0, NULL);
	assert_int_equal(json_array_size(json_object_get(schema, "anyOf")), 2);
	json_decref(schema);
	world_close(&world);
}

/* A node that holds calls has the model make them in its own way, reasoning before them. */
static void test_a_forced_call_is_as_the_model_writes_it(void **state)
{
	struct fake_script script =
	    says("<think>a</think>\n<tool_call>\n<function=look>\n<parameter=at>\n3\n</parameter>\n"
		 "</function>\n</tool_call>",
		"hermes");
	struct world world;

	(void)state;
	script.holds_calls = true;
	world_open(&world, &script, 1);
	world_post(&world, false, CHAT TOOLS ",\"tool_choice\":\"required\"}");
	assert_int_equal(world.rig.nodes[0].last_constraint, WIRE_CONSTRAINT_MUST_CALL);
	assert_false(world.rig.nodes[0].last_one);
	json_t *tools = json_loads(buf_text(&world.rig.nodes[0].last_schema), 0, NULL);
	assert_int_equal(json_array_size(tools), 2);
	json_decref(tools);
	json_t *root = json_loads(buf_text(&world.read), 0, NULL);
	expect_text(root, "choices.0.message.reasoning_content", "a");
	expect_text(root, "choices.0.message.tool_calls.0.function.name", "look");
	expect_text(root, "choices.0.message.tool_calls.0.function.arguments", "{\"at\":\"3\"}");
	json_decref(root);
	world_post(&world, false,
	    CHAT TOOLS
	    ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"wait\"}}}");
	assert_int_equal(world.rig.nodes[0].last_constraint, WIRE_CONSTRAINT_MUST_CALL);
	assert_true(world.rig.nodes[0].last_one);
	assert_string_equal(buf_text(&world.rig.nodes[0].last_schema),
	    "[{\"type\":\"function\",\"function\":{\"name\":\"wait\"}}]");
	/* Parameters that are a choice are held as JSON. */
	world_post(&world, false,
	    CHAT
	    ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"look\",\"parameters\":{"
	    "\"anyOf\":[{\"type\":\"object\"}]}}}],\"tool_choice\":\"required\"}");
	assert_int_equal(world.rig.nodes[0].last_constraint, WIRE_CONSTRAINT_JSON_SCHEMA);
	world_close(&world);
}

/* What is for a function is a call, what is thought is not said; each tool is described. */
static void test_harmony_from_tools_to_a_call(void **state)
{
	struct fake_script script = says("<|channel|>analysis<|message|>a<|end|><|start|>assistant"
					 "<|channel|>commentary to=functions.look <|constrain|>json"
					 "<|message|>{\"at\":\"x\"}",
	    "harmony");
	struct world world;

	(void)state;
	world_open(&world, &script, 1);
	world_post(&world, false, CHAT TOOLS "}");
	assert_non_null(strstr(buf_text(&world.rig.nodes[0].last_tools), "\"description\":\"\""));
	json_t *root = json_loads(buf_text(&world.read), 0, NULL);
	expect_text(root, "choices.0.finish_reason", "tool_calls");
	expect_text(root, "choices.0.message.reasoning_content", "a");
	expect_text(root, "choices.0.message.tool_calls.0.function.name", "look");
	expect_text(root, "choices.0.message.tool_calls.0.function.arguments", "{\"at\":\"x\"}");
	assert_true(json_is_null(json_object_get(
	    json_object_get(json_array_get(json_object_get(root, "choices"), 0), "message"),
	    "content")));
	json_decref(root);
	script.text = "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final"
		      "<|message|>{\"name\":\"look\",\"arguments\":{}}";
	script.tokens = (uint32_t)(strlen(script.text) + 2) / 3;
	fake_compute_set(&world.rig.nodes[0], &script);
	world_post(&world, false, CHAT TOOLS ",\"tool_choice\":\"required\"}");
	root = json_loads(buf_text(&world.read), 0, NULL);
	expect_text(root, "choices.0.message.reasoning_content", "a");
	expect_text(root, "choices.0.message.tool_calls.0.function.arguments", "{}");
	json_decref(root);
	world_close(&world);
}

#define STRICT                                                                                     \
	",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"look\",\"strict\":true,"      \
	"\"parameters\":{\"type\":\"object\"}}}]"

/* Strict functions that may be called: the node holds calls, where it can; text is free. */
static void test_strict_tools_hold_calls_and_leave_text_free(void **state)
{
	struct fake_script script =
	    says("<think>a</think>Hm.<tool_call>{\"name\":\"look\"}</tool_call>", "hermes");
	struct world world;

	(void)state;
	for (int holds = 0; holds < 2; holds++) {
		script.holds_calls = holds != 0;
		world_open(&world, &script, 1);
		world_post(&world, false, CHAT STRICT "}");
		assert_int_equal(world.rig.nodes[0].last_constraint,
		    holds ? WIRE_CONSTRAINT_CALLS : WIRE_CONSTRAINT_NONE);
		assert_int_equal(
		    strstr(buf_text(&world.rig.nodes[0].last_schema), "\"strict\"") != NULL, holds);
		json_t *root = json_loads(buf_text(&world.read), 0, NULL);
		expect_text(root, "choices.0.message.content", "Hm.");
		expect_text(root, "choices.0.message.reasoning_content", "a");
		expect_text(root, "choices.0.message.tool_calls.0.function.name", "look");
		json_decref(root);
		world_post(&world, false, CHAT TOOLS "}"); /* none of these is strict */
		assert_int_equal(world.rig.nodes[0].last_constraint, WIRE_CONSTRAINT_NONE);
		world_close(&world);
	}
}

static void test_strict_tools_go_to_the_node_that_holds_calls(void **state)
{
	struct fake_script scripts[2] = { says("Hm.", "hermes"), says("Hm.", "hermes") };

	(void)state;
	for (size_t holds = 0; holds < 2; holds++) {
		struct world world;
		scripts[holds].holds_calls = true;
		scripts[1 - holds].holds_calls = false;
		world_open(&world, scripts, 2);
		world_post(&world, false, CHAT STRICT "}");
		assert_int_equal(world.rig.nodes[holds].last_constraint, WIRE_CONSTRAINT_CALLS);
		assert_int_equal(world.rig.nodes[1 - holds].generates, 0);
		world_close(&world);
	}
}

/* A format beside tools that may be called: either of the two comes, as what it is. */
static void test_a_format_beside_tools_leaves_calls_possible(void **state)
{
	struct fake_script script = says("17", "hermes");
	struct world world;

	(void)state;
	world_open(&world, &script, 1);
	world_post(&world, false, CHAT TOOLS SCHEMA STREAM "}");
	drain(&world);
	assert_non_null(strstr(buf_text(&world.read), "\"content\":\"17\""));
	json_t *schema = json_loads(buf_text(&world.rig.nodes[0].last_schema), 0, NULL);
	assert_int_equal(json_array_size(json_object_get(schema, "anyOf")), 3);
	expect_text(schema, "anyOf.0.$ref", "#/$defs/answer");
	expect_text(schema, "$defs.answer.type", "integer");
	json_decref(schema);
	script = says("{\"name\":\"wait\",\"arguments\":{}}", "hermes");
	fake_compute_set(&world.rig.nodes[0], &script);
	world_post(&world, false, CHAT TOOLS SCHEMA "}");
	assert_non_null(strstr(buf_text(&world.read), "\"finish_reason\":\"tool_calls\""));
	world_close(&world);
}

static void test_turns_with_tools_go_in(void **state)
{
	struct fake_script script = says("done", "");
	struct world world;

	(void)state;
	world_open(&world, &script, 1);
	world_post(&world, false,
	    "{\"model\":\"tiny\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"},{\"role\":"
	    "\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\","
	    "\"function\":{\"name\":\"look\",\"arguments\":\"{}\"}}]},{\"role\":\"tool\","
	    "\"tool_call_id\":\"c1\",\"content\":\"nothing\"}]" TOOLS ",\"tool_choice\":\"none\"}");
	assert_int_equal(world.response.status, 200);
	const char *prompt = buf_text(&world.rig.nodes[0].last_prompt);
	assert_non_null(strstr(prompt, "<trusted>assistant: \n<tool_call>"));
	assert_non_null(strstr(prompt, "<untrusted>user: nothing"));
	assert_null(strstr(prompt, "You may call"));
	world_close(&world);
}

/* ---- responses ---- */

static void test_a_response_has_items(void **state)
{
	struct fake_script script =
	    says("<think>hm</think>Well. <tool_call>{\"name\":\"look\"}</tool_call>", "hermes");
	struct world world;

	(void)state;
	world_open(&world, &script, 1);
	world_ask(&world, ANSWER_RESPONSES,
	    "{\"model\":\"tiny\",\"instructions\":\"Be "
	    "brief.\",\"input\":[{\"role\":\"user\",\"content\":["
	    "{\"type\":\"input_text\",\"text\":\"Hi\"}]},{\"type\":\"function_call\",\"call_id\":"
	    "\"c\","
	    "\"name\":\"look\",\"arguments\":\"{}\"},{\"type\":\"function_call_output\",\"call_"
	    "id\":\"c\","
	    "\"output\":\"none\"}],\"tools\":[{\"type\":\"function\",\"name\":\"look\","
	    "\"parameters\":{},"
	    "\"strict\":true}],\"metadata\":{\"k\":\"v\"}}");
	assert_int_equal(world.response.status, 200);
	json_t *root = json_loads(buf_text(&world.read), 0, NULL);
	assert_non_null(root);
	expect_text(root, "object", "response");
	expect_text(root, "status", "completed");
	expect_text(root, "metadata.k", "v");
	expect_text(root, "output.0.type", "reasoning");
	expect_text(root, "output.1.content.0.text", "Well. ");
	expect_text(root, "output.2.type", "function_call");
	expect_text(root, "output.2.arguments", "{}");
	json_decref(root);
	assert_non_null(
	    strstr(buf_text(&world.rig.nodes[0].last_prompt), "<untrusted>system: Be brief.\n"));
	assert_non_null(strstr(buf_text(&world.rig.nodes[0].last_prompt), "tool: none\n"));
	world_close(&world);
}

static void test_a_response_streams_its_events_in_order(void **state)
{
	static const char *const order[] = { "response.created", "response.in_progress",
		"response.output_item.added", "response.content_part.added",
		"response.output_text.delta" };
	static const char *const last[] = { "response.output_text.done",
		"response.content_part.done", "response.output_item.done", "response.completed" };
	struct fake_script script = says("Good morning to you.", "");
	struct world world;
	size_t n = 0;
	json_t *root;

	(void)state;
	world_open(&world, &script, 1);
	world_ask(
	    &world, ANSWER_RESPONSES, "{\"model\":\"tiny\",\"input\":\"Hi\",\"stream\":true}");
	drain(&world);
	for (size_t i = 0; i < 5; i++)
		expect_event(&world, i, "type", order[i]);
	for (; (root = event(&world, n)) != NULL; n++) {
		assert_int_equal(json_integer_value(json_object_get(root, "sequence_number")), n);
		json_decref(root);
	}
	for (size_t i = 0; i < 4; i++)
		expect_event(&world, n - 4 + i, "type", last[i]);
	expect_event(&world, n - 1, "response.output.0.content.0.text", "Good morning to you.");
	assert_null(strstr(buf_text(&world.read), "[DONE]"));
	world_close(&world);
}

static void test_responses_name_their_own_fields(void **state)
{
	static const char *const cases[][2] = {
		{ "{\"model\":\"m\"}", "input" },
		{ "{\"model\":\"m\",\"input\":[{\"role\":\"user\",\"content\":4}]}",
		    "input[0].content" },
		{ "{\"model\":\"m\",\"instructions\":\"x\",\"input\":[{\"role\":\"user\","
		  "\"content\":\"a\"},"
		  "{\"role\":\"user\",\"content\":4}]}",
		    "input[1].content" },
		{ "{\"model\":\"m\",\"input\":[{\"type\":\"item_reference\",\"id\":\"x\"}]}",
		    "input[0].type" },
		{ "{\"model\":\"m\",\"input\":\"x\",\"previous_response_id\":\"r\"}",
		    "previous_response_id" },
		{ "{\"model\":\"m\",\"input\":\"x\",\"background\":true}", "background" },
		{ "{\"model\":\"m\",\"input\":\"x\",\"text\":{\"format\":{\"type\":\"json_schema\"}"
		  "}}",
		    "text.format.schema" },
		{ "{\"model\":\"m\",\"input\":\"x\",\"max_output_tokens\":-1}",
		    "max_output_tokens" },
		{ "{\"model\":\"m\",\"input\":\"x\",\"tools\":[{\"type\":\"web_search\"}]}",
		    "tools[0].type" },
	};
	struct world world;

	(void)state;
	world_open(&world, NULL, 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char param[80];

		world_ask(&world, ANSWER_RESPONSES, cases[i][0]);
		(void)snprintf(param, sizeof(param), "\"param\":\"%s\"", cases[i][1]);
		if (world.response.status != 400 || strstr(buf_text(&world.read), param) == NULL)
			fail_msg("%s gave %d %s", cases[i][0], world.response.status,
			    buf_text(&world.read));
	}
	world_close(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_formats_reach_the_node_as_constraints),
		cmocka_unit_test(test_a_node_that_would_ignore_a_constraint_is_not_asked),
		cmocka_unit_test(test_a_resumed_answer_keeps_its_constraint),
		cmocka_unit_test(test_without_a_model_a_format_is_503_and_no_prose),
		cmocka_unit_test(test_a_refused_schema_names_its_field),
		cmocka_unit_test(test_a_call_streams_as_one_chunk_and_ends_apart),
		cmocka_unit_test(test_a_whole_answer_has_its_calls_and_no_content),
		cmocka_unit_test(test_a_call_for_the_person_is_not_kept),
		cmocka_unit_test(test_each_token_has_its_logprob),
		cmocka_unit_test(test_completions_have_them_in_the_older_shape),
		cmocka_unit_test(test_several_choices_share_a_prompt),
		cmocka_unit_test(test_what_is_not_to_be_stored_is_not_kept),
		cmocka_unit_test(test_a_forced_call_is_constrained_to_its_parameters),
		cmocka_unit_test(test_a_forced_call_is_as_the_model_writes_it),
		cmocka_unit_test(test_harmony_from_tools_to_a_call),
		cmocka_unit_test(test_strict_tools_hold_calls_and_leave_text_free),
		cmocka_unit_test(test_strict_tools_go_to_the_node_that_holds_calls),
		cmocka_unit_test(test_a_format_beside_tools_leaves_calls_possible),
		cmocka_unit_test(test_turns_with_tools_go_in),
		cmocka_unit_test(test_a_response_has_items),
		cmocka_unit_test(test_a_response_streams_its_events_in_order),
		cmocka_unit_test(test_responses_name_their_own_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
