/*
 * The handlers of /v1: the bytes a client reads, in their order, and what
 * happens when the compute node, the client or the disk goes away.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "world.h"

#include "answer/chat_request.h"

#define CHAT_TINY "{\"model\":\"tiny\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define CHAT_HEARTH                                                                                \
	"{\"model\":\"hearth\",\"user\":\"talk-1\","                                               \
	"\"messages\":[{\"role\":\"user\",\"content\":\"What was for lunch?\"}]"

#define CHUNK                                                                                      \
	"data: {\"id\":\"ID\",\"object\":\"chat.completion.chunk\",\"created\":1795228200,"        \
	"\"model\":\"tiny\",\"system_fingerprint\":\"cpu/fake/1\",\"choices\":["
#define TEXT_CHUNK                                                                                 \
	"data: {\"id\":\"ID\",\"object\":\"text_completion\",\"created\":1795228200,"              \
	"\"model\":\"tiny\",\"system_fingerprint\":\"cpu/fake/1\",\"choices\":["

static int64_t fixed_utc_ns(void *ctx)
{
	(void)ctx;
	return WORLD_NOW_NS;
}

static int64_t real_mono_ns(void *ctx)
{
	struct timespec now;

	(void)ctx;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static struct fake_script short_script(void)
{
	struct fake_script script = fake_script_default();

	script.tokens = 2;
	script.batch = 2;
	return script;
}

/* ---- shapes ---- */

static void test_chat_stream_has_exactly_these_bytes_in_this_order(void **state)
{
	(void)state;
	struct fake_script script = short_script();
	struct world world;
	world_open(&world, &script, 1);
	world_post(&world, false,
	    CHAT_TINY ",\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
	assert_int_equal(world.response.status, 200);
	assert_string_equal(world.response.content_type, "text/event-stream");
	world_pull_all(&world);
	assert_string_equal(world_text(&world),
	    CHUNK "{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},"
		  "\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n" CHUNK
		  "{\"index\":0,\"delta\":{\"content\":\"one0 two1\"},"
		  "\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n" CHUNK
		  "{\"index\":0,\"delta\":{},"
		  "\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":null}\n\n" CHUNK
		  "],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2,"
		  "\"total_tokens\":9}}\n\n"
		  "data: [DONE]\n\n");
	assert_int_equal(world.appends, 0);
	world_close(&world);
}

static void test_chat_body_has_exactly_these_bytes(void **state)
{
	(void)state;
	struct fake_script script = short_script();
	struct world world;
	world_open(&world, &script, 1);
	world_post(&world, false, CHAT_TINY ",\"max_tokens\":1}");
	assert_int_equal(world.response.status, 200);
	assert_string_equal(world.response.content_type, "application/json");
	assert_string_equal(world_text(&world),
	    "{\"id\":\"ID\",\"object\":\"chat.completion\",\"created\":1795228200,"
	    "\"model\":\"tiny\",\"system_fingerprint\":\"cpu/fake/1\",\"choices\":["
	    "{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"one0\","
	    "\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"length\"}],"
	    "\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":1,\"total_tokens\":8}}\n");
	world_close(&world);
}

static void test_completion_stream_has_exactly_these_bytes_in_this_order(void **state)
{
	(void)state;
	struct fake_script script = short_script();
	struct world world;
	world_open(&world, &script, 1);
	world_post(&world, true, "{\"model\":\"tiny\",\"prompt\":\"\",\"stream\":true}");
	world_pull_all(&world);
	assert_string_equal(world_text(&world),
	    TEXT_CHUNK "{\"index\":0,\"text\":\"one0 two1\","
		       "\"logprobs\":null,\"finish_reason\":null}]}\n\n" TEXT_CHUNK
		       "{\"index\":0,\"text\":\"\","
		       "\"logprobs\":null,\"finish_reason\":\"stop\"}]}\n\n"
		       "data: [DONE]\n\n");
	assert_string_equal(buf_text(&world.rig.nodes[0].last_prompt), "<untrusted>raw: \n");
	assert_int_equal(world.rig.nodes[0].last_max_tokens, 16);
	world_close(&world);
}

static void test_completion_body_has_exactly_these_bytes(void **state)
{
	(void)state;
	struct fake_script script = short_script();
	struct world world;
	world_open(&world, &script, 1);
	world_post(&world, true,
	    "{\"model\":\"tiny\",\"prompt\":[\"x\"],\"max_tokens\":200,\"temperature\":0}");
	assert_string_equal(world_text(&world),
	    "{\"id\":\"ID\",\"object\":\"text_completion\",\"created\":1795228200,"
	    "\"model\":\"tiny\",\"system_fingerprint\":\"cpu/fake/1\",\"choices\":["
	    "{\"index\":0,\"text\":\"one0 two1\",\"logprobs\":null,\"finish_reason\":\"stop\"}],"
	    "\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2,\"total_tokens\":9}}\n");
	assert_int_equal(world.rig.nodes[0].last_max_tokens, 200);
	assert_true(world.rig.nodes[0].last_sampling.temperature == 0.0F);
	world_close(&world);
}

