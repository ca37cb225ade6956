/*
 * Bytes: numbers in the stored forms of the aligner, big-endian or as varints.
 *
 * Reading never passes the end: a short or overlong field sets `bad` and gives
 * 0, so that a decoder may check once.
 */
#ifndef ALIGN_BYTES_H
#define ALIGN_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"

struct bytes {
	const uint8_t *at;
	size_t left;
	bool bad;
};

static inline void bytes_put(struct buf *out, uint64_t value, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		buf_putc(out, (char)(uint8_t)(value >> (8 * (size - 1 - i))));
}

static inline void bytes_put64(struct buf *out, uint64_t value)
{
	bytes_put(out, value, 8);
}

static inline void bytes_put32(struct buf *out, uint32_t value)
{
	bytes_put(out, value, 4);
}

static inline void bytes_put8(struct buf *out, unsigned value)
{
	bytes_put(out, value, 1);
}

/* Seven bits a byte, the lowest first. */
static inline void bytes_put_varint(struct buf *out, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		bytes_put8(out, (unsigned)(value & 0x7F) | 0x80u);
	bytes_put8(out, (unsigned)value);
}

static inline uint64_t bytes_get(struct bytes *in, unsigned size)
{
	uint64_t value = 0;

	if (in->left < size) {
		in->bad = true;
		in->left = 0;
		return 0;
	}
	for (unsigned i = 0; i < size; i++)
		value = value << 8 | in->at[i];
	in->at += size;
	in->left -= size;
	return value;
}

static inline uint64_t bytes_get64(struct bytes *in)
{
	return bytes_get(in, 8);
}

static inline uint32_t bytes_get32(struct bytes *in)
{
	return (uint32_t)bytes_get(in, 4);
}

static inline unsigned bytes_get8(struct bytes *in)
{
	return (unsigned)bytes_get(in, 1);
}

static inline uint64_t bytes_get_varint(struct bytes *in)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint64_t part = bytes_get8(in);
		if (shift == 63 && part > 1)
			break;
		value |= (part & 0x7F) << shift;
		if ((part & 0x80) == 0)
			return value;
	}
	in->bad = true;
	return 0;
}

static inline void bytes_copy(struct bytes *in, void *out, size_t size)
{
	if (in->left < size) {
		in->bad = true;
		in->left = 0;
		memset(out, 0, size);
		return;
	}
	memcpy(out, in->at, size);
	in->at += size;
	in->left -= size;
}

#endif
