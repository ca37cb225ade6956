/* Sampling: penalties, the greatest, and a draw from a counter-based stream. */
#include <math.h>
#include <string.h>

#include "infer/layout.h"
#include "infer/sample_impl.h"

#define PHILOX_ROUNDS 10
#define SCAN_LANES 8u

bool sample_penalizes(const struct sample_params *p)
{
	return sample_repeats(p) || p->presence_penalty < 0 || p->presence_penalty > 0 ||
	       p->frequency_penalty < 0 || p->frequency_penalty > 0;
}

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

static size_t lay_view(struct sample_view *view, size_t n_vocab, void *memory)
{
	struct layout at = { .base = memory };

	view->n_blocks = (n_vocab + SAMPLE_BLOCK - 1) / SAMPLE_BLOCK;
	view->candidates = layout_array(&at, n_vocab, sizeof(struct sample_candidate));
	view->sums = layout_array(&at, view->n_blocks, sizeof(double));
	view->maxima = layout_array(&at, view->n_blocks, sizeof(float));
	return at.overflow ? SIZE_MAX : at.used;
}

size_t sample_scratch_bytes(size_t n_vocab)
{
	struct sample_view unused;

	return lay_view(&unused, n_vocab, NULL);
}

void sample_count(
    const struct sample_params *p, const struct sample_row *row, struct sample_candidate *counts)
{
	size_t n = p->repeat_last_n == 0 || p->repeat_last_n > row->history_len ? row->history_len
										: p->repeat_last_n;
	const int32_t *history = row->history + (row->history_len - n);

	for (int step = 0; step < 2; step++) {
		for (size_t i = 0; i < n; i++) {
			if (history[i] < 0 || (size_t)history[i] >= row->n_vocab)
				continue;
			counts[history[i]].id = step == 0 ? 0 : counts[history[i]].id + 1;
		}
	}
}

/* Each token of the window once.  `counts` is scratch. */
static void penalize(
    const struct sample_params *p, const struct sample_row *row, struct sample_candidate *counts)
{
	size_t n = row->history_len;

	if (!sample_penalizes(p))
		return;
	sample_count(p, row, counts);
	if (p->repeat_last_n != 0 && p->repeat_last_n < n)
		n = p->repeat_last_n;
	for (size_t i = 0; i < n; i++) {
		int32_t id = row->history[row->history_len - n + i];

		if (id < 0 || (size_t)id >= row->n_vocab || counts[id].id == 0)
			continue;
		row->logits[id] = sample_penalized(p, row->logits[id], counts[id].id);
		counts[id].id = 0; /* done */
	}
}

/* What is not allowed becomes -inf. */
static void mask(float *logits, size_t n_vocab, const uint64_t *allowed)
{
	for (size_t i = 0; i < n_vocab; i += 64) {
		uint64_t word = allowed[i / 64];
		size_t n = n_vocab - i < 64 ? n_vocab - i : 64;

		for (size_t k = 0; word != UINT64_MAX && k < n; k++) {
			if ((word >> k & 1) == 0)
				logits[i + k] = -INFINITY;
		}
	}
}

/* The greatest of a block whose NaN become -inf, and how many are above that. */
static float scan_block(float *x, size_t *n_finite)
{
	float most[SCAN_LANES], one = -INFINITY;
	uint32_t finite[SCAN_LANES] = { 0 };

	for (size_t l = 0; l < SCAN_LANES; l++)
		most[l] = -INFINITY;
	for (size_t i = 0; i < SAMPLE_BLOCK; i++)
		x[i] = x[i] > -INFINITY ? x[i] : -INFINITY;
	for (size_t i = 0; i < SAMPLE_BLOCK; i += SCAN_LANES) {
		for (size_t l = 0; l < SCAN_LANES; l++) {
			most[l] = x[i + l] > most[l] ? x[i + l] : most[l];
			finite[l] += x[i + l] > -INFINITY;
		}
	}
	for (size_t l = 0; l < SCAN_LANES; l++) {
		one = most[l] > one ? most[l] : one;
		*n_finite += finite[l];
	}
	return one;
}

