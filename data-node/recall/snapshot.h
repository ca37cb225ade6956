/*
 * Snapshot: the index as the store keeps it, so that a start need not read the log.
 *
 * Written as the index grows: a segment (index_segment.h) for every so many
 * documents, and in the same commit the head, which says what segments do not:
 * how far the log is in them, which documents are dead, the newest texts of each
 * conversation.  A start takes the segments and follows the log from there; an
 * index that was loaded equals one that was made from the log.  What cannot be
 * used (damaged, of other rules for words, of before a forgetting) is as good as
 * none.  Belongs to the index thread.
 */
#ifndef RECALL_SNAPSHOT_H
#define RECALL_SNAPSHOT_H

#include "recall/document.h"
#include "store/store_snapshot.h"

#define SNAPSHOT_DOCS ((size_t)8192) /* of a segment: some 0.3 s of reading the log */
#define SNAPSHOT_WAIT_FACTOR 4       /* segments that were not put in time: no more of this index */
#define SNAPSHOT_MOVE_NS_MAX INT64_C(60000000000)

struct snapshot {
	struct store *store;
	uint64_t rules;      /* which words come of a text, as a hash */
	size_t segment_docs; /* documents of one segment */
	struct store_snapshot at;
	uint64_t moved_seq; /* clock maps up to here placed what is in all segments */
	bool off;           /* nothing more is kept of this index */
};

/* `segment_docs` 0: SNAPSHOT_DOCS.  RC_NOMEM. */
enum rc snapshot_init(struct snapshot *snapshot, struct store *store,
    const struct language_model *model, size_t segment_docs) RC_CHECK;

/* An index that is empty begins: what is in the store is not of it.  Nothing of it is
 * kept if a forgetting has not come to its end, for it may hold what that forgets. */
void snapshot_begin(struct snapshot *snapshot);

/*
 * Load into `index` and `talks`, which are empty.  `*cursor`: the log up to there
 * is in them.  RC_NOTFOUND: there is none; RC_CORRUPT, RC_UNSUPPORTED (other
 * rules), RC_AGAIN (the times of what is in it were corrected by more than a
 * minute), RC_CANCELLED (`gone` says so), RC_NOMEM, the store's errors: index and
 * talks are of no use, but to be freed.
 */
typedef bool snapshot_gone_fn(void *ctx);
enum rc snapshot_load(struct snapshot *snapshot, struct index *index, struct document_talks *talks,
    snapshot_gone_fn *gone, void *ctx, uint64_t *cursor, struct errmsg *why) RC_CHECK;

/* The record `seq` was taken; a segment is put if it is time.  An error ends it for
 * this index; RC_OK otherwise. */
enum rc snapshot_step(struct snapshot *snapshot, struct index *index,
    const struct document_talks *talks, uint64_t seq) RC_CHECK;

#endif
