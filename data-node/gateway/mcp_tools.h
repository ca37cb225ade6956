/*
 * MCP tools: what an agent may do with the timeline, as tools of the Model
 * Context Protocol.
 *
 * Each tool is one of our own routes with named arguments: the same rights, limits
 * and answers.  All but one only read; that one proposes a fact, which counts for
 * nothing until the owner accepts it.  Each call that hands something out goes into the audit
 * ledger by the tool's name and the number of things, never their content.
 */
#ifndef GATEWAY_MCP_TOOLS_H
#define GATEWAY_MCP_TOOLS_H

#include <jansson.h>

#include "gateway/api.h"

#define MCP_ANSWER_MIB 4 /* of the answers of one request, all of a batch together */
#define MCP_ANSWER_BYTES_MAX ((size_t)MCP_ANSWER_MIB << 20)

/* A limit as text, for what we say of it. */
#define MCP_TEXT_OF(value) #value
#define MCP_TEXT(value) MCP_TEXT_OF(value)

/* {"tools":[…]}; NULL on no memory.  The caller's to decref. */
json_t *mcp_tools_list(void);

/*
 * The call of a tool as a request to our own route: method, path, parameters and
 * body of `out`; they live in `arena`.  Errors as below.
 */
enum rc mcp_tools_request(const char *name, const json_t *arguments, struct arena *arena,
    struct api_request *out, struct errmsg *why) RC_CHECK;

/*
 * Call `name` with the object `arguments` (NULL: none) on behalf of `request`'s
 * peer: {"content":[…],"isError":…} into `*out`, the caller's to decref.  Its text
 * is taken from the bytes that `*room` has left; what does not fit, or the route
 * refuses, is such a result too.  RC_NOTFOUND: no such tool; RC_INVALID: an
 * argument's name or type; RC_NOMEM.
 */
enum rc mcp_tools_call(struct station *station, const struct api_request *request, const char *name,
    const json_t *arguments, struct arena *arena, size_t *room, json_t **out,
    struct errmsg *why) RC_CHECK;

#endif
