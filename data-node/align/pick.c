/* Picks: match, blend, nearest and carry of one track in one slice. */
#include "align/pick.h"

#include <stdlib.h>
#include <string.h>

#include "align/blend.h"
#include "align/sample.h"

#define PICKS_FIRST ((size_t)32)

struct span {
	int64_t start_ns, end_ns;
};

/* ---- reasons --------------------------------------------------------------------- */

static int reason_weight(const char *reason)
{
	static const char *const by_weight[] = { "none", "stale", "epoch", "suspend", "unavailable",
		"gap" };

	for (int i = 0; reason != NULL && i < (int)(sizeof by_weight / sizeof by_weight[0]); i++) {
		if (strcmp(reason, by_weight[i]) == 0)
			return i + 1;
	}
	return 0;
}

const char *pick_reason_max(const char *a, const char *b)
{
	return reason_weight(b) > reason_weight(a) ? b : a;
}

/* ---- one item against one slice ----------------------------------------------------- */

static bool touches(const struct item *item, const struct span *span)
{
	if (item->t0_ns - item->early_ns >= span->end_ns)
		return false;
	return item_is_instant(item) ? item->t0_ns + item->late_ns >= span->start_ns
				     : item->t1_ns + item->late_ns > span->start_ns;
}

static enum certainty certainty_of(const struct item *item, const struct span *span)
{
	bool starts = item->t0_ns + item->late_ns < span->end_ns;
	bool ends = item_is_instant(item) ? item->t0_ns - item->early_ns >= span->start_ns
					  : item->t1_ns - item->early_ns > span->start_ns;

	return starts && ends ? CERTAINTY_CERTAIN : CERTAINTY_POSSIBLE;
}

static int64_t distance_ns(const struct item *item, const struct span *span)
{
	if (item->t1_ns < span->start_ns)
		return item_since_ns(span->start_ns, item->t1_ns);
	return item->t0_ns > span->end_ns ? item_since_ns(item->t0_ns, span->end_ns) : 0;
}

static struct pick *add(struct pick_list *list)
{
	if (list->len == list->cap) {
		size_t cap = list->cap == 0 ? PICKS_FIRST : list->cap * 2;
		struct pick *picks = realloc(list->picks, cap * sizeof *picks);
		if (picks == NULL)
			return NULL;
		list->picks = picks;
		list->cap = cap;
	}
	return &list->picks[list->len++];
}

static enum rc add_inside(struct pick_list *list, const struct item *item, const struct span *span)
{
	struct pick *pick = add(list);

	if (pick == NULL)
		return RC_NOMEM;
	*pick = (struct pick){
		.value = { .item = item,
		    .mode = item_is_instant(item) ? CELL_OBSERVED : CELL_OVERLAP,
		    .age_ns = distance_ns(item, span),
		    .certainty = certainty_of(item, span) },
		.error_ns = item_error_ns(item),
		.rank = PICK_INSIDE,
	};
	return RC_OK;
}

static enum rc add_outside(struct pick_list *list, const struct item *item, enum pick_rank rank,
    int64_t age_ns, enum certainty certainty)
{
	struct pick *pick = add(list);

	if (pick == NULL)
		return RC_NOMEM;
	*pick = (struct pick){
		.value = { .item = item,
		    .mode = rank == PICK_NEAREST ? CELL_OBSERVED : CELL_CARRIED,
		    .age_ns = age_ns,
		    .certainty = certainty },
		.error_ns = item_error_ns(item),
		.rank = rank,
	};
	return RC_OK;
}

/* ---- inside ----------------------------------------------------------------------------- */

/* Distance of an instant to the middle, doubled so that it stays whole. */
static int64_t off_middle(const struct item *item, const struct span *span)
{
	int64_t twice = 2 * (item->t0_ns - span->start_ns) - (span->end_ns - span->start_ns);

	return twice < 0 ? -twice : twice;
}

size_t pick_nearest_plain(const struct track *track, int64_t start_ns, int64_t end_ns)
{
	const struct track_entry *entries = track->entries;
	int64_t length_ns = end_ns - start_ns, middle_ns = start_ns + (length_ns + 1) / 2;
	size_t low = track->head;

	for (size_t n = track->mid - low; n > 0;) { /* the first at or behind the middle */
		size_t half = n / 2;
		bool before = entries[low + half].t0_ns < middle_ns;
		low = before ? low + half + 1 : low;
		n = before ? n - half - 1 : half;
	}
	if (low == track->head)
		return low;
	size_t before = low - 1;
	while (before > track->head && entries[before - 1].t0_ns == entries[before].t0_ns)
		before--;
	if (low == track->mid)
		return before;
	int64_t off_before = length_ns - 2 * (entries[before].t0_ns - start_ns);
	int64_t off_low = 2 * (entries[low].t0_ns - start_ns) - length_ns;
	return off_low < off_before ? low : before;
}

