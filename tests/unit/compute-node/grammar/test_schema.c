/* Schemas: what each keyword lets through, random ones against a naive validator, refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/random.h"
#include "grammar_fixture.h"
#include "schema_validate.h"
#include "template/template.h"

static bool accepts(const char *schema, const char *text)
{
	struct matcher *m = fixture_matcher(schema);
	bool ok = matcher_push_bytes(m, (const uint8_t *)text, strlen(text)) && matcher_accepts(m);

	matcher_free(m);
	return ok;
}

static void expect(const char *schema, const char *const *good, const char *const *bad)
{
	for (; *good != NULL; good++) {
		if (!accepts(schema, *good))
			fail_msg("%s refuses %s", schema, *good);
	}
	for (; *bad != NULL; bad++) {
		if (accepts(schema, *bad))
			fail_msg("%s lets %s through", schema, *bad);
	}
}

#define GOOD(...)                                                                                  \
	(const char *const[])                                                                      \
	{                                                                                          \
		__VA_ARGS__, NULL                                                                  \
	}
#define BAD(...)                                                                                   \
	(const char *const[])                                                                      \
	{                                                                                          \
		__VA_ARGS__, NULL                                                                  \
	}

static void test_types(void **unused)
{
	(void)unused;
	expect("{\"type\":\"boolean\"}", GOOD("true", "false"), BAD("null", "tru", "\"true\"", ""));
	expect("{\"type\":\"integer\"}", GOOD("0", "-1", "10", "123456789012345"),
	    BAD("01", "-", "-0", "1.0", "1e3", "1234567890123456", "+1"));
	expect("{\"type\":\"number\"}", GOOD("0", "-0.5", "1e3", "2.5E-10", "0.000"),
	    BAD(".5", "1.", "1e", "1e400", "NaN", "--1"));
	expect("{\"type\":\"string\"}",
	    GOOD("\"\"", "\"a\"", "\"\\n\\u00e4\\ud83d\\ude00\"", "\"\xc3\xa4\xf0\x9f\x98\x80\"",
		"\"\x7f\""),
	    BAD("\"", "\"\n\"", "\"\\x\"", "\"\\ud83d\"", "\"\\ude00\"", "\"\\u0000\"", "\"\xc3\"",
		"\"\xed\xa0\x80\"", "\"\xc0\x80\"", "a"));
	expect("{\"type\":[\"string\",\"null\"]}", GOOD("null", "\"\""), BAD("1", "[]"));
	expect("{\"type\":\"string\",\"nullable\":true}", GOOD("null", "\"\""), BAD("1"));
	expect("{}", GOOD("1", "[1,{\"a\":[null]}]", "\"x\""), BAD("[", "{1:2}", "[1,]"));
	expect("true", GOOD("1", "{}"), BAD("x"));
}

static void test_objects(void **unused)
{
	const char *closed = "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},"
			     "\"b\":{\"type\":\"string\"},\"c\":{\"type\":\"null\"}},"
			     "\"required\":[\"b\"],\"additionalProperties\":false}";
	const char *open = "{\"type\":\"object\",\"properties\":{\"ab\":{\"type\":\"integer\"},"
			   "\"a\xc3\xa4\":{\"type\":\"integer\"}},"
			   "\"additionalProperties\":{\"type\":\"null\"}}";

	(void)unused;
	expect(closed,
	    GOOD("{\"a\":1,\"b\":\"\",\"c\":null}", "{\"b\":\"x\"}", "{ \"b\": \"x\" }",
		"{\n  \"a\": 1,\n  \"b\": \"x\"\n}", "{\"b\":\"\",\"c\":null}"),
	    BAD("{}", "{\"a\":1}", "{\"b\":1}", "{\"b\":\"\",\"a\":1}", "{\"b\":\"\",\"d\":1}",
		"{\"b\":\"\",}", "{,\"b\":\"\"}", "{  \"b\":\"\"}", "{\"b\":\"\"} "));
	expect(open,
	    GOOD("{}", "{\"ab\":1}", "{\"ab\":1,\"x\":null}", "{\"a\":null}", "{\"abc\":null}",
		"{\"\":null}", "{\"a\xc3\xb6\":null}", "{\"x\":null,\"y\\n\":null}"),
	    BAD("{\"ab\":null}", "{\"x\":1}", "{\"a\\u0062\":null}", "{\"\\u0061b\":null}",
		"{\"a\xc3\xa4\":null}", "{\"x\":null,\"ab\":1}"));
	expect("{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\"}}",
	    GOOD("{}", "{\"k\":1,\"l\":2}"), BAD("{\"k\":true}"));
	expect("{\"type\":\"object\",\"required\":[\"k\"]}",
	    GOOD("{\"k\":1}", "{\"k\":[],\"l\":2}"), BAD("{}", "{\"l\":1}"));
	expect("{\"properties\":{\"q\\\"\\n\":{\"const\":1}},\"required\":[\"q\\\"\\n\"]}",
	    GOOD("{\"q\\\"\\n\":1}"), BAD("{}", "1"));
}

static void test_arrays(void **unused)
{
	(void)unused;
	expect(
	    "{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"minItems\":1,\"maxItems\":3}",
	    GOOD("[1]", "[1,2,3]", "[ 1, 2 ]", "[\n\t1\n]"),
	    BAD("[]", "[1,2,3,4]", "[1,]", "[true]", "[1 2]"));
	expect("{\"type\":\"array\",\"items\":{\"const\":1},\"minItems\":2}",
	    GOOD("[1,1]", "[1,1,1,1,1,1]"), BAD("[]", "[1]", "[1,2]"));
	expect("{\"prefixItems\":[{\"const\":1},{\"const\":2}],\"items\":false}",
	    GOOD("[]", "[1]", "[1,2]"), BAD("[2]", "[1,2,3]"));
	expect("{\"prefixItems\":[{\"const\":1}],\"items\":{\"const\":2},\"minItems\":1}",
	    GOOD("[1]", "[1,2]", "[1,2,2,2]"), BAD("[]", "[1,1]", "[2]"));
	expect("{\"items\":[{\"const\":1}],\"additionalItems\":false}", GOOD("[]", "[1]"),
	    BAD("[1,1]"));
	expect("{\"type\":\"array\",\"maxItems\":0}", GOOD("[]"), BAD("[1]"));
}

static void test_named_values(void **unused)
{
	(void)unused;
	expect("{\"enum\":[\"a\",\"ab\",1,null,{\"x\":[1,2]},1.5,\"\\u00e4\"]}",
	    GOOD("\"a\"", "\"ab\"", "1", "null", "{\"x\":[1,2]}", "1.5", "\"\xc3\xa4\""),
	    BAD("\"b\"", "\"abc\"", "2", "{}", "\"\""));
	expect("{\"const\":{\"a\":true}}", GOOD("{\"a\":true}"), BAD("{}", "{\"a\":false}"));
	expect("{\"type\":\"string\",\"enum\":[\"a\",1]}", GOOD("\"a\""), BAD("1"));
	expect("{\"enum\":[\"a\"],\"nullable\":true}", GOOD("\"a\"", "null"), BAD("1"));
}

static void test_strings(void **unused)
{
	(void)unused;
	expect("{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}",
	    GOOD("\"ab\"", "\"abc\"", "\"\xc3\xa4\xf0\x9f\x98\x80\"", "\"\\n\\u0041\"",
		"\"\\ud83d\\ude00x\""),
	    BAD("\"a\"", "\"abcd\"", "\"\""));
	expect(
	    "{\"type\":\"string\",\"minLength\":1}", GOOD("\"a\"", "\"abcdefghi\""), BAD("\"\""));
	expect("{\"pattern\":\"^[A-Z]{2}-\\\\d+$\"}", GOOD("\"AB-1\"", "\"XY-123\""),
	    BAD("\"A-1\"", "\"ABC-1\"", "\"AB-\"", "\"AB-1x\""));
	expect("{\"pattern\":\"b+(c|d)?\"}", GOOD("\"b\"", "\"abbcx\"", "\"\\nb\""), BAD("\"ac\""));
	expect("{\"pattern\":\"^(a|bc){2,3}$\"}", GOOD("\"aa\"", "\"abca\"", "\"bcbcbc\""),
	    BAD("\"a\"", "\"aaaa\"", "\"ab\""));
	expect("{\"pattern\":\"^[^a-y\\\\s]*$\"}", GOOD("\"\"", "\"zZ\xc3\xa4\"", "\"\\\"\""),
	    BAD("\"a\"", "\" \"", "\"\\n\""));
	expect("{\"pattern\":\"^\\\\w+@[\\\\w.-]+$\"}", GOOD("\"a@b.c\""), BAD("\"a\"", "\"@b\""));
	expect("{\"pattern\":\"^.\\\\$x?$\"}", GOOD("\"a$\"", "\"a$x\""), BAD("\"a\"", "\"\\n$\""));
	expect("{\"format\":\"date-time\",\"type\":\"string\"}",
	    GOOD("\"2026-11-27T09:00:00Z\"", "\"2026-11-27T09:00:00.5+01:00\""),
	    BAD("\"2026-13-27T09:00:00Z\"", "\"today\""));
	expect("{\"format\":\"email\",\"type\":\"string\"}", GOOD("\"x\""), BAD("1"));
}

static void test_bounds(void **unused)
{
	(void)unused;
	expect("{\"type\":\"integer\",\"minimum\":-12,\"maximum\":105}",
	    GOOD("-12", "-9", "-1", "0", "7", "99", "100", "105"),
	    BAD("-13", "106", "-0", "110", "1000", "00"));
	expect("{\"type\":\"integer\",\"exclusiveMinimum\":0}", GOOD("1", "10", "999999999999999"),
	    BAD("0", "-1"));
	expect("{\"type\":\"number\",\"minimum\":0.25,\"exclusiveMaximum\":1}",
	    GOOD("0.25", "0.250", "0.26", "0.3", "0.999"),
	    BAD("0", "0.2", "0.249", "1", "1.0", "1e0"));
	expect("{\"type\":\"number\",\"minimum\":-1.5,\"maximum\":-0.5}",
	    GOOD("-1.5", "-1", "-0.5", "-1.49"), BAD("-0.4", "0", "-1.51", "-2", "1"));
	expect("{\"type\":\"number\",\"exclusiveMinimum\":0,\"maximum\":1}",
	    GOOD("0.001", "1", "1.0", "0.5"), BAD("0", "0.0", "1.1", "-0.5"));
	expect("{\"type\":\"integer\",\"minimum\":-9007199254740991,\"maximum\":9007199254740991}",
	    GOOD("9007199254740991", "-9007199254740991", "0"), BAD("9007199254740992"));
}

static void test_choices(void **unused)
{
	(void)unused;
	expect("{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"array\",\"items\":{\"type\":"
	       "\"null\"}}]}",
	    GOOD("1", "[]", "[null]"), BAD("[1]", "null"));
	expect("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}},"
	       "\"anyOf\":[{\"required\":[\"a\"]},{\"properties\":{\"b\":{\"const\":1}},"
	       "\"required\":[\"b\"]}]}",
	    GOOD("{\"a\":1}", "{\"b\":1}", "{\"a\":2,\"b\":1}"), BAD("{}", "{\"a\":true}"));
	expect("{\"oneOf\":[{\"properties\":{\"t\":{\"const\":\"x\"},\"v\":{\"type\":\"integer\"}},"
	       "\"required\":[\"t\",\"v\"]},{\"properties\":{\"t\":{\"const\":\"y\"}},"
	       "\"required\":[\"t\"]}]}",
	    GOOD("{\"t\":\"x\",\"v\":1}", "{\"t\":\"y\"}"), BAD("{\"t\":\"x\"}", "{\"t\":\"z\"}"));
	expect("{\"allOf\":[{\"$ref\":\"#/$defs/a\"},{\"properties\":{\"y\":{\"type\":\"integer\","
	       "\"minimum\":3}},\"required\":[\"y\"]}],\"$defs\":{\"a\":{\"type\":\"object\","
	       "\"properties\":{\"x\":{\"const\":1},\"y\":{\"maximum\":5}},\"required\":[\"x\"]}}}",
	    GOOD("{\"x\":1,\"y\":3}", "{\"x\":1,\"y\":5}"),
	    BAD("{\"x\":1}", "{\"y\":3}", "{\"x\":1,\"y\":6}", "{\"x\":1,\"y\":2}"));
	expect("{\"$ref\":\"#/$defs/a\",\"description\":\"d\",\"$defs\":{\"a\":{\"const\":1}}}",
	    GOOD("1"), BAD("2"));
}

static void test_recursion(void **unused)
{
	const char *list =
	    "{\"type\":\"object\",\"properties\":{\"v\":{\"type\":\"integer\"},\"next\":"
	    "{\"anyOf\":[{\"$ref\":\"#\"},{\"type\":\"null\"}]}},"
	    "\"required\":[\"v\",\"next\"],\"additionalProperties\":false}";

	(void)unused;
	expect(list, GOOD("{\"v\":1,\"next\":null}", "{\"v\":1,\"next\":{\"v\":2,\"next\":null}}"),
	    BAD("{\"v\":1}", "{\"v\":1,\"next\":{\"v\":2}}"));
	expect("{\"anyOf\":[{\"$ref\":\"#\"},{\"type\":\"null\"}]}", GOOD("null"), BAD("1"));
	expect(
	    "{\"type\":\"array\",\"items\":{\"$ref\":\"#\"}}", GOOD("[]", "[[],[[]]]"), BAD("[1]"));
}

/* Down to the depth that there is, an answer can always be brought to its end. */
static void test_depth_is_no_dead_end(void **unused)
{
	struct matcher *m =
	    fixture_matcher("{\"type\":\"object\",\"properties\":{\"n\":{\"anyOf\":["
			    "{\"$ref\":\"#\"},{\"type\":\"null\"}]}},\"required\":[\"n\"]}");
	const char *down = "{\"n\":";
	size_t levels = 0;

	(void)unused;
	while (matcher_push_bytes(m, (const uint8_t *)down, strlen(down)))
		levels++;
	assert_in_range(levels, 20, AUTOMATON_DEPTH_MAX);
	/* It fails at the brace: what is left is null, and then all the closing ones. */
	assert_false(matcher_push_bytes(m, (const uint8_t *)"{", 1));
	assert_true(matcher_push_bytes(m, (const uint8_t *)"null", 4));
	for (size_t i = 0; i < levels; i++)
		assert_true(matcher_push_bytes(m, (const uint8_t *)"}", 1));
	assert_true(matcher_over(m));
	matcher_free(m);
}

