/*
 * Random wire messages of every kind, and their comparison field by field:
 * the plain way to know that the codec keeps everything.
 */
#ifndef SUPPORT_MESSAGE_RANDOM_H
#define SUPPORT_MESSAGE_RANDOM_H

#include "wire/message.h"

/* Fill `out` with a valid message of `kind`; what it points to is in `arena`,
 * which must have room (1 MiB is plenty). */
void message_random(
    uint64_t *seed, enum message_kind kind, struct arena *arena, struct message *out);

/* NULL if both say the same, else the name of a field that differs.  NULL
 * strings equal empty ones; protocol 0 equals WIRE_PROTOCOL_MAX. */
const char *message_difference(const struct message *a, const struct message *b);

#endif
