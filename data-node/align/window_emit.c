/* Window, slices out: tracks brought to a slice, one cell a facet, the visitor. */
#include <stdlib.h>

#include "align/cell.h"
#include "align/scene.h"
#include "align/window_inner.h"

/* Values of slices that are out stay until so much is used: a reset costs more
 * than a slice of few values. */
#define ARENA_KEEP_BYTES ((size_t)64 << 10)

/* Bring the tracks of a facet to the slice; those that are spent go. */
static void advance_row(struct window *window, struct row *row, int64_t start_ns, int64_t end_ns)
{
	for (size_t i = 0; i < row->len;) {
		struct track *track = row->tracks[i];
		track_advance(track, start_ns, end_ns, &window->use);
		if (!track_is_spent(track, start_ns, window->policy)) {
			i++;
			continue;
		}
		lookup_del(&window->lookup, track->key);
		track_fini(track, &window->use);
		free(track);
		row->tracks[i] = row->tracks[--row->len];
		window->tracks_len--;
	}
}

/* Can the cell be had without picks?  What is carried in comes before the entries
 * inside, unless it was odd: one of another ε may expire before an older one. */
static bool is_plain_row(const struct row *row, const struct policy_rule *rule)
{
	size_t most = rule->all ? 1 : CELL_NEAREST_MAX;

	if (row->len == 0 || row->len > most || (!rule->all && rule->carry == POLICY_CARRY_STEP))
		return false;
	for (size_t i = 0; i < row->len; i++) {
		if (!track_is_plain_in(row->tracks[i]))
			return false;
	}
	return !rule->all || !row->tracks[0]->has_left || !row->tracks[0]->left_odd;
}

/* `values` has room for SLICE_CELL_VALUES_MAX. */
static enum rc build_cell(struct window *window, int facet, int64_t start_ns, int64_t end_ns,
    struct cell_value *values, struct cell *out)
{
	const struct policy_rule *rule = &window->policy->rules[facet];
	const struct row *row = &window->rows[facet];

	if (is_plain_row(row, rule)) {
		if (rule->all)
			cell_of_track(
			    row->tracks[0], window->policy, start_ns, end_ns, values, out);
		else
			cell_of_nearest(row->tracks, row->len, start_ns, end_ns, values, out);
		return RC_OK;
	}
	window->list.len = 0;
	window->list.absent_reason = NULL;
	for (size_t i = 0; i < row->len; i++) {
		enum rc rc = pick_track(row->tracks[i], start_ns, end_ns, window->policy,
		    &window->arena, &window->list);
		if (rc != RC_OK)
			return rc;
	}
	cell_of_picks(rule, &window->list, values, out);
	return RC_OK;
}

/* All cells but the scene; their values one behind the other. */
static enum rc build_cells(struct window *window, struct slice *slice)
{
	struct cell_value *values = window->values;
	enum rc rc = RC_OK;

	for (int facet = 0; facet < FACET_COUNT && rc == RC_OK; facet++) {
		struct cell *cell = facet == FACET_SCENE ? &slice->labels : &slice->cells[facet];
		if (facet == FACET_SCENE || (window->needed & FACET_MASK(facet)) == 0)
			slice->cells[facet] = (struct cell){ .absent_reason = "none" };
		if ((window->needed & FACET_MASK(facet)) == 0)
			continue;
		rc = build_cell(window, facet, slice->start_ns, slice->end_ns, values, cell);
		values += cell->values_len;
	}
	return rc;
}

static enum rc emit(struct window *window, struct errmsg *why)
{
	struct slice slice; /* field by field: clearing it all takes as long as some cells */
	bool any = window->grid.keep_empty;

	slice.start_ns = window->round.start_ns;
	slice.end_ns = slice.start_ns + window->grid.step_ns;
	slice.version = 1;
	slice.cause = NULL;
	slice.labels = (struct cell){ .absent_reason = "none" };
	for (int facet = 0; facet < FACET_COUNT; facet++)
		advance_row(window, &window->rows[facet], slice.start_ns, slice.end_ns);
	slice.state = slice.end_ns > window->grid.now_ns ? "open" : "provisional";
	enum rc rc = build_cells(window, &slice);
	if (rc == RC_OK && (window->grid.facets & FACET_MASK(FACET_SCENE)) != 0)
		rc = scene_derive(
		    slice.cells, &slice.labels, &window->arena, &slice.cells[FACET_SCENE]);
	for (int facet = 0; facet < FACET_COUNT; facet++)
		any = any || ((window->grid.facets & FACET_MASK(facet)) != 0 &&
				 slice.cells[facet].mode != CELL_ABSENT);
	if (rc == RC_OK && any && !window->visit(window->ctx, &slice))
		window->stopped = true;
	window->round.start_ns = slice.end_ns;
	window->due_ns = window_due_ns(window);
	if (window->arena.used_bytes > ARENA_KEEP_BYTES)
		arena_reset(&window->arena);
	return rc == RC_OK ? rc : errmsg_rc(why, rc, "no memory for the slice");
}

int64_t window_due_ns(const struct window *window)
{
	return window->round.start_ns + window->grid.step_ns + window->policy->ahead_ns +
	       2 * PLACEMENT_NARROW_NS;
}

enum rc window_emit_before(struct window *window, int64_t key_ns, struct errmsg *why)
{
	while (!window_done(window) && window->due_ns <= key_ns) {
		enum rc rc = emit(window, why);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

enum rc window_emit_rest(struct window *window, struct errmsg *why)
{
	enum rc rc = RC_OK;

	while (rc == RC_OK && !window_done(window))
		rc = emit(window, why);
	return rc;
}
