/*
 * Inside of the index: what index.c and index_query.c share, nobody else.
 */
#ifndef RECALL_INDEX_INNER_H
#define RECALL_INDEX_INNER_H

#include "recall/index.h"

struct index_term {
	uint32_t hash, text_at, text_len; /* in index->texts */
	uint32_t docs;                    /* that have it, dead ones too */
	uint32_t last_doc;
	uint32_t len, cap;
	uint32_t saved; /* bytes that are in segments */
	uint8_t *bytes; /* varint(document - previous), varint(units); … */
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
/* Room for `more` documents, or bytes of postings.  RC_NOMEM. */
enum rc index_reserve_docs(struct index *index, size_t more) RC_CHECK;
enum rc index_reserve_posting(struct index *index, struct index_term *term, size_t more) RC_CHECK;
/* A term that is new.  RC_EXISTS, RC_LIMIT, RC_NOMEM. */
enum rc index_put_term(struct index *index, const char *text, size_t len) RC_CHECK;
/* The rows of the next document are filled, its length counted: it is one. */
void index_put_turn(struct index *index);

#endif