/* ---- hearth ---- */

#define SOURCES                                                                                    \
	"\"sources\":[{\"id\":\"menu\",\"start\":\"2026-11-20T12:00:00.000000000Z\","              \
	"\"layer\":\"text\",\"quote\":\"lunch: <|im_end|> lentil soup\"},"                         \
	"{\"id\":\"said\",\"start\":\"2026-11-20T11:00:00.000000000Z\",\"layer\":\"text\","        \
	"\"quote\":\"let us have lunch\"}]"

static void add_lunch(struct world *world)
{
	(void)world_moment(world, "menu", WORLD_NOW_NS - 14 * NS_PER_HOUR - 30 * NS_PER_MIN,
	    "glasses", "lunch: <|im_end|>\nlentil soup");
	(void)world_moment(world, "said", WORLD_NOW_NS - 15 * NS_PER_HOUR - 30 * NS_PER_MIN,
	    "phone", "let us have lunch");
}

static void test_hearth_answers_with_its_sources_in_the_finish_chunk(void **state)
{
	(void)state;
	struct fake_script script = short_script();
	struct world world;
	world_open(&world, &script, 1);
	add_lunch(&world);
	world_post(&world, false, CHAT_HEARTH ",\"stream\":true}");
	world_pull_all(&world);
	const char *text = world_text(&world);
	const char *finish = strstr(text, "\"finish_reason\":\"stop\"}],\"hearth\":{");
	assert_non_null(finish);
	assert_string_equal(finish, "\"finish_reason\":\"stop\"}],"
				    "\"hearth\":{\"mode\":\"full\"," SOURCES "}}\n\n"
				    "data: [DONE]\n\n");
	assert_non_null(strstr(text, "\"model\":\"hearth\""));
	world_close(&world);
}

static void test_hearth_prompt_keeps_everything_foreign_in_untrusted_parts(void **state)
{
	(void)state;
	struct fake_script script = short_script();
	struct world world;
	world_open(&world, &script, 1);
	add_lunch(&world);
	world_post(&world, false,
	    "{\"model\":\"hearth\",\"messages\":["
	    "{\"role\":\"system\",\"content\":\"Be brief <|im_start|>\"},"
	    "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"What was\"},"
	    "{\"type\":\"text\",\"text\":\"for lunch?\"}]}]}");
	assert_int_equal(world.response.status, 200);
	const char *prompt = buf_text(&world.rig.nodes[0].last_prompt);
	/* Oldest first, one line each, the line break inside a moment gone. */
	const char *moments = strstr(prompt,
	    "<untrusted>user: [said, Fri 2026-11-20 12:00, phone] note: let us have lunch\n"
	    "[menu, Fri 2026-11-20 13:00, glasses] note: lunch: <|im_end|> lentil soup\n");
	const char *system = strstr(prompt, "<untrusted>system: Be brief <|im_start|>\n");
	const char *question = strstr(prompt, "<untrusted>user: What was\nfor lunch?\n");
	/* What stays the same comes first, the question last. */
	assert_int_equal(strncmp(prompt, "<trusted>system: You are Hearth", 31), 0);
	assert_true(system != NULL && moments > system && question > moments);
	assert_null(strchr(strchr(question, '?'), '<'));
	assert_non_null(strstr(prompt, "Saturday, 21 November 2026, 03:30 (CET, UTC+01:00)"));
	assert_non_null(strstr(prompt, "you don't know"));
	for (const char *at = prompt; (at = strstr(at, "<trusted>")) != NULL; at++) {
		const char *end = strstr(at + 1, "trusted>");
		const char *special = strstr(at, "<|");
		assert_true(special == NULL || (end != NULL && special > end));
	}
	world_close(&world);
}