/* ---- refusals ---- */

static void refuse(const char *schema, enum rc rc, const char *words)
{
	struct errmsg why = ERRMSG_INIT;
	struct automaton *automaton = NULL;

	if (schema_compile(schema, strlen(schema), &automaton, &why) != rc ||
	    strstr(why.text, words) == NULL)
		fail_msg("%.200s\n%s", schema, why.text);
	automaton_free(automaton);
}

static void test_refusals_name_the_place(void **unused)
{
	(void)unused;
	refuse("{\"properties\":{\"a\":{\"type\":\"integer\",\"multipleOf\":5}}}", RC_UNSUPPORTED,
	    "at a: multipleOf");
	refuse("{\"items\":{\"not\":{}}}", RC_UNSUPPORTED, "items.not");
	refuse("{\"patternProperties\":{}}", RC_UNSUPPORTED, "patternProperties");
	refuse("{\"uniqueItems\":true,\"type\":\"array\"}", RC_UNSUPPORTED, "uniqueItems");
	refuse(
	    "{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"number\"}]}", RC_UNSUPPORTED, "oneOf");
	refuse("{\"pattern\":\"^(?=a)b$\"}", RC_UNSUPPORTED, "look ahead");
	refuse("{\"pattern\":\"(a)\\\\1\"}", RC_UNSUPPORTED, "reference back");
	refuse("{\"pattern\":\"^a|b$\"}", RC_UNSUPPORTED, "anchor");
	refuse("{\"pattern\":\"a(\"}", RC_INVALID, "pattern");
	refuse("{\"type\":\"thing\"}", RC_INVALID, "type");
	refuse("{\"properties\":{\"a\":3}}", RC_INVALID, "at a");
	refuse("{\"$ref\":\"http://x/y\"}", RC_UNSUPPORTED, "$ref");
	refuse("{\"$ref\":\"#/$defs/none\"}", RC_INVALID, "$ref");
	refuse("[1", RC_INVALID, "JSON");
	refuse("{\"enum\":[]}", RC_INVALID, "enum");
	refuse("{\"type\":\"integer\",\"minimum\":5,\"maximum\":4}", RC_UNSUPPORTED, "no value");
	refuse("{\"type\":\"integer\",\"minimum\":1e300}", RC_UNSUPPORTED, "bound");
	refuse("false", RC_UNSUPPORTED, "no value");
	refuse("{\"required\":[\"b\"],\"properties\":{\"a\":{}},\"additionalProperties\":false}",
	    RC_UNSUPPORTED, "required[0]");
	refuse("{\"allOf\":[{\"properties\":{\"a\":{}},\"additionalProperties\":false},"
	       "{\"properties\":{\"b\":{}}}]}",
	    RC_UNSUPPORTED, "additionalProperties");
}

