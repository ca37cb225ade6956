/* Calls: what each family's way of writing them lets through, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "grammar/calls.h"
#include "grammar_fixture.h"

#define BAR "\xef\xbd\x9c"
#define GAP "\xe2\x96\x81"
#define DS(words) "<" BAR words BAR ">"
#define DS_BEGIN DS("tool" GAP "call" GAP "begin")
#define DS_SEP DS("tool" GAP "sep")
#define DS_END DS("tool" GAP "call" GAP "end")
#define DS_OVER DS("tool" GAP "calls" GAP "end")
#define TAG "</tool_call>"
#define Q "<|\"|>"

#define TOOL(name, more) "{\"type\":\"function\",\"function\":{\"name\":\"" name "\"" more "}}"
#define STRICT(properties, more)                                                                   \
	",\"strict\":true,\"parameters\":{\"type\":\"object\",\"properties\":{" properties         \
	"},\"additionalProperties\":false" more "}"

static const char tools[] = "[" TOOL(
    "f", STRICT("\"x\":{\"$ref\":\"#/$defs/n\"}",
	     ",\"required\":[\"x\"],\"$defs\":{\"n\":{\"type\":\"integer\"}}")) "," TOOL("g",
    "") "," TOOL("h", ",\"strict\":true") "]";

/* One of each kind of property. */
static const char kinds[] =
    "[" TOOL("f", STRICT("\"t\":{\"type\":\"string\"},"
			 "\"u\":{\"type\":[\"string\",\"null\"],\"maxLength\":3},"
			 "\"e\":{\"enum\":[\"a b\",\"c\"]},"
			 "\"r\":{\"anyOf\":[{\"$ref\":\"#/$defs/d\"},{\"type\":\"null\"}]},"
			 "\"n\":{\"type\":\"integer\"},"
			 "\"l\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},"
			 "\"m\":{\"type\":[\"string\",\"integer\"]},"
			 "\"o\":{\"type\":\"object\",\"properties\":{\"a b\":{\"type\":\"string\"},"
			 "\"y\":{\"type\":\"boolean\"}},\"required\":[\"y\"]}",
		      ",\"$defs\":{\"d\":{\"type\":\"string\",\"format\":\"date\"}}")) "]";

/* Each refers to its own beginning. */
static const char recursive_tools[] =
    "[" TOOL("f", STRICT("\"x\":{\"type\":\"integer\"},\"in\":{\"$ref\":\"#\"}",
		      ",\"required\":[\"x\"]")) "," TOOL("g",
	STRICT("\"y\":{\"type\":\"string\"},\"in\":{\"$ref\":\"#\"}", ",\"required\":[\"y\"]")) "]";

struct call_case {
	enum calls_form form;
	const char *text;
	bool ok;
};

static bool is_call(const char *all, const struct calls_want *want, const char *text)
{
	struct errmsg why = ERRMSG_INIT;
	struct automaton *automaton = NULL;
	struct matcher *m = NULL;

	if (calls_compile(want, all, strlen(all), &automaton, &why) != RC_OK)
		fail_msg("%s", errmsg_text(&why, RC_INVALID));
	assert_int_equal(matcher_new(automaton, fixture.vocab, &m), RC_OK);
	bool ok = matcher_push_bytes(m, (const uint8_t *)text, strlen(text)) && matcher_accepts(m);
	/* Begun again it takes the same. */
	matcher_restart(m);
	assert_int_equal(
	    matcher_push_bytes(m, (const uint8_t *)text, strlen(text)) && matcher_accepts(m), ok);
	matcher_free(m);
	return ok;
}

static void expect(const char *all, bool must, const struct call_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct calls_want want = {
			.form = cases[i].form, .must = must, .thinks = must
		};

		if (is_call(all, &want, cases[i].text) != cases[i].ok)
			fail_msg("%s", cases[i].text);
	}
}

