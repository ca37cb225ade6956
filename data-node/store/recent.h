/*
 * Recent ids: obs_id → seq of the records that came last, in memory.
 *
 * Every record has one id and seqs are dense, so the ids lie in one array in
 * the order of their seqs; chains of a hash table go over it, the newest first.
 * Ids are keyed hashes, so their own first bits say in which chain they are:
 * the chains, one after the other, have all ids in order, which is how they are
 * moved to a database of many more without touching most of its pages twice.
 *
 * One thread owns it.  24 bytes an id, up to twice that while there is room for more.
 */
#ifndef STORE_RECENT_H
#define STORE_RECENT_H

#include "store/observation.h"

#define RECENT_IDS_MAX ((size_t)1 << 22)

/* Stored: first seq(8) → id(16) × n.  Two such rows fill a page of 4 KiB. */
#define RECENT_ROW_IDS ((size_t)126)
struct recent_row {
	uint64_t first_seq;
	const uint8_t (*ids)[OBS_ID_BYTES]; /* [len] in the value */
	size_t len;
};
/* `out` points into `value`.  RC_CORRUPT. */
enum rc recent_row_decode(const uint8_t *key, size_t key_len, const uint8_t *value,
    size_t value_len, struct recent_row *out) RC_CHECK;

/* Zeros: empty. */
struct recent {
	uint64_t first_seq;           /* of ids[0] */
	uint8_t (*ids)[OBS_ID_BYTES]; /* [len] of [cap] */
	uint32_t *older;              /* [len]: in the same chain; index + 1, 0: none */
	uint32_t *chains;             /* [1 << bits]: the newest; index + 1, 0: none */
	size_t len, cap;
	unsigned bits;
};

void recent_fini(struct recent *recent);

/* The id of record `seq`, which follows the last one unless it is the first.
 * RC_NOMEM, RC_LIMIT; RC_CORRUPT if it does not follow. */
enum rc recent_put(struct recent *recent, uint64_t seq, const uint8_t id[OBS_ID_BYTES]) RC_CHECK;

/* All of a row; the same errors. */
enum rc recent_put_row(struct recent *recent, const struct recent_row *row) RC_CHECK;

/* The newest record of that id; false: none. */
bool recent_find(const struct recent *recent, const uint8_t id[OBS_ID_BYTES], uint64_t *seq);

/* Only the first `len` stay. */
void recent_cut(struct recent *recent, size_t len);

/* None stays.  A table that had grown past `ids` gives its memory back. */
void recent_clear(struct recent *recent, size_t ids);

/* How many chains there are; 0 if it is empty. */
size_t recent_chains(const struct recent *recent);

/* Each id of one chain with its newest record; visiting stops at what `visit`
 * returns but 0, and that is returned. */
typedef int recent_visit_fn(void *ctx, const uint8_t id[OBS_ID_BYTES], uint64_t seq);
int recent_each(
    const struct recent *recent, size_t chain, recent_visit_fn *visit, void *ctx) RC_CHECK;

#endif
