/*
 * Chat templates: the Jinja text of a GGUF, compiled once and rendered per
 * prompt.
 *
 * The interpreter knows what published chat templates use (reference: engine
 * §4); anything else is a named error at load.  Rendering is bounded in steps,
 * depth, memory and output (eval.h).  A compiled template is immutable: any
 * thread may render it, each with its own arena.
 */
#ifndef TEMPLATE_TEMPLATE_H
#define TEMPLATE_TEMPLATE_H

#include "base/arena.h"
#include "base/errmsg.h"
#include "template/value.h"

#define TEMPLATE_SOURCE_BYTES_MAX ((size_t)1 << 20)
#define TEMPLATE_ARENA_BYTES_MAX ((size_t)64 << 20)

struct template;

/* RC_UNSUPPORTED names the construct and line; RC_INVALID, RC_LIMIT likewise. */
enum rc template_compile(
    const char *source, size_t len, struct template **out, struct errmsg *why) RC_CHECK;
void template_free(struct template *template);

struct template_clock {
	int64_t now_utc_ns; /* for strftime_now() */
	int32_t offset_s;   /* the person's zone, east of UTC */
};

/*
 * Render with `variables` (a VALUE_MAP: messages, tools, bos_token,
 * add_generation_prompt, …).  The text carries the trust of each byte and lives
 * in `arena`.  RC_INVALID with `*refused` true: the template itself raised an
 * error about the chat (raise_exception).
 */
enum rc template_render(const struct template *template, struct value variables,
    const struct template_clock *clock, struct arena *arena, const struct text **out, bool *refused,
    struct errmsg *why) RC_CHECK;

/* JSON text to a value, texts not trusted; limits as in eval.h.  RC_INVALID. */
enum rc template_parse_json(const char *json, size_t len, struct arena *arena, struct value *out,
    struct errmsg *why) RC_CHECK;

#endif
