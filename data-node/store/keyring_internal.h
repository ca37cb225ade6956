/*
 * Keyring internals: the table in memory and the file it is kept in.
 *
 * File: header (magic, version, keyring id, slots), then one sealed body.
 * A slot holds the KEK wrapped under a key file or a passphrase; the body holds
 * the deduplication key, the root of derived keys and every (day, layer) key,
 * sealed under the KEK with the whole header as associated data, so that no
 * part of the file can be swapped, cut or rolled back on its own.
 */
#ifndef STORE_KEYRING_INTERNAL_H
#define STORE_KEYRING_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>

#include "base/buf.h"
#include "store/keyring.h"

#define KEYRING_VERSION 1u
#define KEYRING_ID_BYTES 16
#define KEYRING_SLOTS_MAX 8
#define KEYRING_SALT_BYTES 16
#define KEYRING_NONCE_BYTES 24
#define KEYRING_TAG_BYTES 16
#define KEYRING_ENTRIES_MAX ((size_t)1 << 20) /* 400 years of all layers */
#define KEYRING_FILE_BYTES_MAX ((size_t)64 << 20)
#define KEYRING_PASSPHRASE_BYTES_MAX ((size_t)1024)
/* What a file may ask of Argon2id: a hostile one must not eat the machine. */
#define KEYRING_ARGON_OPS_MAX 16u
#define KEYRING_ARGON_MEM_MAX ((uint64_t)1 << 30)

enum keyring_slot_type { KEYRING_SLOT_FILE = 1, KEYRING_SLOT_PASSPHRASE = 2 };

struct keyring_slot {
	uint8_t type;
	uint8_t salt[KEYRING_SALT_BYTES]; /* PASSPHRASE */
	uint32_t argon_ops;               /* PASSPHRASE */
	uint64_t argon_mem;               /* PASSPHRASE, bytes */
	uint8_t nonce[KEYRING_NONCE_BYTES];
	uint8_t wrapped[KEYRING_KEY_BYTES + KEYRING_TAG_BYTES];
};

struct keyring_entry {
	int32_t day;
	uint8_t layer;
	uint8_t key[KEYRING_KEY_BYTES];
};

struct keyring {
	char path[4096];
	pthread_rwlock_t lock; /* over everything below */
	uint8_t id[KEYRING_ID_BYTES];
	struct keyring_slot slots[KEYRING_SLOTS_MAX];
	size_t slots_len;
	uint8_t kek[KEYRING_KEY_BYTES];
	uint8_t dedup[KEYRING_KEY_BYTES];
	uint8_t root[KEYRING_KEY_BYTES];
	struct keyring_entry *entries; /* [entries_len], sorted by (day, layer) */
	size_t entries_len, entries_cap;
	uint64_t added, synced; /* keys made since open; of them, those in the file */
};

/* Room for one more entry; the old table is wiped. */
enum rc keyring_reserve(struct keyring *keyring, struct errmsg *why) RC_CHECK;

/* The key that wraps the KEK in `slot`, from the key file or passphrase that
 * `unlock` names.  RC_DENIED, RC_NOTFOUND, RC_CONFIG. */
enum rc keyring_slot_key(const char *dir, const struct keyring_unlock *unlock,
    const struct keyring_slot *slot, uint8_t out[KEYRING_KEY_BYTES], struct errmsg *why) RC_CHECK;

/* Make a fresh slot of the kind that `unlock` asks for, with the KEK in it;
 * makes the key file if it is missing. */
enum rc keyring_slot_make(const char *dir, const struct keyring_unlock *unlock,
    struct keyring *keyring, struct errmsg *why) RC_CHECK;

/* Open `slot` into keyring->kek; RC_DENIED. */
enum rc keyring_slot_open(const char *dir, const struct keyring_unlock *unlock,
    struct keyring *keyring, struct errmsg *why) RC_CHECK;

/* Whole file content. */
enum rc keyring_file_encode(const struct keyring *keyring, struct buf *out) RC_CHECK;

/* In two steps, because the KEK stands between them.  RC_CORRUPT,
 * RC_UNSUPPORTED (newer version), RC_DENIED (the body does not open). */
enum rc keyring_file_header(struct keyring *keyring, const uint8_t *bytes, size_t len,
    size_t *header_len, struct errmsg *why) RC_CHECK;
enum rc keyring_file_body(struct keyring *keyring, const uint8_t *bytes, size_t len,
    size_t header_len, struct errmsg *why) RC_CHECK;

#endif
