/*
 * Tools in words, for models whose template shows them none (or in a way that is not
 * known here): what may be called stands in the system message, past calls and their
 * results in the conversation's texts.
 */
#ifndef ANSWER_PROMPT_TOOLS_H
#define ANSWER_PROMPT_TOOLS_H

#include "base/arena.h"
#include "wire/message.h"

/*
 * `out` [*out_len] is `messages` [len] with tools in words; `tools_json` "": only past calls
 * are folded.  Strings are borrowed, the rest lives in `arena`.  RC_NOMEM.
 */
enum rc prompt_tools_fold(const struct wire_chat_message *messages, size_t len,
    const char *tools_json, struct arena *arena, const struct wire_chat_message **out,
    size_t *out_len) RC_CHECK;

/*
 * The tools with a description each, an empty one where there was none: templates of
 * harmony join it to other text and would fail.  `*out` lives in `arena`.  RC_NOMEM.
 */
enum rc prompt_tools_describe(
    const char *tools_json, struct arena *arena, const char **out) RC_CHECK;

#endif
