/* Backup files: the small ones, read and written whole, and the seal of the state. */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backup/backup_internal.h"
#include "base/hex.h"
#include "base/wipe.h"
#include "os/file.h"

#define SEAL_NONCE_BYTES crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define SEAL_TAG_BYTES crypto_aead_xchacha20poly1305_ietf_ABYTES
#define HASH_TEXT_BYTES 16 /* of a name */

static const char seal_ad[] = "state of a backup";

enum rc backup_path(const char *dir, const char *name, struct backup_path *out, struct errmsg *why)
{
	int n = snprintf(out->text, sizeof(out->text), "%s/%s", dir, name);

	return n < 0 || (size_t)n >= sizeof(out->text) ? errmsg_rc(why, RC_LIMIT, "path too long")
						       : RC_OK;
}

enum rc backup_mac_key(const struct keyring *keyring, uint8_t out[MANIFEST_KEY_BYTES])
{
	return keyring_derive(keyring, "manifest of a backup", out);
}

static void hash_of(const uint8_t *bytes, size_t len, uint8_t out[MANIFEST_HASH_BYTES])
{
	(void)crypto_generichash(out, MANIFEST_HASH_BYTES, bytes, len, NULL, 0);
}

enum rc backup_file_put(const char *dest, enum manifest_kind kind, const uint8_t *bytes, size_t len,
    struct manifest_file *out, struct errmsg *why)
{
	char hash[2 * MANIFEST_HASH_BYTES + 1];
	struct backup_path path;

	*out = (struct manifest_file){ .kind = kind, .bytes = len };
	hash_of(bytes, len, out->hash);
	hex_encode(out->hash, sizeof(out->hash), hash);
	(void)snprintf(out->name, sizeof(out->name), "%s-%.*s", manifest_kind_word(kind),
	    HASH_TEXT_BYTES, hash);
	enum rc rc = backup_path(dest, out->name, &path, why);
	if (rc == RC_OK)
		rc = file_write_atomic(path.text, 0600, bytes, len, why);
	return rc;
}

enum rc backup_file_get(const char *dest, const struct manifest_file *file, uint8_t **out,
    size_t *len, struct errmsg *why)
{
	uint8_t hash[MANIFEST_HASH_BYTES], *bytes = NULL;
	struct backup_path path;

	enum rc rc = backup_path(dest, file->name, &path, why);
	if (rc == RC_OK)
		rc = file_read(path.text, BACKUP_STATE_BYTES_MAX, &bytes, len, why);
	if (rc != RC_OK)
		return rc;
	hash_of(bytes, *len, hash);
	if (*len == file->bytes && memcmp(hash, file->hash, sizeof(hash)) == 0) {
		*out = bytes;
		return RC_OK;
	}
	wipe(bytes, *len);
	free(bytes);
	return errmsg_rc(why, RC_CORRUPT, "%s is damaged: its hash is another one", file->name);
}

enum rc backup_seal(const struct keyring *keyring, const uint8_t *bytes, size_t len,
    struct buf *out, struct errmsg *why)
{
	uint8_t key[KEYRING_KEY_BYTES], nonce_key[KEYRING_KEY_BYTES], nonce[SEAL_NONCE_BYTES];
	uint8_t tag[SEAL_TAG_BYTES];

	enum rc rc = keyring_derive(keyring, seal_ad, key);
	if (rc == RC_OK)
		rc = keyring_derive(keyring, "nonce of a backup's state", nonce_key);
	if (rc != RC_OK)
		return errmsg_rc(why, rc, "the state cannot be sealed");
	(void)crypto_generichash(nonce, sizeof(nonce), bytes, len, nonce_key, sizeof(nonce_key));
	size_t at = out->len + sizeof(nonce) + sizeof(tag);
	buf_append(out, nonce, sizeof(nonce));
	buf_append(out, tag, sizeof(tag)); /* its place */
	buf_append(out, bytes, len);
	rc = buf_rc(out);
	if (rc == RC_OK) {
		(void)crypto_aead_xchacha20poly1305_ietf_encrypt_detached(out->bytes + at, tag,
		    NULL, out->bytes + at, len, (const uint8_t *)seal_ad, sizeof(seal_ad), NULL,
		    nonce, key);
		memcpy(out->bytes + at - sizeof(tag), tag, sizeof(tag));
	}
	wipe(key, sizeof(key));
	wipe(nonce_key, sizeof(nonce_key));
	return rc;
}

enum rc backup_unseal(const struct keyring *keyring, const uint8_t *bytes, size_t len,
    struct buf *out, struct errmsg *why)
{
	const size_t front = SEAL_NONCE_BYTES + SEAL_TAG_BYTES;
	uint8_t key[KEYRING_KEY_BYTES];

	if (len < front)
		return errmsg_rc(why, RC_CORRUPT, "the sealed state is cut off");
	enum rc rc = keyring_derive(keyring, seal_ad, key);
	buf_append(out, bytes + front, len - front);
	if (rc == RC_OK)
		rc = buf_rc(out);
	uint8_t *plain = out->bytes + out->len - (len - front);
	if (rc == RC_OK && crypto_aead_xchacha20poly1305_ietf_decrypt_detached(plain, NULL, plain,
			       len - front, bytes + SEAL_NONCE_BYTES, (const uint8_t *)seal_ad,
			       sizeof(seal_ad), bytes, key) != 0)
		rc = errmsg_rc(why, RC_CORRUPT, "the sealed state does not open");
	wipe(key, sizeof(key));
	return rc;
}
