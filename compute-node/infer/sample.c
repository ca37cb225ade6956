/* Sampling: penalties, filters, and a draw from a counter-based stream. */
#include "infer/sample.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "kernels/exact.h"

#define PHILOX_ROUNDS 10
/* e^-60 of the greatest weight cannot change a sum in double. */
#define NEGLIGIBLE (-60.0)

double sample_uniform(uint64_t seed, uint64_t index)
{
	uint32_t c[4] = { (uint32_t)index, (uint32_t)(index >> 32), 0, 0 };
	uint32_t key[2] = { (uint32_t)seed, (uint32_t)(seed >> 32) };

	for (int i = 0; i < PHILOX_ROUNDS; i++) {
		uint64_t a = UINT64_C(0xD2511F53) * c[0], b = UINT64_C(0xCD9E8D57) * c[2];
		uint32_t next[4] = { (uint32_t)(b >> 32) ^ c[1] ^ key[0], (uint32_t)b,
			(uint32_t)(a >> 32) ^ c[3] ^ key[1], (uint32_t)a };

		memcpy(c, next, sizeof(c));
		key[0] += 0x9E3779B9;
		key[1] += 0xBB67AE85;
	}
	return c[0] * 0x1p-32;
}

/* Better first: the higher logit, then the smaller id. */
static bool better(const struct sample_candidate *a, const struct sample_candidate *b)
{
	if (a->logit > b->logit || a->logit < b->logit)
		return a->logit > b->logit;
	return a->id < b->id;
}

static size_t window(const struct sample_params *p, size_t history_len)
{
	return p->repeat_last_n == 0 || p->repeat_last_n > history_len ? history_len
								       : p->repeat_last_n;
}

/* Each token of the window once for the repeat and presence penalties, as often
 * as it occurs for the frequency penalty.  `counts` is scratch. */
static void penalize(const struct sample_params *p, float *logits, size_t n_vocab,
    const int32_t *history, size_t history_len, struct sample_candidate *counts)
{
	bool repeat = p->repeat_penalty > 0 && (p->repeat_penalty < 1 || p->repeat_penalty > 1);
	size_t n = window(p, history_len);

	if (!repeat && !(p->presence_penalty < 0 || p->presence_penalty > 0) &&
	    !(p->frequency_penalty < 0 || p->frequency_penalty > 0))
		return;
	history += history_len - n;
	for (size_t i = 0; i < n; i++) {
		if (history[i] >= 0 && (size_t)history[i] < n_vocab)
			counts[history[i]].id = 0;
	}
	for (size_t i = 0; i < n; i++) {
		if (history[i] >= 0 && (size_t)history[i] < n_vocab)
			counts[history[i]].id++;
	}
	for (size_t i = 0; i < n; i++) {
		int32_t id = history[i], count;

		if (id < 0 || (size_t)id >= n_vocab || counts[id].id == 0)
			continue;
		count = counts[id].id;
		counts[id].id = 0; /* done */
		if (repeat)
			logits[id] = logits[id] > 0 ? logits[id] / p->repeat_penalty
						    : logits[id] * p->repeat_penalty;
		logits[id] -= p->presence_penalty + p->frequency_penalty * (float)count;
	}
}

static int32_t greedy(const float *logits, size_t n_vocab)
{
	size_t best = 0;

	for (size_t i = 1; i < n_vocab; i++) {
		if (logits[i] > logits[best])
			best = i;
	}
	return (int32_t)best;
}

/* Max-heap of candidates. */
static void sift(struct sample_candidate *heap, size_t n, size_t i)
{
	struct sample_candidate moved = heap[i];

	for (size_t child; (child = 2 * i + 1) < n; i = child) {
		if (child + 1 < n && better(&heap[child + 1], &heap[child]))
			child++;
		if (!better(&heap[child], &moved))
			break;
		heap[i] = heap[child];
	}
	heap[i] = moved;
}

/* Where to stop taking candidates, best first. */
struct cut {
	double top;     /* the greatest logit */
	double least;   /* log of the least weight taken, below the top's */
	double mass;    /* enough once the weights taken reach it; 0: never */
	uint32_t top_k; /* enough once so many are taken; 0: never */
	double sum;     /* of weights taken */
};

static double weight(double logit, double top)
{
	return logit - top < NEGLIGIBLE ? 0.0 : exact_exp(logit - top);
}

