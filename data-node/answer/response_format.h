/*
 * Response format and tools of a request: what the answer has to be.
 *
 * `response_format` and a tool that has to be called become a constraint, which the
 * compute node holds the answer to; tools are otherwise the template's and the model's.
 * Where a call is forced, the answer is calls as the model writes them, or, on a node that cannot
 * hold it to those, {"name":…,"arguments":…} and nothing else; with a response format beside
 * tools that may be called, it is that or the format.
 */
#ifndef ANSWER_RESPONSE_FORMAT_H
#define ANSWER_RESPONSE_FORMAT_H

#include <jansson.h>

#include "answer/chat_request.h"

#define TOOLS_MAX ((size_t)128)
#define TOOL_NAME_BYTES_MAX ((size_t)64)

/*
 * Read `response_format`, `tools`, `tool_choice` and `parallel_tool_calls` of a chat
 * request into out->format and out->tools.  RC_OK, RC_NOMEM, RC_INVALID with `fault` filled: it
 * names the field.  Everything lives in `arena`.
 */
enum rc response_format_read(const json_t *root, struct arena *arena, struct chat_request *out,
    struct chat_fault *fault) RC_CHECK;

#endif
