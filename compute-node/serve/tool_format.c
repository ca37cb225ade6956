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
