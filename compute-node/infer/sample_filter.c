/* Which candidates pass top-k, top-p and min-p. */
#include "infer/sample_impl.h"

/* Ranges of logits that top-p adds weights up for, before it sorts one of them. */
#define BUCKETS 2048
#define BUCKETS_PER_UNIT 32.0

/* Max-heap of candidates. */
static void sift(struct sample_candidate *heap, size_t n, size_t i)
{
	struct sample_candidate moved = heap[i];

	for (size_t child; (child = 2 * i + 1) < n; i = child) {
		if (child + 1 < n && sample_better(&heap[child + 1], &heap[child]))
			child++;
		if (!sample_better(&heap[child], &moved))
			break;
		heap[i] = heap[child];
	}
	heap[i] = moved;
}

/* When to stop taking candidates, best first. */
struct cut {
	size_t top_k;  /* so many are taken; 0: never */
	double sum;    /* of weights taken */
	double mass;   /* enough once the sum reaches it; 0: never */
	double margin; /* so close to it the sum may be wrong */
	bool unsure;   /* it came so close, or did not reach it */
};

/* Move the best to the end of the array, the very best last, until `cut` says
 * enough (one at least); returns how many. */
static size_t take_best(struct sample_candidate *c, size_t n, double top, struct cut *cut)
{
	size_t left = n;

	for (size_t i = n / 2; i-- > 0;)
		sift(c, n, i);
	while (left > 0) {
		struct sample_candidate best = c[0];

		c[0] = c[--left];
		if (left > 0)
			sift(c, left, 0);
		c[left] = best;
		if (cut->top_k != 0 && n - left == cut->top_k)
			break;
		if (!(cut->mass > 0))
			continue;
		cut->sum += sample_weight((double)best.logit - top);
		cut->unsure = cut->unsure || fabs(cut->sum - cut->mass) < cut->margin;
		if (cut->sum >= cut->mass)
			return n - left;
	}
	cut->unsure = cut->unsure || cut->margin > 0;
	return n - left;
}

/* Candidates of at least `least`, in order of ids; returns how many. */
static size_t gather(const struct sample_view *v, float least)
{
	size_t n = 0;

	for (size_t b = 0; b < v->n_blocks; b++) {
		size_t first = b * SAMPLE_BLOCK, end = first + sample_block_len(v, b);

		if (v->maxima[b] < least)
			continue;
		for (size_t i = first; i < end; i++) {
			v->candidates[n] = (struct sample_candidate){ (int32_t)i, v->logits[i] };
			n += v->logits[i] >= least && v->logits[i] > -INFINITY;
		}
	}
	return n;
}

/* So many candidates are at least so great: one of each of the best blocks. */
static float least_of_best(const struct sample_view *v, size_t k)
{
	struct cut cut = { .top_k = k };

	if (k > v->n_blocks)
		return -INFINITY;
	for (size_t b = 0; b < v->n_blocks; b++)
		v->candidates[b] = (struct sample_candidate){ (int32_t)b, v->maxima[b] };
	(void)take_best(v->candidates, v->n_blocks, v->top, &cut);
	return v->candidates[v->n_blocks - k].logit;
}

/* The last of `c` that top-p leaves: exact weights, added in the order of `c` for their
 * mass and best first for the share of it. */
static struct sample_candidate last_of_mass(
    struct sample_candidate *c, size_t n, double top, double top_p)
{
	struct cut cut = { .mass = 0 };

	for (size_t i = 0; i < n; i++)
		cut.mass += sample_weight((double)c[i].logit - top);
	cut.mass *= top_p;
	return c[n - take_best(c, n, top, &cut)];
}

/* Which bucket each of a block's candidates falls into, best first; the last takes what
 * is left. */
