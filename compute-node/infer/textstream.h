/*
 * From token ids to the text a client may see: whole code points only, and
 * nothing of a stop string, even when it spans tokens.
 *
 * The text and where it is cut are a function of the ids alone, so replaying
 * the ids of an interrupted answer gives the same bytes at the same offsets.
 * Bytes that cannot become UTF-8 any more turn into U+FFFD.
 */
#ifndef INFER_TEXTSTREAM_H
#define INFER_TEXTSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/errmsg.h"

struct tokenizer;
struct textstream;

/* `stop` strings are copied; empty ones are refused (RC_INVALID).
 * `skip_first_space`: drop the blank that SentencePiece puts before the first
 * word when the text stands alone (completion after an empty prompt). */
enum rc textstream_new(const struct tokenizer *tokenizer, const char *const *stop, size_t stop_len,
    bool skip_first_space, struct textstream **out, struct errmsg *why) RC_CHECK;
void textstream_free(struct textstream *stream);

/* From here on the special tokens that mark tool calls and reasoning are text too;
 * others never are. */
void textstream_show_markers(struct textstream *stream);

/* Add a token; text that became safe is appended to `out`.
 * Returns true once a stop string has matched: the answer is over. */
bool textstream_push(struct textstream *stream, int32_t token, struct buf *out);

/* The answer ends without a stop string: append what was held back. */
void textstream_flush(struct textstream *stream, struct buf *out);

/* Bytes given out so far. */
uint64_t textstream_offset(const struct textstream *stream);

/* The stop string that matched, or NULL. */
const char *textstream_stop(const struct textstream *stream);

#endif
