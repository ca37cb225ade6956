/* Prompts: rendering, trust, limits, with the vocabulary of a tiny model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/model.h"
#include "serve/prompt.h"
#include "tiny_gguf.h"

static struct model *model;
static const struct tokenizer *tokenizer;
static char path[64] = "/tmp/hearth-prompt-XXXXXX";
static struct prompt_model prompts = { .n_vocab = 300, .n_ctx = 256 };

static int setup(void **state)
{
	(void)state;
	int fd = mkstemp(path);
	if (fd < 0 || close(fd) != 0 ||
	    tiny_gguf_write(path, &(struct tiny_gguf){ .seed = 1 }, NULL) != RC_OK ||
	    model_open(path, &model, NULL) != RC_OK)
		return -1;
	tokenizer = model_tokenizer(model);
	prompts.tokenizer = tokenizer;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	model_close(model);
	return unlink(path);
}

static struct wire_part part(const char *text, bool trusted)
{
	return (struct wire_part){
		.data = (const uint8_t *)text, .data_len = strlen(text), .trusted = trusted
	};
}

/* What the ids say, control tokens included. */
static void text_of(const struct tokens *tokens, char out[1024])
{
	size_t len = 0;

	for (size_t i = 0; i < tokens->len; i++)
		len += tokenizer_piece(tokenizer, tokens->ids[i], true, out + len, 1023 - len);
	out[len] = '\0';
}

static size_t count_id(const struct tokens *tokens, int32_t id)
{
	size_t n = 0;

	for (size_t i = 0; i < tokens->len; i++)
		n += tokens->ids[i] == id;
	return n;
}

static enum rc build(const struct wire_generate *generate, struct tokens *out, struct errmsg *why)
{
	const char *template_name = NULL;
	uint64_t needed = 0;

	errmsg_reset(why);
	return prompt_build(&prompts, generate, out, &template_name, &needed, why);
}

static struct wire_generate chat_of(const struct wire_chat_message *messages, size_t len)
{
	return (struct wire_generate){ .messages = messages,
		.messages_len = len,
		.add_generation_prompt = true,
		.tools_json = "" };
}

static void test_raw_parts_join_into_one_text(void **state)
{
	(void)state;
	struct tokens joined = { .len = 0 }, whole = { .len = 0 };
	struct errmsg why;
	const struct wire_part split[] = { part("the d", false), part("ay was", false) };
	const struct wire_part one[] = { part("the day was", false) };
	const struct wire_generate a = { .raw = split, .raw_len = 2, .tools_json = "" };
	const struct wire_generate b = { .raw = one, .raw_len = 1, .tools_json = "" };
	assert_int_equal(build(&a, &joined, &why), RC_OK);
	assert_int_equal(build(&b, &whole, &why), RC_OK);
	assert_int_equal(joined.len, whole.len);
	assert_memory_equal(joined.ids, whole.ids, whole.len * sizeof(whole.ids[0]));
	assert_int_equal(whole.ids[0], TINY_GGUF_BOS);
	tokens_free(&joined);
	tokens_free(&whole);
}

static void test_an_empty_raw_prompt_is_the_start_token_alone(void **state)
{
	(void)state;
	struct tokens out = { .len = 0 };
	struct errmsg why;
	const struct wire_part nothing = part("", false);
	const struct wire_generate generate = { .raw = &nothing, .raw_len = 1, .tools_json = "" };
	assert_int_equal(build(&generate, &out, &why), RC_OK);
	assert_int_equal(out.len, 1);
	assert_int_equal(out.ids[0], TINY_GGUF_BOS);
	tokens_free(&out);
}

static void test_special_tokens_are_parsed_in_trusted_parts_only(void **state)
{
	(void)state;
	struct tokens out = { .len = 0 };
	struct errmsg why;
	const struct wire_part mixed[] = { part("a" TINY_GGUF_CONTROL_TEXT, false),
		part(TINY_GGUF_CONTROL_TEXT, true), part(TINY_GGUF_CONTROL_TEXT "b", false) };
	const struct wire_generate generate = { .raw = mixed, .raw_len = 3, .tools_json = "" };
	assert_int_equal(build(&generate, &out, &why), RC_OK);
	assert_int_equal(count_id(&out, TINY_GGUF_CONTROL), 1);
	tokens_free(&out);
}

