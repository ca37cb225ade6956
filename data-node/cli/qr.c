/* QR codes for terminals: two modules a character. */
#include "cli/qr.h"

#include <qrencode.h>
#include <stdbool.h>

#define QUIET 2 /* modules around the code */

/* True for a light module; everything outside the code is light. */
static bool light(const QRcode *code, int x, int y)
{
	if (x < 0 || y < 0 || x >= code->width || y >= code->width)
		return true;
	return (code->data[y * code->width + x] & 1) == 0;
}

enum rc qr_print(FILE *out, const char *text)
{
	QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);

	if (code == NULL)
		return RC_LIMIT;
	for (int y = -QUIET; y < code->width + QUIET; y += 2) {
		for (int x = -QUIET; x < code->width + QUIET; x++) {
			bool top = light(code, x, y);
			bool bottom = y + 1 < code->width + QUIET && light(code, x, y + 1);
			(void)fputs(top ? (bottom ? "█" : "▀") : (bottom ? "▄" : " "), out);
		}
		(void)fputc('\n', out);
	}
	QRcode_free(code);
	return RC_OK;
}
