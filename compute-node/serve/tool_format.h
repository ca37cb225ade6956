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

/* How a call is held to the tools' schemas from the moment it begins. */
struct tool_hold {
	enum onset_kind onset;
	const char *mark; /* static; NULL: none */
	enum calls_form form;
	bool many; /* text and more calls may follow one */
};

/* False: calls of this template are not JSON all through, so they are not held. */
bool tool_hold_of(const char *source, struct tool_hold *out);

#endif