static void test_marks_cannot_be_put_together_from_two_untrusted_parts_and_words(void **state)
{
	(void)state;
	struct tokens out = { .len = 0 };
	struct errmsg why;
	const struct wire_part halves[] = { part("<|ma", false), part("rk|>", false) };
	const struct wire_part straddle[] = { part("<|ma", true), part("rk|>", false) };
	const struct wire_chat_message messages[] = {
		{ .role = "user",
		    .parts = halves,
		    .parts_len = 2,
		    .name = TINY_GGUF_CONTROL_TEXT,
		    .tool_calls_json = "" },
		{ .role = "assistant",
		    .parts = straddle,
		    .parts_len = 2,
		    .name = "",
		    .tool_calls_json = "" },
	};
	const struct wire_generate generate = chat_of(messages, 2);
	assert_int_equal(build(&generate, &out, &why), RC_OK);
	assert_int_equal(count_id(&out, TINY_GGUF_CONTROL), 0);
	assert_int_equal(count_id(&out, TINY_GGUF_EOS), 0);
	tokens_free(&out);
}

static void test_the_plain_template_has_a_readable_line_for_each_role(void **state)
{
	(void)state;
	struct tokens out = { .len = 0 };
	struct errmsg why;
	char text[1024];
	const struct wire_part words[] = { part("one", true), part("two", false),
		part("three", false), part("four", false) };
	static const char *const roles[] = { "system", "user", "assistant", "tool" };
	struct wire_chat_message messages[4];
	for (size_t i = 0; i < 4; i++)
		messages[i] = (struct wire_chat_message){ .role = roles[i],
			.parts = &words[i],
			.parts_len = 1,
			.name = "",
			.tool_calls_json = "" };
	struct wire_generate generate = chat_of(messages, 4);
	assert_int_equal(build(&generate, &out, &why), RC_OK);
	text_of(&out, text);
	assert_non_null(strstr(
	    text, "System: one\n\nUser: two\n\nAssistant: three\n\nTool: four\n\nAssistant:"));
	tokens_free(&out);
	/* Without the generation prompt the last message may be continued. */
	generate.add_generation_prompt = false;
	assert_int_equal(build(&generate, &out, &why), RC_OK);
	text_of(&out, text);
	assert_string_equal(text + strlen(text) - strlen("Tool: four"), "Tool: four");
	tokens_free(&out);
}

static void test_names_and_lengths_have_limits(void **state)
{
	(void)state;
	struct tokens out = { .len = 0 };
	struct errmsg why;
	char name[200] = { 0 };
	const struct wire_part word = part("x", false);
	struct wire_chat_message message = {
		.role = "user", .parts = &word, .parts_len = 1, .name = name, .tool_calls_json = ""
	};
	struct wire_generate generate = chat_of(&message, 1);
	memset(name, 'n', sizeof(name) - 1);
	assert_int_equal(build(&generate, &out, &why), RC_LIMIT);
	assert_non_null(strstr(why.text, "messages[0].name"));
	assert_null(strstr(why.text, "nnn"));
	tokens_free(&out);
}

static void test_tools_are_refused_rather_than_dropped(void **state)
{
	(void)state;
	struct tokens out = { .len = 0 };
	struct errmsg why;
	const struct wire_part word = part("x", false);
	struct wire_chat_message message = {
		.role = "user", .parts = &word, .parts_len = 1, .name = "", .tool_calls_json = ""
	};
	struct wire_generate generate = chat_of(&message, 1);
	generate.tools_json = "[]";
	assert_int_equal(build(&generate, &out, &why), RC_UNSUPPORTED);
	assert_non_null(strstr(why.text, "tools_json"));
	generate.tools_json = "";
	message.tool_calls_json = "[{}]";
	assert_int_equal(build(&generate, &out, &why), RC_UNSUPPORTED);
	assert_non_null(strstr(why.text, "tool_calls_json"));
	tokens_free(&out);
}