#define EXPECT(all, must, cases) expect(all, must, cases, sizeof(cases) / sizeof(cases[0]))

static void test_references_of_tools_lead_to_their_own(void **unused)
{
	static const struct call_case cases[] = {
		{ CALLS_NAMED, "f\n{\"x\":1,\"in\":{\"x\":2}}", true },
		{ CALLS_NAMED, "f\n{\"x\":1,\"in\":{\"y\":\"a\"}}", false },
		{ CALLS_NAMED, "g\n{\"y\":\"a\",\"in\":{\"y\":\"b\"}}", true },
		{ CALLS_NAMED, "g\n{\"y\":\"a\",\"in\":{\"x\":2}}", false },
		{ CALLS_GEMMA, "call:g{y:" Q "a" Q ",in:{y:" Q "b" Q "}}<tool_call|>", true },
		{ CALLS_GEMMA, "call:g{y:" Q "a" Q ",in:{x:2}}<tool_call|>", false },
	};

	(void)unused;
	EXPECT(recursive_tools, false, cases);
}

static void test_calls_have_a_name_and_what_it_takes(void **unused)
{
	static const struct call_case cases[] = {
		{ CALLS_ARGUMENTS, "\n{\"name\": \"f\", \"arguments\": {\"x\": 3}}\n" TAG, true },
		{ CALLS_ARGUMENTS, "{\"name\": \"f\", \"arguments\": {\"x\": 3}}", false },
		{ CALLS_ARGUMENTS, "{\"name\":\"f\",\"arguments\":{\"x\":true}}" TAG, false },
		{ CALLS_ARGUMENTS, "{\"name\":\"f\",\"arguments\":{}}" TAG, false },
		{ CALLS_ARGUMENTS, "{\"name\":\"k\",\"arguments\":{}}" TAG, false },
		{ CALLS_ARGUMENTS, "{\"name\":\"g\",\"arguments\":{\"x\":true}}" TAG, true },
		{ CALLS_ARGUMENTS, "{\"name\":\"g\",\"arguments\":[]}" TAG, false },
		{ CALLS_ARGUMENTS, "{\"name\":\"h\",\"arguments\":{}}" TAG, true },
		{ CALLS_ARGUMENTS, "{\"name\":\"h\",\"arguments\":{\"x\":1}}" TAG, false },
		{ CALLS_PARAMETERS, "{\"name\":\"f\",\"parameters\":{\"x\":3}}", true },
		{ CALLS_PARAMETERS,
		    "{\"name\":\"h\",\"parameters\":{}}; {\"name\":\"h\",\"parameters\":{}}",
		    true },
		{ CALLS_PARAMETERS, "{\"name\":\"h\",\"parameters\":{}}.", false },
		{ CALLS_ARRAY,
		    " [{\"name\":\"h\",\"arguments\":{}}, "
		    "{\"name\":\"f\",\"arguments\":{\"x\":1}}]",
		    true },
		{ CALLS_ARRAY, "[]", false },
		{ CALLS_ARGS, "f[ARGS]{\"x\": 1}[TOOL_CALLS]h[ARGS]{}", true },
		{ CALLS_ARGS, "f[CALL_ID]aB3456789[ARGS]{\"x\": 1}", true },
		{ CALLS_ARGS, "f[CALL_ID]aB3[ARGS]{\"x\": 1}", false },
		{ CALLS_ARGS, "f[ARGS]{\"x\": null}", false },
		{ CALLS_ARGS, "f{\"x\": 1}", false },
		{ CALLS_MARKED, DS_BEGIN "f" DS_SEP "{\"x\":1}" DS_END DS_OVER, true },
		{ CALLS_MARKED,
		    DS_BEGIN "f" DS_SEP "{\"x\":1}" DS_END "\n" DS_BEGIN "h" DS_SEP
			     "{}" DS_END DS_OVER,
		    true },
		{ CALLS_MARKED, DS_BEGIN "f" DS_SEP "{\"x\":1}" DS_END, false },
		{ CALLS_FENCED,
		    DS_BEGIN "function" DS_SEP "f\n```json\n{\"x\":1}\n```" DS_END DS_OVER, true },
		{ CALLS_FENCED, DS_BEGIN "function" DS_SEP "f\n{\"x\":1}\n```" DS_END DS_OVER,
		    false },
		{ CALLS_NAMED, "f\n{\"x\":3}", true },
		{ CALLS_NAMED, "f\n{\"x\":3}}", false },
		{ CALLS_NAMED, "ff\n{}", false },
	};

	(void)unused;
	EXPECT(tools, false, cases);
}

