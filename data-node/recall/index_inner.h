/*
 * Inside of the index: what the files index*.c share, nobody else.
 */
#ifndef RECALL_INDEX_INNER_H
#define RECALL_INDEX_INNER_H

#include "recall/index.h"

#define POSTING_GROUP 128u

/* Where the next group of postings begins, and the last document before it. */
struct index_skip {
	uint32_t doc, at;
};

struct index_term {
	uint32_t hash, text_at, text_len; /* in index->texts */
	uint32_t docs;                    /* that have it, dead ones too */
	uint32_t stretches;               /* that have it, in dead documents too */
	uint32_t last_doc;
	uint32_t len, cap;
	uint32_t saved;           /* bytes that are in segments */
	uint8_t *bytes;           /* varint(document - previous), varint(units); … */
	struct index_skip *skips; /* [docs / POSTING_GROUP], room up to a power of two */
};

struct index_part {
	uint32_t term, units;
};

/* What a posting needs to know of its document: a row of its own, for queries
 * read these all over the place. */
struct index_turn {
	uint32_t units; /* length, all fields; 0 = dead */
	uint32_t stretch;
	uint32_t back; /* documents back to the one it follows; 0: it begins its stretch */
};

struct index_stretch {
	uint32_t docs, units; /* dead ones too */
	uint32_t first, last; /* its documents */
};

/* When documents [n INDEX_SPAN_DOCS, (n + 1) INDEX_SPAN_DOCS) were: all of them within. */
#define INDEX_SPAN_DOCS 1024u
struct index_span {
	int64_t from_ns, to_ns;
};

struct index {
	struct index_term *terms;
	size_t terms_len, terms_cap;
	char *texts;
	size_t texts_len, texts_cap;
	uint32_t *table; /* [table_cap], a power of two: term number + 1, 0 = free */
	size_t table_cap;
	struct index_doc *docs;   /* [docs_len] */
	struct index_turn *turns; /* [docs_len] */
	size_t docs_len, docs_cap, turns_cap, dead;
	struct index_span *spans; /* [spans_cap], filled as far as there are documents */
	size_t spans_cap;
	size_t saved_docs, saved_terms; /* in segments (index_segment.h) */
	uint64_t units_total;
	struct index_stretch *stretches;
	size_t stretches_len, stretches_cap;
	size_t shared_len;     /* stretches of more than one document */
	uint64_t shared_units; /* theirs */
	size_t postings_cap;
	struct index_doc next; /* being added, with its parts */
	struct index_turn next_turn;
	struct index_part *parts;
	size_t parts_len, parts_cap;
	enum rc rc;
};

/* ---- index.c, for index_segment.c ------------------------------------------------------- */
/* Room for `more` documents, or bytes of postings and one posting.  RC_NOMEM. */
enum rc index_reserve_docs(struct index *index, size_t more) RC_CHECK;
enum rc index_reserve_posting(struct index *index, struct index_term *term, size_t more) RC_CHECK;
/* The posting of `doc`, which has its stretch, stands at term->bytes [begin, end), with
 * room for it reserved. */
void index_count_posting(
    const struct index *index, struct index_term *term, uint32_t doc, uint32_t begin, uint32_t end);
/* A term that is new.  RC_EXISTS, RC_LIMIT, RC_NOMEM. */
enum rc index_put_term(struct index *index, const char *text, size_t len) RC_CHECK;
/* Give document `doc`, the next one or one behind it, its stretch; there is room for one. */
void index_join_stretch(struct index *index, uint32_t doc);
/* The rows of the next document are filled, its length counted, its stretch given: it is
 * one. */
void index_put_turn(struct index *index);

/* ---- index_query.c, for the two passes of a query ------------------------------------------- */
struct query_term {
	const struct index_term *term;
	double doc_weight, stretch_weight; /* with how rare it is */
	bool beside;                       /* counts only where another one does */
};

struct query {
	const struct index *index;
	const struct index_range *range;
	double mean_units;          /* of a document */
	double shared_mean_units;   /* of a stretch of several documents */
	struct query_term *terms;   /* [terms_len], those that are `beside` last */
	size_t terms_len, tell_len; /* tell_len: not `beside` */
};

static inline double index_bm25(double often, double length)
{
	return often * (INDEX_K1 + 1) / (often + INDEX_K1 * (1 - INDEX_B + INDEX_B * length));
}

/* index_filter.c: stretches outside of which none of the `k` best documents stands, a
 * bit for each in `wanted` [stretches_len / 64 + 1], zeros before.  RC_NOMEM. */
enum rc index_filter(const struct query *query, size_t k, uint64_t *wanted) RC_CHECK;
/* index_exact.c: the `k` best documents of these stretches, as index_query() has them. */
enum rc index_exact(const struct query *query, const uint64_t *wanted, struct index_hit *hits,
    size_t k, size_t *found) RC_CHECK;

#endif
