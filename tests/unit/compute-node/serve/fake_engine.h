/*
 * An engine without arithmetic, for the scheduler's tests: the logits of a row
 * are a hash of all tokens of its sequence up to it, so any token that is
 * wrong, missing or left over changes every later one.  Include it in one test
 * file: its functions stand in for infer/engine.c.
 */
#ifndef SERVE_FAKE_ENGINE_H
#define SERVE_FAKE_ENGINE_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "base/random.h"
#include "infer/engine.h"

#define FAKE_VOCAB 64U
#define FAKE_SEQS 4U
#define FAKE_CTX 128U
#define FAKE_UBATCH 8U

static struct fake_engine {
	struct engine_config config;
	int32_t ids[FAKE_SEQS][FAKE_CTX];
	uint32_t len[FAKE_SEQS];
	enum rc fail;       /* the next forward says this */
	enum rc fetch_fail; /* the next fetch does */
	bool recurrent;     /* cannot go back */
	uint32_t forwards;  /* calls so far */
	uint32_t rows_most; /* in one call */
	uint32_t rows_all;
	uint32_t last_rows[FAKE_SEQS]; /* of the last call, by sequence */
	uint32_t wipes;
	uint32_t new_fails; /* so many engines cannot be made */
	int engines;        /* made and not freed */
	unsigned tries;     /* to make one */
	const struct adapter *adapters[FAKE_SEQS];
	/* As of a device, with shortlists of so many; 0: none. */
	uint32_t n_short;
	bool brief[FAKE_SEQS]; /* of the last call's wanted rows */
	struct backend_shortlist shortlists[FAKE_SEQS];
	float whole[FAKE_SEQS][FAKE_VOCAB];
	uint32_t fetches;
} fake;

struct engine {
	int unused;
};

static void fake_reset(void)
{
	memset(&fake, 0, sizeof(fake));
	fake.config = (struct engine_config){
		.n_ctx = FAKE_CTX, .n_seq = FAKE_SEQS, .n_ubatch = FAKE_UBATCH, .n_threads = 2
	};
}

static void fake_logits(uint32_t seq, uint32_t len, float *out)
{
	uint64_t state = 17;

	for (uint32_t i = 0; i < len; i++)
		state = state * 31 + (uint64_t)fake.ids[seq][i] + 1;
	for (uint32_t i = 0; i < FAKE_VOCAB; i++)
		out[i] = (float)(random_next(&state) >> 40) / 4194304.0F;
}

/* The best of a row, one after another. */
static void fake_shortlist(const float *logits, struct backend_shortlist *out)
{
	float top = -INFINITY;

	out->n = 0;
	out->sum = 0;
	for (uint32_t i = 0; i < FAKE_VOCAB; i++)
		top = fmaxf(top, logits[i]);
	for (uint32_t i = 0; i < FAKE_VOCAB; i++)
		out->sum += expf(logits[i] - top);
	while (out->n < fake.n_short) {
		int32_t best = -1;

		for (int32_t i = 0; i < (int32_t)FAKE_VOCAB; i++) {
			bool after = out->n == 0 || logits[i] < out->last.logit ||
				     (logits[i] <= out->last.logit && i > out->last.id);

			if (after && (best < 0 || logits[i] > logits[best]))
				best = i;
		}
		out->last = (struct backend_candidate){ best, logits[best] };
		out->best[out->n++] = out->last;
	}
}

