/*
 * Keyring: the keys of one data node, in one small file DIR/keyring.
 *
 * reference: timeline §5.  A key file or passphrase (Argon2id) unwraps the one
 * random KEK; the KEK wraps a random data key per (UTC day, layer), and the
 * deduplication key, which never rotates.  The file is rewritten whole (temp,
 * fsync, rename) before the commit that first uses a new key.
 */
#ifndef STORE_KEYRING_H
#define STORE_KEYRING_H

#include <stddef.h>
#include <stdint.h>

#include "base/errmsg.h"

#define KEYRING_KEY_BYTES 32

struct keyring;

struct keyring_unlock {
	const char *key_file;        /* NULL: DIR/key */
	const char *passphrase_file; /* wins if given; first line of the file */
};

/* Make DIR/keyring (and the key file, mode 0600, if it is DIR/key or missing).
 * RC_EXISTS. */
enum rc keyring_create(
    const char *dir, const struct keyring_unlock *unlock, struct errmsg *why) RC_CHECK;

/* RC_DENIED: wrong key or passphrase.  RC_NOTFOUND: no keyring: run init. */
enum rc keyring_open(const char *dir, const struct keyring_unlock *unlock, struct keyring **out,
    struct errmsg *why) RC_CHECK;

/* Wipes every key. */
void keyring_close(struct keyring *keyring);

/* The key of (day, layer); `layer` 0 is for what belongs to no layer.
 * get: RC_NOTFOUND if there is none (forgotten or never made).
 * need: makes one in memory; keyring_sync() must follow before the commit. */
enum rc keyring_get(
    struct keyring *keyring, int32_t day, unsigned layer, uint8_t out[KEYRING_KEY_BYTES]) RC_CHECK;
enum rc keyring_need(struct keyring *keyring, int32_t day, unsigned layer,
    uint8_t out[KEYRING_KEY_BYTES], struct errmsg *why) RC_CHECK;

/* Write new keys to disk if there are any; RC_OK means synced. */
enum rc keyring_sync(struct keyring *keyring, struct errmsg *why) RC_CHECK;

/* For obs_id and content hashes; lives as long as the keyring. */
const uint8_t *keyring_dedup_key(const struct keyring *keyring);

/* Seal and open small blobs of derived stores (index snapshots, catalogue
 * columns) under a key derived for `purpose`. */
enum rc keyring_derive(
    const struct keyring *keyring, const char *purpose, uint8_t out[KEYRING_KEY_BYTES]) RC_CHECK;

#endif
