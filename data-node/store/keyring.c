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
#include "os/file_shred.h"
#include "store/keyring_internal.h"

static int entry_compare(
    const struct keyring_entry *entry, int32_t day, unsigned layer, enum keyring_state state)
{
	if (entry->day != day)
		return entry->day < day ? -1 : 1;
	if (entry->layer != layer)
		return (int)entry->layer - (int)layer;
	return (int)entry->state - (int)state;
}

/* Index of the first entry that is not before (day, layer, state). */
static size_t entry_lower(
    const struct keyring *keyring, int32_t day, unsigned layer, enum keyring_state state)
{
	size_t lo = 0, hi = keyring->entries_len;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (entry_compare(&keyring->entries[mid], day, layer, state) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct keyring_entry *entry_find(
    const struct keyring *keyring, int32_t day, unsigned layer, enum keyring_state state)
{
	size_t i = entry_lower(keyring, day, layer, state);

	if (i == keyring->entries_len ||
	    entry_compare(&keyring->entries[i], day, layer, state) != 0)
		return NULL;
	return &keyring->entries[i];
}

static bool entry_copy(const struct keyring *keyring, int32_t day, unsigned layer,
    enum keyring_state state, uint8_t out[KEYRING_KEY_BYTES])
{
	const struct keyring_entry *entry = entry_find(keyring, day, layer, state);

	if (entry == NULL)
		return false;
	memcpy(out, entry->key, KEYRING_KEY_BYTES);
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
	size_t i = entry_lower(keyring, day, layer, KEYRING_CURRENT);
	memmove(&keyring->entries[i + 1], &keyring->entries[i],
	    (keyring->entries_len - i) * sizeof(keyring->entries[0]));
	keyring->entries[i] = (struct keyring_entry){ .day = day, .layer = (uint8_t)layer };
	random_bytes(keyring->entries[i].key, KEYRING_KEY_BYTES);
	memcpy(out, keyring->entries[i].key, KEYRING_KEY_BYTES);
	keyring->entries_len++;
	keyring->changed++;
	return RC_OK;
}

enum rc keyring_get(
    struct keyring *keyring, int32_t day, unsigned layer, uint8_t out[KEYRING_KEY_BYTES])
{
	(void)pthread_rwlock_rdlock(&keyring->lock);
	bool found = entry_copy(keyring, day, layer, KEYRING_CURRENT, out);
	(void)pthread_rwlock_unlock(&keyring->lock);
	return found ? RC_OK : RC_NOTFOUND;
}

enum rc keyring_get_retired(
    struct keyring *keyring, int32_t day, unsigned layer, uint8_t out[KEYRING_KEY_BYTES])
{
	(void)pthread_rwlock_rdlock(&keyring->lock);
	bool found = entry_copy(keyring, day, layer, KEYRING_RETIRED, out) ||
		     entry_copy(keyring, day, layer, KEYRING_DROPPED, out);
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
	rc = entry_copy(keyring, day, layer, KEYRING_CURRENT, out)
		 ? RC_OK
		 : entry_add(keyring, day, layer, out, why);
	(void)pthread_rwlock_unlock(&keyring->lock);
	return rc;
}

enum rc keyring_retire(struct keyring *keyring, int32_t day, unsigned layer, struct errmsg *why)
{
	enum rc rc = RC_OK;

	(void)pthread_rwlock_wrlock(&keyring->lock);
	struct keyring_entry *entry = entry_find(keyring, day, layer, KEYRING_CURRENT);
	if (entry_find(keyring, day, layer, KEYRING_DROPPED) != NULL)
		rc = errmsg_rc(why, RC_BUG, "a key is retired before the one before it is wiped");
	else if (entry != NULL && entry_find(keyring, day, layer, KEYRING_RETIRED) == NULL) {
		entry->state = KEYRING_RETIRED; /* its place in the order is the same */
		keyring->changed++;
	}
	(void)pthread_rwlock_unlock(&keyring->lock);
	return rc;
}

size_t keyring_each_retired(struct keyring *keyring, keyring_visit_fn *visit, void *ctx)
{
	size_t n = 0;

	(void)pthread_rwlock_rdlock(&keyring->lock);
	for (size_t i = 0; i < keyring->entries_len; i++) {
		const struct keyring_entry *entry = &keyring->entries[i];
		if (entry->state != KEYRING_RETIRED)
			continue;
		if (visit != NULL)
			visit(ctx, entry->day, entry->layer);
		n++;
	}
	(void)pthread_rwlock_unlock(&keyring->lock);
	return n;
}

size_t keyring_count(struct keyring *keyring)
{
	size_t n = 0;

	(void)pthread_rwlock_rdlock(&keyring->lock);
	for (size_t i = 0; i < keyring->entries_len; i++)
		n += keyring->entries[i].state == KEYRING_CURRENT;
	(void)pthread_rwlock_unlock(&keyring->lock);
	return n;
}

void keyring_wipe_dropped(struct keyring *keyring)
{
	size_t kept = 0;

	(void)pthread_rwlock_wrlock(&keyring->lock);
	for (size_t i = 0; i < keyring->entries_len; i++) {
		if (keyring->entries[i].state != KEYRING_DROPPED)
			keyring->entries[kept++] = keyring->entries[i];
	}
	if (kept < keyring->entries_len)
		wipe(&keyring->entries[kept],
		    (keyring->entries_len - kept) * sizeof(keyring->entries[0]));
	keyring->entries_len = kept;
	(void)pthread_rwlock_unlock(&keyring->lock);
}

/* Only the table is locked, not the disk: readers go on meanwhile. */
enum rc keyring_file_put(struct keyring *keyring, bool shred, struct errmsg *why)
{
	struct buf file;

	buf_init(&file, KEYRING_FILE_BYTES_MAX);
	(void)pthread_mutex_lock(&keyring->file_lock);
	(void)pthread_rwlock_rdlock(&keyring->lock);
	uint64_t changed = keyring->changed;
	enum rc rc = keyring_file_encode(keyring, &file);
	(void)pthread_rwlock_unlock(&keyring->lock);
	if (rc == RC_OK && shred)
		rc = file_replace_shred(keyring->path, 0600, file.bytes, file.len, why);
	else if (rc == RC_OK)
		rc = file_write_atomic(keyring->path, 0600, file.bytes, file.len, why);
	buf_fini(&file);
	if (rc == RC_OK) {
		(void)pthread_rwlock_wrlock(&keyring->lock);
		keyring->synced = changed;
		(void)pthread_rwlock_unlock(&keyring->lock);
	}
	(void)pthread_mutex_unlock(&keyring->file_lock);
	return rc;
}

enum rc keyring_sync(struct keyring *keyring, struct errmsg *why)
{
	(void)pthread_rwlock_rdlock(&keyring->lock);
	bool clean = keyring->changed == keyring->synced;
	(void)pthread_rwlock_unlock(&keyring->lock);
	return clean ? RC_OK : keyring_file_put(keyring, false, why);
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

enum rc keyring_new(const char *dir, struct keyring **out, struct errmsg *why)
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
	(void)pthread_mutex_init(&keyring->file_lock, NULL);
	(void)sodium_mlock(keyring, sizeof(*keyring)); /* best effort: may exceed the limit */
	if (snprintf(keyring->dir, sizeof(keyring->dir), "%s", dir) >= (int)sizeof(keyring->dir) ||
	    snprintf(keyring->path, sizeof(keyring->path), "%s/keyring", dir) >=
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
	(void)pthread_mutex_destroy(&keyring->file_lock);
	(void)sodium_munlock(keyring, sizeof(*keyring)); /* wipes */
	wipe(keyring, sizeof(*keyring));
	free(keyring);
}

/* The first way in is the one that will be used. */
static enum rc first_slot(
    struct keyring *keyring, const struct keyring_unlock *unlock, struct errmsg *why)
{
	char path[4096];

	if (unlock->passphrase_file != NULL)
		return keyring_slot_add(
		    keyring, KEYRING_WAY_PASSPHRASE, unlock->passphrase_file, NULL, why);
	enum rc rc = keyring_key_file_path(keyring->dir, unlock, path, sizeof(path), why);
	return rc == RC_OK ? keyring_slot_add(keyring, KEYRING_WAY_FILE, path, NULL, why) : rc;
}

enum rc keyring_create(const char *dir, const struct keyring_unlock *unlock, struct errmsg *why)
{
	struct keyring *keyring = NULL;
	struct buf file;

	enum rc rc = keyring_new(dir, &keyring, why);
	if (rc != RC_OK)
		return rc;
	buf_init(&file, KEYRING_FILE_BYTES_MAX);
	if (file_exists(keyring->path)) {
		rc = errmsg_rc(why, RC_EXISTS, "%s exists already", keyring->path);
		goto out;
	}
	keyring->version = KEYRING_VERSION;
	random_bytes(keyring->id, KEYRING_ID_BYTES);
	random_bytes(keyring->kek, KEYRING_KEY_BYTES);
	random_bytes(keyring->dedup, KEYRING_KEY_BYTES);
	random_bytes(keyring->root, KEYRING_KEY_BYTES);
	rc = first_slot(keyring, unlock, why);
	if (rc == RC_OK)
		rc = keyring_file_encode(keyring, &file);
	if (rc == RC_OK)
		rc = file_create(keyring->path, 0600, file.bytes, file.len, why);
out:
	buf_fini(&file);
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
		rc = keyring_slot_open(unlock, keyring, why);
	if (rc == RC_OK)
		rc = keyring_file_body(keyring, bytes, len, header_len, why);
	if (rc == RC_OK)
		rc = file_shred_rest(keyring->path, why); /* K1 */
	if (rc != RC_OK)
		goto out;
	*out = keyring;
	keyring = NULL;
out:
	free(bytes);
	keyring_close(keyring);
	return rc;
}
