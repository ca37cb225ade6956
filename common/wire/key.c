/*
 * CURVE key pairs: making, writing, reading.  The secret key is the pair: the
 * public one is computed from it.
 */
#include "wire/key.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hex.h"
#include "base/wipe.h"
#include "os/file.h"

#define KEY_FILE_BYTES_MAX ((size_t)256)

_Static_assert(crypto_box_PUBLICKEYBYTES == WIRE_KEY_BYTES, "CURVE public key");
_Static_assert(crypto_box_SECRETKEYBYTES == WIRE_KEY_BYTES, "CURVE secret key");

enum rc wire_keypair_new(struct wire_keypair *out, struct errmsg *why)
{
	if (sodium_init() < 0)
		return errmsg_rc(why, RC_CONFIG, "libsodium does not start");
	if (crypto_box_keypair(out->public_key, out->secret_key) != 0)
		return errmsg_rc(why, RC_BUG, "libsodium makes no key pair");
	return RC_OK;
}

void wire_keypair_wipe(struct wire_keypair *keys)
{
	wipe(keys, sizeof(*keys));
}

enum rc wire_keypair_save(const struct wire_keypair *keys, const char *path, struct errmsg *why)
{
	char text[WIRE_KEY_TEXT_BYTES];

	if (file_exists(path))
		return errmsg_rc(why, RC_EXISTS, "%s is there already", path);
	wire_key_format(keys->secret_key, text);
	text[WIRE_KEY_TEXT_BYTES - 1] = '\n';
	enum rc rc = file_create(path, 0600, text, sizeof(text), why);
	wipe(text, sizeof(text));
	return rc;
}

/* A secret that others can read is none. */
static enum rc check_mode(const char *path, struct errmsg *why)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return errmsg_errno(why, "cannot open %s", path);
	if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return errmsg_rc(
		    why, RC_CONFIG, "%s is open to other users: run chmod 600 on it", path);
	return RC_OK;
}

enum rc wire_keypair_load(const char *path, struct wire_keypair *out, struct errmsg *why)
{
	struct wire_keypair keys;
	uint8_t *bytes = NULL;
	size_t len = 0;

	enum rc rc = check_mode(path, why);
	if (rc == RC_OK)
		rc = file_read(path, KEY_FILE_BYTES_MAX, &bytes, &len, why);
	if (rc != RC_OK)
		return rc;
	size_t end = len;
	while (end > 0 && (bytes[end - 1] == '\n' || bytes[end - 1] == '\r'))
		bytes[--end] = 0;
	rc = wire_key_parse((const char *)bytes, keys.secret_key, NULL);
	if (rc == RC_OK && crypto_scalarmult_base(keys.public_key, keys.secret_key) != 0)
		rc = RC_INVALID;
	if (rc == RC_OK)
		*out = keys;
	else
		rc = errmsg_rc(why, RC_CONFIG, "%s holds no secret key of 64 hex digits", path);
	wipe(bytes, len);
	free(bytes);
	wire_keypair_wipe(&keys);
	return rc;
}

void wire_key_format(const uint8_t key[WIRE_KEY_BYTES], char out[WIRE_KEY_TEXT_BYTES])
{
	hex_encode(key, WIRE_KEY_BYTES, out);
}

enum rc wire_key_parse(const char *text, uint8_t key[WIRE_KEY_BYTES], struct errmsg *why)
{
	if (hex_decode(text, key, WIRE_KEY_BYTES) != RC_OK)
		return errmsg_rc(why, RC_INVALID, "a key is 64 hex digits");
	return RC_OK;
}