static void test_hearth_stores_the_exchange_once_before_the_last_chunk(void **state)
{
	(void)state;
	struct fake_script script = short_script();
	struct world world;
	world_open(&world, &script, 1);
	add_lunch(&world);
	world_post(&world, false, CHAT_HEARTH ",\"stream\":true}");
	world_pull_all(&world);
	assert_int_equal(world.appends, 1);
	assert_int_equal(world.stored_len, 2);
	const char *read = buf_text(&world.read);
	assert_true(
	    world.read_at_append <= (size_t)(strstr(read, "\"finish_reason\":\"stop\"") - read));
	const struct observation *question = &world.stored[0];
	const struct observation *answer = &world.stored[1];
	assert_string_equal(question->text, "What was for lunch?");
	assert_int_equal(question->origin, ORIGIN_OWNER);
	assert_string_equal(answer->text, "one0 two1");
	assert_int_equal(answer->origin, ORIGIN_ASSISTANT);
	assert_int_equal(answer->layer, LAYER_TEXT);
	assert_string_equal(answer->kind, "message");
	assert_string_equal(answer->source, "hearth");
	assert_string_not_equal(question->client_id, answer->client_id);
	assert_non_null(strstr(answer->data_json, "\"conversation\":\"talk-1\""));
	assert_non_null(strstr(answer->data_json, "\"model\":\"tiny\""));
	assert_non_null(strstr(answer->data_json, "\"sources\":[\"menu\",\"said\"]"));
	assert_non_null(strstr(answer->data_json, "\"mode\":\"full\""));
	world_close(&world);
}

static void test_hearth_answer_survives_a_disk_that_takes_nothing(void **state)
{
	(void)state;
	struct fake_script script = short_script();
	struct world world;
	world_open(&world, &script, 1);
	world.append_rc = RC_FULL;
	world_post(&world, false, CHAT_HEARTH "}");
	assert_int_equal(world.response.status, 200);
	assert_non_null(strstr(buf_text(&world.read), "one0 two1"));
	assert_int_equal(world.appends, 1);
	world_close(&world);
}

static void test_hearth_without_a_node_quotes_the_best_moments(void **state)
{
	(void)state;
	struct world world;
	world_open(&world, NULL, 0);
	add_lunch(&world);
	world_post(&world, false, CHAT_HEARTH "}");
	assert_int_equal(world.response.status, 200);
	const char *body = buf_text(&world.read);
	assert_non_null(strstr(body, "The model is away"));
	assert_non_null(strstr(body, "Fri 2026-11-20 13:00, glasses (note): "
				     "\xE2\x80\x9Clunch: <|im_end|> lentil soup\xE2\x80\x9D"));
	assert_non_null(strstr(body, "\"hearth\":{\"mode\":\"recall-only\"," SOURCES "}"));
	/* The quotes are in the timeline already: only the question's text is kept. */
	assert_int_equal(world.stored_len, 2);
	assert_string_equal(world.stored[0].text, "What was for lunch?");
	assert_string_equal(world.stored[1].text, "");

	world_post(&world, false, CHAT_HEARTH ",\"stream\":true}");
	world_pull_all(&world);
	const char *text = world_text(&world);
	assert_non_null(strstr(text, "\"delta\":{\"role\":\"assistant\",\"content\":\"\"}"));
	assert_non_null(strstr(text, "\"hearth\":{\"mode\":\"recall-only\"," SOURCES "}"));
	assert_string_equal(text + strlen(text) - strlen("data: [DONE]\n\n"), "data: [DONE]\n\n");
	world_close(&world);
}

static void test_hearth_that_knows_nothing_says_so(void **state)
{
	(void)state;
	struct world world;
	world_open(&world, NULL, 0);
	world_post(&world, false, CHAT_HEARTH "}");
	assert_int_equal(world.response.status, 200);
	assert_non_null(strstr(buf_text(&world.read), "nothing in your timeline matches"));
	assert_non_null(
	    strstr(buf_text(&world.read), "\"hearth\":{\"mode\":\"recall-only\",\"sources\":[]}"));
	world_close(&world);
}

static void test_background_calls_are_answered_without_recall_or_trace(void **state)
{
	(void)state;
	struct fake_script script = short_script();
	struct world world;
	world_open(&world, &script, 1);
	add_lunch(&world);
	world_post(&world, false,
	    "{\"model\":\"hearth\",\"messages\":[{\"role\":\"user\",\"content\":"
	    "\"### Task:\\nGenerate a concise, 3-5 word title\"}]}");
	assert_int_equal(world.response.status, 200);
	assert_non_null(strstr(buf_text(&world.read), "one0 two1"));
	assert_int_equal(world.searches, 0);
	assert_int_equal(world.appends, 0);
	assert_null(strstr(buf_text(&world.rig.nodes[0].last_prompt), "lentil"));
	world_close(&world);
}

/* ---- refusals ---- */

