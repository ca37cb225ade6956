/*
 * Chat: the messages of a request as the variables a model's own chat template
 * knows, and the text it makes of them.
 *
 * What the template sees (the names that published templates use): messages
 * (role, content, name, tool_call_id, tool_calls), tools,
 * add_generation_prompt, bos_token, eos_token.  Content is the message's text
 * parts in a row.  Each byte of the result is trusted only if it comes from the
 * template, the vocabulary or a trusted part.
 */
#ifndef SERVE_CHAT_H
#define SERVE_CHAT_H

#include "base/arena.h"
#include "base/errmsg.h"
#include "template/template.h"
#include "tokenize/tokenizer.h"
#include "wire/message.h"

#define CHAT_ZONE_HOURS_MAX 14

/*
 * Render the messages of `generate`; `*out` lives in `arena`.  RC_INVALID and
 * RC_UNSUPPORTED name the field; what the template itself refuses is
 * RC_INVALID with its reason.  Any thread.
 */
enum rc chat_render(const struct template *template, const struct tokenizer *tokenizer,
    const struct wire_generate *generate, struct arena *arena, const struct text **out,
    struct errmsg *why) RC_CHECK;

/* Part `index` of something called `field`: text, or RC_UNSUPPORTED. */
enum rc chat_check_part(
    const struct wire_part *part, const char *field, size_t index, struct errmsg *why) RC_CHECK;

#endif
