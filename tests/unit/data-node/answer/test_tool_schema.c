/* Which arguments are texts, as schemas say it on their face. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "answer/tool_schema.h"

static const char tools[] =
    "[{\"function\":{\"name\":\"f\",\"parameters\":{\"$defs\":{\"w\":{\"enum\":[\"a\",null]},"
    "\"loop\":{\"$ref\":\"#/$defs/loop\"},\"many\":[{\"const\":\"x\"},{}]},\"properties\":{"
    "\"text\":{\"type\":\"string\",\"anyOf\":[{\"type\":\"integer\"}]},"
    "\"both\":{\"type\":[\"string\",\"null\"]},"
    "\"null\":{\"type\":\"string\",\"nullable\":true},"
    "\"one\":{\"type\":\"string\",\"nullable\":1},"
    "\"zero\":{\"type\":\"string\",\"nullable\":0},"
    "\"mixed\":{\"type\":[\"string\",\"integer\"]},"
    "\"ref\":{\"$ref\":\"#/$defs/w\"},\"item\":{\"$ref\":\"#/$defs/many/0\"},"
    "\"lost\":{\"$ref\":\"#/$defs/x\"},\"odd\":{\"$ref\":\"#/$defs/%77\"},"
    "\"loop\":{\"$ref\":\"#/$defs/loop\"},"
    "\"all\":{\"allOf\":[{\"minLength\":1},{\"const\":\"x\"}]},"
    "\"any\":{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]},"
    "\"other\":{\"anyOf\":[{\"type\":\"string\"},true]},\"free\":{}},"
    "\"additionalProperties\":{\"type\":\"string\"}}}},"
    "{\"function\":{\"name\":\"s\",\"strict\":true,\"parameters\":{\"type\":\"object\"}}},"
    "{\"function\":{\"name\":\"g\"}}]";

static void test_schemas_show_what_they_are_of(void **unused)
{
	enum {
		T = TOOL_VALUE_TEXT,
		N = TOOL_VALUE_NULL,
		O = TOOL_VALUE_OTHER,
		H = TOOL_VALUE_HELD
	};
	static const struct {
		const char *name, *key;
		unsigned values;
	} cases[] = { { "f", "text", T }, { "f", "both", T | N }, { "f", "null", T | N },
		{ "f", "one", T | N }, { "f", "zero", T }, { "f", "mixed", T | O },
		{ "f", "ref", T | N }, { "f", "item", T }, { "f", "lost", O }, { "f", "odd", O },
		{ "f", "loop", O }, { "f", "all", T }, { "f", "any", T | N },
		{ "f", "other", T | O }, { "f", "free", O }, { "f", "else", T },
		{ "s", "any", O | H }, { "g", "any", 0 }, { "h", "any", 0 } };
	struct tool_schema schema = { .tools = json_loads(tools, 0, NULL) };

	(void)unused;
	assert_non_null(schema.tools);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *name = cases[i].name, *key = cases[i].key;

		unsigned got = tool_schema_values(&schema, name, strlen(name), key, strlen(key));
		if (got != cases[i].values)
			fail_msg("%s of %s is %u, not %u", key, name, got, cases[i].values);
	}
	/* Where a call must come all functions are strict. */
	schema.held = true;
	assert_int_equal(tool_schema_values(&schema, "f", 1, "text", 4), T | H);
	json_decref(schema.tools);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_schemas_show_what_they_are_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
