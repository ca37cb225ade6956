/*
 * Growable byte buffer with a hard maximum.
 *
 * Errors stick: after a failed append every later one fails too, so a long
 * row of appends is checked once, by buf_rc().  The bytes are always followed
 * by a NUL that does not count.  Grown and freed memory is wiped.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"

struct buf {
	uint8_t *bytes; /* NULL until the first append */
	size_t len;
	size_t cap;
	size_t max; /* len never exceeds it */
	enum rc rc; /* RC_OK, RC_LIMIT (max hit) or RC_NOMEM */
};

void buf_init(struct buf *buf, size_t max);
/* Over the caller's `storage` [len ≥ 1]: it never grows, and there is no buf_fini(). */
void buf_init_over(struct buf *buf, void *storage, size_t len);
/* Take memory for `len` bytes now, so that appends up to there take none. */
void buf_reserve(struct buf *buf, size_t len);
void buf_fini(struct buf *buf);

/* Forget the content (wiped) and the error; the memory stays. */
void buf_reset(struct buf *buf);

enum rc buf_rc(const struct buf *buf) RC_CHECK;

/* NUL-terminated content; "" when empty. */
const char *buf_text(const struct buf *buf);

void buf_append(struct buf *buf, const void *bytes, size_t len);
void buf_putc(struct buf *buf, char c);
void buf_puts(struct buf *buf, const char *text);
void buf_printf(struct buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* `text` as a JSON string with its quotes; invalid UTF-8 becomes U+FFFD. */
void buf_json_string(struct buf *buf, const char *text, size_t len);

/* Drop the first `len` bytes (len ≤ buf->len). */
void buf_consume(struct buf *buf, size_t len);

/* Hand the memory over: caller frees; the buffer is empty afterwards. */
uint8_t *buf_take(struct buf *buf, size_t *len);

#endif
