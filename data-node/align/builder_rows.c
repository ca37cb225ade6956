/*
 * Builder rows: the slices of one stretch built, compared with what is stored,
 * and the rows that differ committed.
 *
 * Where it is known which cells can have changed, only these are made, if need
 * be from no more than what touches their slices or from one track alone, and
 * the others are taken from the rows.
 *
 * Per slice: was it sealed when the first record of this pass touched it?  Then
 * what is stored is the sealed content, and another content is a new version.
 */
#include <stdlib.h>
#include <string.h>

#include "align/builder_inner.h"
#include "align/scene.h"
#include "align/slice_merge.h"
#include "base/clock.h"

/* The first and the last note over a slice. */
struct cover {
	const struct note *first, *last;
};

struct stretch {
	struct builder *builder;
	int64_t from_ns;
	size_t len;                         /* slices */
	struct cover *covers;               /* [len] */
	const struct store_slice_row **old; /* [len], NULL: none; newest version */
	bool *seen;                         /* [len] the window came by */
	struct store_slice_row *rows;       /* [rows_len] to commit */
	size_t rows_len, rows_cap;
	struct arena arena;
	struct arena scratch; /* of the slice at hand */
	struct buf json, row;
	enum rc rc;
	unsigned facets;                 /* whose cells can have changed */
	bool near_only;                  /* and are made from what may touch their slices */
	const struct slice_track *track; /* the only one that has changed; NULL: several */
	bool several;
	struct fill fill; /* of the other ones, from what is stored */
	uint64_t reopened, built, patched, merged;
	const struct store_slice_row *rows_first; /* of the stored ones */
};

static enum rc stretch_init(
    struct stretch *s, struct builder *builder, int64_t from_ns, int64_t to_ns)
{
	*s = (struct stretch){ .builder = builder, .from_ns = from_ns };
	s->len = (size_t)((to_ns - from_ns) / BUILDER_GRID_NS);
	arena_init(&s->arena, PASS_ARENA_BYTES);
	arena_init(&s->scratch, SLICE_ARENA_BYTES);
	buf_init(&s->json, (size_t)256 << 20);
	buf_init(&s->row, STORE_SLICE_ROW_BYTES_MAX);
	s->covers = arena_array(&s->arena, s->len, sizeof *s->covers);
	s->old = arena_array(&s->arena, s->len, sizeof *s->old);
	s->seen = arena_array(&s->arena, s->len, sizeof *s->seen);
	return s->covers == NULL || s->old == NULL || s->seen == NULL ? RC_NOMEM : RC_OK;
}

static void stretch_fini(struct stretch *s)
{
	arena_fini(&s->arena);
	arena_fini(&s->scratch);
	buf_fini(&s->json);
	buf_fini(&s->row);
}

static void cover_track(struct stretch *s, const struct note *note, bool told)
{
	const struct slice_track *track = s->track;

	s->several = s->several || !told || !note->alone ||
		     (track != NULL && track->track != note->track.track);
	s->track = s->several ? NULL : &note->track;
}

static void cover(struct stretch *s)
{
	const struct builder *builder = s->builder;
	int64_t to_ns = s->from_ns + (int64_t)s->len * BUILDER_GRID_NS;

	for (size_t i = 0; i < builder->notes_len; i++) {
		const struct note *note = &builder->notes[i];
		int64_t from = note->touch.from_ns > s->from_ns ? note->touch.from_ns : s->from_ns;
		int64_t to = note->touch.to_ns < to_ns ? note->touch.to_ns : to_ns;
		bool told = note->cause == DIRTY_LATE || note->cause == DIRTY_SUPERSEDED;
		if (from < to)
			cover_track(s, note, told);
		if (from < to) /* of other causes records may have moved, or be gone */
			s->facets |= told ? note->touch.facets : FACET_MASK_ALL;
		for (; from < to; from += BUILDER_GRID_NS) {
			struct cover *c = &s->covers[(from - s->from_ns) / BUILDER_GRID_NS];
			if (c->first == NULL)
				c->first = note;
			c->last = note;
		}
	}
}

