/*
 * Files of older formats, written by code kept here, for tests of how they are
 * brought forward.
 */
#ifndef SUPPORT_STORE_OLD_H
#define SUPPORT_STORE_OLD_H

#include "store/keyring.h"

/* Replace DIR/keyring by one of format 1 with the same keys and the first of
 * its ways in. */
void store_old_keyring(const char *dir, const struct keyring *keyring);

#endif
