/* Canary: raw search, and every key on everything that looks sealed. */
#include "store_canary.h"

#include <ftw.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/file.h"
#include "store/keyring_internal.h"
#include "store/store_internal.h"

#define FILE_BYTES_MAX ((size_t)1 << 30)
#define PAGE_BYTES 4096
#define NODE_HEAD_BYTES 8
#define NODE_BIG 1
#define FRAME_HEAD_BYTES 6 /* of a backup's segment: truth, key_len, value_len */

static const struct keyring *the_keyring;
static const char *the_text;
static struct store_canary *result;
static uint8_t *plain; /* scratch */

/* Databases with sealed values, by the size of their keys. */
static const struct {
	const char *name;
	size_t key_bytes;
} sealed[] = { { "log", 8 }, { "bundle", 17 }, { "slice", 20 }, { "digest", 10 }, { "episode", 24 },
	{ "snapshot", 8 } };
#define SEALED (sizeof sealed / sizeof sealed[0])
#define AD_BYTES_MAX 64

static void value_try(size_t db, const uint8_t *key, const uint8_t *value, size_t len)
{
	uint8_t ad[AD_BYTES_MAX];
	const uint8_t *nonce = value + STORE_HEAD_BYTES, *body = nonce + STORE_NONCE_BYTES;
	size_t plain_len = len - STORE_SEAL_BYTES, name_len = strlen(sealed[db].name) + 1;
	size_t key_len = sealed[db].key_bytes, ad_len = name_len + key_len + STORE_HEAD_BYTES;

	if (value[0] != STORE_VALUE_VERSION || value[1] > LAYER_COUNT)
		return;
	result->values++;
	memcpy(ad, sealed[db].name, name_len);
	memcpy(ad + name_len, key, key_len);
	memcpy(ad + name_len + key_len, value, STORE_HEAD_BYTES);
	for (size_t i = 0; i < the_keyring->entries_len; i++) {
		if (crypto_aead_xchacha20poly1305_ietf_decrypt_detached(plain, NULL, body,
			plain_len, body + plain_len, ad, ad_len, nonce,
			the_keyring->entries[i].key) != 0)
			continue;
		result->opened++;
		result->leaked += memmem(plain, plain_len, the_text, strlen(the_text)) != NULL;
		return;
	}
}

/* A node of LMDB at `at`: lo(2) hi(2) flags(2) ksize(2) key data. */
static void node_try(const uint8_t *bytes, size_t len, size_t at)
{
	uint16_t lo, hi, flags, ksize;
	uint64_t page;

	memcpy(&lo, bytes + at, 2);
	memcpy(&hi, bytes + at + 2, 2);
	memcpy(&flags, bytes + at + 4, 2);
	memcpy(&ksize, bytes + at + 6, 2);
	size_t size = (size_t)hi << 16 | lo, data = at + NODE_HEAD_BYTES + ksize;
	if (flags > NODE_BIG || size < STORE_SEAL_BYTES || size > OBS_RECORD_BYTES_MAX ||
	    data + 8 > len)
		return;
	if (flags == NODE_BIG) {
		memcpy(&page, bytes + data, 8);
		if (page > len / PAGE_BYTES)
			return;
		data = page * PAGE_BYTES + 16;
	}
	for (size_t db = 0; db < SEALED && data <= len && size <= len - data; db++) {
		if (sealed[db].key_bytes == ksize)
			value_try(db, bytes + at + NODE_HEAD_BYTES, bytes + data, size);
	}
}

static void frame_try(const uint8_t *bytes, size_t len, size_t at)
{
	size_t size = 0;

	if (at + FRAME_HEAD_BYTES + 8 > len || bytes[at + 1] != 8)
		return;
	for (unsigned i = 0; i < 4; i++)
		size = size << 8 | bytes[at + 2 + i];
	const uint8_t *key = bytes + at + FRAME_HEAD_BYTES;
	if (size >= STORE_SEAL_BYTES && size <= OBS_RECORD_BYTES_MAX &&
	    size <= len - at - FRAME_HEAD_BYTES - 8)
		value_try(0, key, key + 8, size); /* of the log */
}

static int file_look(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	uint8_t *bytes = NULL;
	size_t len = 0, text_len = strlen(the_text);

	(void)st;
	(void)ftw;
	if (flag != FTW_F || !S_ISREG(st->st_mode))
		return 0;
	if (file_read(path, FILE_BYTES_MAX, &bytes, &len, NULL) != RC_OK)
		abort();
	result->files++;
	result->bytes += len;
	for (const uint8_t *at = bytes;
	     (at = memmem(at, len - (size_t)(at - bytes), the_text, text_len)) != NULL; at++)
		result->plain++;
	for (size_t at = 0; at + NODE_HEAD_BYTES + 8 <= len; at++) {
		if (at % 2 == 0)
			node_try(bytes, len, at);
		frame_try(bytes, len, at);
	}
	free(bytes);
	return 0;
}

void store_canary_search(
    const char *dir, const struct keyring *keyring, const char *text, struct store_canary *out)
{
	*out = (struct store_canary){ 0 };
	the_keyring = keyring;
	the_text = text;
	result = out;
	plain = malloc(OBS_RECORD_BYTES_MAX);
	if (plain == NULL || nftw(dir, file_look, 16, FTW_PHYS) != 0)
		abort();
	free(plain);
}
