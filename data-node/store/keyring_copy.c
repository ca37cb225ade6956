/* Keyring copy: another state of the same keyring, opened with what is in memory. */
#include <stdlib.h>
#include <string.h>

#include "base/wipe.h"
#include "os/file_shred.h"
#include "store/keyring_internal.h"

/* The KEK of `copy`, whose header was read: ours, or wrapped under a key that we
 * know of a way in. */
static bool kek_find(const struct keyring *known, struct keyring *copy, const uint8_t *bytes,
    size_t len, size_t header_len)
{
	memcpy(copy->kek, known->kek, sizeof(copy->kek));
	if (keyring_file_body(copy, bytes, len, header_len, NULL) == RC_OK)
		return true;
	for (size_t i = 0; i < known->slots_len; i++) {
		copy->entries_len = 0;
		if (keyring_slot_open_with(copy, known->slots[i].key) &&
		    keyring_file_body(copy, bytes, len, header_len, NULL) == RC_OK)
			return true;
	}
	return false;
}

enum rc keyring_open_copy(const struct keyring *keyring, const uint8_t *bytes, size_t len,
    struct keyring **out, struct errmsg *why)
{
	struct keyring *copy = NULL;
	size_t header_len = 0;

	enum rc rc = keyring_new(keyring->dir, &copy, why);
	if (rc != RC_OK)
		return rc;
	rc = keyring_file_header(copy, bytes, len, &header_len, why);
	if (rc == RC_OK && memcmp(copy->id, keyring->id, KEYRING_ID_BYTES) != 0)
		rc = errmsg_rc(why, RC_DENIED, "the keyring belongs to another data node");
	if (rc == RC_OK && !kek_find(keyring, copy, bytes, len, header_len))
		rc = errmsg_rc(why, RC_DENIED,
		    "the keyring does not open: it is damaged, or of a time before its keys "
		    "changed");
	if (rc != RC_OK) {
		keyring_close(copy);
		return rc;
	}
	*out = copy;
	return RC_OK;
}

/* Under the lock for writing: the tables change places. */
static void swap_content(struct keyring *keyring, struct keyring *copy)
{
	struct keyring_entry *entries = keyring->entries;
	size_t len = keyring->entries_len, cap = keyring->entries_cap;

	keyring->entries = copy->entries;
	keyring->entries_len = copy->entries_len;
	keyring->entries_cap = copy->entries_cap;
	copy->entries = entries;
	copy->entries_len = len;
	copy->entries_cap = cap;
	keyring->version = copy->version;
	memcpy(keyring->slots, copy->slots, sizeof(keyring->slots));
	keyring->slots_len = copy->slots_len;
	memcpy(keyring->kek, copy->kek, sizeof(keyring->kek));
	memcpy(keyring->dedup, copy->dedup, sizeof(keyring->dedup));
	memcpy(keyring->root, copy->root, sizeof(keyring->root));
	keyring->synced = ++keyring->changed;
}

enum rc keyring_adopt(struct keyring *keyring, const uint8_t *bytes, size_t len, struct errmsg *why)
{
	struct keyring *copy = NULL;

	(void)pthread_rwlock_rdlock(&keyring->lock);
	enum rc rc = keyring_open_copy(keyring, bytes, len, &copy, why);
	(void)pthread_rwlock_unlock(&keyring->lock);
	(void)pthread_mutex_lock(&keyring->file_lock);
	if (rc == RC_OK)
		rc = file_replace_shred(keyring->path, 0600, bytes, len, why);
	if (rc == RC_OK) {
		(void)pthread_rwlock_wrlock(&keyring->lock);
		swap_content(keyring, copy);
		(void)pthread_rwlock_unlock(&keyring->lock);
	}
	(void)pthread_mutex_unlock(&keyring->file_lock);
	keyring_close(copy);
	return rc;
}

/* Is every key of `copy` also in memory?  Memory may be ahead of the file. */
static bool is_subset(const struct keyring *copy, const struct keyring *keyring)
{
	size_t at = 0;

	for (size_t i = 0; i < copy->entries_len; i++) {
		while (
		    at < keyring->entries_len &&
		    memcmp(keyring->entries[at].key, copy->entries[i].key, KEYRING_KEY_BYTES) != 0)
			at++;
		if (at == keyring->entries_len)
			return false;
	}
	return true;
}

enum rc keyring_verify(struct keyring *keyring, struct errmsg *why)
{
	struct keyring *copy = NULL;
	uint8_t *bytes = NULL;
	size_t len = 0;

	/* Held throughout, so that the file is not replaced in between. */
	(void)pthread_rwlock_rdlock(&keyring->lock);
	enum rc rc = file_read(keyring->path, KEYRING_FILE_BYTES_MAX, &bytes, &len, why);
	if (rc == RC_OK)
		rc = keyring_open_copy(keyring, bytes, len, &copy, why);
	if (rc == RC_OK && !is_subset(copy, keyring))
		rc = errmsg_rc(why, RC_CORRUPT, "keyring: the file holds other keys than are used");
	(void)pthread_rwlock_unlock(&keyring->lock);
	keyring_close(copy);
	free(bytes);
	return rc == RC_DENIED || rc == RC_NOTFOUND || rc == RC_LIMIT ? RC_CORRUPT : rc;
}
