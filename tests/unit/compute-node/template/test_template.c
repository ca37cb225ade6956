/* Chat templates: trust of bytes, named errors at load, and every limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "template/eval.h"
#include "template/template.h"

/* Renders with `json` as variables; the text, or "!word: why" on an error. */
static char *render(const char *source, const char *json, bool trust)
{
	struct errmsg why = ERRMSG_INIT;
	struct template *template = NULL;
	const struct template_clock clock = { 0 };
	const struct text *text = NULL;
	struct value variables;
	struct arena arena;
	char *out = NULL;
	bool refused = false;

	arena_init(&arena, TEMPLATE_ARENA_BYTES_MAX);
	enum rc rc = template_compile(source, strlen(source), &template, &why);
	if (rc == RC_OK)
		rc = template_parse_json(json, strlen(json), &arena, &variables, &why);
	if (rc == RC_OK)
		rc = template_render(template, variables, &clock, &arena, &text, &refused, &why);
	if (rc == RC_OK) {
		out = calloc(1, text->len + 1);
		assert_non_null(out);
		for (size_t i = 0; i < text->len; i++)
			out[i] = !trust ? text->bytes[i] : text_trusted(text, i) ? 'T' : 'u';
	} else {
		out = calloc(1, ERRMSG_BYTES + 32);
		assert_non_null(out);
		(void)snprintf(out, ERRMSG_BYTES + 32, "!%s%s: %s", refused ? "refused " : "",
		    rc_word(rc), errmsg_text(&why, rc));
	}
	template_free(template);
	arena_fini(&arena);
	return out;
}

static void check(const char *source, const char *json, bool trust, const char *expected)
{
	char *got = render(source, json, trust);

	assert_string_equal(got, expected);
	free(got);
}

static void check_error(const char *source, const char *json, const char *begins)
{
	char *got = render(source, json, false);

	if (strncmp(got, begins, strlen(begins)) != 0)
		fail_msg("expected \"%s…\", got \"%.200s\"", begins, got);
	free(got);
}

static void test_only_words_of_the_template_are_trusted(void **state)
{
	(void)state;
	const char *json = "{\"m\":\"<|x|>\",\"l\":[\"a\",\"b\"]}";
	check("<s>{{ m }}</s>", json, true, "TTTuuuuuTTTT");
	check("{{ 'a' + m + 'b' }}", json, true, "TuuuuuT");
	check("{{ m | trim | upper }}", json, true, "uuuuu");
	check("{{ (' ' ~ m ~ ' ').strip()[1:3] }}", json, true, "uu");
	check("{{ l | join('--') }}", json, true, "uTTu");
	check("{{ m.replace('x', 'yy') }}", json, true, "uuTTuu");
	check("{% set s %}[{{ m }}]{% endset %}{{ s }}", json, true, "TuuuuuT");
	check("{% macro f(x) %}<{{ x }}>{% endmacro %}{{ f(m) }}", json, true, "TuuuuuT");
	check("{{ l | tojson }}", json, true, "TTuTTTTuTT");
	check("{{ m.split('|')[1] }}", json, true, "u");
}

static void test_unknown_constructs_are_named_at_load(void **state)
{
	(void)state;
	check_error("a\n{{ x | frobnicate }}", "{}",
	    "!unsupported: template line 2: unknown filter frobnicate");
	check_error(
	    "{{ x is wobbly }}", "{}", "!unsupported: template line 1: unknown test `is wobbly`");
	check_error(
	    "{{ x.explode(1) }}", "{}", "!unsupported: template line 1: unknown method .explode()");
	check_error("{% include 'x' %}", "{}",
	    "!unsupported: template line 1: unknown statement {% include %}");
	check_error("{% if false %}{{ lipsum(3) }}{% endif %}", "{}",
	    "!unsupported: template line 1: unknown function lipsum()");
}

static void test_malformed_templates_are_refused_with_their_line(void **state)
{
	static const char *const broken[] = { "{{", "{% if x %}", "{% endif %}", "{{ 'a }}",
		"{{ a b }}", "{% for x %}{% endfor %}", "{% set %}", "{{ 1 + }}", "{# x",
		"{% break %}", "{{ f(a=1, 2) }}", "{% raw %}x", "{{ [1, }}", "{{ a[ }}",
		"{% macro %}{% endmacro %}", "{% call 1 %}{% endcall %}", "{{ a[] }}" };

	(void)state;
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		char *got = render(broken[i], "{}", false);
		if (strncmp(got, "!invalid: template line", 23) != 0 &&
		    strncmp(got, "!unsupported: template line", 27) != 0)
			fail_msg("\"%s\" gave \"%s\"", broken[i], got);
		free(got);
	}
}

