/* What the two ends of following share. */
#ifndef FOLLOW_FOLLOW_INTERNAL_H
#define FOLLOW_FOLLOW_INTERNAL_H

#include "follow/follow.h"
#include "store/observation.h"

#define FOLLOW_FILE_BLOB "blob-" /* and 64 hex digits: the name of a blob's file */

/* A stretch of a blob's file into `out` and `part`.  RC_INVALID: none of that name. */
enum rc follow_blob_read(struct store *store, const struct wire_follow_ask *ask, struct buf *out,
    struct wire_follow_part *part, struct errmsg *why) RC_CHECK;

/* Fetch the blobs of `obs` that are not here. */
enum rc follow_blobs_fetch(struct follow_link *link, struct store *store,
    const struct observation *obs, struct follow_answer *answer, struct errmsg *why) RC_CHECK;

#endif
