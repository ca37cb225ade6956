/*
 * Canary: can a text that was forgotten still be had from a directory?
 *
 * Reads every byte of every file below it (data.mdb with its free pages,
 * backups, whatever lies there), and tries each remaining key of the keyring on
 * everything that looks like a sealed value of the log or of what is derived from
 * it: nodes and overflow pages of LMDB, entries of backup segments.
 */
#ifndef SUPPORT_STORE_CANARY_H
#define SUPPORT_STORE_CANARY_H

#include <stddef.h>
#include <stdint.h>

#include "store/keyring.h"

struct store_canary {
	uint64_t files, bytes;
	uint64_t plain;  /* places where the text stands as it is */
	uint64_t values; /* that look sealed */
	uint64_t opened; /* by some key of the keyring */
	uint64_t leaked; /* of the opened, those that hold the text */
};

/* Aborts on an I/O error. */
void store_canary_search(
    const char *dir, const struct keyring *keyring, const char *text, struct store_canary *out);

#endif
