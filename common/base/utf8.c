/* UTF-8: strict decoding. */
#include "base/utf8.h"

#include <string.h>

static size_t expected(uint8_t lead)
{
	if (lead < 0x80)
		return 1;
	if (lead >= 0xC2 && lead <= 0xDF)
		return 2;
	if (lead >= 0xE0 && lead <= 0xEF)
		return 3;
	if (lead >= 0xF0 && lead <= 0xF4)
		return 4;
	return 0;
}

/* The second byte has a narrower range after some leads (RFC 3629 §4). */
static bool second_ok(uint8_t lead, uint8_t b)
{
	switch (lead) {
	case 0xE0:
		return b >= 0xA0 && b <= 0xBF;
	case 0xED:
		return b >= 0x80 && b <= 0x9F;
	case 0xF0:
		return b >= 0x90 && b <= 0xBF;
	case 0xF4:
		return b >= 0x80 && b <= 0x8F;
	default:
		return b >= 0x80 && b <= 0xBF;
	}
}

size_t utf8_decode(const uint8_t *bytes, size_t len, uint32_t *cp)
{
	if (len == 0)
		return 0;
	size_t n = expected(bytes[0]);
	if (n == 0 || n > len)
		return 0;
	if (n == 1) {
		*cp = bytes[0];
		return 1;
	}
	if (!second_ok(bytes[0], bytes[1]))
		return 0;
	uint32_t value = bytes[0] & (0x7Fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((bytes[i] & 0xC0) != 0x80)
			return 0;
		value = value << 6 | (bytes[i] & 0x3Fu);
	}
	*cp = value;
	return n;
}

size_t utf8_encode(uint32_t cp, uint8_t out[UTF8_BYTES_MAX])
{
	if (cp < 0x80) {
		out[0] = (uint8_t)cp;
		return 1;
	}
	if (cp < 0x800) {
		out[0] = (uint8_t)(0xC0 | cp >> 6);
		out[1] = (uint8_t)(0x80 | (cp & 0x3F));
		return 2;
	}
	if (cp >= 0xD800 && cp <= 0xDFFF)
		return 0;
	if (cp < 0x10000) {
		out[0] = (uint8_t)(0xE0 | cp >> 12);
		out[1] = (uint8_t)(0x80 | (cp >> 6 & 0x3F));
		out[2] = (uint8_t)(0x80 | (cp & 0x3F));
		return 3;
	}
	if (cp > 0x10FFFF)
		return 0;
	out[0] = (uint8_t)(0xF0 | cp >> 18);
	out[1] = (uint8_t)(0x80 | (cp >> 12 & 0x3F));
	out[2] = (uint8_t)(0x80 | (cp >> 6 & 0x3F));
	out[3] = (uint8_t)(0x80 | (cp & 0x3F));
	return 4;
}

bool utf8_valid(const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	while (len > 0) {
		uint64_t word; /* most text is ASCII: eight bytes at a time */
		if (len >= sizeof(word) &&
		    (memcpy(&word, p, sizeof(word)), (word & UINT64_C(0x8080808080808080)) == 0)) {
			p += sizeof(word);
			len -= sizeof(word);
			continue;
		}
		uint32_t cp;
		size_t n = utf8_decode(p, len, &cp);
		if (n == 0)
			return false;
		p += n;
		len -= n;
	}
	return true;
}

size_t utf8_pending(const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	for (size_t back = 1; back < UTF8_BYTES_MAX && back <= len; back++) {
		uint8_t b = p[len - back];
		if ((b & 0xC0) == 0x80)
			continue;
		size_t n = expected(b);
		if (n <= back)
			return 0;
		if (back >= 2 && !second_ok(b, p[len - back + 1]))
			return 0;
		return back;
	}
	return 0;
}