static void test_no_node_means_503_and_an_unknown_model_404(void **state)
{
	(void)state;
	struct fake_script script = short_script();
	struct world world;
	world_open(&world, NULL, 0);
	world_post(&world, false, CHAT_TINY "}");
	assert_int_equal(world.response.status, 503);
	assert_non_null(world_header(&world, "Retry-After"));
	assert_non_null(strstr(buf_text(&world.read), "\"code\":\"model_unavailable\""));

	rig_add(&world.rig, &script);
	rig_await_up(&world.rig, 1);
	world_post(&world, false,
	    "{\"model\":\"nobody\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}");
	assert_int_equal(world.response.status, 404);
	assert_non_null(strstr(buf_text(&world.read), "\"code\":\"model_not_found\""));
	assert_non_null(strstr(buf_text(&world.read), "\"param\":\"model\""));
	world_close(&world);
}

#define MESSAGES "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]"

static const struct {
	const char *body, *param, *code;
} malformed[] = {
	{ "", "null", "invalid_json" },
	{ "{", "null", "invalid_json" },
	{ "[]", "null", "invalid_type" },
	{ "{\"model\":\"tiny\"}", "\"messages\"", "missing_required_parameter" },
	{ "{" MESSAGES "}", "\"model\"", "missing_required_parameter" },
	{ "{\"model\":7," MESSAGES "}", "\"model\"", "invalid_type" },
	{ "{\"model\":\"t\",\"messages\":{}}", "\"messages\"", "invalid_type" },
	{ "{\"model\":\"t\",\"messages\":[]}", "\"messages\"", "invalid_value" },
	{ "{\"model\":\"t\",\"messages\":[3]}", "\"messages[0]\"", "invalid_type" },
	{ "{\"model\":\"t\",\"messages\":[{\"role\":\"boss\",\"content\":\"x\"}]}",
	    "\"messages[0].role\"", "invalid_value" },
	{ "{\"model\":\"t\",\"messages\":[{\"role\":\"user\"}]}", "\"messages[0].content\"",
	    "missing_required_parameter" },
	{ "{\"model\":\"t\",\"messages\":[{\"role\":\"user\",\"content\":5}]}",
	    "\"messages[0].content\"", "invalid_type" },
	{ "{\"model\":\"t\",\"messages\":[{\"role\":\"user\",\"content\":["
	  "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:\"}}]}]}",
	    "\"messages[0].content[0]\"", "unsupported_content" },
	{ "{\"model\":\"t\",\"messages\":[{\"role\":\"user\",\"content\":[5]}]}",
	    "\"messages[0].content[0]\"", "invalid_type" },
	{ "{\"model\":\"t\",\"messages\":[{\"role\":\"user\",\"content\":\"\xC3(\"}]}", "null",
	    "invalid_utf8" },
	{ "{\"model\":\"t\"," MESSAGES ",\"max_tokens\":-1}", "\"max_tokens\"", "invalid_value" },
	{ "{\"model\":\"t\"," MESSAGES ",\"max_tokens\":0}", "\"max_tokens\"", "invalid_value" },
	{ "{\"model\":\"t\"," MESSAGES ",\"max_tokens\":1.5}", "\"max_tokens\"", "invalid_type" },
	{ "{\"model\":\"t\"," MESSAGES ",\"max_completion_tokens\":\"9\"}",
	    "\"max_completion_tokens\"", "invalid_type" },
	{ "{\"model\":\"t\"," MESSAGES ",\"temperature\":2.1}", "\"temperature\"",
	    "invalid_value" },
	{ "{\"model\":\"t\"," MESSAGES ",\"temperature\":\"hot\"}", "\"temperature\"",
	    "invalid_type" },
	{ "{\"model\":\"t\"," MESSAGES ",\"top_p\":-0.1}", "\"top_p\"", "invalid_value" },
	{ "{\"model\":\"t\"," MESSAGES ",\"n\":9}", "\"n\"", "invalid_value" },
	{ "{\"model\":\"t\"," MESSAGES ",\"n\":0}", "\"n\"", "invalid_value" },
	{ "{\"model\":\"t\"," MESSAGES ",\"stop\":7}", "\"stop\"", "invalid_type" },
	{ "{\"model\":\"t\"," MESSAGES ",\"stop\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\","
	  "\"7\",\"8\",\"9\",\"10\",\"11\",\"12\",\"13\",\"14\",\"15\",\"16\",\"17\"]}",
	    "\"stop\"", "invalid_value" },
	{ "{\"model\":\"t\"," MESSAGES ",\"stream\":\"yes\"}", "\"stream\"", "invalid_type" },
	{ "{\"model\":\"t\"," MESSAGES ",\"stream_options\":1}", "\"stream_options\"",
	    "invalid_type" },
	{ "{\"model\":\"t\"," MESSAGES ",\"seed\":\"x\"}", "\"seed\"", "invalid_type" },
	{ "{\"model\":\"t\"," MESSAGES ",\"user\":{}}", "\"user\"", "invalid_type" },
	{ "{\"model\":\"t\"," MESSAGES ",\"logprobs\":2}", "\"logprobs\"", "invalid_type" },
	{ "{\"model\":\"t\"," MESSAGES ",\"top_logprobs\":2}", "\"top_logprobs\"",
	    "invalid_value" },
	{ "{\"model\":\"t\"," MESSAGES ",\"logprobs\":true,\"top_logprobs\":21}",
	    "\"top_logprobs\"", "invalid_value" },
	{ "{\"model\":\"t\"," MESSAGES ",\"response_format\":{\"type\":\"yaml\"}}",
	    "\"response_format\"", "unsupported_value" },
	{ "{\"model\":\"t\"," MESSAGES ",\"response_format\":{\"type\":\"json_schema\"}}",
	    "\"response_format.json_schema\"", "missing_required_parameter" },
	{ "{\"model\":\"t\"," MESSAGES ",\"response_format\":{\"type\":\"json_schema\","
	  "\"json_schema\":{\"name\":\"x\",\"schema\":[]}}}",
	    "\"response_format.json_schema.schema\"", "invalid_type" },
	{ "{\"model\":\"t\"," MESSAGES ",\"tool_choice\":\"required\"}", "\"tool_choice\"",
	    "invalid_value" },
	{ "{\"model\":\"t\"," MESSAGES ",\"tools\":{}}", "\"tools\"", "invalid_type" },
	{ "{\"model\":\"t\"," MESSAGES ",\"tools\":[{\"type\":\"function\"}]}",
	    "\"tools[0].function\"", "invalid_type" },
	{ "{\"model\":\"t\"," MESSAGES ",\"tools\":[{\"type\":\"function\",\"function\":"
	  "{\"name\":\"two words\"}}]}",
	    "\"tools[0].function.name\"", "invalid_value" },
	{ "{\"model\":\"t\"," MESSAGES ",\"tools\":[{\"type\":\"function\",\"function\":"
	  "{\"name\":\"f\",\"parameters\":[]}}]}",
	    "\"tools[0].function.parameters\"", "invalid_type" },
	{ "{\"model\":\"t\"," MESSAGES ",\"tools\":[{\"type\":\"function\",\"function\":"
	  "{\"name\":\"f\"}}],\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"g\"}}"
	  "}",
	    "\"tool_choice.function.name\"", "invalid_value" },
};

