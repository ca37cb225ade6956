/*
 * Tool format: how a chat template has tools called, as Model.tool_format says it.
 */
#ifndef SERVE_TOOL_FORMAT_H
#define SERVE_TOOL_FORMAT_H

#include <stdbool.h>

#include "grammar/calls.h"
#include "serve/onset.h"

/* "hermes", "llama3", "mistral", "deepseek", "harmony", "gemma4"; "": it shows the model no tools,
 * or in a way that is not known here.  `source` may be NULL. */
const char *tool_format_of(const char *source);

/* How calls are held to the tools' schemas. */
struct tool_hold {
	enum onset_kind onset; /* of one that need not come: from where it is held */
	const char *mark;      /* static; NULL: none */
	bool many;             /* text and more calls may follow what is held */
	enum calls_form form;
	enum calls_form forced; /* of one that must come, from the answer's front */
	bool thinks;            /* it may be behind reasoning that the prompt did not open */
};

/* Of a template and its format; where that is "", a model is told of tools in words, and calls as
 * Hermes has them.  `source` may be NULL. */
struct tool_hold tool_hold_of(const char *format, const char *source);

#endif
