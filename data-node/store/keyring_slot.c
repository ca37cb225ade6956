/* Keyring slots: the KEK wrapped under a key file or a passphrase. */
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

static enum rc key_file_path(
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

enum rc keyring_slot_key(const char *dir, const struct keyring_unlock *unlock,
    const struct keyring_slot *slot, uint8_t out[KEYRING_KEY_BYTES], struct errmsg *why)
{
	char path[4096];

	if (slot->type == KEYRING_SLOT_PASSPHRASE)
		return passphrase_key(unlock->passphrase_file, slot, out, why);
	enum rc rc = key_file_path(dir, unlock, path, sizeof(path), why);
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

static enum rc slot_source(const char *dir, const struct keyring_unlock *unlock,
    struct keyring_slot *slot, uint8_t key[KEYRING_KEY_BYTES], struct errmsg *why)
{
	char path[4096];

	if (unlock->passphrase_file != NULL) {
		slot->type = KEYRING_SLOT_PASSPHRASE;
		random_bytes(slot->salt, sizeof(slot->salt));
		slot->argon_ops = crypto_pwhash_OPSLIMIT_MODERATE;
		slot->argon_mem = crypto_pwhash_MEMLIMIT_MODERATE;
		return keyring_slot_key(dir, unlock, slot, key, why);
	}
	slot->type = KEYRING_SLOT_FILE;
	enum rc rc = key_file_path(dir, unlock, path, sizeof(path), why);
	if (rc != RC_OK)
		return rc;
	return file_exists(path) ? key_file_read(path, key, why) : key_file_make(path, key, why);
}

enum rc keyring_slot_make(const char *dir, const struct keyring_unlock *unlock,
    struct keyring *keyring, struct errmsg *why)
{
	struct keyring_slot *slot = &keyring->slots[keyring->slots_len];
	uint8_t key[KEYRING_KEY_BYTES], ad[AD_BYTES];

	if (keyring->slots_len >= KEYRING_SLOTS_MAX)
		return errmsg_rc(why, RC_LIMIT, "the keyring has no free slot");
	enum rc rc = slot_source(dir, unlock, slot, key, why);
	if (rc == RC_OK) {
		random_bytes(slot->nonce, sizeof(slot->nonce));
		slot_ad(keyring, slot, ad);
		(void)crypto_aead_xchacha20poly1305_ietf_encrypt(slot->wrapped, NULL, keyring->kek,
		    KEYRING_KEY_BYTES, ad, sizeof(ad), NULL, slot->nonce, key);
		keyring->slots_len++;
	}
	wipe(key, sizeof(key));
	return rc;
}

enum rc keyring_slot_open(const char *dir, const struct keyring_unlock *unlock,
    struct keyring *keyring, struct errmsg *why)
{
	uint8_t want =
	    unlock->passphrase_file != NULL ? KEYRING_SLOT_PASSPHRASE : KEYRING_SLOT_FILE;
	uint8_t key[KEYRING_KEY_BYTES], ad[AD_BYTES];
	const char *what = want == KEYRING_SLOT_FILE ? "key file" : "passphrase";
	bool tried = false;

	for (size_t i = 0; i < keyring->slots_len; i++) {
		const struct keyring_slot *slot = &keyring->slots[i];
		if (slot->type != want)
			continue;
		enum rc rc = keyring_slot_key(dir, unlock, slot, key, why);
		if (rc != RC_OK)
			return rc;
		tried = true;
		slot_ad(keyring, slot, ad);
		int bad = crypto_aead_xchacha20poly1305_ietf_decrypt(keyring->kek, NULL, NULL,
		    slot->wrapped, sizeof(slot->wrapped), ad, sizeof(ad), slot->nonce, key);
		wipe(key, sizeof(key));
		if (bad == 0)
			return RC_OK;
	}
	if (tried)
		return errmsg_rc(why, RC_DENIED, "wrong %s: it does not open this keyring", what);
	return errmsg_rc(why, RC_DENIED, "this keyring has no %s: give it a %s", what,
	    want == KEYRING_SLOT_FILE ? "passphrase file" : "key file");
}
