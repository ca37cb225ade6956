/*
 * Slice row: a slice as it is stored, by reference.
 *
 * A row says which log records stand in which cell and how they came there; it
 * holds no content, so that forgetting a record leaves nothing of it here.
 * What is derived from others (the scene, a blended value) is derived again on
 * reading.  `hash` is over the whole content, so a change is known from it.
 * Rows exist for slices in which something was observed; what only holds on (a
 * light that stays on) is worked out when it is asked for.
 */
#ifndef ALIGN_SLICE_ROW_H
#define ALIGN_SLICE_ROW_H

#include "align/slice.h"
#include "store/store_slice.h"

#define SLICE_HASH_BYTES 16

struct slice_head {
	uint64_t version;
	bool empty;        /* nothing observed: no cells follow */
	unsigned cause;    /* enum dirty_cause of the reopening; 0: never reopened */
	uint64_t base;     /* the version that was sealed last; 0: none */
	int64_t round;     /* lifecycle_round() of the last record that touched it */
	uint64_t seq;      /* of that record: the row tells of the log up to it */
	uint64_t from_seq; /* of the record that opened this version; 0: the first */
	uint8_t hash[SLICE_HASH_BYTES], base_hash[SLICE_HASH_BYTES]; /* of `base` */
};

/* A value by reference. */
struct slice_ref {
	uint64_t seq, next_seq;
	enum cell_mode mode;
	enum certainty certainty;
	int64_t age_ns;
};

struct slice_refs {
	struct cell cells[FACET_COUNT];            /* without their values; of the scene: labels */
	const struct slice_ref *refs[FACET_COUNT]; /* [cells[f].values_len] */
};

/* Stored bytes; in place of the scene stand the labels it is read from.  `slice` may be NULL if
 * head->empty. */
void slice_row_encode(const struct slice_head *head, const struct slice *slice, struct buf *out);

/* `refs` may be NULL: the head alone.  RC_CORRUPT, RC_NOMEM. */
enum rc slice_row_decode(const uint8_t *bytes, size_t len, struct arena *arena,
    struct slice_head *head, struct slice_refs *refs) RC_CHECK;

/* True if something stands in the slice that was observed or labelled, not
 * only states that hold on. */
bool slice_has_evidence(const struct slice *slice);

/* Keyed hash of all cells as the contract shows them (a plain one would let a
 * guess at forgotten words be checked); all zeros without evidence.  `scratch`
 * is reset.  RC_LIMIT, RC_NOMEM. */
enum rc slice_hash(const struct slice *slice, const uint8_t key[STORE_DERIVED_KEY_BYTES],
    struct buf *scratch, uint8_t out[SLICE_HASH_BYTES]) RC_CHECK;

#endif
