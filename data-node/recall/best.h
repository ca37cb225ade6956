/*
 * Best: the k best of many documents, in one pass and k places.
 *
 * Ranked by score, ties by (t0, seq).  Not thread-safe.
 */
#ifndef RECALL_BEST_H
#define RECALL_BEST_H

#include "recall/index.h"

struct best {
	const struct index *index;
	struct index_hit *hits; /* [len]; a heap with the weakest on top until best_sort() */
	size_t len, k;
};

/* True if `score` can not be among them: cheap, asked before anything else. */
static inline bool best_is_beaten(const struct best *best, double score)
{
	return best->len == best->k && score < best->hits[0].score;
}

void best_offer(struct best *best, struct index_hit hit);

/* Best first; nothing is offered after that. */
void best_sort(struct best *best);

#endif
