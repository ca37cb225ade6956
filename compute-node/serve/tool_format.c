/* Tool format: told by the marks that a template writes. */
#include "serve/tool_format.h"

#include <stddef.h>
#include <string.h>

const char *tool_format_of(const char *source)
{
	static const struct {
		const char *mark, *format;
	} marks[] = {
		{ "[TOOL_CALLS]", "mistral" },
		{ "tool\xe2\x96\x81"
		  "calls\xe2\x96\x81"
		  "begin",
		    "deepseek" },
		{ "<|channel|>commentary", "harmony" },
		{ "<|tool_call>", "gemma4" },
		{ "<tool_call>", "hermes" },
		{ "<|python_tag|>", "llama3" },
		{ "Environment: ipython", "llama3" },
	};

	/* Marks of past calls alone do not show the model what it may call. */
	if (source == NULL || strstr(source, "tools") == NULL)
		return "";
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		if (strstr(source, marks[i].mark) != NULL)
			return marks[i].format;
	}
	return "";
}

struct tool_hold tool_hold_of(const char *format, const char *source)
{
#define BAR "\xef\xbd\x9c"
#define GAP "\xe2\x96\x81"
#define TAG ONSET_MARK, "<tool_call>", true
#define MISTRAL ONSET_MARK, "[TOOL_CALLS]", false
#define DEEPSEEK ONSET_MARK, "<" BAR "tool" GAP "calls" GAP "begin" BAR ">", true
	/* Of a format the first whose words the template has; NULL: any. */
	static const struct {
		const char *format, *words;
		struct tool_hold hold;
	} holds[] = {
		{ "hermes", "<function=", { TAG, CALLS_FUNCTION, CALLS_FUNCTION, false } },
		{ "hermes", "<arg_key>", { TAG, CALLS_KEYED, CALLS_KEYED, false } },
		{ "llama3", NULL,
		    { ONSET_BARE, "<|python_tag|>", false, CALLS_PARAMETERS, CALLS_PARAMETERS,
			false } },
		{ "mistral", "[ARGS]", { MISTRAL, CALLS_ARGS, CALLS_ARGS, false } },
		{ "mistral", NULL, { MISTRAL, CALLS_ARRAY, CALLS_ARRAY, false } },
		{ "deepseek", "```json", { DEEPSEEK, CALLS_FENCED, CALLS_FENCED, false } },
		{ "deepseek", NULL, { DEEPSEEK, CALLS_MARKED, CALLS_MARKED, false } },
		{ "gemma4", NULL,
		    { ONSET_MARK, "<|tool_call>", true, CALLS_GEMMA, CALLS_GEMMA, true } },
		{ "harmony", NULL,
		    { ONSET_RECIPIENT, NULL, false, CALLS_NAMED, CALLS_MESSAGE, true } },
	};
	struct tool_hold hold = { TAG, CALLS_ARGUMENTS, CALLS_ARGUMENTS, false };

	for (size_t i = 0; i < sizeof(holds) / sizeof(holds[0]); i++) {
		if (strcmp(format, holds[i].format) == 0 &&
		    (holds[i].words == NULL || strstr(source, holds[i].words) != NULL)) {
			hold = holds[i].hold;
			break;
		}
	}
	hold.thinks = hold.thinks || (source != NULL && strstr(source, "<think>") != NULL);
	return hold;
}
