/* Segment: frames in and out of a file, hashed on the way. */
#include "backup/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/file.h"

#define VERSION 1
#define WRITE_BYTES ((size_t)1 << 20)
#define READ_BYTES ((size_t)1 << 20)
#define FRAME_BYTES_MAX (SEGMENT_FRAME_BYTES + STORE_RAW_KEY_BYTES_MAX + STORE_RAW_VALUE_BYTES_MAX)

static const uint8_t magic[8] = { 'H', 'E', 'A', 'R', 'T', 'H', 'S', 'G' };

static void put_be(struct buf *out, uint64_t value, unsigned bytes)
{
	for (unsigned i = bytes; i-- > 0;)
		buf_putc(out, (char)(value >> (8 * i) & 0xFF));
}

static uint64_t get_be(const uint8_t *p, unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < bytes; i++)
		value = value << 8 | p[i];
	return value;
}

/* ---- the bytes ---------------------------------------------------------------------- */

void segment_frame(struct buf *out, const struct store_raw *entry)
{
	put_be(out, (uint64_t)entry->truth, 1);
	put_be(out, entry->key_len, 1);
	put_be(out, entry->value_len, 4);
	buf_append(out, entry->key, entry->key_len);
	buf_append(out, entry->value, entry->value_len);
}

enum rc segment_head_check(
    const uint8_t *bytes, size_t len, const uint8_t store_id[SEGMENT_ID_BYTES], struct errmsg *why)
{
	if (len < SEGMENT_HEAD_BYTES || memcmp(bytes, magic, sizeof(magic)) != 0)
		return errmsg_rc(why, RC_CORRUPT, "not a segment of a timeline");
	if (bytes[sizeof(magic)] != VERSION)
		return errmsg_rc(why, RC_UNSUPPORTED,
		    "a segment of version %u, this program reads %d", bytes[sizeof(magic)],
		    VERSION);
	if (memcmp(bytes + sizeof(magic) + 1, store_id, SEGMENT_ID_BYTES) != 0)
		return errmsg_rc(why, RC_CORRUPT, "a segment of another timeline");
	return RC_OK;
}

enum rc segment_parse(const uint8_t *bytes, size_t len, size_t *used, struct store_raw *out,
    uint64_t *entries, struct errmsg *why)
{
	if (len == 0)
		return RC_AGAIN;
	if (bytes[0] == 0) {
		if (len < SEGMENT_END_BYTES)
			return RC_AGAIN;
		*entries = get_be(bytes + 1, 8);
		*used = SEGMENT_END_BYTES;
		return RC_NOTFOUND;
	}
	if (bytes[0] > STORE_TRUTH_COUNT)
		return errmsg_rc(why, RC_CORRUPT, "an entry of unknown kind %u", bytes[0]);
	if (len < SEGMENT_FRAME_BYTES)
		return RC_AGAIN;
	size_t key_len = bytes[1], value_len = (size_t)get_be(bytes + 2, 4);
	if (key_len == 0 || key_len > STORE_RAW_KEY_BYTES_MAX ||
	    value_len > STORE_RAW_VALUE_BYTES_MAX)
		return errmsg_rc(why, RC_CORRUPT, "an entry beyond its limits");
	if (len < SEGMENT_FRAME_BYTES + key_len + value_len)
		return RC_AGAIN;
	*out = (struct store_raw){
		.truth = (enum store_truth)bytes[0],
		.key = bytes + SEGMENT_FRAME_BYTES,
		.key_len = key_len,
		.value = bytes + SEGMENT_FRAME_BYTES + key_len,
		.value_len = value_len,
	};
	*used = SEGMENT_FRAME_BYTES + key_len + value_len;
	return RC_OK;
}

/* ---- writing ------------------------------------------------------------------------- */

struct segment_writer {
	int fd;
	struct buf out;
	uint64_t bytes, entries; /* bytes: written to the file */
	crypto_generichash_state hash;
};

static enum rc writer_flush(struct segment_writer *w, struct errmsg *why)
{
	enum rc rc = buf_rc(&w->out);

	if (rc == RC_OK)
		rc = file_write_all(w->fd, w->out.bytes, w->out.len, why);
	if (rc != RC_OK)
		return rc;
	(void)crypto_generichash_update(&w->hash, w->out.bytes, w->out.len);
	w->bytes += w->out.len;
	buf_reset(&w->out);
	return RC_OK;
}

enum rc segment_create(const char *path, const uint8_t store_id[SEGMENT_ID_BYTES],
    struct segment_writer **out, struct errmsg *why)
{
	struct segment_writer *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return RC_NOMEM;
	buf_init(&w->out, WRITE_BYTES + FRAME_BYTES_MAX);
	(void)crypto_generichash_init(&w->hash, NULL, 0, SEGMENT_HASH_BYTES);
	w->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (w->fd < 0) {
		enum rc rc = errmsg_errno(why, "cannot create %s", path);
		segment_abandon(w);
		return rc;
	}
	buf_append(&w->out, magic, sizeof(magic));
	put_be(&w->out, VERSION, 1);
	buf_append(&w->out, store_id, SEGMENT_ID_BYTES);
	*out = w;
	return RC_OK;
}

