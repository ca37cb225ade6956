/* Blob internals: the header, keys and chunks that writer and reader share. */
#ifndef STORE_BLOB_INTERNAL_H
#define STORE_BLOB_INTERNAL_H

#include <sodium.h>

#include "store/blob.h"

#define BLOB_HEADER_BYTES ((size_t)96)
#define BLOB_TAG_BYTES ((size_t)16)
#define BLOB_KEY_BYTES ((size_t)32)
#define BLOB_NONCE_BYTES ((size_t)24)
#define BLOB_SEALED_BYTES (BLOB_CHUNK_BYTES + BLOB_TAG_BYTES)

/* The content's hash, which becomes the id. */
void blob_hash_begin(const struct blob_dir *dir, crypto_generichash_state *hash);

/* Wrap the file's key under the id, and back.  RC_CORRUPT. */
void blob_header_make(const uint8_t id[BLOB_ID_BYTES], const uint8_t key[BLOB_KEY_BYTES],
    uint64_t bytes, uint8_t out[BLOB_HEADER_BYTES]);
enum rc blob_header_open(const uint8_t id[BLOB_ID_BYTES], const uint8_t header[BLOB_HEADER_BYTES],
    uint8_t key[BLOB_KEY_BYTES], uint64_t *bytes) RC_CHECK;

/* Chunk `number` in place: `chunk` [len + tag].  open: false if it is damaged. */
void blob_chunk_seal(
    const uint8_t key[BLOB_KEY_BYTES], uint64_t number, bool last, uint8_t *chunk, size_t len);
bool blob_chunk_open(
    const uint8_t key[BLOB_KEY_BYTES], uint64_t number, bool last, uint8_t *chunk, size_t len);

/* An empty blob has one chunk, which is empty. */
uint64_t blob_chunks(uint64_t bytes);

#endif
