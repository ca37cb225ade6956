/*
 * Keyring internals: the table in memory and the file it is kept in.
 *
 * File: header (magic, version, keyring id, slots), then one sealed body.
 * A slot holds the KEK wrapped under one way in; the body holds the key of each
 * slot (so that all can be wrapped anew by whoever opened one), the
 * deduplication key, the root of derived keys and every (day, layer) key. It is
 * sealed under the KEK with the whole header as associated data, so that no
 * part of the file can be swapped, cut or rolled back on its own.
 *
 * Format 1 had one slot, no slot keys and no states; it is read, and becomes
 * format 2 with the next change.
 */
#ifndef STORE_KEYRING_INTERNAL_H
#define STORE_KEYRING_INTERNAL_H

#include <pthread.h>

#include "base/buf.h"
#include "store/keyring.h"

#define KEYRING_VERSION 2u
#define KEYRING_ID_BYTES 16
#define KEYRING_SLOTS_MAX 8
#define KEYRING_SALT_BYTES 16
#define KEYRING_NONCE_BYTES 24
#define KEYRING_TAG_BYTES 16
#define KEYRING_ENTRIES_MAX ((size_t)1 << 20) /* 400 years of all layers */
#define KEYRING_FILE_BYTES_MAX ((size_t)64 << 20)
#define KEYRING_PASSPHRASE_BYTES_MAX ((size_t)1024)
#define KEYRING_RECOVERY_BYTES 20
/* What a file may ask of Argon2id: a hostile one must not eat the machine. */
#define KEYRING_ARGON_OPS_MAX 16u
#define KEYRING_ARGON_MEM_MAX ((uint64_t)1 << 30)

struct keyring_slot {
	uint8_t type;                     /* enum keyring_way */
	uint8_t salt[KEYRING_SALT_BYTES]; /* PASSPHRASE, RECOVERY */
	uint32_t argon_ops;               /* PASSPHRASE */
	uint64_t argon_mem;               /* PASSPHRASE, bytes */
	uint8_t nonce[KEYRING_NONCE_BYTES];
	uint8_t wrapped[KEYRING_KEY_BYTES + KEYRING_TAG_BYTES];
	uint8_t key[KEYRING_KEY_BYTES]; /* what wraps the KEK in it; kept in the body */
};

/* Stored numbers, but for DROPPED, which never is. */
enum keyring_state { KEYRING_CURRENT, KEYRING_RETIRED, KEYRING_DROPPED };

struct keyring_entry {
	int32_t day;
	uint8_t layer;
	uint8_t state;
	uint8_t key[KEYRING_KEY_BYTES];
};

struct keyring {
	char dir[4096], path[4096];
	/* One writer of the file: the store's writer adds keys while another thread
	 * drops some.  Taken before `lock`. */
	pthread_mutex_t file_lock;
	pthread_rwlock_t lock; /* over everything below */
	uint32_t version;      /* of the file that was read */
	uint8_t id[KEYRING_ID_BYTES];
	struct keyring_slot slots[KEYRING_SLOTS_MAX]; /* oldest first */
	size_t slots_len;
	uint8_t kek[KEYRING_KEY_BYTES];
	uint8_t dedup[KEYRING_KEY_BYTES];
	uint8_t root[KEYRING_KEY_BYTES];
	struct keyring_entry *entries; /* [entries_len], sorted by (day, layer, state) */
	size_t entries_len, entries_cap;
	uint64_t changed, synced; /* changes since open; of them, those in the file */
};

/* Room for one more entry; the old table is wiped. */
enum rc keyring_reserve(struct keyring *keyring, struct errmsg *why) RC_CHECK;

/* Under `lock` for writing: a fresh KEK, wrapped in every slot. */
void keyring_kek_renew(struct keyring *keyring);

/* The whole file, replacing (and with `shred` overwriting) what is there. */
enum rc keyring_file_put(struct keyring *keyring, bool shred, struct errmsg *why) RC_CHECK;

/* DIR/key, or the file that `unlock` names. */
enum rc keyring_key_file_path(const char *dir, const struct keyring_unlock *unlock, char *out,
    size_t cap, struct errmsg *why) RC_CHECK;

/* Append a slot of that kind with the KEK in it; `path` as in keyring_add_…(). */
enum rc keyring_slot_add(struct keyring *keyring, enum keyring_way way, const char *path,
    char recovery[KEYRING_RECOVERY_TEXT_BYTES], struct errmsg *why) RC_CHECK;
/* Wrap the KEK in a slot whose key is known. */
void keyring_slot_wrap(const struct keyring *keyring, struct keyring_slot *slot);

/* Open a slot of the kind that `unlock` names into keyring->kek; RC_DENIED. */
enum rc keyring_slot_open(
    const struct keyring_unlock *unlock, struct keyring *keyring, struct errmsg *why) RC_CHECK;

/* Open any slot that `key` opens into keyring->kek; false: none. */
bool keyring_slot_open_with(struct keyring *keyring, const uint8_t key[KEYRING_KEY_BYTES]);

/* Empty, for the file DIR/keyring. */
enum rc keyring_new(const char *dir, struct keyring **out, struct errmsg *why) RC_CHECK;

/* keyring_recovery.c: bytes as the person writes them down, and back.  RC_DENIED:
 * mistyped. */
void keyring_recovery_format(
    const uint8_t secret[KEYRING_RECOVERY_BYTES], char out[KEYRING_RECOVERY_TEXT_BYTES]);
enum rc keyring_recovery_parse(const char *text, size_t len, uint8_t secret[KEYRING_RECOVERY_BYTES],
    struct errmsg *why) RC_CHECK;

/* Whole file content. */
enum rc keyring_file_encode(const struct keyring *keyring, struct buf *out) RC_CHECK;

/* In two steps, because the KEK stands between them.  RC_CORRUPT,
 * RC_UNSUPPORTED (newer version), RC_DENIED (the body does not open). */
enum rc keyring_file_header(struct keyring *keyring, const uint8_t *bytes, size_t len,
    size_t *header_len, struct errmsg *why) RC_CHECK;
enum rc keyring_file_body(struct keyring *keyring, const uint8_t *bytes, size_t len,
    size_t header_len, struct errmsg *why) RC_CHECK;

#endif
