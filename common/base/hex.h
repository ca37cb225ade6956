/* Hexadecimal text of keys and ids: lower case out, either case in. */
#ifndef BASE_HEX_H
#define BASE_HEX_H

#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"

/* `out` takes 2 * len + 1 bytes. */
void hex_encode(const uint8_t *bytes, size_t len, char *out);

/* RC_INVALID unless `text` is exactly 2 * len hex digits. */
enum rc hex_decode(const char *text, uint8_t *bytes, size_t len) RC_CHECK;

#endif
