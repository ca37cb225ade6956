/* Blob reading: from any byte on, a chunk at a time. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/wipe.h"
#include "store/blob_internal.h"

struct blob_reader {
	int fd;
	uint64_t bytes, chunks;
	uint8_t key[BLOB_KEY_BYTES];
	uint64_t number; /* of the chunk that is open; UINT64_MAX: none */
	size_t len;
	uint8_t chunk[BLOB_SEALED_BYTES];
};

static enum rc read_at(int fd, uint64_t at, uint8_t *out, size_t len, struct errmsg *why)
{
	while (len > 0) {
		ssize_t n = pread(fd, out, len, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			(void)errmsg_errno(why, "a blob cannot be read");
			return RC_IO;
		}
		if (n == 0)
			return errmsg_rc(why, RC_CORRUPT, "a blob is cut off");
		out += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return RC_OK;
}

static enum rc header_read(
    struct blob_reader *r, const uint8_t id[BLOB_ID_BYTES], struct errmsg *why)
{
	uint8_t header[BLOB_HEADER_BYTES];
	struct stat st;

	enum rc rc = read_at(r->fd, 0, header, sizeof(header), why);
	if (rc == RC_OK && blob_header_open(id, header, r->key, &r->bytes) != RC_OK)
		rc = errmsg_rc(why, RC_CORRUPT, "a blob's header does not decrypt");
	if (rc != RC_OK)
		return rc;
	r->chunks = blob_chunks(r->bytes);
	if (fstat(r->fd, &st) != 0)
		return errmsg_errno(why, "a blob's file");
	if ((uint64_t)st.st_size != BLOB_HEADER_BYTES + r->bytes + r->chunks * BLOB_TAG_BYTES)
		return errmsg_rc(why, RC_CORRUPT, "a blob's file has a wrong size");
	return RC_OK;
}

enum rc blob_open(const struct blob_dir *dir, const uint8_t id[BLOB_ID_BYTES],
    struct blob_reader **out, struct errmsg *why)
{
	char path[BLOB_PATH_BYTES];
	uint8_t name[BLOB_NAME_BYTES];

	blob_name(dir, id, name);
	blob_path(dir, name, path);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR
			   ? errmsg_rc(why, RC_NOTFOUND, "there is no such blob")
			   : errmsg_errno(why, "a blob cannot be opened");
	struct blob_reader *r = calloc(1, sizeof(*r));
	if (r == NULL) {
		(void)close(fd);
		return RC_NOMEM;
	}
	r->fd = fd;
	r->number = UINT64_MAX;
	enum rc rc = header_read(r, id, why);
	if (rc != RC_OK) {
		blob_close(r);
		return rc;
	}
	*out = r;
	return RC_OK;
}

uint64_t blob_bytes(const struct blob_reader *r)
{
	return r->bytes;
}

static enum rc chunk_read(struct blob_reader *r, uint64_t number, struct errmsg *why)
{
	bool last = number + 1 == r->chunks;
	size_t len = last ? (size_t)(r->bytes - number * BLOB_CHUNK_BYTES) : BLOB_CHUNK_BYTES;

	r->number = UINT64_MAX;
	enum rc rc = read_at(r->fd, BLOB_HEADER_BYTES + number * BLOB_SEALED_BYTES, r->chunk,
	    len + BLOB_TAG_BYTES, why);
	if (rc != RC_OK)
		return rc;
	if (!blob_chunk_open(r->key, number, last, r->chunk, len))
		return errmsg_rc(why, RC_CORRUPT, "a blob's chunk %llu does not decrypt",
		    (unsigned long long)number);
	r->number = number;
	r->len = len;
	return RC_OK;
}

enum rc blob_read(
    struct blob_reader *r, uint64_t offset, void *out, size_t len, size_t *got, struct errmsg *why)
{
	uint64_t number = offset / BLOB_CHUNK_BYTES;

	*got = 0;
	if (offset >= r->bytes || len == 0)
		return RC_OK;
	if (number != r->number) {
		enum rc rc = chunk_read(r, number, why);
		if (rc != RC_OK)
			return rc;
	}
	size_t at = (size_t)(offset % BLOB_CHUNK_BYTES);
	*got = r->len - at < len ? r->len - at : len;
	memcpy(out, r->chunk + at, *got);
	return RC_OK;
}

void blob_close(struct blob_reader *r)
{
	if (r == NULL)
		return;
	(void)close(r->fd);
	wipe(r, sizeof(*r));
	free(r);
}

enum rc blob_verify(const struct blob_dir *dir, const uint8_t id[BLOB_ID_BYTES], struct errmsg *why)
{
	crypto_generichash_state hash;
	struct blob_reader *r = NULL;
	uint8_t made[BLOB_ID_BYTES];

	enum rc rc = blob_open(dir, id, &r, why);
	if (rc != RC_OK)
		return rc;
	blob_hash_begin(dir, &hash);
	for (uint64_t number = 0; number < r->chunks && rc == RC_OK; number++) {
		rc = chunk_read(r, number, why);
		if (rc == RC_OK)
			(void)crypto_generichash_update(&hash, r->chunk, r->len);
	}
	(void)crypto_generichash_final(&hash, made, sizeof(made));
	if (rc == RC_OK && memcmp(made, id, sizeof(made)) != 0)
		rc = errmsg_rc(why, RC_CORRUPT, "a blob holds other content than its id says");
	blob_close(r);
	return rc;
}
