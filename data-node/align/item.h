/*
 * Item: an observation as the aligner sees it, placed on the hub's time.
 *
 * The times are those of its placement; the sender's words become roles: a
 * value, a stop ("gap", "unavailable": nothing may be carried over it) or a
 * note ("unchanged").  A wide item (an ε beyond PLACEMENT_NARROW_NS) is somewhere
 * in its stretch: a possible match all over it, near to and blended with nothing.
 * A track is what can hold one value at a time: (source, layer, kind) and, for
 * the home and for measured values, the thing they are about.  A lane is
 * (source, layer): gap markers and clock epochs act on all tracks of one.
 */
#ifndef ALIGN_ITEM_H
#define ALIGN_ITEM_H

#include "align/policy.h"

enum item_role { ITEM_VALUE, ITEM_STOP, ITEM_NOTE };

/* What few windows ask of an item, and what a reader of a slice does. */
struct item_rest {
	uint64_t lane, boot;     /* hashes; boot of the clock epoch, 0 = none said */
	uint64_t source_seq;     /* 0 = none */
	int64_t key_ns;          /* order of the stream: t0, of a wide one t0 - early */
	int64_t pulse_ns;        /* 0 = none; ≤ pulse_max_ns */
	const char *stop_reason; /* ITEM_STOP: static */
	uint8_t obs_id[OBS_ID_BYTES];
	const char *client_id, *source, *kind, *text, *data_json; /* borrowed */
	const struct observation *block; /* borrowed; what has samples to look into, else NULL */
};

/* What a window needs of every item that it is handed: 64 bytes. */
struct item {
	int64_t t0_ns, t1_ns;         /* an instant has t1 = t0 */
	int64_t early_ns, late_ns;    /* ε: how much earlier, later it may be */
	uint64_t track;               /* hash */
	uint64_t seq;                 /* of the log */
	const struct item_rest *rest; /* lives as long as the item */
	unsigned facets;              /* FACET_MASK bits */
	uint8_t role;                 /* enum item_role */
	bool wide;
	bool plain : 1;     /* a narrow instant with a value, no block */
	bool usual : 1;     /* plain, without a pulse and an epoch */
	bool boots : 1;     /* rest->boot is not 0 */
	bool pulses : 1;    /* rest->pulse_ns is not 0 */
	bool stop_lane : 1; /* stops every track of the lane in `facets` */
	bool locates : 1;   /* may say that the person stays here: item_is_stationary() */
	bool unchanged : 1; /* a frame that says it will hold */
	bool named : 1;     /* source and kind are of an item_names, which outlives it */
	bool held : 1;      /* it stands in a hold of a window (track.h) */
};

/* Pure; `out` borrows `rest`, which is filled, and that the strings of `obs`. */
void item_of_observation(const struct observation *obs, const struct policy *policy,
    struct item *out, struct item_rest *rest);

/* What (layer, source, kind) alone say of all their items. */
struct item_name {
	const char *source, *kind;
	enum layer layer;
	unsigned facets;
	uint64_t lane, track; /* hashes; the track's goes on from here */
	bool suspend;         /* stops the lane */
	bool own;             /* what the node says itself */
};
void item_name_of(enum layer layer, const char *source, const char *kind, struct item_name *out);

/* item_of_observation() with `name` worked out before. */
void item_of_named(const struct observation *obs, const struct item_name *name,
    const struct policy *policy, struct item *out, struct item_rest *rest);

/* Does its data say that the person stays here?  Looked at when it matters: few
 * are ever carried.  O(bytes of its data). */
bool item_is_stationary(const struct item *item);

/* Order of ties: (t0, source, source_seq, obs_id); like strcmp. */
int item_order(const struct item *a, const struct item *b);

/* later - earlier, at most INT64_MAX: 1900 to 2200 is more than that. */
static inline int64_t item_since_ns(int64_t later_ns, int64_t earlier_ns)
{
	int64_t span_ns;

	return __builtin_sub_overflow(later_ns, earlier_ns, &span_ns) ? INT64_MAX : span_ns;
}

/* ε, the wider side. */
static inline int64_t item_error_ns(const struct item *item)
{
	return item->early_ns > item->late_ns ? item->early_ns : item->late_ns;
}

/* When it was over: of a wide one, at the latest. */
static inline int64_t item_end_ns(const struct item *item)
{
	return item->wide ? item->t1_ns + item->late_ns : item->t1_ns;
}

static inline int64_t item_key_ns(const struct item *item)
{
	return item->wide ? item->rest->key_ns : item->t0_ns;
}

static inline bool item_is_instant(const struct item *item)
{
	return item->t0_ns == item->t1_ns;
}

/* ---- what a cell shows --------------------------------------------------------- */

static inline const char *cell_value_text(const struct cell_value *value)
{
	return value->made != NULL ? value->made->text : value->item->rest->text;
}

static inline const char *cell_value_data(const struct cell_value *value)
{
	return value->made != NULL ? value->made->data_json : value->item->rest->data_json;
}

/* The observation on the other side of an interpolated one; else NULL. */
static inline const struct item *cell_value_next(const struct cell_value *value)
{
	return value->made != NULL ? value->made->next : NULL;
}

static inline uint64_t cell_value_next_seq(const struct cell_value *value)
{
	const struct item *next = cell_value_next(value);

	return next != NULL ? next->seq : 0;
}

#endif