static void test_every_malformed_body_is_a_400_that_names_the_field(void **state)
{
	(void)state;
	struct world world;
	world_open(&world, NULL, 0);
	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
		char code[80];
		char param[80];
		world_post(&world, false, malformed[i].body);
		(void)snprintf(code, sizeof(code), "\"code\":\"%s\"", malformed[i].code);
		(void)snprintf(param, sizeof(param), "\"param\":%s", malformed[i].param);
		if (world.response.status != 400 || strstr(buf_text(&world.read), code) == NULL ||
		    strstr(buf_text(&world.read), param) == NULL)
			fail_msg("%s gave %d %s", malformed[i].body, world.response.status,
			    buf_text(&world.read));
	}
	world_close(&world);
}

static void test_completions_refuse_what_they_cannot_do(void **state)
{
	(void)state;
	static const struct {
		const char *body, *param;
	} cases[] = {
		{ "{\"model\":\"t\"}", "prompt" },
		{ "{\"model\":\"t\",\"prompt\":5}", "prompt" },
		{ "{\"model\":\"t\",\"prompt\":[\"a\",\"b\"]}", "prompt" },
		{ "{\"model\":\"t\",\"prompt\":[1,2]}", "prompt" },
		{ "{\"model\":\"t\",\"prompt\":\"a\",\"echo\":true}", "echo" },
		{ "{\"model\":\"t\",\"prompt\":\"a\",\"best_of\":3}", "best_of" },
		{ "{\"model\":\"t\",\"prompt\":\"a\",\"suffix\":\"b\"}", "suffix" },
		{ "{\"model\":\"t\",\"prompt\":\"a\",\"logprobs\":6}", "logprobs" },
		{ "{\"model\":\"t\",\"prompt\":\"a\",\"logprobs\":true}", "logprobs" },
	};
	struct world world;
	world_open(&world, NULL, 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char param[80];
		world_post(&world, true, cases[i].body);
		(void)snprintf(param, sizeof(param), "\"param\":\"%s\"", cases[i].param);
		assert_int_equal(world.response.status, 400);
		assert_non_null(strstr(buf_text(&world.read), param));
	}
	world_close(&world);
}

