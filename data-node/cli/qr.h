/* QR: a text as a QR code of half blocks on a terminal (libqrencode). */
#ifndef CLI_QR_H
#define CLI_QR_H

#include <stdio.h>

#include "base/rc.h"

/* Light modules are drawn, dark ones are left out: right on a dark terminal,
 * and phones read the inverse too.  RC_LIMIT: too long for a code. */
enum rc qr_print(FILE *out, const char *text) RC_CHECK;

#endif
