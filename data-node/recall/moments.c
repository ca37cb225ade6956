/* Moments of a range: gathered, ranked within their stretches, spread. */
#include "recall/moments.h"

#include <stdlib.h>

struct moment {
	uint32_t doc, stretch, units;
	uint32_t rank; /* within its stretch, 0: most words */
	bool chosen;
};

static int by_stretch(const void *a, const void *b)
{
	const struct moment *x = a, *y = b;

	if (x->stretch != y->stretch)
		return x->stretch < y->stretch ? -1 : 1;
	if (x->units != y->units)
		return x->units > y->units ? -1 : 1;
	return x->doc < y->doc ? -1 : x->doc > y->doc;
}

static int by_rank(const void *a, const void *b)
{
	const struct moment *x = a, *y = b;

	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	if (x->units != y->units)
		return x->units > y->units ? -1 : 1;
	return x->doc < y->doc ? -1 : x->doc > y->doc;
}

/* All of them if `moments` is NULL, every `step`-th into it otherwise. */
static size_t gather(
    const struct index *index, const struct index_range *range, size_t step, struct moment *moments)
{
	size_t seen = 0, len = 0;

	for (size_t i = index_next_in_range(index, 0, range); i < index_docs_len(index);
	     i = index_next_in_range(index, i + 1, range)) {
		if (index_units(index, i) == 0)
			continue;
		if (moments != NULL && seen % step == 0)
			moments[len++] = (struct moment){ .doc = (uint32_t)i,
				.stretch = index_stretch(index, i),
				.units = index_units(index, i) };
		seen++;
	}
	return moments == NULL ? seen : len;
}

/* Part of the range in which the moment begins; before it counts as the first. */
static size_t part_of(const struct index_range *range, size_t parts, int64_t t0_ns)
{
	double span = (double)range->to_ns - (double)range->from_ns;
	double share =
	    t0_ns <= range->from_ns ? 0 : ((double)t0_ns - (double)range->from_ns) / span;
	size_t part = (size_t)(share * (double)parts);

	return part < parts ? part : parts - 1;
}

/* The best of each part, then the best of the rest, until there are `k`. */
static size_t choose(const struct index *index, const struct index_range *range,
    struct moment *moments, size_t len, bool *taken, size_t k, uint32_t *docs)
{
	size_t n = 0;

	for (size_t i = 0; i < len && n < k; i++) {
		size_t part = part_of(range, k, index_docs(index)[moments[i].doc].t0_ns);
		if (taken[part])
			continue;
		taken[part] = moments[i].chosen = true;
		docs[n++] = moments[i].doc;
	}
	for (size_t i = 0; i < len && n < k; i++) {
		if (!moments[i].chosen)
			docs[n++] = moments[i].doc;
	}
	return n;
}

long moments_choose(
    const struct index *index, const struct index_range *range, size_t k, uint32_t *docs)
{
	size_t all = k == 0 ? 0 : gather(index, range, 1, NULL);
	long found = 0;

	if (all == 0)
		return 0;
	size_t step = (all + MOMENTS_LOOKED_AT_MAX - 1) / MOMENTS_LOOKED_AT_MAX;
	struct moment *moments = calloc(all / step + 1, sizeof *moments);
	bool *taken = calloc(k, sizeof *taken);
	if (moments == NULL || taken == NULL) {
		found = -1;
	} else {
		size_t len = gather(index, range, step, moments);
		qsort(moments, len, sizeof *moments, by_stretch);
		for (size_t i = 1; i < len; i++) {
			if (moments[i].stretch == moments[i - 1].stretch)
				moments[i].rank = moments[i - 1].rank + 1;
		}
		qsort(moments, len, sizeof *moments, by_rank);
		found = (long)choose(index, range, moments, len, taken, k, docs);
	}
	free(moments);
	free(taken);
	return found;
}
