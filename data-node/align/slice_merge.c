/* Merge: values by reference back into picks, and the cell that they come to. */
#include "align/slice_merge.h"

#include <string.h>

#include "align/cell.h"

struct merge {
	struct fill *fill;
	struct arena *arena;
	uint64_t track;
	struct pick_list list;
};

static struct slice_ref ref_of(const struct cell_value *value)
{
	return (struct slice_ref){
		.seq = value->item->seq,
		.next_seq = cell_value_next_seq(value),
		.mode = value->mode,
		.certainty = value->certainty,
		.age_ns = value->age_ns,
	};
}

static bool same_ref(const struct slice_ref *a, const struct slice_ref *b)
{
	return a->seq == b->seq && a->next_seq == b->next_seq && a->mode == b->mode &&
	       a->certainty == b->certainty && a->age_ns == b->age_ns;
}

static bool same_cell(const struct cell *a, const struct slice_ref *a_refs, const struct cell *b,
    const struct slice_ref *b_refs)
{
	if (a->mode != b->mode)
		return false;
	if (a->mode == CELL_ABSENT)
		return strcmp(a->absent_reason, b->absent_reason) == 0;
	if (a->values_len != b->values_len || a->age_ns != b->age_ns ||
	    a->error_ns != b->error_ns || a->certainty != b->certainty)
		return false;
	for (size_t i = 0; i < a->values_len; i++) {
		if (!same_ref(&a_refs[i], &b_refs[i]))
			return false;
	}
	return true;
}

/* Inside and nearest are one here: no rule that tells them apart is merged. */
static enum pick_rank rank_of(enum cell_mode mode)
{
	if (mode == CELL_INTERPOLATED)
		return PICK_BLENDED;
	return mode == CELL_CARRIED ? PICK_CARRIED : PICK_INSIDE;
}

static enum rc put(struct merge *merge, const struct slice_ref *ref, bool own)
{
	struct pick *pick = &merge->list.picks[merge->list.len];

	struct cell_value *value = &pick->value;

	*pick = (struct pick){
		.value = { .mode = ref->mode, .age_ns = ref->age_ns, .certainty = ref->certainty },
		.rank = rank_of(ref->mode),
	};
	enum rc rc = fill_item(merge->fill, ref->seq, &value->item, NULL);
	if (rc != RC_OK || (!own && value->item->track == merge->track))
		return rc;
	pick->error_ns = item_error_ns(value->item);
	if (ref->next_seq != 0) {
		struct cell_made *made = arena_alloc(merge->arena, sizeof *made);
		if (made == NULL)
			return RC_NOMEM;
		*made = (struct cell_made){ .text = "", .data_json = "" };
		rc = fill_item(merge->fill, ref->next_seq, &made->next, NULL);
		if (rc == RC_OK && item_error_ns(made->next) > pick->error_ns)
			pick->error_ns = item_error_ns(made->next);
		value->made = made;
	}
	merge->list.len++;
	return rc;
}

/* Without values the weightiest reason of all tracks is shown.  Of the others
 * it is known that it is no weightier than the one that was stored. */
static bool is_reason_known(const struct cell *own, const struct cell *stored)
{
	return stored->mode == CELL_ABSENT &&
	       pick_reason_max(own->absent_reason, stored->absent_reason) == own->absent_reason;
}

static enum rc put_all(struct merge *merge, const struct cell *own, const struct cell *stored,
    const struct slice_ref *refs)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; i < stored->values_len && rc == RC_OK; i++)
		rc = put(merge, &refs[i], false);
	for (size_t i = 0; i < own->values_len && rc == RC_OK; i++) {
		struct slice_ref ref = ref_of(&own->values[i]);
		rc = put(merge, &ref, true);
	}
	return rc;
}

enum rc slice_merge_cell(struct fill *fill, enum facet facet, uint64_t track,
    const struct cell *own, struct arena *arena, struct slice_refs *refs, bool *changed)
{
	const struct policy_rule *rule = &fill->policy->rules[facet];
	const struct cell *stored = &refs->cells[facet];
	size_t most = stored->values_len + own->values_len;
	struct merge merge = { .fill = fill, .arena = arena, .track = track };
	struct cell cell;

	if (rule->best_only || stored->values_len != stored->values_total ||
	    own->values_len != own->values_total || most > SLICE_CELL_VALUES_MAX)
		return RC_AGAIN;
	struct cell_value *values = arena_array(arena, most + 1, sizeof *values);
	struct slice_ref *merged = arena_array(arena, most + 1, sizeof *merged);
	merge.list.picks = arena_array(arena, most + 1, sizeof *merge.list.picks);
	if (values == NULL || merged == NULL || merge.list.picks == NULL)
		return RC_NOMEM;
	enum rc rc = fill_fetch(fill, refs, FACET_MASK(facet));
	if (rc == RC_OK)
		rc = put_all(&merge, own, stored, refs->refs[facet]);
	if (rc != RC_OK)
		return rc;
	if (merge.list.len == 0 && !is_reason_known(own, stored))
		return RC_AGAIN;
	merge.list.absent_reason = own->absent_reason;
	cell_of_picks(rule, &merge.list, values, &cell);
	for (size_t i = 0; i < cell.values_len; i++)
		merged[i] = ref_of(&values[i]);
	if (same_cell(&cell, merged, stored, refs->refs[facet]))
		return RC_OK;
	cell.values = NULL;
	refs->cells[facet] = cell;
	refs->refs[facet] = merged;
	*changed = true;
	return RC_OK;
}
