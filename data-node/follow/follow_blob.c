/*
 * Follow blobs: a record's files are in their places before the record is.
 *
 * A file comes in stretches, under the name it has there, into a temporary; it
 * is renamed once all of it is here, synced, and opens with the id that the
 * record names.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hex.h"
#include "follow/follow_internal.h"
#include "os/file.h"
#include "store/store.h"
#include "store/store_blob.h"

#define ASK_NS (20 * NS_PER_S)
#define PREFIX_BYTES (sizeof(FOLLOW_FILE_BLOB) - 1)

enum rc follow_blob_read(struct store *store, const struct wire_follow_ask *ask, struct buf *out,
    struct wire_follow_part *part, struct errmsg *why)
{
	uint8_t name[BLOB_NAME_BYTES];
	char path[BLOB_PATH_BYTES];
	struct stat st;

	if (strlen(ask->name) != PREFIX_BYTES + 2 * sizeof(name) ||
	    hex_decode(ask->name + PREFIX_BYTES, name, sizeof(name)) != RC_OK)
		return errmsg_rc(why, RC_INVALID, "this is no name of a blob");
	blob_path(store_blobs(store), name, path);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) != 0 || ask->after > (uint64_t)st.st_size) {
		if (fd >= 0)
			(void)close(fd);
		return errmsg_rc(why, RC_INVALID, "there is no such blob");
	}
	enum rc rc = RC_OK;
	while (out->len < FOLLOW_PART_BYTES && rc == RC_OK) {
		uint8_t chunk[16384];
		ssize_t n = pread(fd, chunk, sizeof(chunk), (off_t)(ask->after + out->len));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			rc = errmsg_errno(why, "a blob cannot be read");
		if (n <= 0)
			break;
		buf_append(out, chunk, (size_t)n);
		rc = buf_rc(out);
	}
	(void)close(fd);
	part->total = (uint64_t)st.st_size;
	part->offset = ask->after;
	part->data = out->bytes;
	part->data_len = out->len;
	return rc;
}

/* All of it into `fd`. */
static enum rc receive(struct follow_link *link, struct store *store, const char *name, int fd,
    struct follow_answer *answer, uint64_t *bytes, struct errmsg *why)
{
	struct wire_follow_ask ask = { .what = FOLLOW_FILE, .name = name };

	memcpy(ask.store_id, store_id(store), WIRE_STORE_ID_BYTES);
	do {
		ask.after = *bytes;
		enum rc rc = follow_link_ask(link, &ask, ASK_NS, answer, why);
		if (rc == RC_OK &&
		    (answer->part.offset != *bytes || answer->part.total > 2 * BLOB_BYTES_MAX ||
			(answer->data.len == 0 && answer->part.total > *bytes)))
			rc = errmsg_rc(why, RC_INVALID, "a blob comes in pieces that do not fit");
		if (rc == RC_OK)
			rc = file_write_all(fd, answer->data.bytes, answer->data.len, why);
		if (rc != RC_OK)
			return rc;
		*bytes += answer->data.len;
	} while (*bytes < answer->part.total);
	return fsync(fd) == 0 ? RC_OK : errmsg_errno(why, "cannot sync a blob");
}

static enum rc fetch(struct follow_link *link, struct store *store,
    const uint8_t name[BLOB_NAME_BYTES], struct follow_answer *answer, struct errmsg *why)
{
	char text[PREFIX_BYTES + 2 * BLOB_NAME_BYTES + 1], place[BLOB_PATH_BYTES];
	char folder[BLOB_PATH_BYTES], temp[BLOB_PATH_BYTES + 8];
	uint64_t bytes = 0;

	memcpy(text, FOLLOW_FILE_BLOB, PREFIX_BYTES);
	hex_encode(name, BLOB_NAME_BYTES, text + PREFIX_BYTES);
	blob_path(store_blobs(store), name, place);
	memcpy(folder, place, sizeof(folder));
	*strrchr(folder, '/') = '\0';
	(void)snprintf(temp, sizeof(temp), "%s.tmp", place);
	enum rc rc = file_mkdir(folder, 0700, why);
	if (rc != RC_OK)
		return rc;
	int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return errmsg_errno(why, "cannot create %s", temp);
	rc = receive(link, store, text, fd, answer, &bytes, why);
	(void)close(fd);
	if (rc == RC_OK && rename(temp, place) != 0)
		rc = errmsg_errno(why, "cannot rename %s", temp);
	if (rc == RC_OK)
		rc = file_sync_dir(folder, why);
	if (rc == RC_OK)
		store_blob_added(store, bytes);
	else
		(void)unlink(temp);
	return rc;
}

enum rc follow_blobs_fetch(struct follow_link *link, struct store *store,
    const struct observation *obs, struct follow_answer *answer, struct errmsg *why)
{
	uint8_t name[BLOB_NAME_BYTES];
	uint64_t bytes;
	int64_t mtime_s;

	for (size_t i = 0; i < obs->blobs_len; i++) {
		blob_name(store_blobs(store), obs->blobs[i], name);
		if (blob_stat(store_blobs(store), name, &bytes, &mtime_s, NULL) == RC_OK)
			continue;
		enum rc rc = fetch(link, store, name, answer, why);
		if (rc == RC_OK)
			rc = blob_verify(store_blobs(store), obs->blobs[i], why);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}
