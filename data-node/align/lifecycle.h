/*
 * Lifecycle: how far the timeline is closed, as a function of the log.
 *
 * reference: timeline §3.  open → provisional → sealed → reopened.  A slice is
 * sealed once the watermark of every source that is not idle lies `late_ns`
 * behind its end.  Time here is the log's own (the newest recv_utc), so that the
 * same log always tells the same history, whenever it is read and however it
 * was cut into batches.
 *
 * Sealing happens at the borders of rounds of `settle_ns`: what one upload
 * brings, source after source, is all in before anything is sealed over it.  At
 * border b the timeline is closed up to the least watermark there, provided
 * that it was so at the border before as well.  One thread.
 */
#ifndef ALIGN_LIFECYCLE_H
#define ALIGN_LIFECYCLE_H

#include "align/policy.h"

/* Sources that are not idle; more of them do not hold sealing back. */
#define LIFECYCLE_SOURCES_MAX ((size_t)65536)

struct lifecycle_source {
	uint64_t key;         /* hash of its name */
	int64_t watermark_ns; /* newest end of what it sent, ≤ heard_ns */
	int64_t heard_ns;     /* log time of its last record */
};

struct lifecycle {
	int64_t now_ns;                   /* log time; INT64_MIN before the first record */
	int64_t closed_ns;                /* a slice that ends by then can be sealed */
	int64_t least_ns;                 /* as of the last border */
	struct lifecycle_source *sources; /* [len], by key */
	size_t len, cap;
};

/* A zeroed struct is not empty: */
void lifecycle_init(struct lifecycle *life);
void lifecycle_fini(struct lifecycle *life);

/*
 * A record of `source` that ends at `end_ns` on the hub's time and was received
 * at `recv_ns`.  First time moves on (borders are passed with what was known),
 * then the record counts.  RC_NOMEM.
 */
enum rc lifecycle_feed(struct lifecycle *life, const struct policy *policy, const char *source,
    int64_t end_ns, int64_t recv_ns) RC_CHECK;

/* The round that `ns` lies in. */
int64_t lifecycle_round(const struct policy *policy, int64_t ns);

/* closed_ns as it would be at `now_ns` if nothing more came. */
int64_t lifecycle_closed_at(
    const struct lifecycle *life, const struct policy *policy, int64_t now_ns);

/* The stored form, in order of key; decode replaces `life`.  RC_CORRUPT, RC_NOMEM. */
void lifecycle_encode(const struct lifecycle *life, struct buf *out);
enum rc lifecycle_decode(const uint8_t *bytes, size_t len, struct lifecycle *life) RC_CHECK;

#endif
