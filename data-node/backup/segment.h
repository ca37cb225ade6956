/*
 * Segment: entries of a store in one file, sealed as they lie in the database.
 *
 * "HEARTHSG" version(1) store_id(16), then an entry a frame: truth(1) key_len(1)
 * value_len(4) key value; the end is truth 0 and the number of entries(8).
 * Numbers are big-endian.  What a file holds is authenticated by its hash in
 * the manifest; the reader trusts nothing and has a limit on every size.
 */
#ifndef BACKUP_SEGMENT_H
#define BACKUP_SEGMENT_H

#include "base/buf.h"
#include "base/errmsg.h"
#include "store/store_raw.h"

#define SEGMENT_ID_BYTES ((size_t)16)
#define SEGMENT_HASH_BYTES ((size_t)32)
#define SEGMENT_HEAD_BYTES (8 + 1 + SEGMENT_ID_BYTES)
#define SEGMENT_FRAME_BYTES ((size_t)6)
#define SEGMENT_END_BYTES ((size_t)9)

struct segment_writer;

/* Truncates what is at `path`. */
enum rc segment_create(const char *path, const uint8_t store_id[SEGMENT_ID_BYTES],
    struct segment_writer **out, struct errmsg *why) RC_CHECK;
enum rc segment_put(
    struct segment_writer *w, const struct store_raw *entry, struct errmsg *why) RC_CHECK;
/* Bytes of the file if it ended now. */
uint64_t segment_bytes(const struct segment_writer *w);
/* End, sync and close it.  Frees `w`, also on failure. */
enum rc segment_end(struct segment_writer *w, uint64_t *bytes, uint8_t hash[SEGMENT_HASH_BYTES],
    struct errmsg *why) RC_CHECK;
void segment_abandon(struct segment_writer *w);

struct segment_reader;

/* RC_CORRUPT: not a segment, or of another store. */
enum rc segment_open(const char *path, const uint8_t store_id[SEGMENT_ID_BYTES],
    struct segment_reader **out, struct errmsg *why) RC_CHECK;
/* The next entry, which lives until the next call.  RC_NOTFOUND: that was the
 * whole file.  RC_CORRUPT. */
enum rc segment_next(struct segment_reader *r, struct store_raw *out, struct errmsg *why) RC_CHECK;
/* Of the bytes read so far. */
void segment_hash(struct segment_reader *r, uint8_t out[SEGMENT_HASH_BYTES]);
void segment_close(struct segment_reader *r);

/* ---- the bytes by themselves: pure --------------------------------------------- */

/* Append the frame of an entry. */
void segment_frame(struct buf *out, const struct store_raw *entry);

enum rc segment_head_check(const uint8_t *bytes, size_t len,
    const uint8_t store_id[SEGMENT_ID_BYTES], struct errmsg *why) RC_CHECK;

/*
 * The frame at the start of `bytes`; `*used` of them are it.  RC_AGAIN: it is
 * longer than `len`.  RC_NOTFOUND: it is the end, and says `*entries`.
 * RC_CORRUPT.  `out` points into `bytes`.
 */
enum rc segment_parse(const uint8_t *bytes, size_t len, size_t *used, struct store_raw *out,
    uint64_t *entries, struct errmsg *why) RC_CHECK;

#endif
