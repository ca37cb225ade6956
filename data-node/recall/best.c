/* Best: a heap of hits. */
#include "recall/best.h"

/* True if hit `a` ranks behind `b`. */
static bool is_behind(
    const struct index *index, const struct index_hit *a, const struct index_hit *b)
{
	const struct index_doc *x = &index_docs(index)[a->doc], *y = &index_docs(index)[b->doc];

	if (a->score != b->score)
		return a->score < b->score;
	if (x->t0_ns != y->t0_ns)
		return x->t0_ns > y->t0_ns;
	return x->seq > y->seq;
}

static void swap(struct index_hit *a, struct index_hit *b)
{
	struct index_hit hit = *a;

	*a = *b;
	*b = hit;
}

static void sift_down(const struct index *index, struct index_hit *hits, size_t len, size_t i)
{
	for (;;) {
		size_t child = 2 * i + 1;
		if (child >= len)
			return;
		if (child + 1 < len && is_behind(index, &hits[child + 1], &hits[child]))
			child++;
		if (!is_behind(index, &hits[child], &hits[i]))
			return;
		swap(&hits[i], &hits[child]);
		i = child;
	}
}

static void sift_up(const struct index *index, struct index_hit *hits, size_t i)
{
	while (i > 0 && is_behind(index, &hits[i], &hits[(i - 1) / 2])) {
		swap(&hits[i], &hits[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
}

void best_offer(struct best *best, struct index_hit hit)
{
	if (best->len < best->k) {
		best->hits[best->len] = hit;
		sift_up(best->index, best->hits, best->len++);
	} else if (best->k > 0 && is_behind(best->index, &best->hits[0], &hit)) {
		best->hits[0] = hit;
		sift_down(best->index, best->hits, best->len, 0);
	}
}

void best_sort(struct best *best)
{
	for (size_t left = best->len; left > 1;) { /* weakest to the end */
		swap(&best->hits[0], &best->hits[--left]);
		sift_down(best->index, best->hits, left, 0);
	}
}
