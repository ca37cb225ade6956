/* What a model's text is parted into, for each family's way to call tools, however it is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "answer/output.h"
#include "base/buf.h"
#include "base/random.h"

#define BAR "\xef\xbd\x9c"
#define GAP "\xe2\x96\x81"
#define DS(words) "<" BAR words BAR ">"

/* Everything that comes out: t(text) r(reasoning) c(name arguments). */
static void take(struct output *o, struct buf *out, char *open)
{
	struct output_piece piece;

	while (output_next(o, &piece)) {
		static const char letters[] = "trc";
		char letter = letters[piece.kind];

		assert_true(piece.len > 0);
		if (letter == 'c') {
			assert_int_equal(strncmp(piece.id, "call_", 5), 0);
			buf_printf(out, "%sc(%s %.*s", *open != '\0' ? ")" : "", piece.name,
			    (int)piece.len, piece.text);
		} else {
			if (*open != letter)
				buf_printf(out, "%s%c(", *open != '\0' ? ")" : "", letter);
			buf_append(out, piece.text, piece.len);
		}
		*open = letter;
	}
}

/* `first` bytes, then `step` at a time; 0: at random. */
static void run(const struct output_config *config, const char *text, size_t first, size_t step,
    struct buf *out)
{
	struct output *o = NULL;
	uint64_t seed = strlen(text);
	char open = '\0';

	assert_int_equal(output_new(config, &o), RC_OK);
	for (size_t at = 0, len = strlen(text); at < len;) {
		size_t n = at < first ? first : step > 0 ? step : 1 + random_next(&seed) % 9;

		n = n < len - at ? n : len - at;
		output_push(o, text + at, n);
		take(o, out, &open);
		at += n;
	}
	output_end(o);
	take(o, out, &open);
	if (open != '\0')
		buf_putc(out, ')');
	assert_int_equal(output_rc(o), RC_OK);
	output_free(o);
}

static void expect_cut(const struct output_config *config, const char *text, size_t first,
    size_t step, const char *expected)
{
	struct buf out;

	buf_init(&out, 1 << 16);
	run(config, text, first, step, &out);
	if (strcmp(buf_text(&out), expected) != 0)
		fail_msg(
		    "%s\ncut at %zu became %s\nnot    %s", text, first, buf_text(&out), expected);
	buf_fini(&out);
}

static void expect(const struct output_config *config, const char *text, const char *expected)
{
	static const size_t steps[] = { 1, 2, 3, 7, 0, 100000 };

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		expect_cut(config, text, 0, steps[i], expected);
	for (size_t first = 1; first < strlen(text); first++)
		expect_cut(config, text, first, 100000, expected);
}

static struct output_config with(const char *format)
{
	return (struct output_config){
		.calls = OUTPUT_CALLS_TAGS, .format = format, .reasoning = true
	};
}

static void test_text_alone_is_text(void **unused)
{
	const struct output_config plain = { .reasoning = true, .format = "" };
	const struct output_config hermes = with("hermes");

	(void)unused;
	expect(&plain, "Hello <tool_call> you", "t(Hello <tool_call> you)");
	expect(&hermes, "a < b <tool", "t(a < b <tool)");
	expect(&plain, "  I <think>so</think>", "t(  I <think>so</think>)");
	expect(&plain, "<thin ice", "t(<thin ice)");
	expect(&plain, "", "");
}

static void test_reasoning_stands_in_front(void **unused)
{
	struct output_config config = { .reasoning = true, .format = "" };

	(void)unused;
	expect(&config, "\n<think>\nhm < x\n</think>\n\nYes.", "r(\nhm < x\n)t(Yes.)");
	expect(&config, "<think>never closed", "r(never closed)");
	expect(&config, "<think></think>Yes.", "t(Yes.)");
	config.within = true;
	expect(&config, "so\n</think>\nYes. </think>", "r(so\n)t(Yes. </think>)");
	config.within = config.reasoning = false;
	expect(&config, "<think>x</think>", "t(<think>x</think>)");
}

