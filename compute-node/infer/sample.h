/*
 * Sampling: one token id from one row of logits.
 *
 * The random number of a choice is a function of (seed, index of the token in
 * the answer) alone: a counter-based stream (Philox4x32-10, Salmon et al.
 * 2011), so a resumed answer draws what the uninterrupted one drew.
 * Order of filters: penalties, temperature 0 → greedy; else top-k, top-p, min-p,
 * then temperature.  Ties break by the smaller id.
 */
#ifndef INFER_SAMPLE_H
#define INFER_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

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

struct sample_candidate {
	int32_t id;
	float logit;
};

/* Uniform in [0, 1) with 32 bits; pure. */
double sample_uniform(uint64_t seed, uint64_t index);

/*
 * `logits` [n_vocab] is scratch afterwards.  `candidates` [n_vocab] is
 * scratch.  `history` are the tokens so far, prompt included, oldest first.
 * `banned` (may be NULL) lists ids that must not be chosen (ignore_eos).
 * NaN logits count as -inf.  Pure; O(n_vocab) plus the sort of what top-k left.
 */
int32_t sample_token(const struct sample_params *params, float *logits, size_t n_vocab,
    const int32_t *history, size_t history_len, const int32_t *banned, size_t banned_len,
    uint64_t index, struct sample_candidate *candidates);

#endif