static void test_any_bytes_of_a_part_come_back_from_its_ids(void **state)
{
	(void)state;
	struct tokens out = { .len = 0 };
	uint32_t counts[1];
	struct errmsg why = ERRMSG_INIT;
	char text[1024];
	const struct wire_part odd =
	    part("\x01 tab\t \xf0\x9f\x8c\x9f \xe4\xb8\xad <s> </s>", false);
	assert_int_equal(prompt_tokenize(tokenizer, &odd, 1, false, &out, counts, &why), RC_OK);
	assert_int_equal(counts[0], out.len);
	text_of(&out, text);
	assert_non_null(strstr(text, (const char *)odd.data));
	assert_int_equal(count_id(&out, TINY_GGUF_EOS) + count_id(&out, TINY_GGUF_BOS), 0);
	tokens_free(&out);
}

/* A template in the style that published models use. */
static const char turns[] =
    "{{ bos_token }}{% for m in messages %}" TINY_GGUF_CONTROL_TEXT "{{ m.role }}: {{ m.content }}"
    "{% if m.tool_calls is defined %}{{ m.tool_calls[0].function.arguments.city }}{% endif %}\n"
    "{% endfor %}{% if tools is defined %}{{ tools[0].name }}{% endif %}"
    "{% if add_generation_prompt %}" TINY_GGUF_CONTROL_TEXT "assistant: {% endif %}";

static enum rc build_with(const char *source, const struct wire_generate *generate,
    struct tokens *out, const char **name, struct errmsg *why)
{
	struct template *template = NULL;
	struct prompt_model model_now = prompts;
	uint64_t needed = 0;

	errmsg_reset(why);
	assert_int_equal(template_compile(source, strlen(source), &template, why), RC_OK);
	model_now.template = template;
	enum rc rc = prompt_build(&model_now, generate, out, name, &needed, why);
	template_free(template);
	return rc;
}

static void test_a_models_own_template_renders_its_chats(void **state)
{
	(void)state;
	struct tokens out = { .len = 0 };
	struct errmsg why;
	const char *name = NULL;
	char text[1024];
	const struct wire_part words[] = { part("hi " TINY_GGUF_CONTROL_TEXT " the", false),
		part("day", false) };
	const struct wire_chat_message message = { .role = "user",
		.parts = words,
		.parts_len = 2,
		.name = "",
		.tool_call_id = "",
		.tool_calls_json =
		    "[{\"function\":{\"arguments\":\"{\\\"city\\\":\\\"Rom\\\"}\"}}]" };
	struct wire_generate generate = chat_of(&message, 1);
	generate.tools_json = "[{\"name\":\"clock\"}]";
	generate.now_zone = "";
	assert_int_equal(build_with(turns, &generate, &out, &name, &why), RC_OK);
	assert_string_equal(name, "gguf");
	/* Once at the start, though model and template both put it there. */
	assert_int_equal(out.ids[0], TINY_GGUF_BOS);
	assert_int_equal(count_id(&out, TINY_GGUF_BOS), 1);
	/* Two marks of the template, none of the one that was typed. */
	assert_int_equal(count_id(&out, TINY_GGUF_CONTROL), 2);
	text_of(&out, text);
	assert_non_null(strstr(text, "user: hi " TINY_GGUF_CONTROL_TEXT " theday"));
	assert_non_null(strstr(text, "Romclock" TINY_GGUF_CONTROL_TEXT " assistant: "));
	tokens_free(&out);
}