static void test_bombs_are_refused(void **unused)
{
	struct buf text;

	(void)unused;
	refuse("{\"$ref\":\"#\"}", RC_UNSUPPORTED, "no value");
	refuse("{\"properties\":{\"a\":{\"$ref\":\"#\"}},\"required\":[\"a\"]}", RC_UNSUPPORTED,
	    "no value");
	refuse("{\"allOf\":[{\"$ref\":\"#\"}]}", RC_LIMIT, "deep");
	refuse("{\"type\":\"array\",\"maxItems\":1000000}", RC_LIMIT, "maxItems");
	refuse("{\"pattern\":\"^((((a{99}){99}){99}){99}){99}$\"}", RC_LIMIT, "states");
	buf_init(&text, SCHEMA_BYTES_MAX * 2);
	for (int i = 0; i < 100; i++)
		buf_puts(&text, "{\"items\":");
	buf_puts(&text, "{}");
	for (int i = 0; i < 100; i++)
		buf_puts(&text, "}");
	refuse(buf_text(&text), RC_LIMIT, "deep");
	buf_reset(&text);
	/* Each level twice the one below. */
	buf_puts(&text, "{\"$ref\":\"#/$defs/d0\",\"$defs\":{");
	for (int i = 0; i < 40; i++)
		buf_printf(&text,
		    "\"d%d\":{\"allOf\":[{\"$ref\":\"#/$defs/d%d\"},"
		    "{\"$ref\":\"#/$defs/d%d\"}]},",
		    i, i + 1, i + 1);
	buf_puts(&text, "\"d40\":{\"type\":\"integer\"}}}");
	refuse(buf_text(&text), RC_LIMIT, "schemas");
	buf_reset(&text);
	buf_puts(&text, "{\"enum\":[0");
	for (int i = 0; i < 20000; i++)
		buf_printf(&text, ",%d", i);
	buf_puts(&text, "]}");
	refuse(buf_text(&text), RC_LIMIT, "enum");
	buf_fini(&text);
}

