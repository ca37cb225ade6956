/*
 * Filter: which stretches the best k documents can stand in, by bounds.
 *
 * BM25 gives a term at most (k1 + 1) times its weight.  Once k documents are known to
 * reach some score, those that have only frequent terms, themselves and in what
 * follows them, can not: only documents with one of the other terms, the essential
 * ones, and those before them are looked at, and of frequent terms only postings near
 * these are read.  (The idea is MaxScore, Turtle and Flood 1995.)  What a document's
 * stretch adds is bounded, not computed, by which of the rare terms it has; so is what
 * the next document adds where it has no essential term.
 *
 * Blocks of documents, last one first: what the next document says is known then.
 * Sums are of floats, their rounding is allowed for.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "recall/best.h"
#include "recall/posting.h"

#define BLOCK ((size_t)2048) /* documents; a multiple of INDEX_SPAN_DOCS */
#define MOST (INDEX_K1 + 1)  /* of index_bm25() */
#define ROUNDING 1e-4        /* of sums, relative */
#define RARE 32u             /* a rare term is in one of so many documents at most */
#define BITS 8u              /* of a mask of heavy terms; the last is for all others */

/* What a document in a later block says of one in an earlier block. */
struct carry {
	uint32_t doc;
	double score;
};

struct candidate {
	uint32_t doc;
	float most;
};

struct filter {
	const struct query *query;
	size_t blocks_len;
	uint64_t *present; /* [terms_len][words]: blocks that have the term, all ones if frequent */
	size_t words;      /* blocks_len / 64 + 1 */
	size_t *heavy;     /* [tell_len]: terms that are not `beside`, heaviest first */
	/* What stretches of several documents have: bits of rare terms; what these add
	 * at most, by mask, with what all frequent ones do. */
	uint8_t *stretch_masks; /* [stretches_len] */
	uint8_t *block_masks;   /* [blocks_len]: of any stretch that reaches into it */
	double stretch_most[1 << BITS];
	double unseen; /* most weight of terms that were not looked for in some later block */
	double single_least, single_most; /* a stretch of one document: of its own score */
	struct best floor;                /* the k best of what documents have at least */
	struct candidate *candidates;
	size_t candidates_len, candidates_cap;
	struct carry *carries;
	size_t carries_len, carries_cap;
	/* Of the block. */
	size_t block, first, len;
	double open_most; /* what its documents have at most beside their sums, a bit less */
	size_t *here;     /* [here_len]: of `heavy` those that are present */
	double *rests;    /* [here_len + 1]: the weight of all others if so many are essential */
	size_t here_len;
	uint8_t essential[BLOCK]; /* has an essential term */
	uint8_t before[BLOCK];    /* comes before one that has */
	uint16_t list[BLOCK + 8]; /* [list_len]: either */
	size_t list_len;
	float norms[BLOCK]; /* of a document's length, as BM25 has it; dead: infinite */
	double sums[BLOCK], nexts[BLOCK];
};

/* What k documents reach at least. */
static double floor_of(const struct filter *filter)
{
	return filter->floor.len == filter->floor.k ? filter->floor.hits[0].score : 0;
}

static double greater(double a, double b)
{
	return a > b ? a : b;
}

/* ---- marks ------------------------------------------------------------------------------ */

static bool is_present(const struct filter *filter, size_t term)
{
	return filter->present[term * filter->words + filter->block / 64] >> filter->block % 64 & 1;
}

static void find_heavy(struct filter *filter)
{
	const struct query *query = filter->query;

	filter->here_len = 0;
	for (size_t i = 0; i < query->tell_len; i++) {
		if (is_present(filter, filter->heavy[i]))
			filter->here[filter->here_len++] = filter->heavy[i];
	}
	filter->rests[filter->here_len] = 0;
	for (size_t i = query->tell_len; i < query->terms_len; i++)
		filter->rests[filter->here_len] += query->terms[i].doc_weight;
	for (size_t i = filter->here_len; i-- > 0;)
		filter->rests[i] = filter->rests[i + 1] + query->terms[filter->here[i]].doc_weight;
}