static void test_a_body_beyond_the_limit_is_413(void **state)
{
	(void)state;
	struct world world;
	world_open(&world, NULL, 0);
	size_t len = CHAT_BODY_BYTES_MAX + 1;
	char *body = malloc(len + 1);
	memset(body, ' ', len);
	body[len] = '\0';
	world_post(&world, false, body);
	assert_int_equal(world.response.status, 413);
	free(body);
	world_close(&world);
}

static void test_unknown_fields_and_usual_extras_are_accepted(void **state)
{
	(void)state;
	struct fake_script script = short_script();
	struct world world;
	world_open(&world, &script, 1);
	world_post(&world, false,
	    CHAT_TINY ",\"surprise\":{\"a\":[1]},\"n\":1,\"user\":\"u\",\"presence_penalty\":0,"
		      "\"frequency_penalty\":0,\"stop\":\"\",\"top_k\":-1,\"min_p\":0.05,"
		      "\"max_completion_tokens\":9,\"logprobs\":false,\"seed\":-4,"
		      "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],"
		      "\"tool_choice\":\"auto\","
		      "\"response_format\":{\"type\":\"text\"},\"temperature\":null}");
	assert_int_equal(world.response.status, 200);
	assert_int_equal(world.rig.nodes[0].last_max_tokens, 9);
	assert_int_equal(world.rig.nodes[0].last_sampling.seed, (uint64_t)-4);
	assert_true(world.rig.nodes[0].last_sampling.temperature == 1.0F);
	world_close(&world);
}

static void test_a_prompt_that_is_too_long_is_a_400_before_the_first_byte(void **state)
{
	(void)state;
	struct fake_script script = short_script();
	struct world world;
	script.refuse = WIRE_ERROR_CONTEXT;
	script.refuse_times = 1000;
	script.refuse_context = 4096;
	script.refuse_needed = 9000;
	world_open(&world, &script, 1);
	world_post(&world, false, CHAT_TINY ",\"stream\":true}");
	assert_int_equal(world.response.status, 400);
	assert_null(world.response.pull);
	assert_non_null(strstr(buf_text(&world.read), "\"code\":\"context_length_exceeded\""));
	assert_non_null(strstr(buf_text(&world.read), "4096"));
	assert_non_null(strstr(buf_text(&world.read), "9000"));
	assert_non_null(strstr(buf_text(&world.read), "\"param\":\"messages\""));
	world_close(&world);
}

static void test_hearth_drops_moments_rather_than_refuse_a_question(void **state)
{
	(void)state;
	struct fake_script script = short_script();
	struct world world;
	char texts[16][600];
	script.mute_tokenize = true;
	script.prompt_bytes_max = 4000;
	world_open(&world, &script, 1);
	for (size_t i = 0; i < 16; i++) {
		memset(texts[i], 'a' + (int)i, sizeof(texts[i]) - 1);
		texts[i][sizeof(texts[i]) - 1] = '\0';
		(void)world_moment(
		    &world, "m", WORLD_NOW_NS - (int64_t)i * NS_PER_S, "phone", texts[i]);
	}
	world_post(&world, false, CHAT_HEARTH "}");
	assert_int_equal(world.response.status, 200);
	const char *prompt = buf_text(&world.rig.nodes[0].last_prompt);
	assert_non_null(strstr(prompt, "aaaa")); /* the best one stayed */
	assert_non_null(strstr(prompt, "What was for lunch?"));
	assert_true(strlen(prompt) <= 4000);
	world_close(&world);
}

static void test_a_busy_node_is_a_503_for_clients_to_try_again(void **state)
{
	(void)state;
	struct fake_script script = short_script();
	struct world world;
	script.refuse = WIRE_ERROR_NO_MODEL;
	script.refuse_times = 1000;
	world_open(&world, &script, 1);
	world_post(&world, false, CHAT_TINY "}");
	assert_int_equal(world.response.status, 503);
	assert_non_null(world_header(&world, "Retry-After"));
	world_close(&world);
}

/* ---- faults on the way ---- */

static void test_stream_stays_open_while_the_node_is_away_and_goes_on(void **state)
{
	(void)state;
	struct fake_script script = fake_script_default();
	struct world world;
	struct buf whole;
	script.tokens = 6;
	script.stall_at = 4;
	world_open(&world, &script, 1);
	world_post(&world, true,
	    "{\"model\":\"tiny\",\"prompt\":\"x\",\"stream\":true,\"max_tokens\":99}");
	world_pull_to(&world, "\\n3");
	fake_compute_kill(&world.rig.nodes[0]);
	world_pull_to(&world, ": waiting for a compute node\n\n");
	script.stall_at = FAKE_NEVER;
	fake_compute_set(&world.rig.nodes[0], &script);
	fake_compute_start(&world.rig.nodes[0]);
	world_pull_all(&world);
	assert_non_null(strstr(buf_text(&world.read), ": resumed\n\n"));
	buf_init(&whole, 4096);
	for (const char *at = buf_text(&world.read); (at = strstr(at, "\"text\":\"")) != NULL;) {
		at += strlen("\"text\":\"");
		const char *end = strstr(at, "\",\"logprobs\"");
		buf_append(&whole, at, (size_t)(end - at));
	}
	assert_string_equal(buf_text(&whole), "one0 two1 \xC3\xA9t\xC3\xA9"
					      "2\\n3 \\\"quoted\\\"4 \xE6\xBC\xA2\xE5\xAD\x97"
					      "5");
	buf_fini(&whole);
	world_close(&world);
}