enum rc segment_put(struct segment_writer *w, const struct store_raw *entry, struct errmsg *why)
{
	segment_frame(&w->out, entry);
	w->entries++;
	return w->out.len >= WRITE_BYTES ? writer_flush(w, why) : buf_rc(&w->out);
}

uint64_t segment_bytes(const struct segment_writer *w)
{
	return w->bytes + w->out.len + SEGMENT_END_BYTES;
}

enum rc segment_end(
    struct segment_writer *w, uint64_t *bytes, uint8_t hash[SEGMENT_HASH_BYTES], struct errmsg *why)
{
	put_be(&w->out, 0, 1);
	put_be(&w->out, w->entries, 8);
	enum rc rc = writer_flush(w, why);
	if (rc == RC_OK && fsync(w->fd) != 0)
		rc = errmsg_errno(why, "cannot sync a file of the backup");
	*bytes = w->bytes;
	(void)crypto_generichash_final(&w->hash, hash, SEGMENT_HASH_BYTES);
	if (close(w->fd) != 0 && rc == RC_OK)
		rc = errmsg_errno(why, "cannot close a file of the backup");
	w->fd = -1;
	segment_abandon(w);
	return rc;
}

void segment_abandon(struct segment_writer *w)
{
	if (w == NULL)
		return;
	if (w->fd >= 0)
		(void)close(w->fd);
	buf_fini(&w->out);
	free(w);
}

/* ---- reading --------------------------------------------------------------------------- */

struct segment_reader {
	int fd;
	uint8_t *window; /* [len], of FRAME_BYTES_MAX + READ_BYTES; read up to `at` */
	size_t len, at;
	uint64_t entries;
	bool ended;
	crypto_generichash_state hash;
};

/* More bytes behind those that are not read yet; RC_NOTFOUND: the file's end. */
static enum rc reader_fill(struct segment_reader *r, struct errmsg *why)
{
	memmove(r->window, r->window + r->at, r->len - r->at);
	r->len -= r->at;
	r->at = 0;
	for (;;) {
		ssize_t n = read(r->fd, r->window + r->len, READ_BYTES);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errmsg_errno(why, "a segment cannot be read");
		if (n == 0)
			return RC_NOTFOUND;
		(void)crypto_generichash_update(&r->hash, r->window + r->len, (size_t)n);
		r->len += (size_t)n;
		return RC_OK;
	}
}

enum rc segment_open(const char *path, const uint8_t store_id[SEGMENT_ID_BYTES],
    struct segment_reader **out, struct errmsg *why)
{
	struct segment_reader *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return RC_NOMEM;
	(void)crypto_generichash_init(&r->hash, NULL, 0, SEGMENT_HASH_BYTES);
	r->window = malloc(FRAME_BYTES_MAX + READ_BYTES);
	r->fd = open(path, O_RDONLY | O_CLOEXEC);
	enum rc rc = r->window == NULL ? RC_NOMEM
		     : r->fd < 0       ? errmsg_errno(why, "cannot open %s", path)
				       : RC_OK;
	while (rc == RC_OK && r->len < SEGMENT_HEAD_BYTES)
		rc = reader_fill(r, why);
	if (rc == RC_NOTFOUND && r->fd >= 0)
		rc = errmsg_rc(why, RC_CORRUPT, "a segment is cut off");
	if (rc == RC_OK)
		rc = segment_head_check(r->window, r->len, store_id, why);
	if (rc != RC_OK) {
		segment_close(r);
		return rc;
	}
	r->at = SEGMENT_HEAD_BYTES;
	*out = r;
	return RC_OK;
}

/* Behind the end nothing may stand. */
static enum rc reader_end(struct segment_reader *r, uint64_t entries, struct errmsg *why)
{
	r->ended = true;
	enum rc rc = r->at == r->len ? reader_fill(r, why) : RC_OK;
	if (rc == RC_OK)
		return errmsg_rc(why, RC_CORRUPT, "a segment goes on behind its end");
	if (rc == RC_NOTFOUND && entries != r->entries)
		return errmsg_rc(why, RC_CORRUPT, "a segment lacks entries");
	return rc;
}

enum rc segment_next(struct segment_reader *r, struct store_raw *out, struct errmsg *why)
{
	uint64_t entries = 0;
	size_t used = 0;

	if (r->ended)
		return RC_NOTFOUND;
	for (;;) {
		enum rc rc =
		    segment_parse(r->window + r->at, r->len - r->at, &used, out, &entries, why);
		if (rc == RC_OK || rc == RC_NOTFOUND)
			r->at += used;
		if (rc == RC_OK)
			r->entries++;
		if (rc == RC_NOTFOUND)
			return reader_end(r, entries, why);
		if (rc != RC_AGAIN)
			return rc;
		rc = reader_fill(r, why);
		if (rc == RC_NOTFOUND)
			return errmsg_rc(why, RC_CORRUPT, "a segment is cut off");
		if (rc != RC_OK)
			return rc;
	}
}

void segment_hash(struct segment_reader *r, uint8_t out[SEGMENT_HASH_BYTES])
{
	crypto_generichash_state copy = r->hash;

	(void)crypto_generichash_final(&copy, out, SEGMENT_HASH_BYTES);
}

void segment_close(struct segment_reader *r)
{
	if (r == NULL)
		return;
	if (r->fd >= 0)
		(void)close(r->fd);
	free(r->window);
	free(r);
}
