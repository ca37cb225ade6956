/* Cells: order, strength and age of a facet's values. */
#include "align/cell.h"

#include <stdlib.h>
#include <string.h>

static int by_order(const void *a, const void *b)
{
	const struct pick *x = a, *y = b;
	int order = item_order(x->value.item, y->value.item);

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
		if (strength(pick->value.mode) > strength(out->mode))
			out->mode = pick->value.mode;
		if (pick->error_ns > out->error_ns)
			out->error_ns = pick->error_ns;
	}
	for (size_t i = 0; i < list->len; i++) {
		const struct cell_value *value = &list->picks[i].value;
		if (value->mode != out->mode)
			continue;
		if (value->age_ns > out->age_ns)
			out->age_ns = value->age_ns;
		if (value->certainty == CERTAINTY_CERTAIN)
			out->certainty = CERTAINTY_CERTAIN;
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
		values[i] = list->picks[i].value;
	out->values = values;
	out->values_len = list->len;
}

/* ---- plain entries ------------------------------------------------------------- */

/* Of one slice and the plain entries of one ε. */
struct span {
	int64_t start_ns, end_ns;
	int64_t certain_ns;        /* an entry is certain from here on */
	uint64_t certain_until_ns; /* and no later than so much behind that */
};

static struct span span_of(const struct track *track, int64_t start_ns, int64_t end_ns)
{
	int64_t length_ns = end_ns - start_ns - track->early_ns - track->late_ns;

	return (struct span){ start_ns, end_ns, start_ns + track->early_ns,
		length_ns > 0 ? (uint64_t)length_ns : 0 };
}

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* The entry observed inside. */
static inline void show(
    const struct track_entry *entry, const struct span *span, struct cell_value *out)
{
	uint64_t behind_ns = (uint64_t)entry->t0_ns - (uint64_t)span->certain_ns;
	int64_t before_ns = span->start_ns - entry->t0_ns, after_ns = entry->t0_ns - span->end_ns;

	out->item = entry->item;
	out->made = NULL;
	out->age_ns = larger(larger(before_ns, after_ns), 0);
	out->mode = CELL_OBSERVED;
	out->certainty = (enum certainty)(behind_ns < span->certain_until_ns);
}

static inline void put(const struct track_entry *entry, int64_t age_ns, enum certainty certainty,
    struct cell_value *out)
{
	out->item = entry->item;
	out->made = NULL;
	out->age_ns = age_ns;
	out->mode = CELL_OBSERVED;
	out->certainty = certainty;
}

/* As show() for entries in order of time: only those that began in the slice can be
 * certain, and they have no age. */
static bool show_all(
    const struct track_entry *entries, size_t n, const struct span *span, struct cell_value *out)
{
	int64_t start_ns = span->start_ns, end_ns = span->end_ns, certain_ns = span->certain_ns;
	uint64_t until_ns = span->certain_until_ns;
	unsigned any = 0;
	size_t i = 0;

	for (; i < n && entries[i].t0_ns < start_ns; i++)
		put(&entries[i], start_ns - entries[i].t0_ns, CERTAINTY_POSSIBLE, &out[i]);
	for (; i < n && entries[i].t0_ns <= end_ns; i++) {
		uint64_t behind_ns = (uint64_t)entries[i].t0_ns - (uint64_t)certain_ns;
		unsigned certain = behind_ns < until_ns;
		put(&entries[i], 0, (enum certainty)certain, &out[i]);
		any |= certain;
	}
	for (; i < n; i++)
		put(&entries[i], entries[i].t0_ns - end_ns, CERTAINTY_POSSIBLE, &out[i]);
	return any != 0;
}

void cell_of_track(const struct track *track, const struct policy *policy, int64_t start_ns,
    int64_t end_ns, struct cell_value *values, struct cell *out)
{
	const struct span span = span_of(track, start_ns, end_ns);
	const struct track_entry *entries = track->entries + track->head;
	int64_t age_ns, error_ns = larger(track->early_ns, track->late_ns);
	const struct item *carried = pick_carried(track, policy, start_ns, end_ns, &age_ns);
	size_t held = carried != NULL, total = track->mid - track->head;
	size_t n = total + held < SLICE_CELL_VALUES_MAX ? total : SLICE_CELL_VALUES_MAX - held;

	if (carried != NULL) {
		values[0] =
		    (struct cell_value){ .item = carried, .age_ns = age_ns, .mode = CELL_CARRIED };
		error_ns = larger(error_ns, item_error_ns(carried));
	}
	bool certain = show_all(entries, n, &span, values + held);
	out->mode = CELL_OBSERVED;
	out->absent_reason = NULL;
	out->values = values;
	out->values_len = held + n;
	out->values_total = held + total;
	out->age_ns = larger(values[held].age_ns, values[held + n - 1].age_ns);
	out->error_ns = error_ns;
	out->certainty = certain ? CERTAINTY_CERTAIN : CERTAINTY_POSSIBLE;
}

/* Before the value that came from `entry`?  They rarely share a time. */
static bool is_before(const struct track_entry *entry, const struct track_entry *other)
{
	return entry->t0_ns != other->t0_ns ? entry->t0_ns < other->t0_ns
					    : item_order(entry->item, other->item) < 0;
}

void cell_of_nearest(struct track *const *tracks, size_t n, int64_t start_ns, int64_t end_ns,
    struct cell_value *values, struct cell *out)
{
	const struct track_entry *nearest[CELL_NEAREST_MAX];
	struct cell cell = { .mode = CELL_OBSERVED, .values = values, .values_total = n };

	for (; cell.values_len < n; cell.values_len++) {
		const struct track *track = tracks[cell.values_len];
		const struct span span = span_of(track, start_ns, end_ns);
		const struct track_entry *entry =
		    &track->entries[pick_nearest_plain(track, start_ns, end_ns)];
		struct cell_value value;
		size_t at = cell.values_len;
		show(entry, &span, &value);
		for (; at > 0 && is_before(entry, nearest[at - 1]); at--) {
			nearest[at] = nearest[at - 1];
			values[at] = values[at - 1];
		}
		nearest[at] = entry;
		values[at] = value;
		if (value.certainty == CERTAINTY_CERTAIN)
			cell.certainty = CERTAINTY_CERTAIN;
		cell.age_ns = larger(cell.age_ns, value.age_ns);
		cell.error_ns = larger(cell.error_ns, larger(track->early_ns, track->late_ns));
	}
	*out = cell;
}