#define FUNCTION(name, parameters) "\n<function=" name ">\n" parameters "</function>\n" TAG
#define P(key, value) "<parameter=" key ">\n" value "\n</parameter>\n"
#define K(key, value) "<arg_key>" key "</arg_key>\n<arg_value>" value "</arg_value>\n"

static void test_texts_stand_as_they_are_between_tags(void **unused)
{
	static const struct call_case cases[] = {
		{ CALLS_FUNCTION, FUNCTION("f", ""), true },
		{ CALLS_FUNCTION, FUNCTION("f", P("t", "")), true },
		{ CALLS_FUNCTION,
		    FUNCTION("f", P("t", "\n \"a\" </p> <</parameter\n{x\t") P("n", "-3")), true },
		{ CALLS_FUNCTION, FUNCTION("f", P("t", "a</parameter>b")), false },
		{ CALLS_FUNCTION, FUNCTION("f", P("t", "a" TAG "b")), false },
		{ CALLS_FUNCTION, FUNCTION("f", "<parameter=t>a</parameter>"), false },
		{ CALLS_FUNCTION, FUNCTION("f", P("n", "1") P("t", "a")), false },
		{ CALLS_FUNCTION, FUNCTION("f", P("z", "1")), false },
		{ CALLS_FUNCTION, FUNCTION("f", P("u", "null")), true },
		{ CALLS_FUNCTION, FUNCTION("f", P("u", "<b<")), true },
		{ CALLS_FUNCTION, FUNCTION("f", P("u", "</b")), false },
		{ CALLS_FUNCTION, FUNCTION("f", P("u", "abcd")), false },
		{ CALLS_FUNCTION, FUNCTION("f", P("e", "a b")), true },
		{ CALLS_FUNCTION, FUNCTION("f", P("e", "\"c\"")), false },
		{ CALLS_FUNCTION, FUNCTION("f", P("r", "2024-02-29")), true },
		{ CALLS_FUNCTION, FUNCTION("f", P("r", "soon")), false },
		{ CALLS_FUNCTION, FUNCTION("f", P("l", "[\"a\", \"</parameter>\"]")), true },
		{ CALLS_FUNCTION, FUNCTION("f", P("l", "a")), false },
		{ CALLS_FUNCTION, FUNCTION("f", P("m", "\"a\"")), true },
		{ CALLS_FUNCTION, FUNCTION("f", P("m", "a")), false },
		{ CALLS_FUNCTION, FUNCTION("f", P("o", "{\"a b\": \"<\", \"y\": true}")), true },
		{ CALLS_KEYED, "f\n" K("t", "a\nb") K("n", "7") TAG, true },
		{ CALLS_KEYED, "f<arg_key>t</arg_key><arg_value>a</arg_value>" TAG, true },
		{ CALLS_KEYED, "f" TAG, true },
		{ CALLS_KEYED, "f\n" K("t", "<</arg_value") TAG, true },
		{ CALLS_KEYED, "f\n" K("t", "</arg_value></arg_value>") TAG, false },
		{ CALLS_KEYED, "f\n" K("n", "x") TAG, false },
		{ CALLS_KEYED, "f\n" K("q", "x") TAG, false },
	};

	(void)unused;
	EXPECT(kinds, false, cases);
}

