/* Fill: records by seq, values of a cell, the derived ones derived again. */
#include "align/slice_fill.h"

#include "align/blend.h"
#include "align/sample.h"
#include "align/scene.h"
#include "store/store_kept.h"

#define RECORDS_BYTES_KEPT ((size_t)8 << 20)
#define RECORDS_BYTES_MAX ((size_t)512 << 20)
#define SLICE_BYTES_MAX ((size_t)64 << 20)

void fill_init(struct fill *fill, struct store *store, const struct policy *policy, unsigned facets)
{
	*fill = (struct fill){ .store = store, .policy = policy, .facets = facets };
	if ((facets & FACET_MASK(FACET_SCENE)) != 0)
		fill->facets = FACET_MASK_ALL;
	arena_init(&fill->records, RECORDS_BYTES_MAX);
	arena_init(&fill->arena, SLICE_BYTES_MAX);
}

void fill_fini(struct fill *fill)
{
	lookup_fini(&fill->items);
	arena_fini(&fill->records);
	arena_fini(&fill->arena);
}

static enum rc keep(
    struct fill *fill, uint64_t seq, const struct observation *obs, const struct item **out)
{
	struct item *item = arena_alloc(&fill->records, sizeof *item);
	struct item_rest *rest = arena_alloc(&fill->records, sizeof *rest);

	if (item == NULL || rest == NULL)
		return RC_NOMEM;
	item_of_observation(obs, fill->policy, item, rest);
	*out = item;
	return lookup_put(&fill->items, seq, item);
}

/* Of the records that are there already; NULL. */
static const struct item *find(struct fill *fill, uint64_t seq)
{
	const struct item *item = lookup_find(&fill->items, seq);
	const struct observation *had = item == NULL ? store_kept_find(fill->kept, seq) : NULL;

	if (had == NULL || had->tombstone)
		return item;
	return keep(fill, seq, had, &item) == RC_OK ? item : NULL;
}

enum rc fill_item(struct fill *fill, uint64_t seq, const struct item **out, struct errmsg *why)
{
	struct observation obs;

	*out = find(fill, seq);
	if (*out != NULL)
		return RC_OK;
	enum rc rc = store_get_seq(fill->store, seq, &fill->records, &obs, NULL);
	if (rc == RC_CORRUPT || (rc == RC_OK && obs.tombstone))
		return RC_NOTFOUND;
	if (rc != RC_OK)
		return rc == RC_NOTFOUND ? rc : errmsg_rc(why, rc, "a record cannot be fetched");
	/* A block is looked into for as long as its item is there. */
	struct observation *kept = arena_alloc(&fill->records, sizeof *kept);
	if (kept == NULL)
		return RC_NOMEM;
	*kept = obs;
	return keep(fill, seq, kept, out);
}

static size_t missing(
    struct fill *fill, const struct slice_refs *refs, unsigned facets, uint64_t *out)
{
	size_t n = 0;

	for (int facet = 0; facet < FACET_COUNT; facet++) {
		const struct cell *cell = &refs->cells[facet];
		if ((facets & FACET_MASK(facet)) == 0)
			continue;
		for (size_t i = 0; i < cell->values_len; i++) {
			const struct slice_ref *ref = &refs->refs[facet][i];
			if (find(fill, ref->seq) == NULL)
				out[n++] = ref->seq;
			if (ref->next_seq != 0 && find(fill, ref->next_seq) == NULL)
				out[n++] = ref->next_seq;
		}
	}
	return n;
}

enum rc fill_fetch(struct fill *fill, const struct slice_refs *refs, unsigned facets)
{
	size_t most = 0;

	for (int facet = 0; facet < FACET_COUNT; facet++)
		most += 2 * refs->cells[facet].values_len;
	uint64_t *seqs = arena_array(&fill->arena, most + 1, sizeof *seqs);
	if (seqs == NULL)
		return RC_NOMEM;
	size_t n = missing(fill, refs, facets, seqs);
	struct observation *all = arena_array(&fill->records, n + 1, sizeof *all);
	if (all == NULL)
		return RC_NOMEM;
	enum rc rc = store_get_seqs(fill->store, seqs, n, UINT64_MAX, &fill->records, all, NULL);
	if (rc == RC_NOTFOUND || rc == RC_CORRUPT)
		return RC_OK;
	for (size_t i = 0; i < n && rc == RC_OK; i++) {
		const struct item *item;
		if (!all[i].tombstone && lookup_find(&fill->items, seqs[i]) == NULL)
			rc = keep(fill, seqs[i], &all[i], &item);
	}
	return rc;
}

