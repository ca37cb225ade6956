/*
 * The limits of wire/message.h over a plain message; both halves of the codec
 * run them, so what one node encodes the other decodes.  Inside wire only.
 */
#ifndef WIRE_MESSAGE_CHECK_H
#define WIRE_MESSAGE_CHECK_H

#include "wire/message.h"

/*
 * RC_INVALID (UTF-8, enum, float, lists that must agree) or RC_LIMIT (a count
 * or a length); `why` names the field.  NULL strings count as empty.  Pure.
 */
enum rc message_check(const struct message *message, struct errmsg *why) RC_CHECK;

#endif