/* Move the best to the end of the array, the very best last, until `cut` says
 * enough (one at least); returns how many. */
static size_t take_best(struct sample_candidate *c, size_t n, struct cut *cut)
{
	size_t left = n;

	for (size_t i = n / 2; i-- > 0;)
		sift(c, n, i);
	while (left > 0) {
		struct sample_candidate best = c[0];

		if (n - left > 0 && (double)best.logit - cut->top < cut->least)
			break;
		c[0] = c[--left];
		if (left > 0)
			sift(c, left, 0);
		c[left] = best;
		cut->sum += weight((double)best.logit, cut->top);
		if ((cut->top_k != 0 && n - left >= cut->top_k) ||
		    (cut->mass > 0 && cut->sum >= cut->mass))
			break;
	}
	return n - left;
}

/* The weight of all candidates that top-k leaves. */
static double mass_of(const struct sample_candidate *c, size_t n, double top)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += weight((double)c[i].logit, top);
	return sum;
}

/* Leave the candidates that pass top-k, top-p and min-p at the end of `c`. */
static size_t filter(
    const struct sample_params *p, struct sample_candidate *c, size_t n, double top, size_t *first)
{
	struct cut cut = { .top = top, .least = -(double)INFINITY };
	size_t kept = n;

	*first = 0;
	if (p->top_k > 0 && p->top_k < n) {
		cut.top_k = p->top_k;
		kept = take_best(c, n, &cut);
		*first = n - kept;
		c += *first;
	}
	cut = (struct cut){ .top = top, .least = -(double)INFINITY };
	if (p->min_p > 0)
		cut.least = exact_log((double)p->min_p);
	if (p->top_p > 0 && p->top_p < 1)
		cut.mass = (double)p->top_p * mass_of(c, kept, top);
	if (p->min_p > 0 || cut.mass > 0) {
		size_t n_kept = take_best(c, kept, &cut);

		*first += kept - n_kept;
		kept = n_kept;
	}
	return kept;
}

/* Draw in the order of ids among `last` and all that are better. */
static int32_t draw(const struct sample_params *p, const float *logits, size_t n_vocab,
    struct sample_candidate last, double top, double u)
{
	double sum = 0, at = 0;
	int32_t chosen = last.id;

	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < n_vocab; i++) {
			struct sample_candidate one = { (int32_t)i, logits[i] };
			double w;

			if (better(&last, &one) || !(one.logit > -INFINITY))
				continue;
			w = weight(((double)one.logit - top) / (double)p->temperature, 0);
			if (pass == 0) {
				sum += w;
				continue;
			}
			at += w;
			if (w > 0) {
				chosen = one.id;
				if (at > u * sum)
					return chosen;
			}
		}
	}
	return chosen;
}

int32_t sample_token(const struct sample_params *p, float *logits, size_t n_vocab,
    const int32_t *history, size_t history_len, const int32_t *banned, size_t banned_len,
    uint64_t index, struct sample_candidate *candidates)
{
	size_t n = 0, first = 0;
	double top = -(double)INFINITY;

	for (size_t i = 0; i < n_vocab; i++) {
		if (!(logits[i] == logits[i]))
			logits[i] = -INFINITY;
	}
	penalize(p, logits, n_vocab, history, history_len, candidates);
	for (size_t i = 0; i < banned_len; i++) {
		if (banned[i] >= 0 && (size_t)banned[i] < n_vocab)
			logits[banned[i]] = -INFINITY;
	}
	if (!(p->temperature > 0))
		return greedy(logits, n_vocab);
	for (size_t i = 0; i < n_vocab; i++) {
		if (!(logits[i] > -INFINITY))
			continue;
		candidates[n++] = (struct sample_candidate){ (int32_t)i, logits[i] };
		top = (double)logits[i] > top ? (double)logits[i] : top;
	}
	if (n == 0 || top > 3.4e38)
		return greedy(logits, n_vocab);
	n = filter(p, candidates, n, top, &first);
	/* The worst that passed stands first, unless nothing was sorted. */
	for (size_t i = 1; first == 0 && i < n; i++) {
		if (better(&candidates[0], &candidates[i]))
			candidates[0] = candidates[i];
	}
	return draw(p, logits, n_vocab, candidates[first], top, sample_uniform(p->seed, index));
}
