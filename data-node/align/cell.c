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

/* Most cells have one pick or come in order. */
static void sort_picks(struct pick_list *list)
{
	for (size_t i = 1; i < list->len; i++) {
		if (by_order(&list->picks[i - 1], &list->picks[i]) > 0) {
			qsort(list->picks, list->len, sizeof list->picks[0], by_order);
			return;
		}
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
	const struct item *item = pick->item;

	*out = (struct cell_value){
		.seq = item->seq,
		.client_id = item->client_id,
		.source = item->source,
		.kind = item->kind,
		.text = pick->data_json != NULL ? "" : item->text,
		.data_json = pick->data_json != NULL ? pick->data_json : item->data_json,
		.t0_ns = item->t0_ns,
		.t1_ns = item->t1_ns,
		.mode = pick->mode,
		.age_ns = pick->age_ns,
		.certainty = pick->certainty,
		.has_next = pick->next != NULL,
	};
	memcpy(out->obs_id, item->obs_id, OBS_ID_BYTES);
	if (pick->next != NULL) {
		out->next_seq = pick->next->seq;
		memcpy(out->next_obs_id, pick->next->obs_id, OBS_ID_BYTES);
		out->t1_ns = pick->next->t0_ns;
	}
}

enum rc cell_of_picks(
    const struct policy_rule *rule, struct pick_list *list, struct arena *arena, struct cell *out)
{
	*out = (struct cell){ .mode = CELL_ABSENT };
	if (list->len == 0) {
		out->absent_reason = list->absent_reason != NULL ? list->absent_reason : "none";
		return RC_OK;
	}
	if (rule->best_only)
		keep_best(list);
	sort_picks(list);
	out->values_total = list->len;
	if (list->len > SLICE_CELL_VALUES_MAX)
		list->len = SLICE_CELL_VALUES_MAX;
	summarise(list, out);
	struct cell_value *values = arena_array(arena, list->len, sizeof *values);
	if (values == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < list->len; i++)
		fill_value(&list->picks[i], &values[i]);
	out->values = values;
	out->values_len = list->len;
	return RC_OK;
}