enum rc engine_forward(struct engine *engine, const struct engine_row *rows, size_t rows_len,
    float *logits, float *embeddings, const volatile bool *cancel, struct errmsg *why)
{
	size_t wanted = 0;

	(void)engine;
	(void)embeddings;
	(void)cancel;
	(void)why;
	enum rc rc = fake.fail;
	fake.fail = RC_OK;
	if (rc != RC_OK)
		return rc;
	fake.forwards++;
	fake.rows_most = rows_len > fake.rows_most ? (uint32_t)rows_len : fake.rows_most;
	fake.rows_all += (uint32_t)rows_len;
	memset(fake.last_rows, 0, sizeof(fake.last_rows));
	for (size_t i = 0; i < rows_len; i++) {
		uint32_t seq = rows[i].seq;

		if (seq >= FAKE_SEQS || rows[i].pos != fake.len[seq] || fake.len[seq] == FAKE_CTX)
			abort();
		fake.ids[seq][fake.len[seq]++] = rows[i].token;
		fake.last_rows[seq]++;
		if (!rows[i].want_logits)
			continue;
		fake_logits(seq, fake.len[seq], fake.whole[wanted]);
		fake.brief[wanted] = rows[i].brief && fake.n_short > 0;
		if (fake.brief[wanted])
			fake_shortlist(fake.whole[wanted], &fake.shortlists[wanted]);
		else
			memcpy(logits, fake.whole[wanted], sizeof(fake.whole[wanted]));
		wanted++;
		logits += FAKE_VOCAB;
	}
	return RC_OK;
}

float *engine_logits(struct engine *engine)
{
	(void)engine;
	return NULL;
}

const struct backend_shortlist *engine_shortlist(struct engine *engine, size_t i)
{
	(void)engine;
	return fake.brief[i] ? &fake.shortlists[i] : NULL;
}

enum rc engine_fetch(struct engine *engine, size_t i, float *logits, struct errmsg *why)
{
	(void)engine;
	(void)why;
	enum rc rc = fake.fetch_fail;
	fake.fetch_fail = RC_OK;
	if (rc != RC_OK)
		return rc;
	fake.fetches++;
	memcpy(logits, fake.whole[i], sizeof(fake.whole[i]));
	return RC_OK;
}

uint32_t engine_seq_len(const struct engine *engine, uint32_t seq)
{
	(void)engine;
	return fake.len[seq];
}

enum rc engine_seq_truncate(struct engine *engine, uint32_t seq, uint32_t n_keep)
{
	(void)engine;
	if (fake.recurrent && n_keep != 0)
		return RC_UNSUPPORTED;
	fake.len[seq] = n_keep;
	return RC_OK;
}

enum rc engine_seq_adapt(struct engine *engine, uint32_t seq, const struct adapter *adapter)
{
	(void)engine;
	fake.adapters[seq] = adapter;
	return RC_OK;
}

void engine_seq_wipe(struct engine *engine, uint32_t seq)
{
	(void)engine;
	fake.adapters[seq] = NULL;
	memset(fake.ids[seq], 0, sizeof(fake.ids[seq]));
	fake.len[seq] = 0;
	fake.wipes++;
}

enum rc engine_resolve(const struct model *model, const struct engine_config *config,
    struct engine_config *out, struct errmsg *why)
{
	(void)model;
	(void)why;
	*out = *config;
	return RC_OK;
}

enum rc engine_plan(const struct model *model, const struct engine_config *config,
    struct engine_plan *out, struct errmsg *why)
{
	(void)model;
	(void)config;
	(void)why;
	*out = (struct engine_plan){ .weights_bytes = 1 };
	return RC_OK;
}

enum rc engine_new(const struct model *model, const struct engine_config *config,
    struct engine **out, struct errmsg *why)
{
	static struct engine again;

	(void)model;
	(void)config;
	fake.tries++;
	if (fake.new_fails > 0) {
		fake.new_fails--;
		return errmsg_rc(why, RC_NOMEM, "no memory in this test");
	}
	fake.engines++;
	*out = &again;
	return RC_OK;
}

void engine_free(struct engine *engine)
{
	fake.engines -= engine != NULL;
}

const struct engine_config *engine_config(const struct engine *engine)
{
	(void)engine;
	return &fake.config;
}

/* As of a device: who samples brings threads of its own. */
struct crew *engine_crew(struct engine *engine)
{
	(void)engine;
	return NULL;
}

const char *engine_numerics_id(const struct engine *engine)
{
	(void)engine;
	return "fake";
}

#endif
