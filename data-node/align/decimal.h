/*
 * Decimal: numbers as text and back, byte for byte as the C library has them.
 *
 * Plain numbers go without it: their digits are an integer in a double, and where
 * its rounding could be told otherwise (or they are not plain) the library is asked.
 */
#ifndef ALIGN_DECIMAL_H
#define ALIGN_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* As `%.*f`, with 1 to 9 digits. */
void decimal_put_fixed(struct buf *out, double value, unsigned digits);

/* As `%.9g`. */
void decimal_put_short(struct buf *out, double value);

/* Of a text without exponent and with at most 15 digits what strtod() says of it; false:
 * it is something else. */
bool decimal_read(const char *text, size_t len, double *out);

#endif