static void bucket_block(const float *restrict x, size_t n, double top, int32_t *restrict out)
{
	float padded[SAMPLE_BLOCK];

	if (n < SAMPLE_BLOCK) {
		for (size_t i = 0; i < SAMPLE_BLOCK; i++)
			padded[i] = i < n ? x[i] : -INFINITY;
		x = padded;
	}
	for (size_t i = 0; i < SAMPLE_BLOCK; i++) {
		double at = (top - (double)x[i]) * BUCKETS_PER_UNIT;

		out[i] = (int32_t)(at < BUCKETS - 1 ? at : BUCKETS - 1);
	}
}

/* Weights of all buckets, about; returns their sum. */
static double fill_buckets(const struct sample_view *v, double sums[BUCKETS])
{
	const struct sample_bounds all = { .last = { INT32_MAX, -INFINITY }, .least = -INFINITY };
	double weights[SAMPLE_BLOCK], total = 0;
	int32_t buckets[SAMPLE_BLOCK];

	for (size_t i = 0; i < BUCKETS; i++)
		sums[i] = 0;
	for (size_t b = 0; b < v->n_blocks; b++) {
		total += sample_weigh(v, b, &all, 1, weights);
		bucket_block(v->logits + b * SAMPLE_BLOCK, sample_block_len(v, b), v->top, buckets);
		for (size_t i = 0; i < SAMPLE_BLOCK; i++)
			sums[buckets[i]] += weights[i];
	}
	return total;
}

/* Leave the candidates of one bucket in `v->candidates`; returns how many. */
static size_t gather_bucket(const struct sample_view *v, int32_t bucket)
{
	int32_t buckets[SAMPLE_BLOCK];
	size_t n = 0;

	for (size_t b = 0; b < v->n_blocks; b++) {
		const size_t first = b * SAMPLE_BLOCK, len = sample_block_len(v, b);

		if ((v->top - (double)v->maxima[b]) * BUCKETS_PER_UNIT >= bucket + 1)
			continue;
		bucket_block(v->logits + first, len, v->top, buckets);
		for (size_t i = 0; i < len; i++) {
			if (buckets[i] == bucket && v->logits[first + i] > -INFINITY)
				v->candidates[n++] =
				    (struct sample_candidate){ (int32_t)(first + i),
					    v->logits[first + i] };
		}
	}
	return n;
}

/* The last that top-p leaves, from approximate sums; false: they come too close to the
 * share to tell. */
static bool find_last_of_mass(
    const struct sample_view *v, double top_p, struct sample_candidate *last)
{
	double sums[BUCKETS], total = fill_buckets(v, sums);
	struct cut cut = { .mass = top_p * total, .margin = sample_margin(v) * total };
	int32_t at = 0;

	while (at < BUCKETS - 1 && cut.sum + sums[at] < cut.mass - cut.margin)
		cut.sum += sums[at++];
	size_t n = gather_bucket(v, at);
	if (n == 0)
		return false;
	*last = v->candidates[n - take_best(v->candidates, n, v->top, &cut)];
	return !cut.unsure;
}

struct sample_bounds sample_filter(const struct sample_params *p, struct sample_view *v)
{
	struct sample_bounds bounds = { .last = { INT32_MAX, -INFINITY }, .least = -INFINITY };
	const double top_p = p->top_p > 0 && p->top_p < 1 ? (double)p->top_p : 0;
	struct sample_candidate *c = v->candidates;

	if (p->min_p > 0)
		bounds.least = exact_log((double)p->min_p);
	if (p->top_k > 0 && p->top_k < v->n_finite) {
		struct cut cut = { .top_k = p->top_k };
		size_t n = gather(v, least_of_best(v, p->top_k));
		size_t kept = take_best(c, n, v->top, &cut);

		c += n - kept;
		bounds.last = top_p > 0 ? last_of_mass(c, kept, v->top, top_p) : c[0];
	} else if (top_p > 0 && !find_last_of_mass(v, top_p, &bounds.last)) {
		bounds.last = last_of_mass(c, gather(v, -INFINITY), v->top, top_p);
	}
	return bounds;
}
