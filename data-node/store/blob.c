/* Blob: names, headers and chunks. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hex.h"
#include "base/random.h"
#include "base/wipe.h"
#include "store/blob_internal.h"

#define MAGIC_BYTES 8
#define BYTES_AT 8
#define NONCE_AT 16
#define KEY_AT 40
#define TAG_AT 72

static const uint8_t magic[MAGIC_BYTES] = { 'H', 'B', 'L', 'O', 'B', 0, 0, 1 };

void blob_hash_begin(const struct blob_dir *dir, crypto_generichash_state *hash)
{
	static const uint8_t use[] = "blob content";

	(void)crypto_generichash_init(hash, dir->secret, BLOB_KEY_BYTES, BLOB_ID_BYTES);
	(void)crypto_generichash_update(hash, use, sizeof(use));
}

void blob_name(
    const struct blob_dir *dir, const uint8_t id[BLOB_ID_BYTES], uint8_t name[BLOB_NAME_BYTES])
{
	static const uint8_t use[] = "blob name";
	crypto_generichash_state hash;

	(void)crypto_generichash_init(&hash, dir->secret, BLOB_KEY_BYTES, BLOB_NAME_BYTES);
	(void)crypto_generichash_update(&hash, use, sizeof(use));
	(void)crypto_generichash_update(&hash, id, BLOB_ID_BYTES);
	(void)crypto_generichash_final(&hash, name, BLOB_NAME_BYTES);
}

void blob_path(
    const struct blob_dir *dir, const uint8_t name[BLOB_NAME_BYTES], char out[BLOB_PATH_BYTES])
{
	char text[2 * BLOB_NAME_BYTES + 1];

	hex_encode(name, BLOB_NAME_BYTES, text);
	(void)snprintf(out, BLOB_PATH_BYTES, "%s/%.2s/%s", dir->path, text, text + 2);
}

enum rc blob_stat(const struct blob_dir *dir, const uint8_t name[BLOB_NAME_BYTES],
    uint64_t *file_bytes, int64_t *mtime_s, struct errmsg *why)
{
	char path[BLOB_PATH_BYTES];
	struct stat st;

	blob_path(dir, name, path);
	if (stat(path, &st) != 0)
		return errno == ENOTDIR ? RC_NOTFOUND : errmsg_errno(why, "a blob's file");
	if (!S_ISREG(st.st_mode))
		return errmsg_rc(why, RC_IO, "a blob's file is no file");
	*file_bytes = (uint64_t)st.st_size;
	*mtime_s = (int64_t)st.st_mtime;
	return RC_OK;
}

/* ---- the header ----------------------------------------------------------------- */

static void key_of_id(const uint8_t id[BLOB_ID_BYTES], uint8_t out[BLOB_KEY_BYTES])
{
	static const uint8_t use[] = "blob key";

	(void)crypto_generichash(out, BLOB_KEY_BYTES, use, sizeof(use), id, BLOB_ID_BYTES);
}

void blob_header_make(const uint8_t id[BLOB_ID_BYTES], const uint8_t key[BLOB_KEY_BYTES],
    uint64_t bytes, uint8_t out[BLOB_HEADER_BYTES])
{
	uint8_t wrap[BLOB_KEY_BYTES];

	memset(out, 0, BLOB_HEADER_BYTES);
	memcpy(out, magic, sizeof(magic));
	for (unsigned i = 0; i < 8; i++)
		out[BYTES_AT + i] = (uint8_t)(bytes >> (56 - 8 * i));
	random_bytes(out + NONCE_AT, BLOB_NONCE_BYTES);
	key_of_id(id, wrap);
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt_detached(out + KEY_AT, out + TAG_AT, NULL,
	    key, BLOB_KEY_BYTES, out, NONCE_AT, NULL, out + NONCE_AT, wrap);
	wipe(wrap, sizeof(wrap));
}

enum rc blob_header_open(const uint8_t id[BLOB_ID_BYTES], const uint8_t header[BLOB_HEADER_BYTES],
    uint8_t key[BLOB_KEY_BYTES], uint64_t *bytes)
{
	uint8_t wrap[BLOB_KEY_BYTES];

	if (memcmp(header, magic, sizeof(magic)) != 0)
		return RC_CORRUPT;
	key_of_id(id, wrap);
	int bad = crypto_aead_xchacha20poly1305_ietf_decrypt_detached(key, NULL, header + KEY_AT,
	    BLOB_KEY_BYTES, header + TAG_AT, header, NONCE_AT, header + NONCE_AT, wrap);
	wipe(wrap, sizeof(wrap));
	*bytes = 0;
	for (unsigned i = 0; i < 8; i++)
		*bytes = *bytes << 8 | header[BYTES_AT + i];
	return bad != 0 || *bytes > BLOB_BYTES_MAX ? RC_CORRUPT : RC_OK;
}

/* ---- chunks ------------------------------------------------------------------------ */

uint64_t blob_chunks(uint64_t bytes)
{
	return bytes == 0 ? 1 : (bytes + BLOB_CHUNK_BYTES - 1) / BLOB_CHUNK_BYTES;
}

/* The key is the file's own, so numbers are nonces enough. */
static void nonce_make(uint64_t number, bool last, uint8_t out[BLOB_NONCE_BYTES])
{
	memset(out, 0, BLOB_NONCE_BYTES);
	out[0] = last;
	for (unsigned i = 0; i < 8; i++)
		out[1 + i] = (uint8_t)(number >> (56 - 8 * i));
}

void blob_chunk_seal(
    const uint8_t key[BLOB_KEY_BYTES], uint64_t number, bool last, uint8_t *chunk, size_t len)
{
	uint8_t nonce[BLOB_NONCE_BYTES];

	nonce_make(number, last, nonce);
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt_detached(
	    chunk, chunk + len, NULL, chunk, len, NULL, 0, NULL, nonce, key);
}

bool blob_chunk_open(
    const uint8_t key[BLOB_KEY_BYTES], uint64_t number, bool last, uint8_t *chunk, size_t len)
{
	uint8_t nonce[BLOB_NONCE_BYTES];

	nonce_make(number, last, nonce);
	return crypto_aead_xchacha20poly1305_ietf_decrypt_detached(
		   chunk, NULL, chunk, len, chunk + len, NULL, 0, nonce, key) == 0;
}
