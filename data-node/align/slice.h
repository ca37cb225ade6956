/*
 * Slices: what was true in [T, T+Δ), one cell per facet.
 *
 * reference: timeline §3.  A slice is a pure function of (observations up to a
 * cursor, clock map, policy).  The builder streams: memory is bounded by the
 * window, not by the range.
 *
 * An instant is in a slice if t ± ε touches it: certain if it lies inside,
 * possible otherwise.  So one that stands within ε of a border is in both.
 */
#ifndef ALIGN_SLICE_H
#define ALIGN_SLICE_H

#include "store/store.h"

struct policy; /* align/policy.h */

enum facet {
	FACET_VISUAL,
	FACET_AUDIO,
	FACET_LANGUAGE,
	FACET_DEVICE,
	FACET_LOCATION,
	FACET_ENVIRONMENT,
	FACET_BODY,
	FACET_SCENE,
	FACET_HOME,
};
#define FACET_COUNT 9
#define FACET_MASK(facet) (1u << (facet))
#define FACET_MASK_ALL 0x1FFu
#define SLICE_COUNT_MAX ((size_t)100000) /* of one request */
#define SLICE_CELL_VALUES_MAX ((size_t)256)

const char *facet_word(enum facet facet);
int facet_parse(const char *word); /* -1 */

/* DESIGN §6: the facets an observation of (layer, kind) belongs to, as mask. */
unsigned facet_of_kind(enum layer layer, const char *kind);

enum cell_mode { CELL_ABSENT, CELL_OBSERVED, CELL_OVERLAP, CELL_CARRIED, CELL_INTERPOLATED };
enum certainty { CERTAINTY_POSSIBLE, CERTAINTY_CERTAIN };

struct item; /* align/item.h */

/* What is shown of an observation where that is not what it says itself. */
struct cell_made {
	const struct item *next;      /* interpolated: the observation on the other side */
	const char *text, *data_json; /* "" = none */
};

/* An observation as it stands in a cell; cell_value_text() and others (item.h)
 * say what is shown of it. */
struct cell_value {
	const struct item *item;      /* borrowed from the window */
	const struct cell_made *made; /* NULL: it is shown as it is */
	int64_t age_ns;               /* distance to the slice, 0 inside it */
	enum cell_mode mode;          /* how this value came here */
	enum certainty certainty;
};

/*
 * `mode` is the strongest of the values' modes (observed, overlap,
 * interpolated, carried); age is the oldest and certainty the best of the
 * values of that mode.  Values stand in order of (t0, source, source_seq,
 * obs_id); beyond SLICE_CELL_VALUES_MAX the later ones are left out.
 */
struct cell {
	enum cell_mode mode;
	const char *absent_reason;       /* "none", "stale", "gap", "suspend", "epoch",
					    "unavailable"; NULL unless absent */
	const struct cell_value *values; /* [values_len] */
	size_t values_len;
	size_t values_total; /* with those left out */
	int64_t age_ns;      /* from the value to the slice: 0 inside it */
	int64_t error_ns;    /* ε, the wider side */
	enum certainty certainty;
};

struct slice {
	int64_t start_ns, end_ns;
	uint64_t version;
	const char *state; /* "open", "provisional", "sealed", "reopened" */
	const char *cause; /* of the reopening; NULL: this is version 1 */
	struct cell cells[FACET_COUNT];
	struct cell labels; /* the night's, from which the scene is read as well */
};

/* One track alone (item.h). */
struct slice_track {
	uint64_t track, lane; /* hashes */
	enum layer layer;
};

struct slice_query {
	int64_t from_ns, to_ns; /* rounded outwards to the grid */
	int64_t step_ns;        /* ≥ 1 s, divides a day */
	unsigned facets;        /* FACET_MASK bits; 0: all */
	uint64_t as_of_seq;     /* 0: newest */
	bool keep_empty;        /* also slices in which every asked facet is absent */
	bool observed_only;     /* only slices in which something was observed or labelled: those
				   in which a state only holds on may be left out */
	bool near_only;         /* read only what may touch the range: for cells that are
				   settled by that, slice_cell_is_settled() */
	/* NULL: all.  Else cells are made of this track alone, and it is read no
	 * further than a slice of the range can tell; RC_AGAIN: that is not known
	 * from the track alone, the other ones must be read as well. */
	const struct slice_track *track;
	const struct policy *policy; /* NULL: the default one */
	/* Where near_only or `track`: records that other readings had.  NULL. */
	struct store_kept *kept;
};

/* `slice` lives until the visitor returns; false ends the walk. */
typedef bool slice_visit_fn(void *ctx, const struct slice *slice);

/* Check the range and the step, round the range outwards to the grid, and make
 * facets 0 all.  RC_INVALID, RC_LIMIT, as slice_build(). */
enum rc slice_query_check(struct slice_query *query, struct errmsg *why) RC_CHECK;

/*
 * Slices in order of time.  RC_INVALID (step, range), RC_LIMIT
 * (SLICE_COUNT_MAX, a window too dense), the store's errors.  Reads the range,
 * two hours before and a quarter after it, and of the home layer what holds from
 * before that (home.h).  Pinned to one cursor: any thread,
 * also while others append.  RC_CORRUPT after all slices were visited: a
 * record could not be read and is missing in them; `why` names it.
 */
enum rc slice_build(struct store *store, const struct slice_query *query, slice_visit_fn *visit,
    void *ctx, struct errmsg *why) RC_CHECK;

/* Of a cell made from what may touch its slice: would what lies around it leave
 * it as it is?  So it is where all values lie in the slice and the rule takes no
 * others beside them. */
bool slice_cell_is_settled(const struct policy *policy, enum facet facet, const struct cell *cell);

/*
 * One slice as the contract shows it; appends a JSON object.  A value carries
 * "mode", "age_s" and "certainty" of its own where they differ from its
 * cell's, "next_obs_id" if interpolated; a cell that leaves values out says
 * "values_total".
 */
enum rc slice_json(const struct slice *slice, unsigned facets, struct buf *out) RC_CHECK;

/* Its content alone: `"start":…,"end":…,"cells":{…}`, without the braces
 * around it, version and state.  What hashes and manifests are made of. */
enum rc slice_json_cells(const struct slice *slice, unsigned facets, struct buf *out) RC_CHECK;

/* The number of the newest clock map; as_of_seq 0: now. */
uint64_t slice_clock_map_version(struct store *store, uint64_t as_of_seq);

#endif
