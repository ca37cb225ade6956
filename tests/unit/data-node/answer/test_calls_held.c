/*
 * What a compute node holds calls to, the data node reads: random calls of random tools, drawn from
 * the automaton of each form, become calls whose arguments are what the tools' schemas allow.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "answer/output.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/random.h"
#include "grammar/automaton.h"
#include "grammar/calls.h"
#include "grammar/matcher.h"
#include "grammar/vocab.h"
#include "schema_validate.h"
#include "template/template.h"

#define BAR "\xef\xbd\x9c"
#define GAP "\xe2\x96\x81"
#define DS(words) "<" BAR words BAR ">"
#define STEPS_MAX 20000
#define ARENA_BYTES ((size_t)16 << 20)

static uint64_t seed;

static unsigned below(unsigned n)
{
	return (unsigned)(random_next(&seed) >> 33) % n;
}

/* ---- tools ---- */

static const char nested[] =
    "{\"type\":\"object\",\"properties\":{\"s\":{\"type\":\"string\"},\"odd key\":{\"type\":"
    "\"integer\"}},\"required\":[\"odd key\"],\"additionalProperties\":false}";

static const char *const kinds[] = { "{\"type\":\"string\"}",
	"{\"type\":\"string\",\"maxLength\":5}", "{\"type\":\"string\",\"minLength\":2}",
	"{\"type\":\"string\",\"pattern\":\"^[a-c]+\"}",
	"{\"type\":\"string\",\"format\":\"date\"}",
	"{\"enum\":[\"a b\",\"true\",\"</p>\",\"\\\"q\\\"\",\"12\"]}",
	"{\"type\":[\"string\",\"null\"]}", "{\"type\":\"string\",\"nullable\":true}",
	"{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}", "{\"$ref\":\"#/$defs/word\"}",
	"{\"allOf\":[{\"$ref\":\"#/$defs/word\"}]}", "{\"$ref\":\"#/$defs/list\"}",
	"{\"type\":\"integer\"}", "{\"type\":\"number\",\"minimum\":-2}", "{\"type\":\"boolean\"}",
	"{\"type\":[\"string\",\"integer\"]}", "{\"type\":[\"boolean\",\"null\"]}",
	"{\"enum\":[\"a\",1,null]}", "{\"const\":{\"k b\":[\"v\"]}}", "{}",
	"{\"type\":\"array\",\"items\":{\"type\":\"string\"}}",
	"{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/word\"},\"minItems\":1}", nested,
	"{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}}" };

static void make_tool(struct buf *out, const char *name, bool strict)
{
	static const char *const others[] = { ",\"additionalProperties\":false", "",
		",\"additionalProperties\":{\"type\":\"string\"}",
		",\"additionalProperties\":{\"type\":\"integer\"}",
		",\"additionalProperties\":true" };
	unsigned n = below(5), must = below(n + 1);

	buf_printf(out, "{\"type\":\"function\",\"function\":{\"name\":\"%s\"", name);
	if (strict) {
		buf_puts(out, ",\"strict\":true,\"parameters\":{\"type\":\"object\","
			      "\"$defs\":{\"word\":{\"type\":\"string\",\"enum\":[\"x\",\"y<z\"]},"
			      "\"list\":{\"type\":\"array\",\"items\":{\"type\":\"boolean\"}}},"
			      "\"properties\":{");
		for (unsigned i = 0; i < n; i++)
			buf_printf(out, "%s\"p%u\":%s", i > 0 ? "," : "", i,
			    kinds[below(sizeof(kinds) / sizeof(kinds[0]))]);
		buf_puts(out, "},\"required\":[");
		for (unsigned i = 0; i < must; i++)
			buf_printf(out, "%s\"p%u\"", i > 0 ? "," : "", i);
		buf_printf(out, "]%s}", others[below(5)]);
	}
	buf_puts(out, "}}");
}

/* ---- calls ---- */

/* A byte that goes on from here; none of those that frame control tokens. */
static bool draw_byte(struct matcher *m, struct buf *out)
{
	unsigned first = below(3) == 0 ? below(0xF5) : ' ' + below(0x5F);

	for (unsigned i = 0; i < 0xF5; i++) {
		uint8_t byte = (uint8_t)((first + i) % 0xF5);

		if (matcher_push_bytes(m, &byte, 1)) {
			buf_append(out, &byte, 1);
			return true;
		}
	}
	return false;
}

/* What closes, and what would be mistaken for something else, is tried more often. */
static void draw(struct matcher *m, struct buf *out)
{
	static const char *const words[] = { "\"", "}", "]", "<|\"|>", "\n</parameter>\n",
		"</arg_value>", "</function>", "</think>", "<channel|>", "<|end|>",
		"commentary to=functions.", "</tool_call>", "<|start|>assistant", "<tool_call|>",
		"</parameter>", "\"</tool_call>", "null", "\n", "<", "</", "True", "3", "\"x\"",
		"[TOOL_CALLS]", DS("tool" GAP "calls" GAP "end"), DS("tool" GAP "sep"),
		"<tool_call>", "<think>", "<|call|>", "{", "\\\"" };
	const size_t n = sizeof(words) / sizeof(words[0]);

	for (int i = 0; i < STEPS_MAX; i++) {
		if (matcher_over(m) || (matcher_accepts(m) && below(2) == 0))
			return;
		const char *word = words[i > STEPS_MAX / 8 ? below(12) : below((unsigned)n)];

		if (below(3) > 0 && matcher_push_bytes(m, (const uint8_t *)word, strlen(word)))
			buf_puts(out, word);
		else if (!draw_byte(m, out))
			fail_msg("a dead end behind %s", buf_text(out));
	}
	fail_msg("no end: %s", buf_text(out));
}