static void test_hermes(void **unused)
{
	const struct output_config config = with("hermes");
	struct output_config one = config;

	(void)unused;
	expect(&config,
	    "<think>a</think>\nLet me look.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": "
	    "[1, "
	    "\"</b>\"]}}\n</tool_call>\n<tool_call>{\"name\":\"g\"}</tool_call>",
	    "r(a)t(Let me look.\n)c(f {\"x\":[1,\"</b>\"]})c(g {})");
	expect(&config, "<tool_call>{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}",
	    "c(f {\"a\":1})");
	expect(&config, "<tool_call>{broken</tool_call> x", "t(<tool_call>{broken</tool_call> x)");
	expect(&config, "<tool_call>{\"name\":\"f\",\"arguments\":3}</tool_call>",
	    "t(<tool_call>{\"name\":\"f\",\"arguments\":3}</tool_call>)");
	one.one_call = true;
	expect(&one,
	    "<tool_call>{\"name\":\"f\"}</tool_call><tool_call>{\"name\":\"g\"}</tool_call>",
	    "c(f {})");
}

static void test_functions_and_keys_in_tags(void **unused)
{
	const struct output_config config = with("hermes");

	(void)unused;
	expect(&config,
	    "<tool_call>\n<function=get_weather>\n<parameter=city>\nNew York\n</parameter>\n"
	    "<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>",
	    "c(get_weather {\"city\":\"New York\",\"days\":3})");
	expect(&config,
	    "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Bonn</arg_value>\n"
	    "<arg_key>days</arg_key>\n<arg_value>[1,2]</arg_value>\n</tool_call>",
	    "c(get_weather {\"city\":\"Bonn\",\"days\":[1,2]})");
	expect(&config, "<tool_call>ping</tool_call>", "c(ping {})");
	expect(&config, "<tool_call><function=f><parameter=x>1</tool_call>",
	    "t(<tool_call><function=f><parameter=x>1</tool_call>)");
}

/* What is declared as a text stays one, and what is not is JSON, whatever it looks like. */
static void test_arguments_are_what_the_tools_declare(void **unused)
{
	struct output_config config = with("hermes");

	(void)unused;
	config.tools = "[{\"function\":{\"name\":\"f\",\"parameters\":{\"properties\":{"
		       "\"t\":{\"type\":\"string\"},\"u\":{\"type\":[\"string\",\"null\"]},"
		       "\"b\":{\"type\":\"boolean\"}}}}},"
		       "{\"function\":{\"name\":\"s\",\"strict\":true,\"parameters\":{"
		       "\"properties\":{\"l\":{\"type\":\"array\"}}}}}]";
	expect(&config,
	    "<tool_call>\n<function=f>\n<parameter=t>\n3\n</parameter>\n<parameter=u>\nnull\n"
	    "</parameter>\n<parameter=b>\nTrue\n</parameter>\n<parameter=x>\n3\n</parameter>\n"
	    "</function>\n</tool_call>",
	    "c(f {\"t\":\"3\",\"u\":null,\"b\":true,\"x\":3})");
	expect(&config,
	    "<tool_call>f<arg_key>t</arg_key><arg_value>\n{\"a\":1}</arg_value><arg_key>u</arg_key>"
	    "<arg_value>\"q\"</arg_value></tool_call>",
	    "c(f {\"t\":\"\\n{\\\"a\\\":1}\",\"u\":\"\\\"q\\\"\"})");
	expect(&config,
	    "<tool_call><function=s><parameter=l>\n[\"</parameter></tool_call>\"]\n</parameter>"
	    "</function></tool_call>ok",
	    "c(s {\"l\":[\"</parameter></tool_call>\"]})t(ok)");
}

/* A text among the arguments may hold what would end a call elsewhere. */
static void test_ends_within_texts_are_none(void **unused)
{
	const struct output_config hermes = with("hermes"), gemma = with("gemma4");
	const struct output_config harmony = with("harmony"), deepseek = with("deepseek");

	(void)unused;
	expect(&hermes,
	    "<tool_call>{\"name\":\"f\",\"arguments\":{\"x\":\"\\\"</tool_call>\"}}</tool_call>.",
	    "c(f {\"x\":\"\\\"</tool_call>\"})t(.)");
	expect(&gemma, "<|tool_call>call:f{x:<|\"|><tool_call|><|\"|>}<tool_call|>.",
	    "c(f {\"x\":\"<tool_call|>\"})t(.)");
	expect(&harmony,
	    "<|channel|>commentary to=functions.f<|message|>{\"x\":\"<|end|>\"}<|call|>",
	    "c(f {\"x\":\"<|end|>\"})");
	expect(&deepseek,
	    DS("tool" GAP "calls" GAP "begin")
		DS("tool" GAP "call" GAP "begin") "f" DS("tool" GAP "sep") "{\"x\":\"" DS(
		    "tool" GAP "calls" GAP "end") "\"}" DS("tool" GAP "call" GAP "end")
		    DS("tool" GAP "calls" GAP "end"),
	    "c(f {\"x\":\"" DS("tool" GAP "calls" GAP "end") "\"})");
}

