/*
 * Keyring files and recovery keys as somebody else may have written them: the
 * header as it comes, the body as if its seal were genuine, and typed text.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/wipe.h"
#include "store/keyring_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void header_look(const uint8_t *data, size_t len)
{
	struct keyring *keyring = calloc(1, sizeof(*keyring));
	size_t header_len = 0;

	if (keyring != NULL &&
	    keyring_file_header(keyring, data, len, &header_len, NULL) == RC_OK &&
	    (header_len > len || keyring->slots_len > KEYRING_SLOTS_MAX))
		abort();
	free(keyring);
}

/* A header of one slot, then `data` sealed under a known key. */
static void body_look(const uint8_t *data, size_t len, uint8_t version)
{
	static const uint8_t slot[1 + KEYRING_SALT_BYTES + 4 + 8 + KEYRING_NONCE_BYTES +
				  KEYRING_KEY_BYTES + KEYRING_TAG_BYTES];
	uint8_t head[8 + 4 + KEYRING_ID_BYTES + 1] = { 'H', 'E', 'A', 'R', 'T', 'H', 'K', 'R' };
	uint8_t nonce[KEYRING_NONCE_BYTES] = { 0 }, tag[KEYRING_TAG_BYTES];
	struct keyring *keyring = calloc(1, sizeof(*keyring));
	struct buf file;
	size_t header_len = 0;

	buf_init(&file, KEYRING_FILE_BYTES_MAX);
	head[11] = version;
	head[sizeof(head) - 1] = 1;
	buf_append(&file, head, sizeof(head));
	buf_append(&file, slot, sizeof(slot));
	size_t head_len = file.len;
	buf_append(&file, nonce, sizeof(nonce));
	buf_append(&file, tag, sizeof(tag));
	buf_append(&file, data, len);
	if (keyring == NULL || buf_rc(&file) != RC_OK)
		abort();
	uint8_t *body = file.bytes + file.len - len;
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt_detached(
	    body, tag, NULL, body, len, file.bytes, head_len, NULL, nonce, keyring->kek);
	memcpy(body - sizeof(tag), tag, sizeof(tag));
	if (keyring_file_header(keyring, file.bytes, file.len, &header_len, NULL) == RC_OK &&
	    keyring_file_body(keyring, file.bytes, file.len, header_len, NULL) == RC_OK &&
	    keyring->entries_len > len)
		abort();
	free(keyring->entries);
	free(keyring);
	buf_fini(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t secret[KEYRING_RECOVERY_BYTES];
	char text[KEYRING_RECOVERY_TEXT_BYTES];

	if (sodium_init() < 0)
		abort();
	header_look(data, len);
	body_look(data, len, 1);
	body_look(data, len, 2);
	if (keyring_recovery_parse((const char *)data, len, secret, NULL) == RC_OK) {
		keyring_recovery_format(secret, text);
		if (keyring_recovery_parse(text, sizeof(text) - 1, secret, NULL) != RC_OK)
			abort();
	}
	return 0;
}
