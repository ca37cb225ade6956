/*
 * Index: an inverted index with BM25, in memory.
 *
 * reference: recall-and-training §1 (k1 1.2, b .75).  A document is a set of
 * weighted terms; weights count in units of 1/INDEX_UNITS of an occurrence, so
 * that fields of a document weigh differently in one length.  Postings are
 * byte streams of (document step, units).  Dead documents leave the results
 * but stay in the counts until a rebuild.  Not thread-safe by itself.
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

struct index;

struct index_doc {
	uint64_t seq;
	int64_t t0_ns;
	uint32_t span_s; /* t1 - t0, rounded up */
	uint32_t units;  /* length, all fields; 0 = dead */
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

/* Number of a term that is known, or UINT32_MAX. */
uint32_t index_find(const struct index *index, const char *term, size_t len);

/* Take the document of `seq` out of every result; unknown seqs are fine. */
void index_kill(struct index *index, uint64_t seq);

size_t index_docs_len(const struct index *index);
const struct index_doc *index_docs(const struct index *index); /* [docs_len], by seq */

struct index_query_term {
	const char *text;
	size_t len;
	double weight;
};

struct index_range {
	bool set;
	int64_t from_ns, to_ns; /* documents that intersect [from, to) */
};
bool index_in_range(const struct index_doc *doc, const struct index_range *range);

struct index_hit {
	uint32_t doc; /* place in index_docs() */
	double score;
};

/*
 * The `k` best documents within `range`, best first, ties by (t0, seq); hits
 * [k], returns how many, or -1 on no memory.  A document must have one of the
 * first `telling_len` terms (0: of any); the others only add to its score.  O(postings +
 * documents); any number of threads as long as nobody writes.
 */
long index_query(const struct index *index, const struct index_query_term *terms, size_t terms_len,
    size_t telling_len, const struct index_range *range, struct index_hit *hits, size_t k);

struct index_stats {
	size_t docs, dead, terms, postings_bytes, bytes; /* bytes: all of it */
};
void index_get_stats(const struct index *index, struct index_stats *out);

/* A checksum of everything that decides results: equal logs give equal ones. */
uint64_t index_checksum(const struct index *index);

#endif