static enum rc read_old(struct stretch *s, struct errmsg *why)
{
	struct store_slice_view view;
	int64_t to_ns = s->from_ns + (int64_t)s->len * BUILDER_GRID_NS;

	enum rc rc = store_slice_read(
	    s->builder->store, BUILDER_GRID_S, s->from_ns, to_ns, &s->arena, &view, why);
	s->rows_first = view.rows;
	for (size_t i = 0; rc == RC_OK && i < view.rows_len; i++)
		s->old[(view.rows[i].start_ns - s->from_ns) / BUILDER_GRID_NS] = &view.rows[i];
	return rc;
}

/* ---- one slice --------------------------------------------------------------------- */

static enum rc push_row(
    struct stretch *s, int64_t start_ns, uint64_t version, const struct buf *bytes)
{
	if (s->rows_len == s->rows_cap) {
		size_t cap = s->rows_cap == 0 ? 256 : s->rows_cap * 2;
		struct store_slice_row *rows = arena_array(&s->arena, cap, sizeof *rows);
		if (rows == NULL)
			return RC_NOMEM;
		if (s->rows_len > 0)
			memcpy(rows, s->rows, s->rows_len * sizeof *rows);
		s->rows = rows;
		s->rows_cap = cap;
	}
	struct store_slice_row *row = &s->rows[s->rows_len++];
	*row = (struct store_slice_row){ BUILDER_GRID_S, start_ns, version, NULL, 0 };
	if (bytes == NULL)
		return RC_OK;
	row->bytes = (const uint8_t *)arena_copy(&s->arena, bytes->bytes, bytes->len);
	row->len = bytes->len;
	return row->bytes == NULL ? RC_NOMEM : RC_OK;
}

/* Sealed when `note` came? */
static bool was_sealed(
    const struct slice_head *old, bool has_old, const struct note *note, int64_t end_ns)
{
	return note->cause != 0 && note->closed_ns >= end_ns &&
	       (!has_old || old->round + 2 <= note->round);
}

/* The head of what is stored from now on; false: it stays as it is. */
static bool head_of(const struct cover *cover, int64_t end_ns, const struct slice_head *old,
    bool has_old, struct slice_head *new)
{
	bool sealed = was_sealed(old, has_old, cover->first, end_ns);

	new->round = cover->last->round;
	new->seq = cover->last->seq;
	if (has_old ? memcmp(old->hash, new->hash, SLICE_HASH_BYTES) == 0 : new->empty)
		return false;
	new->base = sealed ? (has_old ? old->version : 1) : old->base;
	memcpy(new->base_hash, sealed ? old->hash : old->base_hash, SLICE_HASH_BYTES);
	if (new->base == 0) {
		new->version = 1;
	} else if (memcmp(new->base_hash, new->hash, SLICE_HASH_BYTES) == 0) {
		new->version = new->base;
	} else {
		bool opens = sealed || old->version <= new->base;
		new->version = new->base + 1;
		new->cause = opens ? cover->first->cause : old->cause;
		new->from_seq = opens ? cover->first->seq : old->from_seq;
		if (new->cause == 0)
			new->cause = DIRTY_LATE;
	}
	return true;
}

/* The sealed version came back: why and when it was opened stays known. */
static void recall_base(
    struct stretch *s, const struct store_slice_row *row, struct slice_head *new)
{
	struct slice_head base;

	if (row == s->rows_first || row[-1].start_ns != row->start_ns ||
	    row[-1].version != new->version ||
	    slice_row_decode(row[-1].bytes, row[-1].len, &s->arena, &base, NULL) != RC_OK)
		return;
	new->cause = base.cause;
	new->from_seq = base.from_seq;
}

static enum rc put(
    struct stretch *s, const struct slice *slice, struct slice_head *head, int64_t start_ns)
{
	buf_reset(&s->row);
	slice_row_encode(head, slice, &s->row);
	if (buf_rc(&s->row) == RC_LIMIT) { /* too much for a row: worked out when asked for */
		head->empty = true;
		buf_reset(&s->row);
		slice_row_encode(head, slice, &s->row);
	}
	enum rc rc = buf_rc(&s->row);
	return rc == RC_OK ? push_row(s, start_ns, head->version, &s->row) : rc;
}

