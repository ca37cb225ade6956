/*
 * Manifest: what an export of slices was made from, and a hash over it.
 *
 * It pins (cursor, clock_map, policy) and the grid.  The hash is BLAKE2b-256
 * over the slices in order, each as the line that slice_json_cells() writes
 * between braces and a newline: anyone who holds the exported lines can
 * compute it.  Version and state stay out: they tell of the past of a slice,
 * not of its content.  One thread.
 */
#ifndef ALIGN_SLICE_MANIFEST_H
#define ALIGN_SLICE_MANIFEST_H

#include <sodium.h>

#include "align/policy.h"

#define MANIFEST_HASH_BYTES 32

struct slice_manifest {
	struct slice_query query;
	uint64_t clock_map, policy_version;
	uint8_t policy_hash[POLICY_HASH_BYTES];
	uint64_t slices;
	crypto_generichash_state state;
	struct buf line;
	uint8_t hash[MANIFEST_HASH_BYTES]; /* after slice_manifest_end */
};

/* `query` names the range, step, facets and, as as_of_seq, the cursor. */
void slice_manifest_begin(struct slice_manifest *manifest, const struct slice_query *query,
    uint64_t clock_map, const struct policy *policy);

/* The next slice.  RC_NOMEM, RC_LIMIT. */
enum rc slice_manifest_add(struct slice_manifest *manifest, const struct slice *slice) RC_CHECK;

void slice_manifest_end(struct slice_manifest *manifest);
void slice_manifest_fini(struct slice_manifest *manifest);

/* {"cursor","clock_map","policy","policy_hash","from","to","step_s","facets",
 * "slices","hash"} */
void slice_manifest_json(const struct slice_manifest *manifest, struct buf *out);

#endif
