/*
 * Backup seal: the state of a node, sealed under its keyring, for copies.
 */
#ifndef BACKUP_BACKUP_SEAL_H
#define BACKUP_BACKUP_SEAL_H

#include "base/buf.h"
#include "base/errmsg.h"

struct keyring;

/* Append the seal of `bytes`; the same bytes give the same seal. */
enum rc backup_seal(const struct keyring *keyring, const uint8_t *bytes, size_t len,
    struct buf *out, struct errmsg *why) RC_CHECK;
/* Append what is sealed.  RC_CORRUPT: it does not open. */
enum rc backup_unseal(const struct keyring *keyring, const uint8_t *bytes, size_t len,
    struct buf *out, struct errmsg *why) RC_CHECK;

#endif