/* The arguments are what the tool of this name takes. */
static bool is_valid(const char *tools, const struct output_piece *piece, bool must)
{
	struct arena arena;
	struct value list, arguments;
	bool found = false, ok = false;

	arena_init(&arena, ARENA_BYTES);
	assert_int_equal(template_parse_json(tools, strlen(tools), &arena, &list, NULL), RC_OK);
	ok = template_parse_json(piece->text, piece->len, &arena, &arguments, NULL) == RC_OK;
	for (size_t i = 0; ok && i < list.u.list->len; i++) {
		const struct value *function = value_get(list.u.list->items[i], "function", 8);
		const struct value *parameters = value_get(*function, "parameters", 10);

		if (!text_is(value_get(*function, "name", 4)->u.text, piece->name))
			continue;
		found = true;
		if (parameters != NULL)
			ok = schema_validate(*parameters, *parameters, arguments);
		else if (must)
			ok = arguments.u.map->len == 0;
	}
	arena_fini(&arena);
	return ok && found;
}

/* Calls, reasoning where it may stand, and nothing else; how many calls. */
static unsigned read(
    const struct output_config *config, const char *tools, bool must, const struct buf *text)
{
	struct output *o = NULL;
	struct output_piece piece;
	unsigned calls = 0;

	assert_int_equal(output_new(config, &o), RC_OK);
	for (size_t at = 0; at < text->len;) {
		size_t n = 1 + below(40);

		n = n < text->len - at ? n : text->len - at;
		output_push(o, buf_text(text) + at, n);
		at += n;
		if (at == text->len)
			output_end(o);
		while (output_next(o, &piece)) {
			if (must && piece.kind == OUTPUT_REASONING)
				continue;
			if (piece.kind != OUTPUT_CALL || !is_valid(tools, &piece, must))
				fail_msg("%s\nof %s\nbecame %.*s", buf_text(text), tools,
				    (int)piece.len, piece.text);
			calls++;
		}
	}
	output_free(o);
	return calls;
}

struct held {
	enum calls_form form;
	const char *format, *mark;
};

static void check(const struct held *held, bool must)
{
	const struct vocab vocab = { .n_vocab = 64, .whole = true };
	const struct calls_want want = {
		.form = held->form, .must = must, .thinks = must, .one = must && below(3) == 0
	};
	struct errmsg why = ERRMSG_INIT;
	struct automaton *automaton = NULL;
	struct matcher *m = NULL;
	struct buf tools, text;

	buf_init(&tools, 1 << 20);
	buf_init(&text, 1 << 20);
	buf_putc(&tools, '[');
	make_tool(&tools, "get_it", true);
	buf_putc(&tools, ',');
	make_tool(&tools, "get", true);
	buf_putc(&tools, ',');
	make_tool(&tools, "loose", false);
	buf_putc(&tools, ']');
	if (calls_compile(&want, buf_text(&tools), tools.len, &automaton, &why) != RC_OK)
		fail_msg("%s: %s", buf_text(&tools), errmsg_text(&why, RC_INVALID));
	assert_int_equal(matcher_new(automaton, &vocab, &m), RC_OK);
	buf_puts(&text, must ? "" : held->mark);
	draw(m, &text);
	const struct output_config config = { .calls = OUTPUT_CALLS_TAGS,
		.format = held->format,
		.tools = buf_text(&tools),
		.must = must,
		.reasoning = true };
	assert_true(read(&config, buf_text(&tools), must, &text) > 0);
	matcher_free(m);
	buf_fini(&tools);
	buf_fini(&text);
}

static void test_what_is_held_is_read(void **unused)
{
	static const struct held all[] = { { CALLS_ARGUMENTS, "hermes", "<tool_call>" },
		{ CALLS_PARAMETERS, "llama3", "" }, { CALLS_ARRAY, "mistral", "[TOOL_CALLS]" },
		{ CALLS_ARGS, "mistral", "[TOOL_CALLS]" },
		{ CALLS_MARKED, "deepseek", DS("tool" GAP "calls" GAP "begin") },
		{ CALLS_FENCED, "deepseek", DS("tool" GAP "calls" GAP "begin") },
		{ CALLS_FUNCTION, "hermes", "<tool_call>" },
		{ CALLS_KEYED, "hermes", "<tool_call>" }, { CALLS_GEMMA, "gemma4", "<|tool_call>" },
		{ CALLS_MESSAGE, "harmony", NULL } };
	const char *more = getenv("HEARTH_CALLS");
	unsigned n = more != NULL ? (unsigned)strtoul(more, NULL, 10) : 8;

	(void)unused;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		for (unsigned k = 0; k < n; k++) {
			seed = 1000 * i + k;
			check(&all[i], true);
			if (all[i].mark != NULL)
				check(&all[i], false);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_held_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