static void test_gemma_quotes_with_its_own_marks(void **unused)
{
	static const struct call_case cases[] = {
		{ CALLS_GEMMA, "call:f{}<tool_call|>", true },
		{ CALLS_GEMMA, "call:f{t:" Q "a \"b\",\n<|\" {c}" Q ",n:-1}<tool_call|>", true },
		{ CALLS_GEMMA, "call:f{t:\"a\"}<tool_call|>", false },
		{ CALLS_GEMMA, "call:f{t:" Q Q Q "}<tool_call|>", false },
		{ CALLS_GEMMA, "call:f{u:None}<tool_call|>", true },
		{ CALLS_GEMMA, "call:f{u:" Q "ab<" Q "}<tool_call|>", true },
		{ CALLS_GEMMA, "call:f{e:" Q "a b" Q "}<tool_call|>", true },
		{ CALLS_GEMMA, "call:f{e:" Q "b" Q "}<tool_call|>", false },
		{ CALLS_GEMMA, "call:f{l:[" Q "x" Q "," Q Q "],m:3}<tool_call|>", true },
		{ CALLS_GEMMA, "call:f{o:{" Q "a b" Q ":" Q Q ",y:true}}<tool_call|>", true },
		{ CALLS_GEMMA, "call:f{o:{a b:" Q Q ",y:true}}<tool_call|>", false },
		{ CALLS_GEMMA, "call:f{n:1}", false },
	};

	(void)unused;
	EXPECT(kinds, false, cases);
}

/* What is not strict is an object, and what it is written with is held all the same. */
static void test_functions_that_are_not_strict(void **unused)
{
	static const struct call_case cases[] = {
		{ CALLS_FUNCTION, FUNCTION("g", P("any", "thing") P("b", "{")), true },
		{ CALLS_FUNCTION, FUNCTION("g", P("any thing", "x")), false },
		{ CALLS_KEYED, "g\n" K("any", "thing") TAG, true },
		{ CALLS_GEMMA, "call:g{a:{b:[" Q "c" Q ",null]}}<tool_call|>", true },
		{ CALLS_GEMMA, "call:g{a:b}<tool_call|>", false },
		{ CALLS_FUNCTION, FUNCTION("h", P("x", "1")), false },
		{ CALLS_FUNCTION, FUNCTION("h", ""), true },
		{ CALLS_KEYED, "h" TAG, true },
		{ CALLS_GEMMA, "call:h{}<tool_call|>", true },
	};

	(void)unused;
	EXPECT(tools, false, cases);
}

static void test_what_must_come_comes_with_its_mark(void **unused)
{
	static const struct call_case cases[] = {
		{ CALLS_ARGUMENTS, "<tool_call>{\"name\":\"h\",\"arguments\":{}}" TAG, true },
		{ CALLS_ARGUMENTS,
		    "<think>\nhm < "
		    "</thin</think>\n\n<tool_call>\n{\"name\":\"h\",\"arguments\":{}}\n" TAG
		    "\n<tool_call>{\"name\":\"h\",\"arguments\":{}}" TAG,
		    true },
		{ CALLS_ARGUMENTS, "<think>hm</think>", false },
		{ CALLS_ARGUMENTS, "Well.", false },
		/* Parameters count although g and its like are not strict. */
		{ CALLS_ARGUMENTS, "<tool_call>{\"name\":\"g\",\"arguments\":{\"x\":1}}" TAG,
		    false },
		{ CALLS_PARAMETERS, "{\"name\":\"h\",\"parameters\":{}}", true },
		{ CALLS_ARGS, "[TOOL_CALLS]h[ARGS]{}[TOOL_CALLS]h[ARGS]{}", true },
		{ CALLS_MARKED,
		    DS("tool" GAP "calls" GAP "begin") DS_BEGIN "h" DS_SEP "{}" DS_END DS_OVER,
		    true },
		{ CALLS_GEMMA,
		    "<|channel>thought\nhm<channel|><|tool_call>call:h{}<tool_call|>"
		    "<|tool_call>call:h{}<tool_call|>",
		    true },
		{ CALLS_MESSAGE,
		    "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>"
		    "commentary to=functions.h <|constrain|>json<|message|>{}",
		    true },
		{ CALLS_MESSAGE, "<|channel|>final<|message|>", false },
	};

	(void)unused;
	EXPECT(tools, true, cases);
}

