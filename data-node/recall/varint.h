/*
 * Varint: numbers of recall's stored forms, seven bits a byte, least first.
 *
 * A reader (`struct varint_view`) sticks at its first error: what does not fit, or
 * is not there, reads as 0 and leaves it failed.  Pure.
 */
#ifndef RECALL_VARINT_H
#define RECALL_VARINT_H

#include <stdbool.h>

#include "base/buf.h"

struct varint_view {
	const uint8_t *at, *end;
	bool failed;
};

static inline void varint_put(struct buf *out, uint64_t value)
{
	uint8_t bytes[10];
	size_t n = 0;

	for (; value >= 0x80; value >>= 7)
		bytes[n++] = (uint8_t)(value | 0x80);
	bytes[n++] = (uint8_t)value;
	buf_append(out, bytes, n);
}

/* At most `max`. */
static inline uint64_t varint_get(struct varint_view *view, uint64_t max)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64 && view->at < view->end; shift += 7) {
		uint8_t byte = *view->at++;
		if (shift == 63 && byte > 1)
			break;
		value |= (uint64_t)(byte & 0x7F) << shift;
		if (byte < 0x80) { /* each number has one form */
			view->failed = view->failed || value > max || (byte == 0 && shift > 0);
			return view->failed ? 0 : value;
		}
	}
	view->failed = true;
	return 0;
}

/* Signed numbers, small ones of either sign in few bytes. */
static inline void varint_put_signed(struct buf *out, int64_t value)
{
	varint_put(out, (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0));
}

static inline int64_t varint_get_signed(struct varint_view *view)
{
	uint64_t value = varint_get(view, UINT64_MAX);

	return (int64_t)(value >> 1 ^ (value & 1 ? UINT64_MAX : 0));
}

/* The next `len` bytes; NULL if there are not so many. */
static inline const uint8_t *varint_bytes(struct varint_view *view, size_t len)
{
	const uint8_t *bytes = view->at;

	if (view->failed || (size_t)(view->end - view->at) < len) {
		view->failed = true;
		return NULL;
	}
	view->at += len;
	return bytes;
}

#endif
