/*
 * Index: an inverted index with BM25, in memory.
 *
 * reference: recall-and-training §1 (k1 1.2, b .75).  A document is a set of
 * weighted terms; weights count in units of 1/INDEX_UNITS of an occurrence, so
 * that fields of a document weigh differently in one length.  Postings are
 * byte streams of (document step, units).  Dead documents leave the results
 * but stay in the counts until a rebuild: of documents that have a term, and of
 * stretches.  Not thread-safe by itself.
 *
 * Documents that follow each other, as the turns of a conversation do, make a
 * stretch.  What a question names lies scattered over one: a document counts
 * for more if its stretch as a whole matches, and a little if the next one does.
 */
#ifndef RECALL_INDEX_H
#define RECALL_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"

#define INDEX_UNITS 4
#define INDEX_K1 1.2
#define INDEX_B 0.75
#define INDEX_DOCS_MAX ((uint32_t)1 << 30)
#define INDEX_STRETCH_WEIGHT 0.35 /* of the stretch's own score */
#define INDEX_NEXT_WEIGHT 0.3     /* of the score of the next document in the stretch */

struct index;

struct index_doc {
	uint64_t seq;
	int64_t t0_ns;
	uint32_t span_s; /* t1 - t0, rounded up */
};

enum rc index_new(struct index **out) RC_CHECK;
void index_free(struct index *index);

/*
 * One document: begin, its terms (the same one may come often), end.  Seqs
 * rise.  Errors stick until index_end(), which then adds nothing: RC_NOMEM,
 * RC_LIMIT.
 */
void index_begin(struct index *index, uint64_t seq, int64_t t0_ns, int64_t t1_ns);
void index_add(struct index *index, const char *term, size_t len, uint32_t units);
void index_add_number(struct index *index, uint32_t term, uint32_t units);
enum rc index_end(struct index *index) RC_CHECK;

/* The document that has begun follows document `doc` (a place in index_docs()), which
 * no other follows; without this call it begins a stretch of its own. */
void index_follow(struct index *index, uint32_t doc);

/* Number of a term that is known, or UINT32_MAX. */
uint32_t index_find(const struct index *index, const char *term, size_t len);

/* How rare a term is, as BM25 has it; unknown: the rarest. */
double index_rarity(const struct index *index, const char *term, size_t len);

/* Take the document of `seq` out of every result; unknown seqs are fine. */
void index_kill(struct index *index, uint64_t seq);

/* The place of the document of `seq`, or where it would be; false: there is none. */
bool index_find_doc(const struct index *index, uint64_t seq, uint32_t *doc);
void index_kill_doc(struct index *index, uint32_t doc);
/* Document `doc` lies elsewhere; its words stay. */
void index_move(struct index *index, uint32_t doc, int64_t t0_ns, int64_t t1_ns);

size_t index_docs_len(const struct index *index);
size_t index_terms_len(const struct index *index);
const struct index_doc *index_docs(const struct index *index); /* [docs_len], by seq */
/* Length of a document, all fields, at its place in index_docs(); 0: it is dead. */
uint32_t index_units(const struct index *index, size_t doc);
uint32_t index_stretch(const struct index *index, size_t doc); /* number of its stretch */

struct index_query_term {
	const char *text;
	size_t len;
	double weight;
};

struct index_range {
	bool set;
	int64_t from_ns, to_ns; /* documents that intersect [from, to) */
	double lift;            /* 0: no others; else (at least 1) they count so many times */
};
bool index_in_range(const struct index_doc *doc, const struct index_range *range);
/* False: none of documents [doc, doc + len) is in the range; by the spans of many at once. */
bool index_span_in_range(
    const struct index *index, size_t doc, size_t len, const struct index_range *range);
/* A living document in the range has the term.  O(its postings). */
bool index_has_in_range(
    const struct index *index, const char *text, size_t len, const struct index_range *range);
/* The first document from `doc` on that is in the range, dead or not; index_docs_len(): none. */
size_t index_next_in_range(const struct index *index, size_t doc, const struct index_range *range);

struct index_hit {
	uint32_t doc; /* place in index_docs() */
	double score;
};

/*
 * The `k` best documents within `range`, best first, ties by (t0, seq); hits
 * [k], returns how many, or -1 on no memory.  A document must have one of the
 * first `telling_len` terms (0: of any), or be followed by one that has; the
 * others only add to its score.  Weights are not negative.  O(postings), of frequent
 * terms fewer (index_filter.c); any number of threads as long as nobody writes.
 */
long index_query(const struct index *index, const struct index_query_term *terms, size_t terms_len,
    size_t telling_len, const struct index_range *range, struct index_hit *hits, size_t k);

/*
 * How much of what the terms ask for stands in one of `docs` [docs_len ≤
 * INDEX_SUPPORT_DOCS_MAX], the document that follows it, or what its neighbours
 * lend it: 0 to 1, by the square of how rare each term is; one that no document
 * has counts as the rarest.  `related` NULL: only the words themselves.  O(terms);
 * with related words, which are looked for of the first few terms, O(terms of the index).
 */
#define INDEX_SUPPORT_DOCS_MAX ((size_t)8)
struct index_related {
	double below;   /* where it is less: words that are made of each other count as one */
	bool compounds; /* of such at the end, too, as in German */
};
double index_support(const struct index *index, const struct index_query_term *terms,
    size_t terms_len, const uint32_t *docs, size_t docs_len, const struct index_related *related);

struct index_stats {
	size_t docs, dead, terms, postings_bytes, bytes; /* bytes: all of it */
};
void index_get_stats(const struct index *index, struct index_stats *out);

/* A checksum of everything that decides results: equal logs give equal ones. */
uint64_t index_checksum(const struct index *index);

#endif