/* Sixty choices, each within the one before, twice: none of those that are looked at takes
 * a byte. */
static void test_choices_within_choices_are_refused(void **unused)
{
	struct automaton *automaton = NULL;
	struct matcher *m = NULL;
	struct buf text;

	(void)unused;
	buf_init(&text, SCHEMA_BYTES_MAX);
	buf_puts(&text, "{\"$ref\":\"#/$defs/d0\",\"$defs\":{");
	for (int i = 0; i < 60; i++)
		buf_printf(&text,
		    "\"d%d\":{\"anyOf\":[{\"$ref\":\"#/$defs/d%d\"},{\"$ref\":\"#/$defs/d%d\"}]},",
		    i, i + 1, i + 2);
	buf_puts(&text, "\"d60\":{\"type\":\"integer\"},\"d61\":{\"type\":\"null\"}}}");
	assert_int_equal(schema_compile(buf_text(&text), text.len, &automaton, NULL), RC_OK);
	assert_int_equal(matcher_new(automaton, fixture.vocab, &m), RC_LIMIT);
	automaton_free(automaton);
	buf_fini(&text);
}

/* ---- random schemas ---- */

static uint64_t seed;

static unsigned below(unsigned n)
{
	return (unsigned)(random_next(&seed) >> 33) % n;
}