static enum rc pick_inside(
    const struct track *track, const struct span *span, bool all, struct pick_list *list)
{
	const struct item *nearest = NULL;

	if (track_is_plain_in(track) && !all)
		return add_inside(list,
		    track->entries[pick_nearest_plain(track, span->start_ns, span->end_ns)].item,
		    span);
	for (size_t i = track->head; i < track->mid; i++) {
		const struct item *item = track->entries[i].item;
		if (item->role != ITEM_VALUE || !touches(item, span))
			continue;
		if (all || !item_is_instant(item)) {
			if (add_inside(list, item, span) != RC_OK)
				return RC_NOMEM;
		} else if (nearest == NULL || off_middle(item, span) < off_middle(nearest, span)) {
			nearest = item;
		}
	}
	return nearest == NULL ? RC_OK : add_inside(list, nearest, span);
}

/* ---- both sides --------------------------------------------------------------------------- */

/* The last value before the slice, unless a stop came after it. */
static const struct track_entry *left_of(const struct track *track)
{
	return track->has_left && track->left.item->role == ITEM_VALUE ? &track->left : NULL;
}

/* The next narrow value behind the slice, unless a stop comes before it. */
static const struct track_entry *right_of(const struct track *track, const struct span *span)
{
	for (size_t i = track->odd_len == 0 ? track->mid : track->head; i < track->len; i++) {
		const struct item *item = track->entries[i].item;
		if (item->role == ITEM_STOP)
			return NULL;
		if (item->role == ITEM_VALUE && !item->wide && !touches(item, span))
			return &track->entries[i];
	}
	return NULL;
}

static enum rc pick_blend(const struct policy_rule *rule, const struct policy *policy,
    const struct item *left, const struct item *right, const struct span *span, struct arena *arena,
    struct pick_list *list)
{
	struct cell_made made = { .next = right, .text = "" };
	int64_t middle_ns = span->start_ns + (span->end_ns - span->start_ns) / 2;

	if (rule->blend == POLICY_BLEND_NONE || left->wide || right->wide ||
	    !item_is_instant(left) || !item_is_instant(right) ||
	    item_since_ns(right->t0_ns, left->t0_ns) > rule->blend_ns)
		return RC_OK;
	enum rc rc =
	    rule->blend == POLICY_BLEND_LOCATION
		? blend_location(left, right, middle_ns, policy->accuracy_m, arena, &made.data_json)
		: blend_numeric(left, right, middle_ns, arena, &made.data_json);
	if (rc != RC_OK || made.data_json == NULL)
		return rc;
	struct cell_made *kept = arena_alloc(arena, sizeof *kept);
	struct pick *pick = add(list);
	if (pick == NULL || kept == NULL)
		return RC_NOMEM;
	*kept = made;
	int64_t before_ns = distance_ns(left, span), after_ns = distance_ns(right, span);
	int64_t left_error_ns = item_error_ns(left), right_error_ns = item_error_ns(right);
	*pick = (struct pick){
		.value = { .item = left,
		    .made = kept,
		    .mode = CELL_INTERPOLATED,
		    .age_ns = before_ns < after_ns ? before_ns : after_ns,
		    .certainty = CERTAINTY_POSSIBLE },
		.error_ns = left_error_ns > right_error_ns ? left_error_ns : right_error_ns,
		.rank = PICK_BLENDED,
	};
	return RC_OK;
}

static bool near_enough(const struct policy *policy, const struct policy_rule *rule,
    const struct track_entry *entry, const struct span *span)
{
	int64_t off_ns = distance_ns(entry->item, span);

	return !entry->item->wide && item_is_instant(entry->item) && off_ns <= rule->nearest_ns &&
	       (rule->nearest_times == 0 ||
		   off_ns <= rule->nearest_times * track_period_ns(entry, policy));
}

static enum rc pick_nearest(const struct policy *policy, const struct policy_rule *rule,
    const struct track_entry *left, const struct track_entry *right, const struct span *span,
    struct pick_list *list)
{
	if (rule->nearest_ns == 0)
		return RC_OK;
	if (left != NULL && !near_enough(policy, rule, left, span))
		left = NULL;
	if (right != NULL && !near_enough(policy, rule, right, span))
		right = NULL;
	if (left != NULL && right != NULL &&
	    distance_ns(right->item, span) < distance_ns(left->item, span))
		left = NULL;
	const struct track_entry *entry = left != NULL ? left : right;
	if (entry == NULL)
		return RC_OK;
	return add_outside(
	    list, entry->item, PICK_NEAREST, distance_ns(entry->item, span), CERTAINTY_POSSIBLE);
}

/* ---- carry ---------------------------------------------------------------------------------- */

/* Until when the capturer vouches for its last frame. */
static int64_t unchanged_until(const struct track *track, const struct policy_rule *rule,
    const struct item *left, const struct span *span)
{
	const struct item *note = track->has_note ? track->note.item : NULL;
	int64_t until_ns = left->t1_ns + left->rest->pulse_ns;

	if (left->unchanged)
		until_ns = left->t1_ns + rule->carry_ns;
	for (size_t i = track->head; i < track->mid; i++) {
		const struct item *item = track->entries[i].item;
		if (item->role == ITEM_NOTE && item->t0_ns < span->end_ns)
			note = item;
	}
	if (note != NULL && note->t0_ns >= left->t0_ns) {
		int64_t hold_ns = note->rest->pulse_ns > rule->nearest_ns ? note->rest->pulse_ns
									  : rule->nearest_ns;
		if (note->t1_ns + hold_ns > until_ns)
			until_ns = note->t1_ns + hold_ns;
	}
	return until_ns;
}

