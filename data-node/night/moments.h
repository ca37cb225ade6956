/*
 * Moments: what was said, written and seen in a stretch of time, as lines for a model.
 *
 * "[18:30 message, owner] text": the local time, the kind, whether the words are the
 * owner's own.  Bounded; of too many moments the texts get shorter first, then every so
 * many are left out.
 */
#ifndef NIGHT_MOMENTS_H
#define NIGHT_MOMENTS_H

#include "align/episode.h"
#include "store/store.h"

#define MOMENTS_MAX ((size_t)400)        /* of one episode: the first ones */
#define MOMENTS_BYTES_MAX ((size_t)6000) /* of all lines together */

struct moment {
	uint8_t obs_id[OBS_ID_BYTES];
	int64_t at_ns;
	const char *kind;
	const char *text; /* one line, what is shown of it */
	bool cut;         /* there was more: its last sentence may go on */
	bool owner;       /* its words are the owner's own */
	bool said;        /* somebody wrote or said it */
};

struct moments {
	struct moment *list; /* [len] in order of time */
	size_t len;
	bool any_said;
};

/* Where the owner is at an instant, seconds east of UTC. */
struct moments_zone {
	int32_t (*offset_s)(const void *ctx, int64_t utc_ns); /* NULL: UTC */
	const void *ctx;
};

/* What the owner's clock says at an instant, in ns; and the instant at which their day `day`, from
 * 1970, begins. */
int64_t moments_local_ns(const struct moments_zone *zone, int64_t utc_ns);
int64_t moments_midnight_ns(const struct moments_zone *zone, int64_t day);

/*
 * The moments that begin in [from, to), everything in `arena`.  Left out: what models and
 * the node itself said, and what has no text.  RC_NOMEM, the store's errors.
 */
enum rc moments_read(struct store *store, int64_t from_ns, int64_t to_ns, struct arena *arena,
    struct moments *out, struct errmsg *why) RC_CHECK;

/*
 * The lines, under a heading of day, scene, place and company; at most `bytes_max` bytes.
 * `moments` is cut down to what is in them.  In `arena`; NULL: no memory.
 */
const char *moments_lines(struct moments *moments, const struct episode *episode,
    const struct moments_zone *zone, size_t bytes_max, struct arena *arena);

#endif
