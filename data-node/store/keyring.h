/*
 * Keyring: the keys of one data node, in one small file DIR/keyring.
 *
 * reference: timeline §5.  A key file, a passphrase (Argon2id) or the recovery
 * key unwraps the one random KEK; the KEK wraps a random data key per (UTC day,
 * layer), and the deduplication key, which never rotates.  The file is
 * rewritten whole (temp, fsync, rename) before the commit that first uses a new
 * key.
 *
 * Invariants:
 *  K1  a key that was dropped is in no file that the keyring writes afterwards,
 *      and the KEK that wrapped it is gone with it: what the file held before is
 *      overwritten, also by an open that finds it lying there after a crash.
 *  K2  at every instant some file on disk opens with each way in that was told
 *      to the person as valid.
 * Threads: any for reading; adding and dropping keys is the store's, changing
 * the ways in is for whoever holds the directory's lock.
 */
#ifndef STORE_KEYRING_H
#define STORE_KEYRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/errmsg.h"

#define KEYRING_KEY_BYTES 32

struct keyring;

struct keyring_unlock {
	const char *key_file;        /* NULL: DIR/key */
	const char *passphrase_file; /* wins if given; first line of the file */
	const char *recovery_file;   /* wins over both; first line of the file */
};

/* Make DIR/keyring (and the key file, mode 0600, if it is DIR/key or missing).
 * RC_EXISTS. */
enum rc keyring_create(
    const char *dir, const struct keyring_unlock *unlock, struct errmsg *why) RC_CHECK;

/* RC_DENIED: wrong key, passphrase or recovery key.  RC_NOTFOUND: no keyring:
 * run init.  RC_CORRUPT, RC_UNSUPPORTED (a newer format). */
enum rc keyring_open(const char *dir, const struct keyring_unlock *unlock, struct keyring **out,
    struct errmsg *why) RC_CHECK;

/* Wipes every key. */
void keyring_close(struct keyring *keyring);

/* ---- data keys ----------------------------------------------------------- */

/* The key of (day, layer); `layer` 0 is for what belongs to no layer.
 * get: RC_NOTFOUND if there is none (forgotten or never made).
 * need: makes one in memory; keyring_sync() must follow before the commit. */
enum rc keyring_get(
    struct keyring *keyring, int32_t day, unsigned layer, uint8_t out[KEYRING_KEY_BYTES]) RC_CHECK;
enum rc keyring_need(struct keyring *keyring, int32_t day, unsigned layer,
    uint8_t out[KEYRING_KEY_BYTES], struct errmsg *why) RC_CHECK;

/* Write new keys to disk if there are any; RC_OK means synced. */
enum rc keyring_sync(struct keyring *keyring, struct errmsg *why) RC_CHECK;

/*
 * Forgetting, in three steps.  retire: from now on (day, layer) gets a new key
 * when one is needed; the old one is kept for what is still sealed under it
 * (nothing happens if there is none, or an old one already; keyring_sync()
 * makes it last).  drop: every retired key leaves the file, all others are
 * wrapped under a fresh KEK, and what the file held before is overwritten; in
 * memory they stay for readers of older snapshots until keyring_wipe_dropped().
 */
enum rc keyring_retire(
    struct keyring *keyring, int32_t day, unsigned layer, struct errmsg *why) RC_CHECK;
enum rc keyring_get_retired(
    struct keyring *keyring, int32_t day, unsigned layer, uint8_t out[KEYRING_KEY_BYTES]) RC_CHECK;
enum rc keyring_drop_retired(struct keyring *keyring, size_t *dropped, struct errmsg *why) RC_CHECK;
void keyring_wipe_dropped(struct keyring *keyring);

/* Calls `visit` for each retired key; returns how many there are. */
typedef void keyring_visit_fn(void *ctx, int32_t day, unsigned layer);
size_t keyring_each_retired(struct keyring *keyring, keyring_visit_fn *visit, void *ctx);

/* Data keys in use. */
size_t keyring_count(struct keyring *keyring);

/* For obs_id and content hashes; lives as long as the keyring. */
const uint8_t *keyring_dedup_key(const struct keyring *keyring);

/* Seal and open small blobs of derived stores (index snapshots, catalogue
 * columns) under a key derived for `purpose`. */
enum rc keyring_derive(
    const struct keyring *keyring, const char *purpose, uint8_t out[KEYRING_KEY_BYTES]) RC_CHECK;

/* ---- ways in -------------------------------------------------------------- */

/* Stored numbers: never reorder. */
enum keyring_way { KEYRING_WAY_FILE = 1, KEYRING_WAY_PASSPHRASE, KEYRING_WAY_RECOVERY };

/* Nine groups of four, "7KQ4-…": 160 random bits and 20 that check the typing. */
#define KEYRING_RECOVERY_TEXT_BYTES 45

/* How many keys of this kind open the keyring. */
size_t keyring_ways(const struct keyring *keyring, enum keyring_way way);

/*
 * One more way in, on disk on RC_OK; those that were there go on opening it.
 * file: `path` is read if it is there, else made.  passphrase: first line of
 * `path`.  recovery: made, and written to `text`, which is shown once and wiped.
 * RC_LIMIT: no slot is free.
 */
enum rc keyring_add_file(struct keyring *keyring, const char *path, struct errmsg *why) RC_CHECK;
enum rc keyring_add_passphrase(
    struct keyring *keyring, const char *path, struct errmsg *why) RC_CHECK;
enum rc keyring_add_recovery(
    struct keyring *keyring, char text[KEYRING_RECOVERY_TEXT_BYTES], struct errmsg *why) RC_CHECK;

/*
 * Of the ways in whose bit (1 << way) is in `ways` only the newest stays; then
 * as keyring_rekey().  RC_INVALID if none would be left.
 */
enum rc keyring_keep_newest(struct keyring *keyring, unsigned ways, struct errmsg *why) RC_CHECK;

/* Wrap everything under a fresh KEK; the file that held the old one is overwritten. */
enum rc keyring_rekey(struct keyring *keyring, struct errmsg *why) RC_CHECK;

/* ---- copies ---------------------------------------------------------------- */

/*
 * Open another state of this keyring, as it lies in a backup or came from a node
 * that is followed: the KEK in memory opens it, or where that was renewed the
 * keys of the ways in.  `out` is for reading.  RC_DENIED: of another data node,
 * or all ways in were changed since; RC_CORRUPT.
 */
enum rc keyring_open_copy(const struct keyring *keyring, const uint8_t *bytes, size_t len,
    struct keyring **out, struct errmsg *why) RC_CHECK;

/*
 * Become that other state: the file is replaced (what it held is overwritten),
 * then what is in memory.  Keys that went with it are wiped.
 */
enum rc keyring_adopt(
    struct keyring *keyring, const uint8_t *bytes, size_t len, struct errmsg *why) RC_CHECK;

/* Read DIR/keyring again and compare it with what is in memory.  RC_CORRUPT. */
enum rc keyring_verify(struct keyring *keyring, struct errmsg *why) RC_CHECK;

#endif