/* `slice` is NULL if nothing stands in it. */
static enum rc settle(struct stretch *s, size_t i, const struct slice *slice)
{
	const struct store_slice_row *row = s->old[i];
	int64_t start_ns = s->from_ns + (int64_t)i * BUILDER_GRID_NS;
	struct slice_head old = { .version = 0 }, new = { .version = 0 };
	enum rc rc = RC_OK;

	if (s->covers[i].first == NULL)
		return RC_OK; /* between two touches */
	s->built++;
	bool has_old =
	    row != NULL && slice_row_decode(row->bytes, row->len, &s->arena, &old, NULL) == RC_OK;
	new.empty = slice == NULL || !slice_has_evidence(slice);
	if (!new.empty)
		rc = slice_hash(slice, s->builder->key, &s->json, new.hash);
	if (rc != RC_OK || !head_of(&s->covers[i], start_ns + BUILDER_GRID_NS, &old, has_old, &new))
		return rc;
	if (new.version > old.version &&new.version > 1)
		s->reopened++;
	if (has_old && old.version > new.version) {
		recall_base(s, row, &new);
		rc = push_row(s, start_ns, old.version, NULL);
	}
	if (rc == RC_OK && new.empty &&new.version == 1)
		rc = push_row(s, start_ns, 1, NULL);
	else if (rc == RC_OK)
		rc = put(s, slice, &new, start_ns);
	return rc;
}

static bool visit(void *ctx, const struct slice *slice)
{
	struct stretch *s = ctx;
	size_t i = (size_t)((slice->start_ns - s->from_ns) / BUILDER_GRID_NS);

	s->seen[i] = true;
	s->rc = settle(s, i, slice);
	return s->rc == RC_OK && !atomic_load(&s->builder->stop_pass);
}

/* ---- some cells of a slice ------------------------------------------------------- */

/* Could it be that only the cells of s->facets have changed?  Then the others
 * can be had from the rows. */
static bool can_patch(struct stretch *s)
{
	struct slice_head head;

	if (s->facets == 0 || (s->facets & FACET_MASK(FACET_SCENE)) != 0)
		return false;
	for (size_t i = 0; i < s->len; i++) {
		const struct store_slice_row *row = s->old[i];
		if (s->covers[i].first == NULL)
			continue;
		if (row == NULL || row->bytes == NULL ||
		    slice_row_decode(row->bytes, row->len, &s->arena, &head, NULL) != RC_OK ||
		    head.empty)
			return false;
	}
	return true;
}

static bool same_value(const struct cell_value *value, const struct slice_ref *ref)
{
	return value->item->seq == ref->seq && cell_value_next_seq(value) == ref->next_seq &&
	       value->mode == ref->mode && value->age_ns == ref->age_ns &&
	       value->certainty == ref->certainty;
}

/* Does the cell say what is stored of it?  A record is never another. */
static bool same_cell(
    const struct cell *cell, const struct cell *stored, const struct slice_ref *refs)
{
	if (cell->mode != stored->mode)
		return false;
	if (cell->mode == CELL_ABSENT)
		return strcmp(cell->absent_reason, stored->absent_reason) == 0;
	if (cell->values_len != stored->values_len || cell->values_total != stored->values_total ||
	    cell->age_ns != stored->age_ns || cell->error_ns != stored->error_ns ||
	    cell->certainty != stored->certainty)
		return false;
	for (size_t i = 0; i < cell->values_len; i++) {
		if (!same_value(&cell->values[i], &refs[i]))
			return false;
	}
	return true;
}

/* `part` has the cells of s->facets.  RC_NOTFOUND: a record of another cell is
 * gone.  RC_AGAIN: more than what is near must be read. */
