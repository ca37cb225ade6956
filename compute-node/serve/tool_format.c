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

bool tool_hold_of(const char *source, struct tool_hold *out)
{
	static const struct {
		const char *format, *but; /* where the template has that, it is another way */
		struct tool_hold hold;
	} holds[] = {
		{ "hermes", "<function=", { ONSET_MARK, "<tool_call>", CALLS_ARGUMENTS, true } },
		{ "llama3", NULL, { ONSET_BARE, "<|python_tag|>", CALLS_PARAMETERS, true } },
		{ "mistral", "[ARGS]", { ONSET_MARK, "[TOOL_CALLS]", CALLS_ARRAY, false } },
		{ "harmony", NULL, { ONSET_RECIPIENT, NULL, CALLS_NAMED, false } },
	};
	const char *format = tool_format_of(source);

	for (size_t i = 0; i < sizeof(holds) / sizeof(holds[0]); i++) {
		if (strcmp(format, holds[i].format) != 0)
			continue;
		*out = holds[i].hold;
		return (holds[i].but == NULL || strstr(source, holds[i].but) == NULL) &&
		       strstr(source, "<arg_key>") == NULL;
	}
	return false;
}
