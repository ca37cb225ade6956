/*
 * Prompt: what a request asks for, as token ids.
 *
 * The one place that turns messages into a prompt.  Three renderings:
 *  "gguf"   the chat template of the model's own file (chat.h)
 *  "raw"    parts one behind the other, no template (also: ids sent as ids)
 *  "plain"  the named fallback of models without a template we can run:
 *
 *             System: TEXT\n\n
 *             User: TEXT\n\n
 *             User (NAME): TEXT\n\n      where a message carries a name
 *             Assistant: TEXT\n\n
 *             Tool: TEXT\n\n
 *             Assistant:                 to be continued by the model
 *
 * Trust (DESIGN §5): special tokens are parsed in trusted text only, so an
 * untrusted "<|im_end|>" is just characters; where trust changes, words are not
 * split.  BOS stands first where the
 * model wants one and the template has not put it there.
 */
#ifndef SERVE_PROMPT_H
#define SERVE_PROMPT_H

#include "base/errmsg.h"
#include "template/template.h"
#include "tokenize/tokenizer.h"
#include "wire/message.h"

#define PROMPT_GGUF "gguf"
#define PROMPT_PLAIN "plain"
#define PROMPT_RAW "raw"

/* A token stands for at most so many bytes on average: longer texts are too
 * long for the context without being tokenised. */
#define PROMPT_TOKEN_BYTES_MAX ((size_t)64)

/* What of a model makes its prompts. */
struct prompt_model {
	const struct tokenizer *tokenizer; /* NULL: no vocabulary, prompt_ids only */
	const struct template *template;   /* NULL: the plain fallback */
	uint32_t n_vocab;
	uint32_t n_ctx;
};

/*
 * The prompt of `generate` into `out` (zeroed; tokens_free() also on error).
 * `template_name` gets "gguf", "plain" or "raw".  RC_INVALID and RC_UNSUPPORTED name
 * the field; RC_CONTEXT: text that cannot fit, `*needed` a lower bound.
 * Generated ids are not part of it.  Any thread.
 */
enum rc prompt_build(const struct prompt_model *model, const struct wire_generate *generate,
    struct tokens *out, const char **template_name, uint64_t *needed, struct errmsg *why) RC_CHECK;

/*
 * Parts, each tokenised on its own, so that every part has its count;
 * `counts` [parts_len] may be NULL.  BOS (if `add_bos` and the model has one)
 * counts to no part.
 */
enum rc prompt_tokenize(const struct tokenizer *tokenizer, const struct wire_part *parts,
    size_t parts_len, bool add_bos, struct tokens *out, uint32_t *counts,
    struct errmsg *why) RC_CHECK;

/* Append ids; RC_LIMIT past WIRE_IDS_MAX. */
enum rc prompt_push(
    struct tokens *out, const uint32_t *ids, size_t len, struct errmsg *why) RC_CHECK;

/* Ids from the wire as ids of the model; RC_INVALID names `field` and index. */
enum rc prompt_check_ids(const char *field, const uint32_t *ids, size_t len, uint32_t n_vocab,
    struct errmsg *why) RC_CHECK;

#endif