static bool may_carry(const struct track *track, const struct policy *policy,
    const struct policy_rule *rule, const struct span *span)
{
	const struct item *left = track->left.item;
	int64_t age_ns = item_since_ns(span->start_ns, item_end_ns(left));

	if (age_ns < 0 || age_ns > rule->carry_ns)
		return false;
	if (left->wide && rule->carry != POLICY_CARRY_STEP)
		return false; /* it may be older than that */
	switch (rule->carry) {
	case POLICY_CARRY_NEVER:
		return false;
	case POLICY_CARRY_STATIONARY:
		return item_is_instant(left) && item_is_stationary(left);
	case POLICY_CARRY_UNCHANGED:
		return span->start_ns <= unchanged_until(track, rule, left, span);
	case POLICY_CARRY_PULSE:
		return age_ns <= left->rest->pulse_ns;
	case POLICY_CARRY_PERIODS:
		return item_is_instant(left) &&
		       age_ns <= rule->carry_times * track_period_ns(&track->left, policy);
	case POLICY_CARRY_STEP:
		return item_is_instant(left);
	}
	return false;
}

const struct item *pick_carried(const struct track *track, const struct policy *policy,
    int64_t start_ns, int64_t end_ns, int64_t *age_ns)
{
	const struct policy_rule *rule = &policy->rules[track->facet];
	const struct span span = { start_ns, end_ns };

	if (rule->carry != POLICY_CARRY_STEP || left_of(track) == NULL ||
	    !may_carry(track, policy, rule, &span))
		return NULL;
	*age_ns = item_since_ns(start_ns, item_end_ns(track->left.item));
	return track->left.item;
}

/* ---- all of it --------------------------------------------------------------------------------
 */

static const char *reason_of(
    const struct track *track, const struct policy *policy, const struct span *span)
{
	const struct policy_rule *rule = &policy->rules[track->facet];

	if (!track->has_left)
		return "none";
	if (rule->carry != POLICY_CARRY_STEP &&
	    item_since_ns(span->start_ns, item_end_ns(track->left.item)) > policy->reach_ns)
		return "none";
	if (track->left.item->role == ITEM_STOP)
		return track->left.item->rest->stop_reason;
	return rule->carry == POLICY_CARRY_NEVER ? "none" : "stale";
}

/* A block inside is shown by its samples of this slice. */
static enum rc look_into_blocks(enum facet facet, const struct span *span, struct arena *arena,
    struct pick_list *list, size_t from)
{
	enum rc rc = RC_OK;

	for (size_t i = from; i < list->len && rc == RC_OK; i++) {
		struct cell_value *value = &list->picks[i].value;
		if (value->item->plain || value->item->rest->block == NULL)
			continue;
		struct cell_made *made = arena_alloc(arena, sizeof *made);
		if (made == NULL)
			return RC_NOMEM;
		*made = (struct cell_made){ .text = value->item->rest->text };
		value->made = made;
		rc = sample_of_slice(
		    value->item, facet, span->start_ns, span->end_ns, arena, &made->data_json);
	}
	return rc;
}

enum rc pick_track(const struct track *track, int64_t start_ns, int64_t end_ns,
    const struct policy *policy, struct arena *arena, struct pick_list *list)
{
	const struct policy_rule *rule = &policy->rules[track->facet];
	const struct span span = { start_ns, end_ns };
	size_t before = list->len;

	enum rc rc = pick_inside(track, &span, rule->all, list);
	if (rc == RC_OK)
		rc = look_into_blocks(track->facet, &span, arena, list, before);
	if (rc != RC_OK)
		return rc;
	bool inside = list->len > before;
	if (inside && rule->carry != POLICY_CARRY_STEP)
		return RC_OK;
	const struct track_entry *left = left_of(track);
	if (!inside) {
		const struct track_entry *right = right_of(track, &span);
		if (left != NULL && right != NULL)
			rc = pick_blend(rule, policy, left->item, right->item, &span, arena, list);
		if (rc == RC_OK && list->len == before)
			rc = pick_nearest(policy, rule, left, right, &span, list);
		if (rc != RC_OK || list->len > before)
			return rc;
	}
	if (left != NULL && may_carry(track, policy, rule, &span)) {
		/* A state that holds until the next change is certain before it. */
		bool certain = rule->carry == POLICY_CARRY_STEP && !inside && !left->item->wide;
		return add_outside(list, left->item, PICK_CARRIED,
		    item_since_ns(start_ns, item_end_ns(left->item)),
		    certain ? CERTAINTY_CERTAIN : CERTAINTY_POSSIBLE);
	}
	if (!inside)
		list->absent_reason =
		    pick_reason_max(list->absent_reason, reason_of(track, policy, &span));
	return RC_OK;
}
