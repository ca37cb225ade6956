/* Hexadecimal text of keys and ids. */
#include "base/hex.h"

#include <string.h>

void hex_encode(const uint8_t *bytes, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	out[2 * len] = '\0';
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

enum rc hex_decode(const char *text, uint8_t *bytes, size_t len)
{
	if (strlen(text) != 2 * len)
		return RC_INVALID;
	for (size_t i = 0; i < len; i++) {
		int hi = digit(text[2 * i]);
		int lo = digit(text[2 * i + 1]);
		if (hi < 0 || lo < 0)
			return RC_INVALID;
		bytes[i] = (uint8_t)(hi << 4 | lo);
	}
	return RC_OK;
}
