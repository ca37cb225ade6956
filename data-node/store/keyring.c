/*
 * Keyring: the table of keys in memory, and when it goes to disk.
 *
 * One rwlock guards the table: readers look keys up while the store's writer
 * adds some.  keyring_sync() is called by the writer alone, before it commits.
 */
#include "store/keyring.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/wipe.h"
#include "os/file.h"
#include "store/keyring_internal.h"

static int entry_compare(const struct keyring_entry *entry, int32_t day, unsigned layer)
{
	if (entry->day != day)
		return entry->day < day ? -1 : 1;
	return (int)entry->layer - (int)layer;
}

/* Index of the first entry that is not before (day, layer). */
static size_t entry_lower(const struct keyring *keyring, int32_t day, unsigned layer)
{
	size_t lo = 0, hi = keyring->entries_len;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (entry_compare(&keyring->entries[mid], day, layer) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool entry_copy(
    const struct keyring *keyring, int32_t day, unsigned layer, uint8_t out[KEYRING_KEY_BYTES])
{
	size_t i = entry_lower(keyring, day, layer);

	if (i == keyring->entries_len || entry_compare(&keyring->entries[i], day, layer) != 0)
		return false;
	memcpy(out, keyring->entries[i].key, KEYRING_KEY_BYTES);
	return true;
}

enum rc keyring_reserve(struct keyring *keyring, struct errmsg *why)
{
	if (keyring->entries_len < keyring->entries_cap)
		return RC_OK;
	if (keyring->entries_len >= KEYRING_ENTRIES_MAX)
		return errmsg_rc(why, RC_LIMIT, "more than %zu data keys", KEYRING_ENTRIES_MAX);
	size_t cap = keyring->entries_cap == 0 ? 64 : keyring->entries_cap * 2;
	struct keyring_entry *entries = calloc(cap, sizeof(*entries));
	if (entries == NULL)
		return RC_NOMEM;
	if (keyring->entries != NULL) {
		memcpy(entries, keyring->entries, keyring->entries_len * sizeof(*entries));
		wipe(keyring->entries, keyring->entries_cap * sizeof(*entries));
		free(keyring->entries);
	}
	keyring->entries = entries;
	keyring->entries_cap = cap;
	return RC_OK;
}

static enum rc entry_add(
    struct keyring *keyring, int32_t day, unsigned layer, uint8_t *out, struct errmsg *why)
{
	enum rc rc = keyring_reserve(keyring, why);

	if (rc != RC_OK)
		return rc;
	size_t i = entry_lower(keyring, day, layer);
	memmove(&keyring->entries[i + 1], &keyring->entries[i],
	    (keyring->entries_len - i) * sizeof(keyring->entries[0]));
	keyring->entries[i] = (struct keyring_entry){ .day = day, .layer = (uint8_t)layer };
	random_bytes(keyring->entries[i].key, KEYRING_KEY_BYTES);
	memcpy(out, keyring->entries[i].key, KEYRING_KEY_BYTES);
	keyring->entries_len++;
	keyring->added++;
	return RC_OK;
}

enum rc keyring_get(
    struct keyring *keyring, int32_t day, unsigned layer, uint8_t out[KEYRING_KEY_BYTES])
{
	(void)pthread_rwlock_rdlock(&keyring->lock);
	bool found = entry_copy(keyring, day, layer, out);
	(void)pthread_rwlock_unlock(&keyring->lock);
	return found ? RC_OK : RC_NOTFOUND;
}

enum rc keyring_need(struct keyring *keyring, int32_t day, unsigned layer,
    uint8_t out[KEYRING_KEY_BYTES], struct errmsg *why)
{
	enum rc rc = keyring_get(keyring, day, layer, out);

	if (rc == RC_OK)
		return RC_OK;
	if (layer > UINT8_MAX)
		return errmsg_rc(why, RC_INVALID, "layer %u has no keys", layer);
	(void)pthread_rwlock_wrlock(&keyring->lock);
	rc =
	    entry_copy(keyring, day, layer, out) ? RC_OK : entry_add(keyring, day, layer, out, why);
	(void)pthread_rwlock_unlock(&keyring->lock);
	return rc;
}

/* Only the table is locked, not the disk: readers go on meanwhile. */
static enum rc file_put(struct keyring *keyring, bool create, uint64_t *added, struct errmsg *why)
{
	struct buf file;

	buf_init(&file, KEYRING_FILE_BYTES_MAX);
	(void)pthread_rwlock_rdlock(&keyring->lock);
	*added = keyring->added;
	enum rc rc = keyring_file_encode(keyring, &file);
	(void)pthread_rwlock_unlock(&keyring->lock);
	if (rc == RC_OK && create)
		rc = file_create(keyring->path, 0600, file.bytes, file.len, why);
	else if (rc == RC_OK)
		rc = file_write_atomic(keyring->path, 0600, file.bytes, file.len, why);
	buf_fini(&file);
	return rc;
}

enum rc keyring_sync(struct keyring *keyring, struct errmsg *why)
{
	uint64_t added = 0;

	(void)pthread_rwlock_rdlock(&keyring->lock);
	bool clean = keyring->added == keyring->synced;
	(void)pthread_rwlock_unlock(&keyring->lock);
	if (clean)
		return RC_OK;
	enum rc rc = file_put(keyring, false, &added, why);
	if (rc != RC_OK)
		return rc;
	(void)pthread_rwlock_wrlock(&keyring->lock);
	keyring->synced = added;
	(void)pthread_rwlock_unlock(&keyring->lock);
	return RC_OK;
}

const uint8_t *keyring_dedup_key(const struct keyring *keyring)
{
	return keyring->dedup;
}

enum rc keyring_derive(
    const struct keyring *keyring, const char *purpose, uint8_t out[KEYRING_KEY_BYTES])
{
	if (crypto_generichash(out, KEYRING_KEY_BYTES, (const uint8_t *)purpose, strlen(purpose),
		keyring->root, KEYRING_KEY_BYTES) != 0)
		return RC_BUG;
	return RC_OK;
}

static enum rc keyring_new(const char *dir, struct keyring **out, struct errmsg *why)
{
	if (sodium_init() < 0)
		return errmsg_rc(why, RC_UNSUPPORTED, "libsodium does not start");
	struct keyring *keyring = calloc(1, sizeof(*keyring));
	if (keyring == NULL)
		return RC_NOMEM;
	if (pthread_rwlock_init(&keyring->lock, NULL) != 0) {
		free(keyring);
		return RC_NOMEM;
	}
	(void)sodium_mlock(keyring, sizeof(*keyring)); /* best effort: may exceed the limit */
	if (snprintf(keyring->path, sizeof(keyring->path), "%s/keyring", dir) >=
	    (int)sizeof(keyring->path)) {
		keyring_close(keyring);
		return errmsg_rc(why, RC_LIMIT, "path too long");
	}
	*out = keyring;
	return RC_OK;
}

void keyring_close(struct keyring *keyring)
{
	if (keyring == NULL)
		return;
	if (keyring->entries != NULL)
		wipe(keyring->entries, keyring->entries_cap * sizeof(keyring->entries[0]));
	free(keyring->entries);
	(void)pthread_rwlock_destroy(&keyring->lock);
	(void)sodium_munlock(keyring, sizeof(*keyring)); /* wipes */
	wipe(keyring, sizeof(*keyring));
	free(keyring);
}

enum rc keyring_create(const char *dir, const struct keyring_unlock *unlock, struct errmsg *why)
{
	struct keyring *keyring = NULL;
	uint64_t added = 0;

	enum rc rc = keyring_new(dir, &keyring, why);
	if (rc != RC_OK)
		return rc;
	if (file_exists(keyring->path)) {
		rc = errmsg_rc(why, RC_EXISTS, "%s exists already", keyring->path);
		goto out;
	}
	random_bytes(keyring->id, KEYRING_ID_BYTES);
	random_bytes(keyring->kek, KEYRING_KEY_BYTES);
	random_bytes(keyring->dedup, KEYRING_KEY_BYTES);
	random_bytes(keyring->root, KEYRING_KEY_BYTES);
	rc = keyring_slot_make(dir, unlock, keyring, why);
	if (rc == RC_OK)
		rc = file_put(keyring, true, &added, why);
out:
	keyring_close(keyring);
	return rc;
}

enum rc keyring_open(
    const char *dir, const struct keyring_unlock *unlock, struct keyring **out, struct errmsg *why)
{
	struct keyring *keyring = NULL;
	uint8_t *bytes = NULL;
	size_t len = 0, header_len = 0;

	enum rc rc = keyring_new(dir, &keyring, why);
	if (rc != RC_OK)
		return rc;
	if (!file_exists(keyring->path)) {
		rc = errmsg_rc(
		    why, RC_NOTFOUND, "no keyring in %s: run `data-node init` first", dir);
		goto out;
	}
	rc = file_read(keyring->path, KEYRING_FILE_BYTES_MAX, &bytes, &len, why);
	if (rc == RC_OK)
		rc = keyring_file_header(keyring, bytes, len, &header_len, why);
	if (rc == RC_OK)
		rc = keyring_slot_open(dir, unlock, keyring, why);
	if (rc == RC_OK)
		rc = keyring_file_body(keyring, bytes, len, header_len, why);
	if (rc != RC_OK)
		goto out;
	*out = keyring;
	keyring = NULL;
out:
	free(bytes);
	keyring_close(keyring);
	return rc;
}
