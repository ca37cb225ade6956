/* Growable byte buffer with a hard maximum. */
#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "base/wipe.h"

#define BUF_FIRST_BYTES ((size_t)256)

void buf_init(struct buf *buf, size_t max)
{
	*buf = (struct buf){ .max = max, .rc = RC_OK };
}

void buf_init_over(struct buf *buf, void *storage, size_t len)
{
	*buf = (struct buf){ .bytes = storage, .cap = len, .max = len - 1, .rc = RC_OK };
	buf->bytes[0] = 0;
}

void buf_fini(struct buf *buf)
{
	if (buf->bytes != NULL)
		wipe(buf->bytes, buf->cap);
	free(buf->bytes);
	buf_init(buf, buf->max);
}

void buf_reset(struct buf *buf)
{
	if (buf->bytes != NULL)
		wipe(buf->bytes, buf->len);
	buf->len = 0;
	buf->rc = RC_OK;
}

enum rc buf_rc(const struct buf *buf)
{
	return buf->rc;
}

const char *buf_text(const struct buf *buf)
{
	return buf->bytes == NULL ? "" : (const char *)buf->bytes;
}

/* Room for `len` more bytes and the NUL; realloc would leave a copy behind. */
static int grow(struct buf *buf, size_t len)
{
	if (buf->rc != RC_OK)
		return 0;
	if (len > buf->max - buf->len) {
		buf->rc = RC_LIMIT;
		return 0;
	}
	size_t need = buf->len + len + 1;
	if (need <= buf->cap)
		return 1;
	size_t cap = buf->cap == 0 ? BUF_FIRST_BYTES : buf->cap;
	while (cap < need)
		cap = cap > SIZE_MAX / 2 ? need : cap * 2;
	uint8_t *bytes = malloc(cap);
	if (bytes == NULL) {
		buf->rc = RC_NOMEM;
		return 0;
	}
	if (buf->bytes != NULL) {
		memcpy(bytes, buf->bytes, buf->len);
		wipe(buf->bytes, buf->cap);
		free(buf->bytes);
	}
	buf->bytes = bytes;
	buf->cap = cap;
	return 1;
}

void buf_reserve(struct buf *buf, size_t len)
{
	if (len > buf->len)
		(void)grow(buf, len - buf->len);
}

void buf_append(struct buf *buf, const void *bytes, size_t len)
{
	if (!grow(buf, len))
		return;
	if (len > 0)
		memcpy(buf->bytes + buf->len, bytes, len);
	buf->len += len;
	buf->bytes[buf->len] = 0;
}

void buf_putc(struct buf *buf, char c)
{
	buf_append(buf, &c, 1);
}

void buf_puts(struct buf *buf, const char *text)
{
	buf_append(buf, text, strlen(text));
}

void buf_printf(struct buf *buf, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (len < 0 || !grow(buf, (size_t)len)) {
		if (buf->rc == RC_OK)
			buf->rc = RC_INVALID;
		return;
	}
	va_start(ap, fmt);
	(void)vsnprintf((char *)buf->bytes + buf->len, (size_t)len + 1, fmt, ap);
	va_end(ap);
	buf->len += (size_t)len;
}

void buf_json_string(struct buf *buf, const char *text, size_t len)
{
	const uint8_t *bytes = (const uint8_t *)text;
	size_t plain = 0; /* start of the run not yet copied */
	size_t i = 0;

	buf_putc(buf, '"');
	while (i < len) {
		uint32_t cp = bytes[i];
		size_t n = cp < 0x80 ? 1 : utf8_decode(bytes + i, len - i, &cp);
		if (n != 0 && cp >= 0x20 && cp != '"' && cp != '\\') {
			i += n;
			continue;
		}
		buf_append(buf, bytes + plain, i - plain);
		if (n == 0) {
			buf_puts(buf, "\xEF\xBF\xBD");
			n = 1;
		} else if (cp == '\n') {
			buf_puts(buf, "\\n");
		} else if (cp == '"' || cp == '\\') {
			buf_putc(buf, '\\');
			buf_putc(buf, (char)cp);
		} else {
			buf_printf(buf, "\\u%04x", (unsigned)cp);
		}
		i += n;
		plain = i;
	}
	buf_append(buf, bytes + plain, len - plain);
	buf_putc(buf, '"');
}

void buf_consume(struct buf *buf, size_t len)
{
	assert(len <= buf->len);
	if (len == 0)
		return;
	memmove(buf->bytes, buf->bytes + len, buf->len - len);
	wipe(buf->bytes + buf->len - len, len);
	buf->len -= len;
	buf->bytes[buf->len] = 0;
}

uint8_t *buf_take(struct buf *buf, size_t *len)
{
	uint8_t *bytes = buf->bytes;

	*len = buf->len;
	buf_init(buf, buf->max);
	return bytes;
}