/* How many of the heavy terms are essential to a block whose documents count `lift`
 * times; 0: only what later documents say of some can bring these among the best. */
static size_t count_essential(struct filter *filter, double lift)
{
	double stretch = filter->stretch_most[filter->block_masks[filter->block]];

	for (size_t n = 0; n < filter->here_len; n++) {
		double rest = filter->rests[n], next = greater(filter->unseen, rest);
		double most = MOST * (rest + INDEX_NEXT_WEIGHT * next) +
			      greater(stretch, filter->single_most * MOST * rest);
		if (most * (1 + ROUNDING) * lift >= floor_of(filter))
			continue;
		filter->unseen = next;
		return n;
	}
	return filter->here_len;
}

/* The documents that have it, and those before them; dead ones too. */
static void mark_term(struct filter *filter, const struct index_term *term)
{
	const struct index_turn *turns = filter->query->index->turns + filter->first;
	size_t groups = posting_groups(term), end = filter->first + filter->len;

	for (size_t group = posting_group_of(term, (uint32_t)filter->first); group < groups;
	     group++) {
		struct posting posting = posting_open(term, group);
		while (posting_next(&posting)) {
			if (posting.doc >= end)
				return;
			if (posting.doc < filter->first)
				continue;
			size_t at = posting.doc - filter->first;
			filter->essential[at] = 1;
			if (turns[at].back <= at) /* 0: itself */
				filter->before[at - turns[at].back] = 1;
		}
	}
}

/* Later documents that come after one of this block. */
static void mark_carries(struct filter *filter)
{
	for (size_t i = 0; i < filter->carries_len; i++) {
		if (filter->carries[i].doc >= filter->first)
			filter->before[filter->carries[i].doc - filter->first] = 1;
	}
}

/* What they say, where they are listed. */
static void take_carries(struct filter *filter)
{
	size_t kept = 0;

	for (size_t i = 0; i < filter->carries_len; i++) {
		struct carry carry = filter->carries[i];
		if (carry.doc >= filter->first)
			filter->nexts[carry.doc - filter->first] += carry.score;
		else
			filter->carries[kept++] = carry;
	}
	filter->carries_len = kept;
}

static bool is_marked(const struct filter *filter, size_t at)
{
	return filter->essential[at] | filter->before[at];
}

static void list_marked(struct filter *filter)
{
	const struct query *query = filter->query;
	const struct index_turn *turns = query->index->turns + filter->first;
	const float of_length = (float)(INDEX_K1 * INDEX_B / query->mean_units);
	size_t n = 0;

	for (size_t at = 0; at < filter->len; at += 8) { /* marks behind the last one are 0 */
		uint64_t essential, before;
		memcpy(&essential, &filter->essential[at], sizeof essential);
		memcpy(&before, &filter->before[at], sizeof before);
		for (size_t i = 0; i < 8 && (essential | before) != 0; i++) {
			filter->list[n] = (uint16_t)(at + i);
			n += is_marked(filter, at + i);
		}
	}
	filter->list_len = n;
	for (size_t i = 0; i < n; i++) {
		size_t at = filter->list[i];
		uint32_t units = turns[at].units;
		filter->norms[at] =
		    units == 0 ? INFINITY
			       : (float)(INDEX_K1 * (1 - INDEX_B)) + of_length * (float)units;
		filter->sums[at] = filter->nexts[at] = 0;
	}
}

/* ---- sums ------------------------------------------------------------------------------- */

static void sum_group(struct filter *filter, const struct query_term *term, struct posting posting)
{
	const float weight = (float)(term->doc_weight * MOST);

	while (posting_next(&posting)) {
		size_t at = posting.doc - filter->first; /* before the first: far beyond */
		if (at >= filter->len || !is_marked(filter, at) ||
		    (term->beside && filter->sums[at] == 0))
			continue;
		float often = (float)posting.units / INDEX_UNITS;
		filter->sums[at] += (double)(weight * often / (often + filter->norms[at]));
	}
}