static void test_one_call_and_no_thought_where_that_is_asked_for(void **unused)
{
#define H "{\"name\":\"h\",\"arguments\":{}}"
	static const struct {
		struct calls_want want;
		const char *text;
		bool ok;
	} cases[] = {
		{ { CALLS_ARGUMENTS, true, false, true }, "<tool_call>" H TAG, true },
		{ { CALLS_ARGUMENTS, true, false, true }, "<tool_call>" H TAG "<tool_call>" H TAG,
		    false },
		{ { CALLS_ARGUMENTS, true, false, true }, "<think>a</think><tool_call>" H TAG,
		    false },
		{ { CALLS_ARGUMENTS, true, true, true }, "<think>a</think><tool_call>" H TAG,
		    true },
		{ { CALLS_ARRAY, true, false, true }, "[TOOL_CALLS][" H "]", true },
		{ { CALLS_ARRAY, true, false, true }, "[TOOL_CALLS][" H "," H "]", false },
		{ { CALLS_ARRAY, true, false, false }, "[TOOL_CALLS][" H "," H "]", true },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (is_call(tools, &cases[i].want, cases[i].text) != cases[i].ok)
			fail_msg("%s", cases[i].text);
	}
}

static void test_tools_that_cannot_be_held_are_refused(void **unused)
{
	static const struct {
		enum calls_form form;
		const char *tools;
		enum rc rc;
	} cases[] = {
		{ CALLS_ARGUMENTS, "[]", RC_INVALID },
		{ CALLS_ARGUMENTS, "{}", RC_INVALID },
		{ CALLS_ARGUMENTS, "[{\"function\":{}}]", RC_INVALID },
		{ CALLS_ARGUMENTS, "[" TOOL("a\\nb", "") "]", RC_INVALID },
		{ CALLS_KEYED, "[" TOOL("a<b", "") "]", RC_INVALID },
		{ CALLS_ARGUMENTS, "[" TOOL("f", ",\"strict\":true,\"parameters\":{}") "]", RC_OK },
		{ CALLS_ARGUMENTS,
		    "[" TOOL("f", ",\"strict\":true,\"parameters\":{\"type\":\"array\"}") "]",
		    RC_UNSUPPORTED },
		{ CALLS_ARGUMENTS,
		    "[" TOOL("f", ",\"strict\":true,\"parameters\":{\"nullable\":true}") "]",
		    RC_UNSUPPORTED },
		{ CALLS_ARGUMENTS, "[" TOOL("f", STRICT("", ",\"not\":{}")) "]", RC_UNSUPPORTED },
		{ CALLS_FUNCTION,
		    "[" TOOL("f", STRICT("\"a\":{\"enum\":[\"</parameter>\"]}", "")) "]",
		    RC_UNSUPPORTED },
		{ CALLS_KEYED, "[" TOOL("f", STRICT("\"a\":{\"const\":\"\\u0001\"}", "")) "]",
		    RC_UNSUPPORTED },
		{ CALLS_KEYED, "[" TOOL("f", STRICT("\"a>\":{\"type\":\"string\"}", "")) "]",
		    RC_UNSUPPORTED },
		{ CALLS_KEYED, "[" TOOL("f", STRICT("", ",\"anyOf\":[{}]")) "]", RC_UNSUPPORTED },
		{ CALLS_GEMMA, "[" TOOL("f", STRICT("\"a\":{\"enum\":[\"<|\\\"|>\"]}", "")) "]",
		    RC_UNSUPPORTED },
		{ CALLS_FUNCTION,
		    "[" TOOL("f", STRICT("\"a\":{\"type\":\"string\",\"pattern\":\"^<$\"}",
				      ",\"required\":[\"a\"]")) "]",
		    RC_UNSUPPORTED },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct automaton *automaton = NULL;
		const struct calls_want want = { .form = cases[i].form };
		enum rc rc =
		    calls_compile(&want, cases[i].tools, strlen(cases[i].tools), &automaton, NULL);

		if (rc != cases[i].rc)
			fail_msg("%s: %s", cases[i].tools, rc_word(rc));
		automaton_free(automaton);
	}
}

