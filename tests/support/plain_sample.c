/* Sampling by sorting everything. */
#include "plain_sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/exact.h"

struct entry {
	int32_t id;
	float logit;
};

static int best_first(const void *a, const void *b)
{
	const struct entry *ea = a, *eb = b;

	if (ea->logit > eb->logit || ea->logit < eb->logit)
		return ea->logit > eb->logit ? -1 : 1;
	return (ea->id > eb->id) - (ea->id < eb->id);
}

static int by_id(const void *a, const void *b)
{
	const struct entry *ea = a, *eb = b;

	return (ea->id > eb->id) - (ea->id < eb->id);
}

static double weight(double below)
{
	return below < -60 ? 0.0 : exact_exp(below);
}

static float penalized(
    const struct sample_params *p, const struct sample_row *row, int32_t id, float logit)
{
	size_t from = p->repeat_last_n == 0 || p->repeat_last_n > row->history_len
			  ? 0
			  : row->history_len - p->repeat_last_n;
	int32_t count = 0;

	for (size_t i = from; i < row->history_len; i++)
		count += row->history[i] == id;
	if (count == 0)
		return logit;
	if (p->repeat_penalty > 0)
		logit = logit > 0 ? logit / p->repeat_penalty : logit * p->repeat_penalty;
	return logit - (p->presence_penalty + p->frequency_penalty * (float)count);
}

static bool is_out(const struct sample_row *row, int32_t id)
{
	for (size_t i = 0; i < row->banned_len; i++) {
		if (row->banned[i] == id)
			return true;
	}
	return !sample_is_allowed(row->allowed, (size_t)id);
}

/* The entries that pass, best first, from all in order of ids. */
static size_t filter(const struct sample_params *p, struct entry *list, size_t n)
{
	double top, mass = 0, sum = 0;
	bool by_k = p->top_k > 0 && p->top_k<n, by_p = p->top_p> 0 && p->top_p < 1;
	size_t all = n, kept;

	qsort(list, n, sizeof(*list), best_first);
	top = (double)list[0].logit;
	n = by_k ? p->top_k : n;
	if (!by_k) /* their weights are added in order of ids, or the worst first */
		qsort(list, all, sizeof(*list), by_id);
	for (size_t i = 0; i < n; i++)
		mass += weight((double)list[by_k ? n - 1 - i : i].logit - top);
	mass *= (double)p->top_p;
	qsort(list, n, sizeof(*list), best_first);
	for (kept = 0; kept < n; kept++) {
		double below = (double)list[kept].logit - top;

		if ((kept > 0 && p->min_p > 0 && below < exact_log((double)p->min_p)) ||
		    (kept > 0 && by_p && sum >= mass))
			break;
		sum += weight(below);
	}
	return kept;
}

static int32_t choose(
    const struct sample_params *p, const struct sample_row *row, struct entry *list, size_t n)
{
	double top = (double)list[0].logit, sum = 0, at = 0;
	int32_t chosen = 0;

	for (size_t i = 0; i < n; i++)
		top = (double)list[i].logit > top ? (double)list[i].logit : top;
	n = filter(p, list, n);
	qsort(list, n, sizeof(*list), by_id);
	for (size_t i = 0; i < n; i++)
		sum += weight(((double)list[i].logit - top) / (double)p->temperature);
	for (size_t i = 0; i < n; i++) {
		double w = weight(((double)list[i].logit - top) / (double)p->temperature);

		at += w;
		chosen = w > 0 ? list[i].id : chosen;
		if (w > 0 && at > sample_uniform(p->seed, row->index) * sum)
			break;
	}
	return chosen;
}

int32_t plain_sample(const struct sample_params *p, const struct sample_row *row)
{
	struct entry *list = calloc(row->n_vocab, sizeof(*list)), best = { -1, -INFINITY };
	int32_t chosen;
	size_t n = 0;

	if (list == NULL)
		abort();
	for (size_t i = 0; i < row->n_vocab; i++) {
		int32_t id = (int32_t)i;
		float logit = isnan(row->logits[i]) ? -INFINITY : row->logits[i];

		logit = is_out(row, id) ? -INFINITY : penalized(p, row, id, logit);
		if (logit > -INFINITY)
			list[n++] = (struct entry){ id, logit };
		if (best.id < 0 ? sample_is_allowed(row->allowed, i) : logit > best.logit)
			best = (struct entry){ id, logit };
	}
	if (n == 0 || !(p->temperature > 0) || (double)best.logit > 3.4e38)
		chosen = best.id < 0 ? 0 : best.id;
	else
		chosen = choose(p, row, list, n);
	free(list);
	return chosen;
}
