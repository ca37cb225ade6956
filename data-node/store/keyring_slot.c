/* Keyring slots: the KEK wrapped under a key file, a passphrase or the recovery key. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/random.h"
#include "base/wipe.h"
#include "os/file.h"
#include "store/keyring_internal.h"

#define KEY_TEXT_BYTES ((size_t)2 * KEYRING_KEY_BYTES)
#define KEY_FILE_BYTES_MAX ((size_t)1024)
#define AD_BYTES (KEYRING_ID_BYTES + 1 + KEYRING_SALT_BYTES + 4 + 8)

enum rc keyring_key_file_path(
    const char *dir, const struct keyring_unlock *unlock, char *out, size_t cap, struct errmsg *why)
{
	int n = unlock->key_file != NULL ? snprintf(out, cap, "%s", unlock->key_file)
					 : snprintf(out, cap, "%s/key", dir);

	return n < 0 || (size_t)n >= cap ? errmsg_rc(why, RC_LIMIT, "path too long") : RC_OK;
}

/* Length of the first line. */
static size_t line_len(const uint8_t *bytes, size_t len)
{
	size_t n = 0;

	while (n < len && bytes[n] != '\n' && bytes[n] != '\r')
		n++;
	return n;
}

static enum rc key_file_read(const char *path, uint8_t out[KEYRING_KEY_BYTES], struct errmsg *why)
{
	uint8_t *bytes = NULL;
	size_t len = 0;

	enum rc rc = file_read(path, KEY_FILE_BYTES_MAX, &bytes, &len, why);
	if (rc == RC_LIMIT || rc == RC_INVALID)
		return errmsg_rc(why, RC_DENIED, "%s is not a key file", path);
	if (rc != RC_OK)
		return rc;
	size_t n = line_len(bytes, len);
	bytes[n] = 0;
	if (n != KEY_TEXT_BYTES || hex_decode((const char *)bytes, out, KEYRING_KEY_BYTES) != RC_OK)
		rc = errmsg_rc(why, RC_DENIED,
		    "%s is not a key file: it must hold %zu hex digits, and is cut off or replaced",
		    path, KEY_TEXT_BYTES);
	wipe(bytes, len);
	free(bytes);
	return rc;
}

static enum rc key_file_make(const char *path, uint8_t out[KEYRING_KEY_BYTES], struct errmsg *why)
{
	char text[KEY_TEXT_BYTES + 2];

	random_bytes(out, KEYRING_KEY_BYTES);
	hex_encode(out, KEYRING_KEY_BYTES, text);
	text[KEY_TEXT_BYTES] = '\n';
	enum rc rc = file_create(path, 0600, text, KEY_TEXT_BYTES + 1, why);
	wipe(text, sizeof(text));
	return rc;
}

static enum rc passphrase_key(const char *path, const struct keyring_slot *slot,
    uint8_t out[KEYRING_KEY_BYTES], struct errmsg *why)
{
	uint8_t *bytes = NULL;
	size_t len = 0;

	enum rc rc = file_read(path, KEYRING_PASSPHRASE_BYTES_MAX, &bytes, &len, why);
	if (rc != RC_OK)
		return rc;
	size_t n = line_len(bytes, len);
	if (n == 0)
		rc = errmsg_rc(why, RC_CONFIG, "the first line of %s is empty", path);
	else if (crypto_pwhash(out, KEYRING_KEY_BYTES, (const char *)bytes, n, slot->salt,
		     slot->argon_ops, (size_t)slot->argon_mem, crypto_pwhash_ALG_ARGON2ID13) != 0)
		rc = errmsg_rc(why, RC_NOMEM, "no memory to check the passphrase");
	wipe(bytes, len);
	free(bytes);
	return rc;
}

/* The secret is random, so one hash is enough. */
static void recovery_key(const uint8_t secret[KEYRING_RECOVERY_BYTES],
    const struct keyring_slot *slot, uint8_t out[KEYRING_KEY_BYTES])
{
	(void)crypto_generichash(
	    out, KEYRING_KEY_BYTES, secret, KEYRING_RECOVERY_BYTES, slot->salt, sizeof(slot->salt));
}

static enum rc recovery_file_key(const char *path, const struct keyring_slot *slot,
    uint8_t out[KEYRING_KEY_BYTES], struct errmsg *why)
{
	uint8_t *bytes = NULL, secret[KEYRING_RECOVERY_BYTES];
	size_t len = 0;

	enum rc rc = file_read(path, KEYRING_PASSPHRASE_BYTES_MAX, &bytes, &len, why);
	if (rc != RC_OK)
		return rc;
	rc = keyring_recovery_parse((const char *)bytes, line_len(bytes, len), secret, why);
	if (rc == RC_OK)
		recovery_key(secret, slot, out);
	wipe(secret, sizeof(secret));
	wipe(bytes, len);
	free(bytes);
	return rc;
}

/* The key of `slot` from what `unlock` names. */
static enum rc slot_key(const char *dir, const struct keyring_unlock *unlock,
    const struct keyring_slot *slot, uint8_t out[KEYRING_KEY_BYTES], struct errmsg *why)
{
	char path[4096];

	if (slot->type == KEYRING_WAY_RECOVERY)
		return recovery_file_key(unlock->recovery_file, slot, out, why);
	if (slot->type == KEYRING_WAY_PASSPHRASE)
		return passphrase_key(unlock->passphrase_file, slot, out, why);
	enum rc rc = keyring_key_file_path(dir, unlock, path, sizeof(path), why);
	if (rc != RC_OK)
		return rc;
	rc = key_file_read(path, out, why);
	return rc == RC_NOTFOUND ? RC_DENIED : rc; /* `why` names the missing file */
}