static void push(struct matcher *m, const char *text)
{
	assert_true(matcher_push_bytes(m, (const uint8_t *)text, strlen(text)));
}

static struct matcher *matcher_of(enum calls_form form, bool must, const char *all)
{
	struct automaton *automaton = NULL;
	struct matcher *m = NULL;

	const struct calls_want want = { .form = form, .must = must, .thinks = must };

	assert_int_equal(calls_compile(&want, all, strlen(all), &automaton, NULL), RC_OK);
	assert_int_equal(matcher_new(automaton, fixture.vocab, &m), RC_OK);
	return m;
}

static bool allows(struct matcher *m, const char *word)
{
	return fixture_allows(matcher_allowed(m), fixture_word(word));
}

/* A control token comes where its mark may, and nowhere else; the same in letters does too.  The
 * bytes that mark it are no tokens. */
static void test_marks_may_be_control_tokens(void **unused)
{
	struct matcher *m = matcher_of(CALLS_FUNCTION, false, kinds);

	(void)unused;
	assert_false(allows(m, TAG));
	push(m, "<function=f><parameter=t>\nx");
	assert_false(allows(m, TAG));
	assert_false(matcher_push(m, fixture_word(TAG)));
	push(m, "\n</parameter></function>");
	assert_true(allows(m, TAG));
	assert_false(fixture_allows(matcher_allowed(m), 3 + 0xFF));
	assert_false(matcher_push(m, 3 + 0xFF));
	push(m, "</tool");
	assert_false(allows(m, TAG));
	push(m, "_call>");
	assert_true(matcher_over(m));
	matcher_restart(m);
	push(m, "<function=f></function>\n");
	assert_true(matcher_push(m, fixture_word(TAG)));
	assert_true(matcher_over(m));
	matcher_free(m);

	m = matcher_of(CALLS_GEMMA, false, kinds);
	push(m, "call:f{t:");
	assert_true(matcher_push(m, fixture_word(Q)));
	push(m, "a");
	assert_true(matcher_push(m, fixture_word(Q)));
	push(m, ",e:");
	assert_true(matcher_push(m, fixture_word(Q)));
	push(m, "a b");
	assert_true(allows(m, Q));
	push(m, Q "}<tool_call|>");
	assert_true(matcher_over(m));
	matcher_free(m);

	m = matcher_of(CALLS_ARGUMENTS, true, tools);
	push(m, "<think>hm");
	assert_true(matcher_push(m, fixture_word("</think>")));
	push(m, "\n\n<tool_call>");
	matcher_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls_have_a_name_and_what_it_takes),
		cmocka_unit_test(test_references_of_tools_lead_to_their_own),
		cmocka_unit_test(test_texts_stand_as_they_are_between_tags),
		cmocka_unit_test(test_gemma_quotes_with_its_own_marks),
		cmocka_unit_test(test_functions_that_are_not_strict),
		cmocka_unit_test(test_what_must_come_comes_with_its_mark),
		cmocka_unit_test(test_one_call_and_no_thought_where_that_is_asked_for),
		cmocka_unit_test(test_marks_may_be_control_tokens),
		cmocka_unit_test(test_tools_that_cannot_be_held_are_refused),
	};

	return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
