/* Keyring file: its bytes, of this format and the one before, with every count
 * and size checked. */
#include <sodium.h>
#include <string.h>

#include "base/random.h"
#include "base/wipe.h"
#include "store/keyring_internal.h"

static const uint8_t magic[8] = { 'H', 'E', 'A', 'R', 'T', 'H', 'K', 'R' };

#define SLOT_BYTES                                                                                 \
	(1 + KEYRING_SALT_BYTES + 4 + 8 + KEYRING_NONCE_BYTES + KEYRING_KEY_BYTES +                \
	    KEYRING_TAG_BYTES)
#define HEADER_FIXED_BYTES (sizeof(magic) + 4 + KEYRING_ID_BYTES + 1)
#define ENTRY_BYTES (4 + 1 + 1 + KEYRING_KEY_BYTES)
#define ENTRY_BYTES_1 (4 + 1 + KEYRING_KEY_BYTES) /* of format 1 */
#define BODY_FIXED_BYTES (2 * KEYRING_KEY_BYTES + 4)

static void put_be(struct buf *out, uint64_t value, size_t bytes)
{
	for (size_t i = bytes; i-- > 0;)
		buf_putc(out, (char)(value >> (8 * i) & 0xFF));
}

static uint64_t get_be(const uint8_t **p, size_t bytes)
{
	uint64_t value = 0;

	for (size_t i = 0; i < bytes; i++)
		value = value << 8 | *(*p)++;
	return value;
}

static void get_bytes(const uint8_t **p, void *out, size_t len)
{
	memcpy(out, *p, len);
	*p += len;
}

static void header_encode(const struct keyring *keyring, struct buf *out)
{
	buf_append(out, magic, sizeof(magic));
	put_be(out, KEYRING_VERSION, 4);
	buf_append(out, keyring->id, KEYRING_ID_BYTES);
	put_be(out, keyring->slots_len, 1);
	for (size_t i = 0; i < keyring->slots_len; i++) {
		const struct keyring_slot *slot = &keyring->slots[i];
		put_be(out, slot->type, 1);
		buf_append(out, slot->salt, KEYRING_SALT_BYTES);
		put_be(out, slot->argon_ops, 4);
		put_be(out, slot->argon_mem, 8);
		buf_append(out, slot->nonce, KEYRING_NONCE_BYTES);
		buf_append(out, slot->wrapped, sizeof(slot->wrapped));
	}
}

static void body_encode(const struct keyring *keyring, struct buf *out)
{
	size_t n = 0;

	for (size_t i = 0; i < keyring->slots_len; i++)
		buf_append(out, keyring->slots[i].key, KEYRING_KEY_BYTES);
	buf_append(out, keyring->dedup, KEYRING_KEY_BYTES);
	buf_append(out, keyring->root, KEYRING_KEY_BYTES);
	for (size_t i = 0; i < keyring->entries_len; i++)
		n += keyring->entries[i].state != KEYRING_DROPPED;
	put_be(out, n, 4);
	for (size_t i = 0; i < keyring->entries_len; i++) {
		const struct keyring_entry *entry = &keyring->entries[i];
		if (entry->state == KEYRING_DROPPED)
			continue;
		put_be(out, (uint32_t)entry->day, 4);
		put_be(out, entry->layer, 1);
		put_be(out, entry->state, 1);
		buf_append(out, entry->key, KEYRING_KEY_BYTES);
	}
}

enum rc keyring_file_encode(const struct keyring *keyring, struct buf *out)
{
	uint8_t nonce[KEYRING_NONCE_BYTES];
	uint8_t tag[KEYRING_TAG_BYTES];
	struct buf body;

	buf_init(&body, KEYRING_FILE_BYTES_MAX);
	header_encode(keyring, out);
	body_encode(keyring, &body);
	size_t header_len = out->len;
	enum rc rc = buf_rc(out);
	if (rc == RC_OK)
		rc = buf_rc(&body);
	if (rc != RC_OK)
		goto out;
	random_bytes(nonce, sizeof(nonce));
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt_detached(body.bytes, tag, NULL, body.bytes,
	    body.len, out->bytes, header_len, NULL, nonce, keyring->kek);
	buf_append(out, nonce, sizeof(nonce));
	buf_append(out, tag, sizeof(tag));
	buf_append(out, body.bytes, body.len);
	rc = buf_rc(out);
out:
	buf_fini(&body);
	return rc;
}

static enum rc slot_decode(struct keyring_slot *slot, const uint8_t **p, struct errmsg *why)
{
	slot->type = (uint8_t)get_be(p, 1);
	get_bytes(p, slot->salt, KEYRING_SALT_BYTES);
	slot->argon_ops = (uint32_t)get_be(p, 4);
	slot->argon_mem = get_be(p, 8);
	get_bytes(p, slot->nonce, KEYRING_NONCE_BYTES);
	get_bytes(p, slot->wrapped, sizeof(slot->wrapped));
	if (slot->argon_ops > KEYRING_ARGON_OPS_MAX || slot->argon_mem > KEYRING_ARGON_MEM_MAX)
		return errmsg_rc(why, RC_CORRUPT, "keyring: passphrase cost beyond its limit");
	return RC_OK;
}