/* Of groups that none of the listed documents is in, nothing is read. */
static void sum_term(struct filter *filter, const struct query_term *term)
{
	const struct index_term *of = term->term;
	size_t i = 0, groups = posting_groups(of);
	uint32_t next = (uint32_t)(filter->first + filter->list[0]);

	for (size_t group = posting_group_of(of, next); group < groups; group++) {
		uint32_t end = group + 1 == groups ? of->last_doc : of->skips[group].doc;
		if (next > end)
			continue;
		sum_group(filter, term, posting_open(of, group));
		while (i < filter->list_len && filter->first + filter->list[i] <= end)
			i++;
		if (i == filter->list_len)
			return;
		next = (uint32_t)(filter->first + filter->list[i]);
	}
}

/* ---- candidates ------------------------------------------------------------------------- */

static enum rc push_carry(struct filter *filter, uint32_t doc, double score)
{
	if (filter->carries_len == filter->carries_cap) {
		size_t cap = filter->carries_cap * 2 + 64;
		struct carry *bigger = realloc(filter->carries, cap * sizeof *bigger);
		if (bigger == NULL)
			return RC_NOMEM;
		filter->carries = bigger;
		filter->carries_cap = cap;
	}
	filter->carries[filter->carries_len++] = (struct carry){ doc, score };
	return RC_OK;
}

/* What it says of the document it follows. */
static enum rc tell_before(struct filter *filter, size_t at)
{
	uint32_t back = filter->query->index->turns[filter->first + at].back;
	double score = INDEX_NEXT_WEIGHT * filter->sums[at];

	if (back == 0 || score <= 0)
		return RC_OK;
	if (back <= at)
		filter->nexts[at - back] += score;
	else if (filter->essential[at])
		return push_carry(filter, (uint32_t)(filter->first + at) - back, score);
	return RC_OK;
}

static enum rc push_candidate(struct filter *filter, uint32_t doc, double most)
{
	size_t kept = 0;

	if (filter->candidates_len == filter->candidates_cap) {
		for (size_t i = 0; i < filter->candidates_len; i++) {
			if ((double)filter->candidates[i].most >= floor_of(filter))
				filter->candidates[kept++] = filter->candidates[i];
		}
		filter->candidates_len = kept;
	}
	if (kept > filter->candidates_cap / 2 || filter->candidates_cap == 0) {
		size_t cap = filter->candidates_cap * 2 + 1024;
		struct candidate *bigger = realloc(filter->candidates, cap * sizeof *bigger);
		if (bigger == NULL)
			return RC_NOMEM;
		filter->candidates = bigger;
		filter->candidates_cap = cap;
	}
	filter->candidates[filter->candidates_len++] = (struct candidate){ doc, (float)most };
	return RC_OK;
}

/* Between what and what its score lies; false: it has none. */
static bool bound(const struct filter *filter, size_t at, double *least, double *most)
{
	const struct index *index = filter->query->index;
	const struct index_turn *turn = &index->turns[filter->first + at];
	double sum = filter->sums[at] + filter->nexts[at];
	double stretch = filter->stretch_most[filter->stretch_masks[turn->stretch]];

	if (sum <= 0 || turn->units == 0) /* dead: what follows it may still speak of it */
		return false;
	*least = sum;
	if (index->stretches[turn->stretch].docs == 1) {
		*least += filter->single_least * sum;
		stretch = filter->single_most * sum;
	} else if (filter->nexts[at] == 0) {
		sum += INDEX_NEXT_WEIGHT * MOST * filter->unseen;
	}
	*least *= 1 - ROUNDING;
	*most = (sum + stretch) * (1 + ROUNDING);
	return true;
}

static enum rc offer(struct filter *filter, size_t at, double lift)
{
	const struct index_range *range = filter->query->range;
	uint32_t doc = (uint32_t)(filter->first + at);
	double least, most;

