/* Store values: XChaCha20-Poly1305 under the key of (day, layer). */
#include <sodium.h>
#include <string.h>

#include "base/random.h"
#include "base/wipe.h"
#include "store/store_internal.h"

#define NAME_BYTES_MAX 8
#define KEY_BYTES_MAX 64

struct seal_ad {
	uint8_t bytes[NAME_BYTES_MAX + 1 + KEY_BYTES_MAX + STORE_HEAD_BYTES];
	size_t len;
};

static enum rc ad_make(
    enum store_db db, const MDB_val *key, const uint8_t head[STORE_HEAD_BYTES], struct seal_ad *ad)
{
	const char *name = store_db_name(db);
	size_t name_len = strlen(name) + 1;

	if (key->mv_size > KEY_BYTES_MAX)
		return RC_CORRUPT;
	memcpy(ad->bytes, name, name_len);
	memcpy(ad->bytes + name_len, key->mv_data, key->mv_size);
	memcpy(ad->bytes + name_len + key->mv_size, head, STORE_HEAD_BYTES);
	ad->len = name_len + key->mv_size + STORE_HEAD_BYTES;
	return RC_OK;
}

static void head_make(int32_t day, unsigned layer, uint8_t head[STORE_HEAD_BYTES])
{
	uint32_t bits = (uint32_t)day;

	head[0] = STORE_VALUE_VERSION;
	head[1] = (uint8_t)layer;
	for (unsigned i = 0; i < 4; i++)
		head[2 + i] = (uint8_t)(bits >> (24 - 8 * i));
}

/* One thread seals: the writer, or `init` before there is one. */
static void nonce_make(struct store *store, uint8_t out[STORE_NONCE_BYTES])
{
	if (store->nonces_left == 0) {
		random_bytes(store->nonces, sizeof(store->nonces));
		store->nonces_left = STORE_NONCES;
	}
	memcpy(out, store->nonces[--store->nonces_left], STORE_NONCE_BYTES);
}

enum rc store_seal(struct store *store, enum store_db db, const MDB_val *key, int32_t day,
    unsigned layer, const void *plain, size_t len, struct buf *out, struct errmsg *why)
{
	static const uint8_t zeros[STORE_TAG_BYTES];
	uint8_t data_key[KEYRING_KEY_BYTES];
	uint8_t front[STORE_HEAD_BYTES + STORE_NONCE_BYTES];
	struct seal_ad ad;

	enum rc rc = keyring_need(store->keyring, day, layer, data_key, why);
	if (rc != RC_OK)
		return rc;
	head_make(day, layer, front);
	nonce_make(store, front + STORE_HEAD_BYTES);
	rc = ad_make(db, key, front, &ad);
	if (rc != RC_OK)
		goto out;
	buf_append(out, front, sizeof(front));
	buf_append(out, plain, len);
	buf_append(out, zeros, sizeof(zeros));
	rc = buf_rc(out);
	if (rc != RC_OK)
		goto out;
	uint8_t *body = out->bytes + out->len - STORE_TAG_BYTES - len;
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt_detached(body, body + len, NULL, body, len,
	    ad.bytes, ad.len, NULL, front + STORE_HEAD_BYTES, data_key);
out:
	wipe(data_key, sizeof(data_key));
	return rc;
}

/* Where it fails, what `out` holds is of no use. */
static bool body_open(const MDB_val *value, const struct seal_ad *ad,
    const uint8_t data_key[KEYRING_KEY_BYTES], uint8_t *out)
{
	const uint8_t *nonce = (const uint8_t *)value->mv_data + STORE_HEAD_BYTES;
	const uint8_t *body = nonce + STORE_NONCE_BYTES;
	size_t len = value->mv_size - STORE_SEAL_BYTES;

	return crypto_aead_xchacha20poly1305_ietf_decrypt_detached(
		   out, NULL, body, len, body + len, ad->bytes, ad->len, nonce, data_key) == 0;
}

enum rc store_unseal(struct store *store, enum store_db db, const MDB_val *key,
    const MDB_val *value, struct buf *out, struct errmsg *why)
{
	const uint8_t *head = value->mv_data;
	uint8_t data_key[KEYRING_KEY_BYTES];
	struct seal_ad ad;
	uint32_t day = 0;

	if (value->mv_size < STORE_SEAL_BYTES)
		return errmsg_rc(why, RC_CORRUPT, "value cut off");
	if (head[0] != STORE_VALUE_VERSION)
		return errmsg_rc(why, RC_CORRUPT, "value of unknown version %u", head[0]);
	for (unsigned i = 0; i < 4; i++)
		day = day << 8 | head[2 + i];
	enum rc rc = ad_make(db, key, head, &ad);
	buf_append(
	    out, head + STORE_HEAD_BYTES + STORE_NONCE_BYTES, value->mv_size - STORE_SEAL_BYTES);
	if (rc == RC_OK)
		rc = buf_rc(out);
	if (rc != RC_OK)
		return rc;
	rc = keyring_get(store->keyring, (int32_t)day, head[1], data_key);
	bool any = rc == RC_OK, open = any && body_open(value, &ad, data_key, out->bytes);
	if (!open) { /* while something is forgotten, the older key may be the one */
		rc = keyring_get_retired(store->keyring, (int32_t)day, head[1], data_key);
		any = any || rc == RC_OK;
		open = rc == RC_OK && body_open(value, &ad, data_key, out->bytes);
	}
	wipe(data_key, sizeof(data_key));
	if (!any)
		return errmsg_rc(why, RC_NOTFOUND, "its key is not in the keyring");
	if (!open)
		return errmsg_rc(why, RC_CORRUPT, "does not decrypt: damaged or replaced");
	return RC_OK;
}