/* A schema, and beside it one compact text that it allows. */
static void make(struct buf *schema, struct buf *text, int depth);

static void make_string(struct buf *schema, struct buf *text)
{
	static const char *const pieces[] = { "a", "Z", " ", "\xc3\xa4", "\\n", "\\\"",
		"\xe4\xb8\xad", "\\u00e9", "7", "\xf0\x9f\x98\x80" };
	unsigned n = below(6);

	buf_puts(schema, "{\"type\":\"string\"");
	if (below(2) == 0)
		buf_printf(schema, ",\"minLength\":%u", below(n + 1));
	if (below(2) == 0)
		buf_printf(schema, ",\"maxLength\":%u", n + below(4));
	buf_puts(schema, "}");
	buf_puts(text, "\"");
	for (unsigned i = 0; i < n; i++)
		buf_puts(text, pieces[below(10)]);
	buf_puts(text, "\"");
}

static void make_number(struct buf *schema, struct buf *text)
{
	bool integer = below(2) == 0;
	int value = (int)below(4000) - 2000;

	buf_printf(schema, "{\"type\":\"%s\"", integer ? "integer" : "number");
	if (below(2) == 0)
		buf_printf(schema, ",\"minimum\":%d%s", value - (int)below(300) - 1,
		    below(2) == 0 ? ".25" : "");
	if (below(2) == 0)
		buf_printf(schema, ",\"exclusiveMaximum\":%d", value + 1 + (int)below(300));
	buf_puts(schema, "}");
	buf_printf(text, "%d", value);
	if (!integer && below(2) == 0 && value > 0)
		buf_printf(text, ".%u", below(1000));
}

