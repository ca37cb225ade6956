/* The choice from the best of a row: exact where the filters end within them. */
#include "backend/backend.h"
#include "infer/sample_impl.h"

struct short_view {
	struct sample_candidate c[BACKEND_SHORT_MAX]; /* [n_known] */
	size_t n;       /* of those, better than all the others and all that is missing */
	size_t n_known; /* with what has fallen behind, which still weighs */
	size_t n_kept;  /* of the `n`, best first, that pass top-k and top-p */
	bool whole;     /* nothing is missing */
	bool ends;      /* what is missing does not pass either */
	double missing; /* no logit of it is above this */
	double top;
	double weights[BACKEND_SHORT_MAX]; /* of each in `c`, of one scale */
};

/* ---- what the list says once logits have been lowered ---- */

static bool raises(const struct sample_params *p)
{
	return (p->repeat_penalty > 0 && p->repeat_penalty < 1) || p->presence_penalty < 0 ||
	       p->frequency_penalty < 0;
}

static bool is_banned(const struct sample_row *row, int32_t id)
{
	for (size_t i = 0; i < row->banned_len; i++) {
		if (row->banned[i] == id)
			return true;
	}
	return !sample_is_allowed(row->allowed, (size_t)id);
}

static void count_candidates(const struct sample_params *p, const struct sample_row *row,
    const struct backend_shortlist *list, struct sample_candidate *counts)
{
	for (uint32_t i = 0; i < list->n; i++)
		counts[list->best[i].id].id = 0;
	sample_count(p, row, counts);
}

/* First what is still better than all that is missing, then what no longer is. */
static void take_list(struct short_view *v, const struct sample_params *p,
    const struct sample_row *row, const struct backend_shortlist *list,
    struct sample_candidate *counts)
{
	const struct sample_candidate last = { list->last.id, list->last.logit };
	bool penalizes = sample_penalizes(p);

	if (penalizes)
		count_candidates(p, row, list, counts);
	v->whole = !(last.logit > -INFINITY);
	v->missing = (double)last.logit;
	v->n = v->n_known = 0;
	for (uint32_t i = 0; i < list->n; i++) {
		struct sample_candidate one = { list->best[i].id, list->best[i].logit };

		if (penalizes && counts[one.id].id > 0)
			one.logit = sample_penalized(p, one.logit, counts[one.id].id);
		if (!(one.logit > -INFINITY) || is_banned(row, one.id))
			continue;
		v->c[v->n_known++] = one;
		if (!sample_better(&last, &one)) {
			v->c[v->n_known - 1] = v->c[v->n];
			v->c[v->n++] = one;
		}
	}
}

/* ---- order ---- */

static bool stands_before(
    const struct sample_candidate *a, const struct sample_candidate *b, bool by_id)
{
	return by_id ? a->id < b->id : sample_better(a, b);
}

/* Shell's sort: best first, or in order of ids. */
static void sort(struct sample_candidate *c, size_t n, bool by_id)
{
	static const size_t gaps[] = { 57, 23, 10, 4, 1 };

	for (size_t g = 0; g < sizeof(gaps) / sizeof(gaps[0]); g++) {
		for (size_t i = gaps[g]; i < n; i++) {
			struct sample_candidate one = c[i];
			size_t at = i;

			for (; at >= gaps[g] && stands_before(&one, &c[at - gaps[g]], by_id);
			     at -= gaps[g])
				c[at] = c[at - gaps[g]];
			c[at] = one;
		}
	}
}

/* ---- top-k, top-p ---- */

static void weigh(struct short_view *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		v->weights[i] = sample_weight((double)v->c[i].logit - v->top);
}

/* Best first until the share is reached, of all that is kept. */
static void keep_share(struct short_view *v, double mass)
{
	double sum = 0;

	for (size_t i = 0; i < v->n_kept; i++) {
		sum += v->weights[i];
		if (sum >= mass)
			v->n_kept = i + 1;
	}
}

/* The sum of all weights is only known to lie between two bounds: false where that does
 * not say how many reach the share. */
static bool keep_share_between(struct short_view *v, double least, double most)
{
	double sum = 0;

	for (size_t i = 0; i < v->n; i++) {
		sum += v->weights[i];
		if (sum >= most) {
			v->n_kept = i + 1;
			return true;
		}
		if (!(sum < least))
			return false;
	}
	return false;
}

/* The same from the sum of the whole row, which was taken before anything was lowered.
 * Nobody knows by how much what is missing was. */
static bool keep_share_of_row(
    struct short_view *v, const struct backend_shortlist *list, double top_p, bool lowered)
{
	double was = 0, is = 0, best = -INFINITY, all, missing, least;

