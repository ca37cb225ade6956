/*
 * Chat: a model's own chat template, and messages as its variables.
 *
 * Compiled once when the model is opened; immutable, any thread.  The template
 * sees `messages`, `tools`, `add_generation_prompt`, `bos_token`, `eos_token`
 * and the clock; a message's text keeps the trust of its parts, so what a
 * person or a document says cannot open a turn (template/value.h).
 */
#ifndef SERVE_CHAT_H
#define SERVE_CHAT_H

#include "base/arena.h"
#include "base/errmsg.h"
#include "model/model.h"
#include "template/value.h"
#include "wire/message.h"

struct chat;

/* RC_NOTFOUND: the model has no template or no vocabulary.  Otherwise why the
 * template cannot be run; the model is served with the plain fallback then. */
enum rc chat_open(const struct model *model, struct chat **out, struct errmsg *why) RC_CHECK;
void chat_free(struct chat *chat);

/*
 * The prompt's text, in `arena`.  RC_INVALID: the template refuses these
 * messages, or JSON of theirs is malformed; RC_UNSUPPORTED; RC_LIMIT.
 */
enum rc chat_render(const struct chat *chat, const struct wire_generate *generate,
    struct arena *arena, const struct text **out, struct errmsg *why) RC_CHECK;

#endif