static void make_object(struct buf *schema, struct buf *text, int depth)
{
	unsigned n = below(5), required = 0;
	bool any = false, open = below(2) == 0;
	struct buf list;

	buf_init(&list, 4096);
	buf_puts(schema, "{\"type\":\"object\",\"properties\":{");
	buf_puts(text, "{");
	for (unsigned i = 0; i < n; i++) {
		bool must = below(2) == 0, there = must || below(2) == 0;
		size_t before = text->len;

		if (there)
			buf_printf(text, "%s\"p%u\":", any ? "," : "", i);
		buf_printf(schema, "%s\"p%u\":", i > 0 ? "," : "", i);
		make(schema, text, depth - 1);
		if (!there) {
			text->len = before;
			text->bytes[before] = '\0';
		}
		any = any || there;
		if (must)
			buf_printf(&list, "%s\"p%u\"", required++ > 0 ? "," : "", i);
	}
	buf_printf(schema, "},\"required\":[%s],\"additionalProperties\":%s}", buf_text(&list),
	    open ? "{\"type\":\"boolean\"}" : "false");
	for (unsigned i = 0; open && i < below(3); i++, any = true)
		buf_printf(text, "%s\"p%u\":true", any ? "," : "", 7 + below(20));
	buf_puts(text, "}");
	buf_fini(&list);
}

static void make_array(struct buf *schema, struct buf *text, int depth)
{
	unsigned listed = below(3), more = below(3);

	buf_puts(schema, "{\"type\":\"array\",\"prefixItems\":[");
	buf_puts(text, "[");
	for (unsigned i = 0; i < listed; i++) {
		buf_puts(schema, i > 0 ? "," : "");
		buf_puts(text, i > 0 ? "," : "");
		make(schema, text, depth - 1);
	}
	buf_puts(schema, "],\"items\":{\"enum\":[\"x\",17,null]}");
	for (unsigned i = 0; i < more; i++) {
		static const char *const items[] = { "\"x\"", "17", "null" };

		buf_printf(text, "%s%s", listed + i > 0 ? "," : "", items[below(3)]);
	}
	if (below(2) == 0)
		buf_printf(schema, ",\"minItems\":%u", below(listed + more + 1));
	if (below(2) == 0)
		buf_printf(schema, ",\"maxItems\":%u", listed + more + below(3));
	buf_puts(schema, "}");
	buf_puts(text, "]");
}

static void make_choice(struct buf *schema, struct buf *text, int depth)
{
	struct buf unused;

	buf_init(&unused, 1 << 20);
	buf_puts(schema, "{\"anyOf\":[");
	if (below(2) == 0) {
		make(schema, &unused, depth - 1);
		buf_puts(schema, ",");
	}
	make(schema, text, depth - 1);
	if (below(2) == 0) {
		buf_puts(schema, ",");
		make(schema, &unused, depth - 1);
	}
	buf_puts(schema, "]}");
	buf_fini(&unused);
}