	for (uint32_t i = 0; i < list->n; i++)
		best = (double)list->best[i].logit > best ? (double)list->best[i].logit : best;
	for (uint32_t i = 0; i < list->n; i++)
		was += exp((double)list->best[i].logit - v->top);
	for (size_t i = 0; i < v->n_known; i++)
		is += v->weights[i];
	all = (double)list->sum * exp(best - v->top);
	missing = all * (1 + BACKEND_SHORT_ERROR) - was;
	least = lowered ? 0 : all * (1 - BACKEND_SHORT_ERROR) - was;
	least = least > 0 ? least : 0;
	return keep_share_between(v, top_p * (is + least) * (1 - BACKEND_SHORT_ERROR),
	    top_p * (is + missing) * (1 + BACKEND_SHORT_ERROR));
}

/* Nothing is missing: its weights are added in order of ids. */
static void keep_share_of_all(struct short_view *v, double top_p)
{
	double mass = 0;

	sort(v->c, v->n, true);
	weigh(v, v->n);
	for (size_t i = 0; i < v->n; i++)
		mass += v->weights[i];
	sort(v->c, v->n, false);
	weigh(v, v->n);
	keep_share(v, mass * top_p);
}

/* What passes, best first in `v`; false: that is not known. */
static bool filter(struct short_view *v, const struct sample_params *p,
    const struct sample_row *row, const struct backend_shortlist *list)
{
	const double top_p = p->top_p > 0 && p->top_p < 1 ? (double)p->top_p : 0;
	bool lowered = row->allowed != NULL || row->banned_len > 0 || sample_penalizes(p);

	sort(v->c, v->n, false);
	v->n_kept = v->n;
	v->ends = v->whole;
	if (p->top_k > 0 && p->top_k < v->n) {
		double mass = 0;

		v->ends = true;
		v->n_kept = p->top_k;
		weigh(v, v->n_kept);
		for (size_t i = v->n_kept; i-- > 0;) /* the worst first */
			mass += v->weights[i];
		if (top_p > 0)
			keep_share(v, mass * top_p);
		return true;
	}
	if (!(top_p > 0))
		return true;
	if (v->whole) {
		keep_share_of_all(v, top_p);
		return true;
	}
	weigh(v, v->n_known);
	v->ends = p->top_k == 0;
	return v->ends && keep_share_of_row(v, list, top_p, lowered);
}

/* ---- the draw ---- */

/* In order of ids, from exact weights. */
static int32_t draw(struct short_view *v, double least, double temperature, double u)
{
	double sum = 0, at = 0;
	int32_t chosen = 0;

	sort(v->c, v->n_kept, true);
	for (size_t i = 0; i < v->n_kept; i++) {
		double below = (double)v->c[i].logit - v->top;

		v->weights[i] = below < least ? 0 : sample_weight(below / temperature);
		sum += v->weights[i];
	}
	for (size_t i = 0; i < v->n_kept; i++) {
		at += v->weights[i];
		if (!(v->weights[i] > 0))
			continue;
		chosen = v->c[i].id;
		if (at > u * sum)
			break;
	}
	return chosen;
}

bool sample_is_brief(const struct sample_params *p)
{
	bool filters = (p->top_k > 0 && p->top_k < BACKEND_SHORT_MAX) ||
		       (p->top_p > 0 && p->top_p < 1) || p->min_p > 0;

	return !raises(p) && (filters || !(p->temperature > 0));
}

static struct sample_candidate best_of(const struct short_view *v)
{
	struct sample_candidate best = v->c[0];

	for (size_t i = 1; i < v->n; i++) {
		if (sample_better(&v->c[i], &best))
			best = v->c[i];
	}
	return best;
}

bool sample_short(const struct sample_params *p, const struct sample_row *row,
    const struct backend_shortlist *list, void *scratch, int32_t *chosen)
{
	const double temperature = (double)p->temperature;
	struct sample_candidate best;
	struct short_view v;
	double least;

	if (raises(p))
		return false;
	take_list(&v, p, row, list, scratch);
	if (v.n == 0) {
		size_t i = 0;

		while (i + 1 < row->n_vocab && !sample_is_allowed(row->allowed, i))
			i++;
		*chosen = (int32_t)i;
		return v.whole;
	}
	best = best_of(&v);
	v.top = (double)best.logit;
	if (!(temperature > 0) || p->min_p > 1 || v.top > SAMPLE_TOP_MAX) {
		*chosen = best.id;
		return true;
	}
	if (!filter(&v, p, row, list))
		return false;
	least = p->min_p > 0 ? exact_log((double)p->min_p) : -INFINITY;
	if (!v.ends && !(v.missing - v.top < least) &&
	    !((v.missing - v.top) / temperature < SAMPLE_NEGLIGIBLE))
		return false;
	*chosen = draw(&v, least, temperature, sample_uniform(p->seed, row->index));
	return true;
}