enum rc keyring_file_header(struct keyring *keyring, const uint8_t *bytes, size_t len,
    size_t *header_len, struct errmsg *why)
{
	const uint8_t *p = bytes + sizeof(magic);

	if (len < HEADER_FIXED_BYTES || memcmp(bytes, magic, sizeof(magic)) != 0)
		return errmsg_rc(why, RC_CORRUPT, "%s is not a keyring", keyring->path);
	keyring->version = (uint32_t)get_be(&p, 4);
	if (keyring->version < 1 || keyring->version > KEYRING_VERSION)
		return errmsg_rc(why, RC_UNSUPPORTED,
		    "the keyring has format %u, this program reads up to %u: use a newer one",
		    keyring->version, KEYRING_VERSION);
	get_bytes(&p, keyring->id, KEYRING_ID_BYTES);
	keyring->slots_len = (size_t)get_be(&p, 1);
	if (keyring->slots_len == 0 || keyring->slots_len > KEYRING_SLOTS_MAX ||
	    (keyring->version == 1 && keyring->slots_len > 1) ||
	    len < HEADER_FIXED_BYTES + keyring->slots_len * SLOT_BYTES + KEYRING_NONCE_BYTES +
		      KEYRING_TAG_BYTES + BODY_FIXED_BYTES)
		return errmsg_rc(why, RC_CORRUPT, "keyring: cut off");
	for (size_t i = 0; i < keyring->slots_len; i++) {
		enum rc rc = slot_decode(&keyring->slots[i], &p, why);
		if (rc != RC_OK)
			return rc;
	}
	*header_len = (size_t)(p - bytes);
	return RC_OK;
}

static enum rc entries_decode(
    struct keyring *keyring, const uint8_t *p, size_t n, struct errmsg *why)
{
	int64_t before = INT64_MIN;

	for (size_t i = 0; i < n; i++) {
		enum rc rc = keyring_reserve(keyring, why);
		if (rc != RC_OK)
			return rc;
		struct keyring_entry *entry = &keyring->entries[i];
		entry->day = (int32_t)(uint32_t)get_be(&p, 4);
		entry->layer = (uint8_t)get_be(&p, 1);
		entry->state = keyring->version == 1 ? KEYRING_CURRENT : (uint8_t)get_be(&p, 1);
		get_bytes(&p, entry->key, KEYRING_KEY_BYTES);
		keyring->entries_len++;
		int64_t place = ((int64_t)entry->day * 256 + entry->layer) * 256 + entry->state;
		if (entry->state > KEYRING_RETIRED || place <= before)
			return errmsg_rc(why, RC_CORRUPT, "keyring: entries out of order");
		before = place;
	}
	return RC_OK;
}

static enum rc body_decode(
    struct keyring *keyring, const uint8_t *p, size_t len, struct errmsg *why)
{
	size_t entry_bytes = keyring->version == 1 ? ENTRY_BYTES_1 : ENTRY_BYTES;
	size_t fixed = BODY_FIXED_BYTES;

	if (keyring->version > 1) {
		fixed += keyring->slots_len * KEYRING_KEY_BYTES;
		if (len < fixed)
			return errmsg_rc(why, RC_CORRUPT, "keyring: cut off");
		for (size_t i = 0; i < keyring->slots_len; i++)
			get_bytes(&p, keyring->slots[i].key, KEYRING_KEY_BYTES);
	}
	get_bytes(&p, keyring->dedup, KEYRING_KEY_BYTES);
	get_bytes(&p, keyring->root, KEYRING_KEY_BYTES);
	size_t n = (size_t)get_be(&p, 4);
	if (n > KEYRING_ENTRIES_MAX || len != fixed + n * entry_bytes)
		return errmsg_rc(why, RC_CORRUPT, "keyring: its size and its count disagree");
	return entries_decode(keyring, p, n, why);
}

enum rc keyring_file_body(struct keyring *keyring, const uint8_t *bytes, size_t len,
    size_t header_len, struct errmsg *why)
{
	const uint8_t *nonce = bytes + header_len;
	const uint8_t *tag = nonce + KEYRING_NONCE_BYTES;
	const uint8_t *sealed = tag + KEYRING_TAG_BYTES;
	size_t body_len = len - (size_t)(sealed - bytes);
	struct buf body;

	buf_init(&body, KEYRING_FILE_BYTES_MAX);
	buf_append(&body, sealed, body_len);
	enum rc rc = buf_rc(&body);
	if (rc == RC_OK &&
	    crypto_aead_xchacha20poly1305_ietf_decrypt_detached(body.bytes, NULL, body.bytes,
		body_len, tag, bytes, header_len, nonce, keyring->kek) != 0)
		rc = errmsg_rc(why, RC_CORRUPT, "keyring: damaged: its content fails its check");
	if (rc == RC_OK)
		rc = body_decode(keyring, body.bytes, body_len, why);
	buf_fini(&body);
	return rc;
}