static enum rc patch(struct stretch *s, size_t i, const struct slice *part)
{
	struct slice whole = { .start_ns = part->start_ns, .end_ns = part->end_ns };
	const struct store_slice_row *row = s->old[i];
	struct slice_refs refs;
	struct slice_head head;
	bool same = true;

	enum rc rc = slice_row_decode(row->bytes, row->len, &s->scratch, &head, &refs);
	if (rc != RC_OK)
		return rc;
	for (int facet = 0; facet < FACET_COUNT; facet++) {
		const struct cell *cell = &part->cells[facet];
		if ((s->facets & FACET_MASK(facet)) == 0)
			continue;
		if (s->near_only &&
		    !slice_cell_is_settled(s->builder->policy, (enum facet)facet, cell))
			return RC_AGAIN;
		same = same && same_cell(cell, &refs.cells[facet], refs.refs[facet]);
	}
	if (same) {
		s->built++;
		return RC_OK;
	}
	rc = fill_slice(&s->fill, &refs, &whole, NULL);
	if (rc != RC_OK)
		return rc;
	for (int facet = 0; facet < FACET_COUNT; facet++) {
		if ((s->facets & FACET_MASK(facet)) != 0)
			whole.cells[facet] = part->cells[facet];
	}
	rc = scene_derive(whole.cells, &whole.labels, &s->fill.arena, &whole.cells[FACET_SCENE]);
	return rc == RC_OK ? settle(s, i, &whole) : rc;
}

/* `part` has the cells of s->facets, of one track alone.  As patch(). */
static enum rc merge(struct stretch *s, size_t i, const struct slice *part)
{
	struct slice whole = { .start_ns = part->start_ns, .end_ns = part->end_ns };
	const struct store_slice_row *row = s->old[i];
	struct slice_refs refs;
	struct slice_head head;
	bool changed = false;

	enum rc rc = slice_row_decode(row->bytes, row->len, &s->scratch, &head, &refs);
	for (int facet = 0; facet < FACET_COUNT && rc == RC_OK; facet++) {
		if ((s->facets & FACET_MASK(facet)) != 0)
			rc = slice_merge_cell(&s->fill, (enum facet)facet, s->track->track,
			    &part->cells[facet], &s->scratch, &refs, &changed);
	}
	if (rc == RC_OK && !changed)
		s->built++;
	if (rc != RC_OK || !changed)
		return rc;
	rc = fill_slice(&s->fill, &refs, &whole, NULL);
	return rc == RC_OK ? settle(s, i, &whole) : rc;
}

static bool visit_part(void *ctx, const struct slice *slice)
{
	struct stretch *s = ctx;
	size_t i = (size_t)((slice->start_ns - s->from_ns) / BUILDER_GRID_NS);

	s->seen[i] = true;
	if (s->covers[i].first != NULL) {
		arena_reset(&s->scratch);
		s->patched++;
		s->merged += s->track != NULL;
		s->rc = s->track != NULL ? merge(s, i, slice) : patch(s, i, slice);
	}
	return s->rc == RC_OK && !atomic_load(&s->builder->stop_pass);
}

/* ---- the stretch -------------------------------------------------------------------- */

static enum rc run_window(struct stretch *s, uint64_t cursor, bool part, struct errmsg *why)
{
	struct slice_query query = { .from_ns = s->from_ns,
		.to_ns = s->from_ns + (int64_t)s->len * BUILDER_GRID_NS,
		.step_ns = BUILDER_GRID_NS,
		.facets = part ? s->facets : FACET_MASK_ALL,
		.as_of_seq = cursor,
		.keep_empty = part,
		.near_only = part && s->near_only,
		.track = part ? s->track : NULL,
		.kept = s->builder->kept,
		.policy = s->builder->policy };

	enum rc rc = slice_build(s->builder->store, &query, part ? visit_part : visit, s, why);
	if (rc == RC_CORRUPT && s->rc == RC_OK)
		rc = RC_OK; /* a record that cannot be read is missing here too */
	if (rc == RC_OK)
		rc = s->rc;
	if (rc == RC_OK && atomic_load(&s->builder->stop_pass))
		rc = RC_CANCELLED;
	return rc;
}

