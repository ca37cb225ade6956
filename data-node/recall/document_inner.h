/*
 * Inside of documents: conversations, which document.c reads and document_talks.c stores.
 */
#ifndef RECALL_DOCUMENT_INNER_H
#define RECALL_DOCUMENT_INNER_H

#include "align/lookup.h"
#include "recall/document.h"
#include "recall/stem.h"

/* Terms of one text that went by. */
struct text_terms {
	uint64_t seq;
	int64_t t0_ns;
	uint32_t terms[DOCUMENT_NEIGHBOUR_TERMS_MAX];
	size_t len;
};

struct talk {
	struct text_terms last[DOCUMENT_NEIGHBOURS]; /* newest first */
	size_t len;
	uint32_t doc;     /* the newest, in the index */
	size_t turns_len; /* of its stretch */
};

struct document_talks {
	const struct language_model *model;
	struct stemmer *stemmer;
	uint64_t written[LANGUAGE_COUNT]; /* texts in each language */
	struct lookup lookup;
};

#endif
