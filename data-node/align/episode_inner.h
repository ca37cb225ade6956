/*
 * Episodes inside: what slices say, where it changes, and runs by reference.
 *
 * slices → signs (episode_sign.c) → runs (episode_cut.c) → rows (episode_row.c)
 * or episodes (episode.c).  A run holds no content: it names the slices that say
 * what it was, so a run that was stored and one that was worked out become the
 * same episode in the same way.
 *
 * Where an episode begins depends on the slices from EPISODE_BEFORE_SLICES
 * before it to EPISODE_HOLD_SLICES behind it, on a midnight also on the changes
 * (cuts of kinds E1 and E2) of the day before.
 */
#ifndef ALIGN_EPISODE_INNER_H
#define ALIGN_EPISODE_INNER_H

#include "align/builder.h"
#include "align/episode.h"
#include "align/lookup.h"
#include "store/store_episode.h"

#define EPISODE_GRID_NS BUILDER_GRID_NS
#define EPISODE_BEFORE_SLICES 30
#define EPISODE_SIGN_PEOPLE_MAX 4

_Static_assert(EPISODE_BEFORE_SLICES >= EPISODE_GAP_SLICES, "a gap is seen");
_Static_assert(EPISODE_BEFORE_SLICES >= EPISODE_KNOWN_SLICES, "what was known is seen");

/* ---- episode_sign.c: what slices say ------------------------------------------------ */

/* Of a slice in which nothing was observed: zeros. */
struct sign {
	bool any, sealed, has_position;
	const char *scene, *place; /* interned; NULL: says nothing */
	const char *people[EPISODE_SIGN_PEOPLE_MAX];
	size_t people_len;
	double lat, lon;
	uint64_t version;
	const char *cause;
};

/* Signs of one stretch as of one cursor, read on as they are asked for. */
struct episode_signs {
	const struct slice_source *source;
	uint64_t cursor;
	int64_t from_ns;    /* of signs[0] */
	struct sign *signs; /* [len] */
	size_t len, cap;
	struct arena names;  /* what signs point to, until fini */
	struct lookup known; /* hash of a name → its text */
	bool damaged;        /* a record could not be read */
	enum rc rc;
	struct errmsg *why;
};

/* `source` and `why` are borrowed. */
void episode_signs_init(struct episode_signs *signs, const struct slice_source *source,
    uint64_t cursor, struct errmsg *why);
void episode_signs_fini(struct episode_signs *signs);

/* From now on the stretch begins at `from_ns`; what was read behind it stays. */
void episode_signs_begin(struct episode_signs *signs, int64_t from_ns);
/* Read on up to `to_ns` at least.  slice_serve()'s errors but RC_CORRUPT. */
enum rc episode_signs_read(struct episode_signs *signs, int64_t to_ns) RC_CHECK;
/* What the slice at `at_ns` says: nothing where none was read.  Until the next call but this. */
const struct sign *episode_sign_at(const struct episode_signs *signs, int64_t at_ns);

/* ---- episode_cut.c: runs -------------------------------------------------------------- */

#define EPISODE_NO_SLICE UINT32_MAX

struct episode_run {
	int64_t start_ns, end_ns;
	bool by_midnight; /* its beginning is of kind E3 */
	bool sealed;      /* all its slices are */
	uint64_t version;
	const char *cause;
	size_t slices;
	/* Slices that say it, counted from the first; EPISODE_NO_SLICE */
	uint32_t scene_at, place_at, position_at;
	uint32_t people_at[EPISODE_PEOPLE_MAX]; /* [people_len], where others came in */
	size_t people_len;
};

/* What is known of the changes before a moment. */
struct episode_past {
	int64_t known_from_ns; /* all changes from here on */
	int64_t change_ns;     /* the last of them; INT64_MIN: none */
};

/* False ends the walk. */
typedef bool episode_run_fn(void *ctx, const struct episode_run *run);

/*
 * The runs that begin in [from, to), whole, in order; both are borders of
 * stretches.  `past` is what is known up to `from` and then up to `to`.  What the
 * runs of one stretch depend on lies in [*looked_from, *looked_until), which may
 * be NULL; till then all of them have ended, and none is "open".
 */
enum rc episode_runs(struct episode_signs *signs, struct episode_past *past, int64_t from_ns,
    int64_t to_ns, episode_run_fn *visit, void *ctx, int64_t *looked_from_ns,
    int64_t *looked_until_ns) RC_CHECK;

/* Take a run into account. */
void episode_past_add(struct episode_past *past, const struct episode_run *run);

/* The people of `sign` that `people` [*len] does not name yet, as far as there is
 * room; true if there was one. */
bool episode_people_add(const char **people, size_t *len, const struct sign *sign);

/* ---- episode.c ---------------------------------------------------------------------------- */

/* Does a mark of the log up to `cursor` lie over what the row was made of? */
bool episode_is_marked(const struct store_episode_row *row, const struct store_slice_view *slices,
    uint64_t cursor, const struct policy *policy);

static inline int64_t episode_floor(int64_t ns, int64_t span_ns)
{
	int64_t rest = ns % span_ns;

	return ns - (rest < 0 ? rest + span_ns : rest);
}

/* ---- episode_row.c: the stored form ------------------------------------------------------- */

/* Runs [n] that begin in the stretch from `start_ns` on.  RC_LIMIT, RC_NOMEM. */
enum rc episode_row_encode(
    const struct episode_run *runs, size_t n, int64_t start_ns, struct buf *out) RC_CHECK;
/* Into `arena`.  RC_CORRUPT, RC_NOMEM. */
enum rc episode_row_decode(const uint8_t *bytes, size_t len, int64_t start_ns, struct arena *arena,
    struct episode_run **out, size_t *n) RC_CHECK;

#endif
