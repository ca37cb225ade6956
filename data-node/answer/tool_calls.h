/*
 * Tool calls: how the served families write them, and reading what they wrote.
 */
#ifndef ANSWER_TOOL_CALLS_H
#define ANSWER_TOOL_CALLS_H

#include <stdbool.h>
#include <stddef.h>

#define TOOL_MARKS_MAX 3

struct tool_schema; /* answer/tool_schema.h */

enum tool_form {
	TOOL_FORM_TAGS,     /* <tool_call>…</tool_call>, or bare <function=…> */
	TOOL_FORM_LLAMA3,   /* {"name":…,"parameters":…}, several behind one another */
	TOOL_FORM_MISTRAL,  /* [TOOL_CALLS] and a JSON array, or name and JSON */
	TOOL_FORM_DEEPSEEK, /* its own markers */
	TOOL_FORM_GEMMA,    /* <|tool_call>call:NAME{key:value} */
	TOOL_FORM_FORCED,   /* {"name":…,"arguments":…} and nothing else */
};

struct tool_marks {
	const char *format; /* wire_model.tool_format */
	enum tool_form form;
	const char *open[TOOL_MARKS_MAX + 1];
	const char *close; /* NULL: the answer's end */
	bool bare;         /* a text that begins with { may be a call */
};

/* Never NULL: a format that is not known reads as "hermes". */
const struct tool_marks *tool_marks_of(const char *format);

struct tool_call {
	char *name;
	char *arguments; /* a JSON object, compact */
};

struct tool_calls {
	size_t len;
	struct tool_call calls[];
};

/* What is between the marks, these included; NULL: it is no call (or no memory).  `tools` tell
 * texts from other arguments where they are written alike. */
struct tool_calls *tool_calls_parse(
    enum tool_form form, const struct tool_schema *tools, const char *text, size_t len);

/* The text ends within an argument that may hold the mark that ends calls. */
bool tool_calls_within(
    enum tool_form form, const struct tool_schema *tools, const char *text, size_t len);

/* The call of `name` with these arguments, a JSON object and nothing else; NULL as above. */
struct tool_calls *tool_calls_of(const char *name, const char *arguments, size_t len);
void tool_calls_free(struct tool_calls *calls);

#endif
