/*
 * Window, inside: its state, and the border between items in and slices out.
 */
#ifndef ALIGN_WINDOW_INNER_H
#define ALIGN_WINDOW_INNER_H

#include "align/lookup.h"
#include "align/pick.h"
#include "align/window.h"

/* Last boot epoch of a (source, layer). */
struct lane {
	uint64_t boot;
	int64_t t0_ns; /* of the newest narrow item that named it */
};

struct row {
	struct track **tracks; /* [len], of one facet */
	size_t len, cap;
};

struct window {
	const struct policy *policy;
	struct window_grid grid;
	struct track_round round; /* round.start_ns: of the next slice */
	slice_visit_fn *visit;
	void *ctx;
	unsigned needed; /* facets that must be kept: the asked ones, all for scene */
	int64_t due_ns;  /* an item of this key_ns or a later one cannot change it */
	bool stopped;
	int64_t group_ns;          /* key_ns of the group */
	const struct item **group; /* items of one key_ns, held unless borrowed */
	size_t group_len, group_cap;
	struct lookup lanes, lookup;
	struct row rows[FACET_COUNT];
	size_t tracks_len;
	struct track_use use;
	struct pick_list list;
	struct arena arena;        /* blended values of one slice */
	struct cell_value *values; /* of one slice: [FACET_COUNT · SLICE_CELL_VALUES_MAX] */
};

/* ---- window_emit.c ---- */
/* Slices that no item from `key_ns` on can change. */
enum rc window_emit_before(struct window *window, int64_t key_ns, struct errmsg *why) RC_CHECK;
/* When the next slice is due. */
int64_t window_due_ns(const struct window *window);
/* All that are left. */
enum rc window_emit_rest(struct window *window, struct errmsg *why) RC_CHECK;

#endif