/* Looked through from its front again and again it would take minutes. */
static void test_a_text_full_of_ends_is_looked_through_once(void **unused)
{
	enum { ENDS = 4000 };
	const struct output_config hermes = with("hermes");
	struct buf text, out;

	(void)unused;
	buf_init(&text, 1 << 20);
	buf_init(&out, 1 << 20);
	buf_puts(&text, "<tool_call>{\"name\":\"f\",\"arguments\":{\"x\":\"");
	for (int i = 0; i < ENDS; i++)
		buf_puts(&text, "</tool_call>");
	buf_puts(&text, "\"}}</tool_call>.");
	run(&hermes, buf_text(&text), 0, strlen("</tool_call>"), &out);
	assert_int_equal(strncmp(buf_text(&out), "c(f {\"x\":\"</tool_call><", 23), 0);
	assert_string_equal(buf_text(&out) + out.len - 7, "\"})t(.)");
	buf_fini(&text);
	buf_fini(&out);
}

static void test_llama(void **unused)
{
	const struct output_config config = with("llama3");

	(void)unused;
	expect(&config, "{\"name\": \"f\", \"parameters\": {\"a\": \"b\"}}", "c(f {\"a\":\"b\"})");
	expect(&config,
	    "<|python_tag|>{\"name\":\"f\",\"parameters\":{}}; {\"name\":\"g\",\"parameters\":{}}",
	    "c(f {})c(g {})");
	expect(&config, "{\"name\": \"f\"} is how I would call it",
	    "t({\"name\": \"f\"} is how I would call it)");
	expect(&config, "{\"answer\": 1}", "t({\"answer\": 1})");
	expect(&config, "Say {\"name\":\"f\"}", "t(Say {\"name\":\"f\"})");
}

static void test_mistral(void **unused)
{
	const struct output_config config = with("mistral");

	(void)unused;
	expect(&config,
	    "[TOOL_CALLS] [{\"name\": \"f\", \"arguments\": {\"a\": 1}}, {\"name\": \"g\", "
	    "\"arguments\": {}}]",
	    "c(f {\"a\":1})c(g {})");
	expect(&config, "Wait.[TOOL_CALLS]f[ARGS]{\"a\": 1}[TOOL_CALLS]g{\"b\":2}",
	    "t(Wait.)c(f {\"a\":1})c(g {\"b\":2})");
	expect(&config, "[TOOL_CALLS]f[CALL_ID]abc[ARGS]{}", "c(f {})");
	expect(&config, "[TOOL_CALLS] nothing", "t([TOOL_CALLS] nothing)");
}

static void test_deepseek(void **unused)
{
	const struct output_config config = with("deepseek");
	const char *old = "Ok." DS("tool" GAP "calls" GAP "begin")
	    DS("tool" GAP "call" GAP "begin") "function" DS(
		"tool" GAP "sep") "f\n```json\n{\"a\": 1}\n```" DS("tool" GAP "call" GAP "end")
		DS("tool" GAP "calls" GAP "end");
	const char *new =
	    DS("tool" GAP "calls" GAP "begin") DS("tool" GAP "call" GAP "begin") "f" DS(
		"tool" GAP "sep") "{\"a\":1}" DS("tool" GAP "call" GAP "end")
		DS("tool" GAP "call" GAP "begin") "g" DS("tool" GAP "sep") "{}" DS(
		    "tool" GAP "call" GAP "end") DS("tool" GAP "calls" GAP "end");

	(void)unused;
	expect(&config, old, "t(Ok.)c(f {\"a\":1})");
	/* A tool may have the name of what it is. */
	expect(&config,
	    DS("tool" GAP "calls" GAP "begin") DS("tool" GAP "call" GAP "begin") "function" DS(
		"tool" GAP "sep") "{\"a\":1}" DS("tool" GAP "call" GAP "end")
		DS("tool" GAP "calls" GAP "end"),
	    "c(function {\"a\":1})");
	expect(&config, new, "c(f {\"a\":1})c(g {})");
}