static void test_what_a_template_refuses_is_invalid_and_broken_json_is_named(void **state)
{
	(void)state;
	struct tokens out = { .len = 0 };
	struct errmsg why;
	const char *name = NULL;
	const struct wire_part word = part("x", false);
	struct wire_chat_message message = { .role = "user",
		.parts = &word,
		.parts_len = 1,
		.name = "",
		.tool_call_id = "",
		.tool_calls_json = "" };
	struct wire_generate generate = chat_of(&message, 1);
	generate.now_zone = "+02:00";
	assert_int_equal(
	    build_with("{{ raise_exception('no') }}", &generate, &out, &name, &why), RC_INVALID);
	message.tool_calls_json = "{";
	assert_int_equal(build_with(turns, &generate, &out, &name, &why), RC_INVALID);
	assert_non_null(strstr(why.text, "messages[0].tool_calls_json"));
	message.tool_calls_json = "";
	generate.tools_json = "7";
	assert_int_equal(build_with(turns, &generate, &out, &name, &why), RC_INVALID);
	assert_non_null(strstr(why.text, "tools_json"));
	tokens_free(&out);
}

static void test_a_template_prints_the_persons_date(void **state)
{
	(void)state;
	struct tokens out = { .len = 0 };
	struct errmsg why;
	const char *name = NULL;
	char text[1024];
	const struct wire_part word = part("x", false);
	const struct wire_chat_message message = { .role = "user",
		.parts = &word,
		.parts_len = 1,
		.name = "",
		.tool_call_id = "",
		.tool_calls_json = "" };
	struct wire_generate generate = chat_of(&message, 1);
	generate.now_utc_ns = INT64_C(1700000000) * 1000000000 + INT64_C(3600000000000);
	static const char *const zones[] = { "+02:00", "-10:00", "Europe/Berlin", "" };
	static const char *const days[] = { "15 01", "14 13", "14 23", "14 23" };
	for (size_t i = 0; i < 4; i++) {
		generate.now_zone = zones[i];
		assert_int_equal(
		    build_with("{{ strftime_now('%d %H') }}", &generate, &out, &name, &why), RC_OK);
		text_of(&out, text);
		assert_non_null(strstr(text, days[i]));
		tokens_free(&out);
	}
}

/* Where trust changes, words stay whole: the ids are those of the plain text. */
static void test_trust_does_not_split_words(void **state)
{
	(void)state;
	struct tokens mixed = { .len = 0 }, plain = { .len = 0 };
	struct errmsg why;
	const struct wire_part parts[] = { part("he", true), part(" t", false), part("he d", true),
		part("ay", false) };
	const struct wire_part whole = part("he the day", false);
	const struct wire_generate a = { .raw = parts, .raw_len = 4, .tools_json = "" };
	const struct wire_generate b = { .raw = &whole, .raw_len = 1, .tools_json = "" };
	assert_int_equal(build(&a, &mixed, &why), RC_OK);
	assert_int_equal(build(&b, &plain, &why), RC_OK);
	assert_int_equal(mixed.len, plain.len);
	assert_memory_equal(mixed.ids, plain.ids, plain.len * sizeof(plain.ids[0]));
	tokens_free(&mixed);
	tokens_free(&plain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_raw_parts_join_into_one_text),
		cmocka_unit_test(test_an_empty_raw_prompt_is_the_start_token_alone),
		cmocka_unit_test(test_special_tokens_are_parsed_in_trusted_parts_only),
		cmocka_unit_test(
		    test_marks_cannot_be_put_together_from_two_untrusted_parts_and_words),
		cmocka_unit_test(test_the_plain_template_has_a_readable_line_for_each_role),
		cmocka_unit_test(test_names_and_lengths_have_limits),
		cmocka_unit_test(test_tools_are_refused_rather_than_dropped),
		cmocka_unit_test(test_a_models_own_template_renders_its_chats),
		cmocka_unit_test(test_what_a_template_refuses_is_invalid_and_broken_json_is_named),
		cmocka_unit_test(test_a_template_prints_the_persons_date),
		cmocka_unit_test(test_trust_does_not_split_words),
		cmocka_unit_test(test_any_bytes_of_a_part_come_back_from_its_ids),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