static enum rc blend(struct fill *fill, enum facet facet, const struct slice *slice,
    const struct item *left, const struct item *right, const char **out)
{
	int64_t middle_ns = slice->start_ns + (slice->end_ns - slice->start_ns) / 2;

	if (right->t0_ns <= left->t0_ns)
		return RC_NOTFOUND;
	enum rc rc = fill->policy->rules[facet].blend == POLICY_BLEND_LOCATION
			 ? blend_location(
			       left, right, middle_ns, fill->policy->accuracy_m, &fill->arena, out)
			 : blend_numeric(left, right, middle_ns, &fill->arena, out);
	return rc == RC_OK && *out == NULL ? RC_NOTFOUND : rc;
}

static enum rc fill_value(struct fill *fill, enum facet facet, const struct slice *slice,
    const struct slice_ref *ref, struct cell_value *out, struct errmsg *why)
{
	*out = (struct cell_value){
		.mode = ref->mode,
		.age_ns = ref->age_ns,
		.certainty = ref->certainty,
	};
	enum rc rc = fill_item(fill, ref->seq, &out->item, why);
	if (rc != RC_OK)
		return rc;
	if (ref->next_seq == 0 && out->item->rest->block == NULL)
		return RC_OK;
	struct cell_made *made = arena_alloc(&fill->arena, sizeof *made);
	if (made == NULL)
		return RC_NOMEM;
	*made = (struct cell_made){ .text = ref->next_seq == 0 ? out->item->rest->text : "" };
	out->made = made;
	if (ref->next_seq == 0)
		return sample_of_slice(out->item, facet, slice->start_ns, slice->end_ns,
		    &fill->arena, &made->data_json);
	rc = fill_item(fill, ref->next_seq, &made->next, why);
	if (rc != RC_OK)
		return rc;
	return blend(fill, facet, slice, out->item, made->next, &made->data_json);
}

static enum rc fill_cell(struct fill *fill, enum facet facet, const struct slice *slice,
    const struct slice_refs *refs, struct cell *out, struct errmsg *why)
{
	*out = refs->cells[facet];
	if (out->mode == CELL_ABSENT)
		return RC_OK;
	struct cell_value *values = arena_array(&fill->arena, out->values_len, sizeof *values);
	if (values == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < out->values_len; i++) {
		enum rc rc = fill_value(fill, facet, slice, &refs->refs[facet][i], &values[i], why);
		if (rc != RC_OK)
			return rc;
	}
	out->values = values;
	return RC_OK;
}

enum rc fill_slice(
    struct fill *fill, const struct slice_refs *refs, struct slice *out, struct errmsg *why)
{
	arena_reset(&fill->arena);
	if (fill->records.used_bytes > RECORDS_BYTES_KEPT) {
		lookup_fini(&fill->items);
		arena_reset(&fill->records);
	}
	enum rc rc = fill_fetch(fill, refs, fill->facets);
	if (rc != RC_OK)
		return errmsg_rc(why, rc, "records cannot be fetched");
	out->labels = (struct cell){ .absent_reason = "none" };
	for (int facet = 0; facet < FACET_COUNT; facet++) {
		out->cells[facet] = (struct cell){ .absent_reason = "none" };
		if ((fill->facets & FACET_MASK(facet)) == 0)
			continue;
		rc = fill_cell(fill, (enum facet)facet, out, refs,
		    facet == FACET_SCENE ? &out->labels : &out->cells[facet], why);
		if (rc != RC_OK)
			return rc;
	}
	if ((fill->facets & FACET_MASK(FACET_SCENE)) == 0)
		return RC_OK;
	return scene_derive(out->cells, &out->labels, &fill->arena, &out->cells[FACET_SCENE]);
}
