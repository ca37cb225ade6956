/*
 * Blob writing: chunks are sealed as they come, the name follows at the end.
 *
 * The file grows under DIR/blobs/new; once the content's hash is known its
 * header is put in front, it is synced, renamed and its folder synced.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/random.h"
#include "base/wipe.h"
#include "os/file.h"
#include "store/blob_internal.h"

struct blob_writer {
	struct blob_dir dir;
	char temp[BLOB_PATH_BYTES];
	int fd;       /* -1 when closed */
	bool in_temp; /* the name is there and ours */
	uint64_t bytes, chunks;
	uint8_t key[BLOB_KEY_BYTES];
	crypto_generichash_state hash;
	size_t held;
	uint8_t chunk[BLOB_SEALED_BYTES];
};

static enum rc temp_open(struct blob_writer *w, struct errmsg *why)
{
	static const uint8_t room[BLOB_HEADER_BYTES];
	char path[BLOB_PATH_BYTES];

	(void)snprintf(path, sizeof(path), "%s/new", w->dir.path);
	enum rc rc = file_mkdir(path, 0700, why);
	if (rc != RC_OK)
		return rc;
	(void)snprintf(w->temp, sizeof(w->temp), "%s/new/%016" PRIx64 "%016" PRIx64, w->dir.path,
	    random_u64(), random_u64());
	w->fd = open(w->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (w->fd < 0)
		return errmsg_errno(why, "a blob's file cannot be made");
	w->in_temp = true;
	return file_write_all(w->fd, room, sizeof(room), why);
}

enum rc blob_write_open(const struct blob_dir *dir, struct blob_writer **out, struct errmsg *why)
{
	struct blob_writer *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return RC_NOMEM;
	w->dir = *dir;
	w->fd = -1;
	random_bytes(w->key, sizeof(w->key));
	blob_hash_begin(dir, &w->hash);
	enum rc rc = temp_open(w, why);
	if (rc != RC_OK) {
		blob_write_close(w);
		return rc;
	}
	*out = w;
	return RC_OK;
}

static enum rc chunk_write(struct blob_writer *w, bool last, struct errmsg *why)
{
	size_t len = w->held;

	blob_chunk_seal(w->key, w->chunks++, last, w->chunk, len);
	w->held = 0;
	return file_write_all(w->fd, w->chunk, len + BLOB_TAG_BYTES, why);
}

/* A full chunk waits until it is known that it is not the last one. */
enum rc blob_write(struct blob_writer *w, const void *bytes, size_t len, struct errmsg *why)
{
	const uint8_t *from = bytes;

	if (len > BLOB_BYTES_MAX - w->bytes)
		return errmsg_rc(why, RC_LIMIT, "a blob has at most %" PRIu64 " bytes: send pieces",
		    BLOB_BYTES_MAX);
	(void)crypto_generichash_update(&w->hash, from, len);
	w->bytes += len;
	while (len > 0) {
		size_t n = BLOB_CHUNK_BYTES - w->held;
		if (n == 0) {
			enum rc rc = chunk_write(w, false, why);
			if (rc != RC_OK)
				return rc;
			continue;
		}
		n = n < len ? n : len;
		memcpy(w->chunk + w->held, from, n);
		w->held += n;
		from += n;
		len -= n;
	}
	return RC_OK;
}

static enum rc header_write(
    struct blob_writer *w, const uint8_t id[BLOB_ID_BYTES], struct errmsg *why)
{
	uint8_t header[BLOB_HEADER_BYTES];

	blob_header_make(id, w->key, w->bytes, header);
	if (lseek(w->fd, 0, SEEK_SET) != 0)
		return errmsg_errno(why, "a blob's file");
	enum rc rc = file_write_all(w->fd, header, sizeof(header), why);
	if (rc == RC_OK && fsync(w->fd) != 0) {
		(void)errmsg_errno(why, "a blob's file cannot be synced");
		rc = RC_IO;
	}
	if (close(w->fd) != 0 && rc == RC_OK)
		rc = errmsg_errno(why, "a blob's file cannot be closed");
	w->fd = -1;
	return rc;
}

/* Its folder may be new, or another writer's and not synced yet. */
static enum rc into_place(
    struct blob_writer *w, const uint8_t id[BLOB_ID_BYTES], struct errmsg *why)
{
	char path[BLOB_PATH_BYTES], folder[BLOB_PATH_BYTES];
	uint8_t name[BLOB_NAME_BYTES];

	blob_name(&w->dir, id, name);
	blob_path(&w->dir, name, path);
	(void)snprintf(folder, sizeof(folder), "%s/%02x", w->dir.path, name[0]);
	if (mkdir(folder, 0700) != 0 && errno != EEXIST)
		return errmsg_errno(why, "a folder of blobs cannot be made");
	if (rename(w->temp, path) != 0)
		return errmsg_errno(why, "a blob cannot get its name");
	w->in_temp = false;
	enum rc rc = file_sync_dir(folder, why);
	return rc == RC_OK ? file_sync_dir(w->dir.path, why) : rc;
}

enum rc blob_write_finish(struct blob_writer *w, uint8_t id[BLOB_ID_BYTES], struct errmsg *why)
{
	uint8_t made[BLOB_ID_BYTES];

	enum rc rc = chunk_write(w, true, why);
	(void)crypto_generichash_final(&w->hash, made, sizeof(made));
	if (rc == RC_OK)
		rc = header_write(w, made, why);
	if (rc == RC_OK)
		rc = into_place(w, made, why);
	if (rc == RC_OK)
		memcpy(id, made, sizeof(made));
	return rc;
}

uint64_t blob_write_bytes(const struct blob_writer *w)
{
	return w->bytes;
}

void blob_write_close(struct blob_writer *w)
{
	if (w == NULL)
		return;
	if (w->fd >= 0)
		(void)close(w->fd);
	if (w->in_temp)
		(void)unlink(w->temp);
	wipe(w, sizeof(*w));
	free(w);
}
