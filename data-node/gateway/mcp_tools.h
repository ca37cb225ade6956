/*
 * MCP tools: what an agent may do with the timeline, as tools of the Model
 * Context Protocol.
 *
 * Each tool is one of our own GET routes with named arguments: the same rights,
 * limits and answers.  Every call goes into the audit ledger by the tool's name
 * and the number of things handed out, never their content.
 */
#ifndef GATEWAY_MCP_TOOLS_H
#define GATEWAY_MCP_TOOLS_H

#include <jansson.h>

#include "gateway/api.h"

#define MCP_ANSWER_BYTES_MAX ((size_t)4 << 20) /* of one tool's answer */

/* {"tools":[…]}; NULL on no memory.  The caller's to decref. */
json_t *mcp_tools_list(void);

/*
 * The call of a tool as a request to our own route: method, path and parameters of
 * `out`; they live in `arena`.  Errors as below.
 */
enum rc mcp_tools_request(const char *name, const json_t *arguments, struct arena *arena,
    struct api_request *out, struct errmsg *why) RC_CHECK;

/*
 * Call `name` with the object `arguments` (NULL: none) on behalf of `request`'s
 * peer: {"content":[…],"isError":…} into `*out`, the caller's to decref.  What the
 * route refuses is such a result too.  RC_NOTFOUND: no such tool; RC_INVALID: an
 * argument's name or type; RC_NOMEM.
 */
enum rc mcp_tools_call(struct station *station, const struct api_request *request, const char *name,
    const json_t *arguments, struct arena *arena, json_t **out, struct errmsg *why) RC_CHECK;

#endif