static void make(struct buf *schema, struct buf *text, int depth)
{
	switch (below(depth > 0 ? 9 : 4)) {
	case 0:
		make_string(schema, text);
		break;
	case 1:
	case 2:
		make_number(schema, text);
		break;
	case 3:
		buf_puts(schema, "{\"const\":{\"k\":[1,\"\\u00e4\"]}}");
		buf_puts(text, "{\"k\":[1,\"\xc3\xa4\"]}");
		break;
	case 4:
	case 5:
		make_array(schema, text, depth);
		break;
	case 6:
		make_choice(schema, text, depth);
		break;
	default:
		make_object(schema, text, depth);
		break;
	}
}

/* Tokens drawn among those allowed, those that close things more often. */
static bool draw_answer(struct matcher *m, struct buf *out)
{
	static const char *const closing[] = { "\"", "}", "]" };

	for (int i = 0; i < 3000; i++) {
		const uint64_t *bitmap = matcher_allowed(m);
		int32_t id = -1;

		if (fixture_allows(bitmap, FIXTURE_END))
			return true;
		for (size_t k = 0; k < 3 && id < 0 && below(3) == 0; k++) {
			int32_t byte = 3 + (int32_t)(unsigned char)closing[k][0];

			id = fixture_allows(bitmap, byte) ? byte : -1;
		}
		for (int tries = 0; id < 0 && tries < 100000; tries++) {
			int32_t any = (int32_t)below(FIXTURE_N);

			id = fixture_allows(bitmap, any) ? any : -1;
		}
		assert_true(id >= 0);
		char piece[64];
		size_t len = tokenizer_piece(fixture.tokenizer, id, false, piece, sizeof(piece));
		buf_append(out, piece, len);
		assert_true(matcher_push(m, id));
	}
	return false;
}

static void check_answer(const char *schema, const struct buf *answer)
{
	struct arena arena;
	struct value root, value;

	arena_init(&arena, (size_t)16 << 20);
	assert_int_equal(template_parse_json(schema, strlen(schema), &arena, &root, NULL), RC_OK);
	if (template_parse_json(buf_text(answer), answer->len, &arena, &value, NULL) != RC_OK)
		fail_msg("%s\nis no JSON under %s", buf_text(answer), schema);
	if (!schema_validate(root, root, value))
		fail_msg("%s\nis not valid under %s", buf_text(answer), schema);
	arena_fini(&arena);
}

static void test_random_schemas(void **unused)
{
	const char *more = getenv("HEARTH_SCHEMAS");
	int n = more != NULL ? (int)strtol(more, NULL, 10) : 150, ended = 0;
	struct buf schema, text, answer;

	(void)unused;
	buf_init(&schema, 1 << 20);
	buf_init(&text, 1 << 20);
	buf_init(&answer, 1 << 20);
	for (int i = 0; i < n; i++) {
		seed = 1000 + (uint64_t)i;
		buf_reset(&schema);
		buf_reset(&text);
		buf_reset(&answer);
		make(&schema, &text, 4);
		check_answer(buf_text(&schema), &text);
		if (!accepts(buf_text(&schema), buf_text(&text)))
			fail_msg("%s\nrefuses %s", buf_text(&schema), buf_text(&text));
		struct matcher *m = fixture_matcher(buf_text(&schema));
		if (draw_answer(m, &answer)) {
			ended++;
			check_answer(buf_text(&schema), &answer);
		}
		matcher_free(m);
	}
	assert_true(ended * 10 >= n * 9);
	buf_fini(&schema);
	buf_fini(&text);
	buf_fini(&answer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_objects),
		cmocka_unit_test(test_arrays),
		cmocka_unit_test(test_named_values),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_choices),
		cmocka_unit_test(test_recursion),
		cmocka_unit_test(test_depth_is_no_dead_end),
		cmocka_unit_test(test_refusals_name_the_place),
		cmocka_unit_test(test_bombs_are_refused),
		cmocka_unit_test(test_choices_within_choices_are_refused),
		cmocka_unit_test(test_random_schemas),
	};

	return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
