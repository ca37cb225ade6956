/*
 * Tool format: how a chat template has tools called, as Model.tool_format says it.
 */
#ifndef SERVE_TOOL_FORMAT_H
#define SERVE_TOOL_FORMAT_H

/* "hermes", "llama3", "mistral", "deepseek", "harmony", "gemma4"; "": it shows the model no tools,
 * or in a way that is not known here.  `source` may be NULL. */
const char *tool_format_of(const char *source);

#endif