static void test_a_template_may_refuse_a_chat_without_quoting_it(void **state)
{
	(void)state;
	check_error("{{ raise_exception('bad role ' + m) }}", "{\"m\":\"secret\"}",
	    "!refused invalid: template line 1: the template refuses this chat: bad role ******");
}

static void test_misuse_of_undefined_is_an_error(void **state)
{
	(void)state;
	check_error("{{ a.b.c }}", "{\"a\":{}}", "!invalid: template line 1: b is undefined");
	check_error("{{ 1 + none }}", "{}", "!invalid: template line 1: operator between");
	check_error("{{ 1 // 0 }}", "{}", "!invalid: template line 1: division by zero");
	check_error("{{ 9223372036854775807 + 1 }}", "{}", "!invalid: template line 1: integer");
}

static void test_work_is_bounded(void **state)
{
	char source[1024];
	size_t len =
	    (size_t)snprintf(source, sizeof(source), "{%% for a in range(30000) %%}{%% if 1");

	(void)state;
	for (int i = 0; i < 150; i++)
		len += (size_t)snprintf(source + len, sizeof(source) - len, "+1");
	(void)snprintf(source + len, sizeof(source) - len, " %%}{%% endif %%}{%% endfor %%}");
	check_error(source, "{}", "!limit: template line 1: more than");
	check_error(
	    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "{}",
	    "!no-memory: template: out of memory");
	check_error("{{ range(1000000000) }}", "{}", "!limit: template line 1: range longer");
	check_error("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "{}",
	    "!limit: template line 1: macros nested");
	check_error("{{ 'abcdefgh' * 100000000 }}", "{}", "!limit: template line 1: text too long");
	check_error("{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s + "
		    "ns.s %}{% endfor %}",
	    "{}", "!");
}

static void test_nesting_is_bounded(void **state)
{
	enum { DEPTH = 5000 };
	char *source = calloc(1, DEPTH * 2 + 16);

	(void)state;
	assert_non_null(source);
	memcpy(source, "{{ ", 3);
	memset(source + 3, '(', DEPTH);
	source[3 + DEPTH] = '1';
	memset(source + 4 + DEPTH, ')', DEPTH);
	memcpy(source + 4 + DEPTH * 2, " }}", 3);
	check_error(source, "{}", "!limit: template line 1: nested deeper");
	memset(source, 0, DEPTH * 2 + 16);
	memset(source, '[', DEPTH);
	memset(source + DEPTH, ']', DEPTH);
	check_error("{{ x }}", source, "!limit");
	free(source);
}

static void test_lists_can_be_built_by_methods(void **state)
{
	(void)state;
	check(
	    "{% set l = [] %}{% set _ = l.append(1) %}{% set _ = l.extend([2, 3]) %}{{ l.pop(0) }}"
	    "{{ l }}{{ l.index(3) }}{{ l.count(2) }}",
	    "{}", false, "1[2, 3]11");
	check("{% set m = {'a': 1} %}{% set _ = m.update({'b': 2}) %}{{ m.pop('a') }}{{ m }}", "{}",
	    false, "1{'b': 2}");
}

static void test_malformed_json_is_refused(void **state)
{
	static const char *const broken[] = { "", "{", "[1,]", "{\"a\"}", "\"\\x\"", "01a", "nul",
		"{} x", "\"\\ud800\"", "[1 2]", "\"a", "+1", "\x80" };

	(void)state;
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
		check_error("x", broken[i], "!invalid");
	check("{{ a }}{{ b[0] }}", "{\"a\":\"\\ud83d\\ude00\\n\",\"b\":[-1.5e2]}", false,
	    "\xF0\x9F\x98\x80\n-150.0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_words_of_the_template_are_trusted),
		cmocka_unit_test(test_unknown_constructs_are_named_at_load),
		cmocka_unit_test(test_malformed_templates_are_refused_with_their_line),
		cmocka_unit_test(test_a_template_may_refuse_a_chat_without_quoting_it),
		cmocka_unit_test(test_misuse_of_undefined_is_an_error),
		cmocka_unit_test(test_work_is_bounded),
		cmocka_unit_test(test_nesting_is_bounded),
		cmocka_unit_test(test_lists_can_be_built_by_methods),
		cmocka_unit_test(test_malformed_json_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