/* As if nothing had been done. */
static void begin_again(struct stretch *s)
{
	s->rc = RC_OK;
	s->rows_len = 0;
	s->built = s->patched = s->merged = s->reopened = 0;
	memset(s->seen, 0, s->len * sizeof *s->seen);
}

/* Do slices look around themselves for what only one track can have changed? */
static bool can_merge(const struct stretch *s)
{
	const struct policy_rule *rules = s->builder->policy->rules;
	bool around = false;

	for (int facet = 0; facet < FACET_COUNT; facet++) {
		const struct policy_rule *rule = &rules[facet];
		if ((s->facets & FACET_MASK(facet)) == 0)
			continue;
		if (rule->best_only)
			return false;
		around = around || !policy_rule_is_inside(rule);
	}
	return s->track != NULL && around;
}

static enum rc build_part(struct stretch *s, uint64_t cursor, struct errmsg *why)
{
	enum rc rc = RC_AGAIN;

	fill_init(&s->fill, s->builder->store, s->builder->policy, FACET_MASK_ALL);
	s->fill.kept = s->builder->kept;
	if (can_merge(s))
		rc = run_window(s, cursor, true, NULL);
	if (rc == RC_AGAIN) {
		begin_again(s);
		s->track = NULL;
		s->fill.facets = FACET_MASK_ALL & ~s->facets;
		s->near_only = true;
		rc = run_window(s, cursor, true, NULL);
	}
	if (rc == RC_AGAIN) {
		begin_again(s);
		s->near_only = false;
		rc = run_window(s, cursor, true, NULL);
	}
	fill_fini(&s->fill);
	if (rc == RC_NOTFOUND)
		begin_again(s);
	else if (rc != RC_OK)
		return errmsg_rc(why, rc, "cells of slices cannot be built");
	return rc;
}

static enum rc build(struct stretch *s, uint64_t cursor, struct errmsg *why)
{
	enum rc rc = can_patch(s) ? build_part(s, cursor, why) : RC_NOTFOUND;

	if (rc == RC_NOTFOUND)
		rc = run_window(s, cursor, false, why);
	for (size_t i = 0; i < s->len && rc == RC_OK; i++) {
		if (!s->seen[i])
			rc = settle(s, i, NULL);
	}
	return rc;
}

enum rc builder_commit(
    struct builder *builder, const struct store_slice_batch *batch, struct errmsg *why)
{
	int64_t start_ns = clock_mono_ns();

	enum rc rc = store_slice_commit(builder->store, batch, why);
	(void)pthread_mutex_lock(&builder->lock);
	builder->stats.commit_ns += (uint64_t)(clock_mono_ns() - start_ns);
	(void)pthread_mutex_unlock(&builder->lock);
	return rc;
}

enum rc builder_build(
    struct builder *builder, int64_t from_ns, int64_t to_ns, uint64_t cursor, struct errmsg *why)
{
	struct stretch s;

	enum rc rc = stretch_init(&s, builder, from_ns, to_ns);
	if (rc == RC_OK)
		rc = read_old(&s, why);
	if (rc == RC_OK) {
		cover(&s);
		rc = build(&s, cursor, why);
	}
	if (s.rows_len > 0)
		episode_build_touched(&builder->episodes, from_ns);
	if (rc == RC_OK && s.rows_len > 0)
		rc = builder_commit(
		    builder, &(struct store_slice_batch){ .rows = s.rows, .n = s.rows_len }, why);
	if (rc == RC_OK) {
		(void)pthread_mutex_lock(&builder->lock);
		builder->stats.built += s.built;
		builder->stats.patched += s.patched;
		builder->stats.merged += s.merged;
		builder->stats.reopened += s.reopened;
		(void)pthread_mutex_unlock(&builder->lock);
	}
	stretch_fini(&s);
	return rc == RC_OK ? rc : errmsg_rc(why, rc, "slices cannot be built");
}