static void test_forced_answers_are_one_call_or_text(void **unused)
{
	const struct output_config config = { .calls = OUTPUT_CALLS_FORCED, .format = "hermes" };
	const struct output_config within = {
		.calls = OUTPUT_CALLS_FORCED, .format = "", .within = true
	};

	(void)unused;
	expect(&config, "{\"name\":\"f\",\"arguments\":{ \"a\": 1}}", "c(f {\"a\":1})");
	expect(&config, "{\"title\":\"<tool_call>\"}", "t({\"title\":\"<tool_call>\"})");
	expect(&within, "hm</think>\n{\"name\":\"f\",\"arguments\":{}}", "r(hm)c(f {})");
	expect(&within, "hm</think>{\"x\":1}", "r(hm)t({\"x\":1})");
	expect(&config, "{\"name\":\"f\",\"argu", "t({\"name\":\"f\",\"argu)");
}

#define SAY(channel) "<|channel|>" channel "<|message|>"
#define NEXT "<|end|><|start|>assistant"

static void test_harmony_is_parted_by_its_channels(void **unused)
{
	const struct output_config config = with("harmony");
	struct output_config other = config;

	(void)unused;
	expect(&config, SAY("analysis") "hm <|e" NEXT SAY("final") "Yes <b>.<|return|>",
	    "r(hm <|e)t(Yes <b>.)");
	expect(&config, SAY("analysis") "a" NEXT SAY("commentary") "Well." NEXT SAY("final") " So.",
	    "r(a)t(Well. So.)");
	expect(&config, SAY("analysis") "never closed", "r(never closed)");
	expect(&config, SAY("analysis") "a" NEXT "<|channel|>fin", "r(a)");
	expect(&config, SAY("analysis") NEXT SAY("final") "x", "t(x)");
	expect(&config, SAY("analysis") "a<|start|>assistant" SAY("final") "x", "r(a)t(x)");
	expect(&config, "No header.", "t(No header.)");
	expect(&config, "to=ken", "t(to=ken)");
	other.calls = OUTPUT_CALLS_NONE;
	expect(&other, SAY("analysis") "a" NEXT SAY("commentary to=functions.f") "{}<|call|>",
	    "r(a)t({})");
	/* A model whose template shows no tools: it is told of them in words. */
	other = with("");
	expect(&other,
	    SAY("analysis") "a" NEXT SAY("final") "x<tool_call>{\"name\":\"f\"}</tool_call>",
	    "r(a)t(x)c(f {})");
}

static void test_harmony_calls(void **unused)
{
	const struct output_config config = with("harmony");
	struct output_config forced = config;

	(void)unused;
	expect(&config,
	    SAY("analysis") "a" NEXT "<|channel|>commentary to=functions.get_it <|constrain|>json"
			    "<|message|>{\"x\": \"<|en\"}<|call|>",
	    "r(a)c(get_it {\"x\":\"<|en\"})");
	expect(&config, " to=functions.f<|channel|>commentary json<|message|>{}", "c(f {})");
	expect(&config,
	    SAY("commentary to=functions.f") "{\"a\":1}<|call|><|start|>assistant" SAY(
		"analysis to=functions.g") "{}",
	    "c(f {\"a\":1})c(g {})");
	expect(&config, SAY("commentary to=functions.f") "{\"a\":", "t({\"a\":)");
	expect(&config, SAY("commentary to=functions.f") "[1]<|call|>", "t([1])");
	expect(&config, SAY("commentary to=functions.f") "<|call|>", "");
	expect(
	    &config, SAY("commentary to=functions.f") "{} and" NEXT SAY("final") "x", "t({} andx)");
	expect(&config, SAY("commentary to=functions.") "{}", "t({})");
	expect(&config, SAY("commentary to=elsewhere") "{}", "t({})");
	forced.calls = OUTPUT_CALLS_FORCED;
	expect(&forced, SAY("analysis") "a" NEXT SAY("final") "{\"name\":\"f\",\"arguments\":{}}",
	    "r(a)c(f {})");
	expect(&forced, SAY("final") "{\"x\":1}<|return|>", "t({\"x\":1})");
	expect(&forced, "{\"name\":\"f\",\"arguments\":{}}", "c(f {})");
}

