/* Keyring of format 1: one slot; a body without slot keys and states. */
#include "store_old.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "os/file.h"
#include "store/keyring_internal.h"

static void put_be(struct buf *out, uint64_t value, size_t bytes)
{
	for (size_t i = bytes; i-- > 0;)
		buf_putc(out, (char)(value >> (8 * i) & 0xFF));
}

static void header_put(const struct keyring *keyring, struct buf *out)
{
	const struct keyring_slot *slot = &keyring->slots[0];

	buf_append(out, "HEARTHKR", 8);
	put_be(out, 1, 4);
	buf_append(out, keyring->id, KEYRING_ID_BYTES);
	put_be(out, 1, 1);
	put_be(out, slot->type, 1);
	buf_append(out, slot->salt, KEYRING_SALT_BYTES);
	put_be(out, slot->argon_ops, 4);
	put_be(out, slot->argon_mem, 8);
	buf_append(out, slot->nonce, KEYRING_NONCE_BYTES);
	buf_append(out, slot->wrapped, sizeof(slot->wrapped));
}

static void body_put(const struct keyring *keyring, struct buf *out)
{
	buf_append(out, keyring->dedup, KEYRING_KEY_BYTES);
	buf_append(out, keyring->root, KEYRING_KEY_BYTES);
	put_be(out, keyring->entries_len, 4);
	for (size_t i = 0; i < keyring->entries_len; i++) {
		put_be(out, (uint32_t)keyring->entries[i].day, 4);
		put_be(out, keyring->entries[i].layer, 1);
		buf_append(out, keyring->entries[i].key, KEYRING_KEY_BYTES);
	}
}

void store_old_keyring(const char *dir, const struct keyring *keyring)
{
	uint8_t nonce[KEYRING_NONCE_BYTES], tag[KEYRING_TAG_BYTES];
	struct buf file, body;
	char path[4200];

	buf_init(&file, KEYRING_FILE_BYTES_MAX);
	buf_init(&body, KEYRING_FILE_BYTES_MAX);
	header_put(keyring, &file);
	body_put(keyring, &body);
	random_bytes(nonce, sizeof(nonce));
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt_detached(body.bytes, tag, NULL, body.bytes,
	    body.len, file.bytes, file.len, NULL, nonce, keyring->kek);
	buf_append(&file, nonce, sizeof(nonce));
	buf_append(&file, tag, sizeof(tag));
	buf_append(&file, body.bytes, body.len);
	(void)snprintf(path, sizeof(path), "%s/keyring", dir);
	if (buf_rc(&file) != RC_OK || buf_rc(&body) != RC_OK ||
	    file_write_atomic(path, 0600, file.bytes, file.len, NULL) != RC_OK)
		abort();
	buf_fini(&file);
	buf_fini(&body);
}