static void scan(struct sample_view *v, float *logits)
{
	v->greatest = -INFINITY;
	for (size_t b = 0; b < v->n_blocks; b++) {
		float padded[SAMPLE_BLOCK], *x = logits + b * SAMPLE_BLOCK;
		const size_t n = sample_block_len(v, b);

		for (size_t i = 0; n < SAMPLE_BLOCK && i < SAMPLE_BLOCK; i++)
			padded[i] = i < n ? x[i] : -INFINITY;
		v->maxima[b] = scan_block(n < SAMPLE_BLOCK ? padded : x, &v->n_finite);
		if (n < SAMPLE_BLOCK)
			memcpy(x, padded, n * sizeof(x[0]));
		v->greatest = v->maxima[b] > v->greatest ? v->maxima[b] : v->greatest;
	}
	v->top = (double)v->greatest;
}

static int32_t greatest(const struct sample_view *v, const uint64_t *allowed)
{
	size_t b = 0, i;

	if (v->n_finite == 0) {
		for (i = 0; i + 1 < v->n && !sample_is_allowed(allowed, i); i++)
			;
		return (int32_t)i;
	}
	while (v->maxima[b] < v->greatest)
		b++;
	for (i = b * SAMPLE_BLOCK; v->logits[i] < v->greatest; i++)
		;
	return (int32_t)i;
}

static bool block_passes(const struct sample_view *v, size_t b, const struct sample_bounds *bounds)
{
	return v->maxima[b] >= bounds->last.logit && (double)v->maxima[b] - v->top >= bounds->least;
}

/* Draw in the order of ids among all that pass: from approximate sums; false: they come
 * too close to the bound to tell. */
static bool find_drawn(struct sample_view *v, const struct sample_bounds *bounds,
    double temperature, double u, int32_t *chosen)
{
	double weights[SAMPLE_BLOCK], total = 0, at = 0, want, margin;
	size_t b = 0;

	for (size_t i = 0; i < v->n_blocks; i++) {
		v->sums[i] = block_passes(v, i, bounds)
				 ? sample_weigh(v, i, bounds, temperature, weights)
				 : 0;
		total += v->sums[i];
	}
	want = u * total;
	margin = sample_margin(v) * total;
	while (b + 1 < v->n_blocks && at + v->sums[b] <= want)
		at += v->sums[b++];
	(void)sample_weigh(v, b, bounds, temperature, weights);
	for (size_t i = 0; i < SAMPLE_BLOCK; i++) {
		if (at + weights[i] > want) {
			*chosen = (int32_t)(b * SAMPLE_BLOCK + i);
			return at < want - margin && at + weights[i] > want + margin;
		}
		at += weights[i];
	}
	return false;
}

/* The same from exact weights, added in the order of ids. */
static int32_t draw(
    const struct sample_view *v, const struct sample_bounds *bounds, double temperature, double u)
{
	double sum = 0, at = 0;
	int32_t chosen = 0;

	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < v->n; i++) {
			struct sample_candidate one = { (int32_t)i, v->logits[i] };
			double below = (double)one.logit - v->top, w;

			if (!(one.logit > -INFINITY) || below < bounds->least ||
			    sample_better(&bounds->last, &one))
				continue;
			w = sample_weight(below / temperature);
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

int32_t sample_token(const struct sample_params *p, const struct sample_row *row, void *scratch)
{
	struct sample_view v = { .logits = row->logits, .n = row->n_vocab };
	const double temperature = (double)p->temperature;
	double u = sample_uniform(p->seed, row->index);
	struct sample_bounds bounds;
	int32_t chosen;

	(void)lay_view(&v, v.n, scratch);
	penalize(p, row, v.candidates);
	for (size_t i = 0; i < row->banned_len; i++) {
		if (row->banned[i] >= 0 && (size_t)row->banned[i] < v.n)
			row->logits[row->banned[i]] = -INFINITY;
	}
	if (row->allowed != NULL)
		mask(row->logits, v.n, row->allowed);
	scan(&v, row->logits);
	/* A least share of more than all leaves the very greatest. */
	if (!(temperature > 0) || p->min_p > 1 || v.n_finite == 0 || v.top > SAMPLE_TOP_MAX)
		return greatest(&v, row->allowed);
	bounds = sample_filter(p, &v);
	if (find_drawn(&v, &bounds, temperature, u, &chosen))
		return chosen;
	return draw(&v, &bounds, temperature, u);
}