/* Associated data: a slot moved to another keyring, or with its costs changed,
 * does not open. */
static void slot_ad(
    const struct keyring *keyring, const struct keyring_slot *slot, uint8_t out[AD_BYTES])
{
	uint8_t *p = out;

	memcpy(p, keyring->id, KEYRING_ID_BYTES);
	p += KEYRING_ID_BYTES;
	*p++ = slot->type;
	memcpy(p, slot->salt, KEYRING_SALT_BYTES);
	p += KEYRING_SALT_BYTES;
	for (unsigned i = 0; i < 4; i++)
		*p++ = (uint8_t)(slot->argon_ops >> (24 - 8 * i));
	for (unsigned i = 0; i < 8; i++)
		*p++ = (uint8_t)(slot->argon_mem >> (56 - 8 * i));
}

void keyring_slot_wrap(const struct keyring *keyring, struct keyring_slot *slot)
{
	uint8_t ad[AD_BYTES];

	random_bytes(slot->nonce, sizeof(slot->nonce));
	slot_ad(keyring, slot, ad);
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt(slot->wrapped, NULL, keyring->kek,
	    KEYRING_KEY_BYTES, ad, sizeof(ad), NULL, slot->nonce, slot->key);
}

/* Salt, costs and key of a new slot. */
static enum rc slot_fill(struct keyring_slot *slot, enum keyring_way way, const char *path,
    char recovery[KEYRING_RECOVERY_TEXT_BYTES], struct errmsg *why)
{
	uint8_t secret[KEYRING_RECOVERY_BYTES];

	slot->type = (uint8_t)way;
	if (way == KEYRING_WAY_FILE)
		return file_exists(path) ? key_file_read(path, slot->key, why)
					 : key_file_make(path, slot->key, why);
	random_bytes(slot->salt, sizeof(slot->salt));
	if (way == KEYRING_WAY_PASSPHRASE) {
		slot->argon_ops = crypto_pwhash_OPSLIMIT_MODERATE;
		slot->argon_mem = crypto_pwhash_MEMLIMIT_MODERATE;
		return passphrase_key(path, slot, slot->key, why);
	}
	random_bytes(secret, sizeof(secret));
	keyring_recovery_format(secret, recovery);
	recovery_key(secret, slot, slot->key);
	wipe(secret, sizeof(secret));
	return RC_OK;
}

enum rc keyring_slot_add(struct keyring *keyring, enum keyring_way way, const char *path,
    char recovery[KEYRING_RECOVERY_TEXT_BYTES], struct errmsg *why)
{
	struct keyring_slot slot = { 0 };

	if (keyring->slots_len >= KEYRING_SLOTS_MAX)
		return errmsg_rc(why, RC_LIMIT, "the keyring has no free slot");
	enum rc rc = slot_fill(&slot, way, path, recovery, why);
	if (rc == RC_OK) {
		keyring_slot_wrap(keyring, &slot);
		keyring->slots[keyring->slots_len++] = slot;
	}
	wipe(&slot, sizeof(slot));
	return rc;
}

bool keyring_slot_open_with(struct keyring *keyring, const uint8_t key[KEYRING_KEY_BYTES])
{
	uint8_t ad[AD_BYTES];

	for (size_t i = 0; i < keyring->slots_len; i++) {
		struct keyring_slot *slot = &keyring->slots[i];
		slot_ad(keyring, slot, ad);
		if (crypto_aead_xchacha20poly1305_ietf_decrypt(keyring->kek, NULL, NULL,
			slot->wrapped, sizeof(slot->wrapped), ad, sizeof(ad), slot->nonce,
			key) == 0)
			return true;
	}
	return false;
}

static enum keyring_way way_of(const struct keyring_unlock *unlock)
{
	if (unlock->recovery_file != NULL)
		return KEYRING_WAY_RECOVERY;
	return unlock->passphrase_file != NULL ? KEYRING_WAY_PASSPHRASE : KEYRING_WAY_FILE;
}

enum rc keyring_slot_open(
    const struct keyring_unlock *unlock, struct keyring *keyring, struct errmsg *why)
{
	static const char *const names[] = { NULL, "key file", "passphrase", "recovery key" };
	enum keyring_way want = way_of(unlock);
	bool tried = false;
	uint8_t ad[AD_BYTES];

	for (size_t i = 0; i < keyring->slots_len; i++) {
		struct keyring_slot *slot = &keyring->slots[i];
		if (slot->type != (uint8_t)want)
			continue;
		enum rc rc = slot_key(keyring->dir, unlock, slot, slot->key, why);
		if (rc != RC_OK)
			return rc;
		tried = true;
		slot_ad(keyring, slot, ad);
		if (crypto_aead_xchacha20poly1305_ietf_decrypt(keyring->kek, NULL, NULL,
			slot->wrapped, sizeof(slot->wrapped), ad, sizeof(ad), slot->nonce,
			slot->key) == 0)
			return RC_OK;
		wipe(slot->key, sizeof(slot->key));
	}
	if (tried)
		return errmsg_rc(
		    why, RC_DENIED, "wrong %s: it does not open this keyring", names[want]);
	if (want == KEYRING_WAY_RECOVERY)
		return errmsg_rc(why, RC_DENIED, "this keyring has no recovery key");
	return errmsg_rc(why, RC_DENIED, "this keyring has no %s: give it a %s", names[want],
	    want == KEYRING_WAY_FILE ? "passphrase file" : "key file");
}
