/*
 * What of a text can still be had from a directory, with every key that is left?
 *
 *   data_canary DIR TEXT [WHERE]   DIR: the data node's, with its key file; WHERE:
 *                                  search there (default: DIR)
 *
 * Prints the figures of store_canary.h; exit 1 if the text was found.
 */
#include <inttypes.h>
#include <stdio.h>

#include "store/keyring.h"
#include "store_canary.h"

int main(int argc, char **argv)
{
	struct keyring_unlock unlock = { 0 };
	struct errmsg why = ERRMSG_INIT;
	struct keyring *keyring = NULL;
	struct store_canary canary;

	if (argc < 3)
		return 2;
	enum rc rc = keyring_open(argv[1], &unlock, &keyring, &why);
	if (rc != RC_OK) {
		fprintf(stderr, "%s\n", errmsg_text(&why, rc));
		return 2;
	}
	store_canary_search(argc > 3 ? argv[3] : argv[1], keyring, argv[2], &canary);
	printf("files %" PRIu64 " bytes %" PRIu64 " plain %" PRIu64 " values %" PRIu64
	       " opened %" PRIu64 " leaked %" PRIu64 "\n",
	    canary.files, canary.bytes, canary.plain, canary.values, canary.opened, canary.leaked);
	keyring_close(keyring);
	return canary.plain + canary.leaked > 0;
}
