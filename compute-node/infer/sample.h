/*
 * Sampling: one token id from one row of logits.
 *
 * The random number of a choice is a function of (seed, index of the token in
 * the answer) alone: a counter-based stream (Philox4x32-10, Salmon et al.
 * 2011), so a resumed answer draws what the uninterrupted one drew.
 * Order of filters: penalties, temperature 0 → greedy; else top-k, top-p, min-p,
 * then temperature.  Ties break by the smaller id.
 *
 * The choice is defined by sums of exact weights (kernels/exact.h) in a fixed order,
 * so it is the same on every machine.  Those are dear, and seldom needed: sums of
 * approximate weights say on which side of a bound the exact ones lie, unless they
 * come closer to it than both can be wrong; only then the exact ones are computed.
 */
#ifndef INFER_SAMPLE_H
#define INFER_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct backend_shortlist; /* backend/backend.h */

struct sample_params {
	float temperature;      /* ≤ 0: greedy */
	uint32_t top_k;         /* 0: off */
	float top_p;            /* ≤ 0 or ≥ 1: off */
	float min_p;            /* ≤ 0: off */
	float repeat_penalty;   /* 0 or 1: off */
	uint32_t repeat_last_n; /* window of `history`; 0: all of it */
	float presence_penalty, frequency_penalty;
	uint64_t seed;
};

/* What a choice is made from. */
struct sample_row {
	float *logits; /* [n_vocab]; NaN counts as -inf; scratch afterwards */
	size_t n_vocab;
	const int32_t *history; /* tokens so far, prompt included, oldest first */
	size_t history_len;
	const int32_t *banned; /* ids that must not be chosen (ignore_eos); may be NULL */
	size_t banned_len;
	/* Bit id % 64 of word id / 64: it may be chosen; [SAMPLE_ALLOWED_WORDS(n_vocab)],
	 * one bit at least.  NULL: all may. */
	const uint64_t *allowed;
	uint64_t index; /* of the token in the answer */
};

#define SAMPLE_ALLOWED_WORDS(n_vocab) (((size_t)(n_vocab) + 63) / 64)

static inline bool sample_is_allowed(const uint64_t *allowed, size_t id)
{
	return allowed == NULL || (allowed[id / 64] >> (id % 64) & 1) != 0;
}

/* Uniform in [0, 1) with 32 bits; pure. */
double sample_uniform(uint64_t seed, uint64_t index);

/* Memory that sample_token() works in, aligned as malloc's. */
size_t sample_scratch_bytes(size_t n_vocab);

/*
 * Where nothing is left to choose (all -inf), the smallest id that is allowed.
 * Pure, no allocation; O(n_vocab), and the sort of what top-k leaves.
 */
int32_t sample_token(
    const struct sample_params *params, const struct sample_row *row, void *scratch);

/* Whether a shortlist is worth asking for: without a filter all candidates count. */
bool sample_is_brief(const struct sample_params *params);

/*
 * The same choice from a row's shortlist; `row->logits` is not looked at.  False, and
 * nothing is chosen: it depends on what is missing there, so the whole row is needed.
 * Bans, masks and penalties that lower logits leave the list true as far as what it holds
 * stays better than all that is missing.  Pure, no allocation; O(shortlist), and O(window)
 * with penalties.
 */
bool sample_short(const struct sample_params *params, const struct sample_row *row,
    const struct backend_shortlist *list, void *scratch, int32_t *chosen);

#endif
