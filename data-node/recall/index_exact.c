/*
 * Exact: every score of the documents in some stretches, then the best k.
 *
 * The stretches are few, and all of their documents are looked at, so nothing of a
 * score is left open: own words, what the next document says, the stretch.  A term
 * at a time, in the order of the question, its postings merged with the documents.
 */
#include <stdlib.h>

#include "recall/best.h"
#include "recall/posting.h"

struct row {
	double score;
	uint32_t doc;
	uint32_t place; /* of its stretch among those wanted */
};

struct place {
	double score;
	uint32_t often; /* units of one term; 0 between terms */
	uint32_t stretch;
};

struct exact {
	const struct query *query;
	const uint64_t *wanted;
	uint32_t *places_before; /* [stretches_len / 64 + 1]: wanted in words before this one */
	struct row *rows;        /* [rows_len], by document */
	size_t rows_len;
	struct place *places; /* [places_len], by stretch */
	size_t places_len;
};

/* ---- rows ------------------------------------------------------------------------------- */

static bool is_wanted(const struct exact *exact, uint32_t stretch)
{
	return exact->wanted[stretch / 64] >> stretch % 64 & 1;
}

static uint32_t place_of(const struct exact *exact, uint32_t stretch)
{
	uint64_t below = exact->wanted[stretch / 64] & ((UINT64_C(1) << stretch % 64) - 1);

	return exact->places_before[stretch / 64] + (uint32_t)__builtin_popcountll(below);
}

static enum rc find_places(struct exact *exact)
{
	const struct index *index = exact->query->index;
	size_t words = index->stretches_len / 64 + 1, rows = 0, n = 0;

	exact->places_before = calloc(words, sizeof *exact->places_before);
	if (exact->places_before == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < words; i++) {
		exact->places_before[i] = (uint32_t)exact->places_len;
		exact->places_len += (size_t)__builtin_popcountll(exact->wanted[i]);
	}
	exact->places = calloc(exact->places_len + 1, sizeof *exact->places);
	if (exact->places == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < words; i++) {
		for (uint64_t left = exact->wanted[i]; left != 0; left &= left - 1) {
			uint32_t stretch = (uint32_t)(i * 64 + (size_t)__builtin_ctzll(left));
			exact->places[n++].stretch = stretch;
			rows += index->stretches[stretch].docs;
		}
	}
	exact->rows = calloc(rows + 1, sizeof *exact->rows);
	return exact->rows == NULL ? RC_NOMEM : RC_OK;
}

/* The documents of all wanted stretches: these begin in the order of their numbers, and
 * where none that has begun goes on, the first of the next one is the next. */
static void find_rows(struct exact *exact)
{
	const struct index *index = exact->query->index;
	size_t begun = 0, open = 0;

	for (uint32_t doc = 0; open > 0 || begun < exact->places_len; doc++) {
		if (open == 0)
			doc = index->stretches[exact->places[begun].stretch].first;
		uint32_t stretch = index->turns[doc].stretch;
		if (!is_wanted(exact, stretch))
			continue;
		uint32_t place = place_of(exact, stretch);
		if (place == begun) {
			open += index->stretches[stretch].docs;
			begun++;
		}
		exact->rows[exact->rows_len++] = (struct row){ .doc = doc, .place = place };
		open--;
	}
}

/* ---- scores ----------------------------------------------------------------------------- */

static void add_posting(struct exact *exact, const struct query_term *term,
    const struct posting *posting, struct row *row)
{
	const struct index_turn *turn = &exact->query->index->turns[posting->doc];
	double often = (double)posting->units / INDEX_UNITS;

	if (turn->units == 0 || (term->beside && row->score == 0))
		return;
	row->score +=
	    term->doc_weight * index_bm25(often, (double)turn->units / exact->query->mean_units);
	if (!term->beside)
		exact->places[row->place].often += posting->units;
}

static void end_term(struct exact *exact, const struct query_term *term)
{
	const struct query *query = exact->query;

	for (size_t i = 0; i < exact->places_len && !term->beside; i++) {
		struct place *place = &exact->places[i];
		const struct index_stretch *stretch = &query->index->stretches[place->stretch];
		double mean = stretch->docs > 1 ? query->shared_mean_units : query->mean_units;
		double often = (double)place->often / INDEX_UNITS;
		place->score +=
		    term->stretch_weight * index_bm25(often, (double)stretch->units / mean);
		place->often = 0;
	}
}

static void add_term(struct exact *exact, const struct query_term *term)
{
	size_t group = 0, row = 0;

	while (row < exact->rows_len) {
		size_t ahead = posting_group_of(term->term, exact->rows[row].doc);
		group = ahead > group ? ahead : group;
		if (group == posting_groups(term->term))
			break;
		struct posting posting = posting_open(term->term, group++);
		while (row < exact->rows_len && posting_next(&posting)) {
			while (row < exact->rows_len && exact->rows[row].doc < posting.doc)
				row++;
			if (row < exact->rows_len && exact->rows[row].doc == posting.doc)
				add_posting(exact, term, &posting, &exact->rows[row++]);
		}
	}
	end_term(exact, term);
}

static struct row *find_row(const struct exact *exact, size_t end, uint32_t doc)
{
	size_t low = 0;

	while (low < end) {
		size_t mid = low + (end - low) / 2;
		if (exact->rows[mid].doc < doc)
			low = mid + 1;
		else
			end = mid;
	}
	return &exact->rows[low];
}

/* What the next document says of each.  That one comes later here: its own score
 * is still what its words gave it. */
static void add_next(struct exact *exact)
{
	for (size_t i = 0; i < exact->rows_len; i++) {
		const struct row *row = &exact->rows[i];
		uint32_t back = exact->query->index->turns[row->doc].back;
		if (row->score > 0 && back > 0)
			find_row(exact, i, row->doc - back)->score +=
			    INDEX_NEXT_WEIGHT * row->score;
	}
}

static size_t best_of(const struct exact *exact, struct index_hit *hits, size_t k)
{
	const struct index *index = exact->query->index;
	const struct index_range *range = exact->query->range;
	double lift = range->set && range->lift > 0 ? range->lift : 1;
	struct best best = { .index = index, .hits = hits, .k = k };

	for (size_t i = 0; i < exact->rows_len; i++) {
		const struct row *row = &exact->rows[i];
		if (row->score <= 0 || index->turns[row->doc].units == 0)
			continue;
		struct index_hit hit = { .doc = row->doc,
			.score =
			    row->score + INDEX_STRETCH_WEIGHT * exact->places[row->place].score };
		if (best_is_beaten(&best, hit.score * lift))
			continue;
		bool inside = index_in_range(&index->docs[row->doc], range);
		if (!inside && range->lift == 0)
			continue;
		if (inside)
			hit.score *= lift;
		best_offer(&best, hit);
	}
	best_sort(&best);
	return best.len;
}

enum rc index_exact(const struct query *query, const uint64_t *wanted, struct index_hit *hits,
    size_t k, size_t *found)
{
	struct exact exact = { .query = query, .wanted = wanted };

	enum rc rc = find_places(&exact);
	if (rc == RC_OK) {
		find_rows(&exact);
		for (size_t i = 0; i < query->terms_len; i++)
			add_term(&exact, &query->terms[i]);
		add_next(&exact);
		*found = best_of(&exact, hits, k);
	}
	free(exact.places_before);
	free(exact.places);
	free(exact.rows);
	return rc;
}
