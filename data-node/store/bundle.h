/*
 * Bundle: several neighbouring observations of one (day, layer) in one value.
 *
 * Opening 200 B costs about as much as opening 4 KB, so what is read most and
 * changes least, the past, is kept a second time in bundles: derived from the
 * log, sealed like it.  This is their plaintext:
 *
 *   version(1) templates records      the last two: varint
 *   template   shape(1) origin(1) has_offset(1) offset error, then the texts
 *              source kind clock boot zone: what neighbours share
 *   record     template flags seq t0 [place] lag mono obs_id(16)
 *              content_hash(16), then what its flags name
 *   place      of one that names a clock: t0 - device's t0, t1 - t0, both sides
 *              of ε, map version, epoch
 *
 * Numbers are varints (7 bits a byte, low first), signed ones zigzag; seq, t0,
 * recv_utc - t0, recv_mono, source_seq and the numbers of a place (its t1
 * aside) are differences to the record before.
 * A text is its length, its bytes and a zero, so that readers point into it.
 * Not every observation fits: see bundle_takes().  Pure.
 */
#ifndef STORE_BUNDLE_H
#define STORE_BUNDLE_H

#include "store/observation.h"

#define BUNDLE_RECORDS_MAX ((size_t)1024)
#define BUNDLE_TEMPLATES_MAX ((size_t)64)
#define BUNDLE_BYTES_MAX ((size_t)64 << 10)
#define BUNDLE_RECORD_BYTES_MAX ((size_t)2048) /* larger ones stay in the log alone */

/* What neighbours share; texts live as long as the bytes. */
struct bundle_template {
	enum shape shape;
	enum origin origin;
	bool has_offset;
	int32_t offset_s;
	int64_t error_ns;
	const char *source, *kind, *clock_id, *boot_epoch, *zone;
};

/* What the next record is told from. */
struct bundle_last {
	uint64_t seq, source_seq;
	int64_t t0_ns, lag_ns, mono_ns;
	int64_t offset_ns, early_ns, late_ns; /* of its place */
	uint64_t map_version, epoch;
};

struct bundle_writer {
	struct arena arena; /* texts of the templates */
	struct bundle_template templates[BUNDLE_TEMPLATES_MAX];
	size_t templates_len, records_len;
	struct bundle_last last;
	struct buf head, body; /* templates, records */
};

void bundle_writer_init(struct bundle_writer *writer);
void bundle_writer_fini(struct bundle_writer *writer);
void bundle_writer_reset(struct bundle_writer *writer);

/* Is it for a bundle?  No dense values, blobs, tombstones, giants; and of those
 * that name a clock only what its map has placed. */
bool bundle_takes(const struct observation *obs);

/* Add the next one.  RC_LIMIT: the bundle is full, nothing was added; RC_NOMEM. */
enum rc bundle_add(struct bundle_writer *writer, const struct observation *obs) RC_CHECK;

/* Bytes that bundle_finish() would append. */
size_t bundle_bytes(const struct bundle_writer *writer);

/* Append the bundle to `out`. */
enum rc bundle_finish(struct bundle_writer *writer, struct buf *out) RC_CHECK;

/* Between two records; the next one follows. */
struct bundle_spot {
	const uint8_t *at;
	size_t records_left;
	struct bundle_last last;
};

/* How a record begins: what tells its entry in the time index. */
struct bundle_front {
	const struct bundle_template *template;
	unsigned flags;
	uint64_t seq;
	int64_t t0_ns;          /* the device's */
	struct placement place; /* t1 is t0 where no clock is named */
};

struct bundle_reader {
	struct bundle_spot spot;
	struct bundle_front front; /* of the next record, if it was looked at: */
	bool has_front;            /* the spot is behind it */
	const uint8_t *end;
	enum layer layer;
	size_t templates_len;
	struct bundle_template templates[BUNDLE_TEMPLATES_MAX];
};

/* `bytes` live as long as what is read.  RC_CORRUPT. */
enum rc bundle_open(struct bundle_reader *reader, const uint8_t *bytes, size_t len,
    enum layer layer, struct errmsg *why) RC_CHECK;

/* How the next record begins; it stays the next one.  RC_NOTFOUND at the end,
 * RC_CORRUPT. */
enum rc bundle_peek(
    struct bundle_reader *reader, const struct bundle_front **out, struct errmsg *why) RC_CHECK;

/*
 * The next record, as it was placed.  Numbers are in range, texts are ended
 * and no longer than observation_check() allows; that they are UTF-8 and JSON
 * is left to the seal: they passed the checks before.  RC_NOTFOUND at the end,
 * RC_CORRUPT.
 */
enum rc bundle_next(
    struct bundle_reader *reader, struct observation *out, struct errmsg *why) RC_CHECK;

#endif
