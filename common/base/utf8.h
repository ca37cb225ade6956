/*
 * UTF-8 (RFC 3629): strict decoding, no surrogates, no overlong forms.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UTF8_BYTES_MAX 4

/* Length of the sequence at `bytes` and its code point; 0 if it is invalid or
 * cut off (then `*cp` is untouched). */
size_t utf8_decode(const uint8_t *bytes, size_t len, uint32_t *cp);

/* Write `cp` (a scalar value) to `out`; returns 1 to 4, or 0 if it is none. */
size_t utf8_encode(uint32_t cp, uint8_t out[UTF8_BYTES_MAX]);

/* True if all `len` bytes are well-formed. */
bool utf8_valid(const void *bytes, size_t len);

/*
 * How many bytes at the end of `bytes` are a sequence begun but not finished,
 * 0 to 3: what a streaming writer must hold back.  Invalid bytes count as
 * finished.
 */
size_t utf8_pending(const void *bytes, size_t len);

#endif
