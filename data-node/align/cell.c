/* Cells: order, strength and age of a facet's values. */
#include "align/cell.h"

#include <stdlib.h>
#include <string.h>

static int by_order(const void *a, const void *b)
{
	const struct pick *x = a, *y = b;
	int order = item_order(x->item, y->item);

	if (order != 0)
		return order;
	return (int)x->rank - (int)y->rank;
}

#define INSERTED_MAX ((size_t)12)

/* Most cells have few picks or come in order. */
static void sort_picks(struct pick_list *list)
{
	struct pick *picks = list->picks;

	for (size_t i = 1; i < list->len; i++) {
		if (by_order(&picks[i - 1], &picks[i]) <= 0)
			continue;
		if (list->len > INSERTED_MAX) {
			qsort(picks, list->len, sizeof picks[0], by_order);
			return;
		}
		struct pick late = picks[i];
		size_t at = i;
		for (; at > 0 && by_order(&picks[at - 1], &late) > 0; at--)
			picks[at] = picks[at - 1];
		picks[at] = late;
	}
}

/* Only what came in the strongest way stays. */
static void keep_best(struct pick_list *list)
{
	enum pick_rank best = PICK_CARRIED;
	size_t kept = 0;

	for (size_t i = 0; i < list->len; i++) {
		if (list->picks[i].rank < best)
			best = list->picks[i].rank;
	}
	for (size_t i = 0; i < list->len; i++) {
		if (list->picks[i].rank == best)
			list->picks[kept++] = list->picks[i];
	}
	list->len = kept;
}

static int strength(enum cell_mode mode)
{
	switch (mode) {
	case CELL_OBSERVED:
		return 4;
	case CELL_OVERLAP:
		return 3;
	case CELL_INTERPOLATED:
		return 2;
	case CELL_CARRIED:
		return 1;
	case CELL_ABSENT:
		break;
	}
	return 0;
}

static void summarise(const struct pick_list *list, struct cell *out)
{
	for (size_t i = 0; i < list->len; i++) {
		const struct pick *pick = &list->picks[i];
		if (strength(pick->mode) > strength(out->mode))
			out->mode = pick->mode;
		if (pick->error_ns > out->error_ns)
			out->error_ns = pick->error_ns;
	}
	for (size_t i = 0; i < list->len; i++) {
		const struct pick *pick = &list->picks[i];
		if (pick->mode != out->mode)
			continue;
		if (pick->age_ns > out->age_ns)
			out->age_ns = pick->age_ns;
		if (pick->certainty == CERTAINTY_CERTAIN)
			out->certainty = CERTAINTY_CERTAIN;
	}
}

static void fill_value(const struct pick *pick, struct cell_value *out)
{
	item_show(pick->item, out);
	out->mode = pick->mode;
	out->age_ns = pick->age_ns;
	out->certainty = pick->certainty;
	if (pick->data_json != NULL)
		out->data_json = pick->data_json;
	if (pick->next != NULL) {
		out->has_next = true;
		out->text = "";
		out->next_seq = pick->next->seq;
		memcpy(out->next_obs_id, pick->next->obs_id, OBS_ID_BYTES);
		out->t1_ns = pick->next->t0_ns;
	}
}

void cell_of_picks(const struct policy_rule *rule, struct pick_list *list,
    struct cell_value *values, struct cell *out)
{
	*out = (struct cell){ .mode = CELL_ABSENT };
	if (list->len == 0) {
		out->absent_reason = list->absent_reason != NULL ? list->absent_reason : "none";
		return;
	}
	if (rule->best_only)
		keep_best(list);
	sort_picks(list);
	out->values_total = list->len;
	if (list->len > SLICE_CELL_VALUES_MAX)
		list->len = SLICE_CELL_VALUES_MAX;
	summarise(list, out);
	for (size_t i = 0; i < list->len; i++)
		fill_value(&list->picks[i], &values[i]);
	out->values = values;
	out->values_len = list->len;
}

/* ---- plain entries ------------------------------------------------------------- */

static int64_t distance_of(int64_t t0_ns, int64_t start_ns, int64_t end_ns)
{
	if (t0_ns < start_ns)
		return start_ns - t0_ns;
	return t0_ns > end_ns ? t0_ns - end_ns : 0;
}

enum rc cell_of_plain(struct track *track, const struct policy_rule *rule, int64_t start_ns,
    int64_t end_ns, struct cell *out)
{
	int64_t certain_from_ns = start_ns + track->early_ns;
	int64_t certain_to_ns = end_ns - track->late_ns, age_ns;
	const struct item *carried = pick_carried(track, rule, start_ns, end_ns, &age_ns);
	size_t total = track->mid - track->head, most = SLICE_CELL_VALUES_MAX - (carried != NULL);
	size_t n = total < most ? total : most;
	struct cell cell = { .mode = CELL_OBSERVED, .values_len = n, .values_total = total };

	if (track_show(track, n) != RC_OK)
		return RC_NOMEM;
	struct cell_value *values = track->shown.values + track->shown.first;
	cell.error_ns = track->early_ns > track->late_ns ? track->early_ns : track->late_ns;
	for (size_t i = 0; i < n; i++) {
		int64_t t0_ns = values[i].t0_ns;
		bool certain = t0_ns >= certain_from_ns && t0_ns < certain_to_ns;
		values[i].mode = CELL_OBSERVED;
		values[i].age_ns = distance_of(t0_ns, start_ns, end_ns);
		values[i].certainty = certain ? CERTAINTY_CERTAIN : CERTAINTY_POSSIBLE;
		if (certain)
			cell.certainty = CERTAINTY_CERTAIN;
		if (values[i].age_ns > cell.age_ns)
			cell.age_ns = values[i].age_ns;
	}
	if (carried != NULL) {
		if (item_error_ns(carried) > cell.error_ns)
			cell.error_ns = item_error_ns(carried);
		values--; /* T5 */
		item_show(carried, values);
		values->mode = CELL_CARRIED;
		values->age_ns = age_ns;
		values->certainty = CERTAINTY_POSSIBLE;
		cell.values_len++;
		cell.values_total++;
	}
	cell.values = values;
	*out = cell;
	return RC_OK;
}
