/*
 * Cuts texts as a pre-tokenizer does:
 *   compute_pretoken NAME FILE
 * FILE holds texts, each ended by a NUL; a line of piece lengths comes out for
 * each.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "os/file.h"
#include "tokenize/pretoken.h"

#define TEXTS_BYTES_MAX ((size_t)64 << 20)

static enum rc print_piece(void *ctx, const char *piece, size_t len)
{
	(void)ctx;
	(void)piece;
	return printf("%zu ", len) < 0 ? RC_IO : RC_OK;
}

int main(int argc, char **argv)
{
	struct errmsg why = ERRMSG_INIT;
	uint8_t *texts = NULL;
	size_t len = 0;

	if (argc != 3)
		return EXIT_USAGE;
	const struct pretoken *pretoken = pretoken_find(argv[1], strlen(argv[1]));
	if (pretoken == NULL) {
		(void)fprintf(stderr, "no pre-tokenizer %s\n", argv[1]);
		return EXIT_FAILED;
	}
	enum rc rc = file_read(argv[2], TEXTS_BYTES_MAX, &texts, &len, &why);
	for (size_t at = 0; rc == RC_OK && at < len;) {
		size_t n = strlen((const char *)texts + at);
		rc = pretoken_split(pretoken, (const char *)texts + at, n, print_piece, NULL);
		(void)printf("\n");
		at += n + 1;
	}
	if (rc != RC_OK)
		(void)fprintf(stderr, "%s: %s\n", argv[2], errmsg_text(&why, rc));
	free(texts);
	return rc_exit_code(rc);
}