	if ((filter->sums[at] + filter->nexts[at]) * (1 + filter->single_most) + filter->open_most <
	    floor_of(filter) / lift)
		return RC_OK;
	if (!bound(filter, at, &least, &most) || most * lift < floor_of(filter))
		return RC_OK;
	if (range->set && !index_in_range(&filter->query->index->docs[doc], range)) {
		if (range->lift == 0 || most < floor_of(filter))
			return RC_OK;
	} else {
		least *= lift;
		most *= lift;
	}
	best_offer(&filter->floor, (struct index_hit){ .doc = doc, .score = least });
	return push_candidate(filter, doc, most);
}

/* ---- blocks ----------------------------------------------------------------------------- */

/* None of its documents is in the range; what they say of others stays open. */
static void skip(struct filter *filter)
{
	filter->unseen = greater(filter->unseen, filter->rests[0]);
	take_carries(filter);
}

static enum rc look(struct filter *filter, double lift)
{
	const struct query *query = filter->query;
	enum rc rc = RC_OK;

	size_t essential = count_essential(filter, lift);
	memset(filter->essential, 0, sizeof filter->essential);
	memset(filter->before, 0, sizeof filter->before);
	filter->open_most =
	    (1 + ROUNDING) * (INDEX_NEXT_WEIGHT * MOST * filter->unseen +
				 filter->stretch_most[filter->block_masks[filter->block]]);
	for (size_t i = 0; i < essential; i++)
		mark_term(filter, query->terms[filter->here[i]].term);
	mark_carries(filter);
	list_marked(filter);
	take_carries(filter);
	if (filter->list_len == 0)
		return RC_OK;
	for (size_t i = 0; i < query->terms_len; i++) {
		if (is_present(filter, i))
			sum_term(filter, &query->terms[i]);
	}
	for (size_t i = filter->list_len; i-- > 0 && rc == RC_OK;) {
		rc = tell_before(filter, filter->list[i]);
		if (rc == RC_OK)
			rc = offer(filter, filter->list[i], lift);
	}
	return rc;
}

static enum rc look_at_all(struct filter *filter)
{
	const struct index *index = filter->query->index;
	const struct index_range *range = filter->query->range;
	size_t end = index->docs_len;
	enum rc rc = RC_OK;

	while (end > 0 && rc == RC_OK) {
		filter->block = (end - 1) / BLOCK;
		filter->first = filter->block * BLOCK;
		filter->len = end - filter->first;
		find_heavy(filter);
		end = filter->first;
		double lift = range->set && range->lift > 0 ? range->lift : 1;
		if (index_span_in_range(index, filter->first, filter->len, range))
			rc = look(filter, lift);
		else if (range->lift > 0)
			rc = look(filter, 1);
		else
			skip(filter);
	}
	return rc;
}

/* ---- what is there ------------------------------------------------------------------------ */

/* `bit` of the stretch that the document is in with others. */
static void mark_stretch(struct filter *filter, uint32_t doc, unsigned bit)
{
	const struct index *index = filter->query->index;
	uint32_t number = index->turns[doc].stretch;
	const struct index_stretch *stretch = &index->stretches[number];

	if ((filter->stretch_masks[number] >> bit & 1) || stretch->docs == 1)
		return;
	filter->stretch_masks[number] |= (uint8_t)(1u << bit);
	for (size_t i = stretch->first / BLOCK; i <= stretch->last / BLOCK; i++)
		filter->block_masks[i] |= (uint8_t)(1u << bit);
}

/* Where a term is; `bit`: of stretches that have it, BITS: none. */
static void find_term(struct filter *filter, size_t number, unsigned bit)
{
	const struct index_term *term = filter->query->terms[number].term;
	uint64_t *present = filter->present + number * filter->words;

	if (term->docs > filter->query->index->docs_len / RARE) {
		memset(present, 0xFF, filter->words * sizeof *present);
		return;
	}
	for (size_t group = 0; group < posting_groups(term); group++) {
		struct posting posting = posting_open(term, group);
		while (posting_next(&posting)) {
			size_t block = posting.doc / BLOCK;
			present[block / 64] |= UINT64_C(1) << block % 64;
			if (bit < BITS)
				mark_stretch(filter, posting.doc, bit);
		}
	}
}