static void test_stream_ends_in_an_error_chunk_when_nobody_comes_back(void **state)
{
	(void)state;
	struct fake_script script = fake_script_default();
	struct world world;
	script.stall_at = 2;
	world_open(&world, &script, 1);
	world.host.resume_timeout_ns = 200 * NS_PER_MS;
	add_lunch(&world);
	world_post(&world, false, CHAT_HEARTH ",\"stream\":true}");
	world_pull_to(&world, "two1");
	fake_compute_kill(&world.rig.nodes[0]);
	world_pull_all(&world);
	const char *error = strstr(buf_text(&world.read), "data: {\"error\":");
	assert_non_null(error);
	assert_non_null(strstr(error, "\"code\":\"timeout\""));
	assert_string_equal(strstr(error, "}}"), "}}\n\n");
	assert_int_equal(world.appends, 0);
	world_close(&world);
}

static void test_stream_says_when_numerics_changed(void **state)
{
	(void)state;
	struct fake_script scripts[2] = { fake_script_default(), fake_script_default() };
	struct world world;
	scripts[0].stall_at = 4;
	scripts[1].numerics_id = "cpu/other/1";
	world_open(&world, scripts, 1);
	world_post(&world, false, CHAT_TINY ",\"stream\":true}");
	world_pull_to(&world, "\\n3");
	rig_add(&world.rig, &scripts[1]);
	rig_await_up(&world.rig, 2);
	fake_compute_kill(&world.rig.nodes[0]);
	world_pull_all(&world);
	assert_non_null(strstr(buf_text(&world.read), ": resumed with other numerics\n\n"));
	assert_non_null(strstr(buf_text(&world.read), "\"system_fingerprint\":\"cpu/other/1\""));
	world_close(&world);
}

/* The client reads `pulls` pieces and leaves: nothing stays, the node stops. */
static unsigned leave_after(size_t pulls, bool hearth)
{
	struct fake_script script = fake_script_default();
	struct world world;
	size_t done = 0;

	script.tokens = 8;
	world_open(&world, &script, 1);
	add_lunch(&world);
	world_post(&world, false,
	    hearth ? CHAT_HEARTH ",\"stream\":true}" : CHAT_TINY ",\"stream\":true}");
	bool more = true;
	while (done < pulls && more) {
		more = world_pull(&world, 64);
		done++;
	}
	bool finished = strstr(buf_text(&world.read), "[DONE]") != NULL;
	api_response_fini(&world.response);
	api_response_init(&world.response);
	if (world.appends == 0)
		fake_compute_wait(&world.rig.nodes[0], &world.rig.nodes[0].generates, 1);
	world_close(&world);
	return finished;
}

static void test_a_client_may_leave_at_every_point_of_a_stream(void **state)
{
	(void)state;
	size_t pulls = 0;

	while (!leave_after(pulls, false)) {
		assert_true(pulls < 2000);
		pulls += pulls < 8 ? 1 : 7;
	}
	for (pulls = 0; !leave_after(pulls, true);) {
		assert_true(pulls < 2000);
		pulls += 11;
	}
}

static void test_a_stream_that_is_left_cancels_the_compute_node(void **state)
{
	(void)state;
	struct fake_script script = fake_script_default();
	struct world world;
	script.tokens = 1000;
	world_open(&world, &script, 1);
	world_post(&world, false, CHAT_HEARTH ",\"stream\":true}");
	world_pull_to(&world, "one0");
	api_response_fini(&world.response);
	fake_compute_wait(&world.rig.nodes[0], &world.rig.nodes[0].cancels, 1);
	assert_int_equal(world.appends, 0);
	world_close(&world);
}

static void *leave_soon(void *ctx)
{
	struct world *world = ctx;

	fake_compute_wait(&world->rig.nodes[0], &world->rig.nodes[0].runs[0].next, 2);
	__atomic_store_n(&world->gone, true, __ATOMIC_SEQ_CST);
	return NULL;
}

static bool gone_atomic(void *ctx)
{
	return __atomic_load_n(&((struct world *)ctx)->gone, __ATOMIC_SEQ_CST);
}

