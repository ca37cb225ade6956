/*
 * Keyring changes: dropping keys, wrapping anew, ways in.
 *
 * Whatever takes a key or a way in away wraps the rest under a fresh KEK and
 * overwrites the file that held the old one (K1).
 */

#include "base/random.h"
#include "base/wipe.h"
#include "store/keyring_internal.h"

void keyring_kek_renew(struct keyring *keyring)
{
	random_bytes(keyring->kek, KEYRING_KEY_BYTES);
	for (size_t i = 0; i < keyring->slots_len; i++)
		keyring_slot_wrap(keyring, &keyring->slots[i]);
	keyring->changed++;
}

enum rc keyring_rekey(struct keyring *keyring, struct errmsg *why)
{
	(void)pthread_rwlock_wrlock(&keyring->lock);
	keyring_kek_renew(keyring);
	(void)pthread_rwlock_unlock(&keyring->lock);
	return keyring_file_put(keyring, true, why);
}

enum rc keyring_drop_retired(struct keyring *keyring, size_t *dropped, struct errmsg *why)
{
	size_t n = 0;

	(void)pthread_rwlock_wrlock(&keyring->lock);
	for (size_t i = 0; i < keyring->entries_len; i++) {
		if (keyring->entries[i].state != KEYRING_RETIRED)
			continue;
		keyring->entries[i].state = KEYRING_DROPPED;
		n++;
	}
	if (n > 0)
		keyring_kek_renew(keyring);
	bool behind = keyring->changed != keyring->synced; /* perhaps by an earlier try */
	(void)pthread_rwlock_unlock(&keyring->lock);
	if (dropped != NULL)
		*dropped = n;
	return behind ? keyring_file_put(keyring, true, why) : RC_OK;
}

/* ---- ways in ------------------------------------------------------------------- */

size_t keyring_ways(const struct keyring *keyring, enum keyring_way way)
{
	size_t n = 0;

	for (size_t i = 0; i < keyring->slots_len; i++)
		n += keyring->slots[i].type == (uint8_t)way;
	return n;
}

static enum rc way_add(struct keyring *keyring, enum keyring_way way, const char *path,
    char recovery[KEYRING_RECOVERY_TEXT_BYTES], struct errmsg *why)
{
	(void)pthread_rwlock_wrlock(&keyring->lock);
	enum rc rc = keyring_slot_add(keyring, way, path, recovery, why);
	if (rc == RC_OK)
		keyring->changed++;
	(void)pthread_rwlock_unlock(&keyring->lock);
	return rc == RC_OK ? keyring_file_put(keyring, false, why) : rc;
}

enum rc keyring_add_file(struct keyring *keyring, const char *path, struct errmsg *why)
{
	return way_add(keyring, KEYRING_WAY_FILE, path, NULL, why);
}

enum rc keyring_add_passphrase(struct keyring *keyring, const char *path, struct errmsg *why)
{
	return way_add(keyring, KEYRING_WAY_PASSPHRASE, path, NULL, why);
}

enum rc keyring_add_recovery(
    struct keyring *keyring, char text[KEYRING_RECOVERY_TEXT_BYTES], struct errmsg *why)
{
	return way_add(keyring, KEYRING_WAY_RECOVERY, NULL, text, why);
}

enum rc keyring_keep_newest(struct keyring *keyring, unsigned ways, struct errmsg *why)
{
	size_t newest = KEYRING_SLOTS_MAX, kept = 0;

	(void)pthread_rwlock_wrlock(&keyring->lock);
	for (size_t i = 0; i < keyring->slots_len; i++) {
		if ((ways & 1u << keyring->slots[i].type) != 0)
			newest = i;
	}
	for (size_t i = 0; newest < KEYRING_SLOTS_MAX && i < keyring->slots_len; i++) {
		if ((ways & 1u << keyring->slots[i].type) == 0 || i == newest)
			keyring->slots[kept++] = keyring->slots[i];
	}
	if (newest < KEYRING_SLOTS_MAX) {
		wipe(
		    &keyring->slots[kept], (keyring->slots_len - kept) * sizeof(keyring->slots[0]));
		keyring->slots_len = kept;
	}
	(void)pthread_rwlock_unlock(&keyring->lock);
	if (newest == KEYRING_SLOTS_MAX)
		return errmsg_rc(why, RC_INVALID, "nothing would open the keyring");
	return keyring_rekey(keyring, why);
}