/* A header of `len` bytes with a call behind it, cut anywhere. */
static void expect_header(size_t len, bool within)
{
	static const char head[] = "<|channel|>commentary to=functions.f ";
	const struct output_config config = with("harmony");
	const size_t at = strlen(head), room = 1024;
	char *text = malloc(room), *as_text = malloc(room);

	assert_non_null(text);
	assert_non_null(as_text);
	assert_true(len < room - 64);
	(void)snprintf(text, room, "%s%*s<|message|>{}", head, (int)(len - at), "x");
	(void)snprintf(as_text, room, "t(%s)", text);
	expect(&config, text, within ? "c(f {})" : as_text);
	free(as_text);
	free(text);
}

static void test_a_harmony_header_has_an_end(void **unused)
{
	(void)unused;
	expect_header(502, true);
	expect_header(512, true);
	expect_header(513, false);
	expect_header(530, false);
}

#define Q "<|\"|>"

static void test_gemma(void **unused)
{
	const struct output_config config = with("gemma4");

	(void)unused;
	expect(&config,
	    "<|channel>thought\nhm<channel|>Look.<|tool_call>call:f{at:" Q "a \"b\", {c}" Q
	    ",n:-1.5,deep:{on:true,list:[1," Q Q ",null]}}<tool_call|><|tool_call>call:g{}"
	    "<tool_call|>",
	    "r(\nhm)t(Look.)c(f {\"at\":\"a \\\"b\\\", {c}\",\"n\":-1.5,\"deep\":{\"on\":true,"
	    "\"list\":[1,\"\",null]}})c(g {})");
	expect(&config, "<|channel>thought\n<channel|>Yes.", "r(\n)t(Yes.)");
	expect(&config, "<|tool_call>call:f{" Q "a b" Q ": " Q "x" Q " }", "c(f {\"a b\":\"x\"})");
	expect(&config, "<|tool_call>call:f{}<tool_call|>\n<|channel>thought more<channel|>ok",
	    "c(f {})r( more)t(ok)");
	expect(&config, "<|tool_call>call:f{a:" Q "x}<tool_call|> y",
	    "t(<|tool_call>call:f{a:" Q "x}<tool_call|> y)");
	expect(&config, "<|tool_call>call:f{a:1", "t(<|tool_call>call:f{a:1)");
	expect(&config, "<|tool_call>f{}<tool_call|>", "t(<|tool_call>f{}<tool_call|>)");
	expect(&config, "<|tool_call>call:f{a:yes}<tool_call|>",
	    "t(<|tool_call>call:f{a:yes}<tool_call|>)");
}

static void test_a_deep_call_is_none(void **unused)
{
	const struct output_config config = with("gemma4");
	char text[400] = "<|tool_call>call:f{a:", expected[400];

	(void)unused;
	memset(text + strlen(text), '[', 120);
	(void)snprintf(expected, sizeof(expected), "c(f {\"a\":%.*s%.*s})", 120, strchr(text, '['),
	    120,
	    "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"
	    "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");
	memset(text + strlen(text), ']', 120);
	memcpy(text + strlen(text), "}<tool_call|>", sizeof("}<tool_call|>"));
	expect_cut(&config, text, 0, 7, expected);
	memset(strchr(text, '['), '\0', sizeof(text) - (size_t)(strchr(text, '[') - text));
	memset(text + strlen(text), '[', 300);
	(void)snprintf(expected, sizeof(expected), "t(%s)", text);
	expect(&config, text, expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_alone_is_text),
		cmocka_unit_test(test_reasoning_stands_in_front),
		cmocka_unit_test(test_hermes),
		cmocka_unit_test(test_functions_and_keys_in_tags),
		cmocka_unit_test(test_arguments_are_what_the_tools_declare),
		cmocka_unit_test(test_ends_within_texts_are_none),
		cmocka_unit_test(test_a_text_full_of_ends_is_looked_through_once),
		cmocka_unit_test(test_llama),
		cmocka_unit_test(test_mistral),
		cmocka_unit_test(test_deepseek),
		cmocka_unit_test(test_harmony_is_parted_by_its_channels),
		cmocka_unit_test(test_harmony_calls),
		cmocka_unit_test(test_a_harmony_header_has_an_end),
		cmocka_unit_test(test_gemma),
		cmocka_unit_test(test_a_deep_call_is_none),
		cmocka_unit_test(test_forced_answers_are_one_call_or_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