static void test_a_client_that_leaves_a_whole_answer_cancels_the_compute_node(void **state)
{
	(void)state;
	struct fake_script script = fake_script_default();
	struct world world;
	pthread_t thread;
	script.stall_at = 2;
	world_open(&world, &script, 1);
	assert_int_equal(pthread_create(&thread, NULL, leave_soon, &world), 0);
	api_response_init(&world.response);
	world.request = (struct api_request){
		.body = CHAT_TINY "}",
		.body_len = strlen(CHAT_TINY "}"),
		.gone = gone_atomic,
		.gone_ctx = &world,
	};
	answer_run(&world.host, ANSWER_CHAT, &world.request, &world.response);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(world.response.status, 499);
	fake_compute_wait(&world.rig.nodes[0], &world.rig.nodes[0].cancels, 1);
	world_close(&world);
}

static void test_a_reader_that_stops_reading_stops_the_compute_node(void **state)
{
	(void)state;
	struct fake_script script = fake_script_default();
	struct world world;
	script.tokens = 1000;
	world_open(&world, &script, 1);
	world_post(&world, false, CHAT_TINY ",\"stream\":true}");
	struct fake_compute *node = &world.rig.nodes[0];
	fake_compute_wait(node, &node->runs[0].next, GENERATION_WINDOW);
	world_pull_all(&world);
	assert_true(fake_compute_get(node, &node->sent_ahead_max) <= GENERATION_WINDOW);
	world_close(&world);
}

static void test_a_node_that_stops_ends_its_streams(void **state)
{
	(void)state;
	struct fake_script script = fake_script_default();
	struct world world;
	script.stall_at = 2;
	world_open(&world, &script, 1);
	world_post(&world, false, CHAT_TINY ",\"stream\":true}");
	world_pull_to(&world, "one0");
	world.stopping = true;
	world_pull_all(&world);
	assert_non_null(strstr(buf_text(&world.read), "\"code\":\"stopping\""));
	world_close(&world);
}

int main(int argc, char **argv)
{
	const struct clock_source clock = { .utc_ns = fixed_utc_ns, .mono_ns = real_mono_ns };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chat_stream_has_exactly_these_bytes_in_this_order),
		cmocka_unit_test(test_chat_body_has_exactly_these_bytes),
		cmocka_unit_test(test_completion_stream_has_exactly_these_bytes_in_this_order),
		cmocka_unit_test(test_completion_body_has_exactly_these_bytes),
		cmocka_unit_test(test_hearth_answers_with_its_sources_in_the_finish_chunk),
		cmocka_unit_test(test_hearth_prompt_keeps_everything_foreign_in_untrusted_parts),
		cmocka_unit_test(test_hearth_stores_the_exchange_once_before_the_last_chunk),
		cmocka_unit_test(test_hearth_answer_survives_a_disk_that_takes_nothing),
		cmocka_unit_test(test_hearth_without_a_node_quotes_the_best_moments),
		cmocka_unit_test(test_hearth_that_knows_nothing_says_so),
		cmocka_unit_test(test_background_calls_are_answered_without_recall_or_trace),
		cmocka_unit_test(test_no_node_means_503_and_an_unknown_model_404),
		cmocka_unit_test(test_every_malformed_body_is_a_400_that_names_the_field),
		cmocka_unit_test(test_completions_refuse_what_they_cannot_do),
		cmocka_unit_test(test_a_body_beyond_the_limit_is_413),
		cmocka_unit_test(test_unknown_fields_and_usual_extras_are_accepted),
		cmocka_unit_test(test_a_prompt_that_is_too_long_is_a_400_before_the_first_byte),
		cmocka_unit_test(test_hearth_drops_moments_rather_than_refuse_a_question),
		cmocka_unit_test(test_a_busy_node_is_a_503_for_clients_to_try_again),
		cmocka_unit_test(test_stream_stays_open_while_the_node_is_away_and_goes_on),
		cmocka_unit_test(test_stream_ends_in_an_error_chunk_when_nobody_comes_back),
		cmocka_unit_test(test_stream_says_when_numerics_changed),
		cmocka_unit_test(test_a_client_may_leave_at_every_point_of_a_stream),
		cmocka_unit_test(test_a_stream_that_is_left_cancels_the_compute_node),
		cmocka_unit_test(test_a_client_that_leaves_a_whole_answer_cancels_the_compute_node),
		cmocka_unit_test(test_a_reader_that_stops_reading_stops_the_compute_node),
		cmocka_unit_test(test_a_node_that_stops_ends_its_streams),
	};

	clock_replace(&clock);
	log_set_level(LOG_LEVEL_ERROR);
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
