/*
 * Blob: a photo, a piece of a recording or a document as an encrypted file.
 *
 * reference: timeline §5.  A blob's id is a keyed hash of its content, so equal
 * content is one file.  Who knows the id can read the file, and nobody else:
 * its content is sealed under a random key, which is wrapped under a key made
 * from the id, and the file's name is a keyed hash of the id.  The id rests in
 * records only, sealed under the key of their day and layer: forgetting them
 * forgets the blob, whatever becomes of the file, and rekeying never rewrites
 * one.
 *
 * A file is in its place under its name only when all of it is on disk; what a
 * crash leaves is an orphan under DIR/blobs/new or one without a reference.
 * This half knows files and no records; store_blob.h knows both.
 *
 * header(96) then chunks of BLOB_CHUNK_BYTES, each sealed with its number and
 * whether it is the last one:
 *   magic(8) bytes(8) nonce(24) wrapped key(32) tag(16) zeros(8)
 */
#ifndef STORE_BLOB_H
#define STORE_BLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/errmsg.h"

#define BLOB_ID_BYTES ((size_t)32)
#define BLOB_NAME_BYTES ((size_t)32)
#define BLOB_BYTES_MAX ((uint64_t)256 << 20) /* longer recordings are sent in pieces */
#define BLOB_CHUNK_BYTES ((size_t)64 << 10)
#define BLOB_PATH_BYTES ((size_t)4400)

/* Where the files lie, and the secret that ids and names are made with. */
struct blob_dir {
	char path[4096];       /* DIR/blobs */
	const uint8_t *secret; /* [32], borrowed */
};

/* The name of its file: what may be seen without knowing the id. */
void blob_name(
    const struct blob_dir *dir, const uint8_t id[BLOB_ID_BYTES], uint8_t name[BLOB_NAME_BYTES]);
void blob_path(
    const struct blob_dir *dir, const uint8_t name[BLOB_NAME_BYTES], char out[BLOB_PATH_BYTES]);

/* Is there a file of that name (its content is not looked at)?  RC_NOTFOUND, RC_IO. */
enum rc blob_stat(const struct blob_dir *dir, const uint8_t name[BLOB_NAME_BYTES],
    uint64_t *file_bytes, int64_t *mtime_s, struct errmsg *why) RC_CHECK;

/* ---- writing -------------------------------------------------------------- */

struct blob_writer;

/* RC_FULL, RC_IO, RC_NOMEM.  One thread each; any number at one time. */
enum rc blob_write_open(
    const struct blob_dir *dir, struct blob_writer **out, struct errmsg *why) RC_CHECK;
/* RC_LIMIT past BLOB_BYTES_MAX; after an error only close is left. */
enum rc blob_write(
    struct blob_writer *writer, const void *bytes, size_t len, struct errmsg *why) RC_CHECK;
/* Whole, on disk and in its place on RC_OK; a file of the same content is replaced. */
enum rc blob_write_finish(
    struct blob_writer *writer, uint8_t id[BLOB_ID_BYTES], struct errmsg *why) RC_CHECK;
uint64_t blob_write_bytes(const struct blob_writer *writer);
/* Frees it; what was not finished leaves nothing.  NULL is fine. */
void blob_write_close(struct blob_writer *writer);

/* ---- reading ---------------------------------------------------------------- */

struct blob_reader;

/* RC_NOTFOUND; RC_CORRUPT: not a blob, cut off, or not of that id. */
enum rc blob_open(const struct blob_dir *dir, const uint8_t id[BLOB_ID_BYTES],
    struct blob_reader **out, struct errmsg *why) RC_CHECK;
uint64_t blob_bytes(const struct blob_reader *reader);
/* At most `len` bytes from `offset` on; *got is 0 at the end only. */
enum rc blob_read(struct blob_reader *reader, uint64_t offset, void *out, size_t len, size_t *got,
    struct errmsg *why) RC_CHECK;
void blob_close(struct blob_reader *reader);

/* Reads all of it: every chunk opens and the content has this id. */
enum rc blob_verify(
    const struct blob_dir *dir, const uint8_t id[BLOB_ID_BYTES], struct errmsg *why) RC_CHECK;

#endif
