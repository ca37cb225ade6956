/*
 * Line codec: a line as bytes.  Pure.
 */
#ifndef CLOCK_LINE_CODEC_H
#define CLOCK_LINE_CODEC_H

#include "clock/line.h"

#define LINE_BYTES_MAX (20 + 24 * LINE_CONTACTS + LINE_EPOCHS_MAX * (42 + 24 * CURVE_KNOTS_MAX))

/* Returns the length. */
size_t line_encode(const struct line *line, uint8_t out[LINE_BYTES_MAX]);

/* False if the bytes cannot be a line; `*out` is then of no use. */
bool line_decode(const uint8_t *bytes, size_t len, struct line *out);

#endif