static void sort_heavy(struct filter *filter)
{
	const struct query_term *terms = filter->query->terms;

	for (size_t i = 0; i < filter->query->tell_len; i++) {
		size_t at = i;
		for (; at > 0 && terms[filter->heavy[at - 1]].doc_weight < terms[i].doc_weight;
		     at--)
			filter->heavy[at] = filter->heavy[at - 1];
		filter->heavy[at] = i;
	}
}

static void weigh(struct filter *filter)
{
	const struct query *query = filter->query;
	double least = 1e9, most = 0, frequent = 0, masked[BITS] = { 0 };

	sort_heavy(filter);
	for (size_t i = 0; i < query->terms_len; i++) {
		size_t number = i < query->tell_len ? filter->heavy[i] : i;
		const struct query_term *term = &query->terms[number];
		unsigned bit = i < BITS - 1 ? (unsigned)i : BITS - 1;
		find_term(filter, number, i < query->tell_len ? bit : BITS);
		if (i >= query->tell_len)
			continue;
		double weight = INDEX_STRETCH_WEIGHT * MOST * term->stretch_weight;
		if (term->term->docs > query->index->docs_len / RARE)
			frequent += weight;
		else
			masked[bit] += weight;
		double share = term->doc_weight > 0 ? term->stretch_weight / term->doc_weight : 0;
		least = share < least ? share : least;
		most = greater(most, share);
	}
	for (size_t mask = 0; mask < 1u << BITS; mask++) {
		filter->stretch_most[mask] = frequent;
		for (unsigned bit = 0; bit < BITS; bit++)
			filter->stretch_most[mask] += mask >> bit & 1 ? masked[bit] : 0;
	}
	filter->single_most = INDEX_STRETCH_WEIGHT * most;
	filter->single_least =
	    query->terms_len > query->tell_len ? 0 : INDEX_STRETCH_WEIGHT * least;
}

static enum rc filter_init(struct filter *filter, const struct query *query, size_t k)
{
	const struct index *index = query->index;

	filter->query = query;
	filter->blocks_len = index->docs_len / BLOCK + 1;
	filter->words = filter->blocks_len / 64 + 1;
	filter->present = calloc(query->terms_len * filter->words, sizeof *filter->present);
	filter->heavy = calloc(query->tell_len, sizeof *filter->heavy);
	filter->stretch_masks = calloc(index->stretches_len, sizeof *filter->stretch_masks);
	filter->block_masks = calloc(filter->blocks_len, sizeof *filter->block_masks);
	filter->here = calloc(query->tell_len, sizeof *filter->here);
	filter->rests = calloc(query->tell_len + 1, sizeof *filter->rests);
	filter->floor = (struct best){ .index = index, .k = k };
	filter->floor.hits = calloc(k, sizeof *filter->floor.hits);
	return filter->present == NULL || filter->heavy == NULL || filter->stretch_masks == NULL ||
		       filter->block_masks == NULL || filter->here == NULL ||
		       filter->rests == NULL || filter->floor.hits == NULL
		   ? RC_NOMEM
		   : RC_OK;
}

static void filter_free(struct filter *filter)
{
	if (filter == NULL)
		return;
	free(filter->present);
	free(filter->heavy);
	free(filter->stretch_masks);
	free(filter->block_masks);
	free(filter->here);
	free(filter->rests);
	free(filter->floor.hits);
	free(filter->candidates);
	free(filter->carries);
	free(filter);
}

enum rc index_filter(const struct query *query, size_t k, uint64_t *wanted)
{
	if (query->tell_len == 0)
		return RC_OK;
	struct filter *filter = calloc(1, sizeof *filter);
	enum rc rc = filter == NULL ? RC_NOMEM : filter_init(filter, query, k);
	if (rc == RC_OK) {
		weigh(filter);
		rc = look_at_all(filter);
	}
	for (size_t i = 0; rc == RC_OK && i < filter->candidates_len; i++) {
		uint32_t stretch = query->index->turns[filter->candidates[i].doc].stretch;
		if ((double)filter->candidates[i].most >= floor_of(filter))
			wanted[stretch / 64] |= UINT64_C(1) << stretch % 64;
	}
	filter_free(filter);
	return rc;
}
