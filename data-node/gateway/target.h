/*
 * Target: "/path?name=value&…" of a request, decoded and checked.
 *
 * One parser for the HTTP listener, the control socket and commands run
 * in-process.  Pure, any thread.
 */
#ifndef GATEWAY_TARGET_H
#define GATEWAY_TARGET_H

#include "gateway/api.h"

#define TARGET_BYTES_MAX ((size_t)96 << 10)
#define TARGET_PATH_BYTES_MAX ((size_t)1024)
#define TARGET_PARAMS_MAX ((size_t)64)

/*
 * Decode into `arena` and set path, params and params_len of `request`.  "+" is
 * a blank in the query, not in the path.  RC_INVALID: no leading slash, a
 * broken percent sequence, a NUL, invalid UTF-8, a parameter given twice;
 * RC_LIMIT: one of the limits above; RC_NOMEM.
 */
enum rc target_parse(const char *target, struct arena *arena, struct api_request *request,
    struct errmsg *why) RC_CHECK;

/* Append `text` percent-encoded, so that target_parse() gives it back. */
void target_escape(struct buf *out, const char *text);

#endif
