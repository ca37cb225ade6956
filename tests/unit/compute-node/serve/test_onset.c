/* Where a constraint begins, however the answer is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "serve/onset.h"

/* `text` in two pieces: what belongs to the constraint when it begins, "-" if it does not. */
static void look(const struct onset *fresh, const char *text, size_t cut, char out[256])
{
	struct onset o = *fresh;
	size_t len = strlen(text), behind_len = 0;
	const char *behind = NULL;

	(void)snprintf(out, 256, "-");
	if (onset_push(&o, text, cut, &behind, &behind_len))
		(void)snprintf(out, 256, "%.*s%s", (int)behind_len, behind, text + cut);
	else if (onset_push(&o, text + cut, len - cut, &behind, &behind_len))
		(void)snprintf(out, 256, "%.*s", (int)behind_len, behind);
}

static void expect(
    enum onset_kind kind, const char *mark, bool thinking, const char *text, const char *expected)
{
	struct onset fresh;
	char got[256];

	onset_init(&fresh, kind, mark, thinking);
	for (size_t cut = 0; cut <= strlen(text); cut++) {
		look(&fresh, text, cut, got);
		if (strcmp(got, expected) != 0)
			fail_msg("%s cut at %zu: %s, not %s", text, cut, got, expected);
	}
}

static void test_reasoning_is_free(void **unused)
{
	(void)unused;
	expect(ONSET_THOUGHT, NULL, true, "a <b> </thin</think>{", "{");
	expect(ONSET_THOUGHT, NULL, true, "never", "-");
}

static void test_calls_begin_behind_their_mark(void **unused)
{
	const char *mark = "<tool_call>";

	(void)unused;
	expect(ONSET_MARK, mark, false, "Hm. <tool_<tool_call>\n{", "\n{");
	expect(ONSET_MARK, mark, false, "{\"name\":", "-");
	expect(ONSET_MARK, mark, false, " <think><tool_call></think>a<tool_call>x", "x");
	expect(ONSET_MARK, mark, true, "<tool_call></think>\n<think><tool_call>x", "x");
	expect(
	    ONSET_MARK, mark, false, "<|channel>thought <tool_call>x<channel|>a<tool_call>y", "y");
	expect(ONSET_MARK, mark, true,
	    "a</think><|channel>thought<tool_call><channel|><tool_call>y", "y");
	expect(ONSET_BARE, "<|python_tag|>", false, "\n{\"n", "{\"n");
	expect(ONSET_BARE, "<|python_tag|>", false, "a {<|python_tag|>{", "{");
	expect(ONSET_BARE, "<|python_tag|>", false, "a {", "-");
}

static void test_a_call_behind_another_one_is_seen(void **unused)
{
	const char *behind;
	struct onset o;
	size_t len;

	(void)unused;
	onset_init(&o, ONSET_BARE, "<|python_tag|>", false);
	assert_true(onset_push(&o, "{", 1, &behind, &len));
	onset_again(&o);
	assert_false(onset_push(&o, "\n ", 2, &behind, &len));
	assert_true(onset_push(&o, "{", 1, &behind, &len));
	assert_int_equal(len, 1);
}

/* `text`, and then what is missing until it begins; "-" if nothing is. */
static void missing(
    enum onset_kind kind, const char *mark, bool thinking, const char *text, const char *expected)
{
	struct onset o;
	const char *behind, *got;
	size_t len;
	bool whole;

	onset_init(&o, kind, mark, thinking);
	assert_false(onset_push(&o, text, strlen(text), &behind, &len));
	got = onset_missing(&o, &whole);
	got = got == NULL ? "-" : got;
	if (strcmp(got, expected) != 0)
		fail_msg("%s: %s, not %s", text, got, expected);
	assert_int_equal(whole, expected[0] == '{');
}

static void test_a_mark_that_is_under_way_is_known(void **unused)
{
	const char *mark = "<tool_call>";

	(void)unused;
	missing(ONSET_MARK, mark, false, "Hm <tool_", "call>");
	missing(ONSET_MARK, mark, false, "Hm <", "tool_call>");
	missing(ONSET_MARK, mark, false, "Hm", "-");
	missing(ONSET_MARK, mark, false, "<think><tool_", "-");
	missing(ONSET_MARK, mark, true, "</thi", "-");
	missing(ONSET_THOUGHT, NULL, true, "hm</thi", "nk>");
	missing(ONSET_BARE, "<|python_tag|>", false, "\n", "{");
	missing(ONSET_BARE, "<|python_tag|>", false, "a", "-");
	missing(ONSET_RECIPIENT, NULL, false, "<|chan", "-");
}

#define TO "<|channel|>commentary to=functions.f <|constrain|>json<|message|>"

static void test_messages_of_harmony(void **unused)
{
	const char *thought =
	    "<|channel|>analysis<|message|>to=functions.g<|end|><|start|>assistant";
	char text[256];

	(void)unused;
	(void)snprintf(text, sizeof(text), "%s%s{}", thought, TO);
	expect(ONSET_RECIPIENT, NULL, false, text, "f\n{}");
	expect(ONSET_MESSAGE, NULL, false, text, "{}");
	expect(ONSET_RECIPIENT, NULL, false, " to=functions.f<|channel|>commentary json<|message|>",
	    "f\n");
	expect(ONSET_RECIPIENT, NULL, false, thought, "-");
	expect(ONSET_MESSAGE, NULL, false, thought, "-");
	(void)snprintf(text, sizeof(text), "%s<|channel|>final<|message|>x", thought);
	expect(ONSET_RECIPIENT, NULL, false, text, "-");
	expect(ONSET_MESSAGE, NULL, false, text, "x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reasoning_is_free),
		cmocka_unit_test(test_calls_begin_behind_their_mark),
		cmocka_unit_test(test_a_call_behind_another_one_is_seen),
		cmocka_unit_test(test_a_mark_that_is_under_way_is_known),
		cmocka_unit_test(test_messages_of_harmony),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
